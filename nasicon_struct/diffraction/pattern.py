"""The powder pattern and its reflections, measured or calculated."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from monty.json import MSONable
from numpy.typing import ArrayLike, NDArray

from nasicon_struct.errors import PatternError

#: The least number of points that is still called a pattern.
MIN_POINTS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Reflection(MSONable):
    """One line of a calculated pattern: all symmetry-equivalent planes together.

    Attributes
    ----------
    hkl : tuple of int
        Indices in the setting of the structure that was given.
    hkl_hexagonal, hkl_monoclinic : tuple of (int, int, int)
        The families of planes in the line, on the hexagonal R-3c axes (as the lines of the parent are called,
        so 111 and 20-2 of C2/c are both 104) and on the C2/c axes; empty where the cell is no NASICON's, or
        the line is a superstructure line.
    d_ang : float
        Spacing, angstrom.
    two_theta_deg : float
        Bragg angle 2-theta of the K-alpha1 (or only) wavelength, degrees, with the zero shift included.
    intensity : float
        Integrated intensity relative to the strongest line, which is 100.
    multiplicity : int
        Number of equivalent planes.
    """

    hkl: tuple[int, int, int]
    hkl_hexagonal: tuple[tuple[int, int, int], ...]
    hkl_monoclinic: tuple[tuple[int, int, int], ...]
    d_ang: float
    two_theta_deg: float
    intensity: float
    multiplicity: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "hkl", tuple(int(v) for v in self.hkl))
        for name in ("hkl_hexagonal", "hkl_monoclinic"):
            object.__setattr__(self, name, tuple(tuple(int(v) for v in hkl) for hkl in getattr(self, name)))


@dataclass(frozen=True, kw_only=True, eq=False)
class PowderPattern(MSONable):
    """Intensity against 2-theta.

    Attributes
    ----------
    two_theta_deg : numpy.ndarray, shape (n,)
        Degrees, strictly increasing, between 0 and 180.
    intensity : numpy.ndarray, shape (n,)
        Counts, counts per second, or any multiple of them (``is_counts`` says which).
    sigma : numpy.ndarray, shape (n,), or None
        Standard deviation of the intensity, in the same unit.
    wavelength_ang : float or None
        K-alpha1 or the only wavelength, angstrom; None where a file does not say.
    kalpha2_ratio : float or None
        Intensity of K-alpha2 relative to K-alpha1; 0 is a monochromatic beam, None is not known.
    reflections : tuple of Reflection
        Empty for measured patterns.
    source : str
        Where it comes from: a file name or the structure it was calculated from.
    warnings : tuple of str
        What the reader should know.

    Raises
    ------
    PatternError
        If the arrays are not a pattern (lengths, NaN, order, range, too few points).
    """

    two_theta_deg: NDArray[np.float64]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64] | None = None
    wavelength_ang: float | None = None
    kalpha2_ratio: float | None = None
    reflections: tuple[Reflection, ...] = ()
    source: str = ""
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        where = f" in {self.source}" if self.source else ""
        angle = _frozen(self.two_theta_deg, "two_theta_deg" + where)
        counts = _frozen(self.intensity, "intensity" + where)
        object.__setattr__(self, "two_theta_deg", angle)
        object.__setattr__(self, "intensity", counts)
        object.__setattr__(self, "reflections", tuple(self.reflections))
        object.__setattr__(self, "warnings", tuple(self.warnings))
        if len(angle) != len(counts):
            raise PatternError(
                f"{len(angle)} angles but {len(counts)} intensities{where}; give one of each per point"
            )
        if len(angle) < MIN_POINTS:
            raise PatternError(f"{len(angle)} points{where}; a pattern needs at least {MIN_POINTS}")
        step = np.diff(angle)
        if np.any(step <= 0.0):
            index = int(np.argmax(step <= 0.0))
            raise PatternError(
                f"2-theta must increase strictly, but {angle[index + 1]:g} follows {angle[index]:g} deg "
                f"at point {index + 2}{where}; sort the scan and merge repeated angles"
            )
        if angle[0] < 0.0 or angle[-1] >= 180.0:
            raise PatternError(
                f"2-theta runs from {angle[0]:g} to {angle[-1]:g}{where}, it must lie in 0 to 180 deg; "
                "is the first column 2-theta?"
            )
        if self.sigma is not None:
            sigma = _frozen(self.sigma, "sigma" + where)
            if len(sigma) != len(angle):
                raise PatternError(
                    f"{len(sigma)} standard deviations for {len(angle)} points{where}; give one per point"
                )
            if np.any(sigma < 0.0):
                raise PatternError(
                    f"a standard deviation is negative ({sigma.min():g}){where}; it must be 0 or more"
                )
            object.__setattr__(self, "sigma", sigma)

    @property
    def step_deg(self) -> float:
        """Median step of 2-theta, degrees."""
        return float(np.median(np.diff(self.two_theta_deg)))

    @property
    def is_counts(self) -> bool:
        """True if every intensity is a whole, non-negative number, as raw counts are."""
        return bool(np.all(self.intensity >= 0.0) and np.all(self.intensity == np.round(self.intensity)))

    def d_ang(self, wavelength_ang: float | None = None) -> NDArray[np.float64]:
        """Return the spacing at each point, angstrom (infinite at 2-theta = 0).

        Parameters
        ----------
        wavelength_ang : float, optional
            Wavelength, angstrom; the pattern's own when absent.

        Raises
        ------
        PatternError
            If neither is known.
        """
        lam = wavelength_ang or self.wavelength_ang
        if lam is None:
            raise PatternError(
                "the pattern does not say its wavelength; pass wavelength_ang, 1.5406 for Cu K-alpha1"
            )
        with np.errstate(divide="ignore"):
            return np.asarray(lam / (2.0 * np.sin(np.radians(self.two_theta_deg) / 2.0)))

    def to_xy(self, path: str | Path) -> Path:
        """Write two columns, 2-theta in degrees and intensity (three with sigma); return the path.

        The header lines start with ``#`` and name source and wavelength, which :func:`read_pattern` picks up.

        Parameters
        ----------
        path : str or Path
            File to write; an existing one is replaced.
        """
        out = Path(path)
        columns = [self.two_theta_deg, self.intensity]
        header = [f"source: {' '.join(self.source.split())}"]
        if self.wavelength_ang is not None:
            header.append(f"wavelength: {self.wavelength_ang:.7f} angstrom")
        if self.kalpha2_ratio is not None:
            header.append(f"kalpha2 ratio: {self.kalpha2_ratio:g}")
        header.append("two_theta_deg intensity" + (" sigma" if self.sigma is not None else ""))
        if self.sigma is not None:
            columns.append(self.sigma)
        np.savetxt(out, np.column_stack(columns), fmt="%.6g", header="\n".join(header))
        return out

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            "two_theta_deg": self.two_theta_deg.tolist(),
            "intensity": self.intensity.tolist(),
            "sigma": None if self.sigma is None else self.sigma.tolist(),
            "wavelength_ang": self.wavelength_ang,
            "kalpha2_ratio": self.kalpha2_ratio,
            "reflections": [r.as_dict() for r in self.reflections],
            "source": self.source,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> PowderPattern:
        """Inverse of :meth:`as_dict`."""
        values = {k: v for k, v in d.items() if not k.startswith("@")}
        values["reflections"] = [
            r if isinstance(r, Reflection) else Reflection.from_dict(r) for r in values.get("reflections", ())
        ]
        return cls(**values)


def _frozen(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise PatternError(f"{name} must be numbers; remove text and empty cells") from None
    if array.ndim != 1:
        raise PatternError(f"{name} must be one-dimensional, got shape {array.shape}; give one scan")
    if not np.all(np.isfinite(array)):
        bad = int(np.argmax(~np.isfinite(array)))
        raise PatternError(f"{name} holds {array[bad]} at point {bad + 1}; remove or mend that point")
    array.setflags(write=False)
    return array


def simulate_scan(
    pattern: PowderPattern,
    *,
    peak_counts: float,
    background_counts: float | ArrayLike = 0.0,
    seed: int = 0,
) -> PowderPattern:
    """Turn a calculated pattern into the counts a diffractometer would give.

    Parameters
    ----------
    pattern : PowderPattern
        Noise-free.
    peak_counts : float
        Counts at the highest point, above background.
    background_counts : float or array_like, shape (n,)
        Counts per step added before the Poisson draw.
    seed : int
        Seed of the generator; the same seed gives the same scan.

    Returns
    -------
    PowderPattern
        Whole counts, drawn from a Poisson law.
    """
    if not (math.isfinite(peak_counts) and peak_counts > 0.0):
        raise PatternError(f"peak_counts must be positive, got {peak_counts}; a short scan has 1000")
    top = float(pattern.intensity.max())
    if top <= 0.0:
        raise PatternError("the pattern is zero everywhere; widen its range so that it holds a line")
    expected = pattern.intensity * (peak_counts / top) + np.asarray(background_counts, dtype=float)
    counts = np.random.default_rng(seed).poisson(np.clip(expected, 0.0, None))
    return PowderPattern(
        two_theta_deg=pattern.two_theta_deg,
        intensity=counts.astype(float),
        wavelength_ang=pattern.wavelength_ang,
        kalpha2_ratio=pattern.kalpha2_ratio,
        reflections=pattern.reflections,
        source=f"{pattern.source}, simulated counts (seed {seed})",
    )

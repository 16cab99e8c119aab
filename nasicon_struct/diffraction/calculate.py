"""Powder patterns of average and ordered cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core.structure import Structure

from nasicon_struct.cif import as_structure
from nasicon_struct.diffraction.indices import Hkl, hexagonal_label, monoclinic_families, monoclinic_label
from nasicon_struct.diffraction.pattern import PowderPattern, Reflection
from nasicon_struct.diffraction.profiles import caglioti_fwhm, pseudo_voigt, shape_eta
from nasicon_struct.diffraction.radiation import parse_radiation
from nasicon_struct.errors import CellError, NasiconError, PatternError
from nasicon_struct.metric import monoclinic_distortion, to_rhombohedral

FloatArray = NDArray[Any]

#: Isotropic displacement parameter when none is given, square angstrom.
DEFAULT_B_ISO_ANG2 = 1.0
#: Lines weaker than this part of the strongest are left out.
_WEAKEST = 1e-5
_MAX_POINTS = 400_000
#: Lines closer than this are one line, degrees.
_SAME_ANGLE_DEG = 2e-5


def powder_pattern(
    structure: Any,
    *,
    wavelength: str | float = "CuKa",
    two_theta_deg: tuple[float, float] = (10.0, 60.0),
    step_deg: float = 0.01,
    fwhm_deg: float = 0.1,
    caglioti: tuple[float, float, float] | None = None,
    profile: str | float = "pseudo-voigt",
    kalpha2: bool | float | str = "auto",
    zero_shift_deg: float = 0.0,
    b_iso_ang2: float | Mapping[str, float] = DEFAULT_B_ISO_ANG2,
) -> PowderPattern:
    """Calculate the X-ray powder pattern of a structure, partial occupancies included.

    Line positions and intensities come from pymatgen's ``XRDCalculator`` (neutral-atom form factors, Lorentz
    factor, polarisation of an unpolarised beam without monochromator, no anomalous scattering, no absorption,
    no preferred orientation); the profile is laid over them here.

    Parameters
    ----------
    structure : Structure, AverageCell, OrderedCell, ASE Atoms, or path of a CIF
    wavelength : str or float
        ``"CuKa"`` (doublet), ``"CuKa1"``, ``"MoKa"``, ... or angstrom; see :func:`parse_radiation`.
    two_theta_deg : (float, float)
        First and last angle, degrees.
    step_deg : float
        Step, degrees.
    fwhm_deg : float
        Width of every line (full width at half maximum), degrees; ignored when ``caglioti`` is given.
    caglioti : (U, V, W), optional
        Square degrees; width as a function of angle.
    profile : {"pseudo-voigt", "gaussian", "lorentzian"} or float
        Shape; a number is the Lorentzian part (pseudo-voigt: 0.5).
    kalpha2 : {"auto", True, False} or float
        Whether the beam holds K-alpha2, or its ratio to K-alpha1 (0.5 for ``True``).
    zero_shift_deg : float
        Added to every 2-theta, degrees.
    b_iso_ang2 : float or mapping of element to float
        Isotropic displacement parameter B, square angstrom.

    Returns
    -------
    PowderPattern
        Highest point 100; ``reflections`` at the K-alpha1 angle with the strongest line 100.

    Raises
    ------
    PatternError
        If a setting makes no pattern (range, step, width, wavelength).
    CellError
        If the structure cannot be read.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> rock_salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"],
    ...                                       [[0, 0, 0], [.5, .5, .5]])
    >>> strongest = max(powder_pattern(rock_salt).reflections, key=lambda r: r.intensity)
    >>> round(strongest.d_ang, 2), strongest.multiplicity
    (2.82, 6)
    """
    low, high = (float(v) for v in two_theta_deg)
    if not (0.0 < low < high < 180.0):
        raise PatternError(
            f"two_theta_deg must rise within 0 to 180, got ({low:g}, {high:g}); for example (10, 60)"
        )
    if not 0.0 < step_deg <= (high - low) / 20.0:
        raise PatternError(
            f"step_deg must be positive and give at least 20 points, got {step_deg:g}; use 0.01"
        )
    if (high - low) / step_deg > _MAX_POINTS:
        raise PatternError(f"step_deg {step_deg:g} gives more than {_MAX_POINTS} points; use a wider step")
    if caglioti is None and not 0.001 <= fwhm_deg <= 5.0:
        raise PatternError(
            f"fwhm_deg must lie between 0.001 and 5, got {fwhm_deg:g}; laboratory lines have 0.05 to 0.2"
        )
    eta = shape_eta(profile)
    radiation = parse_radiation(wavelength, kalpha2=kalpha2)
    lattice_structure = as_structure(structure)
    if len(lattice_structure) == 0:
        raise CellError("the structure has no sites; give one with atoms")
    label = _name_of(structure, lattice_structure)
    reflections = calculate_reflections(
        lattice_structure,
        wavelength_ang=radiation.wavelength_ang,
        two_theta_deg=(max(low - 3.0, 0.5), min(high + 3.0, 179.0)),
        b_iso_ang2=b_iso_ang2,
        zero_shift_deg=zero_shift_deg,
    )
    grid: FloatArray = low + step_deg * np.arange(round((high - low) / step_deg) + 1)
    d = np.array([r.d_ang for r in reflections])
    area = np.array([r.intensity for r in reflections])
    total: FloatArray = np.zeros_like(grid)
    for lam, weight in radiation.components:
        sine = lam / (2.0 * d)
        seen = sine < 1.0
        angle = 2.0 * np.degrees(np.arcsin(sine[seen]))
        width = np.full_like(angle, fwhm_deg) if caglioti is None else caglioti_fwhm(angle, caglioti)
        total += weight * _sum_lines(grid, angle + zero_shift_deg, area[seen], width, eta)
    top = float(total.max()) if len(total) else 0.0
    if not any(low - 1.0 < r.two_theta_deg < high + 1.0 for r in reflections):
        raise PatternError(
            f"no reflection lies between {low:g} and {high:g} deg at {radiation.wavelength_ang:g} angstrom; "
            "widen the range"
        )
    return PowderPattern(
        two_theta_deg=grid,
        intensity=total * (100.0 / top),
        wavelength_ang=radiation.wavelength_ang,
        kalpha2_ratio=radiation.kalpha2_ratio,
        reflections=tuple(r for r in reflections if low <= r.two_theta_deg <= high),
        source=f"calculated from {label}",
    )


def _sum_lines(
    grid: FloatArray,
    position: FloatArray,
    area: FloatArray,
    width: FloatArray,
    eta: float,
) -> FloatArray:
    total: FloatArray = np.zeros_like(grid)
    block = max(1, 2_000_000 // len(grid))
    for start in range(0, len(position), block):
        part = slice(start, start + block)
        shape = pseudo_voigt(grid[None, :] - position[part, None], width[part, None], eta)
        total += area[part] @ shape
    return total


def calculate_reflections(
    structure: Structure,
    *,
    wavelength_ang: float,
    two_theta_deg: tuple[float, float],
    b_iso_ang2: float | Mapping[str, float] = DEFAULT_B_ISO_ANG2,
    zero_shift_deg: float = 0.0,
) -> tuple[Reflection, ...]:
    """Lines of a structure within a range, strongest 100, in both settings where the cell is a NASICON's.

    Parameters
    ----------
    structure : Structure
    wavelength_ang : float
        Angstrom.
    two_theta_deg : (float, float)
        Range before the zero shift, degrees.
    b_iso_ang2 : float or mapping of element to float
        Isotropic displacement parameter B, square angstrom.
    zero_shift_deg : float
        Added to every 2-theta, degrees.

    Returns
    -------
    tuple of Reflection
        In order of 2-theta; lines weaker than 1e-5 of the strongest are left out.
    """
    symbols = sorted({sp.symbol for site in structure for sp in site.species})
    b_iso = (
        {s: float(b_iso_ang2.get(s, DEFAULT_B_ISO_ANG2)) for s in symbols}
        if isinstance(b_iso_ang2, Mapping)
        else dict.fromkeys(symbols, float(b_iso_ang2))
    )
    if any(not (math.isfinite(b) and b >= 0.0) for b in b_iso.values()):
        raise PatternError(f"b_iso_ang2 must be 0 or more, got {b_iso}; usual values are 0.3 to 4")
    plain = Structure(
        structure.lattice,
        [{sp.symbol: occ for sp, occ in site.species.items()} for site in structure],
        structure.frac_coords,
    )
    try:
        lines = XRDCalculator(wavelength=wavelength_ang, debye_waller_factors=b_iso).get_pattern(
            plain, scaled=False, two_theta_range=two_theta_deg
        )
    except (ValueError, IndexError, KeyError):
        raise PatternError(
            f"no reflection of {plain.composition.reduced_formula} lies between {two_theta_deg[0]:g} and "
            f"{two_theta_deg[1]:g} deg at {wavelength_ang:g} angstrom; widen the range"
        ) from None
    real = _not_extinct(plain, np.array(lines.x), np.array(lines.y))
    if not real.any():
        return ()
    top = float(np.max(np.array(lines.y)[real]))
    groups = _PlaneGroups(structure, wavelength_ang, two_theta_deg)
    out: list[Reflection] = []
    for angle, height, d, shown in zip(lines.x, lines.y, lines.d_hkls, real, strict=True):
        intensity = 100.0 * height / top
        if not shown or intensity < 100.0 * _WEAKEST:
            continue
        if out and abs(angle + zero_shift_deg - out[-1].two_theta_deg) < _SAME_ANGLE_DEG:
            out[-1] = replace(out[-1], intensity=out[-1].intensity + float(intensity))
            continue
        hkl, hexagonal, monoclinic, multiplicity = groups.at(float(d))
        out.append(
            Reflection(
                hkl=hkl,
                hkl_hexagonal=hexagonal,
                hkl_monoclinic=monoclinic,
                d_ang=float(d),
                two_theta_deg=float(angle) + zero_shift_deg,
                intensity=float(intensity),
                multiplicity=multiplicity,
            )
        )
    return tuple(out)


def _not_extinct(structure: Structure, two_theta_deg: FloatArray, intensity: FloatArray) -> NDArray[np.bool_]:
    """Tell lines from the rounding noise of extinct ones, by |F|^2 against the square of all electrons."""
    electrons = sum(sp.Z * occ for site in structure for sp, occ in site.species.items())
    theta = np.radians(two_theta_deg) / 2.0
    lorentz = (1.0 + np.cos(2.0 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    return np.asarray(intensity / lorentz > 1e-12 * electrons**2)


class _PlaneGroups:
    """Planes of a lattice grouped by spacing, with indices on the axes of R-3c and of C2/c.

    Planes that the centring of the NASICON lattice forbids are left out of a group that holds allowed ones:
    in R-3c, 014 has the spacing of 104 but never diffracts.
    """

    def __init__(
        self, structure: Structure, wavelength_ang: float, two_theta_deg: tuple[float, float]
    ) -> None:
        self.change: FloatArray | None = None
        self.undistorted = False
        try:
            distortion = monoclinic_distortion(structure)
            self.change = np.array(distortion.transformation, dtype=float)
            self.undistorted = distortion.strain_norm < 1e-6
        except NasiconError:
            pass
        reach = 2.0 * math.sin(math.radians(two_theta_deg[1] / 2.0)) / wavelength_ang
        points = structure.lattice.reciprocal_lattice_crystallographic.get_points_in_sphere(
            [[0, 0, 0]], [0, 0, 0], reach * (1.0 + 1e-9)
        )
        hkl = np.round([p[0] for p in points]).astype(np.int64)
        length = np.array([p[1] for p in points], dtype=float)
        order = np.argsort(length, kind="stable")
        self.hkl, self.length = hkl[order], length[order]

    def at(self, d_ang: float) -> tuple[Hkl, tuple[Hkl, ...], tuple[Hkl, ...], int]:
        """Representative in the given setting, hexagonal families, monoclinic families, multiplicity."""
        low, high = np.searchsorted(self.length, [(1.0 - 2e-7) / d_ang, (1.0 + 2e-7) / d_ang])
        members = self.hkl[low:high]
        if self.change is None:
            return _label(members), (), (), len(members)
        mono = members @ self.change.T
        whole = np.round(mono)
        allowed = (np.abs(mono - whole).max(axis=1) < 1e-4) & ((whole[:, 0] + whole[:, 1]) % 2 == 0)
        if not allowed.any():
            return _label(members), (), (), len(members)
        hexagonal: dict[Hkl, None] = {}
        monoclinic: dict[Hkl, None] = {}
        for row in whole[allowed].astype(int):
            parent = hexagonal_label(_triple(to_rhombohedral(row)))
            if parent not in hexagonal and self.undistorted:
                monoclinic.update((label, None) for label, _ in monoclinic_families(parent))
            elif not self.undistorted:
                monoclinic[monoclinic_label(_triple(row))] = None
            hexagonal[parent] = None
        return _label(members[allowed]), tuple(hexagonal), tuple(monoclinic), int(allowed.sum())


def _triple(hkl: NDArray[Any]) -> Hkl:
    h, k, el = (round(float(v)) for v in hkl)
    return h, k, el


def _label(members: NDArray[np.int64]) -> Hkl:
    """Return the plane one would write: as few negative indices as possible, then the largest h, k, l."""
    return max((_triple(row) for row in members), key=lambda t: (sum(v >= 0 for v in t), t))


def _name_of(obj: Any, structure: Structure) -> str:
    if isinstance(obj, str | Path):
        return Path(obj).name
    parent = getattr(obj, "parent", None)
    return structure.composition.reduced_formula + (f" ({parent})" if isinstance(parent, str) else "")

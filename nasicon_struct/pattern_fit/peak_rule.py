"""The three-peak rule of the literature, as it is read by eye, and what is known to mislead it.

Li et al., EES Batteries 1 (2025) 1740, and papers before it, call a NASICON monoclinic when the peak at 19.2
degrees (Cu K-alpha) is lower than that at 19.6 and the peaks at 27.5 and 34.5 are double. The rule is given
here so that a published reading can be repeated; :func:`fit_pattern` is the way to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monty.json import MSONable
from numpy.typing import NDArray

from nasicon_struct.diffraction import PowderPattern, parse_radiation
from nasicon_struct.errors import PatternError
from nasicon_struct.pattern_fit import prepare

#: What misleads the rule, whatever the pattern.
CAVEATS: Final = (
    "the heights at 19.2 and 19.6 measure the splitting of 104 against the line width: the same crystal reads "
    "rhombohedral on a broad instrument, monoclinic on a sharp one",
    "sodium occupancy and dopants change the intensities: R-3c NaZr2P3O12 has I(19.2)/I(19.6) = 0.76, so it "
    "reads monoclinic",
    "near 34.5 degrees R-3c itself has two lines, 214 and 300, and m-ZrO2 has 002 and 020 (34.14, 34.39): a "
    "double peak there says nothing",
    "K-alpha2 makes shoulders that look like splitting; a mixture of both looks like a weak distortion",
    "near Na4Zr2Si3O12 the lines 104 and 110 change places",
)


@dataclass(frozen=True, kw_only=True)
class PeakRuleReading(MSONable):
    """What the three-peak rule says.

    Attributes
    ----------
    phase : str
        ``"monoclinic"`` when all criteria that can be read say so, ``"rhombohedral"`` when none does,
        ``"contradictory"`` when they disagree, ``"undetermined"`` when none can be read.
    height_ratio, height_ratio_se : float or None
        I(19.2) / I(19.6), heights above background (dimensionless), with its standard error from the noise.
    maxima_27, maxima_34 : tuple of float
        2-theta of the maxima near 27.5 and 34.5 (degrees, at the wavelength of the pattern).
    votes : dict of str to str
        Criterion to ``"monoclinic"``, ``"rhombohedral"`` or ``"unreadable"``.
    caveats : tuple of str
        Known failures of the rule, those that apply to this pattern first.
    """

    phase: str
    height_ratio: float | None
    height_ratio_se: float | None
    maxima_27: tuple[float, ...]
    maxima_34: tuple[float, ...]
    votes: dict[str, str]
    caveats: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("maxima_27", "maxima_34", "caveats"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def __str__(self) -> str:
        ratio = "" if self.height_ratio is None else f", I(19.2)/I(19.6) = {self.height_ratio:.2f}"
        return f"three-peak rule: {self.phase}{ratio}"


def peak_rule(pattern: PowderPattern, *, wavelength: str | float | None = None) -> PeakRuleReading:
    """Read a pattern by the three-peak rule of Li et al., EES Batteries 1 (2025) 1740.

    Parameters
    ----------
    pattern : PowderPattern
    wavelength : str or float, optional
        That of the pattern when absent, else Cu K-alpha. For other wavelengths the regions move with Bragg's
        law.

    Returns
    -------
    PeakRuleReading

    Raises
    ------
    PatternError
        If the scan holds neither the region near 19.4 nor that near 27.5 degrees (Cu).
    """
    given = wavelength if wavelength is not None else pattern.wavelength_ang
    radiation = parse_radiation(given if given is not None else "CuKa")
    noise = prepare.measure_noise(pattern)
    found = prepare.find_cells(pattern, radiation, noise, count=1)
    a_h, c_h = (found[0].a_h_ang, found[0].c_h_ang) if found else (9.05, 22.85)
    angles = prepare.line_angles(a_h, c_h, radiation.wavelength_ang)
    scale = radiation.wavelength_ang / 1.5405929
    at_300 = float(prepare.bragg_deg(np.array(2.0 * 3.0**0.5 / a_h), radiation.wavelength_ang))
    x, y = pattern.two_theta_deg, pattern.intensity
    extra = []
    votes = {}
    ratio, ratio_se = _height_ratio(x, y, noise, float(angles[0]), float(angles[1]), scale)
    if ratio is None or ratio_se is None:
        votes["19.2 against 19.6"] = "unreadable"
    else:
        votes["19.2 against 19.6"] = "monoclinic" if ratio < 1.0 else "rhombohedral"
        if abs(ratio - 1.0) < 2.0 * ratio_se:
            extra.append(
                f"the heights at 19.2 and 19.6 are equal within noise ({ratio:.2f} +- {ratio_se:.2f})"
            )
    maxima_27 = _maxima(x, y, noise, float(angles[2]), 0.45 * scale, pattern.step_deg)
    maxima_34 = _maxima(x, y, noise, at_300 - 0.05 * scale, 0.45 * scale, pattern.step_deg)
    for name, maxima in (("27.5 double", maxima_27), ("34.5 double", maxima_34)):
        votes[name] = "unreadable" if maxima is None else "monoclinic" if len(maxima) > 1 else "rhombohedral"
    if votes["19.2 against 19.6"] == "unreadable" and votes["27.5 double"] == "unreadable":
        raise PatternError(
            f"the scan from {x[0]:.1f} to {x[-1]:.1f} deg holds neither of the peaks near "
            f"{angles[0]:.1f} and {angles[2]:.1f} deg; measure them"
        )
    if found and float(angles[0]) > float(angles[1]):
        extra.append("104 and 110 lie in reverse order here, so the rule compares the wrong peaks")
    said = {v for v in votes.values() if v != "unreadable"}
    phase = said.pop() if len(said) == 1 else "contradictory" if said else "undetermined"
    return PeakRuleReading(
        phase=phase,
        height_ratio=ratio,
        height_ratio_se=ratio_se,
        maxima_27=maxima_27 or (),
        maxima_34=maxima_34 or (),
        votes=votes,
        caveats=(*extra, *CAVEATS),
    )


def _height_ratio(
    x: NDArray[Any], y: NDArray[Any], noise: prepare.Noise, first: float, second: float, scale: float
) -> tuple[float | None, float | None]:
    """Height of the lower-angle peak over that of the higher-angle one, above a straight background."""
    low, high = min(first, second), max(first, second)
    begin, end = low - 0.45 * scale, high + 0.45 * scale
    inside = (x >= begin) & (x <= end)
    if inside.sum() < 12 or x[0] > begin + 0.2 * scale or x[-1] < end - 0.2 * scale:
        return None, None
    u, v = x[inside], y[inside]
    edge = max(2, len(v) // 20)
    level = np.interp(u, [u[0], u[-1]], [float(np.median(v[:edge])), float(np.median(v[-edge:]))])
    net = v - level
    # the two C2/c lines of 104 lie up to 0.15 degree above it, those of 110 stay where it is
    divide = high - min(0.16 * scale, 0.45 * (high - low))
    left, right = net[u < divide], net[u >= divide]
    if len(left) == 0 or len(right) == 0:
        return None, None
    i, j = int(np.argmax(left)), len(left) + int(np.argmax(right))
    a, b = float(net[i]), float(net[j])
    if a <= 0.0 or b <= 0.0:
        return None, None
    error = np.hypot(float(noise.sigma(v[[i]])[0]) / a, float(noise.sigma(v[[j]])[0]) / b)
    if error > 0.5:
        return None, None
    return a / b, float(a / b * error)


def _maxima(
    x: NDArray[Any], y: NDArray[Any], noise: prepare.Noise, center: float, reach: float, step: float
) -> tuple[float, ...] | None:
    """2-theta of the maxima in a region that stand out of the noise and of the strongest of them."""
    inside = (x > center - reach) & (x < center + reach)
    if inside.sum() < 15 or x[0] > center - 0.6 * reach or x[-1] < center + 0.6 * reach:
        return None
    from scipy.signal import find_peaks

    u, v = x[inside], y[inside]
    span = max(1, round(0.03 * reach / 0.45 / step) | 1)
    smooth = np.convolve(np.pad(v, span // 2, mode="edge"), np.full(span, 1.0 / span), mode="valid")
    top = float(smooth.max() - np.percentile(smooth, 10))
    spread = float(noise.sigma(np.array([smooth.max()]))[0]) / np.sqrt(span)
    if top < 4.0 * spread:
        return None
    least = float(np.percentile(smooth, 10)) + 0.15 * top
    peaks, _ = find_peaks(smooth, prominence=max(0.05 * top, 4.0 * spread), height=least)
    return tuple(float(u[i]) for i in peaks)

"""X-ray tube lines, and what a user may call a wavelength.

Values: R. D. Deslattes et al., International Tables for Crystallography Vol. C (2006), Table 4.2.2.1
(Cr, Fe, Co, Cu after G. Hölzer et al., Phys. Rev. A 56 (1997) 4554).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from nasicon_struct.errors import PatternError

#: anode -> (K-alpha1, K-alpha2), angstrom.
TUBE_LINES_ANG: Final[dict[str, tuple[float, float]]] = {
    "Cr": (2.2897260, 2.2936510),
    "Fe": (1.9360410, 1.9399730),
    "Co": (1.7889960, 1.7928350),
    "Cu": (1.5405929, 1.5444274),
    "Mo": (0.70931715, 0.713607),
    "Ag": (0.55942178, 0.5638131),
}
#: Intensity of K-alpha2 relative to K-alpha1 (the ratio of the level multiplicities; measured 0.50-0.52).
KALPHA2_RATIO: Final = 0.5
#: Wavelengths that instruments write for a tube differ in the fourth decimal; closer than this is that tube.
_SAME_TUBE_RELATIVE: Final = 4e-4


@dataclass(frozen=True)
class Radiation:
    """What shines on the sample.

    Attributes
    ----------
    wavelength_ang : float
        K-alpha1 of a tube, or the only wavelength, angstrom.
    kalpha2_ang : float or None
        K-alpha2, angstrom; None where the anode is not known or the beam is monochromatic.
    kalpha2_ratio : float
        Intensity of K-alpha2 relative to K-alpha1; 0 for a monochromatic beam.
    name : str
        For example ``"CuKa"``, ``"CuKa1"`` or ``"1.2400 angstrom"``.
    ambiguous : bool
        True where a bare tube wavelength was given, so that the beam may hold K-alpha2 or not.
    """

    wavelength_ang: float
    kalpha2_ang: float | None
    kalpha2_ratio: float
    name: str
    ambiguous: bool = False

    @property
    def components(self) -> tuple[tuple[float, float], ...]:
        """(wavelength in angstrom, weight) pairs; the weights sum to 1."""
        if self.kalpha2_ang is None or self.kalpha2_ratio == 0.0:
            return ((self.wavelength_ang, 1.0),)
        total = 1.0 + self.kalpha2_ratio
        return ((self.wavelength_ang, 1.0 / total), (self.kalpha2_ang, self.kalpha2_ratio / total))

    def with_ratio(self, ratio: float) -> Radiation:
        """Return the same anode with another K-alpha2 to K-alpha1 ratio (0: monochromatic)."""
        if ratio and self.kalpha2_ang is None:
            raise PatternError(
                f"K-alpha2 was asked for, but {self.name} is no K-alpha1 line of "
                f"{', '.join(TUBE_LINES_ANG)}; use kalpha2=False"
            )
        return Radiation(self.wavelength_ang, self.kalpha2_ang, ratio, self.name)


def _tube_of(wavelength_ang: float) -> tuple[str, str] | None:
    """Anode and line ('a1', 'a2' or 'a', the weighted mean) that a number stands for, if any."""
    best: tuple[float, str, str] | None = None
    for anode, (one, two) in TUBE_LINES_ANG.items():
        for line, value in (("a1", one), ("a2", two), ("a", (2.0 * one + two) / 3.0)):
            off = abs(wavelength_ang / value - 1.0)
            if off < _SAME_TUBE_RELATIVE and (best is None or off < best[0]):
                best = (off, anode, line)
    return best[1:] if best else None


def parse_radiation(wavelength: str | float, *, kalpha2: bool | float | str = "auto") -> Radiation:
    """Read a wavelength the way a diffractionist writes it.

    Parameters
    ----------
    wavelength : str or float
        ``"CuKa"`` (the doublet), ``"CuKa1"``, ``"MoKa"``, ... or a number in angstrom. A number within
        4 parts in 10^4 of a tube's K-alpha1, K-alpha2 or mean K-alpha is read as that line.
    kalpha2 : {"auto", True, False} or float
        Whether K-alpha2 is present, or its intensity relative to K-alpha1. ``"auto"``: present for ``"CuKa"``
        and for the weighted mean (1.5419), absent for ``"CuKa1"`` and non-tube wavelengths; a bare K-alpha1
        number counts as a doublet and is marked ``ambiguous``.

    Returns
    -------
    Radiation

    Raises
    ------
    PatternError
        If the name or number cannot be a wavelength.
    """
    if isinstance(kalpha2, str) and kalpha2 != "auto":
        raise PatternError(
            f"kalpha2 must be 'auto', True, False or a ratio, got {kalpha2!r}; use True for a tube"
        )
    if not isinstance(kalpha2, str | bool) and not 0.0 <= float(kalpha2) <= 1.0:
        raise PatternError(
            f"the K-alpha2 to K-alpha1 ratio must lie between 0 and 1, got {kalpha2}; tubes have 0.5"
        )
    if isinstance(wavelength, str):
        text = (
            wavelength.strip()
            .replace("α", "a")
            .replace("-", "")
            .replace(" ", "")
            .lower()
            .replace("alpha", "a")
        )
        for anode, (one, two) in TUBE_LINES_ANG.items():
            for line in ("ka", "ka1", "ka2"):
                if text == anode.lower() + line:
                    return _from_tube(anode, line[1:], one, two, kalpha2)
        try:
            # The hyphen of "K-alpha" means nothing, that of "-1" or "1e-3" does.
            number = wavelength.strip().replace(" ", "").lower()
            value = float(number.removesuffix("angstrom").removesuffix("å").removesuffix("a"))
        except ValueError:
            names = ", ".join(f"{a}Ka" for a in TUBE_LINES_ANG)
            raise PatternError(
                f"unknown wavelength {wavelength!r}; give angstrom, or one of {names} (Ka1 for one line)"
            ) from None
    else:
        value = float(wavelength)
    if not math.isfinite(value) or not 0.1 <= value <= 5.0:
        raise PatternError(
            f"a wavelength must lie between 0.1 and 5 angstrom, got {value}; Cu K-alpha is 1.5406"
        )
    tube = _tube_of(value)
    if tube is None:
        single = Radiation(value, None, 0.0, f"{value:.5g} angstrom")
        return single.with_ratio(_ratio(kalpha2, default=0.0))
    anode, line = tube
    if line == "a1" and kalpha2 == "auto":
        one, two = TUBE_LINES_ANG[anode]
        return Radiation(one, two, KALPHA2_RATIO, f"{anode}Ka", ambiguous=True)
    return _from_tube(anode, line, *TUBE_LINES_ANG[anode], kalpha2)


def _ratio(kalpha2: bool | float | str, *, default: float) -> float:
    if isinstance(kalpha2, str):
        return default
    if isinstance(kalpha2, bool):
        return KALPHA2_RATIO if kalpha2 else 0.0
    return float(kalpha2)


def _from_tube(anode: str, line: str, one: float, two: float, kalpha2: bool | float | str) -> Radiation:
    if line == "a2":
        return Radiation(two, None, 0.0, f"{anode}Ka2").with_ratio(_ratio(kalpha2, default=0.0))
    ratio = _ratio(kalpha2, default=KALPHA2_RATIO if line == "a" else 0.0)
    return Radiation(one, two, ratio, f"{anode}Ka" if ratio else f"{anode}Ka1")

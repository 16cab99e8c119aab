"""Miller indices in the two settings, and the lines on which the two phases are told apart.

The change of axes itself is :func:`nasicon_struct.metric.to_monoclinic` and its inverse; here are the
families of equivalent planes, their multiplicities, and how a line of R-3c splits when the metric becomes
monoclinic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from monty.json import MSONable

from nasicon_struct.diffraction.radiation import parse_radiation
from nasicon_struct.errors import PatternError
from nasicon_struct.metric import monoclinic_cell_from_distortion, to_monoclinic

Hkl = tuple[int, int, int]

#: Lines of the three-peak rule and one more (hexagonal indices), with the labels used in the literature for
#: Cu K-alpha, degrees 2-theta (Li et al. 2025 read 19.2, 19.6, 27.5 and 34.5).
RULE_LINES: Final[tuple[tuple[str, Hkl], ...]] = (
    ("19.2", (1, 0, 4)),
    ("19.6", (1, 1, 0)),
    ("27.5", (0, 2, 4)),
    ("34.5", (3, 0, 0)),
)
#: Cell for which splits are quoted unless another is given: hexagonal axes of Na3.35Zr2Si2.35P0.65O12,
#: angstrom, Boilot, Collin, Colomban, J. Solid State Chem. 73 (1988) 160.
REFERENCE_CELL_ANG: Final = (9.097, 22.680)


def hexagonal_family(hkl: Hkl) -> tuple[Hkl, ...]:
    """All planes equivalent to (hkl) in Laue class -3m, hexagonal axes, sorted."""
    h, k, el = hkl
    i = -h - k
    turned = [(h, k, el), (k, i, el), (i, h, el)]
    turned += [(b, a, -c) for a, b, c in turned]
    return tuple(sorted({t for a, b, c in turned for t in ((a, b, c), (-a, -b, -c))}))


def monoclinic_family(hkl: Hkl) -> tuple[Hkl, ...]:
    """All planes equivalent to (hkl) in Laue class 2/m, unique axis b, sorted."""
    h, k, el = hkl
    return tuple(sorted({(h, k, el), (h, -k, el), (-h, k, -el), (-h, -k, -el)}))


def hexagonal_label(hkl: Hkl) -> Hkl:
    """Return the member of the family one writes: as few negative indices as possible, then the largest h."""
    return max(hexagonal_family(hkl), key=lambda t: (sum(v >= 0 for v in t), t))


def monoclinic_label(hkl: Hkl) -> Hkl:
    """Return the member of the family one writes: h and k not negative, l not negative where h = 0."""
    return max(monoclinic_family(hkl), key=lambda t: (t[1] >= 0, t[0] >= 0, t[2] >= 0, t))


def monoclinic_families(hkl_hexagonal: Hkl) -> tuple[tuple[Hkl, int], ...]:
    """C2/c families into which one line of R-3c splits.

    Parameters
    ----------
    hkl_hexagonal : (int, int, int)
        Hexagonal axes, obverse setting: -h + k + l must be a multiple of 3.

    Returns
    -------
    tuple of ((int, int, int), int)
        (indices on C2/c axes, multiplicity), the most numerous family first.

    Raises
    ------
    PatternError
        If the rhombohedral centring forbids the line.
    """
    h, k, el = (int(v) for v in hkl_hexagonal)
    if (-h + k + el) % 3:
        raise PatternError(
            f"({h} {k} {el}) is forbidden by the obverse rhombohedral centring; "
            "-h + k + l must be a multiple of 3"
        )
    counts: dict[Hkl, int] = {}
    for member in hexagonal_family((h, k, el)):
        a, b, c = (int(v) for v in to_monoclinic(np.array(member)))
        label = monoclinic_label((a, b, c))
        counts[label] = counts.get(label, 0) + 1
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def inverse_d_squared_hexagonal(hkl: Hkl, a_h_ang: float, c_h_ang: float) -> float:
    """1/d^2 of a plane of a hexagonal cell, 1/angstrom^2."""
    h, k, el = hkl
    return 4.0 * (h * h + h * k + k * k) / (3.0 * a_h_ang**2) + el * el / c_h_ang**2


def inverse_d_squared_monoclinic(
    hkl: Hkl, a_ang: float, b_ang: float, c_ang: float, beta_deg: float
) -> float:
    """1/d^2 of a plane of a monoclinic cell (unique axis b), 1/angstrom^2."""
    h, k, el = hkl
    sine, cosine = math.sin(math.radians(beta_deg)), math.cos(math.radians(beta_deg))
    in_plane = (h / a_ang) ** 2 + (el / c_ang) ** 2 - 2.0 * h * el * cosine / (a_ang * c_ang)
    return in_plane / sine**2 + (k / b_ang) ** 2


def bragg_two_theta_deg(inverse_d_squared: float, wavelength_ang: float) -> float:
    """Bragg angle 2-theta in degrees of a plane with this 1/d^2 (1/angstrom^2); NaN where there is none."""
    sine = 0.5 * wavelength_ang * math.sqrt(inverse_d_squared)
    return 2.0 * math.degrees(math.asin(sine)) if sine <= 1.0 else math.nan


@dataclass(frozen=True, kw_only=True)
class SplitLine(MSONable):
    """One line of R-3c and the two lines of C2/c that it becomes.

    Attributes
    ----------
    label : str
        Name in the literature (2-theta in degrees for Cu K-alpha), or the indices.
    hkl_hexagonal : (int, int, int)
    multiplicity : int
    hkl_monoclinic : tuple of (int, int, int)
        The families, the most numerous first.
    multiplicities : tuple of int
        Of the families; they sum to ``multiplicity``.
    d_ang : float
        Spacing without distortion, angstrom.
    two_theta_deg : float
        Bragg angle without distortion, degrees.
    split_delta1_deg, split_delta2_deg : float
        2-theta of the last family minus that of the first, degrees, per unit of delta1 and delta2 (both
        dimensionless); the split is their sum to first order.
    """

    label: str
    hkl_hexagonal: Hkl
    multiplicity: int
    hkl_monoclinic: tuple[Hkl, ...]
    multiplicities: tuple[int, ...]
    d_ang: float
    two_theta_deg: float
    split_delta1_deg: float
    split_delta2_deg: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "hkl_hexagonal", tuple(self.hkl_hexagonal))
        object.__setattr__(self, "hkl_monoclinic", tuple(tuple(t) for t in self.hkl_monoclinic))
        object.__setattr__(self, "multiplicities", tuple(self.multiplicities))


def index_table(
    *,
    a_h_ang: float = REFERENCE_CELL_ANG[0],
    c_h_ang: float = REFERENCE_CELL_ANG[1],
    wavelength: str | float = "CuKa1",
    lines: tuple[Hkl, ...] | None = None,
) -> list[SplitLine]:
    """Lines in both settings, with multiplicities and how far they split.

    Parameters
    ----------
    a_h_ang, c_h_ang : float
        Hexagonal cell about which the splits are linearised, angstrom.
    wavelength : str or float
        As in :func:`powder_pattern`.
    lines : tuple of (int, int, int), optional
        Hexagonal indices; the four lines of the three-peak rule when absent.

    Returns
    -------
    list of SplitLine

    Raises
    ------
    PatternError
        If a line is forbidden by the centring or out of reach of the wavelength.
    """
    lam = parse_radiation(wavelength).wavelength_ang
    chosen = RULE_LINES if lines is None else tuple(("".join(map(str, hkl)), hkl) for hkl in lines)
    out = []
    for label, hkl in chosen:
        families = monoclinic_families(hkl)
        square = inverse_d_squared_hexagonal(hkl, a_h_ang, c_h_ang)
        angle = bragg_two_theta_deg(square, lam)
        if math.isnan(angle):
            raise PatternError(f"{hkl} does not diffract at {lam:g} angstrom; use a shorter wavelength")
        first, last = families[0][0], families[-1][0]
        step = 1e-5
        slopes = []
        for one, two in ((step, 0.0), (0.0, step)):
            plus = monoclinic_split_deg(first, last, a_h_ang, c_h_ang, one, two, lam)
            minus = monoclinic_split_deg(first, last, a_h_ang, c_h_ang, -one, -two, lam)
            slopes.append((plus - minus) / (2.0 * step))
        out.append(
            SplitLine(
                label=label,
                hkl_hexagonal=hkl,
                multiplicity=len(hexagonal_family(hkl)),
                hkl_monoclinic=tuple(f[0] for f in families),
                multiplicities=tuple(f[1] for f in families),
                d_ang=1.0 / math.sqrt(square),
                two_theta_deg=angle,
                split_delta1_deg=slopes[0],
                split_delta2_deg=slopes[1],
            )
        )
    return out


def monoclinic_split_deg(
    first: Hkl, last: Hkl, a_h_ang: float, c_h_ang: float, delta1: float, delta2: float, wavelength_ang: float
) -> float:
    """2-theta of ``last`` minus that of ``first``, degrees, in a C2/c cell with this distortion."""
    cell = monoclinic_cell_from_distortion(a_h_ang, c_h_ang, delta1, delta2)
    angles = [
        bragg_two_theta_deg(inverse_d_squared_monoclinic(hkl, *cell), wavelength_ang) for hkl in (first, last)
    ]
    return angles[1] - angles[0]

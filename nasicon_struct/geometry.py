"""Is a NASICON structure sane: bond lengths, oxygen contacts, occupancies, bond valence sums.

Bond valence ``s = exp((R0 - R) / b)`` with the parameters of ``structures/tables/bond_valence.csv``
(Brown and Altermatt 1985; Brese and O'Keeffe 1991), summed over the six (M) or four (T) nearest oxygens
and averaged over the elements that share a site.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monty.json import MSONable
from numpy.typing import NDArray
from pymatgen.core.structure import Structure

from nasicon_struct import reference
from nasicon_struct.composition import element_sites
from nasicon_struct.errors import CellError

#: Sane ranges, angstrom: M-O (octahedra), T-O (tetrahedra), shortest O-O within a tetrahedron.
M_O_RANGE_ANG: Final = (1.95, 2.25)
T_O_RANGE_ANG: Final = (1.48, 1.70)
O_O_MIN_ANG: Final = 2.4
_COORDINATION: Final = {"M": 6, "T": 4}
_RANGES: Final = {"M": M_O_RANGE_ANG, "T": T_O_RANGE_ANG}
_SEARCH_ANG: Final = 3.6


@functools.cache
def bond_valence_parameters() -> dict[tuple[str, int, str], tuple[float, float]]:
    """Return (R0, b) in angstrom by (cation, oxidation state, anion)."""
    return {
        (row["cation"], int(row["oxidation_state"]), row["anion"]): (
            float(row["r0_ang"]),
            float(row["b_ang"]),
        )
        for row in reference.read_rows("bond_valence")
    }


@dataclass(frozen=True, kw_only=True)
class SiteGeometry(MSONable):
    """The oxygen shell of the M or T positions that share one label.

    Attributes
    ----------
    label : str
        Site label, or the elements on it where the structure has no labels.
    kind : str
        ``M`` (six nearest oxygens) or ``T`` (four).
    n_positions : int
        Positions in the cell with this label.
    min_ang, mean_ang, max_ang : float
        Bond lengths, angstrom.
    min_oo_ang : float or None
        Shortest O-O distance within one tetrahedron, angstrom; None on M.
    bond_valence_sum : float or None
        Mean over the positions, valence units; None where a parameter is missing.
    formal_charge : float
        Mean formal charge of the species on the site.
    """

    label: str
    kind: str
    n_positions: int
    min_ang: float
    mean_ang: float
    max_ang: float
    min_oo_ang: float | None
    bond_valence_sum: float | None
    formal_charge: float


@dataclass(frozen=True, kw_only=True)
class GeometryReport(MSONable):
    """Outcome of :func:`check_geometry`.

    Attributes
    ----------
    sites : tuple of SiteGeometry
    m_o_range_ang, t_o_range_ang : tuple of float
        Shortest and longest M-O and T-O bond, angstrom.
    problems : tuple of str
        One sentence for each rule broken; empty for a sane structure.
    """

    sites: tuple[SiteGeometry, ...]
    m_o_range_ang: tuple[float, ...]
    t_o_range_ang: tuple[float, ...]
    problems: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("sites", "m_o_range_ang", "t_o_range_ang", "problems"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def is_sane(self) -> bool:
        """True when no rule is broken."""
        return not self.problems

    @property
    def bond_valence_sums(self) -> dict[str, float | None]:
        """Bond valence sum by site label, valence units."""
        return {site.label: site.bond_valence_sum for site in self.sites}


def _elements(site: Any) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for species, amount in site.species.items():
        symbol = getattr(species, "symbol", str(species))
        amounts[symbol] = amounts.get(symbol, 0.0) + float(amount)
    return amounts


def _kind(elements: Mapping[str, float]) -> str:
    known = element_sites()
    kinds = {known[symbol].site for symbol in elements if symbol in known} & {"M", "T"}
    return kinds.pop() if len(kinds) == 1 else ""


def _charges(site: Any) -> dict[tuple[str, int], float]:
    known = element_sites()
    charges: dict[tuple[str, int], float] = {}
    for species, amount in site.species.items():
        symbol = getattr(species, "symbol", str(species))
        state = getattr(species, "oxi_state", None)
        key = (symbol, round(state) if state is not None else known[symbol].oxidation_state)
        charges[key] = charges.get(key, 0.0) + float(amount)
    return charges


def _valence(site: Any, lengths: NDArray[np.float64], anion: str = "O") -> float | None:
    """Return the bond valence sum of one position, averaged over its species (vacancies left out)."""
    parameters = bond_valence_parameters()
    charges = _charges(site)
    total, weight = 0.0, 0.0
    for (symbol, state), amount in charges.items():
        if (symbol, state, anion) not in parameters:
            return None
        r0, b = parameters[symbol, state, anion]
        total += amount * float(np.exp((r0 - lengths) / b).sum())
        weight += amount
    return total / weight if weight else None


def check_geometry(structure: Structure) -> GeometryReport:
    """Check bond lengths, O-O contacts and occupancies of a NASICON structure.

    Parameters
    ----------
    structure : Structure
        Disordered or ordered; a site property ``label`` names the sites of the report.

    Returns
    -------
    GeometryReport

    Raises
    ------
    CellError
        When the structure has no oxygen, or nothing on M or T sites.

    Notes
    -----
    Limits: M-O 1.95-2.25, T-O 1.48-1.70, O-O within a tetrahedron at least 2.4 angstrom, occupancies at
    most 1. Sane NASICONs have M-O 2.0-2.2 and T-O 1.5-1.65 angstrom.
    """
    structure = getattr(structure, "structure", structure)
    contents = [_elements(site) for site in structure]
    oxygen = np.array([i for i, elements in enumerate(contents) if "O" in elements], dtype=int)
    kinds = [_kind(elements) for elements in contents]
    if not len(oxygen) or "M" not in kinds or "T" not in kinds:
        raise CellError(
            f"{structure.composition.reduced_formula} is no NASICON structure: it needs oxygen and "
            "atoms on M and T"
        )
    labels = structure.site_properties.get("label")
    centres = [i for i, kind in enumerate(kinds) if kind]
    shells = _shells(structure, centres, oxygen, kinds)

    grouped: dict[str, list[int]] = {}
    for i in centres:
        name = labels[i] if labels is not None and labels[i] else "+".join(sorted(contents[i]))
        grouped.setdefault(str(name), []).append(i)
    sites, problems = [], []
    for name, members in grouped.items():
        kind = kinds[members[0]]
        lengths = np.array([shells[i][0] for i in members])
        sums = [_valence(structure[i], shells[i][0]) for i in members]
        contacts = [shells[i][1] for i in members]
        charges = [_charges(structure[i]) for i in members]
        site = SiteGeometry(
            label=name,
            kind=kind,
            n_positions=len(members),
            min_ang=float(lengths.min()),
            mean_ang=float(lengths.mean()),
            max_ang=float(lengths.max()),
            min_oo_ang=float(min(contacts)) if kind == "T" else None,
            bond_valence_sum=None if None in sums else float(np.mean([s for s in sums if s is not None])),
            formal_charge=float(
                np.mean([sum(z * n for (_, z), n in c.items()) / sum(c.values()) for c in charges])
            ),
        )
        sites.append(site)
        low, high = _RANGES[kind]
        if site.min_ang < low or site.max_ang > high:
            problems.append(
                f"{name}-O bonds run from {site.min_ang:.3f} to {site.max_ang:.3f} A, "
                f"sane is {low:.2f} to {high:.2f} A"
            )
        if site.min_oo_ang is not None and site.min_oo_ang < O_O_MIN_ANG:
            problems.append(
                f"two oxygens of the {name} tetrahedron are {site.min_oo_ang:.3f} A apart, sane is at least "
                f"{O_O_MIN_ANG:.1f} A"
            )
    for i, elements in enumerate(contents):
        if sum(elements.values()) > 1.0 + 1e-6:
            problems.append(
                f"site {i + 1} is occupied {sum(elements.values()):.3f} times, at most 1 is possible"
            )
    ranges = {
        kind: (
            min(s.min_ang for s in sites if s.kind == kind),
            max(s.max_ang for s in sites if s.kind == kind),
        )
        for kind in ("M", "T")
    }
    return GeometryReport(
        sites=tuple(sites),
        m_o_range_ang=ranges["M"],
        t_o_range_ang=ranges["T"],
        problems=tuple(problems),
    )


def _shells(
    structure: Structure, centres: list[int], oxygen: NDArray[np.int64], kinds: list[str]
) -> dict[int, tuple[NDArray[np.float64], float]]:
    """Return, for each centre, its sorted bond lengths and the shortest contact between its oxygens."""
    sites = [structure[i] for i in centres]
    oxygens = Structure.from_sites([structure[int(i)] for i in oxygen])
    centre, neighbour, image, distance = oxygens.get_neighbor_list(_SEARCH_ANG, sites=sites)
    shells = {}
    for number, i in enumerate(centres):
        mine = np.flatnonzero(centre == number)
        mine = mine[np.argsort(distance[mine], kind="stable")][: _COORDINATION[kinds[i]]]
        if len(mine) < _COORDINATION[kinds[i]]:
            raise CellError(
                f"site {i + 1} has only {len(mine)} oxygens within {_SEARCH_ANG} A, it needs "
                f"{_COORDINATION[kinds[i]]}; the structure is no NASICON or is damaged"
            )
        points = oxygens.lattice.get_cartesian_coords(oxygens.frac_coords[neighbour[mine]] + image[mine])
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(len(mine), 1)]
        shells[i] = (np.asarray(distance[mine], dtype=np.float64), float(gaps.min()))
    return shells


def bond_valence_sums(structure: Structure) -> dict[str, float | None]:
    """Return the bond valence sum (valence units) of each M and T site by label.

    Parameters
    ----------
    structure : pymatgen Structure
        With M, T and O sites; partial occupancies are averaged.

    Returns
    -------
    dict of str to float or None
        Valence units; None where an element has no parameters (``structures/tables/bond_valence.csv``).

    Raises
    ------
    CellError
        If the structure holds no framework that can be checked.
    """
    return check_geometry(structure).bond_valence_sums

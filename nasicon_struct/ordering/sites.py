"""The site model of a disordered cell: which positions may hold what, on the primitive lattice.

Positions that exchange species form one sublattice (all Na positions with their vacancies; all M; all T).
Its symmetry is that of the bare positions, whatever their refined occupancies; positions that are equivalent
under those operations that also keep the occupancies form one *class* (Na1, Na2, Na3, Zr1, T1, T2 ...).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from pymatgen.core.structure import Structure

from nasicon_struct.composition import element_sites
from nasicon_struct.errors import OrderingError
from nasicon_struct.formula import exact
from nasicon_struct.ordering.lattice import (
    FloatArray,
    IntArray,
    form_matrix,
    hermite_form,
    reduce_basis,
)

#: Name of the empty site in species lists.
VACANCY: Final = "vacancy"
#: Positions are taken as equivalent within this distance, angstrom.
SYMPREC_ANG: Final = 1e-3
#: Coordinates and lattice vectors are rounded to this many decimals, so that libraries' last bits don't count.
_DECIMALS: Final = 12


@dataclass(frozen=True)
class SpeciesOnSite:
    """A species that a sublattice may hold; ``element`` is ``"vacancy"`` for an empty site."""

    element: str
    charge: int


@dataclass(frozen=True)
class Sublattice:
    """Positions that exchange species.

    Attributes
    ----------
    name : str
        ``Na``, ``M``, ``T`` or the elements joined by a slash.
    sites : tuple of int
        Positions of the primitive cell.
    species : tuple of SpeciesOnSite
        In the order used by all counts; the vacancy last.
    target : tuple of Fraction
        Amount of each species per formula unit, vacancies included.
    """

    name: str
    sites: tuple[int, ...]
    species: tuple[SpeciesOnSite, ...]
    target: tuple[Fraction, ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Names of the species."""
        return tuple(s.element for s in self.species)


@dataclass(frozen=True, eq=False)
class SiteModel:
    """A disordered cell on its primitive lattice.

    Attributes
    ----------
    lattice : (3, 3) floats
        Primitive vectors as rows, angstrom.
    frac : (n, 3) floats
        Positions in the primitive basis, not wrapped.
    classes : tuple of str
        Class (site label) of each position.
    sublattice_of : tuple of int
        Index of the sublattice of each position, -1 where the species is fixed.
    fixed : dict of int to SpeciesOnSite
        Species of the fixed positions.
    sublattices : tuple of Sublattice
    rotations, translations : (m, 3, 3) integers, (m, 3) floats
        Space group of the positions in the primitive basis (column coordinates), modulo lattice translations.
    input_to_primitive : (3, 3) floats
        Rows: the given cell's vectors in the primitive basis (integers).
    formula_units : Fraction
        Formula units per primitive cell.
    refined : dict of str to dict
        Occupancy of each species by class, vacancies included.
    notes : tuple of str
        What was assumed.
    """

    lattice: FloatArray
    frac: FloatArray
    classes: tuple[str, ...]
    sublattice_of: tuple[int, ...]
    fixed: dict[int, SpeciesOnSite]
    sublattices: tuple[Sublattice, ...]
    rotations: IntArray
    translations: FloatArray
    input_to_primitive: IntArray
    formula_units: Fraction
    refined: dict[str, dict[str, Fraction]]
    notes: tuple[str, ...]

    @property
    def n_sites(self) -> int:
        """Positions in the primitive cell."""
        return len(self.frac)

    def class_size(self, name: str) -> int:
        """Positions of a class in the primitive cell."""
        return self.classes.count(name)


def _content(site: Any, states: Mapping[str, Any]) -> dict[SpeciesOnSite, Fraction]:
    known = element_sites()
    content: dict[SpeciesOnSite, Fraction] = {}
    for species, occupancy in site.species.items():
        symbol = getattr(species, "symbol", None) or str(species)
        charge = states.get(symbol, getattr(species, "oxi_state", None))
        if charge is None and symbol in known:
            charge = known[symbol].oxidation_state
        if charge is None or abs(charge - round(charge)) > 1e-9:
            raise OrderingError(
                f"the formal charge of {symbol} is {charge}; give a whole number, "
                f"for example oxidation_states={{'{symbol}': 3}}"
            )
        key = SpeciesOnSite(symbol, round(charge))
        if any(k.element == symbol and k.charge != key.charge for k in content):
            raise OrderingError(f"{symbol} has two formal charges on one site; give one of them")
        content[key] = content.get(key, Fraction(0)) + exact(round(float(occupancy), 9), what="occupancy")
    if sum(content.values()) > 1 + Fraction(1, 10**6):
        raise OrderingError(
            f"a site is occupied {float(sum(content.values())):.4f} times; at most 1 is possible"
        )
    return content


def _role(elements: frozenset[str]) -> str:
    known = element_sites()
    roles = {known[e].site for e in elements if e in known}
    return roles.pop() if len(roles) == 1 and all(e in known for e in elements) else ""


def _pools(contents: Sequence[dict[SpeciesOnSite, Fraction]]) -> list[list[int]]:
    """Group the positions that exchange species; positions left out are fixed."""
    mixed = [i for i, c in enumerate(contents) if len(c) > 1 or sum(c.values()) < 1 - Fraction(1, 10**6)]
    mobile = {
        s.element for i in mixed if sum(contents[i].values()) < 1 - Fraction(1, 10**6) for s in contents[i]
    }
    members = set(mixed) | {i for i, c in enumerate(contents) if mobile & {s.element for s in c}}
    pools: list[tuple[set[str], list[int]]] = []
    for i in sorted(members):
        elements = {s.element for s in contents[i]}
        touching = [pool for pool in pools if pool[0] & elements]
        merged = (elements.union(*(p[0] for p in touching)), sorted(sum((p[1] for p in touching), [i])))
        pools = [pool for pool in pools if pool not in touching] + [merged]
    return sorted((pool[1] for pool in pools), key=lambda sites: sites[0])


def _primitive(translations: FloatArray, lattice: FloatArray) -> IntArray:
    """Return m * (primitive vectors in the input basis), rows, reduced; m = number of translations."""
    count = len(translations)
    scaled = np.rint(translations * count).astype(np.int64)
    if np.abs(scaled - translations * count).max() > 0.05:
        raise OrderingError(
            "the lattice translations found are not fractions of the cell; tighten the coordinates"
        )
    form = hermite_form(np.vstack([scaled, count * np.eye(3, dtype=np.int64)]))
    rows = form_matrix(form)
    return np.asarray(reduce_basis(rows / count @ lattice) @ rows, dtype=np.int64)


def _symmetry(
    lattice: FloatArray, frac: FloatArray, kinds: Sequence[int], symprec: float
) -> tuple[IntArray, FloatArray]:
    import spglib

    found = spglib.get_symmetry((lattice.tolist(), frac.tolist(), list(kinds)), symprec=symprec)
    if found is None:
        raise OrderingError("no symmetry was found for the positions; two of them may coincide")
    shifts = np.asarray(found["translations"], dtype=np.float64)
    exact_shifts = np.rint(shifts * 24) / 24
    snap = np.abs(shifts - exact_shifts).max(axis=1) < 2e-4
    return np.asarray(found["rotations"], dtype=np.int64), np.where(snap[:, None], exact_shifts, shifts)


def site_model(
    cell: Any,
    *,
    oxidation_states: Mapping[str, int] | None = None,
    fixed: Mapping[str, str] | None = None,
    symprec_ang: float = SYMPREC_ANG,
) -> SiteModel:
    """Build the site model of a disordered cell.

    Parameters
    ----------
    cell : AverageCell or Structure
        An average cell gives the exact composition; a structure gives it by its occupancies.
    oxidation_states : mapping, optional
        Formal charges (whole numbers) that replace those of the cell.
    fixed : mapping of site label to element, optional
        Sites that hold one element (or ``"vacancy"``) in every arrangement.
    symprec_ang : float
        Positions are taken as equivalent within this distance, angstrom.

    Raises
    ------
    OrderingError
        When nothing is disordered, a charge is missing or a site is named wrongly.
    """
    structure: Structure = getattr(cell, "structure", cell)
    amounts = getattr(getattr(cell, "composition", None), "amounts", None)
    states = dict(oxidation_states or {})
    contents = [_content(site, states) for site in structure]
    given = structure.site_properties.get("label")
    labels = [
        str(label) if label else "+".join(sorted(s.element for s in content)) or "site"
        for label, content in zip(given or [None] * len(structure), contents, strict=True)
    ]
    pools = _pools(contents)
    pinned = _pinned(fixed or {}, labels, contents)
    kinds = _kinds(contents, pools, pinned)
    lattice: FloatArray = np.array(structure.lattice.matrix, dtype=np.float64).round(_DECIMALS)
    frac: FloatArray = np.array(structure.frac_coords, dtype=np.float64).round(_DECIMALS)

    rotations, shifts = _symmetry(lattice, frac, kinds, symprec_ang)
    pure = [i for i, w in enumerate(rotations) if np.array_equal(w, np.eye(3, dtype=np.int64))]
    mapping, frac = _symmetrise(lattice, frac, kinds, rotations[pure], shifts[pure], symprec_ang)
    to_input = _primitive(shifts[pure], lattice) / len(pure)  # rows: primitive vectors in the input basis
    to_primitive = np.rint(np.linalg.inv(to_input))  # rows: input vectors in the primitive basis
    orbits = mapping.min(axis=0)
    keep = sorted(set(orbits.tolist()))
    place = {old: new for new, old in enumerate(keep)}

    lattice = np.round(to_input @ lattice, _DECIMALS)
    frac = frac[keep] @ to_primitive
    rotations, shifts = _symmetry(lattice, frac, [kinds[i] for i in keep], symprec_ang)
    mapping, frac = _symmetrise(lattice, frac, [kinds[i] for i in keep], rotations, shifts, symprec_ang)
    mean = _mean_contents(contents, orbits, keep)
    classes = _classes([labels[i] for i in keep], mean, mapping)
    per_cell = _formula_units(contents, len(pure), amounts)
    pools = [[place[i] for i in pool if i in place] for pool in pools]
    pinned = {place[i]: species for i, species in pinned.items() if i in place}
    sublattices = _sublattices(mean, pools, pinned, per_cell, amounts, states)
    if not sublattices:
        raise OrderingError("every site of the cell holds one species only, so there is nothing to order")
    sublattice_of = [-1] * len(keep)
    for number, sublattice in enumerate(sublattices):
        for i in sublattice.sites:
            sublattice_of[i] = number
    return SiteModel(
        lattice=lattice,
        frac=frac,
        classes=tuple(classes),
        sublattice_of=tuple(sublattice_of),
        fixed={i: pinned.get(i) or next(iter(mean[i])) for i, s in enumerate(sublattice_of) if s < 0},
        sublattices=sublattices,
        rotations=rotations,
        translations=shifts,
        input_to_primitive=to_primitive.astype(np.int64),
        formula_units=per_cell,
        refined={
            classes[i]: {
                **{s.element: n for s, n in content.items()},
                **({VACANCY: 1 - sum(content.values(), Fraction(0))} if sum(content.values()) < 1 else {}),
            }
            for i, content in enumerate(mean)
        },
        notes=tuple(
            f"sublattice {s.name}: sites {', '.join(sorted({classes[i] for i in s.sites}))}, "
            f"species {', '.join(s.elements)}"
            for s in sublattices
        ),
    )


def _mean_contents(
    contents: Sequence[dict[SpeciesOnSite, Fraction]], orbits: IntArray, keep: Sequence[int]
) -> list[dict[SpeciesOnSite, Fraction]]:
    """Average the occupancies over the positions that lattice translations make equivalent."""
    members: dict[int, list[int]] = {i: [] for i in keep}
    for i, first in enumerate(orbits.tolist()):
        members[first].append(i)
    mean = []
    for i in keep:
        total: dict[SpeciesOnSite, Fraction] = {}
        for j in members[i]:
            for species, n in contents[j].items():
                total[species] = total.get(species, Fraction(0)) + n / len(members[i])
        mean.append(total)
    return mean


def _pinned(
    fixed: Mapping[str, str], labels: Sequence[str], contents: Sequence[dict[SpeciesOnSite, Fraction]]
) -> dict[int, SpeciesOnSite]:
    pinned: dict[int, SpeciesOnSite] = {}
    charges = {s.element: s for content in contents for s in content} | {VACANCY: SpeciesOnSite(VACANCY, 0)}
    for label, element in fixed.items():
        here = [i for i, name in enumerate(labels) if name == label]
        if not here:
            raise OrderingError(
                f"there is no site {label!r} to fix; the sites are {', '.join(sorted(set(labels)))}"
            )
        if element not in charges:
            raise OrderingError(
                f"{label} cannot be fixed to {element!r}; the cell holds {', '.join(sorted(charges))}"
            )
        pinned.update(dict.fromkeys(here, charges[element]))
    return pinned


def _kinds(
    contents: Sequence[dict[SpeciesOnSite, Fraction]],
    pools: Sequence[Sequence[int]],
    pinned: Mapping[int, SpeciesOnSite],
) -> list[int]:
    """Number the kinds of position that symmetry must not mix."""
    names: dict[Any, int] = {}
    pool_of = {i: number for number, pool in enumerate(pools) for i in pool}
    return [
        names.setdefault(
            ("pinned", pinned[i].element)
            if i in pinned
            else pool_of[i]
            if i in pool_of
            else tuple(sorted(s.element for s in content)),
            len(names) + 1,
        )
        for i, content in enumerate(contents)
    ]


def _symmetrise(
    lattice: FloatArray,
    frac: FloatArray,
    kinds: Sequence[int],
    rotations: IntArray,
    translations: FloatArray,
    symprec: float,
) -> tuple[IntArray, FloatArray]:
    """Return where each operation sends each position, and positions made exactly symmetric."""
    kind = np.asarray(kinds)
    mapping = np.empty((len(rotations), len(frac)), dtype=np.int64)
    total = np.zeros_like(frac)
    for n, (w, t) in enumerate(zip(rotations, translations, strict=True)):
        moved = frac @ w.T + t
        delta = moved[:, None] - frac[None]
        delta -= np.rint(delta)
        distance = np.sqrt(((delta @ lattice) ** 2).sum(axis=2))
        distance[kind[:, None] != kind[None]] = np.inf
        mapping[n] = distance.argmin(axis=1)
        if distance.min(axis=1).max() > 5 * symprec or len(set(mapping[n].tolist())) < len(frac):
            raise OrderingError(
                "the positions are not symmetric within the tolerance; write the cell in P1 or refine them"
            )
        total[mapping[n]] += frac[mapping[n]] + delta[np.arange(len(frac)), mapping[n]]
    return mapping, np.round(total / len(rotations), _DECIMALS)


def _classes(
    labels: Sequence[str], contents: Sequence[dict[SpeciesOnSite, Fraction]], mapping: IntArray
) -> list[str]:
    """Name each position's orbit under the operations that keep the occupancies by its first label."""
    keeps = [row for row in mapping if all(contents[int(j)] == contents[i] for i, j in enumerate(row))]
    orbit = np.array(keeps).min(axis=0)
    used: dict[str, int] = {}
    names: dict[int, str] = {}
    for i in sorted(set(orbit.tolist())):
        base = labels[i]
        used[base] = used.get(base, 0) + 1
        names[i] = base if used[base] == 1 else f"{base}_{used[base]}"
    return [names[int(i)] for i in orbit]


def _formula_units(contents: Sequence[dict[SpeciesOnSite, Fraction]], cells: int, amounts: Any) -> Fraction:
    """Formula units per primitive cell: O12 for a NASICON, else by the fully occupied species."""
    whole: dict[str, int] = {}
    for content in contents:
        for species, occupancy in content.items():
            if occupancy == 1:
                whole[species.element] = whole.get(species.element, 0) + 1
    oxygen = whole.get("O", 0)
    if amounts is not None or (oxygen and oxygen % (12 * cells) == 0):
        return Fraction(oxygen, 12 * cells)
    if not whole:
        return Fraction(1)
    return Fraction(math.gcd(*whole.values()), cells)


def _pool_name(contents: Sequence[dict[SpeciesOnSite, Fraction]], pool: Sequence[int]) -> str:
    elements = sorted({s.element for i in pool for s in contents[i]})
    return _role(frozenset(elements)) or "/".join(elements)


def _sublattices(
    contents: Sequence[dict[SpeciesOnSite, Fraction]],
    pools: Sequence[Sequence[int]],
    pinned: Mapping[int, SpeciesOnSite],
    per_cell: Fraction,
    amounts: Mapping[str, Fraction] | None,
    states: Mapping[str, int],
) -> tuple[Sublattice, ...]:
    sublattices: list[Sublattice] = []
    known = element_sites()
    for pool in pools:
        name = _pool_name(contents, pool)
        species = {s.element: s for i in pool for s in contents[i]}
        if amounts is not None and name in ("Na", "M", "T"):
            target = {
                e: n for e, n in amounts.items() if e in species or (e in known and known[e].site == name)
            }
            for e in target:
                species.setdefault(e, SpeciesOnSite(e, states.get(e, known[e].oxidation_state)))
        else:
            target = {}
            for i in pool:
                for s, n in contents[i].items():
                    target[s.element] = target.get(s.element, Fraction(0)) + n / per_cell
        free = [i for i in pool if i not in pinned]
        for i in pool:
            if i in pinned and pinned[i].element != VACANCY:
                target[pinned[i].element] = target.get(pinned[i].element, Fraction(0)) - 1 / per_cell
        if any(n < 0 for n in target.values()):
            raise OrderingError(f"the fixed sites of {name} hold more atoms than the composition has")
        empty = len(free) / per_cell - sum(target.values())
        if empty < -Fraction(1, 10**6):
            raise OrderingError(
                f"the {name} positions hold {float(len(free) / per_cell):g} atoms per formula unit, the composition "
                f"needs {float(sum(target.values())):g}; take a parent with more sites or fix fewer"
            )
        if not free:
            continue
        listed = [species[e] for e in species if target.get(e)]
        wanted = [target[s.element] for s in listed]
        if empty > Fraction(1, 10**6):
            listed.append(SpeciesOnSite(VACANCY, 0))
            wanted.append(empty)
        sublattices.append(Sublattice(name, tuple(free), tuple(listed), tuple(wanted)))
    return tuple(sublattices)

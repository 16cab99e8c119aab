"""Counting and listing all distinct arrangements of a cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.cells import Certainty, ordered_cell
from nasicon_struct.ordering.counting import count_all, count_distinct
from nasicon_struct.ordering.enumeration import Listing, list_distinct
from nasicon_struct.ordering.lattice import FloatArray, IntArray
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.request import Request, prepare
from nasicon_struct.ordering.results import ArrangementCount, OrderedCell
from nasicon_struct.ordering.sampling import BOLTZMANN_EV_PER_K
from nasicon_struct.ordering.supercells import (
    MAX_FORMULA_UNITS,
    TOLERANCE,
    Shape,
    cell_composition,
    matrix_in_given_basis,
)
from nasicon_struct.ordering.symmetry import site_permutations

#: Distinct arrangements listed at most unless more are asked for.
MAX_ARRANGEMENTS: Final = 500_000


@dataclass(frozen=True, eq=False)
class Arrangements:
    """All distinct arrangements of one supercell, lowest Ewald energy first.

    ``len(a)`` is their number, ``a[i]`` the i-th as an :class:`OrderedCell`, and iterating yields all of them.

    Attributes
    ----------
    count : ArrangementCount
        Their number by Burnside's lemma, which the list agrees with.
    energies_ev_per_fu : (m,) floats
        Ewald energies with formal charges, eV per formula unit.
    degeneracies : (m,) integers
        Arrangements that symmetry makes of each.
    """

    count: ArrangementCount
    energies_ev_per_fu: FloatArray
    degeneracies: IntArray
    _request: Request
    _shape: Shape
    _problem: OrderingProblem
    _permutations: IntArray
    _listing: Listing

    def __len__(self) -> int:
        return len(self.energies_ev_per_fu)

    def __getitem__(self, number: int) -> OrderedCell:
        i = range(len(self))[number]
        total = int(self.degeneracies.sum())
        return ordered_cell(
            self._request,
            self._shape,
            self._problem,
            self._permutations,
            self._listing.occupations[i].astype(np.int64),
            float(self._listing.energies[i]),
            Certainty(
                how=f"number {i + 1:,} by energy of all {len(self):,} distinct arrangements",
                exact=True,
                n_arrangements=total,
                hit_rate=1.0,
            ),
            seed=0,
        )

    def __iter__(self) -> Iterator[OrderedCell]:
        return (self[i] for i in range(len(self)))

    def probabilities(self, temperature_k: float) -> FloatArray:
        """Return the Boltzmann probability of each class at a temperature.

        Parameters
        ----------
        temperature_k : float
            Kelvin; infinity weighs all arrangements alike.

        Returns
        -------
        (m,) floats
            Degeneracy times exp(-E/kT), with E of the whole supercell, normalised to 1. Formal charges
            overstate differences of energy, so such a temperature is an upper bound of a real one.

        Raises
        ------
        OrderingError
            When the temperature is not positive.
        """
        if not temperature_k > 0:
            raise OrderingError(f"temperature_k is above 0, got {temperature_k}")
        gaps = self._listing.energies - self._listing.energies.min()
        weights = self.degeneracies * np.exp(-gaps / (BOLTZMANN_EV_PER_K * temperature_k))
        return np.asarray(weights / weights.sum(), dtype=np.float64)


def _count(request: Request, shape: Shape, problem: OrderingProblem, rows: IntArray) -> ArrangementCount:
    return ArrangementCount(
        total=count_all(problem),
        distinct=count_distinct(problem, rows),
        operations=len(rows),
        formula_units=round(float(request.model.formula_units * request.index)),
        supercell_matrix=matrix_in_given_basis(request.model, shape),
        composition=cell_composition(request.model, request.content, request.index),
    )


def count_arrangements(
    cell: Any,
    *,
    formula_units: int | None = None,
    supercell: Any = None,
    keep_site_occupancies: bool = False,
    min_na_na_ang: float = 0.0,
    fixed_sites: Mapping[str, str] | None = None,
    allowed_sites: Mapping[str, Sequence[str]] | None = None,
    tolerance: float = TOLERANCE,
    max_formula_units: int = MAX_FORMULA_UNITS,
    parent: str = "xun2025_s2",
    oxidation_states: Mapping[str, int] | None = None,
) -> ArrangementCount:
    """Count the arrangements of a cell that keep its contents and the rules, without listing them.

    Parameters
    ----------
    cell, formula_units, supercell, keep_site_occupancies, min_na_na_ang, fixed_sites, allowed_sites, tolerance, \
max_formula_units, parent, oxidation_states
        As for :func:`order_cell`. Without ``supercell`` the most compact shape of the size is taken.

    Returns
    -------
    ArrangementCount
        All arrangements, and those that no space-group operation or translation of the bare positions relates
        (Burnside's lemma); exact whole numbers of any size.

    Raises
    ------
    OrderingError
        When the request does not fit, or a distance rule couples too many sites to count.

    Examples
    --------
    >>> print(count_arrangements("Na3Zr2Si2PO12", formula_units=2))
    114 distinct of 420 arrangements of Na6Zr4Si4P2O24 under 4 operations
    """
    request, choices = prepare(
        cell,
        formula_units=formula_units,
        supercell=supercell,
        tolerance=tolerance,
        max_formula_units=max_formula_units,
        keep_site_occupancies=keep_site_occupancies,
        min_na_na_ang=min_na_na_ang,
        fixed_sites=fixed_sites,
        allowed_sites=allowed_sites,
        parent=parent,
        oxidation_states=oxidation_states,
    )
    problem = request.problem(choices[0])
    return _count(request, choices[0], problem, site_permutations(problem))


def enumerate_arrangements(
    cell: Any,
    *,
    formula_units: int | None = None,
    supercell: Any = None,
    keep_site_occupancies: bool = False,
    min_na_na_ang: float = 0.0,
    fixed_sites: Mapping[str, str] | None = None,
    allowed_sites: Mapping[str, Sequence[str]] | None = None,
    tolerance: float = TOLERANCE,
    max_formula_units: int = MAX_FORMULA_UNITS,
    max_arrangements: int = MAX_ARRANGEMENTS,
    parent: str = "xun2025_s2",
    oxidation_states: Mapping[str, int] | None = None,
) -> Arrangements:
    """List every arrangement of a cell that symmetry does not relate, with its energy and degeneracy.

    Parameters
    ----------
    cell, formula_units, supercell, keep_site_occupancies, min_na_na_ang, fixed_sites, allowed_sites, tolerance, \
max_formula_units, parent, oxidation_states
        As for :func:`order_cell`. Without ``supercell`` the most compact shape of the size is taken.
    max_arrangements : int
        Refuse to list more than this many; the number is known before anything is listed.

    Returns
    -------
    Arrangements

    Raises
    ------
    OrderingError
        When there are more arrangements than ``max_arrangements`` (the sentence names the number), or none.

    Examples
    --------
    >>> a = enumerate_arrangements("Na3Zr2Si2PO12", formula_units=2)
    >>> len(a), int(a.degeneracies.sum()), round(float(a.energies_ev_per_fu[0]), 3)
    (114, 420, -872.909)
    """
    request, choices = prepare(
        cell,
        formula_units=formula_units,
        supercell=supercell,
        tolerance=tolerance,
        max_formula_units=max_formula_units,
        keep_site_occupancies=keep_site_occupancies,
        min_na_na_ang=min_na_na_ang,
        fixed_sites=fixed_sites,
        allowed_sites=allowed_sites,
        parent=parent,
        oxidation_states=oxidation_states,
    )
    problem = request.problem(choices[0])
    rows = site_permutations(problem)
    count = _count(request, choices[0], problem, rows)
    if count.distinct > max_arrangements:
        raise OrderingError(
            f"there are {count.distinct:,} distinct arrangements, more than max_arrangements={max_arrangements:,}; "
            "sample them with order_cell(objective='random' or 'boltzmann'), take the lowest with order_cell, or "
            "choose a smaller cell"
        )
    if not count.total:
        raise OrderingError(
            "no arrangement of this cell keeps the rules; take a smaller min_na_na_ang or free more sites"
        )
    listing = list_distinct(problem, rows)
    if len(listing.energies) != count.distinct or int(listing.degeneracies.sum()) != count.total:
        raise AssertionError(f"{len(listing.energies)} arrangements listed, {count.distinct} counted")
    units = float(request.model.formula_units * request.index)
    return Arrangements(
        count,
        listing.energies / units,
        listing.degeneracies,
        request,
        choices[0],
        problem,
        rows,
        listing,
    )

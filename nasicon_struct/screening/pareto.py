"""Pareto ranks: which candidates no other one beats in every chosen column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nasicon_struct.errors import ScreeningError
from nasicon_struct.screening import _ranks

#: With more than three columns the cost grows as the square of the number of rows.
MAX_ROWS_OF_MANY_COLUMNS: Final = 200_000
#: Decimals that count in the Pareto rank of a table: what differs by less is rounding of the arithmetic.
PARETO_DECIMALS: Final = 9


@dataclass(frozen=True)
class Objective:
    """A column and whether more or less of it is better.

    Attributes
    ----------
    column : str
    maximise : bool
    """

    column: str
    maximise: bool

    def __str__(self) -> str:
        return f"{self.column}:{'max' if self.maximise else 'min'}"


def read_objectives(given: Any) -> tuple[Objective, ...]:
    """Read objectives: ``["oxidation_v:max", "e_above_hull_ev_per_atom:min"]`` or a mapping of column to these.

    Raises
    ------
    ScreeningError
        If one is written otherwise, or a column comes twice.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        given = [f"{column}:{direction}" for column, direction in given.items()]
    if not isinstance(given, Iterable):
        raise ScreeningError(f"objectives are written as column:max or column:min, got {given!r}")
    found = []
    for item in given:
        if isinstance(item, Objective):
            found.append(item)
            continue
        column, _, direction = str(item).rpartition(":")
        if direction not in ("max", "min") or not column:
            raise ScreeningError(f"an objective is written as column:max or column:min, got {str(item)!r}")
        found.append(Objective(column, direction == "max"))
    if len({objective.column for objective in found}) < len(found):
        raise ScreeningError(f"each column is one objective, got {', '.join(map(str, found))}")
    return tuple(found)


def pareto_ranks(values: Any, *, maximise: Iterable[bool]) -> np.ndarray:
    """Return the Pareto rank of each row: 1 for those that no row beats, 2 once those are gone, and so on.

    A row beats another when it is at least as good in every column and better in one. Equal rows share a rank.

    Parameters
    ----------
    values : array-like, shape (M, K)
        Rows with NaN in a column have no rank.
    maximise : iterable of bool, length K, keyword-only
        Whether more is better.

    Returns
    -------
    ndarray of int, shape (M,)
        0 for rows without a rank.

    Notes
    -----
    Rows are taken in lexicographic order and put into the first front that does not beat them. With two or three
    columns a front keeps a staircase and the cost grows as M log^2 M; with more columns each row is compared with
    the members of fronts, which grows as the square of the size of the fronts.

    Examples
    --------
    >>> pareto_ranks([[1.0, 1.0], [2.0, 0.0], [0.5, 0.5]], maximise=[True, True]).tolist()
    [1, 1, 2]
    """
    table = np.asarray(values, dtype=float)
    better = list(maximise)
    if table.ndim != 2 or table.shape[1] != len(better) or not better:
        raise ScreeningError(
            f"Pareto ranks need one direction for each column, got {len(better)} for an array of shape "
            f"{table.shape}"
        )
    ranks = np.zeros(len(table), dtype=np.int64)
    known = np.flatnonzero(~np.isnan(table).any(axis=1))
    if not len(known):
        return ranks
    costs = np.where(np.array(better), -table[known], table[known]) + 0.0  # no negative zero
    order = np.lexsort(costs.T[::-1])  # so that a row beats only later ones
    ordered = costs[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    unique = ordered[new]
    if len(better) > 3 and len(unique) > MAX_ROWS_OF_MANY_COLUMNS:
        raise ScreeningError(
            f"Pareto ranks over more than three columns take at most {MAX_ROWS_OF_MANY_COLUMNS:,} different "
            f"rows, got {len(unique):,}; use three columns or fewer rows"
        )
    if len(better) <= 3:
        padded = np.zeros((len(unique), 3))
        padded[:, 3 - len(better) :] = unique
        found = _ranks.ranks_by_staircase(np.ascontiguousarray(padded[:, 1:]))
    else:
        found = _ranks.ranks_by_members(np.ascontiguousarray(unique))
    ranks[known[order]] = found[np.cumsum(new) - 1]
    return ranks

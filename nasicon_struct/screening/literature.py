"""Measured conductivities of the literature, by composition, and the one nearest to a candidate."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.composition import NasiconComposition, element_sites
from nasicon_struct.errors import CompositionError
from nasicon_struct.phase_model.features import DISTANCE_STEP
from nasicon_struct.screening.judge import Judgement

#: Kinds of measurement that count: the pellet as a whole, not the grain or the boundary alone.
KINDS: Final = ("total", "not stated")
#: Temperatures that count as room temperature, degree Celsius.
ROOM_TEMPERATURE_C: Final = (15.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class MeasuredConductivity(MSONable):
    """What the literature table measured on one composition without sintering aid, at room temperature.

    Attributes
    ----------
    formula : str
        Per O12.
    sigma_s_per_cm : float
        Median of the values, S/cm.
    sigma_low_s_per_cm, sigma_high_s_per_cm : float
        Smallest and largest value, S/cm.
    n_values : int
    sources : tuple of str
        Printable citations.
    """

    formula: str
    sigma_s_per_cm: float
    sigma_low_s_per_cm: float
    sigma_high_s_per_cm: float
    n_values: int
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))


@dataclass(frozen=True, kw_only=True)
class ConductivityNeighbour(MSONable):
    """The measured composition nearest to a candidate.

    Attributes
    ----------
    distance : float
        0 for the same composition; 1 for a difference of 0.2 Na, 0.2 Si or 0.2 of one M- or T-site element.
    measured : MeasuredConductivity
    """

    distance: float
    measured: MeasuredConductivity

    def __post_init__(self) -> None:
        if isinstance(self.measured, Mapping):
            object.__setattr__(self, "measured", MeasuredConductivity.from_dict(dict(self.measured)))


def is_room_temperature(row: Mapping[str, str]) -> bool:
    """Whether a row of the conductivity table was measured at room temperature."""
    if row["temperature_c"].strip():
        return ROOM_TEMPERATURE_C[0] <= float(row["temperature_c"]) <= ROOM_TEMPERATURE_C[1]
    printed = row["temperature_printed"].strip().lower()
    return printed == "rt" or printed.startswith("room temperature")


@functools.cache
def measured_conductivities() -> tuple[MeasuredConductivity, ...]:
    """Return the measured NASICON compositions of ``structures/tables/conductivity.csv``.

    Rows count that are NASICON, without sintering aid, at room temperature, of the pellet as a whole, with
    a value (no bound), and whose formula is neutral with full sites.
    """
    values: dict[str, list[tuple[float, str]]] = {}
    for row in reference.read_rows("conductivity"):
        counted = (
            row["family"] == "NASICON"
            and not row["additive"].strip()
            and row["relation"] == "="
            and row["kind"] in KINDS
            and is_room_temperature(row)
        )
        if not counted:
            continue
        try:
            formula = NasiconComposition.from_formula(row["formula"]).formula
        except CompositionError:
            continue
        citation = row["cited"].strip() or row["source"]
        values.setdefault(formula, []).append((float(row["sigma_s_per_cm"]), citation))
    return tuple(
        MeasuredConductivity(
            formula=formula,
            sigma_s_per_cm=statistics.median(value for value, _ in found),
            sigma_low_s_per_cm=min(value for value, _ in found),
            sigma_high_s_per_cm=max(value for value, _ in found),
            n_values=len(found),
            sources=tuple(dict.fromkeys(citation for _, citation in found)),
        )
        for formula, found in sorted(values.items())
    )


@functools.cache
def _points() -> tuple[tuple[str, ...], np.ndarray]:
    """Return coordinate names and the points of the measured compositions, shape (n, d)."""
    compositions = [NasiconComposition.from_formula(item.formula) for item in measured_conductivities()]
    names = tuple(
        sorted({s for c in compositions for s in c.amounts if s not in ("Zr", "P", "O")} | {"Na", "Si"})
    )
    return names, np.array([[float(c.amount(name)) for name in names] for c in compositions])


def _nearest(column: Mapping[str, np.ndarray], n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return index and distance of the nearest measured composition of each row.

    Parameters
    ----------
    column : mapping of str to ndarray, shape (n_rows,)
        Amounts per O12.
    """
    names, points = _points()
    counted = sorted(s for s in column if s not in ("Zr", "P", "O"))
    square = np.zeros((n_rows, len(points)))
    for symbol in sorted({*counted, *names}):
        ours = column.get(symbol)
        theirs = points[:, names.index(symbol)] if symbol in names else np.zeros(len(points))
        step = theirs[None, :] - (ours[:, None] if ours is not None else 0.0)
        square += step * step
    nearest = np.argmin(square, axis=1)
    return nearest, np.sqrt(square[np.arange(n_rows), nearest]) / DISTANCE_STEP


def nearest_rows(judgement: Judgement, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return index (into :func:`measured_conductivities`) and distance of the nearest, for some rows."""
    known = element_sites()
    column = {
        symbol: judgement.floats[rows, j]
        for j, symbol in enumerate(judgement.amounts.elements)
        if symbol in known and known[symbol].site in ("Na", "M", "T")
    }
    return _nearest(column, len(rows))


def nearest_conductivity(composition: Any) -> ConductivityNeighbour:
    """Return the measured composition nearest to a candidate.

    Parameters
    ----------
    composition : str, pymatgen Composition or Structure, ASE Atoms, NasiconComposition or mapping

    Raises
    ------
    CompositionError
        If it is no neutral NASICON.

    Examples
    --------
    >>> nearest_conductivity("Na3.4Zr1.7Sc0.2Zn0.1Si2PO12").distance
    0.0
    """
    found = NasiconComposition.from_any(
        composition if not isinstance(composition, str) else NasiconComposition.from_formula(composition)
    )
    column = {symbol: np.array([float(amount)]) for symbol, amount in found.amounts.items() if symbol != "O"}
    nearest, distance = _nearest(column, 1)
    return ConductivityNeighbour(
        distance=float(distance[0]), measured=measured_conductivities()[int(nearest[0])]
    )

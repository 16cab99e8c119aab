"""The literature table as the phase model reads it, and the nearest compositions in it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.errors import CompositionError
from nasicon_struct.phase_model.features import CompositionSpace, NominalComposition, nominal_composition


@dataclass(frozen=True, kw_only=True)
class LiteratureNeighbour(MSONable):
    """A composition of the literature table near the one asked for.

    Attributes
    ----------
    formula : str
        As printed.
    phase : str
        What the paper found: monoclinic, rhombohedral, mixed, borderline or other.
    temperature_k : float
    distance : float
        0 for the same composition; 1 for a difference of 0.2 Na, 0.2 Si or 0.2 of one M-site element.
    source : str
        Printable citation.
    """

    formula: str
    phase: str
    temperature_k: float
    distance: float
    source: str


@dataclass(frozen=True)
class LiteratureRow:
    """One row of ``literature_phases.csv`` whose formula can be read."""

    composition: NominalComposition
    phase: str
    label: str
    temperature_k: float
    confidence: str
    scored: bool
    source_key: str
    source: str
    formula: str


@functools.cache
def literature_rows() -> tuple[LiteratureRow, ...]:
    """Return the rows of the literature table that are NASICON formulas within the tolerances."""
    rows = []
    for row in reference.read_rows("literature_phases"):
        try:
            composition = nominal_composition(row["formula"])
        except CompositionError:
            continue
        rows.append(
            LiteratureRow(
                composition=composition,
                phase=row["phase"],
                label=row["label"],
                temperature_k=float(row["temperature_k"]),
                confidence=row["confidence"],
                scored=row["score"] == "yes",
                source_key=row["source_key"],
                source=row["source"],
                formula=row["formula"],
            )
        )
    return tuple(rows)


@functools.cache
def _space() -> CompositionSpace:
    return CompositionSpace([row.composition for row in literature_rows()])


def nearest_literature(composition: NominalComposition, *, n: int = 3) -> tuple[LiteratureNeighbour, ...]:
    """Return all rows on the ``n`` nearest compositions of the literature table, nearest first."""
    rows = literature_rows()
    distances = _space().distances(composition)
    ranked: list[tuple[float, int]] = []
    formulas: set[str] = set()
    for i in np.argsort(distances, kind="stable").tolist():
        if rows[i].composition.formula not in formulas and len(formulas) == n:
            break
        formulas.add(rows[i].composition.formula)
        ranked.append((float(distances[i]), i))
    return tuple(
        LiteratureNeighbour(
            formula=rows[i].formula,
            phase=rows[i].phase,
            temperature_k=rows[i].temperature_k,
            distance=distance,
            source=rows[i].source,
        )
        for distance, i in ranked
    )

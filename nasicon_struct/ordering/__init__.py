"""Ordering: whole atoms on the sites of an average cell, lowest in energy, counted and enumerated exactly."""

from __future__ import annotations

from nasicon_struct.ordering.arrangements import (
    Arrangements,
    count_arrangements,
    enumerate_arrangements,
)
from nasicon_struct.ordering.order import order_cell
from nasicon_struct.ordering.results import ArrangementCount, CandidateSupercell, OrderedCell
from nasicon_struct.ordering.supercells import candidate_supercells

__all__ = [
    "ArrangementCount",
    "Arrangements",
    "CandidateSupercell",
    "OrderedCell",
    "candidate_supercells",
    "count_arrangements",
    "enumerate_arrangements",
    "order_cell",
]

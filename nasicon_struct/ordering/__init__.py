"""Ordering: whole atoms on the sites of an average cell, lowest in energy, counted and enumerated exactly."""

from __future__ import annotations

from nasicon_struct.ordering.order import order_cell
from nasicon_struct.ordering.results import ArrangementCount, CandidateSupercell, OrderedCell
from nasicon_struct.ordering.supercells import candidate_supercells

__all__ = [
    "ArrangementCount",
    "CandidateSupercell",
    "OrderedCell",
    "candidate_supercells",
    "order_cell",
]

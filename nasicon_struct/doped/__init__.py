"""Energies of doped cells: order, relax, compare with the hull at the same level."""

from __future__ import annotations

from nasicon_struct.doped.mixing import mixing_entropy_ev_per_k_per_atom
from nasicon_struct.doped.result import DopedOrdering, DopedStability
from nasicon_struct.doped.series import (
    DopedSeries,
    MixingPoint,
    SeriesCell,
    SeriesPoint,
    doped_series,
    list_doped_series,
    load_doped_series,
    series_of,
)
from nasicon_struct.doped.stability import CALCULATORS, doped_stability

__all__ = [
    "CALCULATORS",
    "DopedOrdering",
    "DopedSeries",
    "DopedStability",
    "MixingPoint",
    "SeriesCell",
    "SeriesPoint",
    "doped_series",
    "doped_stability",
    "list_doped_series",
    "load_doped_series",
    "mixing_entropy_ev_per_k_per_atom",
    "series_of",
]

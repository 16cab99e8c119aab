"""Screening: every candidate of a list, a series or a design space gets one row."""

from nasicon_struct.screening.columns import CELL_COLUMNS, COLUMNS, Column
from nasicon_struct.screening.literature import (
    ConductivityNeighbour,
    MeasuredConductivity,
    measured_conductivities,
    nearest_conductivity,
)
from nasicon_struct.screening.pareto import pareto_ranks
from nasicon_struct.screening.run import CHUNK_ROWS, ScreenRun, read_screen, screen, write_screen
from nasicon_struct.screening.series import Series, series
from nasicon_struct.screening.settings import ScreenSettings
from nasicon_struct.screening.single import candidate_row
from nasicon_struct.screening.spaces import DesignSpace

__all__ = [
    "CELL_COLUMNS",
    "CHUNK_ROWS",
    "COLUMNS",
    "Column",
    "ConductivityNeighbour",
    "DesignSpace",
    "MeasuredConductivity",
    "ScreenRun",
    "ScreenSettings",
    "Series",
    "candidate_row",
    "measured_conductivities",
    "nearest_conductivity",
    "pareto_ranks",
    "read_screen",
    "screen",
    "series",
    "write_screen",
]

"""Screening: every candidate of a list, a series or a design space gets one row."""

from nasicon_struct.screening.literature import (
    ConductivityNeighbour,
    MeasuredConductivity,
    measured_conductivities,
    nearest_conductivity,
)
from nasicon_struct.screening.series import Series, series
from nasicon_struct.screening.spaces import DesignSpace

__all__ = [
    "ConductivityNeighbour",
    "DesignSpace",
    "MeasuredConductivity",
    "Series",
    "measured_conductivities",
    "nearest_conductivity",
    "series",
]

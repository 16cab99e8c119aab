"""From a composition to grams in the mortar: batch sheets, balanced in exact rational arithmetic.

Each non-volatile element is balanced exactly; carbon, nitrogen and hydrogen leave as CO2, NH3 (from
ammonium) or NO2 (from nitrate) and H2O, and the oxygen balance is closed with O2 from or to the air.
"""

from __future__ import annotations

from nasicon_struct.batch.aids import SinteringAid
from nasicon_struct.batch.precursors import Precursor, default_precursor, parse_precursor
from nasicon_struct.batch.sheet import BatchLine, BatchSheet, batch_masses

__all__ = [
    "BatchLine",
    "BatchSheet",
    "Precursor",
    "SinteringAid",
    "batch_masses",
    "default_precursor",
    "parse_precursor",
]

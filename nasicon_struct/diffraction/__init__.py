"""X-ray powder patterns of NASICON cells, with indices in the R-3c and the C2/c setting."""

from __future__ import annotations

from nasicon_struct.diffraction.calculate import calculate_reflections, powder_pattern
from nasicon_struct.diffraction.indices import (
    RULE_LINES,
    SplitLine,
    bragg_two_theta_deg,
    hexagonal_family,
    hexagonal_label,
    index_table,
    inverse_d_squared_hexagonal,
    inverse_d_squared_monoclinic,
    monoclinic_families,
    monoclinic_family,
    monoclinic_label,
    monoclinic_split_deg,
)
from nasicon_struct.diffraction.pattern import PowderPattern, Reflection, simulate_scan
from nasicon_struct.diffraction.profiles import caglioti_fwhm, pseudo_voigt
from nasicon_struct.diffraction.radiation import KALPHA2_RATIO, TUBE_LINES_ANG, Radiation, parse_radiation

__all__ = [
    "KALPHA2_RATIO",
    "RULE_LINES",
    "TUBE_LINES_ANG",
    "PowderPattern",
    "Radiation",
    "Reflection",
    "SplitLine",
    "bragg_two_theta_deg",
    "caglioti_fwhm",
    "calculate_reflections",
    "hexagonal_family",
    "hexagonal_label",
    "index_table",
    "inverse_d_squared_hexagonal",
    "inverse_d_squared_monoclinic",
    "monoclinic_families",
    "monoclinic_family",
    "monoclinic_label",
    "monoclinic_split_deg",
    "parse_radiation",
    "powder_pattern",
    "pseudo_voigt",
    "simulate_scan",
]

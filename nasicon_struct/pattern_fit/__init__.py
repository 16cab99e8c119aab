"""Monoclinic or rhombohedral, from the profile of a powder pattern."""

from __future__ import annotations

from nasicon_struct.pattern_fit.fit import fit_pattern
from nasicon_struct.pattern_fit.peak_rule import PeakRuleReading, peak_rule
from nasicon_struct.pattern_fit.result import FittedModel, PatternFit

__all__ = ["FittedModel", "PatternFit", "PeakRuleReading", "fit_pattern", "peak_rule"]

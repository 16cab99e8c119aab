"""Monoclinic (C2/c) or rhombohedral (R-3c): an assignment with a probability, from whatever is at hand."""

from __future__ import annotations

from nasicon_struct.phase.assign import assign_phase
from nasicon_struct.phase.result import DECISION_PROBABILITY, PhaseAssignment, PhaseVote
from nasicon_struct.phase.votes import metric_probability

__all__ = ["DECISION_PROBABILITY", "PhaseAssignment", "PhaseVote", "assign_phase", "metric_probability"]

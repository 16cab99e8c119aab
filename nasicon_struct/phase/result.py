"""Results of a phase assignment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from monty.json import MSONable

from nasicon_struct.metric import MonoclinicDistortion
from nasicon_struct.phase_model import LiteratureNeighbour

#: A phase is named when its probability reaches this; below, the answer is "undetermined".
DECISION_PROBABILITY: Final = 0.6
#: A phase named with less than this is called weakly determined in the evidence.
FIRM_PROBABILITY: Final = 0.7
#: No assignment claims more than this: labels of the same sample differ between laboratories.
MAX_PROBABILITY: Final = 0.995


@dataclass(frozen=True, kw_only=True)
class PhaseVote(MSONable):
    """One line of evidence and what it counts.

    Attributes
    ----------
    kind : str
        ``composition``, ``metric``, ``pattern`` or ``framework``.
    probability_monoclinic : float or None
        What this evidence alone would say (with even odds before it); None where it only informs.
    weight : float
        Factor on its log-odds in the sum; 0 where it is shown, not counted.
    sentence : str
        The evidence in words, with numbers.
    """

    kind: str
    probability_monoclinic: float | None
    weight: float
    sentence: str

    @property
    def log_odds(self) -> float:
        """Weighted log-odds that enter the sum."""
        if self.probability_monoclinic is None or self.weight == 0.0:
            return 0.0
        return self.weight * math.log(self.probability_monoclinic / (1.0 - self.probability_monoclinic))


@dataclass(frozen=True, kw_only=True)
class PhaseAssignment(MSONable):
    """Monoclinic or rhombohedral, with the evidence.

    Attributes
    ----------
    phase : str
        ``monoclinic``, ``rhombohedral``, ``mixed`` (both present in a measured pattern) or ``undetermined``.
    probability_monoclinic : float
        Probability that the sample, or the larger part of it, is monoclinic (C2/c); 0 to 1.
    temperature_k : float
        Temperature the assignment holds for, K.
    formula : str or None
        Composition per O12 that was used.
    evidence : tuple of str
        Sentences with numbers, the weightiest first.
    votes : tuple of PhaseVote
        The evidence by kind, with probability and weight.
    distortion : MonoclinicDistortion or None
        Distortion of the metric, from a cell or from a pattern.
    transition_temperature_k, transition_temperature_se_k : float or None
        From the composition, K.
    fraction_monoclinic, fraction_monoclinic_se : float or None
        Share of the monoclinic phase in a measured pattern, 0 to 1.
    nearest_literature : tuple of LiteratureNeighbour
        Nearest compositions of the literature table.
    extrapolation : tuple of str
        What lies outside the literature.
    contradictions : tuple of str
        Evidence that points in opposite directions, or a label that the metric contradicts.
    pattern_fit : PatternFit or None
        The profile fit behind a pattern's vote; left out of comparisons.
    """

    phase: str
    probability_monoclinic: float
    temperature_k: float
    formula: str | None = None
    evidence: tuple[str, ...] = ()
    votes: tuple[PhaseVote, ...] = ()
    distortion: MonoclinicDistortion | None = None
    transition_temperature_k: float | None = None
    transition_temperature_se_k: float | None = None
    fraction_monoclinic: float | None = None
    fraction_monoclinic_se: float | None = None
    nearest_literature: tuple[LiteratureNeighbour, ...] = ()
    extrapolation: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    pattern_fit: Any = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name, kind in (("votes", PhaseVote), ("nearest_literature", LiteratureNeighbour)):
            items = getattr(self, name)
            object.__setattr__(
                self,
                name,
                tuple(kind.from_dict(dict(item)) if isinstance(item, Mapping) else item for item in items),
            )
        if isinstance(self.distortion, Mapping):
            object.__setattr__(self, "distortion", MonoclinicDistortion.from_dict(dict(self.distortion)))
        for name in ("evidence", "extrapolation", "contradictions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def probability_rhombohedral(self) -> float:
        """One minus the probability of monoclinic."""
        return 1.0 - self.probability_monoclinic

    def __str__(self) -> str:
        return (
            f"{self.phase} (P(monoclinic) = {self.probability_monoclinic:.2f} at {self.temperature_k:.0f} K)"
        )


def combine(votes: Iterable[PhaseVote]) -> float:
    """Return P(monoclinic): the sum of the weighted log-odds, within what any assignment may claim."""
    total = sum(vote.log_odds for vote in votes)
    probability = 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, total))))
    return min(MAX_PROBABILITY, max(1.0 - MAX_PROBABILITY, probability))


def phase_of(probability_monoclinic: float) -> str:
    """Return the phase that a probability names."""
    if probability_monoclinic >= DECISION_PROBABILITY:
        return "monoclinic"
    if probability_monoclinic <= 1.0 - DECISION_PROBABILITY:
        return "rhombohedral"
    return "undetermined"

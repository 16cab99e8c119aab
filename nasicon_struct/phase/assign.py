"""Weigh composition, metric and pattern into one assignment."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from nasicon_struct.errors import CompositionError
from nasicon_struct.metric import MonoclinicDistortion, monoclinic_distortion
from nasicon_struct.phase.inputs import CellInput, Inputs, cell_input, is_pattern, sort_input
from nasicon_struct.phase.result import (
    DECISION_PROBABILITY,
    FIRM_PROBABILITY,
    MAX_PROBABILITY,
    PhaseAssignment,
    PhaseVote,
    combine,
    phase_of,
)
from nasicon_struct.phase.votes import (
    COMPOSITION_WEIGHT_BESIDE_DATA,
    composition_vote,
    framework_vote,
    is_imposed,
    metric_vote,
)
from nasicon_struct.phase_model import CompositionPhase, composition_phase, nominal_composition
from nasicon_struct.units import ROOM_TEMPERATURE_K

if TYPE_CHECKING:
    from nasicon_struct.phase.pattern_vote import PatternEvidence


#: Temperatures this close count as the same, K.
TEMPERATURE_TOLERANCE_K: Final = 20.0


def assign_phase(
    obj: Any,
    *,
    temperature_k: float = ROOM_TEMPERATURE_K,
    composition: Any = None,
    structure: Any = None,
    pattern: Any = None,
) -> PhaseAssignment:
    """Assign monoclinic (C2/c) or rhombohedral (R-3c), with a probability and the evidence for it.

    Each kind of evidence gives a probability of its own; their log-odds are added. The composition counts
    fully when it is alone and half beside a cell or a pattern of the sample itself. The metric of a cell that
    this package built is its parent's and is not counted.

    Parameters
    ----------
    obj
        NasiconComposition, formula, pymatgen Composition or Structure, ASE Atoms, PowderPattern, a built or
        ordered cell, or the path of a CIF or of a powder pattern.
    temperature_k : float
        Temperature that the assignment is wanted for, K; a measured cell or pattern counts as measured there.
    composition, structure, pattern
        Further evidence on the same sample, in any of the forms above. A composition given here replaces the
        one that a structure holds.

    Returns
    -------
    PhaseAssignment

    Raises
    ------
    CompositionError, CellError, PatternError
        If something given cannot be read, or is no NASICON.

    Examples
    --------
    >>> assign_phase("Na3Zr2Si2PO12").phase
    'monoclinic'
    >>> assign_phase("Na3Zr2Si2PO12", temperature_k=600).phase
    'rhombohedral'
    """
    if not (isinstance(temperature_k, int | float) and math.isfinite(temperature_k) and temperature_k > 0):
        raise CompositionError(f"the temperature must be positive and in kelvin, got {temperature_k!r}")
    inputs = _merge(sort_input(obj), composition, structure, pattern)
    votes: list[PhaseVote] = []
    notes: list[str] = []
    contradictions: list[str] = []
    distortion: MonoclinicDistortion | None = None

    if inputs.cell is not None:
        distortion, cell_votes, cell_notes = _cell_evidence(inputs.cell, temperature_k)
        votes += cell_votes
        notes += cell_notes
        contradictions += _label_against_metric(inputs.cell, distortion)

    pattern_result = None
    if inputs.pattern is not None:
        from nasicon_struct.phase.pattern_vote import pattern_evidence

        pattern_result = pattern_evidence(inputs.pattern)
        votes.append(pattern_result.vote)
        notes += pattern_result.notes
        distortion = distortion or pattern_result.distortion

    from_composition = _composition_evidence(inputs, temperature_k, notes)
    measured = any(vote.weight > 0 for vote in votes)
    if from_composition is not None:
        weight = COMPOSITION_WEIGHT_BESIDE_DATA if measured else 1.0
        votes.append(composition_vote(from_composition, weight=weight))
    if not votes:
        raise CompositionError(
            "nothing here says anything about the phase: give a composition, a cell or a pattern"
        )

    votes.sort(key=lambda vote: -abs(vote.log_odds))
    both = pattern_result is not None and pattern_result.fit.phase == "mixed"
    contradictions += _opposed([v for v in votes if not (both and v.kind == "pattern")])
    probability, phase = _decide(votes, pattern_result)
    evidence = [vote.sentence for vote in votes]
    evidence += contradictions + notes
    if from_composition is not None:
        evidence += list(from_composition.extrapolation)
        evidence.append(_neighbours(from_composition))
    firmness = max(probability, 1.0 - probability)
    if phase in ("monoclinic", "rhombohedral") and firmness < FIRM_PROBABILITY:
        evidence.append(f"weakly determined: {phase} has a probability of {firmness:.2f} only")
    if phase == "undetermined":
        evidence.append(
            f"undetermined: no answer reaches {DECISION_PROBABILITY:.2f} (P(monoclinic) = {probability:.2f})"
        )
    return PhaseAssignment(
        phase=phase,
        probability_monoclinic=probability,
        temperature_k=float(temperature_k),
        formula=from_composition.formula if from_composition else None,
        evidence=tuple(evidence),
        votes=tuple(votes),
        distortion=distortion,
        transition_temperature_k=from_composition.transition_temperature_k if from_composition else None,
        transition_temperature_se_k=from_composition.transition_temperature_se_k
        if from_composition
        else None,
        fraction_monoclinic=pattern_result.fit.fraction_monoclinic if pattern_result else None,
        fraction_monoclinic_se=pattern_result.fit.fraction_monoclinic_se if pattern_result else None,
        nearest_literature=from_composition.nearest_literature if from_composition else (),
        extrapolation=from_composition.extrapolation if from_composition else (),
        contradictions=tuple(contradictions),
        pattern_fit=pattern_result.fit if pattern_result else None,
    )


def _decide(votes: list[PhaseVote], pattern: PatternEvidence | None) -> tuple[float, str]:
    """Return P(monoclinic) and the phase named.

    Without a pattern there are two answers, and the log-odds add. A pattern knows a third one, both phases
    together; composition and metric shift the odds of the two single phases around it.
    """
    if pattern is None or pattern.fit.refusal:
        probability = combine(votes)
        return probability, phase_of(probability)
    other = sum(vote.log_odds for vote in votes if vote.kind != "pattern")
    weights = {
        "monoclinic": pattern.probabilities["monoclinic"] * math.exp(0.5 * other),
        "rhombohedral": pattern.probabilities["rhombohedral"] * math.exp(-0.5 * other),
        "mixed": pattern.probabilities["mixed"],
    }
    total = sum(weights.values())
    share = {key: weight / total for key, weight in weights.items()}
    probability = share["monoclinic"] + share["mixed"] * pattern.fraction_if_mixed
    probability = min(MAX_PROBABILITY, max(1.0 - MAX_PROBABILITY, probability))
    if other == 0.0:
        return probability, pattern.fit.phase
    likeliest = max(share, key=lambda key: share[key])
    return probability, likeliest if share[likeliest] >= DECISION_PROBABILITY else "undetermined"


def _merge(inputs: Inputs, composition: Any, structure: Any, pattern: Any) -> Inputs:
    """Add the further evidence to what the first argument was."""
    if composition is not None:
        if inputs.composition is not None:
            raise CompositionError("two compositions were given; give one, and the cell or pattern beside it")
        inputs.composition = composition
    if structure is not None:
        if inputs.cell is not None:
            raise CompositionError("two cells were given; assign them one by one")
        inputs.cell = cell_input(structure)
    if pattern is not None:
        if inputs.pattern is not None:
            raise CompositionError("two patterns were given; assign them one by one")
        inputs.pattern = pattern if is_pattern(pattern) else sort_input(pattern).pattern
        if inputs.pattern is None:
            raise CompositionError("the pattern given is neither a PowderPattern nor the path of one")
    return inputs


def _cell_evidence(
    cell: CellInput, temperature_k: float
) -> tuple[MonoclinicDistortion, list[PhaseVote], list[str]]:
    """Return distortion, votes and notes of a cell."""
    source = cell.structure if cell.structure is not None else cell.lattice
    distortion = monoclinic_distortion(source, esds=cell.esds)
    vote = metric_vote(distortion)
    notes = []
    if cell.built_from:
        vote = PhaseVote(
            kind="metric",
            probability_monoclinic=None,
            weight=0.0,
            sentence=(
                f"the cell was built from {cell.built_from} and carries its metric "
                f"(delta1 = {distortion.delta1:+.4f}, delta2 = {distortion.delta2:+.4f}): that says how the "
                "parent was "
                "refined, nothing about this composition, and is not counted"
            ),
        )
    elif cell.temperature_k is not None:
        notes.append(f"{cell.name} was measured at {cell.temperature_k:g} K")
        if not _holds_at(vote, cell.temperature_k, temperature_k):
            vote = replace(
                vote,
                weight=0.0,
                sentence=(
                    f"{vote.sentence}; not counted: measured at {cell.temperature_k:g} K, it does not say "
                    f"what the sample is at {temperature_k:g} K (ask for {cell.temperature_k:g} K)"
                ),
            )
    votes = [vote]
    if cell.structure is not None:
        framework = framework_vote(cell.structure)
        if framework is not None:
            votes.append(framework)
    return distortion, votes, notes


def _holds_at(vote: PhaseVote, measured_k: float, asked_k: float) -> bool:
    """Whether a metric measured at one temperature says something about another.

    The monoclinic phase is the cold one: monoclinic when hot means monoclinic when cold, and the reverse for
    rhombohedral.
    """
    if abs(measured_k - asked_k) <= TEMPERATURE_TOLERANCE_K:
        return True
    monoclinic = (vote.probability_monoclinic or 0.5) > 0.5
    return asked_k < measured_k if monoclinic else asked_k > measured_k


def _label_against_metric(cell: CellInput, distortion: MonoclinicDistortion) -> list[str]:
    """Say where the space group of the file and the metric disagree."""
    if not cell.label or cell.built_from:
        return []
    import gemmi

    group = gemmi.find_spacegroup_by_name(cell.label)
    if group is None:
        return [f"the space group {cell.label!r} of {cell.name} is not known"]
    probability = metric_vote(distortion).probability_monoclinic or 0.5
    monoclinic = group.crystal_system_str() == "monoclinic"
    rhombohedral = group.crystal_system_str() == "trigonal"
    if monoclinic and probability < 0.5:
        sign = " and the sign of the distortion is wrong for C2/c" if distortion.delta2 > 0.002 else ""
        return [
            f"labelled {cell.label}, but rhombohedral by its metric (delta2 = "
            f"{distortion.delta2:+.4f}{sign}); the nearest "
            f"hexagonal cell is a_h {distortion.nearest_a_h_ang:.3f}, c_h {distortion.nearest_c_h_ang:.3f} A"
        ]
    if rhombohedral and probability > 0.5 and not is_imposed(distortion):
        return [f"labelled {cell.label}, but monoclinic by its metric (delta2 = {distortion.delta2:+.4f})"]
    return []


def _composition_evidence(inputs: Inputs, temperature_k: float, notes: list[str]) -> CompositionPhase | None:
    """Return what the composition says; None (with a note) where a cell holds no NASICON composition."""
    if inputs.composition is not None:
        nominal = nominal_composition(inputs.composition)
    elif inputs.cell is not None and inputs.cell.structure is not None:
        try:
            nominal = nominal_composition(inputs.cell.structure.composition)
        except CompositionError as error:
            notes.append(f"the composition of the cell is not used: {error}")
            return None
    else:
        return None
    for problem in nominal.problems:
        notes.append(f"composition as given: {problem}")
    return composition_phase(nominal, temperature_k=temperature_k)


def _opposed(votes: list[PhaseVote]) -> list[str]:
    """Say where two votes point clearly in opposite directions."""
    counted = [v for v in votes if v.weight > 0 and v.probability_monoclinic is not None]
    said = []
    for i, one in enumerate(counted):
        for other in counted[i + 1 :]:
            p, q = one.probability_monoclinic or 0.5, other.probability_monoclinic or 0.5
            if (p - 0.5) * (q - 0.5) < 0 and min(abs(p - 0.5), abs(q - 0.5)) >= 0.2:
                said.append(
                    f"{one.kind} and {other.kind} contradict each other: P(monoclinic) {p:.2f} against "
                    f"{q:.2f}"
                )
    return said


def _neighbours(result: CompositionPhase) -> str:
    """One sentence on the nearest literature compositions, the papers on one composition together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for n in result.nearest_literature:
        warm = abs(n.temperature_k - ROOM_TEMPERATURE_K) > 5
        found = n.phase + (f" at {n.temperature_k:.0f} K" if warm else "")
        groups.setdefault((n.formula, found), []).append(n.source)
    parts = [f"{formula} {found} ({'; '.join(sources)})" for (formula, found), sources in groups.items()]
    return "nearest in the literature: " + ", ".join(parts)

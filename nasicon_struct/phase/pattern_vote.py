"""Evidence from a powder pattern, as a vote."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from nasicon_struct.diffraction import PowderPattern
from nasicon_struct.metric import (
    MonoclinicDistortion,
    conventional_distortion,
    monoclinic_cell_from_distortion,
)
from nasicon_struct.pattern_fit import PatternFit, fit_pattern
from nasicon_struct.phase.result import PhaseVote

#: A pattern never claims more than this for or against one answer.
MIN_PATTERN_PROBABILITY: Final = 0.005


@dataclass(frozen=True)
class PatternEvidence:
    """What a profile fit adds to an assignment.

    Attributes
    ----------
    fit : PatternFit
    vote : PhaseVote
    probabilities : dict of str to float
        Of monoclinic, rhombohedral and mixed; equal where the fit was refused.
    fraction_if_mixed : float
        Monoclinic share of the mixture model.
    distortion : MonoclinicDistortion or None
    notes : tuple of str
    """

    fit: PatternFit
    vote: PhaseVote
    probabilities: dict[str, float]
    fraction_if_mixed: float
    distortion: MonoclinicDistortion | None
    notes: tuple[str, ...]


def pattern_evidence(pattern: PowderPattern) -> PatternEvidence:
    """Fit a pattern and say what it means for the phase."""
    fit = fit_pattern(pattern)
    notes = [f"pattern: {warning}" for warning in fit.warnings]
    if pattern.reflections:
        notes.append(
            "the pattern was calculated from a structure: it says what that structure is, nothing about a "
            "sample"
        )
    if fit.refusal:
        vote = PhaseVote(
            kind="pattern",
            probability_monoclinic=None,
            weight=0.0,
            sentence=f"the pattern cannot tell: {fit.refusal}",
        )
        third = dict.fromkeys(("monoclinic", "rhombohedral", "mixed"), 1.0 / 3.0)
        return PatternEvidence(fit, vote, third, 0.5, None, tuple(notes))
    probabilities = {key: max(MIN_PATTERN_PROBABILITY, p) for key, p in fit.probabilities.items()}
    total = sum(probabilities.values())
    probabilities = {key: p / total for key, p in probabilities.items()}
    single = probabilities["monoclinic"] + probabilities["rhombohedral"]
    vote = PhaseVote(
        kind="pattern",
        probability_monoclinic=probabilities["monoclinic"] / single,
        weight=1.0,
        sentence=_sentence(fit),
    )
    mixture = fit.models.get("mixed")
    share = mixture.values.get("fraction_monoclinic", (0.5, 0.5))[0] if mixture is not None else 0.5
    if fit.phase == "mixed" and fit.fraction_monoclinic is not None:
        share = fit.fraction_monoclinic
    return PatternEvidence(fit, vote, probabilities, share, _distortion(fit), (*fit.evidence[1:], *notes))


def _sentence(fit: PatternFit) -> str:
    p = fit.probabilities
    return (
        f"pattern: {fit.phase}, with P = {p['monoclinic']:.2f} monoclinic, {p['rhombohedral']:.2f} "
        "rhombohedral, "
        f"{p['mixed']:.2f} both"
        + ("; its vote is what it would say were one phase alone there" if fit.phase == "mixed" else "")
    )


def _distortion(fit: PatternFit) -> MonoclinicDistortion | None:
    """Return the fitted distortion with its standard errors."""
    if None in (fit.a_h_ang, fit.c_h_ang, fit.delta1, fit.delta2):
        return None
    assert fit.a_h_ang is not None
    assert fit.c_h_ang is not None
    cell = monoclinic_cell_from_distortion(fit.a_h_ang, fit.c_h_ang, fit.delta1 or 0.0, fit.delta2 or 0.0)
    return replace(conventional_distortion(*cell), delta1_se=fit.delta1_se, delta2_se=fit.delta2_se)


def fit_numbers(fit: PatternFit) -> dict[str, Any]:
    """Return the parameters of a fit by name, with units in the names."""
    names = (
        "delta1", "delta1_se", "delta2", "delta2_se", "a_h_ang", "a_h_se_ang", "c_h_ang", "c_h_se_ang",
        "zero_shift_deg", "zero_shift_se_deg", "fwhm_deg", "chi2_reduced", "wavelength_ang", "refusal",
    )  # fmt: skip
    return {name: getattr(fit, name) for name in names} | {"probabilities": dict(fit.probabilities)}

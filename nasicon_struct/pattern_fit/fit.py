"""Monoclinic or rhombohedral, from a powder pattern: fit, compare, decide, or refuse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.diffraction import KALPHA2_RATIO, PowderPattern, Radiation, parse_radiation
from nasicon_struct.metric import conventional_distortion, monoclinic_cell_from_distortion
from nasicon_struct.pattern_fit import prepare
from nasicon_struct.pattern_fit.compare import (
    DOUBLET_PRIOR,
    MODEL_PRIOR,
    Mode,
    Quick,
    all_modes,
    prior_correction,
    quick_fits,
    rescaled,
    reweighted,
)
from nasicon_struct.pattern_fit.impurities import check_phases
from nasicon_struct.pattern_fit.models import HEX_LINES, MONO_LINES
from nasicon_struct.pattern_fit.result import FittedModel, PatternFit
from nasicon_struct.pattern_fit.solver import Problem, curve

FloatArray = NDArray[Any]

#: A phase is monoclinic by metric only with delta2 below this (published C2/c cells: -0.0196 to -0.011).
DELTA2_LIMIT: Final = -0.004
#: A second phase below this share of the intensity does not make a mixture.
LEAST_FRACTION: Final = 0.12
#: Less probable answers are called undetermined.
CONFIDENT: Final = 0.70
#: Weakest of the three lines must stand out by this many standard deviations.
LEAST_SIGNIFICANCE: Final = 4.0
#: The step must not exceed this part of the line width.
COARSEST_STEP: Final = 0.6
#: Broader lines (degrees, at Cu K-alpha) hide any split.
BROADEST_DEG: Final = 0.45
#: Worst agreement accepted: sum of absolute residuals beyond the noise over that of the signal.
WORST_RESIDUAL: Final = 0.30
#: Beams (with and without K-alpha2) this much worse in log evidence after quick fits are dropped, provided
#: that the better one is well fitted (reduced chi2).
BEAM_MARGIN: Final = 30.0
WELL_FITTED: Final = 1.6
#: Hexagonal cells of NASICONs, angstrom, with margin.
PLAUSIBLE_A: Final = (8.0, 9.4)
PLAUSIBLE_C: Final = (20.8, 23.5)
#: Least intensity of each of the three lines, relative to the strongest of them (0.39 to 0.72 in known
#: structures).
FAINTEST: Final = 0.08
#: Lines where a NASICON has none: mentioned, and refused, beyond these strengths relative to the lines fitted.
FOREIGN: Final = (0.3, 1.5)
#: Standard errors are multiplied by this; see the calibration in docs/powder-patterns.md.
ERROR_SCALE: Final = 1.0
#: Least standard error of delta1 and delta2, added in quadrature: what line shapes that no model knows are worth.
LEAST_ERROR: Final = 1.0e-4
#: Standard deviation of delta1 and delta2 in a sample that R-3c describes: cells of R-3c samples indexed as C2/c
#: have delta1 from -0.0001 to +0.0015 and delta2 from -0.0016 to -0.0006.
RHOMBOHEDRAL_SCATTER: Final = 0.0005
#: Differences of log evidence are multiplied by this before they become probabilities.
EVIDENCE_SCALE: Final = 0.8


def fit_pattern(
    pattern: PowderPattern,
    *,
    wavelength: str | float | None = None,
    kalpha2: bool | float | str = "auto",
    impurities: str | Sequence[str] = ("m-ZrO2", "Na3PO4"),
) -> PatternFit:
    """Decide from a powder pattern whether a NASICON is monoclinic, rhombohedral, or both.

    Three models are fitted to the windows around the R-3c lines 104 + 110 and 024 (18.8-20.05 and 27.0-28.15
    degrees for Cu K-alpha and Na3Zr2Si2PO12; moved with the cell and the wavelength): R-3c with 3 lines, C2/c
    with 6 lines tied to a_h, c_h, delta1, delta2 by the metric, and both phases together. They share
    background, line shape (asymmetric pseudo-Voigt, K-alpha1 + K-alpha2), zero shift, non-negative
    intensities and impurity lines, and are compared by their marginal likelihood. The docs say what each
    prior rests on.

    Parameters
    ----------
    pattern : PowderPattern
        Measured or simulated.
    wavelength : str or float, optional
        As in :func:`powder_pattern`; that of the pattern when absent, else Cu K-alpha.
    kalpha2 : {"auto", True, False} or float
        Whether the beam holds K-alpha2, or its ratio to K-alpha1. ``"auto"`` follows the pattern or the name
        of the wavelength; where neither says, both cases are fitted and weighed.
    impurities : sequence of {"m-ZrO2", "Na3PO4"}
        Phases whose lines may lie in the windows; an empty sequence switches them off.

    Returns
    -------
    PatternFit
        ``undetermined`` with a ``refusal`` where the scan cannot tell.

    Raises
    ------
    PatternError
        If an option is not understood.
    """
    phases = check_phases(impurities)
    beams, notes = _radiations(pattern, wavelength, kalpha2)
    noise = prepare.measure_noise(pattern)
    if noise.note:
        notes.append(noise.note)
    base: dict[str, Any] = {
        "source": pattern.source,
        "wavelength_ang": beams[0].wavelength_ang,
        "warnings": (*pattern.warnings, *notes),
    }
    found = prepare.find_cells(pattern, beams[0], noise)
    refusal = prepare.range_problem(pattern, beams[0], found)
    if refusal:
        return _refuse(refusal, base)
    if found[0].significance < LEAST_SIGNIFICANCE:
        return _refuse(
            "the three lines 104, 110 and 024 do not stand out (the weakest by "
            f"{found[0].significance:.1f} standard deviations); count longer, or check that the sample is a "
            "NASICON and the wavelength right",
            base,
        )
    chosen = _choose(pattern, beams, noise, found, phases)
    if chosen is None:
        return _refuse("no fit converged in the two windows; check that the sample is a NASICON", base)
    modes = _fit_everything(chosen, noise)
    best = max(modes, key=lambda mode: mode.log_weight)
    refusal = _misfit(best) or _not_nasicon(
        best, prepare.missing_lines(pattern, beams[0], noise, *_cell(best))
    )
    if refusal:
        return _refuse(refusal, base)
    angle, strength = prepare.foreign_lines(pattern, beams[0], noise, *_cell(best))
    if strength > FOREIGN[1]:
        return _refuse(
            f"the strongest lines, such as that near {angle:.2f} deg, lie where no NASICON has any; "
            "check sample and wavelength",
            base,
        )
    if strength > FOREIGN[0]:
        sentence = f"a strong line near {angle:.2f} deg belongs to no NASICON; check purity and wavelength"
        base["warnings"] = (*base["warnings"], sentence)
    return _decide(modes, base)


# ------------------------------------------------------------------------------------------ preparation


def _radiations(
    pattern: PowderPattern, wavelength: str | float | None, kalpha2: bool | float | str
) -> tuple[list[Radiation], list[str]]:
    """Beams to try, the first one always, and notes for the reader."""
    notes = []
    given = wavelength if wavelength is not None else pattern.wavelength_ang
    if given is None:
        notes.append("the pattern does not name its wavelength; Cu K-alpha was assumed")
        given = "CuKa"
        radiation = replace(parse_radiation(given, kalpha2=kalpha2), ambiguous=kalpha2 == "auto")
    else:
        radiation = parse_radiation(given, kalpha2=kalpha2)
    known = pattern.kalpha2_ratio if kalpha2 == "auto" and wavelength is None else None
    if known is not None and (known == 0.0 or radiation.kalpha2_ang is not None):
        radiation = radiation.with_ratio(known)
    if not radiation.ambiguous:
        return [radiation], notes
    return [radiation.with_ratio(KALPHA2_RATIO), radiation.with_ratio(0.0)], notes


def _choose(
    pattern: PowderPattern,
    beams: list[Radiation],
    noise: prepare.Noise,
    found: list[prepare.Found],
    phases: tuple[str, ...],
) -> list[tuple[Problem, Quick, float, float]] | None:
    """Pick cell and beam by quick fits; return (problem, quick fits, log prior, grouping) of those left."""
    candidates = []
    for cell in found:
        if cell.score < found[0].score - 5.0 or cell.significance < LEAST_SIGNIFICANCE:
            continue
        bounds = prepare.windows(cell, pattern, beams[0])
        if bounds is None:
            continue
        for beam in beams:
            problem, grouping = prepare.build_problem(pattern, beam, noise, bounds, phases)
            quick = quick_fits(problem, cell.a_h_ang, cell.c_h_ang, prepare.guess_width(problem))
            log_prior = cell.score - found[0].score
            if len(beams) > 1:
                log_prior += math.log(DOUBLET_PRIOR if beam.kalpha2_ratio else 1.0 - DOUBLET_PRIOR)
            merit = quick.better.log_evidence + log_prior
            candidates.append((merit, bounds, problem, quick, log_prior, grouping))
    if not candidates:
        return None
    best = max(candidates, key=lambda c: c[0])
    quality = best[3].better
    explained = quality.chi2 < WELL_FITTED * max(quality.n_points - quality.n_parameters, 1)
    kept = [c for c in candidates if c[1] == best[1] and (c[0] > best[0] - BEAM_MARGIN or not explained)]
    return [(c[2], c[3], c[4], c[5]) for c in kept]


def _fit_everything(chosen: list[tuple[Problem, Quick, float, float]], noise: prepare.Noise) -> list[Mode]:
    modes: list[Mode] = []
    for problem, quick, log_prior, grouping in chosen:
        weighted = reweighted(problem, quick.better, noise, grouping)
        modes += all_modes(weighted, quick, log_prior)
    best = min(modes, key=lambda mode: mode.solution.chi2)
    free = max(best.solution.n_points - best.solution.n_parameters, 1)
    excess = best.solution.chi2 / free
    if excess > 1.1:
        top = max(mode.log_weight for mode in modes)
        leaders = {mode.solution.model.key: mode for mode in sorted(modes, key=lambda mode: mode.log_weight)}
        near = [mode for mode in modes if mode.log_weight > top - 60.0 * excess]
        near += [mode for mode in leaders.values() if mode not in near]
        modes = rescaled(near, math.sqrt(excess))
    return modes


# ------------------------------------------------------------------------------------------ decision


def _decide(modes: list[Mode], base: dict[str, Any]) -> PatternFit:
    top = max(mode.log_weight for mode in modes)
    weights = np.array([math.exp(EVIDENCE_SCALE * (mode.log_weight - top)) for mode in modes])
    weights /= weights.sum()
    keys = np.array([mode.solution.model.key for mode in modes])
    best = {
        key: max((m for m in modes if m.solution.model.key == key), key=lambda m: m.log_weight)
        for key in set(keys)
    }
    overall = modes[int(np.argmax(weights))]
    by_model = {key: float(weights[keys == key].sum()) for key in ("rhombohedral", "monoclinic", "mixed")}
    probabilities = {"monoclinic": 0.0, "rhombohedral": 0.0, "mixed": 0.0}
    for mode, weight in zip(modes, weights.tolist(), strict=True):
        key = mode.solution.model.key
        sheared = 1.0 if key == "rhombohedral" else _below(mode, "delta2", DELTA2_LIMIT)
        probabilities["rhombohedral"] += weight * (1.0 - sheared)
        if key != "mixed":
            probabilities[key] += weight * sheared
            continue
        odds = math.log(LEAST_FRACTION / (1.0 - LEAST_FRACTION))
        few, most = _below(mode, "logit_fraction", odds), 1.0 - _below(mode, "logit_fraction", -odds)
        probabilities["rhombohedral"] += weight * sheared * few
        probabilities["monoclinic"] += weight * sheared * most
        probabilities["mixed"] += weight * sheared * (1.0 - few - most)
    phase = max(probabilities, key=lambda k: probabilities[k])
    if probabilities[phase] < CONFIDENT:
        phase = "undetermined"
    describe = "mixed" if phase == "mixed" else "monoclinic"
    chosen = [
        (m, w) for m, w in zip(modes, weights.tolist(), strict=True) if m.solution.model.key == describe
    ]
    if phase in ("rhombohedral", "undetermined"):  # what the data say, whatever C2/c cells usually look like
        chosen = [
            (m, m.log_weight - prior_correction(m.solution) - math.log(MODEL_PRIOR[m.solution.model.key]))
            for m in modes
            if m.solution.model.key != "mixed"
        ]
        highest = max(w for _, w in chosen)
        chosen = [(m, math.exp(w - highest)) for m, w in chosen]
    delta1, delta1_se = _average(chosen, "delta1")
    delta2, delta2_se = _average(chosen, "delta2")
    cell_mode = (
        best["mixed"]
        if phase == "mixed"
        else best["rhombohedral" if phase == "rhombohedral" else "monoclinic"]
    )
    mixture = best["mixed"].solution
    fraction, fraction_se = {"monoclinic": (1.0, 0.0), "rhombohedral": (0.0, 0.0)}.get(
        phase, _fraction(mixture)
    )
    if phase == "undetermined":
        fraction = probabilities["monoclinic"] + probabilities["mixed"] * fraction
        fraction_se = 0.5
    share = _fraction(mixture)[0]
    cell = _cell(cell_mode)
    solution = cell_mode.solution
    fitted = {key: _fitted(mode, by_model[key]) for key, mode in best.items()}
    free = max(overall.solution.n_points - overall.solution.n_parameters, 1)
    raw = overall.problem
    result = PatternFit(
        phase=phase,
        probability_monoclinic=probabilities["monoclinic"] + probabilities["mixed"] * share,
        probabilities=probabilities,
        fraction_monoclinic=fraction,
        fraction_monoclinic_se=fraction_se,
        delta1=delta1,
        delta1_se=delta1_se,
        delta2=delta2,
        delta2_se=delta2_se,
        a_h_ang=cell[0],
        a_h_se_ang=cell[0] * solution.error("ln_a") * ERROR_SCALE,
        c_h_ang=cell[1],
        c_h_se_ang=cell[1] * solution.error("ln_c") * ERROR_SCALE,
        zero_shift_deg=solution.value("zero"),
        zero_shift_se_deg=solution.error("zero") * ERROR_SCALE,
        fwhm_deg=math.exp(overall.solution.value("ln_width")),
        chi2_reduced=overall.solution.chi2 / free,
        models=fitted,
        two_theta_deg=raw.x,
        intensity=raw.y,
        sigma=raw.sigma,
        kalpha2_ratio=raw.radiation.kalpha2_ratio,
        **base,
    )
    from nasicon_struct.pattern_fit.evidence import sentences

    return replace(result, evidence=tuple(sentences(result, by_model)))


def _below(mode: Mode, name: str, limit: float) -> float:
    """Probability that a parameter of an optimum lies below ``limit``."""
    spread = max(mode.solution.error(name) * ERROR_SCALE, 1e-6)
    return 0.5 * math.erfc((mode.solution.value(name) - limit) / (spread * math.sqrt(2.0)))


def _average(chosen: list[tuple[Mode, float]], name: str) -> tuple[float, float]:
    """Mean and standard error over optima, each with its own spread."""
    total = sum(w for _, w in chosen) or 1.0
    weights = [w / total if total else 1.0 / len(chosen) for _, w in chosen]
    if not any(weights):
        weights = [1.0] + [0.0] * (len(chosen) - 1)
    parts = [
        (0.0, RHOMBOHEDRAL_SCATTER)
        if m.solution.model.key == "rhombohedral"
        else (m.solution.value(name), ERROR_SCALE * m.solution.error(name))
        for m, _ in chosen
    ]
    mean = sum(w * value for w, (value, _) in zip(weights, parts, strict=True))
    variance = sum(
        w * (error**2 + (value - mean) ** 2) for w, (value, error) in zip(weights, parts, strict=True)
    )
    return mean, math.sqrt(variance + LEAST_ERROR**2)


def _fraction(solution: Any) -> tuple[float, float]:
    """Monoclinic fraction of a mixture and its standard error."""
    share = 1.0 / (1.0 + math.exp(-solution.value("logit_fraction")))
    return share, share * (1.0 - share) * solution.error("logit_fraction") * ERROR_SCALE


def _cell(mode: Mode) -> tuple[float, float]:
    """Nearest hexagonal cell, angstrom."""
    s = mode.solution
    a, c = math.exp(s.value("ln_a")), math.exp(s.value("ln_c"))
    if s.model.key == "rhombohedral":
        return a, c
    nearest = conventional_distortion(
        *monoclinic_cell_from_distortion(a, c, s.value("delta1"), s.value("delta2"))
    )
    return nearest.nearest_a_h_ang, nearest.nearest_c_h_ang


def _misfit(mode: Mode) -> str:
    """Reasons not to answer that only the fit shows; empty where there are none."""
    problem, solution = mode.problem, mode.solution
    width = math.exp(solution.value("ln_width"))
    step = float(np.median(np.diff(problem.x)))
    scale = problem.radiation.wavelength_ang / 1.5405929
    if step > COARSEST_STEP * width:
        return (
            f"the step of {step:.3f} deg is too coarse for lines {width:.3f} deg wide; "
            f"scan with a step below {0.3 * width:.3f} deg"
        )
    if width > BROADEST_DEG * scale:
        return (
            f"the lines are {width:.2f} deg wide and hide any split; "
            "use a sharper instrument or anneal the sample"
        )
    fitted = curve(solution, problem)
    background = problem.background @ solution.linear[-problem.background.shape[1] :]
    signal = float(np.sum(np.maximum(fitted - background, 0.0)))
    residual = float(np.sum(np.abs(problem.y - fitted)))
    free = max(solution.n_points - solution.n_parameters, 1)
    excess = max(1.0 - math.sqrt(min(free / max(_raw_chi2(problem, fitted), 1e-9), 1.0)), 0.0)
    if signal <= 0.0 or residual * excess > WORST_RESIDUAL * signal:
        return (
            "none of the models describes the lines in the two windows "
            f"(residual {100.0 * residual / max(signal, 1e-9):.0f} % of the signal); is this a NASICON?"
        )
    return ""


def _not_nasicon(mode: Mode, missing: str) -> str:
    """Reasons to doubt that the lines are those of a NASICON; empty where there are none."""
    solution = mode.solution
    a_h, c_h = _cell(mode)
    zero = solution.value("zero")
    if missing:
        return missing
    if (
        not (PLAUSIBLE_A[0] < a_h < PLAUSIBLE_A[1] and PLAUSIBLE_C[0] < c_h < PLAUSIBLE_C[1])
        or abs(zero) > 0.3
    ):
        return (
            f"the lines fit only a cell of a_h = {a_h:.3f}, c_h = {c_h:.2f} angstrom with a zero shift of "
            f"{zero:+.2f} deg, outside what NASICONs have; check sample and wavelength"
        )
    if solution.model.key != "rhombohedral":
        one, two = solution.value("delta1"), solution.value("delta2")
        if abs(two) > 0.028 or abs(one) > 0.012:
            return (
                f"the lines fit only with delta1 = {one:+.3f}, delta2 = {two:+.3f}, beyond any NASICON; "
                "check sample and wavelength"
            )
    total = float(solution.linear[:3].max())
    if float(solution.linear[:3].min()) < FAINTEST * total:
        return (
            "one of the lines 104, 110 and 024 is next to absent "
            f"(intensities {', '.join(f'{v / max(total, 1e-300):.2f}' for v in solution.linear[:3])}); "
            "is this a NASICON?"
        )
    return ""


def _raw_chi2(problem: Problem, fitted: FloatArray) -> float:
    return float(np.sum(((problem.y - fitted) / problem.sigma) ** 2))


def _fitted(mode: Mode, probability: float) -> FittedModel:
    """A model for the result: its lines, curve and values."""
    solution, problem = mode.solution, mode.problem
    position, share = solution.model.lines(solution.theta, problem.radiation.wavelength_ang)
    labels: list[tuple[str, tuple[int, int, int]]] = []
    if solution.model.key != "rhombohedral":
        labels += [("C2/c", hkl) for pair in MONO_LINES for hkl in pair]
    if solution.model.key != "monoclinic":
        labels += [("R-3c", hkl) for hkl in HEX_LINES]
    groups = solution.model.line_groups
    lines = tuple(
        (setting, hkl, float(position[i]), float(share[i] * solution.linear[groups[i]]))
        for i, (setting, hkl) in enumerate(labels)
    )
    values = {name: (solution.value(name), solution.error(name)) for name in solution.model.names}
    for number, phase in enumerate(problem.impurity_phases):
        values[f"intensity of {phase}"] = (float(solution.linear[3 + number]), math.nan)
    return FittedModel(
        key=solution.model.key,
        chi2=solution.chi2,
        n_parameters=solution.n_parameters,
        bic=solution.chi2 + solution.n_parameters * math.log(solution.n_points),
        log_evidence=mode.log_weight,
        probability=probability,
        lines=lines,
        curve=curve(solution, problem),
        values=values,
    )


def _refuse(reason: str, base: dict[str, Any]) -> PatternFit:
    return PatternFit(
        phase="undetermined",
        probability_monoclinic=None,
        probabilities={},
        refusal=reason,
        evidence=(f"undetermined: {reason}",),
        **base,
    )

"""Fit all models from several starts and weigh the optima against each other."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.pattern_fit.models import (
    DELTA1_PRIOR,
    DELTA1_SEARCH,
    DELTA2_PRIOR,
    DELTA2_SEARCH,
    MIXED,
    MONOCLINIC,
    RHOMBOHEDRAL,
    Model,
)
from nasicon_struct.pattern_fit.prepare import Noise
from nasicon_struct.pattern_fit.solver import Evaluator, Problem, Solution, curve, solve, starting_cost

FloatArray = NDArray[Any]

#: Prior probabilities of the three models.
MODEL_PRIOR: Final = {"rhombohedral": 0.45, "monoclinic": 0.40, "mixed": 0.15}
#: Cells labelled C2/c whose metric has the wrong sign (Xun et al. 2025, SI Table S3: delta2 = +0.0044) get
#: this weight in the prior of the distortion, with these means and standard deviations of delta1 and delta2.
WRONG_SIGN: Final = (0.10, (0.002, 0.0015), (0.003, 0.0025))
#: Probability that a beam whose K-alpha2 content is not known holds it.
DOUBLET_PRIOR: Final = 0.85
#: Line shapes are never known exactly: standard deviation of the model, relative to the signal of the lines.
SHAPE_ERROR: Final = 0.01
#: Grid of starts of the rhombohedral model: shifts of ln a_h and ln c_h. The search is good within 0.5 %, a line
#: of 0.06 degree is caught within 0.2 %.
PLAIN_A_SHIFTS: Final = (-0.005, -0.0025, 0.0, 0.0025, 0.005)
PLAIN_C_SHIFTS: Final = (-0.008, -0.004, 0.0, 0.004, 0.008)
#: Grid of starts of the monoclinic model; the shifts are of ln a_h and ln c_h.
MONO_DELTA1: Final = (-0.003, 0.0)
MONO_DELTA2: Final = (-0.017, -0.012, -0.007, 0.005)
MONO_A_SHIFTS: Final = (-0.0025, 0.0, 0.0025)
MONO_C_SHIFTS: Final = (-0.004, 0.0, 0.004)
#: Grid of starts of the mixture: monoclinic fraction; whether the cell found by the search is that of the
#: monoclinic phase (0), of the rhombohedral one (1), or between; delta2; ln a_R/a_M; ln c_R/c_M.
MIXED_FRACTIONS: Final = (0.35, 0.65)
MIXED_ANCHORS: Final = (0.0, 0.5, 1.0)
MIXED_DELTA2: Final = (-0.015, -0.010)
MIXED_A_OFFSETS: Final = (0.0, 0.004, 0.008)
MIXED_C_OFFSETS: Final = (-0.011, -0.006, -0.001)
#: Line widths of the starts, relative to that of the rhombohedral fit, which swallows any split.
WIDTHS: Final = (1.0, 0.65)
#: Standard deviation of the model relative to the lines, while starts are compared.
SEARCH_ERROR: Final = 0.07
#: Cost by which another start of the rhombohedral model must win over the cell that the search found.
CLEARLY_BETTER: Final = 3.0
#: Of a grid, so many starts are refined a little, and so many of these to the end (rhombohedral, monoclinic, mixed).
PLAIN_FOLLOWED: Final = (6, 2)
MONO_FOLLOWED: Final = (8, 3)
MIXED_FOLLOWED: Final = (64, 10)
#: So many of the best mixtures become starts of the monoclinic model once more.
BACK_FROM_MIXED: Final = 3


@dataclass(frozen=True, eq=False)
class Mode:
    """A local optimum.

    Attributes
    ----------
    solution : Solution
    problem : Problem
        With the standard deviations and the beam it was found with.
    log_weight : float
        Log evidence plus the log of all prior weights.
    log_prior : float
        Of the beam and the cell.
    """

    solution: Solution
    problem: Problem
    log_weight: float
    log_prior: float


def start_vector(model: Model, base: dict[str, float], **changes: float) -> FloatArray:
    """Parameters of a model: prior means, then ``base`` where it has them, then ``changes``."""
    values = {p.name: p.mean for p in model.parameters}
    values.update({k: v for k, v in base.items() if k in values})
    values.update(changes)
    return np.array([values[name] for name in model.names])


def values_of(solution: Solution) -> dict[str, float]:
    """Parameters by name."""
    return dict(zip(solution.model.names, solution.theta.tolist(), strict=True))


def prior_correction(solution: Solution) -> float:
    """Ln of the prior density of the distortion over the broad one that the search used."""
    if solution.model.key != "monoclinic":
        return 0.0
    one, two = solution.value("delta1"), solution.value("delta2")
    part, wrong1, wrong2 = WRONG_SIGN
    wanted = (1.0 - part) * _normal(one, *DELTA1_PRIOR) * _normal(two, *DELTA2_PRIOR)
    wanted += part * _normal(one, *wrong1) * _normal(two, *wrong2)
    return math.log(max(wanted, 1e-60)) - math.log(
        _normal(one, *DELTA1_SEARCH) * _normal(two, *DELTA2_SEARCH)
    )


def _normal(x: float, mean: float, sd: float) -> float:
    return math.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2.0 * math.pi))


def reweighted(problem: Problem, solution: Solution, noise: Noise, grouping: float) -> Problem:
    """The same data with standard deviations from a fitted curve instead of the data themselves."""
    fitted = curve(solution, problem)
    background = problem.background @ solution.linear[-problem.background.shape[1] :]
    shape = SHAPE_ERROR * np.maximum(fitted - background, 0.0)
    return replace(problem, sigma=np.sqrt(noise.sigma(fitted) ** 2 / grouping + shape**2))


@dataclass(frozen=True, eq=False)
class Quick:
    """Rhombohedral and monoclinic fits good enough to choose cell, beam and weights.

    Attributes
    ----------
    rhombohedral, monoclinic : Solution
    cell : (float, float)
        ln of the hexagonal cell the search found, angstrom.
    """

    rhombohedral: Solution
    monoclinic: Solution
    cell: tuple[float, float]

    @property
    def better(self) -> Solution:
        """The fit with more evidence."""
        return max((self.rhombohedral, self.monoclinic), key=lambda s: s.log_evidence)


def quick_fits(problem: Problem, a_h_ang: float, c_h_ang: float, width_deg: float) -> Quick:
    """Fit two models from a rough cell and width."""
    cell = (math.log(a_h_ang), math.log(c_h_ang))
    base = {"ln_a": cell[0], "ln_c": cell[1], "ln_width": math.log(width_deg)}
    r = solve(RHOMBOHEDRAL, problem, start_vector(RHOMBOHEDRAL, base), max_iterations=15)
    starts = _plain_starts(cell, math.log(width_deg))
    r = _preferred(r, _followed(RHOMBOHEDRAL, problem, starts, PLAIN_FOLLOWED, 15))
    mono = _followed(MONOCLINIC, problem, _mono_starts(values_of(r), cell), (4, 1), 12)
    return Quick(r, mono[0], cell)


def all_modes(problem: Problem, quick: Quick, log_prior: float) -> list[Mode]:
    """Fit every model from many starts; near-identical optima are counted once."""
    plain = [start_vector(RHOMBOHEDRAL, values_of(s)) for s in (quick.rhombohedral, quick.monoclinic)]
    r, other = (solve(RHOMBOHEDRAL, problem, start) for start in plain)
    r = _preferred(r, [other])
    base = values_of(r)
    starts = [*_all_mono_starts(r, quick.cell), quick.monoclinic.theta]
    mono = _followed(MONOCLINIC, problem, starts, MONO_FOLLOWED, 40)
    near_r = [start_vector(MONOCLINIC, base, delta1=0.0, delta2=d2) for d2 in (-0.003, 0.003)]
    mono += [solve(MONOCLINIC, problem, start) for start in near_r]
    best = min(mono, key=lambda s: s.cost)
    mixed = _followed(MIXED, problem, _mixed_starts(base, quick.cell), MIXED_FOLLOWED, 40)
    from_mono = {**values_of(best), "delta2": min(best.value("delta2"), -0.006)}
    mixed.append(solve(MIXED, problem, start_vector(MIXED, from_mono, logit_fraction=1.0)))
    for s in sorted(mixed, key=lambda s: s.cost)[:BACK_FROM_MIXED]:
        mono.append(solve(MONOCLINIC, problem, start_vector(MONOCLINIC, values_of(s))))
    return [_mode(s, problem, log_prior) for s in [r, *_distinct(mono), *_distinct(mixed)]]


def _preferred(first: Solution, others: list[Solution]) -> Solution:
    """The best of all; the first one, if the others are hardly better.

    Where 104 and 110 lie close, exchanging them fits as well; the search, which saw other lines, knows better.
    """
    best = min(others, key=lambda s: s.cost)
    return best if best.cost < first.cost - CLEARLY_BETTER else first


def _plain_starts(cell: tuple[float, float], ln_width: float) -> list[FloatArray]:
    grid = itertools.product(WIDTHS, PLAIN_A_SHIFTS, PLAIN_C_SHIFTS)
    return [
        start_vector(RHOMBOHEDRAL, {}, ln_a=cell[0] + a, ln_c=cell[1] + c, ln_width=ln_width + math.log(w))
        for w, a, c in grid
    ]


def _all_mono_starts(r: Solution, cell: tuple[float, float]) -> list[FloatArray]:
    """Starts around the cell that the search found and, where it is another, that of the rhombohedral fit."""
    base = values_of(r)
    other = (base["ln_a"], base["ln_c"])
    near = (
        abs(other[0] - cell[0]) < 0.5 * MONO_A_SHIFTS[-1]
        and abs(other[1] - cell[1]) < 0.5 * MONO_C_SHIFTS[-1]
    )
    return [*_mono_starts(base, cell), *([] if near else _mono_starts(base, other))]


def _mono_starts(base: dict[str, float], cell: tuple[float, float]) -> list[FloatArray]:
    return [
        start_vector(
            MONOCLINIC,
            base,
            ln_a=cell[0] + a,
            ln_c=cell[1] + c,
            ln_width=base["ln_width"] + math.log(w),
            zero=0.5 * base["zero"],
            delta1=d1,
            delta2=d2,
        )
        for w in WIDTHS
        for a in MONO_A_SHIFTS
        for c in MONO_C_SHIFTS
        for d1 in MONO_DELTA1
        for d2 in MONO_DELTA2
    ]


def _mixed_starts(base: dict[str, float], cell: tuple[float, float]) -> list[FloatArray]:
    grid = itertools.product(
        WIDTHS, MIXED_FRACTIONS, MIXED_ANCHORS, MIXED_DELTA2, MIXED_A_OFFSETS, MIXED_C_OFFSETS
    )
    return [
        start_vector(
            MIXED,
            base,
            ln_width=base["ln_width"] + math.log(w),
            ln_a=cell[0] - anchor * a_offset,
            ln_c=cell[1] - anchor * c_offset,
            zero=0.5 * base["zero"],
            logit_fraction=math.log(fraction / (1.0 - fraction)),
            delta1=-0.001,
            delta2=d2,
            ln_a_offset=a_offset,
            ln_c_offset=c_offset,
        )
        for w, fraction, anchor, d2, a_offset, c_offset in grid
    ]


def _tempered(problem: Problem) -> Problem:
    """The same data with larger errors on the lines, so that the priors lead into the right valley."""
    height = np.maximum(problem.y - float(np.percentile(problem.y, 10)), 0.0)
    return replace(problem, sigma=np.sqrt(problem.sigma**2 + (SEARCH_ERROR * height) ** 2))


def _followed(
    model: Model, problem: Problem, starts: list[FloatArray], count: tuple[int, int], iterations: int
) -> list[Solution]:
    """Fits from the best of many starts, best first."""
    tempered = _tempered(problem)
    evaluator = Evaluator(model, tempered)
    costs = [starting_cost(evaluator, start) for start in starts]
    order = np.argsort(costs, kind="stable")[: count[0]]
    near = [solve(model, tempered, starts[i], max_iterations=7) for i in order]
    done = [solve(model, problem, s.theta, max_iterations=iterations) for s in _distinct(near)[: count[1]]]
    return sorted(done, key=lambda s: s.cost)


def rescaled(modes: list[Mode], factor: float) -> list[Mode]:
    """Refit every optimum with all standard deviations multiplied by ``factor``."""
    out = []
    for mode in modes:
        problem = replace(mode.problem, sigma=mode.problem.sigma * factor)
        solution = solve(mode.solution.model, problem, mode.solution.theta, max_iterations=8)
        out.append(_mode(solution, problem, mode.log_prior))
    return out


def _mode(solution: Solution, problem: Problem, log_prior: float) -> Mode:
    weight = solution.log_evidence + prior_correction(solution)
    weight += math.log(MODEL_PRIOR[solution.model.key])
    return Mode(solution, problem, weight + log_prior, log_prior)


def _distinct(solutions: list[Solution]) -> list[Solution]:
    kept: list[Solution] = []
    for s in sorted(solutions, key=lambda s: s.cost):
        spread = np.sqrt(np.diag(s.covariance))
        if all(np.abs((s.theta - k.theta) / spread).max() > 0.7 for k in kept):
            kept.append(s)
    return kept

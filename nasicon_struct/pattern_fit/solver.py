"""Least squares with non-negative intensities projected out (variable projection), and the evidence of a
model.

For given positions and shapes the best non-negative intensities and background follow from linear least
squares; only the remaining parameters are searched, by Levenberg-Marquardt with exact derivatives (Kaufman's
form of the projected Jacobian). G. H. Golub and V. Pereyra, Inverse Problems 19 (2003) R1, review the method.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from nasicon_struct.diffraction import Radiation
from nasicon_struct.pattern_fit.models import LINE_WINDOW, Model
from nasicon_struct.pattern_fit.shape import components_of, pseudo_voigt_with_slopes, skewed_pseudo_voigt

FloatArray = NDArray[Any]

#: Asymmetry is quoted at this 2-theta (degrees) and scales with cot(2 theta).
SKEW_AT_DEG: Final = 19.4
_MAX_SKEW: Final = 0.6
_SKEW_LEVER: Final = math.tan(math.radians(SKEW_AT_DEG))
#: Intensity of 104 and of 024 over that of 110, and its standard deviation relative to that. Known structures:
#: NaZr2P3O12 (Hong 1976) 0.76 and 0.48, Na3.35Zr2Si2.35P0.65O12 (Boilot 1988) 1.45 and 0.79, Subramanian 1985
#: 1.40 and 0.84; widened for texture. It decides nothing where the lines are apart, and keeps intensities in
#: bounds where 104 and 110 coincide (c_h near sqrt(6) a_h).
LINE_RATIOS: Final = ((0, 1.16), (2, 0.67))
LINE_RATIO_SD: Final = 0.5
#: Strongest line of an impurity over that of 110: 0 with this standard deviation (8 wt% m-ZrO2 gives 0.4).
#: Without it the line of m-ZrO2 at 28.17 degrees may take the place of 024 in cells of small a_h.
IMPURITY_SD: Final = 0.5


@dataclass(frozen=True)
class ImpurityLine:
    """A line of another phase inside a window.

    Attributes
    ----------
    phase : str
    d_ang : float
        Spacing, angstrom.
    relative : float
        Intensity relative to the first line of the phase in the windows.
    window : int
    """

    phase: str
    d_ang: float
    relative: float
    window: int


@dataclass(frozen=True)
class Problem:
    """The data of both windows, ready to fit.

    Attributes
    ----------
    x, y, sigma : ndarray, shape (n,)
        2-theta (degrees), intensity, standard deviation.
    window : ndarray of int, shape (n,)
    background : ndarray, shape (n, m)
        Non-negative background functions.
    radiation : Radiation
    impurities : tuple of ImpurityLine
    line_scale : float
        Rough intensity of 110 (intensity times degree), the scale of the prior on intensity ratios; 0 for none.
    """

    x: FloatArray
    y: FloatArray
    sigma: FloatArray
    window: FloatArray
    background: FloatArray
    radiation: Radiation
    impurities: tuple[ImpurityLine, ...]
    line_scale: float = 0.0

    @property
    def impurity_phases(self) -> tuple[str, ...]:
        """Phases with a line in the windows, in order."""
        return tuple(dict.fromkeys(line.phase for line in self.impurities))


@dataclass(frozen=True)
class Solution:
    """A fitted model.

    Attributes
    ----------
    model : Model
    theta : ndarray
        Parameters in the order of ``model.parameters``.
    linear : ndarray
        Three intensities, impurity intensities, background coefficients.
    chi2 : float
        Sum of squared weighted residuals, without the priors.
    cost : float
        ``chi2`` plus the squared, scaled distances from the prior means, those of intensity ratios included.
    covariance : ndarray
        Of ``theta`` (Laplace approximation with priors), before any scaling by the reduced chi-squared.
    log_evidence : float
        Laplace approximation of ln of the marginal likelihood, up to a constant shared by all models.
    n_points, n_parameters : int
        Points, and all parameters (searched and linear, non-zero ones).
    """

    model: Model
    theta: FloatArray
    linear: FloatArray
    chi2: float
    cost: float
    covariance: FloatArray
    log_evidence: float
    n_points: int
    n_parameters: int

    def value(self, name: str) -> float:
        """One parameter."""
        return float(self.theta[self.model.names.index(name)])

    def error(self, name: str) -> float:
        """Its standard deviation."""
        i = self.model.names.index(name)
        return math.sqrt(max(float(self.covariance[i, i]), 0.0))


@dataclass(frozen=True)
class _Block:
    """Lines of one window."""

    window: int
    rows: slice
    mine: FloatArray
    centers: FloatArray
    widths: FloatArray
    eta: float
    skew: FloatArray
    lever: FloatArray
    weight: FloatArray
    column: FloatArray


class Evaluator:
    """Columns of the linear problem and their derivatives, for one model on one data set."""

    def __init__(self, model: Model, problem: Problem) -> None:
        self.model, self.problem = model, problem
        self.names = {name: i for i, name in enumerate(model.names)}
        self.in_lines = [i for name, i in self.names.items() if name not in _NOT_IN_LINES]
        self.rows = [slice(*np.flatnonzero(problem.window == w)[[0, -1]] + np.array([0, 1])) for w in (0, 1)]
        self.groups = model.line_groups
        line_window = np.array([LINE_WINDOW[g] for g in self.groups])
        self.mine = [np.flatnonzero(line_window == w) for w in (0, 1)]
        self.phases = problem.impurity_phases
        wavelength = problem.radiation.wavelength_ang
        inside = [[line for line in problem.impurities if line.window == w] for w in (0, 1)]
        self.foreign = [
            np.array([3 + self.phases.index(i.phase) for i in part], dtype=int) for part in inside
        ]
        self.foreign_weight = [np.array([i.relative for i in part]) for part in inside]
        self.foreign_angle = [
            np.array([2.0 * math.degrees(math.asin(min(0.5 * wavelength / i.d_ang, 1.0))) for i in part])
            for part in inside
        ]
        self.n_columns = 3 + len(self.phases) + problem.background.shape[1]

    def columns(self, theta: FloatArray) -> FloatArray:
        """Matrix of shape (n, columns): three line groups, impurities, background."""
        columns = self._empty_columns()
        for block in self._blocks(theta):
            positions, _, weights = components_of(block.centers, self.problem.radiation.components)
            count = len(positions)
            shape = skewed_pseudo_voigt(
                self.problem.x[block.rows],
                positions.ravel(),
                np.concatenate([block.widths] * count),
                block.eta,
                np.concatenate([block.skew] * count),
            )
            mixing = np.zeros((shape.shape[0], self.n_columns))
            factor = (weights * block.weight).ravel()
            mixing[np.arange(len(factor)), np.concatenate([block.column] * count)] = factor
            columns[block.rows] += shape.T @ mixing
        return columns

    def columns_and_slopes(self, theta: FloatArray, linear: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Columns, and d (columns @ linear) / d theta, shape (n, parameters)."""
        problem, names = self.problem, self.names
        columns = self._empty_columns()
        slopes = np.zeros((len(problem.x), len(theta)))
        d_position, d_share = self._line_slopes(theta, problem.radiation.wavelength_ang)
        for block in self._blocks(theta):
            rows, n, mine = block.rows, len(block.mine), block.mine
            value, by_center, by_width, by_eta, by_skew = self._shapes(block)
            for j, target in enumerate(block.column):
                columns[rows, target] += block.weight[j] * value[j]
            area = block.weight * linear[block.column]
            moved = area[:, None] * by_center
            slopes[rows] += moved[:n].T @ d_position[mine]
            slopes[rows] += (linear[block.column[:n]][:, None] * value[:n]).T @ d_share[mine]
            if len(area) > n:
                extra = moved[n:].sum(axis=0)
                slopes[rows, names["zero"]] += extra
                slopes[rows, names["impurity_shift"]] += extra
                slopes[rows, names["ln_impurity_width"]] += area[n:] @ by_width[n:]
            stretched = area @ by_width
            slopes[rows, names["ln_width"]] += stretched
            if block.window:
                slopes[rows, names["ln_width_ratio"]] += stretched
            slopes[rows, names["logit_eta"]] += (area @ by_eta) * block.eta * (1.0 - block.eta)
            slopes[rows, names["skew"]] += (area * block.lever) @ by_skew
        return columns, slopes

    def _empty_columns(self) -> FloatArray:
        columns = np.zeros((len(self.problem.x), self.n_columns))
        columns[:, 3 + len(self.phases) :] = self.problem.background
        return columns

    def _blocks(self, theta: FloatArray) -> Iterator[_Block]:
        """Lines of each window with their shapes."""
        problem, names = self.problem, self.names
        wavelength = problem.radiation.wavelength_ang
        position, share = self.model.lines(theta, wavelength)
        zero, shift = theta[names["zero"]], theta[names["impurity_shift"]]
        eta = 1.0 / (1.0 + math.exp(-min(max(float(theta[names["logit_eta"]]), -30.0), 30.0)))
        skew_at = float(theta[names["skew"]])
        factor = math.exp(float(theta[names["ln_impurity_width"]]))
        for w in (0, 1):
            mine, foreign = self.mine[w], self.foreign[w]
            log_width = float(theta[names["ln_width"]]) + (
                float(theta[names["ln_width_ratio"]]) if w else 0.0
            )
            wide = math.exp(min(max(log_width, -6.0), 2.0))
            centers = np.concatenate([position[mine], self.foreign_angle[w] + zero + shift])
            widths = np.full(len(centers), wide)
            widths[len(mine) :] *= factor
            lever = _SKEW_LEVER / np.tan(np.radians(centers))
            skew = skew_at * lever
            lever = np.where(np.abs(skew) < _MAX_SKEW, lever, 0.0)
            yield _Block(
                window=w,
                rows=self.rows[w],
                mine=mine,
                centers=centers,
                widths=widths,
                eta=eta,
                skew=np.clip(skew, -_MAX_SKEW, _MAX_SKEW),
                lever=lever,
                weight=np.concatenate([share[mine], self.foreign_weight[w]]),
                column=np.concatenate([self.groups[mine], foreign]),
            )

    def _shapes(self, block: _Block) -> tuple[FloatArray, ...]:
        x = self.problem.x[block.rows]
        positions, stretch, weights = components_of(block.centers, self.problem.radiation.components)
        count = len(positions)
        parts = pseudo_voigt_with_slopes(
            x,
            positions.ravel(),
            np.concatenate([block.widths] * count),
            block.eta,
            np.concatenate([block.skew] * count),
        )
        scale = [weights, weights * stretch, weights, weights, weights]
        return tuple(
            (part.reshape(count, len(block.centers), len(x)) * factor[:, :, None]).sum(axis=0)
            for part, factor in zip(parts, scale, strict=True)
        )

    def _line_slopes(self, theta: FloatArray, wavelength: float) -> tuple[FloatArray, FloatArray]:
        """Numerical derivatives of positions and shares, which cost almost nothing."""
        count = len(self.groups)
        d_position, d_share = np.zeros((count, len(theta))), np.zeros((count, len(theta)))
        step = 1e-7
        moved = np.tile(theta, (len(self.in_lines) + 1, 1))
        moved[np.arange(1, len(moved)), self.in_lines] += step
        position, share = self.model.lines(moved, wavelength)
        d_position[:, self.in_lines] = (position[1:] - position[0]).T / step
        d_share[:, self.in_lines] = (share[1:] - share[0]).T / step
        d_position[:, self.names["zero"]] = 1.0
        return d_position, d_share


_NOT_IN_LINES: Final = frozenset(
    {"zero", "ln_width", "ln_width_ratio", "logit_eta", "skew", "impurity_shift", "ln_impurity_width"}
)


def _weighted(columns: FloatArray, problem: Problem) -> FloatArray:
    """Columns over standard deviations, and below them the priors on intensities as further data."""
    weighted = columns / problem.sigma[:, None]
    if problem.line_scale <= 0.0:
        return np.asarray(weighted)
    foreign = len(problem.impurity_phases)
    prior = np.zeros((len(LINE_RATIOS) + foreign, columns.shape[1]))
    for number in range(foreign):
        prior[len(LINE_RATIOS) + number, 3 + number] = 1.0 / (IMPURITY_SD * problem.line_scale)
    for row, (line, ratio) in enumerate(LINE_RATIOS):
        spread = LINE_RATIO_SD * ratio * problem.line_scale
        prior[row, line], prior[row, 1] = 1.0 / spread, -ratio / spread
    return np.concatenate([weighted, prior])


def _padded(slopes: FloatArray, rows: int) -> FloatArray:
    """Slopes of the data, and none of the prior rows."""
    return np.concatenate([slopes, np.zeros((rows - len(slopes), slopes.shape[1]))])


def _project(columns: FloatArray, problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Non-negative linear coefficients and weighted residual (data minus model)."""
    weighted = _weighted(columns, problem)
    target = np.concatenate([problem.y / problem.sigma, np.zeros(len(weighted) - len(problem.y))])
    scale = np.sqrt((weighted**2).sum(axis=0))
    scale[scale == 0.0] = 1.0
    try:
        linear, _ = nnls(weighted / scale, target, maxiter=200)
    except RuntimeError:  # cycling; fall back on clipped ordinary least squares
        linear = np.clip(np.linalg.lstsq(weighted / scale, target, rcond=None)[0], 0.0, None)
    linear = linear / scale
    return linear, target - weighted @ linear


def starting_cost(evaluator: Evaluator, theta: FloatArray) -> float:
    """Cost of a start, with the best non-negative intensities."""
    _, residual = _project(evaluator.columns(theta), evaluator.problem)
    pull = (theta - evaluator.model.means) / evaluator.model.sds
    return float(residual @ residual + pull @ pull)


def solve(model: Model, problem: Problem, start: FloatArray, *, max_iterations: int = 40) -> Solution:
    """Fit one model from one start.

    Parameters
    ----------
    model : Model
    problem : Problem
    start : ndarray
        First values of the parameters, in the order of ``model.parameters``.
    max_iterations : int

    Returns
    -------
    Solution
    """
    evaluator = Evaluator(model, problem)
    mean, sd = model.means, model.sds
    theta = np.array(start, dtype=float)
    linear, residual = _project(evaluator.columns(theta), problem)
    pull = (theta - mean) / sd
    cost = float(residual @ residual + pull @ pull)
    damping = 1e-2
    for _ in range(max_iterations):
        gradient_part = _projected_jacobian(evaluator, theta, linear) * sd
        hessian = gradient_part.T @ gradient_part + np.eye(len(theta))
        gradient = gradient_part.T @ residual - pull
        improved = False
        for _ in range(6):
            step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
            step = np.clip(step, -3.0, 3.0)
            trial = theta + step * sd
            trial_linear, trial_residual = _project(evaluator.columns(trial), problem)
            trial_pull = (trial - mean) / sd
            trial_cost = float(trial_residual @ trial_residual + trial_pull @ trial_pull)
            if trial_cost < cost:
                improved = True
                break
            damping *= 5.0
        if not improved:
            break
        gain = cost - trial_cost
        theta, linear, residual, pull, cost = trial, trial_linear, trial_residual, trial_pull, trial_cost
        damping = max(damping * 0.2, 1e-7)
        if gain < 1e-3 and float(np.abs(step).max()) < 0.02:
            break
    return _finish(evaluator, theta, linear, residual, cost)


def _projected_jacobian(evaluator: Evaluator, theta: FloatArray, linear: FloatArray) -> FloatArray:
    """d (weighted model) / d theta with the part that the linear coefficients absorb taken out."""
    columns, slopes = evaluator.columns_and_slopes(theta, linear)
    active = _weighted(columns, evaluator.problem)[:, linear > 0.0]
    slopes = _padded(slopes / evaluator.problem.sigma[:, None], len(active))
    if active.shape[1] == 0:
        return slopes
    q, _ = np.linalg.qr(active)
    return np.asarray(slopes - q @ (q.T @ slopes))


def _finish(
    evaluator: Evaluator, theta: FloatArray, linear: FloatArray, residual: FloatArray, cost: float
) -> Solution:
    """Covariance and evidence of the searched parameters, the linear ones integrated out."""
    model, problem = evaluator.model, evaluator.problem
    sd = model.sds
    columns, slopes = evaluator.columns_and_slopes(theta, linear)
    active = linear > 0.0
    weighted = _weighted(columns, problem)[:, active]
    slopes = _padded(slopes / problem.sigma[:, None] * sd, len(weighted))
    scale = np.maximum(linear[active], 1e-12)
    q, _ = np.linalg.qr(weighted * scale)
    outside = slopes - q @ (q.T @ slopes)
    hessian = outside.T @ outside + np.eye(len(theta))
    covariance = np.linalg.inv(hessian) * np.outer(sd, sd)
    # Linear coefficients have a flat prior on their logarithm scale; three intensities enter every model
    # alike.
    lines = active[:3].sum()
    _, log_det = np.linalg.slogdet(hessian)
    _, r_lines = np.linalg.qr(weighted[:, :lines] * scale[:lines]) if lines else (None, np.eye(1))
    log_det_linear = float(np.sum(np.log(np.maximum(np.abs(np.diag(r_lines)), 1e-12))))
    of_data = residual[: len(problem.x)]
    chi2 = float(of_data @ of_data)
    return Solution(
        model=model,
        theta=theta,
        linear=linear,
        chi2=chi2,
        cost=cost,
        covariance=covariance,
        log_evidence=-0.5 * cost - 0.5 * float(log_det) - log_det_linear,
        n_points=len(problem.x),
        n_parameters=len(theta) + int(active.sum()),
    )


def curve(solution: Solution, problem: Problem) -> FloatArray:
    """Fitted intensity at every point of the problem."""
    return np.asarray(Evaluator(solution.model, problem).columns(solution.theta) @ solution.linear)

"""From a scan to the data of the fit: where the lines are, the two windows, the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.diffraction import PowderPattern, Radiation
from nasicon_struct.pattern_fit.impurities import IMPURITY_LINES
from nasicon_struct.pattern_fit.solver import LINE_RATIOS, ImpurityLine, Problem

FloatArray = NDArray[Any]

#: Hexagonal cells searched, angstrom: NaGe2P3O12 (8.146, 21.504) is the smallest in the literature table,
#: Na4Zr2Si3O12 and Na3.8Zr2Si2.8P0.2O12 the largest.
A_RANGE_ANG: Final = (8.05, 9.30)
C_RANGE_ANG: Final = (21.3, 23.3)
#: Half-width of a window beyond its lines, as a relative change of spacing (0.6 degree at 19.4, Cu), and the
#: least that must be covered.
MARGIN: Final = 0.031
LEAST_MARGIN: Final = 0.012
#: Pairs of lines (hexagonal indices) between which no NASICON has a line.
_EMPTY_BETWEEN: Final = (((0, 1, 2), (1, 0, 4)), ((1, 1, 0), (1, 1, 3)), ((2, 0, 2), (0, 2, 4)))
#: Points per fit; finer scans are summed to about this many.
_MAX_POINTS: Final = 700
#: Lines that help to find the cell where the scan holds them (hexagonal indices); the first three are the
#: fit's.
_SEARCH_LINES: Final = ((1, 0, 4), (1, 1, 0), (0, 2, 4), (0, 1, 2), (1, 1, 3), (1, 1, 6))


@dataclass(frozen=True)
class Noise:
    """How the scatter of the data grows with intensity.

    Attributes
    ----------
    gain : float
        Variance divided by intensity; 1 for counts.
    floor : float
        Least variance, in squared intensity units.
    offset : float
        Variance at zero intensity (subtracted background), in squared intensity units.
    note : str
        One sentence for the evidence; empty for plain counts.
    """

    gain: float
    floor: float
    note: str
    offset: float = 0.0

    def sigma(self, expected: FloatArray) -> FloatArray:
        """Return standard deviations for expected intensities."""
        return np.sqrt(np.maximum(self.gain * np.maximum(expected, 0.0) + self.offset, self.floor))


def _scatter(y: FloatArray, stride: int) -> tuple[FloatArray, FloatArray]:
    """Squared third differences as estimates of the variance, and the local mean, of every nth point."""
    parts = [y[start::stride] for start in range(stride)]
    parts = [part for part in parts if len(part) > 4]
    squares = [np.diff(part, n=3) ** 2 / 20.0 for part in parts]
    means = [np.convolve(part, np.full(4, 0.25), mode="valid") for part in parts]
    return np.concatenate(squares), np.concatenate(means)


def measure_noise(pattern: PowderPattern) -> Noise:
    """Find the noise of a scan: counts, counts times a factor, smoothed data, or next to none.

    Third differences cancel what is smooth, so what is left of them is scatter; medians are taken, over the
    background and over the lines. Scatter that grows when points are left out shows that neighbours are
    correlated.
    """
    y = pattern.intensity
    top = float(y.max())
    if pattern.sigma is not None and np.all(pattern.sigma > 0.0):
        ratio = pattern.sigma**2 / np.maximum(y, 1e-3 * top)
        high = y > 0.05 * top
        gain = float(np.median(ratio[high])) if high.any() else float(np.median(ratio))
        return Noise(gain, max(0.7 * gain**2, 0.5 * float(np.min(pattern.sigma) ** 2)), "")
    squares, means = _scatter(y, 1)
    low = means < _between(y, 0.15)
    variance = float(np.median(squares[low])) / _CHI2_MEDIAN if low.sum() > 20 else 0.0
    level = float(np.median(means[low])) if low.sum() > 20 else 0.0
    gains = [variance / level] if level > 0.0 else []
    high = means > _between(y, 0.3)
    if high.sum() > 12:
        gains.append(float(np.median(squares[high] / means[high])) / _CHI2_MEDIAN)
    measured = min(gains, default=0.0)
    if pattern.is_counts and measured < 1.6 and (measured > 0.5 or level < 8.0):
        return Noise(1.0, 0.7, "")
    quiet = top / 1.0e4
    if measured < 0.05 * quiet:
        return Noise(
            quiet,
            0.7 * quiet**2,
            "the scan has next to no noise; it was weighted as 10 000 counts at the top",
        )
    correlated = _correlation_length(y, low)
    note = (
        f"the intensities are no plain counts; their scatter amounts to {measured:.3g} per unit of intensity"
    )
    if correlated > 1:
        squares, means = _scatter(y, correlated)
        low = means < _between(y, 0.15)
        variance = correlated * float(np.median(squares[low])) / _CHI2_MEDIAN
        level = float(np.median(means[low]))
        measured = variance / max(level, 1e-9 * top)
        note = f"neighbouring points are correlated over about {correlated} steps (smoothed data?)"
    offset = variance - measured * max(level, 0.0)
    return Noise(measured, 0.7 * measured**2, note, offset if offset > 0.3 * variance else 0.0)


def _between(y: FloatArray, part: float) -> float:
    """Intensity this far from the background to the top."""
    floor = float(np.percentile(y, 10))
    return floor + part * (float(y.max()) - floor)


#: Median of chi-squared with one degree of freedom.
_CHI2_MEDIAN: Final = 0.4549


def _correlation_length(y: FloatArray, low: FloatArray) -> int:
    """Steps after which the scatter of the background no longer grows; 1 for independent points."""
    if low.sum() < 100:
        return 1
    strides = (1, 2, 3, 4, 6, 8, 12)
    levels = []
    for stride in strides:
        squares, means = _scatter(y, stride)
        quiet = means < _between(y, 0.15)
        levels.append(float(np.median(squares[quiet])) if quiet.sum() > 50 else 0.0)
    highest = max(levels[:5])
    if levels[0] > 0.6 * highest:
        return 1
    return next(s for s, v in zip(strides, levels, strict=True) if v >= 0.8 * highest)


def bragg_deg(inverse_d: FloatArray, wavelength_ang: float) -> FloatArray:
    """2-theta in degrees of 1/d; NaN beyond reach."""
    sine = 0.5 * wavelength_ang * inverse_d
    return 2.0 * np.degrees(np.arcsin(np.where(sine < 1.0, sine, np.nan)))


def _excess(pattern: PowderPattern, noise: Noise, width_deg: float) -> tuple[FloatArray, FloatArray]:
    """Area above a running background within ``width_deg`` over its standard deviation; NaN in gaps."""
    step = pattern.step_deg
    grid = np.arange(pattern.two_theta_deg[0], pattern.two_theta_deg[-1], step)
    y = np.interp(grid, pattern.two_theta_deg, pattern.intensity)
    here = np.searchsorted(pattern.two_theta_deg, grid).clip(1, len(pattern.two_theta_deg) - 1)
    hole = pattern.two_theta_deg[here] - pattern.two_theta_deg[here - 1] > max(6.0 * step, 0.5 * width_deg)
    narrow = max(3, round(width_deg / step) | 1)
    wide = max(9, round(1.2 / step) | 1)
    padded = np.pad(y, wide // 2, mode="edge")
    from numpy.lib.stride_tricks import sliding_window_view

    stride = max(1, wide // 60)
    background = np.percentile(sliding_window_view(padded, wide)[:, ::stride], 20, axis=1)
    background = background + 0.84 * noise.sigma(
        background
    )  # the 20th percentile of noise lies this far down
    kernel = np.ones(narrow)
    area = np.convolve(y - background, kernel, mode="same")
    spread = np.sqrt(np.convolve(noise.sigma(np.maximum(y, background)) ** 2, kernel, mode="same"))
    excess = np.clip(area / np.maximum(spread, 1e-12), 0.0, None)
    excess[hole] = np.nan
    return grid, excess


@dataclass(frozen=True)
class Found:
    """A hexagonal cell that explains the three lines, and how clearly.

    Attributes
    ----------
    a_h_ang, c_h_ang : float
        Angstrom.
    significance : float
        Of the weakest of the three lines, in standard deviations.
    score : float
        Higher is better; differences compare with those of a log-likelihood.
    """

    a_h_ang: float
    c_h_ang: float
    significance: float
    score: float


def find_cells(pattern: PowderPattern, radiation: Radiation, noise: Noise, *, count: int = 2) -> list[Found]:
    """Find hexagonal cells whose 104, 110 and 024 lines stand out, best first.

    104 and 110 can be exchanged without moving 024 (the sum of their 1/d^2 is that of 024), so up to two
    distinct cells come back; other lines within the scan (012, 113, 116) and the usual range of cells tell
    them apart.
    """
    grid, excess = _excess(pattern, noise, 0.22 * _scale(radiation.wavelength_ang))
    a = np.arange(A_RANGE_ANG[0], A_RANGE_ANG[1] + 1e-9, 0.008)
    c = np.arange(C_RANGE_ANG[0], C_RANGE_ANG[1] + 1e-9, 0.02)
    aa, cc = np.meshgrid(a, c, indexing="ij")
    total = np.zeros_like(aa)
    weakest = np.full_like(aa, np.inf)
    reached = np.ones_like(aa, dtype=bool)
    for number, (h, k, el) in enumerate(_SEARCH_LINES):
        inverse = np.sqrt(4.0 / 3.0 * (h * h + h * k + k * k) / aa**2 + el * el / cc**2)
        angle = bragg_deg(inverse, radiation.wavelength_ang)
        height = np.interp(np.nan_to_num(angle), grid, excess)
        inside = (angle > grid[0]) & (angle < grid[-1]) & np.isfinite(height)
        height = np.where(inside, height, 0.0)
        if number < 3:
            weakest = np.minimum(weakest, height)
            reached &= inside
            total += np.log1p(height)
        else:
            total += np.where(inside, 0.5 * np.log1p(np.minimum(height, 50.0)), 0.5)
    # where cells of the literature lie: a_h 9.02 +- 0.1, c_h 22.7 +- 0.35 angstrom
    prior = -0.5 * (((aa - 9.02) / 0.12) ** 2 + ((cc - 22.7) / 0.40) ** 2)
    score = np.where(reached, total + 0.5 * prior, -np.inf)
    out: list[Found] = []
    while len(out) < count and np.isfinite(score).any():
        i, j = np.unravel_index(int(np.argmax(score)), score.shape)
        out.append(Found(float(aa[i, j]), float(cc[i, j]), float(weakest[i, j]), float(score[i, j])))
        score = np.where((np.abs(aa - aa[i, j]) < 0.06) & (np.abs(cc - cc[i, j]) < 0.25), -np.inf, score)
    return out


def _scale(wavelength_ang: float) -> float:
    """Width in 2-theta at this wavelength of what is one degree wide at Cu K-alpha1."""
    return wavelength_ang / 1.5405929


def line_angles(a_h_ang: float, c_h_ang: float, wavelength_ang: float) -> FloatArray:
    """2-theta of 104, 110 and 024, degrees."""
    inverse = np.array(
        [
            math.sqrt(4.0 / 3.0 * (h * h + h * k + k * k) / a_h_ang**2 + el * el / c_h_ang**2)
            for h, k, el in _SEARCH_LINES[:3]
        ]
    )
    return bragg_deg(inverse, wavelength_ang)


def windows(found: Found, pattern: PowderPattern, radiation: Radiation) -> list[tuple[float, float]] | None:
    """Return the two windows in degrees, or None where the scan does not reach far enough."""
    angles = line_angles(found.a_h_ang, found.c_h_ang, radiation.wavelength_ang)
    out = []
    for low, high in ((angles[:2].min(), angles[:2].max()), (angles[2], angles[2])):
        reach = [2.0 * math.degrees(math.tan(math.radians(v / 2.0))) for v in (low, high)]
        begin = max(low - MARGIN * reach[0], float(pattern.two_theta_deg[0]))
        end = min(high + MARGIN * reach[1], float(pattern.two_theta_deg[-1]))
        if begin > low - LEAST_MARGIN * reach[0] or end < high + LEAST_MARGIN * reach[1]:
            return None
        out.append((begin, end))
    return out


def build_problem(
    pattern: PowderPattern,
    radiation: Radiation,
    noise: Noise,
    bounds: list[tuple[float, float]],
    impurities: tuple[str, ...],
) -> tuple[Problem, float]:
    """Cut the windows out of a scan, with background and impurity lines; and how many points make one."""
    xs, ys, ws, backgrounds = [], [], [], []
    for number, (low, high) in enumerate(bounds):
        inside = (pattern.two_theta_deg >= low) & (pattern.two_theta_deg <= high)
        x, y = pattern.two_theta_deg[inside], pattern.intensity[inside]
        group = max(1, len(x) // (_MAX_POINTS // 2))
        if group > 1:
            keep = len(x) // group * group
            x, y = (v[:keep].reshape(-1, group).mean(axis=1) for v in (x, y))
        t = (x - low) / max(high - low, 1e-9)
        xs.append(x)
        ys.append(y)
        ws.append(np.full(len(x), number))
        backgrounds.append(np.column_stack([(1.0 - t) ** 2, 2.0 * t * (1.0 - t), t**2]))
    x, y, w = np.concatenate(xs), np.concatenate(ys), np.concatenate(ws)
    background = np.zeros((len(x), 6))
    background[w == 0, :3], background[w == 1, 3:] = backgrounds
    lines = []
    for phase in impurities:
        inside_lines = []
        for d, strength in IMPURITY_LINES[phase]:
            angle = float(bragg_deg(np.array(1.0 / d), radiation.wavelength_ang))
            for number, (low, high) in enumerate(bounds):
                pad = 0.05 * (high - low)
                if low - pad < angle < high + pad:
                    inside_lines.append(ImpurityLine(phase, d, strength, number))
        top = max((line.relative for line in inside_lines), default=1.0)
        lines += [replace(line, relative=line.relative / top) for line in inside_lines]
    grouping = float(max(1, round(float(np.median(np.diff(x))) / pattern.step_deg)))
    smooth = np.convolve(np.pad(y, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    problem = Problem(
        x=x,
        y=y,
        sigma=noise.sigma(smooth) / math.sqrt(grouping),
        window=w,
        background=background,
        radiation=radiation,
        impurities=tuple(lines),
        line_scale=_line_scale(x, y, w),
    )
    return problem, grouping


def _line_scale(x: FloatArray, y: FloatArray, window: FloatArray) -> float:
    """Rough intensity of 110 from the areas above background: 104 + 110 + 024 share them as LINE_RATIOS say."""
    area = 0.0
    for w in (0, 1):
        mine = window == w
        net = y[mine] - np.percentile(y[mine], 15)
        area += float(np.sum(net) * np.median(np.diff(x[mine])))
    return max(area, 0.0) / (1.0 + sum(ratio for _, ratio in LINE_RATIOS))


def guess_width(problem: Problem) -> float:
    """Estimate the line width from the runs above half maximum, degrees; good within a factor of two."""
    step = float(np.median(np.diff(problem.x)))
    y = problem.y - np.percentile(problem.y, 15)
    guess = []
    for w in (0, 1):
        part = np.convolve(y[problem.window == w], np.full(3, 1.0 / 3.0), mode="same")
        if len(part) > 8:
            above = part > 0.5 * part.max()
            runs = np.diff(np.flatnonzero(np.diff(np.r_[0, above.astype(int), 0])))[::2]
            guess.append(float(runs.max()) * step if len(runs) else 0.1)
    narrow = min(guess) if guess else 0.1
    return float(min(max(0.8 * narrow, 0.04, 1.5 * step), 0.35))


def range_problem(pattern: PowderPattern, radiation: Radiation, found: list[Found]) -> str:
    """Why the scan does not hold what the fit needs; empty where it does."""
    typical = line_angles(9.05, 22.9, radiation.wavelength_ang)
    if not np.all(np.isfinite(typical)):
        return f"at {radiation.wavelength_ang:g} angstrom the lines 104, 110 and 024 do not diffract"
    reached = [cell for cell in found if windows(cell, pattern, radiation) is not None]
    if not reached:
        low, high = pattern.two_theta_deg[0], pattern.two_theta_deg[-1]
        return (
            f"the scan runs from {low:.2f} to {high:.2f} deg, but the lines 104, 110 and 024 lie near "
            f"{typical[0]:.1f}, {typical[1]:.1f} and {typical[2]:.1f} deg "
            f"at {radiation.wavelength_ang:.4f} angstrom; measure both regions, half a degree on either side"
        )
    for low, high in windows(reached[0], pattern, radiation) or ():
        inside = (pattern.two_theta_deg >= low) & (pattern.two_theta_deg <= high)
        if inside.sum() < 25:
            return f"only {int(inside.sum())} points lie from {low:.2f} to {high:.2f} deg; use a finer step"
        gap = float(np.diff(pattern.two_theta_deg[inside]).max())
        if gap > 6.0 * pattern.step_deg and gap > 0.15 * radiation.wavelength_ang / 1.5405929:
            return (
                f"the scan has a gap of {gap:.2f} deg between {low:.2f} and {high:.2f} deg; measure it whole"
            )
    return ""


def missing_lines(
    pattern: PowderPattern, radiation: Radiation, noise: Noise, a_h_ang: float, c_h_ang: float
) -> str:
    """Why other strong lines of a NASICON that the scan should hold are absent; empty where they are there.

    113 and 116 are strong in every NASICON; each is looked for within 0.5 degree (Cu), which covers any
    split.
    """
    scale = _scale(radiation.wavelength_ang)
    grid, excess = _excess(pattern, noise, 0.22 * scale)
    strongest = float(
        np.max([_highest(grid, excess, v, 0.3 * scale) for v in _window_lines(a_h_ang, c_h_ang, radiation)])
    )
    for h, k, el in ((1, 1, 3), (1, 1, 6)):
        inverse = math.sqrt(4.0 / 3.0 * (h * h + h * k + k * k) / a_h_ang**2 + el * el / c_h_ang**2)
        angle = float(bragg_deg(np.array(inverse), radiation.wavelength_ang))
        if not math.isfinite(angle) or not grid[0] + 0.8 * scale < angle < grid[-1] - 0.8 * scale:
            continue
        if np.isnan(excess[np.abs(grid - angle) < 0.5 * scale]).any():
            continue
        height = _highest(grid, excess, angle, 0.5 * scale)
        if strongest > 15.0 and height < 0.08 * strongest:
            return (
                f"the line {h}{k}{el} expected near {angle:.1f} deg is absent, though every NASICON "
                "shows it; check sample and wavelength"
            )
    return ""


def _window_lines(a_h_ang: float, c_h_ang: float, radiation: Radiation) -> list[float]:
    return [float(v) for v in line_angles(a_h_ang, c_h_ang, radiation.wavelength_ang)]


def _highest(grid: FloatArray, excess: FloatArray, angle: float, reach: float) -> float:
    near = excess[np.abs(grid - angle) < reach]
    return float(np.nanmax(near)) if np.isfinite(near).any() else 0.0


def foreign_lines(
    pattern: PowderPattern, radiation: Radiation, noise: Noise, a_h_ang: float, c_h_ang: float
) -> tuple[float, float]:
    """Look for lines where no NASICON has any.

    Between 012 and 104, 110 and 113, and 202 and 024 the pattern of either phase is empty.

    Returns
    -------
    (2-theta in degrees, strength relative to the strongest line of the fit)
        Of the strongest such line; strength 0 where there is none to speak of.
    """
    scale = _scale(radiation.wavelength_ang)
    grid, excess = _excess(pattern, noise, 0.22 * scale)
    mine = max(_highest(grid, excess, v, 0.3 * scale) for v in _window_lines(a_h_ang, c_h_ang, radiation))
    worst, where = 0.0, 0.0
    for pair in _EMPTY_BETWEEN:
        inverse = [
            math.sqrt(4.0 / 3.0 * (h * h + h * k + k * k) / a_h_ang**2 + (el / c_h_ang) ** 2)
            for h, k, el in pair
        ]
        low, high = bragg_deg(np.array(inverse), radiation.wavelength_ang)
        empty = (grid > low + 0.6 * scale) & (grid < high - 0.6 * scale) & np.isfinite(excess)
        if empty.any() and float(excess[empty].max()) > worst:
            worst, where = float(excess[empty].max()), float(grid[empty][int(np.argmax(excess[empty]))])
    return (where, worst / mine) if worst > 10.0 and mine > 0.0 else (where, 0.0)

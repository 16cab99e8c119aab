"""Figures of powder patterns and of their fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nasicon_struct.diffraction import PowderPattern, Reflection
from nasicon_struct.errors import PatternError
from nasicon_struct.pattern_fit import FittedModel, PatternFit
from nasicon_struct.pattern_fit.impurities import IMPURITY_LINES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREYS = ("black", "0.45", "0.65", "0.25")
#: Colour, line style and width of each model; told apart in grey by the style.
_STYLE: Final = {
    "rhombohedral": ("0.55", "--", 1.3, "R-3c"),
    "monoclinic": ("black", "-", 1.1, "C2/c"),
    "mixed": ("0.25", "-.", 1.2, "both"),
}
#: Left edge, width of the two columns; bottom, height of curves, ticks and residuals (parts of the axes).
_COLUMNS: Final = ((0.0, 0.47), (0.53, 0.47))
_CURVES: Final = (0.47, 0.53)
_TICKS: Final = (0.31, 0.15)
#: Impurity lines weaker than this part of the strongest NASICON line are not marked.
_FAINTEST_IMPURITY: Final = 0.01
_RESIDUALS: Final = (0.0, 0.27)


def plot_pattern(
    pattern: PowderPattern | Sequence[PowderPattern] | Mapping[str, PowderPattern],
    ax: Axes | None = None,
    *,
    two_theta_deg: tuple[float, float] | None = None,
    ticks: bool = True,
    label_lines: int = 8,
    setting: str = "auto",
) -> Axes:
    """Draw one pattern, or several above each other.

    Parameters
    ----------
    pattern : PowderPattern, sequence of them, or mapping of name to PowderPattern
    ax : matplotlib Axes, optional
        Drawn into; a new figure when absent.
    two_theta_deg : (float, float), optional
        Range shown, degrees; the range of the patterns when absent.
    ticks : bool
        Mark the Bragg angles of calculated patterns below each curve.
    label_lines : int
        How many of the strongest lines carry their indices (single patterns only).
    setting : {"auto", "hexagonal", "monoclinic", "own"}
        Indices on which axes; ``"auto"`` writes those of the structure that was given, hexagonal where they
        are the same line.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    PatternError
        If there is no pattern, a pattern has no points in the range, or the setting is unknown.
    """
    if setting not in ("auto", "hexagonal", "monoclinic", "own"):
        raise PatternError(f"setting must be auto, hexagonal, monoclinic or own, got {setting!r}")
    named = _named(pattern)
    if ax is None:
        _, ax = plt.subplots(figsize=(7.0, 2.6 + 1.1 * len(named)), layout="constrained")
    low = min(p.two_theta_deg[0] for p in named.values())
    high = max(p.two_theta_deg[-1] for p in named.values())
    if two_theta_deg is not None:
        low, high = two_theta_deg
    for number, (name, item) in enumerate(named.items()):
        shown = (item.two_theta_deg >= low) & (item.two_theta_deg <= high)
        if shown.sum() < 2:
            raise PatternError(f"{name or 'the pattern'} has no points between {low:g} and {high:g} deg")
        y = item.intensity[shown]
        top = max(float(y.max()), 1e-300)
        base = 1.35 * (len(named) - 1 - number)
        scaled = y / top if len(named) > 1 or not item.is_counts else y
        unit = 1.0 if scaled is not y else top
        if scaled is y:
            base = 0.0
        ax.plot(
            item.two_theta_deg[shown], scaled + base, color=_GREYS[number % 4], lw=0.9, label=name or None
        )
        if len(named) > 1:
            ax.text(0.99, base + 1.04, name, transform=ax.get_yaxis_transform(), ha="right", fontsize=9)
        lines = [r for r in item.reflections if low <= r.two_theta_deg <= high and r.intensity > 0.2]
        if ticks and lines:
            x = [r.two_theta_deg for r in lines]
            ax.plot(x, np.full(len(x), base - 0.06 * unit), "|", color=_GREYS[number % 4], ms=6)
        if len(named) == 1 and lines and label_lines:
            _label_lines(
                ax, item, sorted(lines, key=lambda r: -r.intensity)[:label_lines], setting, unit, high - low
            )
    counts = len(named) == 1 and next(iter(named.values())).is_counts
    ax.set_ylabel("intensity (counts)" if counts else "intensity (arbitrary unit)")
    if not counts:
        ax.set_yticks([])
    ax.set_xlim(low, high)
    ax.set_xlabel(r"$2\theta$ (degree)" + _wavelength_note(named))
    return ax


def _named(
    pattern: PowderPattern | Sequence[PowderPattern] | Mapping[str, PowderPattern],
) -> dict[str, PowderPattern]:
    if isinstance(pattern, PowderPattern):
        return {"": pattern}
    named = (
        dict(pattern)
        if isinstance(pattern, Mapping)
        else {p.source or str(i): p for i, p in enumerate(pattern)}
    )
    if not named:
        raise PatternError("there is no pattern to draw; give at least one")
    return named


def _wavelength_note(named: Mapping[str, PowderPattern]) -> str:
    lengths = {p.wavelength_ang for p in named.values()}
    if len(lengths) != 1 or None in lengths:
        return ""
    return rf", $\lambda$ = {lengths.pop():.4f} Å"


def format_hkl(hkl: tuple[int, int, int]) -> str:
    """Write indices with overbars, as matplotlib math text."""
    return "$" + "".join(rf"\bar{{{-v}}}" if v < 0 else str(v) for v in hkl) + "$"


def _indices(reflection: Reflection, setting: str) -> str:
    families: tuple[tuple[int, int, int], ...] = (reflection.hkl,)
    if setting == "hexagonal":
        families = reflection.hkl_hexagonal
    elif setting == "monoclinic":
        families = reflection.hkl_monoclinic
    return " ".join(format_hkl(hkl) for hkl in families)


def _label_lines(
    ax: Axes, item: PowderPattern, lines: list[Reflection], setting: str, unit: float, span: float
) -> None:
    """Write the indices above the lines; those of lines close together stand in one column."""
    clusters: list[list[Reflection]] = []
    for line in sorted(lines, key=lambda r: r.two_theta_deg):
        if clusters and line.two_theta_deg - clusters[-1][-1].two_theta_deg < 0.035 * span:
            clusters[-1].append(line)
        else:
            clusters.append([line])
    top = float(item.intensity.max())
    highest = 1.0
    for cluster in clusters:
        angles = [r.two_theta_deg for r in cluster]
        near = (item.two_theta_deg > min(angles) - 0.01 * span) & (
            item.two_theta_deg < max(angles) + 0.01 * span
        )
        height = float(item.intensity[near].max()) / top + 0.02
        highest = max(highest, height + 0.075 * len(cluster))
        ax.text(
            float(np.mean(angles)),
            height * unit,
            "\n".join(_indices(r, setting) for r in cluster),
            ha="center",
            va="bottom",
            fontsize=8,
            linespacing=1.0,
        )
    ax.set_ylim(-0.12 * unit, (highest + 0.03) * unit)


def plot_pattern_fit(fit: PatternFit, ax: Axes | None = None, *, models: tuple[str, ...] = ()) -> Axes:
    """Draw a profile fit: data and fitted curves in both windows, Bragg angles in both settings, residuals.

    Parameters
    ----------
    fit : PatternFit
        As :func:`fit_pattern` returns it; it must not have been refused.
    ax : matplotlib Axes, optional
        Its area is divided into panels; a new figure when absent.
    models : tuple of {"rhombohedral", "monoclinic", "mixed"}
        Curves drawn; the two single phases and, where it is the most probable, the mixture when empty.

    Returns
    -------
    matplotlib Axes
        The frame that holds the panels.

    Raises
    ------
    PatternError
        If the fit was refused, so that there is nothing to draw, or a model is unknown.
    """
    if not fit.models:
        raise PatternError(f"the fit was refused and has no curves: {fit.refusal}")
    best = fit.best_model
    assert best is not None
    shown = models or tuple(k for k in _STYLE if k in fit.models and (k != "mixed" or best.key == "mixed"))
    unknown = [k for k in shown if k not in fit.models]
    if unknown:
        raise PatternError(f"the fit has no model {unknown[0]!r}; it has {', '.join(fit.models)}")
    if ax is None:
        _, ax = plt.subplots(figsize=(7.5, 4.8))
        ax.figure.subplots_adjust(left=0.1, right=0.965, top=0.9, bottom=0.12)
    ax.set_axis_off()
    gap = int(np.argmax(np.diff(fit.two_theta_deg))) + 1
    parts = (slice(0, gap), slice(gap, None))
    top = 1.08 * float(fit.intensity.max())
    largest = 1.0
    panels = []
    for column, (part, (left, width)) in enumerate(zip(parts, _COLUMNS, strict=True)):
        curves, ticks, residuals = (
            ax.inset_axes((left, bottom, width, height)) for bottom, height in (_CURVES, _TICKS, _RESIDUALS)
        )
        x = fit.two_theta_deg[part]
        curves.plot(x, fit.intensity[part], ".", color="0.3", ms=3.2, label="data" if column else None)
        for offset, key in enumerate(shown):
            color, style, thickness, name = _STYLE[key]
            model = fit.models[key]
            label = f"{name}, $\\chi^2$ = {model.chi2:.0f}" if column else None
            curves.plot(x, model.curve[part], style, color=color, lw=thickness, label=label)
            residual = (fit.intensity[part] - model.curve[part]) / fit.sigma[part]
            residuals.plot(x, residual, style, color=color, lw=0.8, zorder=3 - offset)
            largest = max(largest, float(np.percentile(np.abs(residual), 99.5)))
        _draw_ticks(ticks, fit, x)
        curves.set_ylim(0, top)
        for panel in (curves, ticks, residuals):
            panel.set_xlim(float(x[0]), float(x[-1]))
        for panel in (curves, residuals):  # the columns stand close: no labels at the ends
            panel.xaxis.set_major_locator(MaxNLocator(nbins=6, prune="both"))
        curves.tick_params(labelbottom=False)
        residuals.tick_params(axis="x", labelsize=9)
        ticks.set_xticks([])
        residuals.axhline(0, color="0.7", lw=0.6)
        panels.append((curves, ticks, residuals))
    for _, _, residuals in panels:
        residuals.set_ylim(-1.15 * largest, 1.15 * largest)
        residuals.set_xlabel(r"$2\theta$ (degree)")
    for panel in panels[1][:3]:
        panel.set_yticklabels([])
    panels[0][0].set_ylabel("intensity (unit of the scan)")
    panels[0][2].set_ylabel(r"residual ($\sigma$)")
    panels[1][0].legend(fontsize=8, frameon=False, loc="upper right")
    ax.set_title(_title(fit), fontsize=10)
    return ax


def _title(fit: PatternFit) -> str:
    p = fit.probabilities
    head = f"{fit.phase}"
    if fit.phase in p:
        head += f" (P = {p[fit.phase]:.2f})"
    if fit.phase == "mixed" and fit.fraction_monoclinic is not None:
        head += f", {100.0 * fit.fraction_monoclinic:.0f}({100.0 * (fit.fraction_monoclinic_se or 0.0):.0f}) % C2/c"
    return (
        f"{head}   $\\delta_1$ = {_fourth(fit.delta1)}({round(1e4 * (fit.delta1_se or 0)):d})   "
        f"$\\delta_2$ = {_fourth(fit.delta2)}({round(1e4 * (fit.delta2_se or 0)):d})"
    )


def _fourth(value: float | None) -> str:
    """Four decimals with sign; nothing is -0.0000."""
    return f"{round(value or 0.0, 4) + 0.0:+.4f}"


def _draw_ticks(ax: Axes, fit: PatternFit, x: NDArray[Any]) -> None:
    """Bragg angles of K-alpha1 of both settings, with indices, and of the impurities that were found."""
    foreign = _impurity_lines(fit)
    heights = (0.68, 0.35, 0.03) if foreign else (0.62, 0.05)
    tick = 0.10 if foreign else 0.16
    for (key, setting), height in zip(
        (("monoclinic", "C2/c"), ("rhombohedral", "R-3c")), heights, strict=False
    ):
        lines = _lines(fit.models.get("mixed" if fit.phase == "mixed" else key), setting)
        inside = sorted((t, hkl) for hkl, t in lines if x[0] < t < x[-1])
        ax.vlines([t for t, _ in inside], height, height + tick, color="black", lw=1.0)
        shift = 0.032 * float(x[-1] - x[0])
        placed = -np.inf
        for angle, hkl in inside:
            at = max(angle, placed + 2.4 * shift)
            placed = at
            ax.text(at, height + tick + 0.01, format_hkl(hkl), fontsize=6.5, ha="center", va="bottom")
        if inside:
            ax.text(
                0.01,
                height + 0.5 * tick,
                setting,
                transform=ax.get_yaxis_transform(),
                fontsize=7,
                va="center",
            )
    for phase, angle in foreign:
        if x[0] < angle < x[-1]:
            left = angle > 0.5 * float(x[0] + x[-1])
            ax.vlines([angle], heights[-1], heights[-1] + 0.16, color="black", lw=1.0, ls=":")
            ax.text(
                angle,
                heights[-1] + 0.08,
                f" {phase} ",
                fontsize=6.5,
                ha="right" if left else "left",
                va="center",
            )
    ax.set_ylim(0, 1.1)
    ax.set_yticks([])


def _impurity_lines(fit: PatternFit) -> list[tuple[str, float]]:
    """Phases found beside the NASICON, with the 2-theta of their lines in degrees."""
    model = fit.best_model
    if model is None or fit.wavelength_ang is None:
        return []
    strongest = max((intensity for _, _, _, intensity in model.lines), default=0.0)
    shift = model.values["zero"][0] + model.values["impurity_shift"][0]
    out = []
    for phase, lines in IMPURITY_LINES.items():
        strength = model.values.get(f"intensity of {phase}", (0.0, 0.0))[0]
        if strength <= _FAINTEST_IMPURITY * strongest:
            continue
        out += [
            (phase, 2.0 * math.degrees(math.asin(0.5 * fit.wavelength_ang / d)) + shift)
            for d, _ in lines
            if d > 0.5 * fit.wavelength_ang
        ]
    return out


def _lines(model: FittedModel | None, setting: str) -> list[tuple[tuple[int, int, int], float]]:
    if model is None:
        return []
    return [(hkl, angle) for name, hkl, angle, _ in model.lines if name == setting]

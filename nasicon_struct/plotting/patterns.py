"""Figures of powder patterns and of their fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from nasicon_struct.diffraction import PowderPattern, Reflection
from nasicon_struct.errors import PatternError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREYS = ("black", "0.45", "0.65", "0.25")
_STYLES = ("-", "--", "-.", ":")


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

"""Figures of phase assignments: reliability, probability over composition and temperature, metrics."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MultipleLocator

from nasicon_struct import reference
from nasicon_struct.errors import PatternError
from nasicon_struct.metric import MonoclinicDistortion, monoclinic_distortion
from nasicon_struct.phase import PhaseAssignment, metric_probability
from nasicon_struct.phase_model import PhaseMap, ProbabilityCurve, literature_rows, probability_curve
from nasicon_struct.units import ROOM_TEMPERATURE_K

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = {"monoclinic": "s", "rhombohedral": "o", "mixed": "D", "borderline": "D"}
_FILLS = {"monoclinic": "black", "rhombohedral": "white", "mixed": "0.6", "borderline": "0.6"}


def _axes(ax: Axes | None, width: float = 4.6, height: float = 4.0) -> Axes:
    if ax is None:
        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def plot_reliability(
    probabilities: Sequence[float],
    outcomes: Sequence[bool],
    ax: Axes | None = None,
    *,
    edges: Sequence[float] = (0.0, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0),
) -> Axes:
    """Draw how often rows given a probability turned out monoclinic.

    Parameters
    ----------
    probabilities : sequence of float
        P(monoclinic) given.
    outcomes : sequence of bool
        Whether the label was monoclinic.
    ax : matplotlib Axes, optional
    edges : sequence of float
        Edges of the groups.

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax)
    p, truth = np.asarray(probabilities, dtype=float), np.asarray(outcomes, dtype=bool)
    ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--", label="perfect calibration")
    labelled = False
    for low, high in itertools.pairwise(edges):
        inside = (p >= low) & ((p < high) | (high == edges[-1]))
        n = int(inside.sum())
        if not n:
            continue
        k = int(truth[inside].sum())
        # the 68 % interval of a binomial share with a flat prior (Wilson score)
        centre = (k + 0.5) / (n + 1.0)
        half = np.sqrt(k / n * (1 - k / n) / n + 0.25 / n**2) / (1.0 + 1.0 / n)
        ax.errorbar(
            p[inside].mean(),
            k / n,
            yerr=[[max(0.0, k / n - (centre - half))], [max(0.0, centre + half - k / n)]],
            fmt="o",
            color="black",
            capsize=3,
            label=None if labelled else "left-out sources (68 % interval)",
        )
        labelled = True
        ax.annotate(
            f"{n}", (p[inside].mean(), k / n), xytext=(7, -10), textcoords="offset points", fontsize=8
        )
    ax.set(xlim=(-0.05, 1.08), ylim=(-0.05, 1.08))
    ax.set_xlabel("P(monoclinic) given")
    ax.set_ylabel("share found monoclinic")
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(0.0, 0.87))
    return ax


def plot_phase_map(result: PhaseMap, ax: Axes | None = None, *, literature: bool = True) -> Axes:
    """Draw P(monoclinic) over Si content and dopant amount, with the literature compositions on it.

    Parameters
    ----------
    result : PhaseMap
    ax : matplotlib Axes, optional
    literature : bool
        Mark the rows of the literature table with this dopant alone, or none, near this temperature.

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax, 6.0, 4.2)
    p = np.array(result.probability_monoclinic)
    filled = ax.contourf(
        result.x_si, result.amounts, p, levels=np.linspace(0.0, 1.0, 11), cmap="Greys", vmin=0.0, vmax=1.6
    )
    lines = ax.contour(
        result.x_si, result.amounts, p, levels=[0.3, 0.5, 0.7], colors="black", linewidths=(0.8, 1.6, 0.8)
    )
    ax.clabel(lines, fmt="%.1f", fontsize=8)
    bar = ax.figure.colorbar(filled, ax=ax)
    bar.set_label(f"P(monoclinic) at {result.temperature_k:.0f} K")
    if literature:
        _mark_literature(result, ax)
    ax.set_xlabel("Si per O$_{12}$")
    ax.set_ylabel(f"{result.dopant} per O$_{{12}}$")
    return ax


def _mark_literature(result: PhaseMap, ax: Axes) -> None:
    seen = set()
    for row in literature_rows():
        dopants = set(row.composition.m_site) - {"Zr"}
        amount = row.composition.m_site.get(result.dopant, 0.0)
        full = abs(sum(row.composition.m_site.values()) - 2.0) < 1e-6
        if dopants - {result.dopant} or row.phase not in _MARKERS or not full:
            continue
        if abs(row.temperature_k - result.temperature_k) > 15 or amount > max(result.amounts) + 1e-9:
            continue
        name = "mixed or borderline" if row.phase in ("mixed", "borderline") else row.phase
        ax.plot(
            row.composition.x_si,
            amount,
            _MARKERS[row.phase],
            mfc=_FILLS[row.phase],
            mec="black",
            ms=6,
            clip_on=False,
            zorder=4,
            ls="none",
            label=None if name in seen else name,
        )
        seen.add(name)
    if seen:
        ax.legend(fontsize=8, loc="upper left", framealpha=0.9)


def plot_probability_curve(
    result: ProbabilityCurve | Sequence[ProbabilityCurve], ax: Axes | None = None
) -> Axes:
    """Draw P(monoclinic) against temperature, for one composition or several.

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax, 5.2, 3.6)
    curves = [result] if isinstance(result, ProbabilityCurve) else list(result)
    styles = ("-", "--", "-.", ":")
    for i, curve in enumerate(curves):
        ax.plot(
            curve.temperatures_k,
            curve.probability_monoclinic,
            color="black" if i < 4 else "0.5",
            ls=styles[i % 4],
            label=f"{curve.formula}: "
            f"{curve.transition_temperature_k:.0f} $\\pm$ {curve.transition_temperature_se_k:.0f} K",
        )
    ax.axvline(ROOM_TEMPERATURE_K, color="0.7", lw=0.8)
    ax.set(ylim=(0, 1.03 + 0.075 * len(curves)), yticks=np.linspace(0.0, 1.0, 6))  # room for the legend
    ax.set_xlabel("temperature (K)")
    ax.set_ylabel("P(monoclinic)")
    ax.legend(fontsize=7, loc="upper right", framealpha=0.9)
    return ax


def literature_distortions() -> dict[str, tuple[MonoclinicDistortion, str]]:
    """Return the distortion and the phase of every C2/c cell of the literature table, by formula."""
    cells = {}
    for row in reference.read_rows("literature_phases"):
        if row["a_ang"]:
            cell = tuple(float(row[name]) for name in ("a_ang", "b_ang", "c_ang", "beta_deg"))
            cells[row["formula"]] = (monoclinic_distortion(cell), row["phase"])
    return cells


def plot_distortions(
    result: Mapping[str, tuple[MonoclinicDistortion, str]],
    ax: Axes | None = None,
    *,
    names: Collection[str] | None = None,
) -> Axes:
    """Draw cells in the plane of the two distortions, over the probability that the metric alone gives.

    Parameters
    ----------
    result : mapping of name to (MonoclinicDistortion, label)
        The label (``"monoclinic"``, ``"rhombohedral"`` or other) chooses the marker.
    ax : matplotlib Axes, optional
    names : collection of str, optional
        Names to write beside their cells; all when absent.

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax, 5.6, 4.4)
    d2, d1 = np.linspace(-0.0235, 0.008, 127), np.linspace(-0.006, 0.006, 81)
    p = np.array([[metric_probability(a, b) for b in d2] for a in d1])
    filled = ax.contourf(d2, d1, p, levels=np.linspace(0.0, 1.0, 11), cmap="Greys", vmin=0.0, vmax=2.5)
    ax.figure.colorbar(filled, ax=ax).set_label("P(monoclinic) from the metric alone")
    ax.contour(d2, d1, p, levels=[0.3, 0.5, 0.7], colors="black", linewidths=(0.8, 1.6, 0.8))
    for i, (name, (distortion, label)) in enumerate(
        sorted(result.items(), key=lambda item: item[1][0].delta1)
    ):
        ax.errorbar(
            distortion.delta2,
            distortion.delta1,
            xerr=distortion.delta2_se,
            yerr=distortion.delta1_se,
            fmt=_MARKERS.get(label, "D"),
            mfc=_FILLS.get(label, "0.6"),
            mec="black",
            ecolor="black",
            ms=6,
        )
        if names is None or name in names:
            left = distortion.delta2 > -0.004 or i % 2 == 1
            ax.annotate(
                name,
                (distortion.delta2, distortion.delta1),
                xytext=(-7 if left else 7, -3),
                textcoords="offset points",
                ha="right" if left else "left",
                fontsize=7,
            )
    ax.xaxis.set_major_locator(MultipleLocator(0.005))
    ax.set_xlabel(r"$\delta_2 = -3 c \cos\beta / a - 1$")
    ax.set_ylabel(r"$\delta_1 = a / \sqrt{3} b - 1$")
    return ax


def plot_assignment(result: PhaseAssignment, ax: Axes | None = None) -> Axes:
    """Draw the evidence of an assignment: the fit of a pattern, else the metric, else P against temperature.

    Parameters
    ----------
    result : PhaseAssignment
    ax : matplotlib Axes, optional
        Not used for the fit of a pattern, which has several panels.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    PatternError
        If the only evidence is a pattern that could not be fitted.
    """
    if result.pattern_fit is not None and not result.pattern_fit.refusal:
        from nasicon_struct.plotting.patterns import plot_pattern_fit

        return plot_pattern_fit(result.pattern_fit)
    if result.distortion is not None:
        name = f"this cell: {result.phase}"
        cells = literature_distortions() | {name: (result.distortion, result.phase)}
        return plot_distortions(cells, ax, names={name})
    if result.formula is not None:
        return plot_probability_curve(probability_curve(result.formula), ax)
    raise PatternError("there is nothing to draw: the pattern could not be fitted")

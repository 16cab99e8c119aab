"""Text of ``nasicon-struct window``."""

from __future__ import annotations

import math
from typing import Any

import click

#: Shifts of a limit smaller than this, V, and of an energy, eV per atom, are not worth a line.
_SMALL_SHIFT = 0.0005


def print_window(window: Any, tolerance: Any = None, framework: Any = None) -> None:
    """Print one window: limits, steps, remarks."""
    from tabulate import tabulate

    click.echo(_headline(window))
    click.echo(f"Energies: {window.source}{', ' + window.level if window.level else ''}")
    click.echo()
    limits = _limits(window, tolerance, framework)
    if limits:
        headers = ["", "reduction (V)", "oxidation (V)", "remark"]
        click.echo(
            tabulate(limits, headers, disable_numparse=True, colalign=("left", "right", "right", "left"))
        )
        click.echo()
    rows = [
        [
            f"{step.v_low:.3f}",
            _voltage(step.v_high),
            f"{step.exchanged:+.3f}",
            f"{step.capacity_mah_per_g:+.1f}",
            step.reaction,
        ]
        for step in window.steps
    ]
    headers = ["from (V)", "to (V)", f"{window.open_element} taken up", "mAh/g", "reaction"]
    click.echo(tabulate(rows, headers, disable_numparse=True, colalign=("right",) * 4 + ("left",)))
    click.echo()
    for line in _remarks(window):
        click.echo(f"- {line}")


def _headline(window: Any) -> str:
    if window.is_stable:
        against = f"V against {window.open_element}"
        if math.isinf(window.oxidation_v):
            text = f"{window.target}: stable from {window.reduction_v:.3f} {against} upwards, without a limit"
        else:
            text = (
                f"{window.target}: stable from {window.reduction_v:.3f} to {window.oxidation_v:.3f} {against}"
            )
        if window.is_doubtful:
            text += (
                f", but on the hull in only {window.uncertainty.percent_stable} of the draws of the errors"
            )
        return text
    if window.is_stable is None:
        return f"{window.target}: no window, since these energies hold none of {window.target}"
    above = 1000 * window.e_above_hull_ev_per_atom
    return f"{window.target}: no window, {above:.1f} meV/atom above the hull"


def _limits(window: Any, tolerance: Any, framework: Any) -> list[list[str]]:
    """Return rows: what, reduction limit, oxidation limit, remark."""
    from nasicon_struct.stability.published import PUBLISHED_AGAINST, published_windows

    low, high = window.assemblage_reduction_v, window.assemblage_oxidation_v
    if window.is_stable:
        rows = [["this level", f"{window.reduction_v:.3f}", _voltage(window.oxidation_v), ""]]
        becomes = [" + ".join(p) or "-" for p in (window.reduction_products, window.oxidation_products)]
        rows.append(["becomes", *becomes, ""])
    else:
        remark = "where the mixture it would form exchanges nothing; no window of the compound"
        rows = [["mixture", f"{low:.3f}", _voltage(high), remark]]
    known = window.uncertainty
    if known is not None:
        pairs = (known.reduction_v_interval, known.oxidation_v_interval)
        if any(pair is not None for pair in pairs):
            share = f"on the hull in {known.percent_stable} of {known.n_samples} draws of the errors"
            medians = (known.reduction_v_median, known.oxidation_v_median)
            rows.append(["median", *("-" if value is None else f"{value:.2f}" for value in medians), share])
            rows.append(["95 % interval", *(_interval(pair) for pair in pairs), ""])
    if tolerance is not None:
        remark = "of a compound on the hull, for lack of an energy" if tolerance.is_assemblage else ""
        name = f"within {1000 * tolerance.tolerance_ev_per_atom:g} meV/atom"
        if tolerance.reduction_v is None:
            rows.append([name, "nowhere", "nowhere", remark])
        else:
            rows.append([name, f"{tolerance.reduction_v:.3f}", _voltage(tolerance.oxidation_v), remark])
    if framework is not None:
        remark = (
            f"by way of {', '.join(framework.framework)}" if framework.framework else "no other phase of it"
        )
        limits = (framework.reduction_v, framework.oxidation_v)
        rows.append(["framework kept", *("-" if v is None else f"{v:.3f}" for v in limits), remark])
    for found in published_windows(window.target) if window.open_element == PUBLISHED_AGAINST else ():
        upper = "-" if found.oxidation_v is None else f"{found.oxidation_v:.2f}"
        sign = "" if found.relation == "=" else f"{found.relation} "
        lower = "-" if found.reduction_v is None else f"{found.reduction_v:.2f}"
        rows.append(["published", lower, f"{sign}{upper}", f"{found.kind}; {found.cited or found.source}"])
    return rows


def _remarks(window: Any) -> list[str]:
    lines = []
    if window.is_stable and window.depth_ev_per_atom is not None:
        depth = 1000 * window.depth_ev_per_atom
        lines.append(f"it lies {depth:.1f} meV/atom below the hull of all other phases")
    if not window.is_stable:
        lines.append(f"decomposition: {window.decomposition_reaction}")
    known = window.uncertainty
    if known is not None:
        lines += [text for text in (_effect(effect, window) for effect in known.competitors[:3]) if text]
        lines.append(f"error of the energies: {known.model}")
    lines += [f"held fixed: {held}" for held in window.reservoirs]
    lines += list(window.notes)
    if window.missing:
        lines.append(f"known phases that these energies lack: {', '.join(window.missing)}")
    return lines


def _effect(effect: Any, window: Any) -> str:
    """Return what would change without a competitor; empty where next to nothing would."""
    if not window.is_stable:
        above = effect.e_above_hull_ev_per_atom
        if abs(above - (window.e_above_hull_ev_per_atom or 0.0)) < _SMALL_SHIFT:
            return ""
        state = "on the hull" if above == 0 else f"{1000 * above:.1f} meV/atom above the hull"
        return f"without {effect.formula} it would lie {state}"
    shifts = [
        f"the {name} limit would move by {shift:+.3f} V"
        for name, shift in (("reduction", effect.reduction_shift_v), ("oxidation", effect.oxidation_shift_v))
        if shift and abs(shift) >= _SMALL_SHIFT
    ]
    return f"without {effect.formula} {' and '.join(shifts)}" if shifts else ""


def _interval(pair: tuple[float, float] | None) -> str:
    return "-" if pair is None else f"{pair[0]:.2f} to {pair[1]:.2f}"


def _voltage(value: float) -> str:
    return "no limit" if math.isinf(value) else f"{value:.3f}"

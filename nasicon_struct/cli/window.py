"""``nasicon-struct window``: stability windows against Na metal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, json_option

EPILOG = """\b
Examples:
  nasicon-struct window Na3SbS4 Na3PS4
  nasicon-struct window Na3Zr2Si2PO12 --json
  nasicon-struct window Na3PS4 --entries my_energies.csv --figure window.png
"""


@click.command(epilog=EPILOG)
@click.argument("targets", metavar="FORMULA|CIF...", nargs=-1, required=True)
@click.option("--source", metavar="NAME", help="Embedded energies to use [default: mp2019-gga].")
@click.option(
    "--entries",
    "entries_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Energies from a CSV (formula, formation_energy_ev_per_atom) or JSON of pymatgen entries.",
)
@click.option("--open-element", default="Na", show_default=True, help="Element exchanged with the electrode.")
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the windows as bars into this file.",
)
@json_option
def command(
    targets: tuple[str, ...],
    source: str | None,
    entries_file: Path | None,
    open_element: str,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Give the stability window of each composition, the reactions at all voltages, and published values."""
    from nasicon_struct.stability import stability_window

    if source and entries_file:
        raise click.UsageError("give either --source or --entries, not both")
    entries: Any = entries_file or source
    windows = [stability_window(target, entries, open_element=open_element) for target in targets]
    if figure:
        from nasicon_struct.cli.figures import save_figure
        from nasicon_struct.plotting.windows import plot_windows

        save_figure(plot_windows(windows), figure)
    if as_json:
        echo_json([summary(window) for window in windows])
        return
    for number, window in enumerate(windows):
        if number:
            click.echo("")
        print_window(window)


def print_window(window: Any) -> None:
    """Print one window as text."""
    from tabulate import tabulate

    from nasicon_struct.stability import published_windows

    click.echo(str(window) if window.is_stable else f"{window.target}: no window")
    click.echo(f"- {window.reason}")
    if window.is_stable and window.depth_ev_per_atom is not None:
        click.echo(
            f"- depth below the hull of all other phases: {1000 * window.depth_ev_per_atom:.1f} meV/atom"
        )
    if not window.is_stable:
        click.echo(f"- decomposition: {window.decomposition_reaction}")
        click.echo(f"- that mixture, not the compound, exchanges no {window.open_element} {_range(window)}")
    click.echo(f"- energies: {window.source}, {window.level}")
    for found in published_windows(window.target):
        click.echo(f"- published ({found.kind}): {_published_range(found)}; {found.cited or found.source}")
    for note in window.notes:
        click.echo(f"- note: {note}")
    if window.missing:
        click.echo(f"- known phases that these energies lack: {', '.join(window.missing)}")
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
    headers = ["from (V)", "to (V)", f"{window.open_element} taken up", "mAh/g", "equilibrium"]
    click.echo(tabulate(rows, headers, disable_numparse=True, colalign=("right",) * 4 + ("left",)))


def _range(window: Any) -> str:
    low, high = window.assemblage_reduction_v, window.assemblage_oxidation_v
    if high - low < 1e-9:
        return f"only at {low:.3f} V"
    return f"from {low:.3f} V to {_voltage(high)}{'' if math.isinf(high) else ' V'}"


def _voltage(value: float) -> str:
    return "any" if math.isinf(value) else f"{value:.3f}"


def _published_range(found: Any) -> str:
    low = "" if found.reduction_v is None else f"{found.reduction_v:.2f}"
    sign = "" if found.relation == "=" else f"{found.relation} "
    high = "" if found.oxidation_v is None else f"{sign}{found.oxidation_v:.2f}"
    return f"{low} to {high} V" if low else f"up to {high} V"


def summary(window: Any) -> dict[str, Any]:
    """Return the JSON of a window: one flat level, with units in the names; no limit is null."""
    from nasicon_struct.stability import published_windows

    return {
        "target": window.target,
        "reduction_v": window.reduction_v,
        "oxidation_v": window.oxidation_v,
        "e_above_hull_ev_per_atom": window.e_above_hull_ev_per_atom,
        "is_stable": window.is_stable,
        "reason": window.reason,
        "open_element": window.open_element,
        "source": window.source,
        "level": window.level,
        "formation_energy_ev_per_atom": window.formation_energy_ev_per_atom,
        "hull_energy_ev_per_atom": window.hull_energy_ev_per_atom,
        "depth_ev_per_atom": window.depth_ev_per_atom,
        "decomposition": [_amount(part) for part in window.decomposition],
        "decomposition_reaction": window.decomposition_reaction,
        "assemblage_reduction_v": window.assemblage_reduction_v,
        "assemblage_oxidation_v": window.assemblage_oxidation_v,
        "reduction_reaction": window.reduction_reaction,
        "oxidation_reaction": window.oxidation_reaction,
        "steps": [_step(step) for step in window.steps],
        "published": [_published(found) for found in published_windows(window.target)],
        "missing": list(window.missing),
        "notes": list(window.notes),
        "uncertainty": None if window.uncertainty is None else _uncertainty(window.uncertainty),
    }


def _amount(part: Any) -> dict[str, Any]:
    return {"formula": part.formula, "amount": part.amount, "atomic_fraction": part.atomic_fraction}


def _step(step: Any) -> dict[str, Any]:
    return {
        "v_low": step.v_low,
        "v_high": step.v_high,
        "reaction": step.reaction,
        "exchanged": step.exchanged,
        "capacity_mah_per_g": step.capacity_mah_per_g,
        "reaction_energy_ev_per_atom": step.reaction_energy_ev_per_atom,
        "is_target": step.is_target,
        "products": [_amount(part) for part in step.products],
    }


def _published(found: Any) -> dict[str, Any]:
    names = ("kind", "reduction_v", "oxidation_v", "relation", "cited", "source", "note")
    return {name: getattr(found, name) for name in names}


def _uncertainty(known: Any) -> dict[str, Any]:
    names = (
        "reduction_v_median reduction_v_interval reduction_v_se oxidation_v_median oxidation_v_interval "
        "oxidation_v_se e_above_hull_median_ev_per_atom e_above_hull_interval_ev_per_atom probability_stable "
        "n_samples seed model"
    )
    result = {name: getattr(known, name) for name in names.split()}
    effects = "formula e_above_hull_ev_per_atom reduction_v oxidation_v reduction_shift_v oxidation_shift_v"
    result["competitors"] = [{n: getattr(e, n) for n in effects.split()} for e in known.competitors]
    return result

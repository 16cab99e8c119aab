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
  nasicon-struct window Na3SbS4 --energy Na3SbS4=-1.107
  nasicon-struct window Na3Zr2Si2PO12 --reservoir O2:298.15K:0.21bar
"""


@click.command(epilog=EPILOG)
@click.argument("targets", metavar="FORMULA|CIF...", nargs=-1, required=True)
@click.option(
    "--source", metavar="NAME", help="Embedded energies to use [default: by the elements, see cite and docs]."
)
@click.option(
    "--entries",
    "entries_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Energies from a CSV (formula, formation_energy_ev_per_atom) or JSON of pymatgen entries.",
)
@click.option("--open-element", default="Na", show_default=True, help="Element exchanged with the electrode.")
@click.option(
    "--energy",
    "energies",
    metavar="FORMULA=EV",
    multiple=True,
    help="Formation energy of a target, eV/atom, at the level of the energies.",
)
@click.option(
    "--reservoir",
    "reservoirs",
    metavar="S|O2:T:P",
    multiple=True,
    help="Hold an element: S (in excess), or a gas as O2:298.15K:0.21bar.",
)
@click.option(
    "--tolerance",
    type=float,
    metavar="EV",
    help="Also the range within this energy of the hull, eV/atom.",
)
@click.option("--uncertainty/--no-uncertainty", default=True, help="Sample the error of the energies.")
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the windows as bars into this file.",
)
@click.option(
    "--profile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the steps of the first target into this file.",
)
@json_option
def command(
    targets: tuple[str, ...],
    source: str | None,
    entries_file: Path | None,
    open_element: str,
    energies: tuple[str, ...],
    reservoirs: tuple[str, ...],
    tolerance: float | None,
    uncertainty: bool,
    figure: Path | None,
    profile: Path | None,
    as_json: bool,
) -> None:
    """Give the stability window of each composition, the reactions at all voltages, and published values."""
    from nasicon_struct.stability import parse_reservoir, stability_window, tolerance_window

    entries = choose_entries(source, entries_file)
    given = _energies(energies, targets)
    held = [parse_reservoir(text) for text in reservoirs]
    windows, tolerances = [], []
    for target in targets:
        options: dict[str, Any] = {
            "open_element": open_element,
            "formation_energy_ev_per_atom": given.get(target),
            "reservoirs": held,
        }
        windows.append(stability_window(target, entries, uncertainty=uncertainty, **options))
        if tolerance is not None:
            tolerances.append(tolerance_window(target, entries, tolerance_ev_per_atom=tolerance, **options))
    if figure or profile:
        from nasicon_struct.cli.figures import save_figure

        if figure:
            from nasicon_struct.plotting.windows import plot_windows

            save_figure(plot_windows(windows), figure)
        if profile:
            from nasicon_struct.plotting.windows import plot_voltage_profile

            save_figure(plot_voltage_profile(windows[0]), profile)
    if as_json:
        rows = [summary(window) for window in windows]
        for row, found in zip(rows, tolerances, strict=False):
            names = ("tolerance_ev_per_atom", "reduction_v", "oxidation_v", "is_assemblage")
            row["tolerance_window"] = {name: getattr(found, name) for name in names}
        echo_json(rows)
        return
    for number, window in enumerate(windows):
        if number:
            click.echo("")
        print_window(window, tolerances[number] if tolerances else None)


def choose_entries(source: str | None, entries_file: Path | None) -> Any:
    """Return what ``as_entry_set`` takes, read once where it is a file."""
    if source and entries_file:
        raise click.UsageError("give either --source or --entries, not both")
    if entries_file:
        from nasicon_struct.entries import entries_from_file

        return entries_from_file(entries_file)
    return source


def _energies(texts: tuple[str, ...], targets: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for text in texts:
        formula, _, number = text.partition("=")
        try:
            found[formula.strip()] = float(number)
        except ValueError:
            raise click.UsageError(f"cannot read --energy {text!r}; write it as Na3SbS4=-1.107") from None
        if formula.strip() not in targets:
            raise click.UsageError(f"--energy names {formula.strip()}, which is none of the targets")
    return found


def print_window(window: Any, tolerance: Any = None) -> None:
    """Print one window as text."""
    from tabulate import tabulate

    from nasicon_struct.stability import published_windows

    click.echo(str(window) if window.is_stable else f"{window.target}: no window")
    click.echo(f"- {window.reason}")
    if window.is_stable and window.depth_ev_per_atom is not None:
        depth = 1000 * window.depth_ev_per_atom
        click.echo(f"- depth below the hull of all other phases: {depth:.1f} meV/atom")
    if not window.is_stable:
        click.echo(f"- decomposition: {window.decomposition_reaction}")
        click.echo(f"- that mixture, not the compound, exchanges no {window.open_element} {_range(window)}")
    if tolerance is not None:
        click.echo(f"- {_tolerance(tolerance)}")
    if window.uncertainty is not None:
        for line in _uncertain(window):
            click.echo(f"- {line}")
    click.echo(f"- energies: {window.source}{', ' + window.level if window.level else ''}")
    for held in window.reservoirs:
        click.echo(f"- held: {held}")
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


def _uncertain(window: Any) -> list[str]:
    known = window.uncertainty
    lines = []
    for name, median, interval in (
        ("reduction", known.reduction_v_median, known.reduction_v_interval),
        ("oxidation", known.oxidation_v_median, known.oxidation_v_interval),
    ):
        if interval is not None:
            lines.append(
                f"{name} limit with the error of the energies: {median:.2f} V, 95 % interval "
                f"{interval[0]:.2f} to "
                f"{interval[1]:.2f} V"
            )
    share = 100 * known.probability_stable
    lines.append(f"on the hull in {share:.0f} % of {known.n_samples} samples; error model: {known.model}")
    for effect in known.competitors[:3]:
        lines.append(_effect(effect, window))
    return lines


def _effect(effect: Any, window: Any) -> str:
    if not window.is_stable:
        above = 1000 * effect.e_above_hull_ev_per_atom
        state = "on the hull" if above == 0 else f"{above:.1f} meV/atom above the hull"
        return f"without {effect.formula} the target would lie {state}"
    shifts = [
        f"the {name} limit would move by {shift:+.3f} V"
        for name, shift in (("reduction", effect.reduction_shift_v), ("oxidation", effect.oxidation_shift_v))
        if shift
    ]
    return f"without {effect.formula} {' and '.join(shifts)}"


def _tolerance(found: Any) -> str:
    limit = f"within {1000 * found.tolerance_ev_per_atom:g} meV/atom of the open hull"
    if found.reduction_v is None:
        return f"{limit}: nowhere"
    what = " (of a compound on the hull at this composition)" if found.is_assemblage else ""
    return f"{limit}{what}: {found.reduction_v:.3f} V to {_voltage(found.oxidation_v)} V"


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

    plain = (
        "target reduction_v oxidation_v e_above_hull_ev_per_atom is_stable reason open_element source level "
        "formation_energy_ev_per_atom hull_energy_ev_per_atom depth_ev_per_atom decomposition_reaction "
        "assemblage_reduction_v assemblage_oxidation_v reduction_reaction oxidation_reaction "
        "reduction_products oxidation_products reservoirs missing notes"
    )
    result = {name: getattr(window, name) for name in plain.split()}
    result["decomposition"] = [_amount(part) for part in window.decomposition]
    result["steps"] = [_step(step) for step in window.steps]
    result["published"] = [_published(found) for found in published_windows(window.target)]
    for name in ("reduction_v_interval", "oxidation_v_interval"):
        result[name] = getattr(window.uncertainty, name, None)
    result["uncertainty"] = None if window.uncertainty is None else _uncertainty(window.uncertainty)
    return result


def _amount(part: Any) -> dict[str, Any]:
    return {"formula": part.formula, "amount": part.amount, "atomic_fraction": part.atomic_fraction}


def _step(step: Any) -> dict[str, Any]:
    names = "v_low v_high reaction exchanged capacity_mah_per_g reaction_energy_ev_per_atom is_target"
    result = {name: getattr(step, name) for name in names.split()}
    result["products"] = [_amount(part) for part in step.products]
    return result


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

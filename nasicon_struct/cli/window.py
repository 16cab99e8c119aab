"""``nasicon-struct window``: stability windows against Na metal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, json_option
from nasicon_struct.cli.energies import choose_entries, entries_options

EPILOG = """\b
Examples:
  nasicon-struct window Na3PS4
  nasicon-struct window Na3SbS4 Na3PS4 --source mp2019-gga --figure windows.png
  nasicon-struct window Na3PS4 --entries my_energies.csv --profile steps.png
  nasicon-struct window Na3SbS4 --source mp2019-gga --energy Na3SbS4=-1.107
  nasicon-struct window Na3SbS4 --source mp2019-gga --tolerance 0.025
  nasicon-struct window Na3Zr2Si2PO12 --reservoir O2:298.15K:0.21bar
  nasicon-struct window Na3Zr2Si2PO12 --framework NaZr2Si2PO12=-2.98
  nasicon-struct window Na3Zr2Si2PO12 --json

\b
Voltages are against the metal of the open element (V vs Na/Na+). A compound
above the hull has no window; then the mixture it would form is described.
"""


@click.command(epilog=EPILOG)
@click.argument("targets", metavar="FORMULA|CIF...", nargs=-1, required=True)
@entries_options
@click.option(
    "--open-element",
    default="Na",
    show_default=True,
    metavar="ELEMENT",
    help="Element exchanged with the electrode; voltages are against its metal.",
)
@click.option(
    "--energy",
    "energies",
    metavar="FORMULA=EV",
    multiple=True,
    help="Formation energy of a target, eV/atom, of the same level as the other energies.",
)
@click.option(
    "--reservoir",
    "reservoirs",
    metavar="S|O2:T:P",
    multiple=True,
    help="Fix one more element: S for an excess of sulfur, O2:298.15K:0.21bar for a gas.",
)
@click.option(
    "--tolerance",
    type=float,
    metavar="EV",
    help="Also give the voltages at which a target is at most this far above the hull, eV/atom.",
)
@click.option(
    "--framework",
    metavar="FORMULA[=EV]",
    multiple=True,
    help="Also give the voltages of insertion and extraction by way of this phase of the same framework, with its "
    "formation energy in eV/atom where the energies lack it.",
)
@click.option(
    "--uncertainty/--no-uncertainty",
    default=True,
    help="Give 95 % intervals from the errors of the energies, or leave them out [default: give them].",
)
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the windows as bars (png, pdf, svg).",
)
@click.option(
    "--profile",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the steps of the first target: voltage against amount exchanged.",
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
    framework: tuple[str, ...],
    uncertainty: bool,
    figure: Path | None,
    profile: Path | None,
    as_json: bool,
) -> None:
    """Between which voltages is a compound stable, and what does it become outside?

    Each formula gets its window with 95 % intervals, published values beside it, and the balanced reactions with
    their capacities at all voltages.
    """
    from nasicon_struct.cli.window_text import print_window
    from nasicon_struct.stability import (
        parse_reservoir,
        stability_window,
        tolerance_window,
        topotactic_window,
    )

    entries = choose_entries(source, entries_file)
    given = _energies(energies, targets)
    held = [parse_reservoir(text) for text in reservoirs]
    phases = _framework(framework)
    windows, tolerances, kept = [], [], []
    for target in targets:
        options: dict[str, Any] = {
            "open_element": open_element,
            "formation_energy_ev_per_atom": given.get(target),
            "reservoirs": held,
        }
        windows.append(stability_window(target, entries, uncertainty=uncertainty, **options))
        if tolerance is not None:
            tolerances.append(tolerance_window(target, entries, tolerance_ev_per_atom=tolerance, **options))
        if phases:
            del options["reservoirs"]
            kept.append(topotactic_window(target, entries, framework=phases, **options))
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
        for row, path in zip(rows, kept, strict=False):
            fields = "reduction_v oxidation_v reduction_reaction oxidation_reaction framework"
            row["topotactic_window"] = {name: getattr(path, name) for name in fields.split()}
        echo_json(rows)
        return
    for number, window in enumerate(windows):
        if number:
            click.echo("")
        print_window(window, tolerances[number] if tolerances else None, kept[number] if kept else None)


def _energies(texts: tuple[str, ...], targets: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for text in texts:
        formula, _, number = (part.strip() for part in text.partition("="))
        if formula in found:
            raise click.UsageError(f"--energy names {formula} twice; give one energy")
        try:
            found[formula] = float(number)
        except ValueError:
            raise click.UsageError(f"cannot read --energy {text!r}; write it as Na3SbS4=-1.107") from None
        if formula not in targets:
            raise click.UsageError(f"--energy names {formula!r}, which is none of the targets")
    return found


def _framework(texts: tuple[str, ...]) -> list[str] | dict[str, float]:
    """Return phases, with their formation energies where all are given."""
    named = [text.partition("=") for text in texts]
    if not any(sign for _, sign, _ in named):
        return [formula.strip() for formula, _, _ in named]
    try:
        return {formula.strip(): float(number) for formula, _, number in named}
    except ValueError:
        raise click.UsageError(
            "give --framework an energy for all phases or for none: NaZr2Si2PO12=-2.98"
        ) from None


def summary(window: Any) -> dict[str, Any]:
    """Return the JSON of a window: one flat level, with units in the names; no limit is null."""
    from nasicon_struct.stability.published import PUBLISHED_AGAINST, published_windows

    plain = (
        "target reduction_v oxidation_v e_above_hull_ev_per_atom is_stable reason open_element source level "
        "formation_energy_ev_per_atom hull_energy_ev_per_atom depth_ev_per_atom decomposition_reaction "
        "assemblage_reduction_v assemblage_oxidation_v reduction_reaction oxidation_reaction "
        "reduction_products oxidation_products reservoirs missing notes"
    )
    result = {name: getattr(window, name) for name in plain.split()}
    result["decomposition"] = [_amount(part) for part in window.decomposition]
    result["steps"] = [_step(step) for step in window.steps]
    known = published_windows(window.target) if window.open_element == PUBLISHED_AGAINST else []
    result["published"] = [_published(found) for found in known]
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

"""``nasicon-struct interface``: reactions between an electrolyte and an electrode."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, json_option
from nasicon_struct.cli.energies import choose_entries, entries_options

EPILOG = """\b
Examples:
  nasicon-struct interface Na3SbS4 Na
  nasicon-struct interface Na3SbS4 Na15Sn4
  nasicon-struct interface Na3SbS4 S --source mp2019-gga --figure mixing.png
  nasicon-struct interface Na3PS4 S --voltage 1.8
  nasicon-struct interface Na3SbS4 Na3PS4 --map --figure map.png
  nasicon-struct interface Na3PS4 P2S5 --entries my_energies.csv --json

\b
Energies are per atom of both materials. The column "together" is the part that
needs both: what either would give off alone is left out.
"""


@click.command(epilog=EPILOG)
@click.argument("a", metavar="ELECTROLYTE")
@click.argument("b", metavar="ELECTRODE")
@click.option(
    "--voltage",
    "voltage_v",
    type=float,
    metavar="V",
    help="Let the open element come and go at this voltage against its metal [default: closed].",
)
@click.option(
    "--open-element",
    default="Na",
    show_default=True,
    metavar="ELEMENT",
    help="Element exchanged at a voltage.",
)
@entries_options
@click.option(
    "--reservoir",
    "reservoirs",
    metavar="S|O2:T:P",
    multiple=True,
    help="Fix one more element: S for an excess of sulfur, O2:298.15K:0.21bar for a gas.",
)
@click.option(
    "--uncertainty/--no-uncertainty",
    default=True,
    help="Give a 95 % interval from the errors of the energies, or leave it out [default: give it].",
)
@click.option(
    "--map", "as_map", is_flag=True, help="Draw all voltages against the mixing ratio, into --figure."
)
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the reaction energy against the mixing ratio, or the map (png, pdf, svg).",
)
@json_option
def command(
    a: str,
    b: str,
    voltage_v: float | None,
    open_element: str,
    source: str | None,
    entries_file: Path | None,
    reservoirs: tuple[str, ...],
    uncertainty: bool,
    as_map: bool,
    figure: Path | None,
    as_json: bool,
) -> None:
    """What do two materials form where they touch, and can that layer stop growing?

    All mixing ratios at which the products change, with balanced reactions, and whether the products pass electrons.
    """
    from nasicon_struct.interface import (
        interface_map,
        interface_reactions,
        interface_uncertainty,
        judge,
    )
    from nasicon_struct.stability import parse_reservoir

    if as_map and not figure:
        raise click.UsageError("--map draws a figure; name its file with --figure")
    if as_map and voltage_v is not None:
        raise click.UsageError("a map covers all voltages; leave --voltage or --map out")
    entries = choose_entries(source, entries_file)
    held = [parse_reservoir(text) for text in reservoirs]
    options: dict[str, Any] = {"voltage_v": voltage_v, "open_element": open_element, "reservoirs": held}
    result = interface_reactions(a, b, entries, **options)
    # The interval is that of the strongest reaction; without a reaction there is none.
    reacts = result.mutual_driving_force_ev_per_atom >= 1e-8
    known = interface_uncertainty(a, b, entries, **options) if uncertainty and reacts else None
    verdict = judge(
        result.strongest_mutual.products,
        electrolyte=result.a,
        source=result.source,
        unchanged=result.mutual_driving_force_ev_per_atom < 1e-8,
        where=f"with {result.b}",
    )
    if result.is_stable is None:
        sentence = f"whether {result.a} reacts with {result.b} is not known: the energies lack one of them"
        verdict = dataclasses.replace(verdict, verdict="unknown", sentence=sentence)
    if figure:
        from nasicon_struct.cli.figures import save_figure
        from nasicon_struct.plotting.interfaces import plot_interface, plot_interface_map

        if as_map:
            grid = interface_map(a, b, entries, open_element=open_element, reservoirs=held)
            save_figure(plot_interface_map(grid), figure)
        else:
            save_figure(plot_interface(result), figure)
    if as_json:
        echo_json(summary(result, verdict, known))
        return
    _print(result, verdict, known)


def _print(result: Any, verdict: Any, known: Any) -> None:
    from tabulate import tabulate

    at = "closed" if result.voltage_v is None else f"at {result.voltage_v:g} V against {result.open_element}"
    click.echo(f"{result.a} | {result.b}, {at}: {_headline(result)}")
    click.echo(f"Energies: {result.source}{', ' + result.level if result.level else ''}")
    click.echo()
    rows = [
        [
            f"{kink.fraction_b:.4f}",
            f"{1000 * kink.energy_ev_per_atom:.1f}",
            f"{1000 * kink.mutual_energy_ev_per_atom:.1f}",
            kink.reaction,
        ]
        for kink in result.kinks
    ]
    headers = [f"share of {result.b}", "meV/atom", "together", "reaction"]
    click.echo(tabulate(rows, headers, disable_numparse=True, colalign=("right",) * 3 + ("left",)))
    click.echo()
    for line in _remarks(result, verdict, known):
        click.echo(f"- {line}")


def _headline(result: Any) -> str:
    if result.is_stable:
        return "no reaction at any ratio"
    if result.is_stable is None:
        return "not known, since the energies lack one of the materials; its mixtures with the other do not react"
    force, kink = 1000 * result.mutual_driving_force_ev_per_atom, result.strongest_mutual
    if force < 1e-5:
        return "no reaction with each other"
    return f"up to {force:.1f} meV/atom given off together, at a share of {kink.fraction_b:.3f} of {result.b}"


def _remarks(result: Any, verdict: Any, known: Any) -> list[str]:
    lines = [verdict.sentence]
    if known is not None:
        low, high = (1000 * value for value in known.interval_ev_per_atom)
        share = 100 * known.probability_reacts
        lines.append(
            f"95 % interval of what is given off together: {low:.1f} to {high:.1f} meV/atom, median "
            f"{1000 * known.median_ev_per_atom:.1f}; the two react in {share:.0f} % of {known.n_samples} draws of the "
            "errors"
        )
        lines.append(f"error of the energies: {known.model}")
    for name, above in (
        (result.a, result.e_above_hull_a_ev_per_atom),
        (result.b, result.e_above_hull_b_ev_per_atom),
    ):
        if above:
            where = "above the hull" if result.voltage_v is None else "above the hull at this voltage"
            lines.append(f"{name} alone lies {1000 * above:.1f} meV/atom {where}")
    lines += [f"reported: {sentence}" for sentence in verdict.observed]
    lines += [f"held fixed: {held}" for held in result.reservoirs]
    lines += list(result.notes)
    if result.missing:
        lines.append(f"known phases that these energies lack: {', '.join(result.missing)}")
    return lines


def summary(result: Any, verdict: Any, known: Any = None) -> dict[str, Any]:
    """Return the JSON of an interface: units in the names, null where a number is not known or infinite."""
    names = (
        "a b source level voltage_v open_element reservoirs e_above_hull_a_ev_per_atom "
        "e_above_hull_b_ev_per_atom driving_force_ev_per_atom mutual_driving_force_ev_per_atom is_stable "
        "missing notes"
    )
    flat = {name: getattr(result, name) for name in names.split()}
    fields = "fraction_b median_ev_per_atom interval_ev_per_atom probability_reacts n_samples seed model"
    flat["uncertainty"] = None if known is None else {name: getattr(known, name) for name in fields.split()}
    flat["verdict"] = verdict.verdict
    flat["verdict_sentence"] = verdict.sentence
    flat["observed"] = list(verdict.observed)
    flat["kinks"] = [
        {
            "fraction_b": kink.fraction_b,
            "ratio_b": None if math.isinf(kink.ratio_b) else kink.ratio_b,
            "energy_ev_per_atom": kink.energy_ev_per_atom,
            "energy_kj_per_mol": kink.energy_kj_per_mol,
            "mutual_energy_ev_per_atom": kink.mutual_energy_ev_per_atom,
            "reaction": kink.reaction,
            "products": [
                {"formula": p.formula, "amount": p.amount, "atomic_fraction": p.atomic_fraction}
                for p in kink.products
            ],
            "exchanged": kink.exchanged,
        }
        for kink in result.kinks
    ]
    return flat

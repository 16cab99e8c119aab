"""``nasicon-struct interface``: reactions between an electrolyte and an electrode."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, json_option
from nasicon_struct.cli.window import choose_entries

EPILOG = """\b
Examples:
  nasicon-struct interface Na3SbS4 Na
  nasicon-struct interface Na3PS4 S --voltage 1.8
  nasicon-struct interface Na3SbS4 Na3PS4 --map --figure map.png
"""


@click.command(epilog=EPILOG)
@click.argument("a", metavar="ELECTROLYTE")
@click.argument("b", metavar="ELECTRODE")
@click.option("--voltage", "voltage_v", type=float, metavar="V", help="Open to the element at this voltage.")
@click.option("--open-element", default="Na", show_default=True, help="Element exchanged at a voltage.")
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
@click.option(
    "--reservoir",
    "reservoirs",
    metavar="S|O2:T:P",
    multiple=True,
    help="Hold an element: S (in excess), or a gas as O2:298.15K:0.21bar.",
)
@click.option("--map", "as_map", is_flag=True, help="Draw the map of voltage against mixing ratio.")
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the mixing curve, or the map, into this file.",
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
    as_map: bool,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Give what two materials form in every mixing ratio, and whether the products pass electrons."""
    from nasicon_struct.interface import interface_map, interface_reactions, judge
    from nasicon_struct.stability import parse_reservoir

    if as_map and not figure:
        raise click.UsageError("--map draws a figure; name its file with --figure")
    if as_map and voltage_v is not None:
        raise click.UsageError("a map covers all voltages; leave --voltage or --map out")
    entries = choose_entries(source, entries_file)
    held = [parse_reservoir(text) for text in reservoirs]
    result = interface_reactions(
        a, b, entries, voltage_v=voltage_v, open_element=open_element, reservoirs=held
    )
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
        echo_json(summary(result, verdict))
        return
    _print(result, verdict)


def _print(result: Any, verdict: Any) -> None:
    from tabulate import tabulate

    at = "closed" if result.voltage_v is None else f"at {result.voltage_v:g} V against {result.open_element}"
    click.echo(f"{result.a} | {result.b}, {at}")
    if result.is_stable:
        click.echo("- no mixture reacts")
    elif result.is_stable is None:
        click.echo(
            "- not known: no mixture of these phases reacts, but the energies lack one of the materials"
        )
    else:
        for name, energy, kink in (
            ("driving force", result.driving_force_ev_per_atom, result.strongest),
            ("of it needs both", result.mutual_driving_force_ev_per_atom, result.strongest_mutual),
        ):
            click.echo(
                f"- {name}: {1000 * energy:.1f} meV/atom at most, at a share of {kink.fraction_b:.3f} of the "
                "atoms "
                f"from {result.b}"
            )
    for name, above in (
        (result.a, result.e_above_hull_a_ev_per_atom),
        (result.b, result.e_above_hull_b_ev_per_atom),
    ):
        if above:
            click.echo(f"- {name} alone lies {1000 * above:.1f} meV/atom above the hull")
    click.echo(f"- electrons: {verdict.sentence}")
    for sentence in verdict.observed:
        click.echo(f"- reported: {sentence}")
    click.echo(f"- energies: {result.source}{', ' + result.level if result.level else ''}")
    for held in result.reservoirs:
        click.echo(f"- held: {held}")
    for note in result.notes:
        click.echo(f"- note: {note}")
    if result.missing:
        click.echo(f"- known phases that these energies lack: {', '.join(result.missing)}")
    rows = [
        [
            f"{kink.fraction_b:.4f}",
            f"{1000 * kink.energy_ev_per_atom:.1f}",
            f"{1000 * kink.mutual_energy_ev_per_atom:.1f}",
            kink.reaction,
        ]
        for kink in result.kinks
    ]
    headers = [f"share of {result.b}", "meV/atom", "mutual", "reaction"]
    click.echo(tabulate(rows, headers, disable_numparse=True, colalign=("right",) * 3 + ("left",)))


def summary(result: Any, verdict: Any) -> dict[str, Any]:
    """Return the JSON of an interface: units in the names, null where a number is not known or infinite."""
    names = (
        "a b source level voltage_v open_element reservoirs e_above_hull_a_ev_per_atom "
        "e_above_hull_b_ev_per_atom driving_force_ev_per_atom mutual_driving_force_ev_per_atom is_stable "
        "missing notes"
    )
    flat = {name: getattr(result, name) for name in names.split()}
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

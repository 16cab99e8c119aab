"""``nasicon-struct design``: everything about one composition, a series or a file of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, echo_table, json_option

EPILOG = """\b
Examples:
  nasicon-struct design "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12" --out design-out
  nasicon-struct design "Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12" --x 0,0.05,0.1 --out series
  nasicon-struct design candidates.csv --out batch
  nasicon-struct design Na3.5Zr1.5Sc0.5Si2PO12 --relax --orderings 2 --mixing-temperature-k 1400
"""


@click.command(epilog=EPILOG)
@click.argument("target", metavar="FORMULA|FILE")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default="design-out", show_default=True
)
@click.option("--x", "x_values", metavar="LIST", help="Values of x in a series, such as 0,0.05,0.1.")
@click.option("--parent", default="xun2025_s2", show_default=True, help="Refined parent of the average cell.")
@click.option("--temperature-k", type=float, default=298.15, show_default=True)
@click.option("--source", help="Energies of the window [default: those nearest to measurement].")
@click.option("--relax", is_flag=True, help="Order, relax with CHGNet and compare with the hull (minutes).")
@click.option("--orderings", default=3, show_default=True, help="Orderings of each parent to relax.")
@click.option("--formula-units", type=int, multiple=True, help="Sizes of the ordered cells.")
@click.option("--mixing-temperature-k", type=float, help="Temperature of the ideal entropy of mixing, K.")
@json_option
def command(
    target: str,
    out: Path,
    x_values: str | None,
    parent: str,
    temperature_k: float,
    source: str | None,
    relax: bool,
    orderings: int,
    formula_units: tuple[int, ...],
    mixing_temperature_k: float | None,
    as_json: bool,
) -> None:
    """Judge a composition: cells, phase, powder pattern and stability window, into the folder --out."""
    from nasicon_struct.composition import NasiconComposition
    from nasicon_struct.design import design, folder_name, read_formulas, summary, write_report
    from nasicon_struct.errors import CompositionError, NasiconError
    from nasicon_struct.series import composition_series

    many = True
    formulas: list[str] = []
    if x_values is not None:
        formulas = [c.formula for c in composition_series(target, x=x_values.split(","))]
    elif "." in target[1:] and Path(target).suffix in (".csv", ".txt", ".dat") and not Path(target).exists():
        raise CompositionError(f"there is no file {target}; give a formula or an existing file of formulas")
    elif Path(target).is_file():
        formulas = list(read_formulas(target))
        if not formulas:
            raise CompositionError(f"{target} holds no formula; write one a line")
    elif re.search(r"\d[+-][\d.]*[a-z]", target):
        raise CompositionError(
            f"{target!r} looks like a series; give the values of its variable, as in --x 0,0.05,0.1"
        )
    else:
        formulas, many = [NasiconComposition.from_formula(target).formula], False
    rows, relaxed, failures = [], [], []
    relax_options = {
        "n_orderings": orderings,
        "formula_units": formula_units or None,
        "temperature_k": mixing_temperature_k,
    }
    for formula in formulas:
        try:
            report = design(
                formula,
                parent=parent,
                temperature_k=temperature_k,
                source=source,
                relax=relax,
                relax_options=relax_options,
            )
        except NasiconError as error:
            if not many:
                raise
            failures.append((formula, str(error)))
            continue
        folder = out / folder_name(report.composition) if many else out
        write_report(report, folder)
        rows.append({**summary(report), "folder": str(folder)})
        if report.relaxed is not None:
            relaxed.append(report.relaxed)
    if as_json:
        echo_json(rows if many else rows[0])
    else:
        echo_table([_row(row) for row in rows], ["formula", "phase", "P(C2/c)", "stability", "folder"])
        for found in relaxed:
            click.echo(f"\n{found}\n{found.describe_window()}" + ("" if many else f"\n\n{found.table()}"))
    for formula, message in failures:
        click.echo(f"error: {formula}: {message}", err=True)
    if failures:
        raise CompositionError(
            f"{len(failures)} of {len(formulas)} compositions failed; the others are in {out}"
        )


def _row(data: dict[str, Any]) -> list[str]:
    window, relaxed = data["window"], data["relaxed"]
    if window["is_stable"]:
        stability = f"{window['reduction_v']:.2f} to {window['oxidation_v']:.2f} V"
    elif window["is_stable"] is None:
        stability = "unknown: no energy of this composition"
        if relaxed is not None:
            stability = (
                f"{1000 * relaxed['e_above_hull_ev_per_atom']:+.0f} meV/atom against the hull, relaxed"
            )
    else:
        stability = f"{1000 * window['e_above_hull_ev_per_atom']:.0f} meV/atom above hull"
    phase = data["phase"]
    return [
        data["formula"],
        phase["phase"],
        f"{phase['probability_monoclinic']:.2f}",
        stability,
        data["folder"],
    ]

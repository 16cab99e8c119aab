"""Series of doped compositions from relaxed ordered cells: compute, export to the shipped tables, print.

    python scripts/doped_series.py --work work/doped --series Si --orderings 3
    python scripts/doped_series.py --work work/doped --formula Na3Zr2Si2PO12 --formula Na3.5Zr1.5Sc0.5Si2PO12
    python scripts/doped_series.py --work work/doped --export
    python scripts/doped_series.py --table

Computing needs the ``mlip`` extra and is resumable: a composition whose file (one JSON each) exists is not computed
again. ``--export`` writes structures/tables/doped_cells.csv and doped_series.csv (then scripts/update_checksums.py), where
what they hold of other compositions stays;
``--table`` puts the tables of docs/doped-cells.md between their marks, from the shipped tables.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from nasicon_struct import (
    DopedSeries,
    DopedStability,
    composition_series,
    doped_stability,
    load_doped_series,
    parse_formula,
    stability_window,
)
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.doped import list_doped_series, series_of
from nasicon_struct.entries import reference_energies

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "structures" / "tables"
PAGE = ROOT / "docs" / "doped-cells.md"
#: Template and x of each series; a composition may belong to several.
SERIES = {
    "Si": ("Na1+xZr2SixP3-xO12", "0,0.5,1,1.5,2,2.5,3"),
    "Sc": ("Na3+xZr2-xScxSi2PO12", "0,0.2,0.25,0.5,0.75,1"),
    "Zn": ("Na3+2xZr2-xZnxSi2PO12", "0,0.25,0.5"),
    "Al": ("Na3+xZr2-xAlxSi2PO12", "0,0.25,0.5"),
    "ScZn": ("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", "0,0.1,0.2"),
}
SOURCE = (
    "this project: doped_stability (nasicon_struct), CHGNet 0.4.2 with r2SCAN weights (X. Huang et al., npj Comput. "
    "Mater. (2025), doi 10.1038/s41524-025-01796-y)"
)
TEMPERATURE_K = 1400.0
SHORT = {"subramanian1985": "monoclinic", "boilot1988_x235": "rhombohedral"}


@click.command()
@click.option("--work", type=click.Path(path_type=Path), help="Folder of the results.")
@click.option("--series", "names", multiple=True, type=click.Choice(list(SERIES)))
@click.option("--formula", "formulas", multiple=True)
@click.option("--level", default="chgnet-r2scan", show_default=True)
@click.option("--orderings", default=3, show_default=True, help="Of each parent.")
@click.option("--export", "exports", is_flag=True, help="Write the shipped tables from the folder.")
@click.option("--table", "as_table", is_flag=True, help="Write the tables of the page from the shipped ones.")
def main(
    work: Path | None,
    names: tuple[str, ...],
    formulas: tuple[str, ...],
    level: str,
    orderings: int,
    exports: bool,
    as_table: bool,
) -> None:
    """Compute, export or print."""
    if as_table:
        write_page()
        return
    if work is None:
        raise click.UsageError("name the folder of the results: --work FOLDER")
    if exports:
        export(work)
        return
    work.mkdir(parents=True, exist_ok=True)
    wanted = [NasiconComposition.from_formula(formula) for formula in formulas]
    for name in names:
        wanted += members(name).values()
    for composition in wanted:
        target = file_of(work, composition)
        if target.exists():
            continue
        found = doped_stability(composition, level=level, n_orderings=orderings, uncertainty=False)
        temporary = target.with_suffix(".part")
        temporary.write_text(found.to_json(), encoding="utf-8")
        temporary.replace(target)
        click.echo(str(found))


def members(name: str) -> dict[float, NasiconComposition]:
    """Return the compositions of a series by x."""
    template, values = SERIES[name]
    x = values.split(",")
    return dict(zip((float(value) for value in x), composition_series(template, x=x), strict=True))


def file_of(work: Path, composition: NasiconComposition) -> Path:
    """Return the file of a composition."""
    return work / f"{composition.formula.replace('/', '_')}.json"


def export(work: Path) -> None:
    """Write what is done into the shipped tables, in place of what they hold of the same compositions."""
    cells: dict[str, list[dict[str, Any]]] = {}
    rows = []
    for name, (template, _) in SERIES.items():
        results = {
            x: read(file_of(work, composition))
            for x, composition in members(name).items()
            if file_of(work, composition).exists()
        }
        if not results:
            continue
        series = series_of(template, results, uncertainty=False)
        for point in series.points:
            found = results[point.x]
            cells[point.formula] = cell_rows(found, series)
            window = point.window
            rows.append(
                {
                    "series": name,
                    "template": template,
                    "x": f"{point.x:g}",
                    "formula": point.formula,
                    "n_cells": len(point.cells),
                    "lowest_parent": point.lowest.parent,
                    "e_above_hull_ev_per_atom": f"{point.e_above_hull_ev_per_atom:.6f}",
                    "spread_ev_per_atom": f"{point.spread_ev_per_atom:.6f}",
                    "e_above_hull_1400_k_ev_per_atom": (
                        f"{point.e_above_hull_mixed_ev_per_atom(TEMPERATURE_K):.6f}"
                    ),
                    "reduction_v": f"{window.assemblage_reduction_v:.4f}",
                    "oxidation_v": f"{window.assemblage_oxidation_v:.4f}",
                    "level": series.level,
                    "source": SOURCE,
                }
            )
    new = {row["formula"] for row in rows}
    for row in read_rows("doped_cells"):
        if row["formula"] not in new:
            cells.setdefault(row["formula"], []).append(row)
    rows += [row for row in read_rows("doped_series") if row["formula"] not in new]
    rows.sort(key=lambda row: (list(SERIES).index(row["series"]), float(row["x"])))
    write_rows("doped_cells", [row for formula in sorted(cells) for row in cells[formula]])
    write_rows("doped_series", rows)


def read(path: Path) -> DopedStability:
    """Read a result, with formation energies from the references of the level as they are now."""
    found = DopedStability.from_dict(json.loads(path.read_text(encoding="utf-8")))
    references = reference_energies(found.level)
    orderings = []
    for item in found.orderings:
        amounts = {symbol: float(n) for symbol, n in parse_formula(item.formula).items()}
        elements = sum(n * references[symbol] for symbol, n in amounts.items()) / sum(amounts.values())
        formation = item.energy_ev_per_atom - elements
        orderings.append(dataclasses.replace(item, formation_energy_ev_per_atom=formation))
    return dataclasses.replace(found, orderings=tuple(orderings))


def cell_rows(found: DopedStability, series: DopedSeries) -> list[dict[str, Any]]:
    """Return one row of each relaxed cell of a composition, by parent, in the order of the Ewald energies."""
    (point,) = [point for point in series.points if point.formula == found.composition]
    entropies = {cell.parent: cell.entropy_ev_per_k_per_atom for cell in point.cells}
    items = sorted(found.orderings, key=lambda item: (item.parent, item.electrostatic_ev_per_fu or 0.0))
    counts: dict[str, int] = {}
    rows = []
    for item in items:
        counts[item.parent] = counts.get(item.parent, 0) + 1
        electrostatic = item.electrostatic_ev_per_fu
        volume = item.relaxed.final.volume / item.n_atoms
        rows.append(
            {
                "formula": found.composition,
                "parent": item.parent,
                "ordering": counts[item.parent],
                "formula_units": item.formula_units,
                "n_atoms": item.n_atoms,
                "electrostatic_ev_per_fu": "" if electrostatic is None else f"{electrostatic:.6f}",
                "energy_ev_per_atom": f"{item.energy_ev_per_atom:.6f}",
                "formation_energy_ev_per_atom": f"{item.formation_energy_ev_per_atom:.6f}",
                "volume_ang3_per_atom": f"{volume:.4f}",
                "entropy_ev_per_k_per_atom": f"{entropies[item.parent]:.6e}",
                "max_force_ev_per_ang": f"{item.relaxed.max_force_ev_per_ang:.4f}",
                "converged": "yes" if item.relaxed.converged else "no",
                "level": found.level,
                "source": SOURCE,
            }
        )
        assert item.composition_error == 0, item.formula
    return rows


def read_rows(name: str) -> list[dict[str, Any]]:
    """Read one of the shipped tables."""
    with (TABLES / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_rows(name: str, rows: list[dict[str, Any]]) -> None:
    """Write one of the shipped tables."""
    path = TABLES / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    click.echo(f"{path}: {len(rows)} rows")


def energy_table() -> str:
    """Return energies above hull of the shipped series as a Markdown table, meV per atom."""
    rows = []
    for name in list_doped_series():
        for point in load_doped_series(name, uncertainty=False).points:
            lowest = {
                parent: min(
                    (cell.e_above_hull_ev_per_atom for cell in point.cells if cell.parent == parent),
                    default=None,
                )
                for parent in SHORT
            }
            counts = [sum(cell.parent == parent for cell in point.cells) for parent in SHORT]
            mixed = point.e_above_hull_mixed_ev_per_atom(TEMPERATURE_K)
            rows.append(
                [
                    name,
                    f"{point.x:g}",
                    point.formula,
                    str(point.lowest.n_atoms),
                    " + ".join(str(n) for n in counts),
                    *("" if value is None else f"{1000 * value:+.1f}" for value in lowest.values()),
                    f"{1000 * point.spread_ev_per_atom:.1f}",
                    f"{1000 * mixed:+.1f}",
                ]
            )
    heads = [
        "series",
        "x",
        "composition",
        "atoms",
        "cells",
        *SHORT.values(),
        "spread",
        "with mixing at 1400 K",
    ]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def window_table() -> str:
    """Return the windows of the shipped series as a Markdown table, V."""
    rows = []
    for name in list_doped_series():
        for point in load_doped_series(name).points:
            known = point.window.uncertainty
            assert known is not None
            limits = [
                f"{value:.2f}" + ("" if pair is None else f" ({pair[0]:.2f} to {pair[1]:.2f})")
                for value, pair in (
                    (point.window.assemblage_reduction_v, known.reduction_v_interval),
                    (point.window.assemblage_oxidation_v, known.oxidation_v_interval),
                )
            ]
            own = stability_window(
                point.formula,
                point.window.source,
                formation_energy_ev_per_atom=point.lowest.formation_energy_ev_per_atom,
                uncertainty=False,
            )
            phases = own.decomposition_reaction.partition("->")[2].strip()
            rows.append([name, f"{point.x:g}", *limits, phases if "+" in phases else ""])
    heads = ["series", "x", "reduction, V", "oxidation, V", "towards, at 0 K"]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def write_page() -> None:
    """Put the tables between their marks in the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in (("series", energy_table()), ("series-windows", window_table())):
        head, begin, rest = text.partition(f"<!-- table: {name} -->\n")
        if not begin:
            raise click.ClickException(f"{PAGE} has no mark of the table {name}")
        tail = rest.partition("<!-- end -->")[2]
        text = f"{head}{begin}\n{table}\n\n<!-- end -->{tail}"
    PAGE.write_text(text, encoding="utf-8")
    click.echo(str(PAGE))


if __name__ == "__main__":
    main()

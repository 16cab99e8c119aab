"""Energies above hull along series of compositions, from relaxed ordered cells: one JSON file per composition.

    python scripts/doped_series.py --work work/doped --formula Na3Zr2Si2PO12 --formula Na3.5Zr1.5Sc0.5Si2PO12
    python scripts/doped_series.py --work work/doped --template "Na1+xZr2SixP3-xO12" --x 0,0.5,1,1.5,2,2.5,3
    python scripts/doped_series.py --work work/doped --table

Needs the ``mlip`` extra. The run is resumable: a composition whose file exists is not computed again.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from nasicon_struct import (
    DopedStability,
    composition_series,
    doped_stability,
    hull_energies,
    load_entries,
    parse_formula,
)
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.doped import DopedOrdering
from nasicon_struct.entries import reference_energies


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of the results.")
@click.option("--formula", "formulas", multiple=True)
@click.option("--template", help="Formula with x.")
@click.option("--x", "values", default="", help="Values of x.")
@click.option("--level", default="chgnet-r2scan", show_default=True)
@click.option("--orderings", default=1, show_default=True, help="Of each parent.")
@click.option("--temperature-k", default=1400.0, show_default=True, help="Of the entropy of mixing, K.")
@click.option("--table", "as_table", is_flag=True, help="Print the table of what is done.")
def main(
    work: Path,
    formulas: tuple[str, ...],
    template: str | None,
    values: str,
    level: str,
    orderings: int,
    temperature_k: float,
    as_table: bool,
) -> None:
    """Compute, or print what is done."""
    if as_table:
        click.echo(table(work))
        return
    work.mkdir(parents=True, exist_ok=True)
    wanted = [NasiconComposition.from_formula(formula) for formula in formulas]
    if template:
        wanted += composition_series(template, x=values.split(","))
    for composition in wanted:
        target = work / f"{composition.formula.replace('/', '_')}.json"
        if target.exists():
            continue
        found = doped_stability(composition, level=level, n_orderings=orderings, temperature_k=temperature_k)
        temporary = target.with_suffix(".part")
        temporary.write_text(found.to_json(), encoding="utf-8")
        temporary.replace(target)
        click.echo(str(found))


def above_hull(item: DopedOrdering, level: str) -> float:
    """Return the energy above hull with the level as it is now, meV per atom."""
    amounts = {symbol: float(n) for symbol, n in parse_formula(item.formula).items()}
    references, total = reference_energies(level), sum(amounts.values())
    formation = item.energy_ev_per_atom - sum(n * references[s] for s, n in amounts.items()) / total
    return 1000 * (formation - float(hull_energies([amounts], load_entries(amounts, source=level))[0]))


def table(work: Path) -> str:
    """Return the results as a table, against the level as it is now."""
    from tabulate import tabulate

    rows = []
    for path in sorted(work.glob("*.json")):
        found = DopedStability.from_dict(json.loads(path.read_text(encoding="utf-8")))
        values = {item.parent: above_hull(item, found.level) for item in reversed(found.orderings)}
        mixed = 1000 * found.e_above_hull_mixed_ev_per_atom - 1000 * found.e_above_hull_ev_per_atom
        composition = NasiconComposition.from_formula(found.composition)
        spread = max(values.values()) - min(values.values())
        columns = [f"{values[p]:+.1f}" if p in values else "" for p in ("subramanian1985", "boilot1988_x235")]
        rows.append(
            [
                composition.x_si,
                found.composition,
                found.lowest.n_atoms,
                *columns,
                f"{spread:.1f}",
                f"{mixed:+.1f}",
            ]
        )
    rows.sort(key=lambda row: (row[0], row[1]))
    heads = ["x(Si)", "composition", "atoms", "monoclinic", "rhombohedral", "spread", "mixing at 1400 K"]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


if __name__ == "__main__":
    main()

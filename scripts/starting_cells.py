"""Write starting structures as cells for DFT: what the Materials Project relaxed in DFT, before the potential saw it.

    python scripts/starting_cells.py --structures cifs/sulfide --out starts.jsonl
    mpirun -np 4 gpaw python scripts/compute_dft.py --cells starts.jsonl --work dft

Reads a folder of CIFs that ``compute_entries.py`` relaxes with the potential and writes a line for every structure
whose citation names the Materials Project (CC BY 4.0), as primitive, symmetrised cells in the form of
``chgnet-r2scan-cells.jsonl``. Their ids end in ``_start``. Where the potential distorts a phase, the energy of such a
cell is the lower one.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from compute_entries import starts_of_folder
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

ENTRIES = Path(__file__).resolve().parent.parent / "structures" / "entries"
_SYMPREC_ANG = 0.01


def lines(folder: Path, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the cells of a folder that the potential relaxed too, whose rows are ``known`` by id."""
    for start in starts_of_folder(folder):
        found = re.search(r"Materials Project (mp-\d+)", start["citation"])
        if not found or start["source_id"] not in known:
            continue
        row = known[start["source_id"]]
        analysis = SpacegroupAnalyzer(Structure.from_file(start["path"]), symprec=_SYMPREC_ANG)
        cell = analysis.get_primitive_standard_structure()
        yield {
            "source_id": start["source_id"] + "_start",
            "start_id": start["source_id"],
            "formula": row["formula"],
            "space_group": analysis.get_space_group_symbol(),
            "energy_ev_per_atom": float(row["energy_ev_per_atom"]),
            "geometry": f"cell of {found[1]}, relaxed in DFT by the Materials Project (CC BY 4.0)",
            "cell_ang": np.round(cell.lattice.matrix, 8).tolist(),
            "symbols": [site.specie.symbol for site in cell],
            "scaled_positions": np.round(cell.frac_coords % 1.0, 8).tolist(),
        }


@click.command()
@click.option("--structures", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(structures: Path, out: Path) -> None:
    """Write the cells of the starting structures in STRUCTURES to OUT."""
    known = {}
    for path in sorted(ENTRIES.glob("chgnet-r2scan-*.csv")):
        with path.open(encoding="utf-8", newline="") as handle:
            known.update({row["source_id"]: row for row in csv.DictReader(handle)})
    written = list(lines(structures, known))
    out.write_text("".join(json.dumps(line) + "\n" for line in written), encoding="utf-8")
    click.echo(f"{out}: {len(written)} cells")


if __name__ == "__main__":
    main()

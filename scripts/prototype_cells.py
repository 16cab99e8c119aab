"""Write starting cells of well-known compounds as CIF, from measured lattice parameters.

    python scripts/prototype_cells.py --out work/prototypes
    python scripts/compute_entries.py --work work --structures work/prototypes

Compounds with a measured formation enthalpy, or competitors at interfaces, for which no other starting structure
is at hand. The numbers only start a relaxation.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click

#: Name, space group number, lattice parameters (Å; degrees), symbols and positions of the sites, where from.
PROTOTYPES: tuple[
    tuple[str, int, tuple[float, ...], list[tuple[str, tuple[float, float, float]]], str], ...
] = (
    (
        "ZnS_sphalerite",
        216,
        (5.409, 5.409, 5.409, 90, 90, 90),
        [("Zn", (0, 0, 0)), ("S", (0.25, 0.25, 0.25))],
        "B. J. Skinner, Am. Mineral. 46 (1961) 1399",
    ),
    (
        "ZrS2_CdI2",
        164,
        (3.662, 3.662, 5.813, 90, 90, 120),
        [("Zr", (0, 0, 0)), ("S", (1 / 3, 2 / 3, 0.25))],
        "F. K. McTaggart, A. D. Wadsley, Aust. J. Chem. 11 (1958) 445",
    ),
    (
        "SiS2_Ibam",
        72,
        (9.583, 5.614, 5.547, 90, 90, 90),
        [("Si", (0, 0, 0.25)), ("S", (0.118, 0.209, 0))],
        "J. Peters, B. Krebs, Acta Cryst. B38 (1982) 1270",
    ),
    (
        "SnSb_rocksalt",
        225,
        (6.13, 6.13, 6.13, 90, 90, 90),
        [("Sn", (0, 0, 0)), ("Sb", (0.5, 0.5, 0.5))],
        "G. Hägg, A. G. Hybinette, Philos. Mag. 20 (1935) 913; rocksalt in place of the measured rhombohedral cell",
    ),
    (
        "SnO2_rutile",
        136,
        (4.737, 4.737, 3.186, 90, 90, 90),
        [("Sn", (0, 0, 0)), ("O", (0.306, 0.306, 0))],
        "J. Haines, J. M. Léger, Phys. Rev. B 55 (1997) 11144",
    ),
    (
        "SnO_litharge",
        129,
        (3.803, 3.803, 4.838, 90, 90, 90),
        [("O", (0, 0, 0)), ("Sn", (0, 0.5, 0.238))],
        "J. Pannetier, G. Denes, Acta Cryst. B36 (1980) 2763",
    ),
)


def write_prototypes(out: Path) -> list[str]:
    """Write one CIF per compound and PROVENANCE.csv into a folder; return a line per compound."""
    from ase.io import write
    from ase.spacegroup import crystal

    out.mkdir(parents=True, exist_ok=True)
    lines = []
    with (out / "PROVENANCE.csv").open("w", encoding="utf-8", newline="") as handle:
        table = csv.writer(handle, lineterminator="\n")
        table.writerow(("file", "formula", "natoms", "spacegroup", "citation"))
        for name, number, cell, sites, source in PROTOTYPES:
            symbols, positions = [site[0] for site in sites], [site[1] for site in sites]
            atoms = crystal(symbols, positions, spacegroup=number, cellpar=cell, primitive_cell=True)
            formula = atoms.get_chemical_formula(mode="reduce")
            write(out / f"{name}.cif", atoms)
            table.writerow((f"{name}.cif", formula, len(atoms), number, source))
            lines.append(
                f"{name}: {formula}, {len(atoms)} atoms, {atoms.get_volume() / len(atoms):.2f} Å^3 per atom"
            )
    return lines


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the CIFs.")
def main(out: Path) -> None:
    """Write one CIF per compound and PROVENANCE.csv."""
    for line in write_prototypes(out):
        click.echo(line)


if __name__ == "__main__":
    main()

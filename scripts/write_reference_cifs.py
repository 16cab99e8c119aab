"""Write structures/cif/*.cif from the printed parameters in structures/tables/refined_*.csv.

Run it after changing these tables, then scripts/update_checksums.py. With --check nothing is written, and
the exit code is 1 when a file differs.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from nasicon_struct import reference
from nasicon_struct.cif import CifAtom, format_cif
from nasicon_struct.composition import element_sites
from nasicon_struct.parents import list_parents, load_parent, parse_su, space_group

STRUCTURES = Path(__file__).resolve().parent.parent / "structures"
#: Formal charges of the sulfides; oxides take them from the table of oxidation states.
SULFIDE_CHARGES = {"Na": 1, "P": 5, "Sb": 5, "S": -2}


def decimal(text: str) -> str:
    """Return a number for the atom loop: fractions as decimals, everything else as printed."""
    return f"{float(parse_su(text)[0]):.6f}".rstrip("0").rstrip(".") if "/" in text else text


def atoms_of(key: str, sulfide: bool) -> list[CifAtom]:
    """Return the atom rows of one structure."""
    atoms = []
    for row in reference.read_rows("refined_sites"):
        if row["key"] != key:
            continue
        fixed = dict(part.strip().split("=") for part in row["correction"].split(";") if "=" in part)
        value = {name: decimal(fixed.get(name, row[name])) for name in ("x", "y", "z", "occupancy")}
        element = row["element"]
        atoms.append(
            CifAtom(
                label=row["label"],
                element=element,
                wyckoff=row["wyckoff"],
                charge=SULFIDE_CHARGES[element] if sulfide else element_sites()[element].oxidation_state,
                multiplicity=int(re.match(r"\d+", row["wyckoff"]).group()),
                u_iso_ang2=row["u_iso_ang2"],
                b_iso_ang2=row["b_iso_ang2"],
                **value,
            )
        )
    return atoms


def corrections(key: str) -> list[str]:
    """Return one sentence for each way in which sites were read otherwise than printed."""
    sentences: dict[str, list[str]] = {}
    for row in reference.read_rows("refined_sites"):
        if row["key"] != key:
            continue
        for part in filter(None, (p.strip() for p in row["correction"].split(";"))):
            name, _, value = part.partition("=")
            text = f"{name} printed {row[name]}, read as {value}" if value else part
            sentences.setdefault(text, []).append(row["label"])
    return [f"{', '.join(labels)}: {text}." for text, labels in sentences.items()]


def cif_text(cell: dict[str, str]) -> str:
    """Return the CIF of one row of refined_cells."""
    key = cell["key"]
    sulfide = key not in list_parents()
    comments = [cell["note"], cell["warning"], *corrections(key)]
    if not sulfide:
        parent = load_parent(key)
        comments += [w for w in parent.warnings if w != cell["warning"]]
        comments += [f"In print: {m}" for m in parent.misprints]
    items = [
        ("_audit_creation_method", "nasicon_struct, scripts/write_reference_cifs.py"),
        ("_chemical_name_common", cell["compound"]),
        ("_chemical_formula_structural", cell["nominal_formula"]),
        ("_exptl_special_details", f"Sample: {cell['sample']}. Method: {cell['method']}."),
        ("_publ_section_references", cell["source"] + (f", doi:{cell['doi']}" if cell["doi"] else "")),
        ("_publ_section_comment", "\n".join(c for c in comments if c)),
        ("_cell_measurement_temperature", cell["temperature_k"] or "?"),
    ]
    header = [
        f"{key}: {cell['compound']}, {space_group(cell['space_group']).xhm()}",
        f"Source: {cell['source']}",
        "Numbers as printed there, except where _publ_section_comment says so.",
    ]
    return format_cif(
        key,
        group=cell["space_group"],
        cell=[cell[name] for name in ("a", "b", "c", "alpha", "beta", "gamma")],
        atoms=atoms_of(key, sulfide),
        z=int(cell["z"]),
        items=[(tag, value) for tag, value in items if value],
        header=header,
    )


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    args = parser.parse_args()
    status = 0
    for cell in reference.read_rows("refined_cells"):
        path = STRUCTURES / "cif" / f"{cell['key']}.cif"
        text = cif_text(cell)
        if args.check:
            if not path.is_file() or path.read_text(encoding="ascii") != text:
                print(f"{path.name} differs; run scripts/write_reference_cifs.py", file=sys.stderr)
                status = 1
        else:
            path.write_text(text, encoding="ascii")
    return status


if __name__ == "__main__":
    sys.exit(main())

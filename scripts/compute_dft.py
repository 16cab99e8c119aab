"""Energies with GPAW and r2SCAN on the relaxed cells of ``structures/entries/chgnet-r2scan-cells.jsonl``.

One JSON file per phase; a phase whose file exists is not computed again, so that a run may be stopped and
started at any time. Runs under the Python that has GPAW (Debian: ``apt-get install gpaw gpaw-data``)::

    mpirun -np 4 gpaw python scripts/compute_dft.py --work dft --elements Na,P,S
    python scripts/compute_dft.py --work dft --export            # writes structures/entries/gpaw-r2scan.csv

Single points: plane waves at 450 eV (600 with O, Si or Zr), functional MGGA_X_R2SCAN+MGGA_C_R2SCAN with GPAW's PBE
datasets, spin-paired, k-point density 2.8 per inverse Å (9 for Na, 7 for Sb and Zr, 4 for Si, 1.5 for the flat bands of
S8), Fermi-Dirac smearing 0.05 eV with the energy extrapolated to zero width, self-consistent to 1e-5 eV per valence
electron. Formation energies refer to bcc Na, black P, S8, A7 Sb, diamond Si and hcp Zr, computed alike, and to an energy
of O fitted to the measured enthalpies of binary oxides (for O2 in a box the functional does not converge here). The cell
of S8 is S_mp-77, with S-S bonds of 2.05 Å as measured; the potential's lowest one has bonds of 1.97 and 2.16 Å in turn,
which are not DFT's.

``--cells`` takes other cells of the same form, such as those of ``starting_cells.py``. ``--export`` also takes up the phases
that ``relax_dft.py`` relaxed further in the same work folder, and writes their cells to ``gpaw-r2scan-cells.jsonl``; cells of a
database are not written, its identifier is.
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path

ENTRIES = Path(__file__).resolve().parent.parent / "structures" / "entries"
XC = "MGGA_X_R2SCAN+MGGA_C_R2SCAN"
REFERENCES = {
    "Na": ("Na", "Na_mp-127"),
    "P": ("P_black", "P_mp-157"),
    "S": ("S_mp-77",),
    "Sb": ("Sb", "Sb_mp-104"),
    "Si": ("Si_mp-149",),
    "Zr": ("Zr_mp-131",),
}
HYPOTHETICAL = ("P2S", "SbS", "SbS2", "Sb11S18", "Sb17S27")
#: k-points per inverse Å of what needs another density than the rest: metals, and the flat bands of a molecular crystal.
DENSITY = 2.8
DENSITIES = {"Na": 9.0, "Sb": 7.0, "S": 1.5, "Zr": 7.0, "Si": 4.0}
#: Plane-wave cut-off, eV, and that of phases with hard elements, whose energies still fall at 450 eV. Of their systems too
#: few phases are computed for a hull.
CUTOFF, CUTOFF_HARD = 450.0, 600.0
HARD = {"O", "Si", "Zr"}
#: Width of the Fermi-Dirac smearing, eV.
SMEARING = 0.05
COLUMNS = "formula polymorph n_atoms energy_ev_per_atom formation_energy_ev_per_atom "
COLUMNS += "formation_energy_potential_cells_ev_per_atom volume_ang3_per_atom cutoff_ev kpoints source_id model flags note source"


def read_cells(path, elements, per_formula, within_ev):
    """Return the cells to compute: the lowest polymorphs of each formula, the references among them."""
    wanted, count, seen = [], {}, {}
    with path.open(encoding="utf-8") as handle:
        lines = [json.loads(line) for line in handle]
    for line in sorted(lines, key=lambda item: (item["formula"], item["energy_ev_per_atom"])):
        formula, held = line["formula"], set(line["symbols"])
        if not held <= set(elements) or formula in HYPOTHETICAL:
            continue
        if len(held) == 1:
            names = REFERENCES[line["symbols"][0]]
            if line.get("start_id", line["source_id"]) in names and formula not in count:
                wanted.append(line)
                count[formula] = 1
            continue
        lowest = seen.setdefault(formula, line["energy_ev_per_atom"])
        near = line["energy_ev_per_atom"] - lowest < within_ev
        twin = any(
            other["formula"] == formula and other["space_group"] == line["space_group"] for other in wanted
        )
        if near and not twin and count.get(formula, 0) < per_formula:
            wanted.append(line)
            count[formula] = count.get(formula, 0) + 1
    return sorted(wanted, key=lambda item: (len(item["symbols"]), item["source_id"]))


def cutoff_of(symbols):
    """Return the plane-wave cut-off of a phase, eV."""
    return CUTOFF if HARD.isdisjoint(symbols) else CUTOFF_HARD


def calculator(cutoff, kpts, txt, smearing=SMEARING):
    """Return GPAW with the settings of every row; ``kpts`` is a density per inverse Å or a size of the grid."""
    from gpaw import GPAW, PW, FermiDirac

    return GPAW(
        mode=PW(cutoff),
        xc=XC,
        kpts={**kpts, "gamma": True},
        occupations=FermiDirac(smearing),
        convergence={"energy": 1e-5, "density": 1e-4, "eigenstates": 4e-8},
        symmetry={"tolerance": 1e-5},
        maxiter=200,
        txt=txt,
    )


def write_result(path, record):
    """Write a result in one piece, so that a run may be stopped at any time."""
    temporary = path.with_suffix(f".part{os.getpid()}")
    temporary.write_text(json.dumps(record))
    temporary.replace(path)


def compute(line, cutoff, density, smearing, txt):
    """Return the energy (extrapolated to zero smearing) and what was used."""
    from ase import Atoms

    atoms = Atoms(line["symbols"], cell=line["cell_ang"], scaled_positions=line["scaled_positions"], pbc=True)
    started = time.time()
    atoms.calc = calculator(cutoff, {"density": density}, txt, smearing)
    energy = atoms.get_potential_energy()
    calc = atoms.calc
    grid = [int(n) for n in calc.wfs.kd.N_c]
    own = {}
    if "start_id" in line:
        own = {name: line[name] for name in ("start_id", "geometry")}
        own["max_force_ev_per_ang"] = float((atoms.get_forces() ** 2).sum(axis=1).max() ** 0.5)
    return {
        **own,
        "source_id": line["source_id"],
        "formula": line["formula"],
        "symbols": line["symbols"],
        "space_group": line["space_group"],
        "energy_ev_per_atom": energy / len(atoms),
        "volume_ang3_per_atom": atoms.get_volume() / len(atoms),
        "cutoff_ev": cutoff,
        "kpoint_density": density,
        "smearing_ev": smearing,
        "kpoints": grid,
        "irreducible_kpoints": len(calc.get_ibz_k_points()),
        "seconds": round(time.time() - started, 1),
        "xc": XC,
    }


def read_results(work):
    """Read what is done: single points, and the phases relaxed in DFT, which name the single point they began from."""
    return [
        json.loads(path.read_text())
        for path in sorted(work.glob("*.json"))
        if not path.name.endswith(".part.json")
    ]


def origin(record):
    """Say in words where the geometry of a row comes from."""
    cell = record.get("geometry", "cell of chgnet-r2scan-cells.jsonl")
    if "modes" not in record:
        return f"single point on the {cell}"
    what = "atoms and lattice" if record["modes"] else f"atoms in the {cell}"
    if record.get("start_lengths_ang"):
        what = "atoms" + (" and lattice" if record["modes"] else "")
        what += f" with the lattice vectors {record['start_lengths_ang'].replace(',', ', ')} Å to begin with"
    return f"{what} relaxed in DFT, from {record['start_id']}; cell in gpaw-r2scan-cells.jsonl"


def element_references(records):
    """Return the energy of each element in its lowest row, eV per atom."""
    found = {}
    for symbol, names in REFERENCES.items():
        rows = [r for r in records if r.get("start_id", r["source_id"]) in names]
        if rows:
            found[symbol] = min(record["energy_ev_per_atom"] for record in rows)
    return found


def formation_energy(record, references):
    """Return the formation energy, eV per atom."""
    symbols = record["symbols"]
    return record["energy_ev_per_atom"] - sum(references[symbol] for symbol in symbols) / len(symbols)


def export(work):
    """Write the table of what is done; without the references of its elements a phase has no formation energy.

    A row on a cell of the potential also gets its formation energy from the elements on cells of the potential, to
    be held against other calculations on such cells.
    """
    found = read_results(work)
    references = element_references(found)
    on_potential = element_references([record for record in found if "start_id" not in record])
    rows, oxygen = [], oxygen_reference(found, references)
    if oxygen:
        references["O"], row = oxygen
        row["flags"] += "; incomplete_system"
        rows.append({name: row[name] for name in COLUMNS.split() if name in row})
    for record in found:
        symbols = record["symbols"]
        formation, flags = "", []
        if set(symbols) <= set(references):
            energy = formation_energy(record, references)
            if len(set(symbols)) == 1:
                flags.append("element" if energy < 1e-9 else "polymorph")
            formation = f"{0.0 if 'element' in flags else energy:.5f}"
        if not HARD.isdisjoint(symbols):
            flags.append("incomplete_system")
        like = ""
        if "start_id" not in record and len(set(symbols)) > 1 and set(symbols) <= set(on_potential):
            like = f"{formation_energy(record, on_potential):.5f}"
        rows.append(
            {
                "formula": record["formula"],
                "polymorph": record["space_group"],
                "n_atoms": len(symbols),
                "energy_ev_per_atom": "{:.5f}".format(record["energy_ev_per_atom"]),
                "formation_energy_ev_per_atom": formation,
                "formation_energy_potential_cells_ev_per_atom": like,
                "volume_ang3_per_atom": "{:.4f}".format(record["volume_ang3_per_atom"]),
                "cutoff_ev": record["cutoff_ev"],
                "kpoints": "x".join(str(n) for n in record["kpoints"]),
                "source_id": record["source_id"],
                "model": "GPAW r2SCAN",
                "flags": "; ".join(flags),
                "note": "",
                "source": origin(record),
            }
        )
    rows.sort(key=lambda row: (row["formula"], float(row["energy_ev_per_atom"])))
    path = ENTRIES / "gpaw-r2scan.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS.split(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    keys = "source_id start_id formula space_group energy_ev_per_atom start_energy_ev_per_atom "
    keys += "max_force_ev_per_ang modes cell_ang symbols scaled_positions"
    with (ENTRIES / "gpaw-r2scan-cells.jsonl").open("w", encoding="utf-8") as handle:
        for record in found:
            if "modes" in record:
                kept = {key: rounded(record[key]) for key in keys.split()}
                handle.write(json.dumps(kept, separators=(",", ":")) + "\n")
    print(path.name, len(rows), "rows")


def oxygen_reference(found, references):
    """Return the energy of an O atom that fits the measured enthalpies of the binary oxides, and its row.

    As for the other levels: ``export_entries.py`` does it, under the Python that has this package. None while there
    are too few oxides.
    """
    if not any(record["formula"] == "ZrO2" for record in found):
        return None
    from export_entries import fit_oxygen, lowest_of, oxygen_row

    from nasicon_struct.entries import composition_key
    from nasicon_struct.formula import parse_formula

    zero = {**references, "O": 0.0}
    oxides = [record for record in found if {"O"} <= set(record["symbols"]) <= set(zero)]
    keys = [composition_key(parse_formula(record["formula"])) for record in oxides]
    energies = [formation_energy(record, zero) for record in oxides]
    value, lines = fit_oxygen(lowest_of(zip(keys, energies, strict=True)))
    print(*lines, sep="\n")
    return value, oxygen_row(value)


def rounded(value):
    """Round the floats of a record to eight decimals."""
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 8) if isinstance(value, float) else value


def main():
    """Compute every phase that has no result yet, smallest first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cells", type=Path, default=ENTRIES / "chgnet-r2scan-cells.jsonl")
    parser.add_argument("--elements", default="Na,P,S,Sb")
    parser.add_argument("--cutoff", type=float, default=0.0, help="eV, of all phases; 0: as above")
    parser.add_argument("--smearing", type=float, default=SMEARING, help="eV")
    parser.add_argument(
        "--density", type=float, default=0.0, help="k-points per inverse Angstrom, of all phases; 0: as above"
    )
    parser.add_argument("--per-formula", type=int, default=2)
    parser.add_argument("--within", type=float, default=0.03, help="eV per atom above the lowest polymorph")
    parser.add_argument("--max-atoms", type=int, default=64)
    parser.add_argument("--only", default="", help="comma-separated source ids")
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.export:
        export(args.work)
        return
    lines = read_cells(args.cells, args.elements.split(","), args.per_formula, args.within)
    lines = [line for line in lines if len(line["symbols"]) <= args.max_atoms]
    if args.only:
        lines = [line for line in lines if line["source_id"] in args.only.split(",")]
    if args.list:
        for line in lines:
            done = "done" if (args.work / (line["source_id"] + ".json")).exists() else ""
            print(len(line["symbols"]), line["formula"], line["space_group"], line["source_id"], done)
        return
    from gpaw.mpi import broadcast, world

    if world.rank == 0:
        args.work.mkdir(parents=True, exist_ok=True)
    for line in lines:
        target = args.work / (line["source_id"] + ".json")
        if broadcast(target.exists() if world.rank == 0 else None, 0):
            continue
        density = args.density or DENSITIES.get(line["formula"], DENSITY)
        cutoff = args.cutoff or cutoff_of(line["symbols"])
        try:
            record = compute(line, cutoff, density, args.smearing, str(target.with_suffix(".txt")))
        except Exception as error:  # a phase that does not converge must not stop the others
            if world.rank == 0:
                print(line["source_id"], "FAILED", repr(error)[:300], flush=True)
            continue
        if world.rank == 0:
            write_result(target, record)
            print(
                line["source_id"],
                len(line["symbols"]),
                record["energy_ev_per_atom"],
                record["seconds"],
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Relax a phase with GPAW and r2SCAN: atoms by forces, lattice by energies along symmetric strains.

GPAW 22.8 has forces for meta-GGA functionals, but no stress, so the lattice is found from parabolas through three
energies, atoms relaxed at each: the volume, and for ``--modes iso,axial`` the length of the z axis against the other
two at that volume. Settings are those of ``compute_dft.py``, with the k-point grid of the start kept. A run may be
stopped and started at any time: energies of cells that are done are read back. ::

    mpirun -np 4 gpaw python scripts/relax_dft.py --work dft --only Na3SbS4_cubic --modes iso
    mpirun -np 4 gpaw python scripts/relax_dft.py --work dft --only NaSbS2_mp-5414        # atoms only
    mpirun -np 4 gpaw python scripts/relax_dft.py --work dft --only Na2S2_beta --lengths 7.638,7.638,5.262

``--lengths`` begins from other lengths of the lattice vectors, measured ones for example, where those of the potential
are far off; they are stated in the result.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))  # "gpaw python" leaves the folder of the script out
from compute_dft import DENSITIES, DENSITY, ENTRIES, XC, calculator, cutoff_of, write_result

MODES = {"iso": (1.0, 1.0, 1.0), "axial": (-0.5, -0.5, 1.0)}


def single_points(line, args, world, broadcast):
    """Return a function that relaxes the atoms in a cell and remembers every cell it has seen."""
    from ase import Atoms
    from ase.optimize import BFGS
    from gpaw.kpt_descriptor import kpts2sizeandoffsets

    memory = args.work / (line["source_id"] + "_relaxed.part.json")
    held = None
    if world.rank == 0:
        held = json.loads(memory.read_text()) if memory.exists() else []
    known = broadcast(held, 0)
    density = DENSITIES.get(line["formula"], DENSITY)
    start = Atoms(
        line["symbols"], cell=first_cell(line, args), scaled_positions=line["scaled_positions"], pbc=True
    )
    size = [int(n) for n in kpts2sizeandoffsets(density=density, gamma=True, atoms=start)[0]]

    def evaluate(cell, positions, label):
        for item in known:
            if np.allclose(item["cell_ang"], cell, atol=1e-7):
                return item
        atoms = Atoms(line["symbols"], cell=cell, scaled_positions=positions, pbc=True)
        log = str(args.work / f"{line['source_id']}_relaxed_{label}.txt")
        atoms.calc = calculator(args.cutoff or cutoff_of(line["symbols"]), {"size": size}, log)
        first = atoms.get_potential_energy()
        optimiser = BFGS(atoms, maxstep=0.1, logfile="-" if world.rank == 0 else None)
        optimiser.run(fmax=args.fmax, steps=args.steps)
        item = {
            "label": label,
            "cell_ang": np.asarray(cell).tolist(),
            "scaled_positions": atoms.get_scaled_positions().tolist(),
            "start_energy_ev_per_atom": first / len(atoms),
            "energy_ev_per_atom": atoms.get_potential_energy() / len(atoms),
            "max_force_ev_per_ang": float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
            "n_steps": int(optimiser.nsteps),
            "kpoints": size,
        }
        known.append(item)
        if world.rank == 0:
            write_result(memory, known)
            print(line["source_id"], label, item["energy_ev_per_atom"], flush=True)
        return item

    return evaluate


def first_cell(line, args):
    """Return the cell to begin with, Å: that of the potential, its vectors brought to the lengths asked for."""
    cell = np.array(line["cell_ang"])
    if args.lengths:
        cell *= (np.array([float(n) for n in args.lengths.split(",")]) / np.linalg.norm(cell, axis=1))[
            :, None
        ]
    return cell


def vertex(left, middle, right, step):
    """Return where a parabola through energies at -step, 0 and step is lowest, at most two steps away."""
    curvature = left - 2 * middle + right
    if curvature <= 0:
        return -2 * step if left < right else 2 * step
    return float(np.clip(0.5 * step * (left - right) / curvature, -2 * step, 2 * step))


def relax(line, args, world, broadcast):
    """Return the relaxed phase; what it started from is in it."""
    evaluate = single_points(line, args, world, broadcast)
    start = evaluate(first_cell(line, args), line["scaled_positions"], "start")
    best = start
    for mode in [name for name in args.modes.split(",") if name]:
        strain = np.array(MODES[mode])
        cell = np.array(best["cell_ang"])
        ends = [
            evaluate(cell * np.exp(sign * args.strain * strain), best["scaled_positions"], f"{mode}{sign:+d}")
            for sign in (-1, 1)
        ]
        where = vertex(*(item["energy_ev_per_atom"] for item in (ends[0], best, ends[1])), args.strain)
        found = evaluate(cell * np.exp(where * strain), best["scaled_positions"], f"{mode}_best")
        best = min((found, best, *ends), key=lambda item: item["energy_ev_per_atom"])
    volume = abs(np.linalg.det(best["cell_ang"])) / len(line["symbols"])
    return {
        **best,
        "source_id": line["source_id"] + "_relaxed",
        "start_id": line["source_id"],
        "formula": line["formula"],
        "symbols": line["symbols"],
        "space_group": line["space_group"],
        **({"geometry": line["geometry"]} if "geometry" in line else {}),
        "modes": args.modes,
        "start_lengths_ang": args.lengths,
        "start_energy_ev_per_atom": start["start_energy_ev_per_atom"],
        "atoms_relaxed_energy_ev_per_atom": start["energy_ev_per_atom"],
        "volume_ang3_per_atom": float(volume),
        "cutoff_ev": args.cutoff or cutoff_of(line["symbols"]),
        "xc": XC,
    }


def main():
    """Relax the phases that are asked for and have no result yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cells", type=Path, default=ENTRIES / "chgnet-r2scan-cells.jsonl")
    parser.add_argument("--only", required=True, help="comma-separated source ids")
    parser.add_argument("--modes", default="", help="iso, axial or both; empty: atoms only")
    parser.add_argument("--lengths", default="", help="of the lattice vectors to begin with, Angstrom: a,b,c")
    parser.add_argument("--strain", type=float, default=0.01, help="of an axis, each way")
    parser.add_argument("--cutoff", type=float, default=0.0, help="eV; 0: that of compute_dft.py")
    parser.add_argument("--fmax", type=float, default=0.03, help="eV per Angstrom")
    parser.add_argument("--steps", type=int, default=25)
    args = parser.parse_args()
    from gpaw.mpi import broadcast, world

    with args.cells.open(encoding="utf-8") as handle:
        lines = {item["source_id"]: item for item in map(json.loads, handle)}
    for name in args.only.split(","):
        target = args.work / f"{name}_relaxed.json"
        if name not in lines:
            parser.error(f"{args.cells} has no cell {name}")
        if broadcast(target.exists() if world.rank == 0 else None, 0):
            continue
        record = relax(lines[name], args, world, broadcast)
        if world.rank == 0:
            write_result(target, record)
            print(name, record["start_energy_ev_per_atom"], "->", record["energy_ev_per_atom"], flush=True)


if __name__ == "__main__":
    main()

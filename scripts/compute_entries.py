"""Relax starting structures with CHGNet (r2SCAN and PBE weights): one JSON file per structure and potential.

The run is resumable: a structure whose result exists is not computed again, results are written atomically, and
several runs may share a work folder one after another. ``scripts/export_entries.py`` turns the work folder into
the tables of ``structures/entries/``.

Needs the ``mlip`` extra (chgnet, torch); structures from the Materials Project also the ``mp`` extra and an API
key. Example::

    python scripts/compute_entries.py --work work --structures cifs/sulfide --structures cifs/oxide --workers 3
    python scripts/compute_entries.py --work work --mp-system Na-Sn-S --workers 3

Method: ASE's LBFGS on atoms and cell together (``FrechetCellFilter``) until no force, and no stress component
times the volume per atom, exceeds ``--fmax``; FIRE where LBFGS does not converge. The start keeps its symmetry
only where the forces vanish by symmetry; nothing is imposed. The PBE weights (version 0.3.0) are fitted to
energies that hold the Materials Project's MP2020 anion corrections, the r2SCAN weights to uncorrected energies.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

MODELS = {"r2scan": "r2scan", "pbe": "0.3.0"}
SYMPREC_ANG = 0.1
_loaded: dict[str, Any] = {}


def calculator(model: str, device: str) -> Any:
    """Return the ASE calculator of a potential, loaded once per process."""
    if model not in _loaded:
        import torch
        from chgnet.model import CHGNet, CHGNetCalculator

        torch.set_num_threads(1)
        network = CHGNet.load(model_name=MODELS[model], use_device=device, verbose=False)
        _loaded[model] = CHGNetCalculator(model=network, use_device=device, on_isolated_atoms="ignore")
    return _loaded[model]


def space_group(atoms: Any) -> str:
    """Return the space group symbol within ``SYMPREC_ANG``, or an empty string."""
    import spglib

    data = spglib.get_symmetry_dataset(
        (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=SYMPREC_ANG
    )
    return data.international if data is not None else ""


def relax(atoms: Any, model: str, *, fmax: float, max_steps: int, device: str = "cpu") -> dict[str, Any]:
    """Relax atoms and cell.

    Parameters
    ----------
    atoms : ase.Atoms
        Start; it is not changed.
    model : {"r2scan", "pbe"}
    fmax : float
        Largest force on an atom, and largest stress component times the volume per atom, eV/Å and eV.
    max_steps : int
        Steps of each of the two optimisers.

    Returns
    -------
    dict
        Energies in eV per atom, volumes in Å^3 per atom, forces in eV/Å, and the relaxed cell.
    """
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE, LBFGS

    started = time.monotonic()
    start = atoms.copy()
    start.calc = calculator(model, device)
    first = float(start.get_potential_energy()) / len(start)
    best, steps, converged, optimiser = start.copy(), 0, False, ""
    for kind in (LBFGS, FIRE):
        trial = best.copy()
        trial.calc = calculator(model, device)
        run = kind(FrechetCellFilter(trial), logfile=None)
        converged = bool(run.run(fmax=fmax, steps=max_steps))
        steps += run.nsteps
        optimiser = kind.__name__
        if float(trial.get_potential_energy()) / len(trial) <= first + 1e-4:
            best = trial
            if converged:
                break
        elif kind is FIRE:
            best, converged = trial, False  # went uphill: kept, and reported as not converged
    import numpy as np

    energy = float(best.get_potential_energy()) / len(best)
    forces = np.linalg.norm(best.get_forces(), axis=1)
    return {
        "energy_ev_per_atom": energy,
        "start_energy_ev_per_atom": first,
        "volume_ang3_per_atom": best.get_volume() / len(best),
        "start_volume_ang3_per_atom": start.get_volume() / len(start),
        "max_force_ev_per_ang": float(forces.max()),
        "max_stress_gpa": float(np.abs(best.get_stress()).max() * 160.21766208),
        "space_group": space_group(best),
        "start_space_group": space_group(start),
        "converged": converged,
        "n_steps": steps,
        "optimiser": optimiser,
        "fmax": fmax,
        "seconds": round(time.monotonic() - started, 2),
        "cell_ang": best.cell.array.tolist(),
        "symbols": best.get_chemical_symbols(),
        "scaled_positions": best.get_scaled_positions(wrap=True).tolist(),
    }


def write_atomically(path: Path, record: dict[str, Any]) -> None:
    """Write JSON so that a reader sees the whole file or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    temporary.replace(path)


def relax_start(task: dict[str, Any]) -> str:
    """Relax one starting structure, write its result, and return a line on it."""
    warnings.filterwarnings("ignore")
    from ase.io import read

    target = Path(task["target"])
    if target.exists():
        return f"{task['source_id']} {task['model']} held already"
    record: dict[str, Any] = {
        key: task[key] for key in ("source_id", "system", "model", "formula", "citation", "n_atoms")
    }
    try:
        atoms = read(task["path"])
        limits = {"fmax": task["fmax"], "max_steps": task["max_steps"]}
        record.update(relax(atoms, task["model"], device=task["device"], **limits))
    except Exception as error:  # a structure that the potential cannot take must not stop the campaign
        record["error"] = f"{type(error).__name__}: {error}"
    write_atomically(target, record)
    if "error" in record:
        return f"{task['source_id']} {task['model']} FAILED {record['error'][:200]}"
    return (
        f"{task['source_id']} {task['model']} {record['energy_ev_per_atom']:.5f} eV/atom "
        f"dV {100 * (record['volume_ang3_per_atom'] / record['start_volume_ang3_per_atom'] - 1):+.1f} % "
        f"{record['n_steps']} steps {record['seconds']:.0f} s{'' if record['converged'] else ' NOT CONVERGED'}"
    )


def starts_of_folder(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the starting structures of a folder of CIFs, with citations from its PROVENANCE.csv if it has one."""
    from ase.io import read

    citations: dict[str, str] = {}
    provenance = folder / "PROVENANCE.csv"
    if provenance.is_file():
        with provenance.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                citations[row["file"]] = row.get("citation") or row.get("source") or ""
    for path in sorted(folder.glob("*.cif")):
        atoms = read(path)
        yield {
            "path": str(path),
            "source_id": path.stem,
            "system": folder.name,
            "formula": atoms.get_chemical_formula(mode="reduce"),
            "n_atoms": len(atoms),
            "citation": citations.get(path.name, ""),
        }


def starts_of_elements(names: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Build elements (``"Al,Sc,Zn"``) in their room-temperature structures from ASE's reference states."""
    from ase.build import bulk
    from ase.data import atomic_numbers, reference_states
    from ase.io import write

    folder.mkdir(parents=True, exist_ok=True)
    for symbol in names.split(","):
        lattice = reference_states[atomic_numbers[symbol]]["symmetry"]
        path = folder / f"{symbol}_{lattice}.cif"
        if not path.exists():
            write(path, bulk(symbol))
    for item in starts_of_folder(folder):
        yield {**item, "citation": "ASE, ase.data.reference_states (measured lattice parameters)"}


def starts_of_materials_project(system: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Fetch the structures of a chemical system and its subsystems into a folder, and yield them."""
    from mp_api.client import MPRester

    folder.mkdir(parents=True, exist_ok=True)
    with MPRester() as client:
        found = client.get_entries_in_chemsys(system.split("-"))
    for entry in found:
        name = f"{entry.composition.reduced_formula}_{entry.data.get('material_id', entry.entry_id)}.cif"
        if not (folder / name).exists():
            entry.structure.to(str(folder / name))
    for item in starts_of_folder(folder):
        yield {**item, "citation": f"Materials Project {item['source_id'].split('_')[-1]}, CC BY 4.0"}


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of the results.")
@click.option("--structures", type=click.Path(path_type=Path, exists=True), multiple=True)
@click.option("--mp-system", multiple=True, help="Chemical system to fetch, such as Na-P-S.")
@click.option("--elements", default="", help="Elements to build, such as Al,Sc,Zn.")
@click.option("--model", type=click.Choice(sorted(MODELS)), multiple=True, default=("r2scan", "pbe"))
@click.option("--workers", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--max-atoms", default=80, show_default=True, help="Larger cells are left for another run.")
@click.option("--fmax", default=0.01, show_default=True, help="Convergence of the forces, eV/Å.")
@click.option("--max-steps", default=300, show_default=True)
@click.option("--only", default="", help="Only source ids that contain this text.")
def main(
    work: Path,
    structures: tuple[Path, ...],
    mp_system: tuple[str, ...],
    elements: str,
    model: tuple[str, ...],
    workers: int,
    device: str,
    max_atoms: int,
    fmax: float,
    max_steps: int,
    only: str,
) -> None:
    """Relax every structure with every potential, smallest first within each folder."""
    groups = [list(starts_of_elements(elements, work / "starts" / "elements"))] if elements else []
    groups += [list(starts_of_folder(folder)) for folder in structures]
    groups += [list(starts_of_materials_project(name, work / "mp" / name)) for name in mp_system]
    tasks: list[dict[str, Any]] = []
    for group in groups:
        for item in sorted(group, key=lambda one: (one["n_atoms"], one["source_id"])):
            if item["n_atoms"] > max_atoms or only not in item["source_id"]:
                continue
            for name in model:
                target = work / name / item["system"] / f"{item['source_id']}.json"
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    common = {"model": name, "target": str(target), "device": device}
                    tasks.append({**item, **common, "fmax": fmax, "max_steps": max_steps})
    click.echo(f"{len(tasks)} relaxations to do")
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers) as pool:
        for number, text in enumerate(pool.imap_unordered(relax_start, tasks), start=1):
            click.echo(f"[{number}/{len(tasks)}] {text}")


if __name__ == "__main__":
    main()

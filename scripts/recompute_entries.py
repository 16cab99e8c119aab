"""Recompute a random part of a shipped level from its starting structures, and compare the energies.

    python scripts/recompute_entries.py --work check --structures cifs --fraction 0.1 --seed 2026

Draws rows of ``structures/entries/chgnet-*.csv`` by their ``source_id``, relaxes the starting structures anew with
the code of ``scripts/compute_entries.py`` in a work folder of its own, and prints count, median and largest
difference and every row beyond the tolerance. Folders of ``--structures`` are searched in depth for
``<source_id>.cif``; elements and prototypes that the project builds itself are built. A row whose start is not at
hand counts as failed. The run is resumable; exit code 1 when a row failed or lies beyond the tolerance.

On one machine the same start gives the same steps to the last bit; with ``--rattle-ang 1e-5`` every coordinate is
moved at random by as little as the rounding of another machine would, which shows what hangs on it.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from compute_entries import relax_start, starts_of_elements, starts_of_folder
from prototype_cells import write_prototypes

ENTRIES = Path(__file__).resolve().parent.parent / "structures" / "entries"
LEVELS = {"chgnet-r2scan": "r2scan", "chgnet-pbe": "pbe"}


def shipped_rows(level: str, entries: Path = ENTRIES) -> list[dict[str, str]]:
    """Return the rows of a level that a relaxation made, sorted by ``source_id``."""
    rows = []
    for path in sorted(entries.glob(f"{level}-*.csv")):
        with path.open(encoding="utf-8", newline="") as handle:
            rows += [row for row in csv.DictReader(handle) if row["model"].startswith("CHGNet")]
    return sorted(rows, key=lambda row: row["source_id"])


def draw(rows: Sequence[dict[str, str]], fraction: float, seed: int) -> list[dict[str, str]]:
    """Return a random part of the rows without repetition, at least one, in the order given."""
    count = max(1, round(fraction * len(rows)))
    chosen = np.random.default_rng(seed).choice(len(rows), size=count, replace=False)
    return [rows[index] for index in sorted(chosen)]


def starts(folders: Sequence[Path], work: Path, names: set[str]) -> dict[str, dict[str, Any]]:
    """Return the starting structures by ``source_id``: those of the folders, then those the project builds."""
    found: dict[str, dict[str, Any]] = {}
    inner = [path for top in folders for path in (top, *sorted(p for p in top.rglob("*") if p.is_dir()))]
    write_prototypes(work / "starts" / "prototypes")
    for folder in (*inner, work / "starts" / "prototypes"):
        if names & {path.stem for path in folder.glob("*.cif")}:
            for item in starts_of_folder(folder):
                found.setdefault(item["source_id"], item)
    elements = sorted(
        name.split("_")[0] for name in names - set(found) if name.endswith(("_fcc", "_hcp", "_bcc"))
    )
    if elements:
        for item in starts_of_elements(",".join(elements), work / "starts" / "elements"):
            found.setdefault(item["source_id"], item)
    return found


def rattled(item: dict[str, Any], folder: Path, size_ang: float) -> dict[str, Any]:
    """Return a start whose coordinates were moved at random (normal, standard deviation in Å), written to a folder."""
    from ase.io import read, write

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{item['source_id']}.traj"
    atoms = read(item["path"])
    atoms.rattle(stdev=size_ang, seed=len(atoms))
    write(path, atoms)
    return {**item, "path": str(path)}


def differences(rows: Sequence[dict[str, str]], folder: Path) -> list[dict[str, Any]]:
    """Compare rows with the results of a folder.

    Returns
    -------
    list of dict
        Per row ``source_id``, ``formula``, ``flags`` and ``difference_mev_per_atom`` (recomputed minus shipped;
        None where there is no result), largest first.
    """
    found = []
    for row in rows:
        path = folder / f"{row['source_id']}.json"
        record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        new = record.get("energy_ev_per_atom")
        item: dict[str, Any] = {
            key: row[key] for key in ("source_id", "formula", "flags", "n_atoms", "n_steps")
        }
        item["difference_mev_per_atom"] = (
            None if new is None else 1000 * (new - float(row["energy_ev_per_atom"]))
        )
        item["steps_now"] = record.get("n_steps")
        found.append(item)
    return sorted(
        found, key=lambda i: -abs(v) if (v := i["difference_mev_per_atom"]) is not None else -np.inf
    )


def report(found: Sequence[dict[str, Any]], tolerance_mev: float) -> tuple[str, int]:
    """Return the text of a comparison, and how many rows failed or lie beyond the tolerance (meV per atom)."""
    sizes = [abs(i["difference_mev_per_atom"]) for i in found if i["difference_mev_per_atom"] is not None]
    lines = []
    if sizes:
        lines.append(
            f"{len(sizes)} of {len(found)} rows recomputed: median {np.median(sizes):.4f}, 90 % within "
            f"{np.quantile(sizes, 0.9):.4f}, largest {max(sizes):.4f} meV per atom"
        )
    bad = 0
    for item in found:
        difference = item["difference_mev_per_atom"]
        if difference is None or abs(difference) > tolerance_mev:
            bad += 1
            value = "no result" if difference is None else f"{difference:+.2f} meV per atom"
            lines.append(
                f"{item['source_id']} {item['formula']}: {value}; steps {item['n_steps']} shipped, "
                f"{item['steps_now']} now; {item['n_atoms']} atoms; {item['flags'] or 'no flags'}"
            )
    lines.append(f"{bad} rows beyond {tolerance_mev:g} meV per atom or without a result")
    return "\n".join(lines), bad


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of the results.")
@click.option("--structures", type=click.Path(path_type=Path, exists=True), multiple=True, required=True)
@click.option("--level", type=click.Choice(sorted(LEVELS)), default="chgnet-r2scan", show_default=True)
@click.option("--fraction", default=0.1, show_default=True, type=click.FloatRange(0.0, 1.0))
@click.option("--seed", default=2026, show_default=True)
@click.option("--tolerance-mev", default=1.0, show_default=True, help="meV per atom.")
@click.option("--rattle-ang", default=0.0, show_default=True, help="Move the coordinates of the starts, Å.")
@click.option("--workers", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--fmax", default=0.01, show_default=True, help="Convergence of the forces, eV/Å.")
@click.option("--max-steps", default=300, show_default=True)
def main(
    work: Path,
    structures: tuple[Path, ...],
    level: str,
    fraction: float,
    seed: int,
    tolerance_mev: float,
    rattle_ang: float,
    workers: int,
    device: str,
    fmax: float,
    max_steps: int,
) -> None:
    """Relax the rows drawn, smallest first, and compare."""
    drawn = draw(shipped_rows(level), fraction, seed)
    at_hand = starts(structures, work, {row["source_id"] for row in drawn})
    folder = work / LEVELS[level]
    folder.mkdir(parents=True, exist_ok=True)
    tasks = []
    for row in sorted(drawn, key=lambda row: int(row["n_atoms"])):
        target = folder / f"{row['source_id']}.json"
        if row["source_id"] in at_hand and not target.exists():
            options = {"model": LEVELS[level], "target": str(target), "device": device}
            start = at_hand[row["source_id"]]
            if rattle_ang:
                start = rattled(start, work / "starts" / "rattled", rattle_ang)
            tasks.append({**start, **options, "fmax": fmax, "max_steps": max_steps})
    click.echo(f"{len(drawn)} rows drawn, {len(tasks)} relaxations to do")
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for number, text in enumerate(pool.imap_unordered(relax_start, tasks), start=1):
            click.echo(f"[{number}/{len(tasks)}] {text}")
    text, bad = report(differences(drawn, folder), tolerance_mev)
    click.echo(text)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

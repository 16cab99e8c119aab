"""One ordering problem solved by another package, in a process of its own; called by ordering.py.

    python benchmarks/ordering_peers.py pymatgen-fast problem.json

The problem file holds the disordered cell with the species of each kind of site pooled. This file needs
pymatgen, and shry for the tasks of that name, but not nasicon_struct, so that another interpreter can run it.
Results are printed as JSON lines as they come; the last one counts.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")


def say(**items: Any) -> None:
    print(json.dumps(items), flush=True)


def pymatgen_task(problem: dict[str, Any], name: str) -> None:
    """Order by OrderDisorderedStructureTransformation with one of its algorithms."""
    from pymatgen.core import Structure
    from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

    structure = Structure.from_dict(problem["structure"])
    algorithm = {
        "pymatgen-fast": OrderDisorderedStructureTransformation.ALGO_FAST,
        "pymatgen-best-first": OrderDisorderedStructureTransformation.ALGO_BEST_FIRST,
    }[name]
    start, cpu = time.perf_counter(), time.process_time()
    ranked = OrderDisorderedStructureTransformation(algo=algorithm).apply_transformation(
        structure, return_ranked_list=1
    )
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    found = ranked[0]["structure"]
    amounts = {str(e): round(n) for e, n in found.composition.element_composition.items()}
    say(
        structure=found.as_dict(),
        seconds=seconds,
        cpu_seconds=cpu,
        right_atoms=amounts == {e: n for e, n in problem["atoms"].items() if n},
        charge=found.charge,
    )


def shry_task(problem: dict[str, Any], name: str) -> None:
    """Count the distinct patterns with SHRY, or take their Ewald energies one after the other."""
    from shry import LabeledStructure, Substitutor

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "problem.cif"
        file.write_text(problem["cif"], encoding="utf-8")
        start, cpu = time.perf_counter(), time.process_time()
        substitutor = Substitutor(LabeledStructure.from_file(str(file)))
        if name == "shry-count":
            count = int(substitutor.count())
            say(count=count, seconds=time.perf_counter() - start, cpu_seconds=time.process_time() - cpu)
            return
        lowest, number, told = float("inf"), 0, 0.0
        for energy in substitutor.ewalds():
            number += 1
            lowest = min(lowest, float(energy))
            if time.perf_counter() - told > 1.0:
                told = time.perf_counter()
                say(
                    energy_ev=lowest, seen=number, seconds=told - start, cpu_seconds=time.process_time() - cpu
                )
        say(
            energy_ev=lowest,
            seen=number,
            seconds=time.perf_counter() - start,
            cpu_seconds=time.process_time() - cpu,
            complete=True,
        )


def main() -> None:
    name, file = sys.argv[1:3]
    problem = json.loads(Path(file).read_text(encoding="utf-8"))
    try:
        (shry_task if name.startswith("shry") else pymatgen_task)(problem, name)
    except Exception as error:  # what another package refuses, and why, is part of the result
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        say(refused=f"{type(error).__name__}: {last}")


if __name__ == "__main__":
    main()

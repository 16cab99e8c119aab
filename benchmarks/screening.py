"""A million candidates: time, memory, and rows per second against a loop over pymatgen, in one run.

    python benchmarks/screening.py --json benchmarks/results/screening.json
    python benchmarks/screening.py --quick

Candidates are formulas in a CSV file: Sc, Zn and Al on Zr from 0 to 0.2 in steps of 0.01, Si from 1.4 up in steps
of 0.01, all columns but the predicted cell, the result a Parquet file. Each of our runs is a process of its own,
start and imports included. CPU seconds are those of all its processes; wall seconds depend on what else the machine
does (the load is in the result). Memory is the peak of the parent plus the number of workers times the peak of the
largest one, so an upper bound.

The loop makes the columns that pymatgen has functions for: formula, charge balance, Na content, site sums, radii,
hull energy and competing phases, window, nearest measured composition. It has no phase model, no formula checks and
no reasons. Its phase diagrams, one for each set of elements, are built before its clock starts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import machine  # first: it sets the number of threads before numpy starts them
import numpy as np
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Element, Species

from nasicon_struct.composition import element_sites
from nasicon_struct.entries import load_entries
from nasicon_struct.screening import measured_conductivities, read_screen

RUN = """
import json, resource, sys, time
begun = time.perf_counter()
from nasicon_struct.screening import write_screen
if __name__ == "__main__":
    file, out, workers, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    done = write_screen(file, out, workers=workers, limit=limit, overwrite=True)
    own, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # Of the parent since it was started; ru_maxrss would count the benchmark that started it, too.
    status = open("/proc/self/status").read()
    parent = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9
    worker = others.ru_maxrss * 1024 / 1e9 if workers > 1 else 0.0
    print(json.dumps({
        "rows": done.rows,
        "counts": done.counts,
        "wall_s": time.perf_counter() - begun,
        "cpu_s": sum(u.ru_utime + u.ru_stime for u in (own, others)),
        "parent_rss_gb": parent,
        "worker_rss_gb": worker,
        "peak_rss_gb": parent + workers * worker,
    }))
"""


def write_candidates(file: Path, dopants: list[str], rows: int) -> int:
    """Write formulas of a design space, neutral by their Na, some with more than 4 Na; returns the number."""
    known = element_sites()
    steps = [k * 10 for k in range(21)]
    written = 0
    with file.open("w", encoding="utf-8") as handle:
        handle.write("formula\n")
        for si in itertools.count(1400, 10):
            if si > 3000 or written == rows:
                break
            for amounts in itertools.product(steps, repeat=len(dopants)):
                if written == rows:
                    break
                zr = 2000 - sum(amounts)
                held = {"Zr": zr, **dict(zip(dopants, amounts, strict=True)), "Si": si, "P": 3000 - si}
                na = 24_000 - sum(known[s].oxidation_state * n for s, n in held.items())
                text = "".join(f"{s}{n / 1000:g}" for s, n in {"Na": na, **held}.items() if n)
                handle.write(text + "O12\n")
                written += 1
    return written


def ours(file: Path, folder: Path, *, workers: int, limit: int) -> dict[str, Any]:
    """Run one screen in a process of its own."""
    script = folder / "run.py"
    script.write_text(RUN, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(file), str(folder / "result.parquet"), str(workers), str(limit)],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    result["workers"] = workers
    result["rows_per_cpu_s"] = result["rows"] / result["cpu_s"]
    result["rows_per_wall_s"] = result["rows"] / result["wall_s"]
    return result


class Loop:
    """The same columns with pymatgen, one candidate after the other."""

    def __init__(self, formulas: list[str]) -> None:
        self.known = element_sites()
        self.measured = [(item, Composition(item.formula)) for item in measured_conductivities()]
        self.diagrams: dict[frozenset[str], PhaseDiagram] = {}
        self.sodium = Element("Na")
        begun = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for formula in formulas:
                elements = frozenset(map(str, Composition(formula).elements))
                if elements not in self.diagrams:
                    self.diagrams[elements] = PhaseDiagram(load_entries(sorted(elements)).pdentries())
        self.build_s = time.process_time() - begun

    def row(self, formula: str) -> dict[str, Any]:
        """Return the columns of one candidate."""
        composition = Composition(formula)
        composition = composition * (12 / composition["O"])
        states = {str(el): self.known[str(el)].oxidation_state for el in composition}
        charge = sum(states[str(el)] * amount for el, amount in composition.items())
        sites: dict[str, dict[str, float]] = {"Na": {}, "M": {}, "T": {}, "O": {}}
        for el, amount in composition.items():
            sites[self.known[str(el)].site][str(el)] = amount
        radii = {s: Species(s, states[s]).get_shannon_radius("VI", radius_type="ionic") for s in sites["M"]}
        mean = sum(radii[s] * n for s, n in sites["M"].items()) / 2
        spread = math.sqrt(sum((radii[s] - mean) ** 2 * n for s, n in sites["M"].items()) / 2)
        diagram = self.diagrams[frozenset(states)]
        decomposition = diagram.get_decomposition(composition)
        profile = diagram.get_element_profile(self.sodium, composition)
        starts = [item["element_reference"].energy_per_atom - item["chempot"] for item in profile]
        still = [k for k, item in enumerate(profile) if abs(item["evolution"]) < 1e-8]
        distance, nearest = min(
            (sum((composition[el] - other[el]) ** 2 for el in {*composition, *other}), item.formula)
            for item, other in self.measured
        )
        return {
            "formula": composition.formula,
            "net_charge": charge,
            "na_needed": composition["Na"] - charge,
            "na": composition["Na"],
            "m_sum": sum(sites["M"].values()),
            "t_sum": sum(sites["T"].values()),
            "m_radius_mean_ang": mean,
            "m_radius_spread_ang": spread,
            "hull_energy_ev_per_atom": diagram.get_hull_energy_per_atom(composition),
            "competing_phases": " + ".join(sorted(entry.name for entry in decomposition)),
            "assemblage_reduction_v": starts[still[0]] if still else math.nan,
            "assemblage_oxidation_v": (
                (starts[still[-1] + 1] if still[-1] + 1 < len(starts) else math.inf) if still else math.nan
            ),
            "literature": (math.sqrt(distance), nearest),
        }


def against_pymatgen(table: Any, count: int) -> dict[str, Any]:
    """Time the loop on some of the possible candidates of a result, and compare the numbers."""
    possible = table[table["status"] == "possible"]
    chosen = possible.iloc[np.linspace(0, len(possible) - 1, count).astype(int)]
    loop = Loop(chosen["input"].tolist())
    begun = time.process_time()
    rows = [loop.row(formula) for formula in chosen["input"]]
    spent = time.process_time() - begun
    differences = {}
    for name in (
        "net_charge",
        "na",
        "hull_energy_ev_per_atom",
        "assemblage_reduction_v",
        "assemblage_oxidation_v",
    ):
        theirs = np.array([row[name] for row in rows])
        both = ~np.isnan(theirs)
        differences[name] = float(np.abs(theirs - chosen[name].to_numpy())[both].max())
    same = sum(
        set(row["competing_phases"].split(" + ")) == set(mine.split(" + "))
        for row, mine in zip(rows, chosen["competing_phases"], strict=True)
    )
    return {
        "pymatgen_items": count,
        "pymatgen_s_per_item": spent / count,
        "pymatgen_build_s": loop.build_s,
        "largest_differences": differences,
        "same_competing_phases": same,
    }


def main() -> None:
    """Run everything and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="ten thousand candidates instead of a million")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    rows = 10_000 if options.quick else 1_000_000
    count = 5 if options.quick else 40
    result: dict[str, Any] = machine.describe()
    result["packages"] |= {name: metadata.version(name) for name in ("pyarrow", "numba")}
    result["load_average_at_start"] = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "candidates.csv"
        write_candidates(file, ["Sc", "Zn", "Al"], rows)
        ours(file, folder, workers=1, limit=100)  # compiled code and file caches
        million = ours(file, folder, workers=2, limit=rows)
        table = read_screen(folder / "result.parquet")
        peer = against_pymatgen(table, count)
        del table
        growth = [ours(file, folder, workers=1, limit=n) for n in (rows // 100, rows // 10, rows)]
        workers = [ours(file, folder, workers=n, limit=rows // 4) for n in (1, 2, 4)]
        elements = []
        for dopants in ([], ["Sc"], ["Sc", "Zn"], ["Sc", "Zn", "Al"], ["Sc", "Zn", "Al", "Mg"]):
            other = folder / "other.csv"
            found = write_candidates(other, dopants, rows // 10)
            if found < rows // 10:  # few combinations: repeated
                lines = other.read_text(encoding="utf-8").splitlines()[1:]
                many = list(itertools.islice(itertools.cycle(lines), rows // 10))
                other.write_text("\n".join(["formula", *many]) + "\n", encoding="utf-8")
            done = ours(other, folder, workers=1, limit=rows // 10)
            elements.append({"elements": 5 + len(dopants), **done})
    result |= {"million": million, "pymatgen": peer, "rows": growth, "workers": workers, "elements": elements}
    result["ratio"] = million["rows_per_cpu_s"] * peer["pymatgen_s_per_item"]
    print(f"load average at the start: {result['load_average_at_start']:.1f} on {result['cores']} cores")
    machine.show(
        f"{million['rows']:,} candidates on 2 workers, start to end",
        [
            ["wall time", machine.seconds(million["wall_s"])],
            ["CPU time, all processes", machine.seconds(million["cpu_s"])],
            ["peak memory, all processes", f"{million['peak_rss_gb']:.2f} GB"],
            ["rows per CPU second", f"{million['rows_per_cpu_s']:,.0f}"],
            ["pymatgen loop, CPU per row", machine.seconds(peer["pymatgen_s_per_item"])],
            ["ratio", f"{result['ratio']:,.0f}x"],
        ],
        ["what", "value"],
    )
    for key, what in (("rows", "rows"), ("workers", "workers"), ("elements", "elements")):
        machine.show(
            f"Growth with {what}",
            [
                [
                    f"{item[key]:,}",
                    f"{item['rows']:,}",
                    machine.seconds(item["wall_s"]),
                    machine.seconds(item["cpu_s"]),
                    f"{item['rows_per_cpu_s']:,.0f}",
                    f"{item['peak_rss_gb']:.2f} GB",
                ]
                for item in result[key]
            ],
            [what, "rows", "wall", "CPU", "rows per CPU s", "memory"],
        )
    print("\nlargest differences from pymatgen:", peer["largest_differences"])
    print(f"same competing phases: {peer['same_competing_phases']} of {peer['pymatgen_items']}")
    machine.write_json(options.json, result)


if __name__ == "__main__":
    main()

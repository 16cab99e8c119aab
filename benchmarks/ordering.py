"""Ordered cells: ours beside pymatgen and SHRY, in one run; energy against time for ours.

    python benchmarks/ordering.py --json benchmarks/results/ordering.json --shry-python SHRY_VENV/bin/python
    python benchmarks/ordering.py --quick

Every task runs in a process of its own on one thread, with a limit of CPU time and memory; a task that reaches one is
stopped, and the table says so. All solve the same problem: Na with vacancies, M and T pooled on all their sites,
formal charges, the coordinates printed for xun2025_s2; energies are those of the returned structures by pymatgen's
EwaldSummation. Times of ours are without compilation (which happens once per machine); peak memory is that of the
whole process, with what Python and the imports take in brackets. SHRY takes the vacancy as a species "X0+" and a
cell in P1 whose sites carry the label of their kind; it counts distinct patterns, and can take their energies one
after the other, but does not minimise.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import machine  # first: it sets the number of threads before numpy starts them
import numpy as np
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Species, Structure

import nasicon_struct as ns
from nasicon_struct.composition import element_sites

HERE = Path(__file__).resolve().parent
PARENT = "xun2025_s2"
#: Content of the cell, rows of the supercell in the basis of the parent (None: all shapes are searched).
CASES: tuple[tuple[str, list[int] | None], ...] = (
    ("Na12Zr8Si8P4O48", [1, 1, 1]),
    ("Na13Zr7ScSi8P4O48", [1, 1, 1]),
    ("Na27Zr14ScZnSi16P8O96", [2, 1, 1]),
    ("Na34Zr17Sc2ZnSi20P10O120", None),
    ("Na68Zr39AlSi47P13O240", None),
)
#: Only for ours: about 1,300 atoms.
LARGE = "Na217Zr109Sc13Zn6Si128P64O768"
PEERS = ("pymatgen-fast", "pymatgen-best-first", "shry-count", "shry-energies")
#: Energy against time: composition, parent, formula units; all shapes searched with these efforts (True), or the
#: most compact shape alone with so many anneals (False).
CURVES: tuple[tuple[str, str, int, bool], ...] = (
    ("Na34Zr17Sc2ZnSi20P10O120", PARENT, 10, True),
    ("Na68Zr39AlSi47P13O240", PARENT, 20, False),
    ("Na3.2Zr1.9Mg0.1Si2PO12", "boilot1988_x235", 10, True),
)
EFFORTS = (0.125, 0.25, 0.5, 1.0, 2.0)
ANNEALS = (1, 2, 4, 8, 16, 32)


def kind_of(site: Any) -> str:
    """Return Na, M, T or O."""
    symbols = [species.symbol for species in site.species]
    return "O" if "O" in symbols else "Na" if "Na" in symbols else element_sites()[symbols[0]].site


def units_of(formula: str) -> int:
    return int(formula.rpartition("O")[2]) // 12


def pooled(formula: str, rows: Any) -> dict[str, Any]:
    """Return the problem of one supercell for the peers: every kind of site with the same occupancy."""
    average = ns.build_average_cell(formula, parent=PARENT).structure
    atoms = {
        e: round(n * units_of(formula)) for e, n in ns.NasiconComposition.from_any(formula).amounts.items()
    }
    matrix = np.array(rows, dtype=float)
    lattice = Lattice(matrix @ average.lattice.matrix)
    reach = np.ceil(np.abs(matrix).sum(axis=0)).astype(int) + 1
    shifts = np.array(list(np.ndindex(*(2 * reach + 1))), dtype=float) - reach
    kinds, places = [], []
    for site in average:
        frac = (site.frac_coords + shifts) @ np.linalg.inv(matrix)
        inside = ((frac > -1e-7) & (frac < 1 - 1e-7)).all(axis=1)
        kinds += [kind_of(site)] * int(inside.sum())
        places += frac[inside].tolist()
    assert len(kinds) == round(abs(np.linalg.det(matrix)) * len(average))
    sites = element_sites()
    charges = {e: -2 if e == "O" else sites[e].oxidation_state for e in atoms}
    content: dict[str, dict[str, float]] = {}
    for kind in ("Na", "M", "T", "O"):
        here = {e: n for e, n in atoms.items() if ("O" if e == "O" else sites[e].site) == kind}
        content[kind] = {e: n / kinds.count(kind) for e, n in here.items()}
    structure = Structure(
        lattice, [{Species(e, charges[e]): x for e, x in content[kind].items()} for kind in kinds], places
    )
    return {
        "structure": structure.as_dict(),
        "cif": shry_cif(lattice, kinds, places, content, charges),
        "atoms": atoms,
    }


def shry_cif(lattice: Lattice, kinds: list[str], places: list[Any], content: Any, charges: Any) -> str:
    """Write the problem as SHRY reads it."""
    names = {e: f"{e}{abs(z)}{'+' if z >= 0 else '-'}" for e, z in charges.items()} | {"X": "X0+"}
    lines = ["data_problem"]
    for name, value in zip(
        ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"),
        lattice.parameters,
        strict=True,
    ):
        lines.append(f"_cell_{name} {value:.10f}")
    lines += [
        "_symmetry_space_group_name_H-M 'P 1'",
        "loop_",
        "_symmetry_equiv_pos_as_xyz",
        "'x, y, z'",
        "loop_",
    ]
    lines += ["_atom_type_symbol", "_atom_type_oxidation_number"]
    lines += [f"{names[e]} {z}" for e, z in {**charges, "X": 0}.items()]
    lines += ["loop_", "_atom_site_label", "_atom_site_type_symbol", "_atom_site_fract_x"]
    lines += ["_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_occupancy"]
    for kind, (x, y, z) in zip(kinds, places, strict=True):
        shares = dict(content[kind])
        empty = 1 - sum(shares.values())
        if empty > 1e-9:
            shares["X"] = empty
        lines += [f"{kind} {names[e]} {x:.10f} {y:.10f} {z:.10f} {n:.12f}" for e, n in shares.items()]
    return "\n".join(lines) + "\n"


def warm_up() -> None:
    """Compile, or load what is compiled: the exhaustive search, the anneals, the search of shapes."""
    ns.order_cell("Na3Zr2Si2PO12", formula_units=2)
    ns.order_cell("Na3.25Zr1.75Sc0.25Si2PO12", formula_units=8, n_anneals=2)


def ours_task(text: str) -> None:
    """Order with this package in a process of its own: ``{"cell":, "options":}`` in, JSON out."""
    task = json.loads(text)
    options = dict(task["options"])
    warm_up()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    cell = ns.order_cell(task["cell"], **options)[0]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(
        json.dumps(
            {
                "energy_ev_per_fu": cell.energy_ev_per_fu,
                "seconds": seconds,
                "cpu_seconds": cpu,
                "rows": cell.supercell_matrix,
                "exact": cell.exact,
                "arrangements": cell.n_arrangements,
                "hit_rate": cell.hit_rate,
                "anneals": cell.n_anneals,
                "shapes": cell.n_shapes,
                "atoms": cell.n_atoms,
                "base_mib": before / 1024,
            }
        )
    )


def limited(command: list[str], *, seconds: float, mib: float) -> dict[str, Any]:
    """Run a process until it ends or reaches a limit of CPU time or memory; returns its last JSON line."""
    peak, spent, stopped = 0.0, 0.0, None
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=os.environ, text=True)
        while process.poll() is None:
            folder = Path(f"/proc/{process.pid}")
            try:
                lines = (folder / "status").read_text(encoding="utf-8").splitlines()
                numbers = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                spent = (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")
            except OSError:  # it has just ended
                lines = []
            for line in lines:
                if line.startswith("VmHWM:"):
                    peak = max(peak, int(line.split()[1]) / 1024)
            if peak > mib:
                stopped = f"stopped at {mib:g} MiB"
            elif spent > seconds:
                stopped = f"stopped after {seconds:g} s of CPU"
            if stopped:
                process.kill()
                process.wait()
                break
            time.sleep(0.02)
        out.seek(0)
        err.seek(0)
        found = [line for line in out.read().splitlines() if line.startswith("{")]
        complaint = err.read().strip().splitlines()
    result: dict[str, Any] = json.loads(found[-1]) if found else {}
    if not found and not stopped:
        result["refused"] = complaint[-1] if complaint else f"ended with code {process.returncode}"
    if stopped:
        result["stopped"] = stopped
    return result | {"peak_mib": peak}


def ours(cell: str, options: dict[str, Any], *, seconds: float, mib: float) -> dict[str, Any]:
    task = json.dumps({"cell": cell, "options": options})
    return limited([sys.executable, __file__, "--child", task], seconds=seconds, mib=mib)


def row_of(case: str, who: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the comparison: the same columns for everybody."""
    units = units_of(case)
    energy = result.get("energy_ev_per_fu")
    if "structure" in result:
        energy = EwaldSummation(Structure.from_dict(result["structure"]), acc_factor=16).total_energy / units
    elif "energy_ev" in result:
        energy = result["energy_ev"] / units
    notes = [result[k] for k in ("refused", "stopped") if k in result]
    if result.get("right_atoms") is False:
        notes.append("returned other atoms than asked for")
    if who == "nasicon_struct":
        notes.append(
            f"exact, {result['arrangements']:,} arrangements"
            if result.get("exact")
            else f"{result.get('hit_rate', 0) * result.get('anneals', 0):.0f} of {result.get('anneals')} anneals agree"
        )
        if result.get("shapes", 1) > 1:
            notes.append(f"best of {result['shapes']} shapes")
    if "count" in result:
        notes.append(f"{result['count']:,} distinct patterns counted")
    if "seen" in result:
        notes.append(f"{result['seen']:,} energies taken" + (", all" if result.get("complete") else ""))
    return {
        "cell": case,
        "formula_units": units,
        "code": who,
        "seconds": result.get("seconds"),
        "cpu_seconds": result.get("cpu_seconds"),
        "energy_ev_per_fu": None if energy is None else float(energy),
        "peak_mib": result["peak_mib"],
        "base_mib": result.get("base_mib"),
        "note": "; ".join(notes),
    }


def compare(*, quick: bool, limit: float, mib: float, shry: str) -> list[dict[str, Any]]:
    """Run every case with everybody."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for case, diagonal in CASES[: 3 if quick else len(CASES)]:
            options = {"formula_units": units_of(case)} if diagonal is None else {"supercell": diagonal}
            found = ours(case, options, seconds=limit, mib=mib)
            table.append(row_of(case, "nasicon_struct", found))
            print(table[-1], flush=True)
            file = Path(folder) / "problem.json"
            file.write_text(json.dumps(pooled(case, found["rows"])), encoding="utf-8")
            for peer in PEERS:
                if peer == "shry-energies" and units_of(case) > 8:
                    continue  # it has ended at none of the smaller ones
                python = shry if peer.startswith("shry") else sys.executable
                command = [python, str(HERE / "ordering_peers.py"), peer, str(file)]
                table.append(row_of(case, peer, limited(command, seconds=limit, mib=mib)))
                print(table[-1], flush=True)
        if not quick:
            found = ours(LARGE, {"formula_units": 64, "search_shape": False}, seconds=600, mib=mib)
            table.append(row_of(LARGE, "nasicon_struct", found))
    return table


def curves(*, seeds: int, quick: bool) -> list[dict[str, Any]]:
    """Energy against time: each effort, or number of anneals, with several seeds."""
    table = []
    warm_up()
    for formula, parent, units, searched in CURVES:
        cell = ns.build_average_cell(formula, parent=parent)
        points = [{"effort": x} for x in EFFORTS] if searched else [{"n_anneals": n} for n in ANNEALS]
        runs: list[list[tuple[float, float]]] = []
        for point in points[::2] if quick else points:
            runs.append([])
            for seed in range(seeds):
                start = time.process_time()
                options: dict[str, Any] = {"formula_units": units, "search_shape": searched, "seed": seed}
                best = ns.order_cell(cell, **options, **point)[0]
                runs[-1].append((time.process_time() - start, best.energy_ev_per_fu))
        lowest = min(energy for part in runs for _, energy in part)
        for point, part in zip(points[::2] if quick else points, runs, strict=True):
            above = 1e3 * (np.array([energy for _, energy in part]) - lowest)
            table.append(
                {
                    "composition": formula,
                    "parent": parent,
                    "formula_units": units,
                    "shapes": "searched" if searched else "compact",
                    "effort": point.get("effort"),
                    "anneals": point.get("n_anneals"),
                    "seeds": seeds,
                    "cpu_seconds_median": float(np.median([spent for spent, _ in part])),
                    "lowest_ev_per_fu": lowest,
                    "above_lowest_mev_per_fu_min": float(above.min()),
                    "above_lowest_mev_per_fu_median": float(np.median(above)),
                    "above_lowest_mev_per_fu_max": float(above.max()),
                    "seeds_at_lowest": int((above < 1e-3).sum()),
                }
            )
            print(table[-1], flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases and seeds (some minutes)")
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds for each task")
    parser.add_argument("--memory", type=float, default=4096.0, metavar="MIB", help="memory for each task")
    parser.add_argument("--shry-python", default=sys.executable, help="interpreter that has shry")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of each point of the curves")
    parser.add_argument("--part", choices=["all", "comparison", "curves"], default="all", help="what to run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers into this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.child:
        ours_task(options.child)
        return
    limit = min(options.limit, 30.0) if options.quick else options.limit
    result: dict[str, Any] = {}
    if options.json is not None and options.json.is_file():  # the part that is not run is kept
        result = json.loads(options.json.read_text(encoding="utf-8"))
    result |= {"machine": machine.describe(), "quick": options.quick}
    if options.part != "curves":
        result["limits"] = {"cpu_seconds": limit, "mib": options.memory}
        show_comparison(result, options, limit)
        machine.write_json(options.json, result)
    if options.part != "comparison":
        show_curves(result, options)
        machine.write_json(options.json, result)


def show_comparison(result: dict[str, Any], options: argparse.Namespace, limit: float) -> None:
    result["comparison"] = compare(
        quick=options.quick, limit=limit, mib=options.memory, shry=options.shry_python
    )
    machine.show(
        "Ordering by several codes",
        [
            [
                row["cell"],
                row["code"],
                "-" if row["cpu_seconds"] is None else machine.seconds(row["cpu_seconds"]),
                "-" if row["energy_ev_per_fu"] is None else f"{row['energy_ev_per_fu']:.6f}",
                f"{row['peak_mib']:.0f}" + (f" ({row['base_mib']:.0f})" if row["base_mib"] else ""),
                row["note"],
            ]
            for row in result["comparison"]
        ],
        ("cell", "code", "CPU", "eV per f.u.", "peak MiB", "note"),
    )


def show_curves(result: dict[str, Any], options: argparse.Namespace) -> None:
    result["energy_against_time"] = curves(seeds=3 if options.quick else options.seeds, quick=options.quick)
    machine.show(
        "Energy against time (ours)",
        [
            [
                f"{row['composition']} x {row['formula_units']}",
                f"effort {row['effort']:g}" if row["effort"] else f"{row['anneals']} anneals",
                machine.seconds(row["cpu_seconds_median"]),
                f"{row['above_lowest_mev_per_fu_median']:.2f}",
                f"{row['above_lowest_mev_per_fu_max']:.2f}",
                f"{row['seeds_at_lowest']} of {row['seeds']}",
            ]
            for row in result["energy_against_time"]
        ],
        ("cell", "search", "CPU", "median (meV)", "worst (meV)", "seeds at lowest"),
    )


if __name__ == "__main__":
    sys.exit(main())

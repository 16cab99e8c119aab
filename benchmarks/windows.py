"""Windows, hull energies, profiles and interfaces: ours against pymatgen, in one run.

    python benchmarks/windows.py --json benchmarks/results/windows.json
    python benchmarks/windows.py --quick

CPU seconds on one thread, medians of rounds in which the two take turns; read the ratios. Both sides get their
diagram ready made; its construction is timed by itself. Answers are compared first: a difference above 1e-8 stops
the run. Where pymatgen would take too long it works on the first items of the same list, and its time is
given per item: the column "pymatgen items" says how many. The entries are the embedded ones of Na-Zr-Si-P-O and,
to reach the size asked for, made-up ones: formulas of random integers, energies around 60 meV per atom above the
hull of the embedded ones with a standard deviation of 40 meV, from a seed.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine  # before numpy: it sets the number of threads
import numpy as np
from pymatgen.analysis.interface_reactions import InterfacialReactivity
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element

from nasicon_struct.entries import Entry, EntrySet, load_entries
from nasicon_struct.interface import interface_reactions, interface_table
from nasicon_struct.stability import (
    element_profile,
    energies_above_hull,
    hull_energies,
    stability_window,
    voltage_profiles,
    windows,
)
from nasicon_struct.stability.system import System

SYSTEM = "Na-Zr-Si-P-O"
LEVEL = "mp2019-gga"
#: Added one by one for the growth with the number of elements.
ORDER = ("Na", "P", "O", "Si", "Zr", "Al", "Sc", "Zn")
TARGET = "Na3Zr2Si2PO12"
#: Largest difference between two right answers, eV per atom or V.
TOLERANCE = 1e-8


def entries_of(system: str, n: int, seed: int) -> EntrySet:
    """Return ``n`` entries of a system: the embedded ones (or the first of them), then made-up ones."""
    real = load_entries(system, source=LEVEL)
    symbols = real.elements
    hull = System(real, symbols).hull
    rng = np.random.default_rng(seed)
    ordered = sorted(real.entries, key=lambda entry: not entry.is_element)
    made = ordered[:n]
    amounts, used = [], set()
    while len(amounts) + len(made) < n:
        row = np.zeros(len(symbols), dtype=int)
        present = rng.choice(len(symbols), rng.integers(2, len(symbols) + 1), replace=False)
        row[present] = rng.integers(1, 13, len(present))
        if tuple(row) not in used:
            used.add(tuple(row))
            amounts.append(row)
    if amounts:
        table = np.array(amounts, dtype=float)
        table /= table.sum(axis=1, keepdims=True)
        energies = hull.energies(table) + rng.normal(0.06, 0.04, len(table))
        for row, energy in zip(amounts, energies, strict=True):
            formula = "".join(f"{s}{a}" for s, a in zip(symbols, row.tolist(), strict=True) if a)
            made.append(Entry(formula=formula, energy_ev_per_atom=float(energy)))
    return EntrySet(entries=tuple(made), source=f"{system} with {n} entries, seed {seed}")


def candidates(symbols: tuple[str, ...], n: int, seed: int) -> np.ndarray:
    """Return amounts of ``n`` compositions, integers from 0 to 12, with Na and three more elements or more."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 13, (2 * n + 20, len(symbols))).astype(float)
    table[:, symbols.index("Na")] += 1
    return table[(table > 0).sum(axis=1) >= min(4, len(symbols))][:n]


def compositions_of(table: np.ndarray, symbols: tuple[str, ...]) -> list[Composition]:
    return [Composition(dict(zip(symbols, row, strict=True))) for row in table.tolist()]


class Bench:
    """Collects rows: what, entries, items, seconds per item of both, ratio, largest difference."""

    headers = (
        "what",
        "entries",
        "items",
        "ours/item",
        "pymatgen items",
        "pymatgen/item",
        "ratio",
        "agree within",
    )

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        what: str,
        n: int,
        ours: tuple[Callable[[], Any], int],
        peer: tuple[Callable[[], Any], int],
        difference: float | None = None,
        unit: str = "eV/atom",
    ) -> None:
        """Time two functions in turns; each comes with the number of items that it answers.

        ``difference`` is the largest one between the two answers; a larger one than 1e-8 stops the run.
        """
        if difference is not None and not difference < TOLERANCE:
            raise SystemExit(f"{what}, {n} entries: ours and pymatgen's differ by {difference:.1e} {unit}")
        seconds = machine.race(ours[0], peer[0], rounds=self.rounds)
        per = [value / items for value, items in zip(seconds, (ours[1], peer[1]), strict=True)]
        self.rows.append(
            {
                "what": what,
                "entries": n,
                "items": ours[1],
                "ours_s_per_item": per[0],
                "pymatgen_items": peer[1],
                "pymatgen_s_per_item": per[1],
                "ratio": per[1] / per[0],
                "agree_within": None if difference is None else f"{difference:.0e} {unit}",
            }
        )

    def show(self) -> None:
        """Print the rows."""
        machine.show(
            "Ours against pymatgen (CPU seconds per item, medians, diagram ready made)",
            [
                [
                    row["what"],
                    row["entries"],
                    f"{row['items']:,}",
                    machine.seconds(row["ours_s_per_item"]),
                    row["pymatgen_items"],
                    machine.seconds(row["pymatgen_s_per_item"]),
                    f"{row['ratio']:,.3g}x" if row["ratio"] < 10 else f"{row['ratio']:,.0f}x",
                    row["agree_within"] or "-",
                ]
                for row in self.rows
            ],
            self.headers,
        )


def compare(bench: Bench, n: int, *, quick: bool, seed: int) -> None:
    """Time everything at one number of entries."""
    entries = entries_of(SYSTEM, n, seed)
    symbols = entries.elements
    pdentries = entries.pdentries()
    diagram = PhaseDiagram(pdentries)
    bench.add(
        "build the diagram", n, (lambda: System(entries, symbols), 1), (lambda: PhaseDiagram(pdentries), 1)
    )

    # Energies above the hull, as arrays and as pymatgen entries.
    m, few = 20_000 if quick else 100_000, 20 if quick else 60
    table = candidates(symbols, m, seed + 1)
    tests = [PDEntry(item, 0.1) for item in compositions_of(table[:few], symbols)]
    objects = [PDEntry(item, 0.1) for item in compositions_of(table[: m // 5], symbols)]
    reference = np.array([diagram.get_hull_energy_per_atom(item.composition) for item in tests])
    above = np.array([diagram.get_e_above_hull(item, allow_negative=True) for item in tests])

    def peer() -> list[float]:
        return [diagram.get_e_above_hull(item, allow_negative=True) for item in tests]

    found = hull_energies(table, entries, elements=symbols)
    bench.add(
        "energies above hull, array",
        n,
        (lambda: hull_energies(table, entries, elements=symbols), m),
        (peer, few),
        float(np.abs(reference - found[:few]).max()),
    )
    found = energies_above_hull(objects, entries)
    bench.add(
        "energies above hull, PDEntry",
        n,
        (lambda: energies_above_hull(objects, entries), len(objects)),
        (peer, few),
        float(np.abs(above - found[:few]).max()),
    )
    compare_profiles(bench, n, entries, diagram, quick=quick, seed=seed)
    compare_interfaces(bench, n, entries, diagram, quick=quick, seed=seed)


def compare_profiles(
    bench: Bench, n: int, entries: EntrySet, diagram: PhaseDiagram, *, quick: bool, seed: int
) -> None:
    """Time profiles and windows; pymatgen's recipe for a window is the row in which nothing is exchanged."""
    symbols = entries.elements
    m, few = 1000, 5 if quick else 15
    table = candidates(symbols, m, seed + 2)
    picked = compositions_of(table[:few], symbols)
    sodium = Element("Na")

    def peer() -> list[Any]:
        return [diagram.get_element_profile(sodium, item) for item in picked]

    reference = peer()
    made = voltage_profiles(table, entries, elements=symbols)
    bench.add(
        "profiles, arrays",
        n,
        (lambda: voltage_profiles(table, entries, elements=symbols), m),
        (peer, few),
        max(profile_difference(made.steps(k)["v_low"], rows) for k, rows in enumerate(reference)),
        "V",
    )
    amounts = [item.get_el_amt_dict() for item in picked]
    single = [element_profile(a, entries, open_element="Na") for a in amounts]
    bench.add(
        "profiles with exact reactions",
        n,
        (lambda: [element_profile(a, entries, open_element="Na") for a in amounts], few),
        (peer, few),
        max(
            profile_difference(np.array([-row.mu_high_ev for row in profile.rows]), rows)
            for profile, rows in zip(single, reference, strict=True)
        ),
        "V",
    )
    found = windows(table, entries, elements=symbols)
    bench.add(
        "windows of 1,000 compositions",
        n,
        (lambda: windows(table, entries, elements=symbols), m),
        (peer, few),
        max(
            window_difference((found.assemblage_reduction_v[k], found.assemblage_oxidation_v[k]), rows)
            for k, rows in enumerate(reference)
        ),
        "V",
    )
    target = Composition(TARGET)
    window = stability_window(TARGET, entries, uncertainty=False)
    limits = (window.assemblage_reduction_v, window.assemblage_oxidation_v)
    difference = window_difference(limits, diagram.get_element_profile(sodium, target))
    for what, uncertainty in (
        ("one window with reactions", False),
        ("one window with its uncertainty", True),
    ):
        bench.add(
            what,
            n,
            (lambda sampled=uncertainty: stability_window(TARGET, entries, uncertainty=sampled), 1),
            (lambda: diagram.get_element_profile(sodium, target), 1),
            difference,
            "V",
        )


def compare_interfaces(
    bench: Bench, n: int, entries: EntrySet, diagram: PhaseDiagram, *, quick: bool, seed: int
) -> None:
    """Time interfaces of many compositions with five electrodes."""
    symbols = entries.elements
    few = 5 if quick else 15
    table = candidates(symbols, 200, seed + 2)
    electrodes = ["Na", "P2O5", "Na2O", "Si", "ZrP"]
    electrolytes = [{s: a for s, a in zip(symbols, row, strict=True) if a} for row in table.tolist()]
    picked = compositions_of(table[:few], symbols)
    pairs = [(picked[k], Composition(electrodes[k % 5])) for k in range(few)]
    named = [(electrolytes[k], electrodes[k % 5]) for k in range(few)]

    def kinks() -> list[Any]:
        made = []
        for a, b in pairs:
            pair = InterfacialReactivity(a, b, diagram, norm=True, use_hull_energy=True)
            made.append(list(pair.get_kinks()))
        return made

    # Column 2 of a kink: reaction energy, eV per atom of reactants. Its minimum is the driving force.
    lowest = np.array([-min(kink[2] for kink in pair) for pair in kinks()])
    grid = interface_table(electrolytes, electrodes, entries)
    mutual = np.array([grid.mutual_driving_force_ev_per_atom[k, k % 5] for k in range(few)])
    bench.add(
        "interfaces, arrays",
        n,
        (lambda: interface_table(electrolytes, electrodes, entries), len(electrolytes) * len(electrodes)),
        (kinks, few),
        float(np.abs(lowest - mutual).max()),
    )
    single = np.array([interface_reactions(a, b, entries).mutual_driving_force_ev_per_atom for a, b in named])
    bench.add(
        "interfaces with exact reactions",
        n,
        (lambda: [interface_reactions(a, b, entries) for a, b in named], few),
        (kinks, few),
        float(np.abs(lowest - single).max()),
    )


def voltages_of(rows: list[dict[str, Any]]) -> np.ndarray:
    """Return the voltages at which the rows of pymatgen's profile begin, rising."""
    return np.array([item["element_reference"].energy_per_atom - item["chempot"] for item in rows])


def profile_difference(starts_v: np.ndarray, rows: list[dict[str, Any]]) -> float:
    """Return the largest difference of a plateau's potential, V.

    pymatgen lists the potential of every facet that it passes, also where the products stay the same; each of
    ours must be among them.
    """
    theirs = voltages_of(rows)
    return max(float(np.abs(theirs - value).min()) for value in starts_v)


def window_difference(limits_v: tuple[float, float], rows: list[dict[str, Any]]) -> float:
    """Return the largest difference of a limit, V, from pymatgen's rows in which nothing is exchanged."""
    starts = voltages_of(rows)
    still = [k for k, item in enumerate(rows) if abs(item["evolution"]) < 1e-8]
    if not still:
        # A composition that exchanges at every potential but one: pymatgen lists the two reactions there.
        return float(np.abs(starts - limits_v[0]).min())
    low = float(starts[still[0]])
    high = float(starts[still[-1] + 1]) if still[-1] + 1 < len(rows) else np.inf
    return max(
        abs(mine - theirs) if np.isfinite(theirs) or np.isfinite(mine) else 0.0
        for mine, theirs in zip(limits_v, (low, high), strict=True)
    )


def growth(result: dict[str, Any], *, quick: bool, seed: int) -> None:
    """Time windows against the number of entries, elements and candidates."""
    repeats = 1 if quick else 2
    rows = []
    for n in (100, 300, 1000, 3000) if quick else (100, 300, 1000, 3000, 10_000):
        entries = entries_of(SYSTEM, n, seed)
        table = candidates(entries.elements, 20_000, seed + 3)
        build = machine.clock(lambda e=entries: System(e, e.elements), repeats=repeats)
        windows(table[:10], entries, elements=entries.elements)
        per = machine.clock(
            lambda e=entries, t=table: windows(t, e, elements=e.elements), repeats=repeats
        ) / len(table)
        facets = len(System(entries, entries.elements).hull.planes_ev)
        rows.append({"entries": n, "facets": facets, "build_s": build, "window_s": per})
    result["growth_entries"] = rows
    machine.show(
        "Growth with entries (5 elements)",
        [
            [f"{r['entries']:,}", r["facets"], machine.seconds(r["build_s"]), machine.seconds(r["window_s"])]
            for r in rows
        ],
        ("entries", "facets", "build", "per window"),
    )
    rows = []
    for k in range(3, 9):
        entries = entries_of("-".join(ORDER[:k]), 400, seed)
        table = candidates(entries.elements, 2000 if quick else 10_000, seed + 4)
        fresh = EntrySet(entries=entries.entries, source=entries.source)
        # The first call builds the hull, or fills the cache of facets; the second one finds it.
        first = machine.clock(
            lambda e=fresh, t=table: windows(t, e, elements=e.elements), repeats=1, least=0.0
        )
        per = machine.clock(
            lambda e=fresh, t=table: windows(t, e, elements=e.elements), repeats=repeats
        ) / len(table)
        hull = next(iter(fresh.memo("system").values())).hull
        peer = None
        if k < 7 or not quick:
            listed = entries.pdentries()
            peer = machine.clock(lambda p=listed: PhaseDiagram(p), repeats=1, least=0.0)
        rows.append(
            {
                "elements": k,
                "route": "all facets" if hull.full else "facet cache",
                "facets": len(hull.planes_ev),
                "candidates": len(table),
                "first_call_s": first,
                "window_s": per,
                "pymatgen_build_s": peer,
            }
        )
    result["growth_elements"] = rows
    machine.show(
        "Growth with elements (400 entries)",
        [
            [
                r["elements"],
                r["route"],
                f"{r['facets']:,}",
                f"{r['candidates']:,}",
                machine.seconds(r["first_call_s"]),
                machine.seconds(r["window_s"]),
                "-" if r["pymatgen_build_s"] is None else machine.seconds(r["pymatgen_build_s"]),
            ]
            for r in rows
        ],
        ("elements", "route", "facets", "candidates", "first call", "per window then", "pymatgen builds"),
    )
    rows = []
    entries = entries_of(SYSTEM, 3000, seed)
    windows(candidates(entries.elements, 10, seed), entries, elements=entries.elements)
    for m in (1000, 10_000, 100_000) if quick else (1000, 10_000, 100_000, 1_000_000):
        table = candidates(entries.elements, m, seed + 5)
        hull = machine.clock(
            lambda t=table: hull_energies(t, entries, elements=entries.elements), repeats=repeats
        )
        whole = machine.clock(lambda t=table: windows(t, entries, elements=entries.elements), repeats=repeats)
        steps = machine.clock(
            lambda t=table: voltage_profiles(t, entries, elements=entries.elements), repeats=1, least=0.0
        )
        rows.append({"candidates": m, "hull_energies_s": hull, "windows_s": whole, "profiles_s": steps})
    result["growth_candidates"] = rows
    machine.show(
        "Growth with candidates (5 elements, 3,000 entries)",
        [
            [
                f"{r['candidates']:,}",
                *(machine.seconds(r[key]) for key in ("hull_energies_s", "windows_s", "profiles_s")),
            ]
            for r in rows
        ],
        ("candidates", "hull energies", "windows", "profiles"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer items and sizes (about a minute)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the made-up entries and the candidates")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers into this file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    result: dict[str, Any] = {"machine": machine.describe(), "seed": options.seed, "quick": options.quick}
    bench = Bench(rounds=3 if options.quick else 5)
    for n in (300, 3000):
        compare(bench, n, quick=options.quick, seed=options.seed)
    bench.show()
    print("pymatgen/item is measured on the first 'pymatgen items' of the same list.")
    result["comparison"] = bench.rows
    growth(result, quick=options.quick, seed=options.seed)
    machine.write_json(options.json, result)


if __name__ == "__main__":
    sys.exit(main())

"""Write the tables of docs/energies.md from the shipped energy levels.

Every table stands between ``<!-- table: name -->`` and ``<!-- end -->``; the text around stays as it is. Run it
after changing a file of structures/entries/. With --check nothing is written, and the exit code is 1 when a
table differs.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tabulate import tabulate

from nasicon_struct import list_entry_sources, load_entries, reference, stability_window
from nasicon_struct.entries import EntrySet, check_entries, composition_key, entry_source
from nasicon_struct.errors import EntriesError
from nasicon_struct.formula import parse_formula
from nasicon_struct.stability.error_model import error_model, measured_enthalpies
from nasicon_struct.stability.published import published_windows

DOC = Path(__file__).resolve().parent.parent / "docs" / "energies.md"
LEVELS = ("mp2019-gga", "mp2019-gga-mp2020", "chgnet-r2scan", "gga+delta-r2scan", "gpaw-r2scan")
TARGETS = ("Na3PS4", "Na3SbS4", "Na3Zr2Si2PO12", "NaZr2P3O12", "Na4Zr2Si3O12")
#: Elements of the sulfide electrolytes and of what they decompose to.
SULFIDES = frozenset(("Na", "P", "S", "Sb", "Sn"))
#: Elements of the NASICON oxides, which the GGA sets hold too.
OXIDES = frozenset(("Na", "Zr", "Si", "P", "O", "Al", "Sc", "Zn"))
CLASSES = ("sulfides", "other sulfides", "oxides", "other oxides", "without O and S")
Key = tuple[tuple[str, int], ...]


def levels() -> list[str]:
    """Return the levels of the report that this checkout holds."""
    held = {item.name for item in list_entry_sources()}
    return [name for name in LEVELS if name in held]


def measured_ranges() -> dict[Key, tuple[float, float]]:
    """Return lowest and highest measured enthalpy of each compound, eV per atom, against black phosphorus."""
    medians = measured_enthalpies()
    values: dict[Key, list[float]] = defaultdict(list)
    for row in reference.read_rows("experimental_enthalpies"):
        if row["quantity"] == "enthalpy of formation":
            values[composition_key(parse_formula(row["formula"]))].append(float(row["value_ev_per_atom"]))
    ranges = {}
    for key, found in values.items():
        shift = medians[key][0] - float(np.median(found))
        ranges[key] = (min(found) + shift, max(found) + shift)
    return ranges


def class_of(key: Key) -> str:
    """Return the class of a compound for the error table."""
    elements = {symbol for symbol, _ in key}
    if "S" in elements and "O" not in elements:
        return "sulfides" if elements <= SULFIDES else "other sulfides"
    if "O" in elements:
        if "S" in elements:
            return "sulfates"
        return "oxides" if elements <= OXIDES else "other oxides"
    return "without O and S"


def errors_of(entries: EntrySet) -> dict[Key, tuple[float, float]]:
    """Return error against the median and distance to the measured range, eV per atom, by compound."""
    ranges, found = measured_ranges(), {}
    for key, (median, _) in measured_enthalpies().items():
        energy = entries.formation_energy_ev_per_atom(dict(key)) if len(key) > 1 else None
        if energy is not None:
            low, high = ranges[key]
            found[key] = (energy - median, max(0.0, low - energy, energy - high))
    return found


def table_errors() -> str:
    """Mean absolute errors by class of compound."""
    rows = []
    for name in levels():
        errors = errors_of(load_entries(source=name))
        row = [f"`{name}`"]
        for kind in CLASSES:
            part = [value for key, value in errors.items() if class_of(key) == kind]
            if part:
                mean = 1000 * np.mean([abs(value) for value, _ in part])
                outside = 1000 * np.mean([distance for _, distance in part])
                row.append(f"{mean:.0f} ({outside:.0f}; {len(part)})")
            else:
                row.append("")
        try:
            model = error_model(load_entries(source=name))
            row.append(f"{1000 * model.loo_rmse_ev_per_atom:.0f}" if not model.assumed else "too few")
            row.append(f"{100 * model.loo_coverage_95:.0f} %" if not model.assumed else "")
        except EntriesError:
            row += ["", ""]
        rows.append(row)
    return tabulate(rows, ["level", *CLASSES, "left out, rms", "within 95 %"], tablefmt="pipe")


def table_common() -> str:
    """Mean absolute errors on the compounds that all levels compared hold."""
    compared = [name for name in levels() if name != "gpaw-r2scan"]
    found = {name: errors_of(load_entries(source=name)) for name in compared}
    common = set.intersection(*(set(errors) for errors in found.values()))
    rows = []
    for kind in CLASSES:
        keys = sorted(key for key in common if class_of(key) == kind)
        if keys:
            means = [f"{1000 * np.mean([abs(found[name][key][0]) for key in keys]):.0f}" for name in compared]
            rows.append([kind, len(keys), *means])
    return tabulate(rows, ["class", "compounds", *(f"`{n}`" for n in compared)], tablefmt="pipe")


#: Binary oxide of each cation, with its atoms of cation and oxygen.
BINARIES = {
    "Na": ("Na2O", 2, 1),
    "Si": ("SiO2", 1, 2),
    "Zr": ("ZrO2", 1, 2),
    "P": ("P2O5", 2, 5),
    "Al": ("Al2O3", 2, 3),
    "Sc": ("Sc2O3", 2, 3),
    "Zn": ("ZnO", 1, 1),
}


def from_binaries(key: Key, energies: Callable[[str], float | None]) -> float | None:
    """Return the energy of a ternary oxide from its binary ones, eV per atom; None where one is missing."""
    amounts = dict(key)
    formula = "".join(f"{symbol}{number}" for symbol, number in key)
    total = sum(amounts.values())
    value = energies(formula)
    if value is None:
        return None
    for symbol, number in amounts.items():
        if symbol != "O":
            binary, cations, oxygen = BINARIES[symbol]
            other = energies(binary)
            if other is None:
                return None
            value -= number / cations * (cations + oxygen) * other / total
    return value


def table_binaries() -> str:
    """Ternary oxides from binary ones: errors without the reference of oxygen."""
    compared = [name for name in levels() if name != "gpaw-r2scan"]
    measured = measured_enthalpies()
    sets = {name: load_entries(source=name) for name in compared}
    rows, columns = [], []
    for key in sorted(measured):
        amounts = dict(key)
        if "O" not in amounts or len(amounts) < 3 or not set(amounts) <= {*BINARIES, "O"}:
            continue
        balance = sum(n * BINARIES[s][2] / BINARIES[s][1] for s, n in amounts.items() if s != "O")
        if balance != amounts["O"]:
            continue
        reference_value = from_binaries(key, lambda f: measured[composition_key(parse_formula(f))][0])
        found = [from_binaries(key, sets[name].formation_energy_ev_per_atom) for name in compared]
        if reference_value is None or None in found:
            continue
        errors = [1000 * (value - reference_value) for value in found if value is not None]
        columns.append(errors)
        formula = "".join(f"{s}{n if n > 1 else ''}" for s, n in key)
        rows.append([formula, f"{1000 * reference_value:.0f}", *(f"{error:+.0f}" for error in errors)])
    means = np.abs(np.array(columns)).mean(axis=0)
    rows.append(["mean size", "", *(f"{mean:.0f}" for mean in means)])
    heads = ["compound", "measured", *(f"`{name}`" for name in compared)]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


#: Why relaxation changes the volume of these by more than a tenth.
OUTLIERS = {
    "molecular or layered crystal held by dispersion, which neither functional has": (
        "P4S3 P4S5 P4S7 P4S9 P2S3 P2S5 P2S7 PS NaPS3 SbPS4 NaSb(PS3)2 P2O5 P4O7 P4O9 PO2 SnS SnS2 SiS2 ZrS2 SiP SiP2 "
        "Sb2S5 SbS2 SbS Sb2S3 Na2S5 NaP15 P2S B2O3 CO2 V2O5 AlP2 ZnP2"
    ),
    "O-O or S-S units, outside the training": "NaO2 Na2O2 Na2O9 AlO2 ScO2 ZnO2 NaO3 NaO5 NaO8",
    "vanadium oxide, a hole of the potential in these forms": "V2O3 VO2",
    "framework or cage with room inside": "SiO2 Na8Si7O18 Na4Si23 Zr5Si3",
}


def table_outliers() -> str:
    """Compounds whose relaxed volume differs from the start by more than a tenth, at the r2SCAN level."""
    changes: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for path in sorted((reference.structures_dir() / "entries").glob("chgnet-r2scan-*.csv")):
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                value = float(row["volume_change_percent"] or 0.0)
                if abs(value) > 10 and len(parse_formula(row["formula"])) > 1:
                    changes[row["formula"]].append((value, row["source_id"]))
    reasons = {formula: why for why, names in OUTLIERS.items() for formula in names.split()}
    rows: dict[str, list[str]] = defaultdict(list)
    for formula, found in changes.items():
        values = ", ".join(f"{value:+.0f}" for value, _ in sorted(found))
        why = reasons.get(formula, "hypothetical, or a form of a database that is not the ground state")
        rows[why].append(f"{formula} ({values})")
    table = [[why, ", ".join(sorted(items))] for why, items in sorted(rows.items())]
    return tabulate(table, ["why", "compounds (change of each form, %)"], tablefmt="pipe")


def table_sulfides() -> str:
    """Every measured sulfide, all levels."""
    ranges, medians = measured_ranges(), measured_enthalpies()
    sets = {name: load_entries(source=name) for name in levels()}
    rows = []
    for key, (low, high) in sorted(ranges.items()):
        if class_of(key) not in ("sulfides", "other sulfides"):
            continue
        values = [entries.formation_energy_ev_per_atom(dict(key)) for entries in sets.values()]
        if all(value is None for value in values):
            continue
        formula = "".join(f"{symbol}{number if number > 1 else ''}" for symbol, number in key)
        span = f"{1000 * low:.0f}" if high - low < 5e-4 else f"{1000 * low:.0f} to {1000 * high:.0f}"
        cells = ["" if value is None else f"{1000 * value:.0f}" for value in values]
        rows.append([formula, span, f"{1000 * medians[key][1]:.0f}", *cells])
    heads = ["compound", "measured", "s.e.", *(f"`{name}`" for name in sets)]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def _span(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "none"
    text = f"{value:.2f}" if math.isfinite(value) else "no limit"
    return f"{text} ({interval[0]:.2f} to {interval[1]:.2f})" if interval else text


def table_windows() -> str:
    """Windows of the electrolytes at each level."""
    rows = []
    for target in TARGETS:
        for name in levels():
            try:
                window = stability_window(target, name)
            except EntriesError:
                continue
            spread = window.uncertainty
            if window.is_stable is None:
                rows.append([target, f"`{name}`", "no energy", "", "", ""])
                continue
            above = 1000 * (window.e_above_hull_ev_per_atom or 0.0)
            low = _span(window.reduction_v, spread.reduction_v_interval if spread else None)
            high = _span(window.oxidation_v, spread.oxidation_v_interval if spread else None)
            chance = f"{100 * spread.probability_stable:.0f} %" if spread else ""
            rows.append([target, f"`{name}`", f"{above:.1f}", low, high, chance])
        for item in published_windows(target):
            rows.append(
                [target, f"published: {item.source}", "", f"{item.reduction_v}", f"{item.oxidation_v}", ""]
            )
    heads = ["target", "level", "above hull, meV/atom", "reduction, V", "oxidation, V", "stable in"]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def table_sets() -> str:
    """What each level holds."""
    rows = []
    for name in levels():
        described, entries = entry_source(name), load_entries(source=name)
        formulas = len({composition_key(entry.amounts) for entry in entries})
        report = check_entries(entries)
        flags = Counter(entry.flag for entry in entries.excluded)
        kept_out = ", ".join(f"{count} {flag}" for flag, count in sorted(flags.items()))
        methods = "; ".join(described.methods) or "all DFT"
        rows.append([f"`{name}`", described.n_entries, formulas, methods, kept_out, len(report.missing)])
    heads = ["level", "rows", "formulas in hulls", "kind of row", "kept out", "known compounds missing"]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def table_volumes() -> str:
    """Changes of volume on relaxation."""
    rows = []
    for model in ("chgnet-r2scan", "chgnet-pbe"):
        for path in sorted((reference.structures_dir() / "entries").glob(f"{model}-*.csv")):
            lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
            column = lines[0].index("volume_change_percent")
            values = np.array([float(line[column]) for line in lines[1:] if line[column]])
            if len(values):
                large = int((np.abs(values) > 10).sum())
                system = path.stem[len(model) + 1 :]
                median = f"{np.median(values):+.1f}"
                rows.append(
                    [f"`{model}`", system, len(values), median, f"{np.median(np.abs(values)):.1f}", large]
                )
    heads = ["level", "system", "cells", "median, %", "median of the size, %", "over 10 %"]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


#: Steps between phases, as (left, right): those that limit the electrolytes, and simpler ones beside them.
REACTIONS: tuple[tuple[dict[str, float], dict[str, float]], ...] = (
    ({"Na": 3, "P": 1}, {"Na3P": 1}),
    ({"Na": 3, "Sb": 1}, {"Na3Sb": 1}),
    ({"Na": 1, "P": 1}, {"NaP": 1}),
    ({"NaS": 2, "Na": 2}, {"Na2S": 2}),
    ({"Na3PS4": 1, "Na": 5}, {"Na2S": 4, "P": 1}),
    ({"Na3PS4": 1, "Na": 8}, {"Na2S": 4, "Na3P": 1}),
    ({"Na3SbS4": 1, "Na": 5}, {"Na2S": 4, "Sb": 1}),
    ({"NaSbS2": 1, "Na": 3}, {"Na2S": 2, "Sb": 1}),
    ({"Na3SbS4": 1, "Na": 1}, {"Na3SbS3": 1, "NaS": 1}),
    ({"Na3SbS3": 1, "Na": 3}, {"Na2S": 3, "Sb": 1}),
    ({"NaSbS2": 1, "NaS": 2}, {"Na3SbS4": 1}),
    ({"ZrO2": 1, "SiO2": 1}, {"ZrSiO4": 1}),
    ({"Na3PO4": 1, "ZrSiO4": 2}, {"Na3Zr2Si2PO12": 1}),
)


#: Endings of the identifiers of DFT rows that are not on the potential's cell, and how a form is called there.
CELLS = {"_start": "database cell", "_relaxed": "relaxed"}


def dft_rows() -> list[dict[str, str]]:
    """Return the rows of the DFT table, empty where there is none."""
    path = reference.structures_dir() / "entries" / "gpaw-r2scan.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        return [row for row in csv.DictReader(handle) if row["cutoff_ev"]]  # not the fitted reference of O


def start_of(row: dict[str, str]) -> str:
    """Return the identifier of the potential's row for the same form as a DFT row."""
    return row["source_id"].removesuffix("_relaxed").removesuffix("_start")


def _potential_energies() -> dict[str, float]:
    """Return the potential's absolute energies by starting structure, eV per atom."""
    found = {}
    for path in sorted((reference.structures_dir() / "entries").glob("chgnet-r2scan-*.csv")):
        with path.open(encoding="utf-8", newline="") as handle:
            found |= {row["source_id"]: float(row["energy_ev_per_atom"]) for row in csv.DictReader(handle)}
    return found


def _step(left: dict[str, float], right: dict[str, float], energies: dict[str, float]) -> float:
    """Return the reaction energy, eV, from energies per atom."""

    def total(side: dict[str, float]) -> float:
        return sum(n * float(sum(parse_formula(f).values())) * energies[f] for f, n in side.items())

    return total(right) - total(left)


def table_reactions() -> str:
    """Steps by DFT and by the potential, on the same forms; no reference of S or O is in them."""
    potential = _potential_energies()
    dft: dict[str, float] = {}
    other: dict[str, float] = {}
    for row in dft_rows():
        energy = float(row["energy_ev_per_atom"])
        if energy < dft.get(row["formula"], math.inf):
            dft[row["formula"]], other[row["formula"]] = energy, potential[start_of(row)]
    rows, differences = [], []
    for left, right in REACTIONS:
        if not {*left, *right} <= set(dft):
            continue
        atoms = sum(n * float(sum(parse_formula(f).values())) for f, n in left.items())
        energies = [_step(left, right, found) for found in (dft, other)]
        charge = left.get("Na", 0.0)
        texts = [f"{-energy / charge:.3f}" if charge else "" for energy in energies]
        per_atom = [1000 * energy / atoms for energy in energies]
        differences.append(per_atom[1] - per_atom[0])
        sides = [" + ".join(f"{n:g} {f}" if n != 1 else f for f, n in side.items()) for side in (left, right)]
        rows.append(
            [" -> ".join(sides), *texts, *(f"{value:+.0f}" for value in (*per_atom, differences[-1]))]
        )
    if not rows:
        return "No DFT rows yet."
    text = tabulate(
        rows,
        ["step", "GPAW, V", "CHGNet, V", "GPAW, meV/atom", "CHGNet, meV/atom", "difference"],
        tablefmt="pipe",
        disable_numparse=True,
    )
    return f"{text}\n\nMean size of the difference {np.mean(np.abs(differences)):.0f} meV per atom."


def table_dft() -> str:
    """What DFT rows there are, with formation energies where the elements are done."""
    potential = {e.entry_id: e for e in load_entries(source="chgnet-r2scan", exclude_flags=())}
    rows = []
    for row in dft_rows():
        formation, other = row["formation_energy_ev_per_atom"], potential[start_of(row)].energy_ev_per_atom
        texts = ["", "", ""]
        if formation and "element" not in row["flags"].split("; "):
            energy = float(formation)
            texts = [f"{1000 * energy:.0f}", f"{1000 * other:.0f}", f"{1000 * (other - energy):+.0f}"]
        cell = [name for ending, name in CELLS.items() if row["source_id"].endswith(ending)]
        form = ", ".join([row["polymorph"], *cell])
        grid = [row["cutoff_ev"].removesuffix(".0"), row["kpoints"]]
        rows.append([row["formula"], form, row["n_atoms"], *grid, row["energy_ev_per_atom"], *texts])
    if not rows:
        return "No DFT rows yet."
    heads = ["phase", "form", "atoms", "cut-off, eV", "k-points", "energy, eV/atom"]
    heads += ["formation, meV/atom", "CHGNet", "difference"]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def table_geometry() -> str:
    """What the potential's cell costs in DFT, against the other cells of the same form; of systems with hulls."""
    held = [row for row in dft_rows() if "incomplete_system" not in row["flags"]]
    energies = {row["source_id"]: 1000 * float(row["energy_ev_per_atom"]) for row in held}
    rows, gains = [], []
    for row in held:
        own = row["source_id"]
        relaxed = [energies[own + e] for e in ("_relaxed", "_start_relaxed") if own + e in energies]
        others = [energies.get(own + "_start"), min(relaxed, default=None)]
        if own != start_of(row) or others == [None, None]:
            continue
        texts = ["" if other is None else f"{energies[own] - other:.1f}" for other in others]
        rows.append([row["formula"], row["polymorph"], *texts])
        gains.append(energies[own] - min(other for other in others if other is not None))
    text = tabulate(
        rows,
        ["phase", "form", "above the database cell, meV/atom", "above the cell relaxed in DFT"],
        tablefmt="pipe",
        disable_numparse=True,
    )
    size = np.sqrt(np.mean(np.square(gains)))
    return (
        f"{text}\n\n{len(gains)} forms, median {np.median(gains):.1f}, root mean square {size:.1f} meV/atom."
    )


TABLES: dict[str, Callable[[], str]] = {
    "sets": table_sets,
    "errors": table_errors,
    "sulfides": table_sulfides,
    "windows": table_windows,
    "volumes": table_volumes,
    "outliers": table_outliers,
    "common": table_common,
    "binaries": table_binaries,
    "dft": table_dft,
    "geometry": table_geometry,
    "reactions": table_reactions,
}


def main() -> int:
    """Fill in the tables, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument("--print", action="store_true", help="print the tables instead")
    args = parser.parse_args()
    if args.print:
        for name, make in TABLES.items():
            print(f"\n{name}\n\n{make()}")
        return 0
    text = DOC.read_text(encoding="utf-8")
    fresh = re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}",
        text,
        flags=re.DOTALL,
    )
    if args.check:
        if fresh != text:
            print("docs/energies.md is out of date; run scripts/energy_report.py", file=sys.stderr)
        return int(fresh != text)
    DOC.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

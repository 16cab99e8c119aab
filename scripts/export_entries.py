"""Turn the relaxations of ``scripts/compute_entries.py`` into the energy tables of ``structures/entries/``.

    python scripts/export_entries.py --work work
    python scripts/update_checksums.py

One CSV per level (``chgnet-r2scan``, ``chgnet-pbe``, ``gga+delta-r2scan``) and system (elements, sulfides,
nasicon, dopants), and the relaxed r2SCAN cells as JSON lines. Formation energies refer to the standard states
of ``REFERENCES``, not to whatever polymorph the potential likes best: a polymorph of an element that comes out
below its standard state is flagged ``below_reference`` and stays out of hulls. Oxygen has no row of its own
from the potential: its reference is fitted to measured enthalpies of binary oxides (one number per level).
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from nasicon_struct.entries import composition_key
from nasicon_struct.formula import parse_formula
from nasicon_struct.stability.error_model import measured_enthalpies

ENTRIES = Path(__file__).resolve().parent.parent / "structures" / "entries"
#: Standard state of each element: the starting structures that represent it (the lower one counts).
REFERENCES: dict[str, tuple[str, ...]] = {
    "Al": ("Al_fcc",),
    "B": ("B_mp-160",),
    "C": ("C_mp-48",),
    "Ca": ("Ca_mp-45",),
    "Ge": ("Ge_mp-32",),
    "Hf": ("Hf_mp-103",),
    "La": ("La_mp-26",),
    "Mg": ("Mg_mp-153",),
    "Na": ("Na", "Na_mp-127"),
    "Nb": ("Nb_mp-75",),
    "P": ("P_black", "P_mp-157"),
    "S": ("S8", "S_mp-77"),
    "Sb": ("Sb", "Sb_mp-104"),
    "Sc": ("Sc_hcp",),
    "Si": ("Si_mp-149",),
    "Sn": ("Sn_mp-84",),
    "Ti": ("Ti_mp-46",),
    "V": ("V_mp-146",),
    "Y": ("Y_mp-112",),
    "Zn": ("Zn_hcp",),
    "Zr": ("Zr_mp-131",),
}
#: Binary oxides without O-O bonds whose measured enthalpies fix the oxygen reference.
OXYGEN_OXIDES = ("Na2O", "SiO2", "ZrO2", "Al2O3", "Sc2O3", "ZnO")
#: No such compounds are known; predictions of databases that the potential finds too stable.
HYPOTHETICAL = ("P2S", "SbS", "SbS2", "Sb11S18", "Sb17S27")
#: Compounds with O-O bonds that are known; every other oxide with more O than its cations balance is hypothetical
#: here: a fitted oxygen reference and a potential for oxides cannot tell how stable an unknown O-O bond is.
KNOWN_PEROXIDES = ("Na2O2", "NaO2", "NaO3", "ZnO2")
#: MP2020 correction of silicon as an anion, eV per atom (A. Wang et al., Sci. Rep. 11 (2021) 15496): in the energies
#: that the PBE weights were fitted to, but not in the MP2020 column of the GGA set.
SILICIDE_EV = 0.071
#: More electronegative than silicon (Pauling), of the elements of the GGA set.
_ABOVE_SILICON = frozenset(("O", "S", "P", "Sb", "Sn", "C", "B"))
MODEL_NAMES = {"r2scan": "CHGNet r2SCAN potential", "pbe": "CHGNet PBE potential"}
COLUMNS = (
    "formula",
    "polymorph",
    "n_atoms",
    "energy_ev_per_atom",
    "formation_energy_ev_per_atom",
    "volume_ang3_per_atom",
    "volume_change_percent",
    "max_force_ev_per_ang",
    "n_steps",
    "source_id",
    "model",
    "flags",
    "note",
    "source",
)
_LARGE_CHANGE = 0.10
#: A contraction by more than this, or a formation energy below ``_UNPHYSICAL_EV``, is a hole of the potential.
#: Expansion is not: without dispersion, molecular crystals fall apart at almost no cost in energy.
_UNPHYSICAL_CONTRACTION = -0.35
_UNPHYSICAL_EV = -5.0
#: Farther above the lowest form of the composition than this, eV per atom: of no use in a hull.
_HIGH_EV = 0.5
#: Oxides this far above the lowest form, eV per atom, have their cells written.
_LOW_EV_PER_ATOM = 0.03
_SYMPREC_ANG = 0.05

SYSTEMS = ("elements", "sulfides", "nasicon", "dopants")

Key = tuple[tuple[str, int], ...]
Record = dict[str, Any]


def system_of(key: Key) -> str:
    """Return the table a composition belongs to."""
    elements = {symbol for symbol, _ in key}
    if len(elements) == 1:
        return "elements"
    if elements <= {"Na", "P", "S", "Sb", "Sn"}:
        return "sulfides"  # with phosphides, antimonides and alloys, their competitors
    return "nasicon" if elements <= {"Na", "Zr", "Si", "P", "O"} else "dopants"


def read_work(work: Path, model: str) -> list[Record]:
    """Read the results of a potential, without those that failed."""
    records = []
    for path in sorted((work / model).glob("*/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "error" in record:
            click.echo(f"left out {record['source_id']} {model}: {record['error']}")
            continue
        symbols = record["symbols"]
        record["amounts"] = {symbol: symbols.count(symbol) for symbol in sorted(set(symbols))}
        record["key"] = composition_key(
            parse_formula("".join(f"{s}{n}" for s, n in record["amounts"].items()))
        )
        records.append(record)
    return records


def formation(record: Record, references: Mapping[str, float]) -> float | None:
    """Return the formation energy, eV per atom, or None where a reference is missing."""
    if any(symbol not in references for symbol in record["amounts"]):
        return None
    total = sum(record["amounts"].values())
    held = sum(number * references[symbol] for symbol, number in record["amounts"].items())
    return float(record["energy_ev_per_atom"] - held / total)


def element_references(records: Iterable[Record]) -> dict[str, float]:
    """Return the energy of each standard state, eV per atom."""
    found: dict[str, float] = {}
    for record in records:
        for symbol, ids in REFERENCES.items():
            if record["source_id"] in ids:
                found[symbol] = min(record["energy_ev_per_atom"], found.get(symbol, np.inf))
    return found


def fit_oxygen(energies: Mapping[Key, float]) -> tuple[float, list[str]]:
    """Return the shift per O atom that brings formation energies to the measured ones, eV, and a report.

    ``energies`` are formation energies with the oxygen reference at zero; the mean over compounds is taken,
    each one left out once for the report.
    """
    measured = measured_enthalpies()
    shifts: dict[str, float] = {}
    for formula in OXYGEN_OXIDES:
        key = composition_key(parse_formula(formula))
        if key in energies and key in measured:
            total = sum(number for _, number in key)
            share = dict(key)["O"] / total
            shifts[formula] = (energies[key] - measured[key][0]) / share
    if len(shifts) < 3:
        raise click.ClickException(f"only {sorted(shifts)} to fit the oxygen reference to")
    value = float(np.mean(list(shifts.values())))
    left_out = [value - (sum(shifts.values()) - shift) / (len(shifts) - 1) for shift in shifts.values()]
    lines = [
        f"oxygen reference {value:.4f} eV per atom from {len(shifts)} oxides, "
        f"spread {np.std(list(shifts.values()), ddof=1):.3f}, leaving one out moves it by at most "
        f"{max(abs(v) for v in left_out):.3f} eV: "
        + ", ".join(f"{name} {shift - value:+.3f}" for name, shift in shifts.items())
    ]
    return value, lines


def lowest_of(energies: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    """Return the lowest energy of each composition."""
    found: dict[Key, float] = {}
    for key, energy in energies:
        found[key] = min(energy, found.get(key, np.inf))
    return found


def with_oxygen(records: list[Record], references: dict[str, float]) -> list[str]:
    """Add the fitted oxygen reference; return a report."""
    believable = [record for record in records if _change(record) > _UNPHYSICAL_CONTRACTION]
    energies = [(record["key"], formation(record, {**references, "O": 0.0})) for record in believable]
    lowest = lowest_of((key, energy) for key, energy in energies if energy is not None)
    try:
        references["O"], lines = fit_oxygen(lowest)
    except click.ClickException as error:
        return [f"no oxides: {error.message}"]
    return lines


def _change(record: Record) -> float:
    return float(record["volume_ang3_per_atom"] / record["start_volume_ang3_per_atom"] - 1)


def flags_of(record: Record, energy: float, lowest: float, known: Mapping[Key, str]) -> list[str]:
    """Return what is special about a row; ``lowest`` is the lowest believable energy of the composition."""
    key, flags = record["key"], []
    if len(key) == 1:
        reference = record["source_id"] in REFERENCES.get(key[0][0], ())
        flags.append("element" if reference else ("below_reference" if energy < 0 else "polymorph"))
    excess = known.get(key) == "oxygen_excess"
    if key in _keys(HYPOTHETICAL) or (excess and key not in _keys(KNOWN_PEROXIDES)):
        flags.append("hypothetical")
    if excess:
        flags.append("oxygen_excess")
    if energy > lowest + _HIGH_EV:
        flags.append("high_energy")
    if not record["converged"]:
        flags.append("not_converged")
    if _change(record) < _UNPHYSICAL_CONTRACTION or energy < _UNPHYSICAL_EV:
        flags.append("unphysical")
    elif abs(_change(record)) > _LARGE_CHANGE:
        flags.append("volume_change")
    if record["space_group"] != record["start_space_group"]:
        flags.append("symmetry_changed")
    return flags


def _keys(formulas: Iterable[str]) -> set[Key]:
    return {composition_key(parse_formula(formula)) for formula in formulas}


def rows_of(
    records: list[Record], references: Mapping[str, float], names: Mapping[Key, str], known: Mapping[Key, str]
) -> list[dict[str, Any]]:
    """Return the rows of a level, sorted by formula and energy."""
    rows = []
    energies = [formation(record, references) for record in records]
    lowest = lowest_of(
        (record["key"], energy)
        for record, energy in zip(records, energies, strict=True)
        if energy is not None and energy > _UNPHYSICAL_EV
    )
    for record, energy in zip(records, energies, strict=True):
        if energy is None:
            continue
        flags = flags_of(record, energy, lowest.get(record["key"], energy), known)
        changed = "symmetry_changed" in flags
        rows.append(
            {
                "key": record["key"],
                "formula": names[record["key"]],
                "polymorph": record["space_group"],
                "n_atoms": record["n_atoms"],
                "energy_ev_per_atom": f"{record['energy_ev_per_atom']:.5f}",
                "formation_energy_ev_per_atom": f"{0.0 if 'element' in flags and abs(energy) < 5e-4 else energy:.5f}",
                "volume_ang3_per_atom": f"{record['volume_ang3_per_atom']:.4f}",
                "volume_change_percent": f"{100 * _change(record):.1f}",
                "max_force_ev_per_ang": f"{record['max_force_ev_per_ang']:.4f}",
                "n_steps": record["n_steps"],
                "source_id": record["source_id"],
                "model": MODEL_NAMES[record["model"]],
                "flags": "; ".join(flags),
                "note": f"start {record['start_space_group']}" if changed else "",
                "source": f"relaxed from {record['citation']}",
            }
        )
    return rows


def oxygen_row(energy: float) -> dict[str, Any]:
    """Return the row of the fitted oxygen reference."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row.update(
        key=(("O", 1),),
        formula="O",
        n_atoms=1,
        energy_ev_per_atom=f"{energy:.5f}",
        formation_energy_ev_per_atom="0.00000",
        source_id="O_fitted",
        model="fitted reference",
        flags="element",
        note="fitted to measured enthalpies of binary oxides",
        source="measured enthalpies: tables/experimental_enthalpies.csv",
    )
    return row


def silicide_correction(key: Key) -> float:
    """Return the MP2020 correction of a compound in which silicon is the anion, eV per atom; zero elsewhere."""
    amounts = dict(key)
    if len(amounts) == 1 or "Si" not in amounts or _ABOVE_SILICON & set(amounts):
        return 0.0
    return SILICIDE_EV * amounts["Si"] / sum(amounts.values())


def delta_rows(
    r2scan: list[dict[str, Any]], pbe: list[dict[str, Any]], gga: list[dict[str, str]]
) -> list[dict[str, Any]]:
    """Return GGA (MP2020) energies moved to r2SCAN by the potentials' difference.

    E(p) = E_GGA(g) + E_r2SCAN(p) - E_PBE(g), each potential at its own minimum; g is the form that the GGA energy
    was computed for where its id is known and it was relaxed, else the lowest form of the PBE potential. A
    compound whose forms all failed to converge has none.
    """
    base = {composition_key(parse_formula(row["formula"])): row for row in gga}
    anchors: dict[Key, tuple[bool, float]] = {}
    for row in pbe:
        unusable = {"below_reference", "unphysical"} | ({"not_converged"} if len(row["key"]) > 1 else set())
        if row["key"] in base and not unusable & set(row["flags"].split("; ")):
            ids = base[row["key"]].get("mp_id_inferred", "").replace(";", " ").split()
            other = row["source_id"].split("_")[-1] not in ids
            found = (other, float(row["formation_energy_ev_per_atom"]))
            anchors[row["key"]] = min(found, anchors.get(row["key"], found))
    rows = []
    for row in r2scan:
        key = row["key"]
        if key not in base or key not in anchors or not base[key]["formation_energy_mp2020_ev_per_atom"]:
            continue
        if len(key) == 1 and "element" not in row["flags"]:
            continue
        shift = float(row["formation_energy_ev_per_atom"]) - anchors[key][1]
        energy = float(base[key]["formation_energy_mp2020_ev_per_atom"]) + silicide_correction(key) + shift
        element = len(key) == 1
        rows.append(
            {
                **row,
                "energy_ev_per_atom": "",
                "formation_energy_ev_per_atom": f"{0.0 if element else energy:.5f}",
                "model": "fitted reference"
                if key == (("O", 1),)
                else "GGA (MP2020) plus CHGNet r2SCAN - PBE",
                "source": f"{row['source']}; {base[key]['source']}" if row["source"] else base[key]["source"],
            }
        )
    return rows


def refit_oxygen(rows: list[dict[str, Any]]) -> list[str]:
    """Shift the oxides of a level so that its oxygen reference fits the measured enthalpies too."""
    lowest = lowest_of((row["key"], float(row["formation_energy_ev_per_atom"])) for row in rows)
    try:
        shift, lines = fit_oxygen(lowest)
    except click.ClickException as error:
        return [f"no oxides: {error.message}"]
    for row in rows:
        amounts = dict(row["key"])
        if "O" in amounts and len(amounts) > 1:
            moved = float(row["formation_energy_ev_per_atom"]) - shift * amounts["O"] / sum(amounts.values())
            row["formation_energy_ev_per_atom"] = f"{moved:.5f}"
    return lines


def with_compounds(rows: list[dict[str, Any]], systems: Container[str]) -> list[dict[str, Any]]:
    """Keep the systems asked for, and the elements of their compounds: a hull of elements alone would mislead."""
    rows = [row for row in rows if system_of(row["key"]) in systems]
    bound = {symbol for row in rows if len(row["key"]) > 1 for symbol, _ in row["key"]}
    return [row for row in rows if bound.issuperset(symbol for symbol, _ in row["key"])]


def write(out: Path, level: str, rows: list[dict[str, Any]]) -> None:
    """Write the tables of a level, one per system."""
    tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        tables[system_of(row["key"])].append(row)
    for system, items in sorted(tables.items()):
        path = out / f"{level}-{system}.csv"
        items.sort(key=lambda r: (r["formula"], float(r["formation_energy_ev_per_atom"]), r["source_id"]))
        with path.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(items)
        click.echo(f"{path.name}: {len(items)} rows, {len({r['key'] for r in items})} formulas")


def symmetrised(record: Record) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the primitive cell (Å), scaled positions and symbols, with the symmetry found made exact."""
    import spglib
    from ase.data import atomic_numbers, chemical_symbols

    numbers = [atomic_numbers[symbol] for symbol in record["symbols"]]
    cell = (record["cell_ang"], record["scaled_positions"], numbers)
    found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=False, symprec=_SYMPREC_ANG)
    if found is None:
        return np.array(record["cell_ang"]), np.array(record["scaled_positions"]), record["symbols"]
    return found[0], found[1], [chemical_symbols[number] for number in found[2]]


def write_cells(
    out: Path, records: list[Record], references: Mapping[str, float], names: Mapping[Key, str]
) -> None:
    """Write the relaxed r2SCAN cells of sulfides, reference elements and low oxides, for DFT and for tests."""
    path = out / "chgnet-r2scan-cells.jsonl"
    wanted = []
    lowest = lowest_of((record["key"], record["energy_ev_per_atom"]) for record in records)
    for record in records:
        reference = any(record["source_id"] in ids for ids in REFERENCES.values())
        plain = _change(record) > _UNPHYSICAL_CONTRACTION and record["converged"]
        system, above = system_of(record["key"]), record["energy_ev_per_atom"] - lowest[record["key"]]
        oxide = "O" in dict(record["key"]) and system == "nasicon" and above < _LOW_EV_PER_ATOM
        if plain and (reference or system == "sulfides" or oxide):
            wanted.append(record)
    wanted.sort(key=lambda r: (names[r["key"]], r["energy_ev_per_atom"], r["source_id"]))
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        for record in wanted:
            cell, positions, symbols = symmetrised(record)
            line = {
                "source_id": record["source_id"],
                "formula": names[record["key"]],
                "space_group": record["space_group"],
                "energy_ev_per_atom": round(record["energy_ev_per_atom"], 5),
                "formation_energy_ev_per_atom": round(formation(record, references) or 0.0, 5),
                "cell_ang": np.round(cell, 8).tolist(),
                "symbols": symbols,
                "scaled_positions": np.round(positions, 8).tolist(),
            }
            handle.write(json.dumps(line, separators=(",", ":")) + "\n")
    click.echo(f"{path.name}: {len(wanted)} cells")


@click.command()
@click.option("--work", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path, exists=True), default=ENTRIES)
@click.option("--systems", default=",".join(SYSTEMS), show_default=True, help="Tables to write.")
def main(work: Path, out: Path, systems: str) -> None:
    """Write all tables that the work folder allows."""
    chosen = set(systems.split(","))
    with (ENTRIES / "mp2019-gga.csv").open(encoding="utf-8", newline="") as handle:
        gga = list(csv.DictReader(handle))
    known = {composition_key(parse_formula(row["formula"])): row["flag"] for row in gga}
    spelled = {composition_key(parse_formula(row["formula"])): row["formula"] for row in gga}
    tables: dict[str, list[dict[str, Any]]] = {}
    for model in MODEL_NAMES:
        records = read_work(work, model)
        references = element_references(records)
        for line in with_oxygen(records, references):
            click.echo(f"{model}: {line}")
        names = {record["key"]: _spell(record["key"], spelled) for record in records}
        tables[model] = rows_of(records, references, names, known)
        if "O" in references:
            tables[model].append(oxygen_row(references["O"]))
        tables[model] = with_compounds(tables[model], chosen)
        write(out, f"chgnet-{model}", tables[model])
        if model == "r2scan":
            held = {row["source_id"] for row in tables[model]}
            write_cells(out, [r for r in records if r["source_id"] in held], references, names)
    rows = delta_rows(tables["r2scan"], tables["pbe"], gga)
    for line in refit_oxygen(rows):
        click.echo(f"gga+delta-r2scan: {line}")
    write(out, "gga+delta-r2scan", with_compounds(rows, chosen))


def _spell(key: Key, spelled: Mapping[Key, str]) -> str:
    """Return the formula as the GGA table writes it, else pymatgen's."""
    if key in spelled:
        return spelled[key]
    from pymatgen.core import Composition

    formula = Composition(dict(key)).reduced_formula
    return key[0][0] if len(key) == 1 else str(formula)


if __name__ == "__main__":
    main()

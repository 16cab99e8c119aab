"""The shipped energy levels: what they hold, how they hang together, how far they are from measurement."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasicon_struct import list_entry_sources, load_entries, reference, stability_window
from nasicon_struct.entries import check_entries, composition_key, default_source, entry_source
from nasicon_struct.errors import EntriesError
from nasicon_struct.formula import parse_formula
from nasicon_struct.stability.error_model import error_model, fit_error_model, measured_enthalpies

ENTRIES = reference.structures_dir() / "entries"
POTENTIAL = "chgnet-r2scan"
DELTA = "gga+delta-r2scan"
LEVELS = ("mp2019-gga", POTENTIAL, DELTA)
COMPUTED = ("chgnet-pbe", POTENTIAL, DELTA)
#: Predictions of databases, no known compounds: E. g. no antimony sulfide but Sb2S3 (and amorphous Sb2S5) is known.
HYPOTHETICAL = {"P2S", "SbS", "SbS2", "Sb11S18", "Sb17S27"}
FLAGS = {
    "",
    "element",
    "polymorph",
    "below_reference",
    "hypothetical",
    "oxygen_excess",
    "high_energy",
    "not_converged",
    "incomplete_system",
    "unphysical",
    "volume_change",
    "symmetry_changed",
}
COLUMNS = [
    "formula",
    "polymorph",
    "n_atoms",
    "energy_ev_per_atom",
    "formation_energy_ev_per_atom",
    "volume_ang3_per_atom",
    "max_force_ev_per_ang",
    "n_steps",
    "source_id",
    "model",
    "flags",
]


def rows_of(level: str) -> list[dict[str, str]]:
    rows = []
    for file in entry_source(level).files:
        with (ENTRIES / file).open(encoding="utf-8", newline="") as handle:
            rows += list(csv.DictReader(handle))
    return rows


def cells(name: str = "chgnet-r2scan-cells.jsonl") -> list[dict]:
    text = (ENTRIES / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_level_is_listed_and_says_what_its_rows_are():
    listed = {item.name: item for item in list_entry_sources()}
    for name in (*LEVELS, "chgnet-pbe"):
        assert name in listed
    for name in COMPUTED:
        described = listed[name]
        assert type(described).from_dict(described.as_dict()) == described
        counts = dict(item.rsplit(": ", 1) for item in described.methods)
        assert sum(int(count) for count in counts.values()) == described.n_entries
        assert all(described.notes)
        assert any("hypothetical" in note or "not known" in note for note in described.notes)
    assert "CHGNet r2SCAN potential" in "; ".join(listed[POTENTIAL].methods)


@pytest.mark.parametrize("level", COMPUTED)
def test_rows_have_the_columns_and_known_flags(level):
    rows = rows_of(level)
    for row in rows:
        assert set(COLUMNS) <= set(row)
        assert set(row["flags"].split("; ")) <= FLAGS, row
        assert parse_formula(row["formula"])
        assert row["source"], row
        assert row["model"], row
        if "not_converged" not in row["flags"] and row["max_force_ev_per_ang"]:
            assert float(row["max_force_ev_per_ang"]) < 0.012, row
    names = [(row["formula"], row["source_id"]) for row in rows]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("level", COMPUTED)
@pytest.mark.parametrize("system", ["Na-P-S", "Na-Sb-S"])
def test_elements_are_the_zero(level, system):
    entries = load_entries(system, source=level)
    assert entries.is_formation_scale
    for symbol in system.split("-"):
        assert entries.formation_energy_ev_per_atom(symbol) == 0.0
        assert entries[symbol].flag == "element"
    report = check_entries(entries)
    assert report.usable
    assert not report.implausible
    assert not report.mixed_levels


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("system", ["Na-P-S", "Na-Sb-S"])
def test_sulfide_systems_are_complete(level, system):
    entries = load_entries(system, source=level)
    known = {row["formula"] for row in reference.read_rows("expected_phases")}
    missing = [formula for formula in check_entries(entries).missing if formula in known]
    # Tegman's Na2S4 is listed as NaS2; nothing else may be absent
    assert missing == []


@pytest.mark.parametrize("system", ["Na-P-S", "Na3SbS4", ["Na3PS4", "Na3SbS4"], {"Na", "Sb", "P", "S"}])
def test_the_default_of_sulfides_is_the_level_nearest_to_measurement(system):
    assert default_source(system) == POTENTIAL
    assert load_entries(system).source == POTENTIAL


def test_the_default_covers_the_system_and_may_be_named_otherwise():
    assert default_source() == default_source("Na-Zr-Nb-O") == "mp2019-gga"  # Nb: in no level at all
    assert load_entries("Na3PS4", source="mp2019-gga").source == "mp2019-gga"
    for item in list_entry_sources():
        assert set(item.default_for) <= set(item.elements)
    assert stability_window("Na3PS4", uncertainty=False).source == default_source("Na3PS4")


def test_both_polymorphs_of_the_electrolytes_stand_in_the_set():
    entries = load_entries(source=POTENTIAL)
    for formula in ("Na3PS4", "Na3SbS4"):
        key = composition_key(parse_formula(formula))
        forms = {e.polymorph: e.energy_ev_per_atom for e in entries if composition_key(e.amounts) == key}
        # At 0 K the tetragonal form is the lower one; the cubic one is the high-temperature form.
        assert forms["P-42_1c"] < forms["I-43m"]
        assert forms["I-43m"] - forms["P-42_1c"] < 0.03


@pytest.mark.parametrize("level", [POTENTIAL, DELTA])
def test_hypothetical_compounds_stay_out_of_the_hull_and_are_named(level):
    entries = load_entries(("Na", "P", "S", "Sb"), source=level)
    assert not HYPOTHETICAL & {entry.formula for entry in entries}
    assert {entry.formula for entry in entries.excluded if entry.flag == "hypothetical"} <= HYPOTHETICAL
    everything = load_entries(("Na", "P", "S", "Sb"), source=level, exclude_flags=())
    assert len(everything) == len(entries) + len(entries.excluded)


def test_unknown_oxides_with_oxygen_excess_and_unfinished_relaxations_set_no_limit():
    """The fitted O reference says nothing of O-O bonds: known peroxides and superoxides stay, others do not."""
    kept = {entry.entry_id: entry.formula for entry in load_entries(source=POTENTIAL)}
    seen = set()
    for row in rows_of(POTENTIAL):
        flags = row["flags"].split("; ")
        if "oxygen_excess" in flags:
            known = row["formula"] in ("Na2O2", "NaO2", "NaO3", "ZnO2")
            assert ("hypothetical" in flags) is not known
            seen.add(row["formula"])
        if "not_converged" in flags or "hypothetical" in flags:
            assert row["source_id"] not in kept
    assert {"Na2O2", "NaO2"} <= set(kept.values()) & seen
    assert {"Na2O9", "Zr2(PO4)3"} <= seen - set(kept.values())


def test_delta_level_is_gga_plus_the_difference_of_the_potentials():
    gga = load_entries(source="mp2019-gga-mp2020", exclude_flags=())
    ids = {row["formula"]: row["mp_id_inferred"].replace(";", " ").split() for row in rows_of("mp2019-gga")}
    r2scan = {entry.entry_id: entry for entry in load_entries(source=POTENTIAL, exclude_flags=())}
    anchors: dict[str, tuple[bool, float]] = {}
    for row in rows_of("chgnet-pbe"):
        if not {"not_converged", "unphysical"} & set(row["flags"].split("; ")):
            other = row["source_id"].split("_")[-1] not in ids.get(row["formula"], ())
            found = (other, float(row["formation_energy_ev_per_atom"]))
            anchors[row["formula"]] = min(found, anchors.get(row["formula"], found))
    checked = 0
    for entry in load_entries(("Na", "P", "S", "Sb"), source=DELTA, exclude_flags=()):
        if entry.is_element:
            continue
        difference = r2scan[entry.entry_id].energy_ev_per_atom - anchors[entry.formula][1]
        expected = gga[entry.formula].energy_ev_per_atom + difference
        assert entry.energy_ev_per_atom == pytest.approx(expected, abs=2.1e-5)
        checked += 1
    assert checked >= 40


#: Oxides and elements that every level of Na-Zr-Si-P-O with Sc, Zn and Al must hold.
OXIDES = (
    "Na2O Na2O2 SiO2 ZrO2 P2O5 Na3PO4 Na4P2O7 NaPO3 Na2SiO3 Na4SiO4 Na2Si2O5 Na2ZrO3 ZrSiO4 ZrP2O7 Na2ZrSi2O7 "
    "NaZr2(PO4)3 Na3Zr2Si2PO12 Na4Zr2(SiO4)3 Sc2O3 ScPO4 NaScO2 ZnO Zn2SiO4 Na2ZnSiO4 NaZnPO4 Al2O3 AlPO4 NaAlO2 "
    "NaAlSiO4"
)


@pytest.mark.parametrize("level", LEVELS)
def test_oxide_systems_hold_what_decides_them(level):
    entries = load_entries(("Na", "Zr", "Si", "P", "O", "Sc", "Zn", "Al"), source=level)
    held = {composition_key(entry.amounts) for entry in entries}
    assert {
        formula for formula in OXIDES.split() if composition_key(parse_formula(formula)) not in held
    } == set()
    for symbol in entries.elements:
        assert entries.formation_energy_ev_per_atom(symbol) == 0.0
    assert check_entries(entries).usable


def test_the_delta_level_holds_formulas_of_the_gga_set_only():
    gga = {composition_key(parse_formula(row["formula"])) for row in rows_of("mp2019-gga")}
    assert {composition_key(parse_formula(row["formula"])) for row in rows_of(DELTA)} <= gga


def test_both_r2scan_levels_err_less_on_oxides_than_gga():
    errors = {}
    for level in (POTENTIAL, DELTA, "mp2019-gga-mp2020"):
        entries = load_entries(source=level)
        values = [
            energy - value
            for key, (value, _) in measured_enthalpies().items()
            if {"O"} < {s for s, _ in key} <= {"Na", "Zr", "Si", "P", "O", "Sc", "Zn", "Al"}
            and (energy := entries.formation_energy_ev_per_atom(dict(key))) is not None
        ]
        assert len(values) == 23
        errors[level] = float(np.mean(np.abs(values)))
    assert errors[POTENTIAL] < errors[DELTA] < 0.05  # the default is the better one
    assert errors["mp2019-gga-mp2020"] > 0.06


def test_relaxed_volumes_stay_near_the_start():
    rows = [row for row in rows_of(POTENTIAL) if row["volume_change_percent"]]
    changes = np.array([float(row["volume_change_percent"]) for row in rows])
    assert np.median(changes) == pytest.approx(0.0, abs=2.0)
    for row, change in zip(rows, changes, strict=True):
        flagged = bool({"volume_change", "unphysical"} & set(row["flags"].split("; ")))
        # printed to a tenth of a percent; an energy can be unphysical at any volume
        assert (
            flagged if abs(change) > 10.05 else not ("volume_change" in row["flags"] and abs(change) < 9.95)
        )


@pytest.mark.parametrize("level", [POTENTIAL, DELTA])
@pytest.mark.parametrize("target", ["Na3PS4", "Na3SbS4"])
def test_windows_come_with_intervals_that_are_not_padded(level, target):
    window = stability_window(target, level)
    assert window.is_stable
    assert 0.0 < window.reduction_v < window.oxidation_v
    spread = window.uncertainty
    for interval in (spread.reduction_v_interval, spread.oxidation_v_interval):
        assert 0.0 < interval[1] - interval[0] < (0.7 if level == default_source(target) else 1.2)


def test_tetragonal_na3sbs4_is_on_the_hull_where_gga_lacks_it():
    assert stability_window("Na3SbS4", "mp2019-gga", uncertainty=False).is_stable is False
    assert stability_window("Na3SbS4", POTENTIAL, uncertainty=False).is_stable is True


def test_error_against_measurement_falls_from_gga_to_r2scan():
    def mean_error(level: str, elements: str = "Na P S Sb", count: int = 6) -> float:
        entries = load_entries(source=level)
        errors = [
            entries.formation_energy_ev_per_atom(dict(key)) - value
            for key, (value, _) in measured_enthalpies().items()
            if {symbol for symbol, _ in key} <= set(elements.split()) and len(key) > 1
        ]
        assert len(errors) == count
        return float(np.mean(np.abs(errors)))

    assert mean_error(POTENTIAL) < 0.03
    assert mean_error(POTENTIAL, "Na P S Sb Sn", 8) <= 0.02
    assert mean_error(POTENTIAL) < mean_error("mp2019-gga-mp2020") / 4
    assert mean_error("mp2019-gga-mp2020") < mean_error("mp2019-gga")


def test_a_measurement_that_stands_alone_has_its_stated_uncertainty():
    """ZrS2: -577.4 +- 20.9 kJ/mol in the table; half the range of -100.0 and -107.9 kJ/mol for SnS."""
    measured = {key: se for key, (_, se) in measured_enthalpies().items()}
    assert measured[composition_key({"Zr": 1, "S": 2})] == pytest.approx(20.9 / 96.485 / 3, abs=1e-4)
    assert measured[composition_key({"Sn": 1, "S": 1})] == pytest.approx(7.9 / 2 / 96.485 / 2, abs=1e-4)
    assert measured[composition_key({"Sn": 1, "S": 2})] == 0.005


@pytest.mark.parametrize("level", LEVELS)
def test_intervals_cover_what_was_left_out(level):
    model = error_model(load_entries(source=level))
    n = len(model.formulas)
    if model.assumed:
        pytest.skip(f"{level} holds too few measured compounds")
    # With n compounds, 95 % coverage is met within about two binomial standard errors.
    assert model.loo_coverage_95 >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / n)
    assert 0.5 <= model.loo_coverage_68 <= 1.0


def test_coverage_holds_for_errors_of_known_size():
    """Draw errors from the model itself: left out one at a time, 95 % of them lie in their intervals."""
    entries = load_entries(source="mp2019-gga")
    model = error_model(entries)
    measured = [formula for formula in model.formulas if len(parse_formula(formula)) > 1]
    rng = np.random.default_rng(0)
    columns = entries.elements
    x = np.array([[float(parse_formula(f).get(s, 0)) for s in columns] for f in measured])
    x /= x.sum(axis=1, keepdims=True)
    _, covariance = model.predict(x, columns, conditioned=False)
    noise = np.diag(np.square(model.measured_se_ev_per_atom))
    root = np.linalg.cholesky(covariance + noise)
    inverse = np.linalg.inv(covariance + noise)
    deviates = []
    for _ in range(200):
        errors = root @ rng.standard_normal(len(measured))
        deviates.append(np.abs(inverse @ errors) / np.sqrt(np.diag(inverse)))
    assert np.mean(np.array(deviates) < 1.96) == pytest.approx(0.95, abs=0.01)


def test_the_potential_is_also_held_against_dft():
    """A DFT row of a compound that nobody measured pulls the expected error towards potential minus DFT."""
    model = error_model(load_entries(source=POTENTIAL))
    assert {"Na3P1S4", "Na3S4Sb1"} <= set(model.dft_formulas)
    assert not set(model.formulas) & set(model.dft_formulas)
    blind = replace(model, dft_formulas=(), dft_errors_ev_per_atom=(), dft_se_ev_per_atom=())
    columns = ("Na", "P", "S", "Sb")
    for formula, error, se in zip(
        model.dft_formulas, model.dft_errors_ev_per_atom, model.dft_se_ev_per_atom, strict=True
    ):
        assert se >= 0.02
        x = np.array([[float(parse_formula(formula).get(s, 0)) for s in columns]])
        x /= x.sum()
        (mean,), ((variance,),) = model.predict(x, columns)
        _, ((without,),) = blind.predict(x, columns)
        assert variance < without
        assert variance < se**2
        if formula != "S5Sb2":  # no crystal known; the one of these rows beyond two standard errors
            assert abs(mean - error) < 2 * se
    assert not error_model(load_entries(source="mp2019-gga")).dft_formulas


def test_too_few_measured_compounds_are_refused():
    with pytest.raises(ValueError, match="error"):
        fit_error_model(load_entries(("Na", "Sb"), source=POTENTIAL).without("NaSb"))


def test_cells_agree_with_the_table():
    by_id = {row["source_id"]: row for row in rows_of(POTENTIAL)}
    found = cells()
    assert len(found) > 50
    for cell in found:
        row = by_id[cell["source_id"]]
        assert float(row["energy_ev_per_atom"]) == pytest.approx(cell["energy_ev_per_atom"], abs=1e-5)
        volume = abs(np.linalg.det(np.array(cell["cell_ang"]))) / len(cell["symbols"])
        # making the symmetry exact moves the lattice by parts in 1e-3
        assert volume == pytest.approx(float(row["volume_ang3_per_atom"]), rel=5e-3)


def test_windows_need_no_potential_and_no_dft_code():
    code = (
        "import sys, nasicon_struct as n;"
        f"w = n.stability_window('Na3SbS4', '{POTENTIAL}');"
        "bad = {'torch', 'chgnet', 'gpaw'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Na2S", "Na3SbS4_mp-10167", "Na3P_mp-1598"])
def test_the_potential_gives_the_shipped_numbers(name):
    pytest.importorskip("chgnet")
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
    try:
        from compute_entries import relax
    finally:
        sys.path.pop(0)
    from ase import Atoms

    (cell,) = [item for item in cells() if item["source_id"] == name]
    start = Atoms(cell["symbols"], cell=cell["cell_ang"], scaled_positions=cell["scaled_positions"], pbc=True)
    start.set_cell(start.cell.array * 1.01, scale_atoms=True)
    again = relax(start, "r2scan", fmax=0.01, max_steps=300)
    assert again["converged"]
    assert again["energy_ev_per_atom"] == pytest.approx(cell["energy_ev_per_atom"], abs=1e-3)


def test_dft_rows_say_what_they_are_and_use_the_shipped_cells():
    by_id = {item["source_id"]: item for item in [*cells(), *cells("gpaw-r2scan-cells.jsonl")]}
    rows = rows_of("gpaw-r2scan")
    assert {"Na", "P", "S", "Sb", "Na2S", "Na3PS4", "Na3SbS4"} <= {row["formula"] for row in rows}
    assert [row["formula"] for row in rows if row["model"] == "fitted reference"] == ["O"]
    for row in rows:
        if row["model"] == "fitted reference":
            continue
        assert row["model"] == "GPAW r2SCAN"
        if row["source_id"].endswith("_start"):
            assert "Materials Project (CC BY 4.0)" in row["source"]  # the database keeps these cells
            continue
        cell = by_id[row["source_id"]]
        assert int(row["n_atoms"]) == len(cell["symbols"])
        volume = abs(np.linalg.det(np.array(cell["cell_ang"]))) / len(cell["symbols"])
        assert float(row["volume_ang3_per_atom"]) == pytest.approx(volume, rel=1e-4)
    assert any("incomplete" in note for note in entry_source("gpaw-r2scan").notes)


def test_relaxing_in_dft_lowers_the_energy_and_leaves_no_force():
    rows = {row["source_id"]: row for row in rows_of("gpaw-r2scan")}
    relaxed = [cell for cell in cells("gpaw-r2scan-cells.jsonl") if cell["source_id"].endswith("_relaxed")]
    assert {"Na2S", "Na3SbS4", "Na3SbS4_cubic"} <= {cell["start_id"] for cell in relaxed}
    for cell in relaxed:
        assert float(rows[cell["source_id"]]["energy_ev_per_atom"]) == pytest.approx(
            cell["energy_ev_per_atom"], abs=1e-5
        )
        assert cell["energy_ev_per_atom"] < float(rows[cell["start_id"]]["energy_ev_per_atom"])
        assert cell["max_force_ev_per_ang"] <= 0.03
    lowest = {form: float(rows[form]["energy_ev_per_atom"]) for form in rows if form.startswith("Na3SbS4")}
    assert (
        min(lowest, key=lambda form: lowest[form]) == "Na3SbS4_relaxed"
    )  # tetragonal, as at room temperature


def test_cells_relaxed_in_dft_lie_below_those_of_the_potential():
    """Another code and functional relaxed them, so this holds the cells, the settings and the potential to account."""
    rows = {row["source_id"]: row for row in rows_of("gpaw-r2scan")}
    starts = [name for name in rows if name.endswith("_start")]
    assert len(starts) > 20
    # No crystal of Sb2S5 is known: the potential finds a denser one. The database's Na3Zr2Si2PO12 is from GGA, 6 % larger.
    apart = {"Sb2S5", "Na3Zr2Si2PO12"}
    for name in starts:
        own = rows.get(name.removesuffix("_start"))
        if own is not None and own["formula"] not in apart:
            energies = [float(row["energy_ev_per_atom"]) for row in (rows[name], own)]
            assert energies[0] <= energies[1] + 1e-3, name


def test_dft_formation_energies_refer_to_the_elements_of_the_same_level():
    rows = rows_of("gpaw-r2scan")
    standard = [r for r in rows if "element" in r["flags"].split("; ")]
    elements = {r["formula"]: float(r["energy_ev_per_atom"]) for r in standard}
    assert len(standard) == len(elements)
    assert set(elements) == {"Na", "P", "S", "Sb", "Si", "Zr", "O"}
    potential = {row["source_id"]: float(row["energy_ev_per_atom"]) for row in rows}
    potential = {
        "Na": potential["Na"],
        "P": potential["P_mp-157"],
        "S": potential["S_mp-77"],
        "Sb": potential["Sb"],
    }
    for row in rows:
        amounts = {symbol: float(n) for symbol, n in parse_formula(row["formula"]).items()}
        total = sum(amounts.values())
        held = sum(n * elements[symbol] for symbol, n in amounts.items()) / total
        found = float(row["formation_energy_ev_per_atom"])
        assert found == pytest.approx(float(row["energy_ev_per_atom"]) - held, abs=2e-5)
        if row["formation_energy_potential_cells_ev_per_atom"]:
            assert not row["source_id"].endswith(("_start", "_relaxed"))
            held = sum(n * potential[symbol] for symbol, n in amounts.items()) / total
            found = float(row["formation_energy_potential_cells_ev_per_atom"])
            assert found == pytest.approx(float(row["energy_ev_per_atom"]) - held, abs=2e-5)


def test_oxides_of_an_incomplete_system_stay_out_of_hulls():
    rows = rows_of("gpaw-r2scan")
    flagged = {row["formula"] for row in rows if "incomplete_system" in row["flags"]}
    oxides = {row["formula"] for row in rows if {"O", "Si", "Zr"} & set(parse_formula(row["formula"]))}
    assert flagged == oxides >= {"Na3PO4", "Na3Zr2Si2PO12", "ZrSiO4"}
    assert entry_source("gpaw-r2scan").elements == ("Na", "P", "S", "Sb")
    with pytest.raises(EntriesError, match="does not cover O, Si, Zr; it holds Na, P, S, Sb"):
        load_entries("Na3Zr2Si2PO12", source="gpaw-r2scan")
    assert not {"O", "Si", "Zr"} & set(load_entries(source="gpaw-r2scan").elements)


def test_dft_gives_the_measured_enthalpy_of_zircon_from_its_oxides():
    """No reference element is in it; measured: -21 to -24 kJ/mol from the tables, -27.9(19) directly by A. J. G.
    Ellison, A. Navrotsky, J. Am. Ceram. Soc. 75 (1992) 1430."""
    lowest: dict[str, float] = {}
    for row in rows_of("gpaw-r2scan"):
        energy = float(row["energy_ev_per_atom"])
        lowest[row["formula"]] = min(energy, lowest.get(row["formula"], np.inf))
    step = 6 * lowest["ZrSiO4"] - 3 * lowest["ZrO2"] - 3 * lowest["SiO2"]
    assert -0.29 < step < -0.20


def test_dft_and_the_potential_agree_on_the_reduction_of_na3ps4():
    """Na3PS4 + 5 Na -> 4 Na2S + P: no reference of S is in it."""
    steps = {}
    for level in ("gpaw-r2scan", POTENTIAL):
        found: dict[str, float] = {}
        for row in rows_of(level):
            energy = float(row["energy_ev_per_atom"])
            if row["source_id"].removesuffix("_start") in {r["source_id"] for r in rows_of("gpaw-r2scan")}:
                found[row["formula"]] = min(energy, found.get(row["formula"], np.inf))
        steps[level] = -(12 * found["Na2S"] + found["P"] - 8 * found["Na3PS4"] - 5 * found["Na"]) / 5
    assert steps["gpaw-r2scan"] == pytest.approx(1.38, abs=0.01)
    assert steps[POTENTIAL] == pytest.approx(steps["gpaw-r2scan"], abs=0.08)


def test_the_interval_of_a_cathode_holds_its_measured_plateau():
    """3.40 V on charge, Z. Li et al., EES Batteries 1 (2025) 1740, Fig. 5d; the level alone says 2.96 V."""
    window = stability_window("Na3V2(PO4)3", uncertainty=True)
    low, high = window.uncertainty.oxidation_v_interval
    assert low < 3.40 < high
    assert high - low < 0.7


@pytest.mark.slow
def test_dft_gives_the_shipped_energy_of_na2s(tmp_path):
    if shutil.which("gpaw") is None:
        pytest.skip("GPAW is not installed")
    script = Path(__file__).resolve().parent.parent / "scripts" / "compute_dft.py"
    arguments = ["gpaw", "python", "--", str(script), "--work", str(tmp_path), "--only", "Na2S"]
    subprocess.run(arguments, check=True, capture_output=True, cwd=tmp_path)
    record = json.loads((tmp_path / "Na2S.json").read_text(encoding="utf-8"))
    (row,) = [item for item in rows_of("gpaw-r2scan") if item["source_id"] == "Na2S"]
    assert record["energy_ev_per_atom"] == pytest.approx(float(row["energy_ev_per_atom"]), abs=1e-3)

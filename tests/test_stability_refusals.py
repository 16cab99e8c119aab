"""Damaged files, wrong numbers and mixed-up energies: one clear sentence, never a traceback or a silent answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monty.serialization import dumpfn
from pymatgen.analysis.phase_diagram import GrandPotentialPhaseDiagram, PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

from nasicon_struct.cli import main
from nasicon_struct.entries import EntrySet, check_entries, entries_from_file, load_entries
from nasicon_struct.errors import EntriesError, NasiconError
from nasicon_struct.interface import interface_map, interface_reactions, interface_table, interphase
from nasicon_struct.stability import (
    Reservoir,
    energies_above_hull,
    gas_reservoir,
    grand_potential_diagram,
    hull_energies,
    stability_window,
    tolerance_window,
    topotactic_window,
    windows,
)

GOOD = "formula,formation_energy_ev_per_atom\nNa,0\nP,0\nS,0\nNa2S,-1.2\nNa3PS4,-1.0\nP2S5,-0.5\n"
SET = '{"@module": "nasicon_struct.entries.entry", "@class": "EntrySet", "entries": %s}'
FILES: dict[str, tuple[bytes | str, str]] = {
    "nothing.csv": ("", "no columns"),
    "header.csv": (GOOD.splitlines()[0], "no entries"),
    "utf16.csv": (GOOD.encode("utf-16"), "UTF-8"),
    "nul.csv": (GOOD + "\x00,1\n", "line 8"),
    "semicolons.csv": (GOOD.replace(",", ";"), "separated by commas"),
    "decimal-commas.csv": (GOOD + "NaPS3,-1,05\n", "decimals with a point"),
    "nan.csv": (GOOD + "NaPS3,nan\n", "line 8"),
    "infinite.csv": (GOOD + "NaPS3,-inf\n", "finite"),
    "text.csv": (GOOD + "NaPS3,low\n", "finite"),
    "short.csv": (GOOD + "NaPS3\n", "line 8"),
    "underscore.csv": (GOOD + "NaPS3,-1_0\n", "finite"),
    "too-large.csv": (GOOD + "NaPS3,1e30\n", "NaPS3"),
    "unknown.csv": (GOOD + "Xx2,-1\n", "no element symbol"),
    "negative.csv": (GOOD + "Na-3P,-1\n", "line 8"),
    "no-formula.csv": (GOOD + ",-1\n", "formula is empty"),
    "endless.csv": (GOOD + "A" * 100_000 + ",-1\n", "400 characters"),
    "endless-field.csv": (GOOD + '"' + "A" * 200_000 + '",-1\n', "readable CSV"),
    "open-quote.csv": (GOOD + '"Na3P,-1\n', "line 8"),
    "two-energies.csv": ("formula,formation_energy_ev_per_atom,energy_ev\nNa,0,0\n", "exactly one"),
    "energy-twice.csv": ("formula" + ",formation_energy_ev_per_atom" * 2 + "\nNa,0,0\n", "exactly one"),
    "no-energies.csv": ("formula,x\nNa,0\n", "exactly one"),
    "no-elements.csv": ("formula,energy_ev_per_atom\nNa3PS4,-5\n", "no elemental entry"),
    "totals.csv": ("formula,formation_energy_ev_per_atom\nNa,-1.3\nP,0\nS,0\n", "energy_ev_per_atom"),
    "levels.csv": (
        "formula,formation_energy_ev_per_atom,level\nNa,0,GGA\nP,0,GGA\nS,0,r2SCAN\n",
        "mixes levels",
    ),
    "other-elements.csv": ("formula,formation_energy_ev_per_atom\nNa,0\n", "does not cover"),
    "nothing.json": ("", "readable JSON"),
    "null.json": ("null", "NoneType"),
    "empty.json": ("[]", "empty"),
    "cut.json": ('[{"composition": {"Na": 1}, "ener', "readable JSON"),
    "bytes.json": (bytes(range(128, 256)), "readable JSON"),
    "deep.json": ("[" * 100_000, "nests too deeply"),
    "nan.json": ('[{"composition": {"Na": 1}, "energy": NaN}]', "entry 1"),
    "truth.json": ('[{"composition": {"Na": 1}, "energy": true}]', "finite"),
    "negative.json": ('[{"composition": {"Na": -1}, "energy": -1}]', "negative"),
    "no-composition.json": ('[{"composition": {}, "energy": -1}]', "entry 1"),
    "foreign.json": ('[{"@module": "os", "@class": "system", "command": "ls"}]', "'os'"),
    "half.json": ('[{"@module": "pymatgen.core.structure", "@class": "Structure"}]', "readable JSON"),
    "summaries.json": ('[{"formula_pretty": "NaCl"}]', "no entry"),
    "set-of-nothing.json": (SET % "[]", "empty"),
    "set-of-numbers.json": (SET % "[1, 2]", "Entry objects"),
    "set-of-text.json": (SET % '"Na"', "list of Entry"),
    "levels.json": (
        json.dumps(
            [
                {"composition": {s: 1}, "energy": -1, "parameters": {"run_type": level}}
                for s, level in (("Na", "GGA"), ("P", "GGA+U"), ("S", "R2SCAN"))
            ]
        ),
        "mix levels",
    ),
    "broken.json.gz": (b"\x1f\x8b broken", "readable JSON"),
    "table.xlsx": (b"PK\x03\x04", "neither CSV nor JSON"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", [("window", "Na3PS4"), ("interface", "Na3PS4", "Na")])
def test_a_damaged_file_ends_in_one_sentence(
    name: str, command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, words = FILES[name]
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as caught:
        main([*command, "--entries", str(file)])
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert len(err) < 500
    assert words in err


@pytest.mark.parametrize("change", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace("\n", ",,\n")])
def test_harmless_differences_of_a_csv(change: str, tmp_path: Path) -> None:
    files = [tmp_path / "plain.csv", tmp_path / "other.csv"]
    files[0].write_bytes(GOOD.encode())
    files[1].write_bytes(change.encode())
    first, second = (stability_window("Na3PS4", file, uncertainty=False) for file in files)
    assert first.steps == second.steps


ENTRIES = [
    PDEntry(Composition(formula), energy * Composition(formula).num_atoms)
    for formula, energy in {"Li": 0, "P": 0, "S": 0, "Li2S": -1.45, "Li3PS4": -1.0, "P2S5": -0.4}.items()
]


def test_a_lithium_electrolyte_from_every_form_of_entries(tmp_path: Path) -> None:
    expected = stability_window("Li3PS4", ENTRIES, open_element="Li", uncertainty=False)
    assert expected.is_stable
    cell = Structure(Lattice.cubic(4), ["Li", "S", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0.2, 0.2]])
    structures = [
        ComputedStructureEntry(cell, -1.45 * 3),
        *(ComputedEntry(e.composition, e.energy) for e in ENTRIES if e.name != "Li2S"),
    ]
    names = [tmp_path / name for name in ("list.json", "diagram.json", "dictionary.json.gz", "plain.json")]
    dumpfn(ENTRIES, names[0])
    dumpfn(PhaseDiagram(ENTRIES), names[1])
    dumpfn({"entries": ENTRIES}, names[2])
    names[3].write_text(json.dumps([entry.as_dict() for entry in structures]))
    for entries in (structures, PhaseDiagram(ENTRIES), *names):
        found = stability_window("Li3PS4", entries, open_element=Element("Li"), uncertainty=False)
        assert found.reduction_v == pytest.approx(expected.reduction_v, abs=1e-12)
        assert found.oxidation_v == pytest.approx(expected.oxidation_v, abs=1e-12)
        assert found.open_element == "Li"


@pytest.fixture(scope="module")
def gga() -> EntrySet:
    return load_entries("Na3PS4", source="mp2019-gga")


def pair(**options: Any) -> Callable[[EntrySet], Any]:
    return lambda entries: interface_reactions("Na3PS4", "S", entries, **options)


REFUSED: dict[str, tuple[Callable[[EntrySet], Any], str]] = {
    "open to nothing": (lambda e: stability_window("Na3PS4", e, open_element=None), "element symbol"),  # type: ignore[arg-type]
    "open to two": (lambda e: stability_window("Na3PS4", e, open_element=["Na"]), "element symbol"),  # type: ignore[arg-type]
    "endless element": (lambda e: stability_window("Na3PS4", e, open_element="Na" * 10**5), "element symbol"),
    "energy as text": (
        lambda e: stability_window("Na3PS4", e, formation_energy_ev_per_atom="-1.2"),  # type: ignore[arg-type]
        "finite number",
    ),
    "element below 0": (lambda e: stability_window("S", e, formation_energy_ev_per_atom=-0.3), "at 0 by def"),
    "tolerance as text": (lambda e: tolerance_window("Na3PS4", e, tolerance_ev_per_atom="x"), "finite"),  # type: ignore[arg-type]
    "framework of 3": (lambda e: topotactic_window("Na3PS4", e, framework=3), "list of formulas"),  # type: ignore[arg-type]
    "framework true": (lambda e: topotactic_window("Na3PS4", e, framework={"Na4PS4": True}), "finite"),
    "potential as text": (lambda e: Reservoir(element="S", mu_relative_ev="x", description=""), "finite"),  # type: ignore[arg-type]
    "gas without T": (lambda e: gas_reservoir("O2", temperature_k=None, pressure_bar=1), "finite"),  # type: ignore[arg-type]
    "grand potentials": (
        lambda e: stability_window(
            "P2S5", GrandPotentialPhaseDiagram(e.pdentries(), {Element("Na"): -1.0}), uncertainty=False
        ),
        "grand potentials",
    ),
    "grand entries": (
        lambda e: stability_window(
            "P2S5", GrandPotentialPhaseDiagram(e.pdentries(), {Element("Na"): -1.0}).all_entries
        ),
        "grand potentials",
    ),
    "text among entries": (lambda e: stability_window("Na3PS4", [*e.pdentries(), "Na2S"]), "got str"),
    "energy 'abc'": (
        lambda e: stability_window("Na3PS4", [*e.pdentries(), PDEntry(Composition("NaP"), "abc")]),
        "number of eV",
    ),
    "a voltage alone": (
        lambda e: grand_potential_diagram([ENTRIES[0]], voltage_v=1.0, open_element="Li"),
        "noth",
    ),
    "cube of amounts": (lambda e: hull_energies(np.ones((2, 3, 3)), e, elements=("Na", "P", "S")), "as many"),
    "table of formulas": (
        lambda e: hull_energies(pd.DataFrame({"formula": ["Na2S"]}), e),
        "one column of num",
    ),
    "unknown in a list": (lambda e: hull_energies(["Na3PS4", "Na2S", "Ab2"], e), "row 2 .*'Ab'"),
    "energy of nan": (
        lambda e: energies_above_hull([PDEntry(Composition("Na2S"), float("nan"))], e),
        "entry 0 is nan",
    ),
    "total energies": (
        lambda e: energies_above_hull([PDEntry(Composition("Na2S"), -15.0)], e),
        "entry 0 lies 3.71 eV/atom below",
    ),
    "infinite energies": (lambda e: windows(["Na3PS4"], e, formation_energies_ev_per_atom=[np.inf]), "row 0"),
    "no such row": (lambda e: windows(["Na3PS4"], e).detail(7, e), "no row 7"),
    "one electrolyte": (lambda e: interface_table("Na3PS4", ["Na"], e), "into a list"),
    "voltage as text": (pair(voltage_v="1"), "finite"),
    "interface open to Xx": (pair(open_element="Xx"), "element symbol"),
    "energy of a as nan": (pair(formation_energy_a_ev_per_atom=float("nan")), "finite"),
    "energy of a as total": (pair(formation_energy_a_ev_per_atom=-50.0), "another scale"),
    "sulfur twice": (
        pair(reservoirs=Reservoir(element="S", mu_relative_ev=0.0, description="")),
        "reservoir out",
    ),
    "map to nowhere": (lambda e: interface_map("Na3PS4", "S", e, fractions_b=[np.nan]), "between 0 and 1"),
    "infinite voltage": (lambda e: interphase("Na3PS4", e, voltage_v=float("inf")), "finite"),
    "set of numbers": (lambda e: EntrySet(entries=(1, 2)), "Entry objects"),  # type: ignore[arg-type]
    "nothing left out": (lambda e: e.without(None), "formulas"),  # type: ignore[arg-type]
    "checks of nothing": (lambda e: check_entries(3), "expected an entry set"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_question_is_refused(name: str, gga: EntrySet) -> None:
    question, words = REFUSED[name]
    with pytest.raises(NasiconError, match=words) as caught:
        question(gga)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("energies", "words"),
    [
        (["Na3PS4=-1.2", "Na3PS4=-1.3"], "twice"),
        (["Na3PS4"], "write it as"),
        (["Na2S=-1"], "none of the targets"),
        (["Na3PS4=nan"], "finite"),
        (["Na3PS4=-50"], "another scale"),
    ],
)
def test_a_wrong_energy_of_a_target(
    energies: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [part for energy in energies for part in ("--energy", energy)]
    with pytest.raises(SystemExit) as caught:
        main(["window", "Na3PS4", "--no-uncertainty", *options])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(EntriesError, match="no file"):
            entries_from_file(path)


def test_checks_take_any_kind_of_entries(gga: EntrySet) -> None:
    assert check_entries(gga.pdentries()).n_entries == check_entries(gga).n_entries


def test_a_supersaturated_reservoir_is_noted(gga: EntrySet) -> None:
    held = Reservoir(element="S", mu_relative_ev=0.3, description="S2 far from equilibrium")
    assert any("above the element's own phase" in note for note in pair(reservoirs=[])(gga).notes) is False
    window = stability_window("Na3PS4", gga, reservoirs=held, uncertainty=False)
    assert any("above the element's own phase" in note for note in window.notes)
    found = interface_reactions("Na3PS4", "P", gga, reservoirs=held)
    assert any("above the element's own phase" in note for note in found.notes)


def test_compositions_that_differ_by_a_trace_are_two_materials(gga: EntrySet) -> None:
    found = interface_reactions("Na3PS4", {"Na": 3, "P": 1, "S": 4.000001}, gga)
    assert found.driving_force_ev_per_atom < 1e-6


def test_an_element_has_no_depth_below_other_phases(gga: EntrySet) -> None:
    assert stability_window("S", gga, uncertainty=False).depth_ev_per_atom is None
    assert (stability_window("Na2S", gga, uncertainty=False).depth_ev_per_atom or 0) > 0.3

"""``nasicon-struct order``: files, tables, JSON, one sentence for every mistake."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.io import read
from monty.serialization import loadfn
from pymatgen.core import Structure

import nasicon_struct as ns
import nasicon_struct.relaxation
from nasicon_struct.cli import main
from nasicon_struct.cli.order import _objective, _supercell
from nasicon_struct.cli.order_output import how_sure
from nasicon_struct.relaxation import relax_cell

UNDOPED = ("Na3Zr2Si2PO12", "--formula-units", "4")
SMALL = ("Na3Zr2Si2PO12", "--formula-units", "2")


def run(capsys, *args):
    with pytest.raises(SystemExit) as info:
        main(["order", *map(str, args)])
    captured = capsys.readouterr()
    return info.value.code, captured.out, captured.err


class Still(Calculator):
    """No forces: every structure is relaxed."""

    implemented_properties: ClassVar = ["energy", "free_energy", "forces", "stress"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {
            "energy": -1.0,
            "free_energy": -1.0,
            "forces": np.zeros((len(self.atoms), 3)),
            "stress": np.zeros(6),
        }


def test_the_answer_says_energy_sureness_sites_and_warnings(capsys):
    code, text, err = run(capsys, *UNDOPED)
    assert (code, err) == (0, "")  # no progress bar where there is no terminal
    for words in (
        "Na12Zr8Si8P4O48: 4 formula units, 80 atoms",
        "composition: exact; charge 0",
        "proven lowest of this supercell: all 900,900 arrangements compared",
        "-873.0078",
        "Na3 Na 4, vacancy 4",
        "warning: Bond lengths with the coordinates of xun2025_s2 are unphysical",
    ):
        assert words in " ".join(text.split())


def test_json_is_the_whole_answer(capsys):
    code, text, _ = run(capsys, *SMALL, "--n-structures", 2, "--json", "--keep-site-occupancies")
    assert code == 0
    rows = json.loads(text)
    assert len(rows) == 2
    first = rows[0]
    assert first["composition"] == {"Na": 6, "Zr": 4, "Si": 4, "P": 2, "O": 24}
    assert first["cost_of_refined_ev_per_fu"] > 0
    assert first["energy_ev_per_fu"] < rows[1]["energy_ev_per_fu"]
    assert first["file"] is None
    structure = Structure(
        first["lattice_ang"],
        [site["element"] for site in first["sites"]],
        [site["xyz"] for site in first["sites"]],
    )
    assert len(structure) == first["n_atoms"] == 40
    assert sum(site["charge"] for site in first["sites"]) == 0


@pytest.mark.parametrize("suffix", [".cif", ".vasp", ".extxyz", ".json"])
def test_files_hold_the_cell(capsys, tmp_path, suffix):
    file = tmp_path / "new" / f"cell{suffix}"
    code, text, _ = run(capsys, *SMALL, "--out", file)
    assert code == 0
    assert str(file) in text
    if suffix == ".json":
        cell = loadfn(file)
        assert isinstance(cell, ns.OrderedCell)
        atoms = ns.to_ase(cell)
    else:
        atoms = read(file)
    assert atoms.get_chemical_formula() == "Na6O24P2Si4Zr4"
    # a file that exists is kept, and that is said before anything is computed
    code, text, err = run(capsys, *SMALL, "--out", file)
    assert (code, text) == (2, "")
    assert "--force" in err
    assert run(capsys, *SMALL, "--out", file, "--force")[0] == 0


def test_several_cells_get_numbers(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, *SMALL, "--n-structures", 2, "--out", "cells", "--format", "poscar")[0] == 0
    assert sorted(p.name for p in (tmp_path / "cells").iterdir()) == ["ordered-1.vasp", "ordered-2.vasp"]
    assert run(capsys, *SMALL, "--n-structures", 2, "--out", "c.cif")[0] == 0
    assert {"c-1.cif", "c-2.cif"} <= {p.name for p in tmp_path.iterdir()}
    assert run(capsys, *SMALL, "--out", "POSCAR")[0] == 0
    assert (tmp_path / "POSCAR").read_text().splitlines()[5].split() == ["Na", "Zr", "Si", "P", "O"]


def test_sizes_are_listed(capsys):
    formula = "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12"
    code, text, _ = run(capsys, formula, "--list", "--max-formula-units", 12)
    assert code == 0
    lines = text.splitlines()
    assert lines[2].split()[:3] == ["10", "204", "Na34Zr17Sc2ZnSi20P10O120"]
    assert "exact" in lines[2]
    assert "4 formula units: Zn is dropped" in text
    assert lines[-1].endswith("is taken: 10.")
    code, text, _ = run(capsys, formula, "--list", "--max-formula-units", 12, "--json")
    rows = json.loads(text)
    assert [row["formula_units"] for row in rows if row["exact"]] == [10]
    assert len(rows) == 6


def test_arrangements_are_counted(capsys):
    code, text, _ = run(capsys, *UNDOPED, "--count")
    assert code == 0
    assert text == "113,174 distinct of 900,900 arrangements of Na12Zr8Si8P4O48 under 8 operations\n"
    code, text, _ = run(capsys, *UNDOPED, "--count", "--json", "--fixed", "Na1=Na", "--allowed", "P=T1")
    found = json.loads(text)
    assert found["total"] == 12 * 11 * 10 * 9 // 24  # 8 Na on 12 sites, P on all T1
    assert found["formula_units"] == 4


def test_a_disordered_cif_is_ordered_on_its_own_sites(capsys, tmp_path):
    file = tmp_path / "average.cif"
    ns.build_average_cell("Na3Zr2Si2PO12", parent="subramanian1985").to_cif(file)
    code, text, _ = run(capsys, file, "--json")
    assert code == 0
    cell = json.loads(text)[0]
    assert cell["exact"]
    want = ns.order_cell("Na3Zr2Si2PO12", parent="subramanian1985")[0]
    assert cell["energy_ev_per_fu"] == pytest.approx(want.energy_ev_per_fu, abs=1e-3)


def test_rules_are_kept(capsys):
    rules = (
        "--fixed",
        "Na1=Na",
        "--allowed",
        "P=T2",
        "--min-na-na",
        "3.0",
        "--supercell",
        "1x1x1",
        "--seed",
        "3",
    )
    code, text, _ = run(capsys, "Na3Zr2Si2PO12", *rules, "--json")
    assert code == 0
    cell = json.loads(text)[0]
    assert cell["site_statistics"]["T1"] == {"Si": 4}
    assert [site["label"] for site in cell["sites"]].count("Na1") == 4
    assert cell["shortest_na_na_ang"] >= 3.0
    assert cell["seed"] == 3


def test_relaxed_cells_are_written_one_by_one(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(nasicon_struct.relaxation, "load_calculator", lambda name: Still())
    out = tmp_path / "cell.cif"
    code, text, err = run(capsys, *SMALL, "--out", out, "--relax")
    assert (code, err) == (0, "")
    assert "No flag" in text or "FLAG" in text
    assert (tmp_path / "cell-relaxed.cif").is_file()
    code, text, _ = run(capsys, *SMALL, "--relax", "--json")
    relaxation = json.loads(text)[0]["relaxation"]
    assert relaxation["converged"]
    assert relaxation["symmetry_after"]["0.01"] == "C2/c (15)"
    assert code == 0


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_computed_is_not_lost(capsys, tmp_path, monkeypatch, as_json):
    """The second relaxation is interrupted: both ordered cells and the first relaxed one are there."""
    calls = []

    def relax(cell, *args, **options):
        calls.append(cell)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return relax_cell(cell, Still())

    monkeypatch.setattr(nasicon_struct.relaxation, "load_calculator", lambda name: Still())
    monkeypatch.setattr(nasicon_struct.relaxation, "relax_cell", relax)
    options = ["--json"] if as_json else []
    code, text, err = run(
        capsys, *SMALL, "--n-structures", 3, "--out", tmp_path / "c.cif", "--relax", *options
    )
    assert code == 130
    assert err.strip() == "error: interrupted"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c-1-relaxed.cif", "c-1.cif", "c-2.cif", "c-3.cif"]
    if as_json:
        rows = json.loads(text)
        assert ["relaxation" in row for row in rows] == [True, False, False]


def test_one_failed_relaxation_does_not_stop_the_others(capsys, tmp_path, monkeypatch):
    class Nan(Still):
        count = 0

        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            if not self.results["energy"] or Nan.count == 0:
                self.results["energy"] = float("nan")
            Nan.count += 1

    monkeypatch.setattr(nasicon_struct.relaxation, "load_calculator", lambda name: Nan())
    code, _, err = run(capsys, *SMALL, "--n-structures", 2, "--out", tmp_path / "c.cif", "--relax")
    assert code == 2
    assert "cell 1 was not relaxed" in err
    assert err.count("\n") == 1
    assert (tmp_path / "c-2-relaxed.cif").is_file()


def test_few_hits_are_said(capsys):
    cell = ns.order_cell("Na27Zr14ScZnSi16P8O96", supercell=[2, 1, 1], n_anneals=16)[0]
    assert "of 16 independent anneals" in how_sure(cell)
    poor = type(cell).from_dict(cell.as_dict() | {"hit_rate": 0.0625})
    assert "1 of 16" in how_sure(poor)
    assert "--effort" in how_sure(poor)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2x1x1", [2, 1, 1]),
        ("2,1,-1", [2, 1, -1]),
        ("1 2 3", [1, 2, 3]),
        ("1,1,0; -1,1,0; 0,0,1", [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]),
        ("1/2,1/2,0;-1/2,1/2,0;0,0,1", [[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]]),
    ],
)
def test_supercells_are_read(text, want):
    assert _supercell(text) == want


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("refined",), "keeping the refined numbers per site costs"),
        (("sqs",), "objective sqs: "),
        (("random",), "objective random: "),
        (("boltzmann", "--temperature-k", 1000), "objective boltzmann: "),
        (("electrostatic=1,sqs=5",), "objective 1 electrostatic + 5 sqs: "),
    ],
)
def test_other_objectives(capsys, options, words):
    code, text, err = run(capsys, "Na13Zr7ScSi8P4O48", "--formula-units", 4, "--objective", *options)
    assert (code, err) == (0, "")
    assert words in text


def test_objectives_are_read():
    assert _objective("electrostatic") == "electrostatic"
    assert _objective("a=1, b=0.5") == {"a": 1.0, "b": 0.5}


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["Na3Zr2Si2PO13"], "site M"),
        (["missing.cif"], "missing.cif"),
        ([*UNDOPED, "--supercell", "1x1x1"], "not both"),
        (["Na3Zr2Si2PO12", "--supercell", "2x1"], "2x1x1"),
        (["Na3Zr2Si2PO12", "--supercell", "1/0x1x1"], "2x1x1"),
        (["Na3Zr2Si2PO12", "--supercell", "0x1x1"], "no volume"),
        ([*UNDOPED, "--fixed", "Na2"], "Na2=Na"),
        ([*UNDOPED, "--fixed", "Na9=Na"], "Na9"),
        ([*UNDOPED, "--allowed", "P=T9"], "T9"),
        ([*UNDOPED, "--allowed", "P=T1", "--allowed", "P=T2"], "P twice"),
        ([*UNDOPED, "--oxidation-state", "Zr=x"], "whole number"),
        ([*UNDOPED, "--objective", "beauty"], "objective"),
        ([*UNDOPED, "--objective", "electrostatic=x"], "number"),
        ([*UNDOPED, "--objective", "boltzmann"], "temperature_k"),
        ([*UNDOPED, "--temperature-k", "300"], "boltzmann"),
        ([*UNDOPED, "--min-na-na", "9"], "min_na_na"),
        ([*UNDOPED, "--format", "cif"], "--out"),
        ([*UNDOPED, "--out", "cell.docx"], "format"),
        ([*UNDOPED, "--n-structures", "0"], "n-structures"),
        ([*UNDOPED, "--workers", "0"], "workers"),
        ([*UNDOPED, "--effort", "nan"], "effort"),
        ([*UNDOPED, "--effort", "-1"], "effort"),
        ([*UNDOPED, "--tolerance", "nan"], "tolerance"),
        (["Na3.1Zr1.9Sc0.1Si2PO12", "--formula-units", "2"], "dropped"),
        ([*UNDOPED, "--parent", "nobody"], "nobody"),
        ([*UNDOPED, "--relax", "--calculator", "crystalball"], "crystalball"),
        ([], "FORMULA"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, tmp_path, monkeypatch, args, word):
    monkeypatch.chdir(tmp_path)
    code, text, err = run(capsys, *args)
    assert code == 2
    assert text == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert word in err
    assert not list(tmp_path.iterdir())

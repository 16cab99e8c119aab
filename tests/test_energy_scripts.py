"""The scripts that make and check the energy tables, on rows and results of known content."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nasicon_struct.entries import composition_key
from nasicon_struct.formula import parse_formula

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def script(name: str) -> ModuleType:
    if not SCRIPTS.is_dir():
        pytest.skip("the scripts are not part of an installed package")
    sys.path.insert(0, str(SCRIPTS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(SCRIPTS))


def test_a_draw_is_a_tenth_without_repetition_and_the_seed_decides_it():
    recompute = script("recompute_entries")
    rows = recompute.shipped_rows("chgnet-r2scan")
    names = [row["source_id"] for row in rows]
    assert names == sorted(set(names))
    assert "O_fitted" not in names
    drawn = [row["source_id"] for row in recompute.draw(rows, 0.1, 2026)]
    assert len(set(drawn)) == len(drawn) == round(0.1 * len(rows))
    assert set(drawn) <= set(names)
    assert drawn == [row["source_id"] for row in recompute.draw(rows, 0.1, 2026)]
    assert drawn != [row["source_id"] for row in recompute.draw(rows, 0.1, 2027)]
    assert recompute.draw(rows, 1.0, 1) == rows
    assert len(recompute.draw(rows, 0.0, 1)) == 1


def test_a_comparison_counts_what_differs_and_what_has_no_result(tmp_path):
    recompute = script("recompute_entries")
    rows = recompute.draw(recompute.shipped_rows("chgnet-r2scan"), 0.02, 7)[:4]
    for row, shift in zip(rows, (2e-4, -3e-3, 9e-4), strict=False):
        record = {"energy_ev_per_atom": float(row["energy_ev_per_atom"]) + shift, "n_steps": 5}
        (tmp_path / f"{row['source_id']}.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / f"{rows[2]['source_id']}.json").write_text('{"error": "no convergence"}', encoding="utf-8")
    found = recompute.differences(rows, tmp_path)
    sizes = [item["difference_mev_per_atom"] for item in found]
    assert sizes[2:] == [None, None] or sizes[:2] == [None, None]
    assert sorted(value for value in sizes if value is not None) == pytest.approx([-3.0, 0.2], abs=1e-6)
    text, bad = recompute.report(found, 1.0)
    assert bad == 3
    assert "2 of 4 rows recomputed" in text
    assert f"{rows[1]['source_id']} {rows[1]['formula']}: -3.00 meV per atom" in text
    assert recompute.report(found, 5.0)[1] == 2


def test_starts_are_found_in_depth_or_built(tmp_path):
    recompute = script("recompute_entries")
    from ase.build import bulk
    from ase.io import read, write

    (tmp_path / "cifs" / "metal").mkdir(parents=True)
    write(tmp_path / "cifs" / "metal" / "Na.cif", bulk("Na"))
    found = recompute.starts([tmp_path / "cifs"], tmp_path, {"Na", "ZnS_sphalerite", "Zn_hcp", "nowhere"})
    assert {"Na", "ZnS_sphalerite", "Zn_hcp"} <= set(found)
    assert "nowhere" not in found
    assert found["Na"]["n_atoms"] == 1
    assert found["Zn_hcp"]["n_atoms"] == 2
    moved = recompute.rattled(found["Zn_hcp"], tmp_path / "rattled", 1e-5)
    before, after = read(found["Zn_hcp"]["path"]), read(moved["path"])
    size = abs(after.positions - before.positions)
    assert 0.0 < size.max() < 1e-4
    assert after.cell.array == pytest.approx(before.cell.array)
    assert moved["source_id"] == "Zn_hcp"


def row(formula: str, energy: float, *, flags: str = "", source_id: str = "x") -> dict:
    return {
        "key": composition_key(parse_formula(formula)),
        "formula": formula,
        "formation_energy_ev_per_atom": f"{energy:.5f}",
        "energy_ev_per_atom": "-1.0",
        "flags": flags,
        "source": "",
        "model": "",
        "source_id": source_id,
    }


def test_the_difference_of_the_potentials_is_anchored_to_the_form_of_the_gga_energy():
    export = script("export_entries")
    gga = [
        {"formula": "Na2O", "formation_energy_mp2020_ev_per_atom": "-1.40000", "source": "GGA"},
        {
            "formula": "Na2S",
            "formation_energy_mp2020_ev_per_atom": "-1.20000",
            "mp_id_inferred": "mp-1; mp-2",
            "source": "GGA",
        },
        {"formula": "ZrSi", "formation_energy_mp2020_ev_per_atom": "-0.90000", "source": "GGA"},
        {"formula": "Zr2O", "formation_energy_mp2020_ev_per_atom": "-2.00000", "source": "GGA"},
    ]
    r2scan = [
        row("Na2O", -1.50, source_id="low"),
        row("Na2O", -1.47, source_id="high"),
        row("Na2S", -1.30, source_id="Na2S_mp-9"),
        row("ZrSi", -0.80),
        row("Zr2O", -2.1),
        row("ZrO2", -3.7),
    ]
    pbe = [
        row("Na2O", -1.45),
        row("Na2O", -1.46),
        row("Na2O", -1.60, flags="not_converged"),
        row("Na2S", -1.22, source_id="Na2S_mp-2"),  # the form of the GGA energy, though not the lowest
        row("Na2S", -1.25, source_id="Na2S_mp-9"),
        row("ZrSi", -0.85),
        row("Zr2O", -2.0, flags="not_converged"),
        row("ZrO2", -3.6),
    ]
    rows = export.delta_rows(r2scan, pbe, gga)
    found = {(item["formula"], item["source_id"]): item["formation_energy_ev_per_atom"] for item in rows}
    assert found == {
        ("Na2O", "low"): "-1.44000",  # -1.40 + (-1.50 + 1.46)
        ("Na2O", "high"): "-1.41000",
        ("Na2S", "Na2S_mp-9"): "-1.28000",  # -1.20 + (-1.30 + 1.22)
        ("ZrSi", "x"): "-0.81450",  # -0.90 + 0.071 / 2 + (-0.80 + 0.85)
    }


@pytest.mark.parametrize(
    ("formula", "share"), [("ZrSi2", 2 / 3), ("NaAlSi", 1 / 3), ("ZnSiP2", 0.0), ("SiO2", 0.0), ("Si", 0.0)]
)
def test_the_correction_of_silicides_is_for_silicon_as_anion(formula, share):
    export = script("export_entries")
    key = composition_key(parse_formula(formula))
    assert export.silicide_correction(key) == pytest.approx(0.071 * share)


def test_the_correction_of_silicides_is_that_of_pymatgen():
    export = script("export_entries")
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    assert MaterialsProject2020Compatibility().comp_correction["Si"] == export.SILICIDE_EV


def test_the_vertex_of_a_parabola_is_found_and_no_step_goes_far():
    dft = script("relax_dft")

    def parabola(x: float) -> float:
        return 3.0 + 40.0 * (x - 0.004) ** 2

    assert dft.vertex(parabola(-0.01), parabola(0.0), parabola(0.01), 0.01) == pytest.approx(0.004)
    assert dft.vertex(0.0, 1.0, 2.1, 0.01) == -0.02
    assert dft.vertex(3.0, 2.0, 0.0, 0.01) == 0.02


def test_strains_of_a_dft_relaxation_are_what_they_are_called():
    dft = script("relax_dft")
    assert sum(dft.MODES["axial"]) == 0.0  # to first order at constant volume
    assert set(dft.MODES["iso"]) == {1.0}


def test_a_relaxation_may_begin_from_measured_lengths():
    dft = script("relax_dft")
    line = {"cell_ang": [[7.0, 0.0, 0.0], [-3.5, 6.0621778, 0.0], [0.0, 0.0, 6.0]]}
    cell = dft.first_cell(line, SimpleNamespace(lengths="7.638,7.638,5.262"))
    assert np.linalg.norm(cell, axis=1) == pytest.approx([7.638, 7.638, 5.262])
    assert cell[0] @ cell[1] / 7.638**2 == pytest.approx(-0.5, abs=1e-6)
    assert dft.first_cell(line, SimpleNamespace(lengths="")).tolist() == line["cell_ang"]


def test_dft_rows_say_where_their_geometry_is_from(tmp_path):
    dft = script("compute_dft")
    assert "single point" in dft.origin({})
    atoms = {"start_id": "Na3SbS4", "modes": "", "start_lengths_ang": ""}
    assert dft.origin(atoms).startswith("atoms in the cell of chgnet")
    assert dft.origin({**atoms, "modes": "iso"}).startswith("atoms and lattice relaxed in DFT, from Na3SbS4")
    start = {
        "start_id": "NaS2_mp-12180",
        "geometry": "cell of mp-12180, relaxed in DFT by the Materials Project",
    }
    assert dft.origin(start).startswith("single point on the cell of mp-12180")
    assert dft.origin({**start, "modes": ""}).startswith("atoms in the cell of mp-12180, relaxed")
    assert "7.6, 7.6, 5.3 Å" in dft.origin({**atoms, "start_lengths_ang": "7.6,7.6,5.3"})
    (tmp_path / "A.json").write_text('{"source_id": "A"}', encoding="utf-8")
    (tmp_path / "A_relaxed.part.json").write_text("[]", encoding="utf-8")
    assert dft.read_results(tmp_path) == [{"source_id": "A"}]


def test_cells_for_dft_are_the_starting_structures(tmp_path):
    starts = script("starting_cells")
    lattice = Lattice.hexagonal(4.0, 5.0)
    for name in ("NaS_mp-1", "NaS_mp-2", "NaS_own"):
        Structure.from_spacegroup("P6/mmm", lattice, ["Na", "S"], [[0, 0, 0], [1 / 3, 2 / 3, 0.5]]).to(
            filename=str(tmp_path / f"{name}.cif")
        )
    cited = "Materials Project {} (DFT-relaxed structure, CC BY 4.0)"
    (tmp_path / "PROVENANCE.csv").write_text(
        f"file,citation\nNaS_mp-1.cif,{cited.format('mp-1')}\nNaS_mp-2.cif,{cited.format('mp-2')}\n"
        "NaS_own.cif,a paper\n",
        encoding="utf-8",
    )
    known = {name: {"formula": "NaS2", "energy_ev_per_atom": -1.0} for name in ("NaS_mp-1", "NaS_own")}
    (line,) = starts.lines(tmp_path, known)  # one the potential never saw, one that is of no database
    assert (line["source_id"], line["start_id"]) == ("NaS_mp-1_start", "NaS_mp-1")
    assert "mp-1," in line["geometry"]
    assert line["space_group"] == "P6/mmm"
    back = Structure(line["cell_ang"], line["symbols"], line["scaled_positions"])
    assert back.composition.reduced_formula == "NaS2"
    assert back.volume == pytest.approx(lattice.volume, abs=1e-4)

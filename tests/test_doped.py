"""Doped cells on the hull: laws with a cheap calculator in place of the potential."""

from __future__ import annotations

import json
import math
import sys

import pytest
from ase.calculators.lj import LennardJones
from click.testing import CliRunner

from nasicon_struct.cell import build_average_cell
from nasicon_struct.cli.design import command
from nasicon_struct.design import design, write_report
from nasicon_struct.doped import DopedStability, doped_stability, mixing_entropy_ev_per_k_per_atom
from nasicon_struct.entries import load_entries, reference_energies
from nasicon_struct.errors import NasiconError
from nasicon_struct.formula import parse_formula
from nasicon_struct.units import BOLTZMANN_EV_PER_K

FORMULA = "Na3.5Zr1.5Sc0.5Si2PO12"
ELEMENTS = ("Na", "Zr", "Sc", "Si", "P", "O")
#: Any numbers do: the laws hold for every calculator.
REFERENCES = dict.fromkeys(ELEMENTS, 3.0)


def judge(formula: str = FORMULA, **options) -> DopedStability:
    options = {"references_ev_per_atom": REFERENCES, "n_orderings": 2, "max_steps": 2} | options
    calculator = LennardJones(sigma=1.6, epsilon=0.05, rc=4.0)
    return doped_stability(formula, level="mp2019-gga", calculator=calculator, uncertainty=False, **options)


@pytest.fixture(scope="module")
def found() -> DopedStability:
    return judge(temperature_k=1000.0)


def test_orderings_hold_the_composition_and_come_lowest_first(found):
    assert len(found.orderings) == 4
    assert {item.parent for item in found.orderings} == {"subramanian1985", "boilot1988_x235"}
    for item in found.orderings:
        assert parse_formula(item.formula) == parse_formula(FORMULA)
        assert item.n_atoms == len(item.relaxed.final) == 41 * item.formula_units / 2
        assert item.composition_error == 0
    energies = [item.e_above_hull_mixed_ev_per_atom for item in found.orderings]
    assert energies == sorted(energies)
    assert found.lowest is found.orderings[0]
    plain = [item.e_above_hull_ev_per_atom for item in found.orderings]
    assert found.spread_ev_per_atom == max(plain) - min(plain)
    assert any("before they converged" in text for text in found.warnings)


def test_formation_energies_follow_from_energies_and_references(found):
    for item in found.orderings:
        assert item.formation_energy_ev_per_atom == pytest.approx(item.energy_ev_per_atom - 3.0, abs=1e-12)
        assert item.energy_ev_per_atom == item.relaxed.energy_ev_per_atom


def test_references_move_the_energy_above_hull_by_their_share(found):
    moved = judge(references_ev_per_atom=REFERENCES | {"Sc": 4.0}, temperature_k=1000.0)
    share = 0.5 / 20.5
    for one, other in zip(found.orderings, moved.orderings, strict=True):
        change = other.e_above_hull_ev_per_atom - one.e_above_hull_ev_per_atom
        assert change == pytest.approx(-share, abs=1e-9)


def test_the_window_is_that_of_the_lowest_ordering(found):
    entries = load_entries(ELEMENTS, source="mp2019-gga")
    window = found.window
    assert found.level == window.source == entries.source
    assert parse_formula(window.target) == parse_formula(FORMULA)
    energy = found.lowest.formation_energy_ev_per_atom - 1000.0 * found.entropy_ev_per_k_per_atom
    assert window.formation_energy_ev_per_atom == pytest.approx(energy, abs=1e-12)
    expected = max(0.0, found.e_above_hull_mixed_ev_per_atom)
    assert window.e_above_hull_ev_per_atom == pytest.approx(expected, abs=1e-9)


def test_mixing_lowers_the_energy_by_temperature_times_entropy(found):
    for item in found.orderings:
        cell = build_average_cell(FORMULA, parent=item.parent, coordinates="prototype", lattice="predicted")
        entropy = mixing_entropy_ev_per_k_per_atom(cell)
        difference = item.e_above_hull_ev_per_atom - item.e_above_hull_mixed_ev_per_atom
        assert difference == pytest.approx(1000.0 * entropy, abs=1e-12)


def test_the_ideal_entropy_by_hand():
    """M: 2 sites per O12 with 3/4 Zr and 1/4 Sc; T: 3 sites with 2/3 Si and 1/3 P."""
    cell = build_average_cell(FORMULA, parent="subramanian1985", coordinates="prototype")
    m = -2 * (0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    t = -3 * (2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    for sites, expected in ((("M",), m), (("T",), t), (("M", "T"), m + t)):
        found = mixing_entropy_ev_per_k_per_atom(cell, sites=sites)
        assert found == pytest.approx(BOLTZMANN_EV_PER_K * expected / 20.5, rel=1e-12)
    # Sodium: at most that of one atom per site and vacancies at random over the four sites per O12.
    x = 3.5 / 4
    most = -4 * (x * math.log(x) + (1 - x) * math.log(1 - x))
    sodium = mixing_entropy_ev_per_k_per_atom(cell, sites=("Na",))
    assert 0 < sodium <= BOLTZMANN_EV_PER_K * most / 20.5 + 1e-15
    pure = build_average_cell("Na4Zr2Si3O12", parent="subramanian1985", coordinates="prototype")
    assert mixing_entropy_ev_per_k_per_atom(pure) == pytest.approx(0.0, abs=1e-12)


def test_results_survive_json(found):
    again = DopedStability.from_dict(json.loads(found.to_json()))
    assert str(again) == str(found)
    assert again.window == found.window
    assert [a.energy_ev_per_atom for a in again.orderings] == [a.energy_ev_per_atom for a in found.orderings]
    assert len(found.table().splitlines()) == 6


def test_sizes_and_parents_are_chosen():
    result = judge(n_orderings=1, parents=["subramanian1985"], formula_units=[2, 4], max_steps=1)
    assert sorted(item.formula_units for item in result.orderings) == [2, 4]
    assert result.temperature_k is None
    assert all(i.e_above_hull_ev_per_atom == i.e_above_hull_mixed_ev_per_atom for i in result.orderings)


def test_atoms_are_displaced_before_they_relax():
    options = {"n_orderings": 1, "parents": ["boilot1988_x235"], "max_steps": 0}
    still, moved = (judge("Na4Zr2Si3O12", rattle_ang=r, **options).lowest.relaxed for r in (0.0, 0.02))
    shifts = still.initial.cart_coords - moved.initial.cart_coords
    assert 0.015 < shifts.std() < 0.025
    assert any("Displaced" in line for line in moved.provenance)


def test_a_parent_whose_sites_are_full_is_taken_as_it_is():
    found = judge("Na4Zr2Si3O12", n_orderings=1, parents=["subramanian1985"], max_steps=0)
    (only,) = found.orderings
    assert (only.n_atoms, only.formula_units, only.electrostatic_ev_per_fu) == (42, 2, None)
    assert parse_formula(only.formula) == parse_formula("Na4Zr2Si3O12")


def test_the_hull_of_a_level_goes_with_its_own_calculator():
    with pytest.raises(NasiconError, match="no calculator makes energies"):
        doped_stability(FORMULA, level="mp2019-gga")
    with pytest.raises(NasiconError, match="references_ev_per_atom"):
        doped_stability(FORMULA, level="mp2019-gga", calculator=LennardJones())
    with pytest.raises(NasiconError, match="no reference energy of Sc"):
        judge(references_ev_per_atom={s: 0.0 for s in ELEMENTS if s != "Sc"})
    with pytest.raises(NasiconError, match="formation energies only"):
        reference_energies("mp2019-gga")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_orderings": 0}, "n_orderings"),
        ({"temperature_k": -1.0}, "temperature_k"),
        ({"mixing": ("Na", "O")}, "sites that mix"),
        ({"parents": ()}, "parent"),
        ({"rattle_ang": -0.1}, "rattle_ang"),
    ],
)
def test_senseless_options_are_refused(options, words):
    with pytest.raises(NasiconError, match=words):
        judge(**options)


def test_reference_energies_are_the_zero_of_the_level():
    references = reference_energies("chgnet-r2scan")
    entries = load_entries(source="chgnet-r2scan")
    assert {"Na", "P", "S", "Sb"} <= set(references)
    for symbol in references:
        assert entries.formation_energy_ev_per_atom(symbol) == 0.0


def test_the_design_folder_holds_the_relaxed_cell(tmp_path):
    options = {
        "level": "mp2019-gga",
        "calculator": LennardJones(sigma=1.6, epsilon=0.05, rc=4.0),
        "references_ev_per_atom": REFERENCES,
        "n_orderings": 1,
        "parents": ["subramanian1985"],
        "max_steps": 1,
        "uncertainty": False,
    }
    report = design(FORMULA, source="mp2019-gga", relax=True, relax_options=options)
    files = {path.name for path in write_report(report, tmp_path)}
    assert "relaxed.cif" in files
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["relaxed"]
    assert data["e_above_hull_ev_per_atom"] == pytest.approx(report.relaxed.e_above_hull_ev_per_atom)
    assert len(data["orderings"]) == 1
    assert "## Relaxed cells" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_the_command_names_the_missing_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "chgnet.model", None)  # as where it is not installed
    shown = CliRunner().invoke(command, ["Na3Zr2Si2PO12", "--relax", "--out", str(tmp_path)])
    assert shown.exit_code != 0
    assert "mlip" in str(shown.exception) + shown.output

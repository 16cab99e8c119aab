"""Windows: golden numbers, laws of reactions and limits, tolerances, frameworks, reservoirs."""

from __future__ import annotations

import math

import pytest
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Element
from stability_cases import atoms_of

from nasicon_struct.entries import load_entries
from nasicon_struct.errors import StabilityError
from nasicon_struct.formula import parse_formula
from nasicon_struct.stability import (
    Reservoir,
    element_profile,
    grand_potential_diagram,
    saturated,
    stability_window,
    tolerance_window,
    topotactic_window,
)

#: The level of the golden numbers; the default depends on the elements.
GGA = "mp2019-gga"

# ---- golden numbers

#: From the formation energies of the Materials Project 2019 set (PBE, legacy corrections), which C. J. Bartel et
#: al., npj Comput. Mater. 6 (2020) 97 published; the limits follow from them by hand, for example for Na3PS4:
#: mu = [e(Na2PS3) + e(Na2S) - e(Na3PS4)] per Na taken up.
GOLDEN = {
    "Na3PS4": (1.246, 2.130),
    "NaZr2P3O12": (1.305, 4.553),
    "Na4Zr2Si3O12": (0.590, 3.137),
    "Na3Zr2Si2PO12": (1.151, 3.339),
}
NA3PS4_STEPS = [
    (0.000, 8, {"Na2S", "Na3P"}),
    (0.295, 6, {"Na2S", "NaP"}),
    (0.639, 58 / 11, {"Na2S", "Na3P11"}),
    (0.999, 36 / 7, {"Na2S", "NaP7"}),
    (1.146, 1, {"Na2PS3", "Na2S"}),
    (1.246, 0, {"Na3PS4"}),
    (2.130, -0.6, {"Na2PS3", "Na2S5"}),
    (2.221, -1.6, {"Na2S5", "NaPS3"}),
    (2.223, -2.8, {"Na2S5", "P2S7"}),
    (3.399, -3, {"P2S7", "S"}),
]


@pytest.mark.parametrize("target", GOLDEN)
def test_windows_of_the_materials_project_2019_set(target: str) -> None:
    window = stability_window(target, GGA, uncertainty=False)
    assert window.source == "mp2019-gga"
    assert window.is_stable is True
    assert (window.reduction_v, window.oxidation_v) == pytest.approx(GOLDEN[target], abs=5e-4)


def test_every_step_of_na3ps4() -> None:
    window = stability_window("Na3PS4", GGA, uncertainty=False)
    assert len(window.steps) == len(NA3PS4_STEPS)
    for step, (v_low, exchanged, products) in zip(window.steps, NA3PS4_STEPS, strict=True):
        assert step.v_low == pytest.approx(v_low, abs=6e-4)
        assert step.exchanged == pytest.approx(exchanged, abs=1e-12)
        assert {part.formula for part in step.products} == products
    assert window.reduction_products == ("Na2PS3", "Na2S")
    assert window.oxidation_products == ("Na2PS3", "Na2S5")
    assert window.reduction_reaction == "Na3PS4 + Na -> Na2PS3 + Na2S"


def test_the_reduction_limit_of_na3ps4_by_hand() -> None:
    entries = load_entries("Na3PS4", source=GGA)
    energy = {f: entries.formation_energy_ev_per_atom(f) or 0.0 for f in ("Na2PS3", "Na2S", "Na3PS4")}
    by_hand = -(6 * energy["Na2PS3"] + 3 * energy["Na2S"] - 8 * energy["Na3PS4"])
    assert stability_window("Na3PS4", GGA, uncertainty=False).reduction_v == pytest.approx(by_hand, abs=1e-12)


def test_na3sbs4_lies_above_the_hull() -> None:
    """The 2019 set holds only the cubic form (Bartel et al. 2020): above the hull, so no window."""
    window = stability_window("Na3SbS4", GGA, uncertainty=False)
    assert window.is_stable is False
    assert (window.reduction_v, window.oxidation_v) == (None, None)
    assert 1000 * (window.e_above_hull_ev_per_atom or 0) == pytest.approx(6.57, abs=0.01)
    assert {part.formula for part in window.decomposition} == {"Na3SbS3", "NaS2", "NaSbS2"}
    assert not any(step.is_target for step in window.steps)
    assert "above the hull" in window.reason
    assert any("tetragonal" in note for note in window.notes)


def test_na3sbs4_lowered_to_the_tetragonal_form() -> None:
    """12.5 meV/atom below the cubic form (PBE, P-42_1c): on the hull from 1.572 to 1.711 V."""
    cubic = load_entries("Na3SbS4", source=GGA).formation_energy_ev_per_atom("Na3SbS4") or 0.0
    window = stability_window("Na3SbS4", GGA, formation_energy_ev_per_atom=cubic - 0.0125, uncertainty=False)
    assert window.is_stable is True
    assert (window.reduction_v, window.oxidation_v) == pytest.approx((1.572, 1.711), abs=1.5e-3)


def test_na3zr2si2po12_lies_on_the_hull_below_its_end_members() -> None:
    """Na3Zr2Si2PO12 = 1/3 NaZr2P3O12 + 2/3 Na4Zr2Si3O12: 13.76 meV/atom below that mixture."""
    entries = load_entries("Na3Zr2Si2PO12", source=GGA)
    ends = [entries.formation_energy_ev_per_atom(f) or 0.0 for f in ("NaZr2P3O12", "Na4Zr2Si3O12")]
    own = entries.formation_energy_ev_per_atom("Na3Zr2Si2PO12") or 0.0
    mixture = (18 * ends[0] / 3 + 21 * ends[1] * 2 / 3) / 20
    assert 1000 * (own - mixture) == pytest.approx(-13.76, abs=0.01)
    window = stability_window("Na3Zr2Si2PO12", GGA, uncertainty=False)
    assert window.e_above_hull_ev_per_atom == 0.0
    assert 0 < 1000 * (window.depth_ev_per_atom or 0) < 13.76  # other phases come nearer than the end members


# ---- laws

TARGETS = [
    "Na3PS4",
    "Na3SbS4",
    "Na3Zr2Si2PO12",
    "NaZr2P3O12",
    "P2S5",
    "Na3PS3O",
    "Na0.5P0.5S2",
    "ZrO2",
    "Na3Sb",
]


def assert_balanced(reaction: str) -> None:
    left, right = reaction.split(" -> ")
    assert atoms_of(left) == atoms_of(right), reaction


@pytest.mark.parametrize("target", TARGETS)
def test_reactions_balance_exactly_and_carry_their_charge(target: str) -> None:
    window = stability_window(target, uncertainty=False)
    assert_balanced(window.decomposition_reaction)
    amounts = parse_formula(target)
    mass = sum(float(Element(s).atomic_mass) * float(n) for s, n in amounts.items())
    for step in window.steps:
        assert_balanced(step.reaction)
        assert step.capacity_mah_per_g == pytest.approx(step.exchanged * 96485.33212 / 3.6 / mass, rel=1e-9)
        held = sum(part.amount * float(parse_formula(part.formula).get("Na", 0)) for part in step.products)
        assert held - float(amounts.get("Na", 0)) == pytest.approx(step.exchanged, abs=1e-9)
        assert sum(part.atomic_fraction for part in step.products) == pytest.approx(1.0, abs=1e-12)
        assert all(part.amount > 0 for part in step.products)


@pytest.mark.parametrize("target", TARGETS)
def test_the_profile_is_monotone_and_without_gaps(target: str) -> None:
    window = stability_window(target, uncertainty=False)
    assert window.steps[0].v_low == 0.0
    assert math.isinf(window.steps[-1].v_high)
    for lower, upper in zip(window.steps, window.steps[1:], strict=False):
        assert lower.v_low < lower.v_high == upper.v_low
        assert lower.exchanged > upper.exchanged
    if "Na" in parse_formula(target):
        assert window.steps[-1].exchanged >= -float(parse_formula(target)["Na"]) - 1e-12


@pytest.mark.parametrize("target", TARGETS)
def test_reaction_energies_close_the_cycle(target: str) -> None:
    """Between neighbouring rows the energy changes by the voltage times the charge exchanged."""
    window = stability_window(target, uncertainty=False)
    if window.formation_energy_ev_per_atom is None:
        assert all(step.reaction_energy_ev_per_atom is None for step in window.steps)
        return
    n_atoms = float(sum(parse_formula(target).values()))
    for lower, upper in zip(window.steps, window.steps[1:], strict=False):
        change = (
            (lower.reaction_energy_ev_per_atom or 0) - (upper.reaction_energy_ev_per_atom or 0)
        ) * n_atoms
        assert change == pytest.approx(-upper.v_low * (lower.exchanged - upper.exchanged), abs=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_the_window_is_the_row_of_the_target(target: str) -> None:
    window = stability_window(target, uncertainty=False)
    rows = [step for step in window.steps if step.is_target]
    if not window.is_stable:
        assert not rows
        assert window.width_v is None
        assert window.reduction_reaction is None
        assert window.depth_ev_per_atom is None
        low, high = window.shifted_v
        assert (low, high) == (window.assemblage_reduction_v, window.assemblage_oxidation_v)
        assert low <= high
        return
    (row,) = rows
    assert (row.v_low, row.v_high) == (window.reduction_v, window.oxidation_v)
    assert window.shifted_v == (window.reduction_v, window.oxidation_v)
    assert row.reaction == f"{target} -> {target}"


def test_an_unknown_energy_gives_no_verdict() -> None:
    window = stability_window("Na0.5P0.5S2", uncertainty=False)
    assert window.is_stable is None
    assert window.e_above_hull_ev_per_atom is None
    assert window.formation_energy_ev_per_atom is None
    assert (window.reduction_v, window.oxidation_v) == (None, None)
    assert "unknown" in window.reason
    assert "no window" in str(window)


def test_missing_phases_are_named() -> None:
    entries = load_entries("Na3PS4")
    known = stability_window("Na3PS4", entries, uncertainty=False)
    without = stability_window("Na3PS4", entries.without("Na2S"), uncertainty=False)
    assert "Na2S" not in known.missing
    assert "Na2S" in without.missing
    assert without.reduction_v != known.reduction_v


# ---- tolerance, topotactic


@pytest.mark.parametrize("target", ["Na3PS4", "Na3Zr2Si2PO12", "NaZr2P3O12", "P2S5"])
def test_a_tolerance_widens_the_window(target: str) -> None:
    window = stability_window(target, uncertainty=False)
    previous = (window.reduction_v or 0.0, window.oxidation_v or 0.0)
    none = tolerance_window(target, tolerance_ev_per_atom=0.0)
    assert (none.reduction_v, none.oxidation_v) == pytest.approx(previous, abs=1e-9)
    for tolerance in (0.005, 0.025, 0.1):
        found = tolerance_window(target, tolerance_ev_per_atom=tolerance)
        assert (found.reduction_v or 0.0) < previous[0]
        assert (found.oxidation_v or 0.0) >= previous[1]
        previous = (found.reduction_v or 0.0, found.oxidation_v or 0.0)


def test_at_its_ends_the_tolerance_is_used_up() -> None:
    """At the limits pymatgen's grand potential diagram puts the compound exactly 25 meV/atom above its hull."""
    entries = load_entries("Na3SbS4")
    found = tolerance_window("Na3SbS4", entries, tolerance_ev_per_atom=0.025)
    entry = next(e for e in entries.pdentries() if e.composition.reduced_formula == "Na3SbS4")
    for voltage in (found.reduction_v, found.oxidation_v):
        diagram = grand_potential_diagram(entries, voltage_v=voltage)
        grand = next(e for e in diagram.all_entries if e.original_entry.composition == entry.composition)
        # Per atom of P and S there; of all atoms here.
        assert diagram.get_e_above_hull(grand) * 5 / 8 == pytest.approx(0.025, abs=1e-8)


def test_a_phase_beyond_the_tolerance_has_no_range() -> None:
    found = tolerance_window("Na3SbS4", GGA, tolerance_ev_per_atom=0.005)
    assert (found.reduction_v, found.oxidation_v) == (None, None)
    assert found.is_assemblage is False
    assert tolerance_window("Na3PS3O", GGA, tolerance_ev_per_atom=0.01).is_assemblage is True


@pytest.mark.parametrize("tolerance", [-0.1, math.nan, math.inf])
def test_a_senseless_tolerance_is_refused(tolerance: float) -> None:
    with pytest.raises(StabilityError, match="tolerance"):
        tolerance_window("Na3PS4", tolerance_ev_per_atom=tolerance)


def test_the_topotactic_window_follows_the_framework() -> None:
    """V = -[E(Na4) - E(Na3)] per Na, both ways, by hand."""
    own = load_entries("Na3PS4", source=GGA).formation_energy_ev_per_atom("Na3PS4") or 0.0
    found = topotactic_window("Na3PS4", GGA, framework={"Na4PS4": -1.15, "Na2PS4": -1.0})
    assert found.reduction_v == pytest.approx(-(9 * -1.15 - 8 * own), abs=1e-12)
    assert found.oxidation_v == pytest.approx(7 * -1.0 - 8 * own, abs=1e-12)
    assert found.reduction_reaction == "Na3PS4 + Na -> Na4PS4"
    assert found.oxidation_reaction == "Na3PS4 -> Na2PS4 + Na"
    assert found.framework_assumed is False
    # Keeping the framework is harder than decomposing: the indirect window holds the direct one.
    direct = stability_window("Na3PS4", GGA, uncertainty=False)
    assert (found.reduction_v or 0) <= (direct.reduction_v or 0)
    assert (found.oxidation_v or 0) >= (direct.oxidation_v or 0)


@pytest.mark.parametrize(
    ("framework", "words"),
    [
        (["Na2S"], "ratio"),
        ("Na4PS4", "no energy of the framework phase Na4PS4"),
        ({"Na4PS4": math.nan}, "finite"),
        ({"Na4PS4": "low"}, "finite"),
    ],
)
def test_a_wrong_framework_is_refused(framework: object, words: str) -> None:
    with pytest.raises(StabilityError, match=words):
        topotactic_window("Na3PS4", framework=framework)  # type: ignore[arg-type]


# ---- reservoirs


def test_a_reservoir_at_the_limit_of_the_oxygen_potential() -> None:
    """With O held at the potential of a facet, the hull of the rest is the open hull pymatgen builds."""
    entries = load_entries("Na3Zr2Si2PO12")
    held = Reservoir(element="O", mu_relative_ev=-1.0, description="O at -1 eV")
    window = stability_window("Na3Zr2Si2PO12", entries, reservoirs=held, uncertainty=False)
    diagram = grand_potential_diagram(entries, reservoirs=held)
    target = next(
        e for e in diagram.all_entries if e.original_entry.composition.reduced_formula == "Na3Zr2Si2PO12"
    )
    theirs = diagram.get_e_above_hull(target) * 8 / 20
    assert window.e_above_hull_ev_per_atom == pytest.approx(theirs, abs=1e-9)
    for step in window.steps:
        assert_balanced(step.reaction)
    assert window.reservoirs == ("O at -1 eV",)


def test_a_reservoir_takes_part_in_the_reactions() -> None:
    window = stability_window("Na3PS4", GGA, reservoirs=saturated("S"), uncertainty=False)
    assert window.is_stable is False  # polysulfides form
    assert window.decomposition_reaction == "Na3PS4 + 7 S -> 1.5 Na2S5 + 0.5 P2S7"
    assert window.steps[0].v_low > 0  # below, S takes up Na without limit
    assert any("without limit, as Na2S5" in note for note in window.notes)


@pytest.mark.parametrize(
    ("target", "reservoirs", "words"),
    [
        ("Na2S", saturated("S"), "exchanged"),
        ("Na3PS4", saturated("Na"), "reservoir"),
        ("Na3PS4", {"S": -0.1}, "Reservoir objects"),
        ("Na3PS4", -0.1, "Reservoir objects"),
        ("Na3PS4", [-0.1], "relative or absolute"),
        ("Na3PS4", [saturated("S"), saturated("S")], "one reservoir"),
        ("Na3PS4O", [saturated("S"), saturated("P")], "not in equilibrium"),
    ],
)
def test_wrong_reservoirs_are_refused(target: str, reservoirs: object, words: str) -> None:
    with pytest.raises(StabilityError, match=words):
        stability_window(target, reservoirs=reservoirs, uncertainty=False)


# ---- profiles of any element


def test_element_profile_against_pymatgen() -> None:
    entries = load_entries("Na3PS4")
    profile = element_profile("Na3PS4", entries, open_element="S")
    diagram = PhaseDiagram(entries.pdentries())
    theirs = diagram.get_element_profile(Element("S"), Composition("Na3PS4"))
    kept = [row for k, row in enumerate(theirs) if k == 0 or row["chempot"] < theirs[k - 1]["chempot"] - 1e-8]
    assert [row.mu_high_ev for row in profile.rows] == pytest.approx([r["chempot"] for r in kept], abs=1e-8)
    assert [row.exchanged for row in profile.rows] == pytest.approx([r["evolution"] for r in kept], abs=1e-8)
    for row in profile.rows:
        assert_balanced(row.reaction)
    assert profile.is_stable is True
    (own,) = [row for row in profile.rows if row.is_target]
    assert (own.mu_low_ev, own.mu_high_ev) == (profile.mu_low_ev, profile.mu_high_ev)

"""Windows from every kind of target and entries, pymatgen's diagram, round trips."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from monty.json import MontyDecoder
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry

import nasicon_struct as ns
from nasicon_struct.entries import EntrySet, amounts_of, load_entries
from nasicon_struct.errors import CompositionError, EntriesError, StabilityError
from nasicon_struct.plain import plain
from nasicon_struct.stability import (
    ElementProfile,
    Reservoir,
    StabilityWindow,
    chemical_potentials_absolute_ev,
    element_profile,
    grand_potential_diagram,
    saturated,
    stability_window,
    tolerance_window,
    topotactic_window,
)

GOLDEN_NA3PS4 = (1.246, 2.130)  # see test_stability.py

# ---- the pymatgen object


def absolute_entries(shift: dict[str, float]) -> list[PDEntry]:
    """Return the Na-P-S phases with total energies: formation energies plus shifted elements."""
    return [
        PDEntry(
            e.composition, e.energy + sum(shift[s] * n for s, n in e.composition.get_el_amt_dict().items())
        )
        for e in load_entries("Na3PS4", source="mp2019-gga").pdentries()
    ]


SHIFT = {"Na": -1.31, "P": -5.41, "S": -4.13}


def test_the_grand_potential_diagram_is_rightly_referenced() -> None:
    """mu = E_Na - V: just inside the window the target is stable there, just outside it is not."""
    entries = absolute_entries(SHIFT)
    window = stability_window("Na3PS4", entries, uncertainty=False)
    assert (window.reduction_v, window.oxidation_v) == pytest.approx(GOLDEN_NA3PS4, abs=5e-4)
    low, high = window.reduction_v or 0.0, window.oxidation_v or 0.0
    for voltage, inside in (
        (low - 1e-3, False),
        (low + 1e-3, True),
        (high - 1e-3, True),
        (high + 1e-3, False),
    ):
        diagram = grand_potential_diagram(entries, voltage_v=voltage)
        (mu,) = diagram.chempots.values()
        assert mu == pytest.approx(SHIFT["Na"] - voltage, abs=1e-12)
        stable = {e.original_entry.composition.reduced_formula for e in diagram.stable_entries}
        assert ("Na3PS4" in stable) is inside
    assert chemical_potentials_absolute_ev(entries, voltage_v=2.0) == {Element("Na"): SHIFT["Na"] - 2.0}
    held = Reservoir(element="S", mu_relative_ev=-0.5, description="test")
    both = chemical_potentials_absolute_ev(entries, voltage_v=2.0, reservoirs=held)
    assert both[Element("S")] == pytest.approx(SHIFT["S"] - 0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no element is open"),
        ({"voltage_v": -1.0}, "below 0 V"),
        ({"voltage_v": math.nan}, "finite"),
        ({"voltage_v": "2"}, "finite"),
        ({"voltage_v": 1.0, "open_element": "S"}, "ion of known charge"),
        ({"voltage_v": 1.0, "open_element": "Li"}, "no element Li"),
        ({"reservoirs": {"S": -1.0}}, "Reservoir objects"),
        ({"reservoirs": -4.6}, "Reservoir objects"),
        ({"voltage_v": 1.0, "reservoirs": saturated("Na")}, "given twice"),
    ],
)
def test_potentials_cannot_be_mixed_up(options: dict[str, object], words: str) -> None:
    with pytest.raises((StabilityError, EntriesError), match=words):
        grand_potential_diagram(absolute_entries(SHIFT), **options)  # type: ignore[arg-type]


def test_a_dictionary_of_numbers_is_no_argument() -> None:
    with pytest.raises(TypeError):
        grand_potential_diagram(absolute_entries(SHIFT), {"Na": -1.0})  # type: ignore[misc]


def test_the_diagram_is_cut_down_to_the_system() -> None:
    for entries in (load_entries(), "mp2019-gga"):
        diagram = grand_potential_diagram(entries, voltage_v=2.0, system="Na-P-S")
        assert {element.symbol for element in diagram.elements} == {"P", "S"}


# ---- every way to give it


def na3ps4_structure() -> Structure:
    return Structure(
        Lattice.cubic(7.0),
        ["Na"] * 6 + ["P"] * 2 + ["S"] * 8,
        np.random.default_rng(0).random((16, 3)),
    )


def test_every_kind_of_target_gives_the_same_window(tmp_path: Path) -> None:
    expected = stability_window("Na3PS4", uncertainty=False)
    structure = na3ps4_structure()
    cif = tmp_path / "cell.cif"
    structure.to(filename=str(cif))
    atoms = Atoms(structure.labels, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)
    for target in (
        Composition("Na6P2S8"),
        {"Na": 6, "P": 2, "S": 8},
        {"Na": 3.0, "P": 1.0, "S": 4.0},
        structure,
        atoms,
        str(cif),
        cif,
    ):
        window = stability_window(target, uncertainty=False)
        assert window.target == "Na3PS4"
        assert window.steps == expected.steps, type(target)
    twice = stability_window("Na6P2S8", uncertainty=False)
    assert twice.reduction_v == expected.reduction_v
    assert [s.capacity_mah_per_g for s in twice.steps] == pytest.approx(
        [s.capacity_mah_per_g for s in expected.steps]
    )
    assert [s.exchanged for s in twice.steps] == pytest.approx([2 * s.exchanged for s in expected.steps])
    nasicon = ns.NasiconComposition.from_formula("Na3Zr2Si2PO12")
    assert stability_window(nasicon, "mp2019-gga", uncertainty=False).reduction_v == pytest.approx(
        1.151, abs=5e-4
    )


def test_a_pymatgen_entry_brings_its_own_energy() -> None:
    entries = absolute_entries(SHIFT)
    own = next(e for e in entries if e.composition.reduced_formula == "Na3PS4")
    higher = ComputedEntry(own.composition * 2, 2 * (own.energy + 8 * 0.05))
    window = stability_window(higher, entries, uncertainty=False)
    assert window.e_above_hull_ev_per_atom == pytest.approx(0.05, abs=1e-9)
    with pytest.raises(StabilityError, match="another scale"):
        stability_window(higher, load_entries("Na3PS4"), uncertainty=False)


def test_plain_pymatgen_lists_are_accepted_everywhere() -> None:
    named = load_entries("Na3PS4")
    entries = named.pdentries()
    expected = stability_window("Na3PS4", named, uncertainty=False)
    computed = [ComputedEntry(e.composition, e.energy) for e in entries]
    corrected = [ComputedEntry(e.composition, e.energy - 0.7, correction=0.7) for e in entries]
    for given in (entries, tuple(entries), iter(entries), computed, corrected, PhaseDiagram(entries)):
        window = stability_window("Na3PS4", given, uncertainty=False)
        assert window.source == "user"
        rows = [[(s.v_low, s.exchanged) for s in result.steps] for result in (window, expected)]
        assert np.allclose(*rows, rtol=0, atol=1e-9)
    assert tolerance_window("Na3PS4", entries).reduction_v == pytest.approx(
        tolerance_window("Na3PS4", named).reduction_v or 0, abs=1e-9
    )
    assert element_profile("Na3PS4", entries, open_element="S").is_stable
    assert topotactic_window("Na3PS4", entries, framework={"Na4PS4": -1.0}).reduction_v is not None


def test_the_order_of_entries_does_not_matter() -> None:
    entries = load_entries("Na3Zr2Si2PO12").entries
    expected = stability_window("Na3Zr2Si2PO12", list(entries))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(entries))
        again = stability_window("Na3Zr2Si2PO12", [entries[i] for i in order])
        assert again == expected


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("Na", StabilityError),
        ({"Na": 2}, StabilityError),
        ("", CompositionError),
        ("Na3PU4", EntriesError),
        (None, CompositionError),
        ({"Na": -3, "P": 1}, CompositionError),
        ({"Na": math.nan, "P": 1}, CompositionError),
        ({"Xx": 1}, CompositionError),
        (Composition(), CompositionError),
        ("Na3PS4" * 100, CompositionError),
    ],
)
def test_a_target_that_is_none_is_refused(target: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        stability_window(target, uncertainty=False)


@pytest.mark.parametrize("open_element", ["Zr", "S", "Xx", ""])
def test_an_element_that_is_no_ion_is_refused(open_element: str) -> None:
    with pytest.raises((StabilityError, EntriesError, CompositionError)):
        stability_window("Na3PS4", open_element=open_element, uncertainty=False)


def test_a_polyvalent_ion_counts_its_charge() -> None:
    """Zn2+ at the same potential: V = -mu / 2, capacity twice."""
    entries = [
        PDEntry(Composition(f), e * Composition(f).num_atoms)
        for f, e in {"Zn": 0.0, "S": 0.0, "ZnS": -1.0}.items()
    ]
    window = stability_window("S", entries, open_element="Zn", uncertainty=False)
    assert window.charge == 2
    assert window.reduction_v == pytest.approx(1.0)  # ZnS -> mu(Zn) = -2 eV
    (first, *_) = window.steps
    assert first.capacity_mah_per_g == pytest.approx(2 * 96485.33212 / 3.6 / 32.065, rel=1e-3)


def test_a_target_without_the_open_element_has_no_upper_limit() -> None:
    window = stability_window("P2S5", uncertainty=False)
    assert window.oxidation_v == math.inf
    assert window.oxidation_reaction is None
    assert "no upper limit" in str(window)
    assert json.loads(json.dumps(plain(window.as_dict())))["oxidation_v"] is None


# ---- round trips


def test_results_round_trip() -> None:
    window = stability_window("Na3PS4", n_samples=50)
    again = StabilityWindow.from_dict(json.loads(json.dumps(window.as_dict())))
    assert again == window
    assert MontyDecoder().process_decoded(json.loads(json.dumps(window.as_dict()))) == window
    assert pickle.loads(pickle.dumps(window)) == window
    profile = element_profile("Na3PS4", open_element="S")
    assert ElementProfile.from_dict(json.loads(json.dumps(profile.as_dict()))) == profile
    for other in (
        tolerance_window("Na3PS4"),
        topotactic_window("Na3PS4", framework={"Na4PS4": -1.0}),
        saturated("S"),
        window.steps[0],
        window.steps[0].products[0],
    ):
        assert type(other).from_dict(json.loads(json.dumps(other.as_dict()))) == other
    entries = load_entries("Na3PS4")
    copy = EntrySet.from_dict(json.loads(json.dumps(entries.as_dict())))
    assert copy == entries
    assert stability_window("Na3PS4", copy, uncertainty=False) == stability_window(
        "Na3PS4", entries, uncertainty=False
    )
    assert pickle.loads(pickle.dumps(entries)) == entries


def test_a_disordered_cif_is_the_compound_that_it_was_written_for(tmp_path: Path) -> None:
    """Occupancies such as 2/3 are rounded in a CIF; the compound is still found among the energies."""
    path = tmp_path / "cell.cif"
    ns.build_average_cell("Na3Zr2Si2PO12", coordinates="prototype").to_cif(path)
    assert amounts_of(str(path)) == {"Na": 12, "Zr": 8, "Si": 8, "P": 4, "O": 48}
    assert amounts_of({"Na": 0.123456789}) != amounts_of({"Na": 0.1234567})
    window = ns.stability_window(str(path), uncertainty=False)
    of_formula = ns.stability_window("Na3Zr2Si2PO12", uncertainty=False)
    assert window.reduction_v == pytest.approx(of_formula.reduction_v)
    assert ns.charge_balance(Structure.from_file(path)).formula == "Na3Zr2Si2PO12"
    assert ns.charge_balance(Structure.from_file(path)).neutral


def test_a_phase_is_added_on_the_scale_of_the_set() -> None:
    entries = load_entries("Na-P-S", source="mp2019-gga")
    bare = entries.without("Na3PS4")
    known = stability_window("Na3PS4", entries, uncertainty=False)
    added = bare.with_entry("Na3PS4", formation_energy_ev_per_atom=known.formation_energy_ev_per_atom)
    window = stability_window("Na3PS4", added, uncertainty=False)
    assert (window.reduction_v, window.oxidation_v) == pytest.approx((known.reduction_v, known.oxidation_v))
    assert len(added) == len(bare) + 1
    with pytest.raises(EntriesError, match="number of eV per atom"):
        bare.with_entry("Na3PS4", formation_energy_ev_per_atom="low")
    with pytest.raises(EntriesError, match="has no element Cl"):
        bare.with_entry("NaCl", formation_energy_ev_per_atom=-2.1)
    # On the absolute energies of a calculator as well: the elements there are not zero.
    shift = {"Na": -1.3, "P": -5.4, "S": -4.1}
    items = [
        PDEntry(e.composition, e.energy + sum(shift[str(s)] * n for s, n in e.composition.items()))
        for e in bare.pdentries()
    ]
    moved = ns.as_entry_set(items).with_entry(
        "Na3PS4", formation_energy_ev_per_atom=known.formation_energy_ev_per_atom
    )
    window = stability_window("Na3PS4", moved, uncertainty=False)
    assert (window.reduction_v, window.oxidation_v) == pytest.approx((known.reduction_v, known.oxidation_v))

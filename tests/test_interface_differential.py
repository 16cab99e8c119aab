"""Interfaces of random pairs, closed and at a voltage, against pymatgen and against linear programs (HiGHS)."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest
from pymatgen.analysis.interface_reactions import GrandPotentialInterfacialReactivity, InterfacialReactivity
from pymatgen.analysis.phase_diagram import GrandPotentialPhaseDiagram, PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element
from stability_cases import Case, atoms_of, random_case

from nasicon_struct.entries import EntrySet, as_entry_set
from nasicon_struct.errors import StabilityError
from nasicon_struct.interface import InterfaceReactions, interface_reactions, interface_table
from nasicon_struct.stability import lp

#: eV per atom.
TOLERANCE = 1e-8
#: pymatgen leaves out phases of a mixture with an amount below 1e-8, so that with a trace of 1e-6 its energies are
#: off by that much times the energies of the phases.
TOLERANCE_OF_TRACES = 1e-6


def random_pair(seed: int) -> tuple[Case, Composition, Composition, float | None]:
    """Return a system, two materials (entries, or the case's target), and a voltage or None."""
    case = random_case(seed)
    rng = np.random.default_rng(10_000 + seed)
    compositions = [entry.composition for entry in case.entries]
    first, second = (compositions[i] for i in rng.integers(0, len(compositions), 2))
    if rng.random() < 0.3:
        second = case.composition
    if rng.random() < 0.2:
        first = first + compositions[rng.integers(0, len(compositions))] * int(rng.integers(1, 4))
    voltage = None if seed % 2 else float(rng.choice([0.0, 0.5, 1.3, 2.5, 4.0]))
    return case, first, second, voltage


def check(seed: int) -> bool:
    """Compare one pair; False where there is no interface."""
    case, first, second, voltage = random_pair(seed)
    entries = as_entry_set(list(case.entries))
    if not mix(first, second, voltage):
        with pytest.raises(
            StabilityError, match=r"apart from exchanged|exchanged or held|leave at least one free"
        ):
            interface_reactions(first, second, entries, voltage_v=voltage)
        return False
    found = interface_reactions(first, second, entries, voltage_v=voltage)
    compare_with_programs(found, entries, (first, second), case)
    compare_with_pymatgen(found, case, (first, second))
    check_reactions(found, case)
    shuffled = list(case.entries)
    np.random.default_rng(seed).shuffle(shuffled)  # type: ignore[arg-type]
    assert interface_reactions(first, second, shuffled, voltage_v=voltage) == found, case
    table = interface_table([first], [second], entries, voltage_v=voltage)
    assert table.driving_force_ev_per_atom[0, 0] == pytest.approx(
        found.driving_force_ev_per_atom, abs=TOLERANCE
    ), case
    assert table.mutual_driving_force_ev_per_atom[0, 0] == pytest.approx(
        found.mutual_driving_force_ev_per_atom, abs=TOLERANCE
    ), case
    return True


def mix(first: Composition, second: Composition, voltage: float | None) -> bool:
    """Return whether there are two materials to mix, beside what is exchanged."""
    kept = []
    for composition in (first, second):
        amounts = composition.get_el_amt_dict()
        if voltage is not None:
            amounts.pop("Na", None)
        kept.append(Composition(amounts).fractional_composition)
    return bool(kept[0]) and bool(kept[1]) and kept[0] != kept[1]


def curve(points: list[tuple[float, float]], fractions: np.ndarray) -> np.ndarray:
    """Return energies per atom at shares of the second material; they are linear between kinks."""
    held = np.array(sorted(points))
    return np.interp(fractions, held[:, 0], held[:, 1])


def compare_with_programs(
    found: InterfaceReactions, entries: EntrySet, pair: tuple[Composition, Composition], case: Case
) -> None:
    """At every kink and between them the products have the energy of the (open) hull."""
    x, e = entries.fractions, entries.formation_energies_ev_per_atom
    keep = np.ones(len(entries.elements), dtype=bool)
    if found.voltage_v is not None:
        column = entries.elements.index("Na")
        keep[column] = False
        e = e + x[:, column] * found.voltage_v
        share = x[:, keep].sum(axis=1)
        held = share > 1e-12
        x, e = x[held][:, keep] / share[held, None], e[held] / share[held]
    ends = [np.array([float(c[symbol]) for symbol in entries.elements]) / c.num_atoms for c in pair]
    alone = [lp.hull_energy(x, e, end[keep]) for end in ends]
    kinks = [(kink.fraction_b, kink.mutual_energy_ev_per_atom) for kink in found.kinks]
    at = np.array([fraction for fraction, _ in kinks])
    assert at[0] == 0.0, case
    assert at[-1] == 1.0, case
    assert (np.diff(at) > 0).all(), case
    at = np.concatenate([at, (at[1:] + at[:-1]) / 2])
    hull = [
        lp.hull_energy(x, e, ((1 - f) * ends[0] + f * ends[1])[keep]) - (1 - f) * alone[0] - f * alone[1]
        for f in at.tolist()
    ]
    assert np.abs(curve(kinks, at) - hull).max() < TOLERANCE, case


def compare_with_pymatgen(
    found: InterfaceReactions, case: Case, pair: tuple[Composition, Composition]
) -> None:
    elements = {element for composition in pair for element in composition.elements}
    if found.voltage_v is not None:
        elements.add(Element("Na"))
    inside = [entry for entry in case.entries if set(entry.composition.elements) <= elements]
    closed = PhaseDiagram(inside)
    if found.voltage_v is None:
        theirs = InterfacialReactivity(*pair, closed, norm=True, use_hull_energy=True)
        shares = (1.0, 1.0)
    else:
        mu = closed.el_refs[Element("Na")].energy_per_atom - found.voltage_v
        diagram = GrandPotentialPhaseDiagram(inside, {Element("Na"): mu})
        theirs = GrandPotentialInterfacialReactivity(*pair, diagram, closed, include_no_mixing_energy=False)
        # Its energies are per atom of the elements that are not exchanged.
        shares = (theirs.factor1, theirs.factor2)
    rows = [
        (1.0 - x, energy * (x * shares[0] + (1.0 - x) * shares[1]))
        for _, x, energy, _, _ in theirs.get_kinks()
    ]
    ours = [(kink.fraction_b, kink.mutual_energy_ev_per_atom) for kink in found.kinks]
    at = np.array([fraction for fraction, _ in (*rows, *ours)])
    worst = np.abs(curve(rows, at) - curve(ours, at)).max()
    assert worst < (TOLERANCE_OF_TRACES if case.kind == "trace" else TOLERANCE), case


def check_reactions(found: InterfaceReactions, case: Case) -> None:
    """Every printed reaction balances within its six digits, and its products are those listed."""
    for kink in found.kinks:
        left, right = (atoms_of(side) for side in kink.reaction.split(" -> "))
        scale = float(sum(left.values()))
        for symbol in left.keys() | right.keys():
            difference = float(left.get(symbol, Fraction(0)) - right.get(symbol, Fraction(0)))
            assert abs(difference) < 1e-5 * scale, (kink.reaction, case)
        assert sum(part.atomic_fraction for part in kink.products) == pytest.approx(1.0, abs=1e-9), case
        assert kink.energy_ev_per_atom <= kink.mutual_energy_ev_per_atom + 1e-9, case
        assert kink.mutual_energy_ev_per_atom <= 1e-9, case


@pytest.mark.parametrize("block", range(2))
def test_random_pairs(block: int) -> None:
    done = [check(seed) for seed in range(40 * block, 40 * (block + 1))]
    assert sum(done) > 25


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_random_pairs_to_320(block: int) -> None:
    done = [check(seed) for seed in range(80 + 60 * block, 80 + 60 * (block + 1))]
    assert sum(done) > 40


# ---- where pymatgen disagrees


def entries_of(energies: dict[str, float]) -> list[PDEntry]:
    """Return PDEntry objects from formation energies in eV per atom."""
    compositions = {formula: Composition(formula) for formula in energies}
    return [PDEntry(compositions[f], energy * compositions[f].num_atoms) for f, energy in energies.items()]


def test_pymatgen_takes_a_material_above_its_elements_for_one_on_the_hull() -> None:
    """NaS at +0.1 eV/atom gives off this energy alone; pymatgen counts none, and warns."""
    entries = entries_of({"Na": 0.0, "S": 0.0, "P": 0.0, "NaS": 0.1, "P2S5": -0.5})
    found = interface_reactions("NaS", "P", entries)
    assert found.kinks[0].energy_ev_per_atom == pytest.approx(-0.1, abs=1e-12)
    assert found.e_above_hull_a_ev_per_atom == pytest.approx(0.1, abs=1e-12)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        theirs = InterfacialReactivity(Composition("NaS"), Composition("P"), PhaseDiagram(entries))
        energies = {round(x, 6): energy for _, x, energy, _, _ in theirs.get_kinks()}
    assert energies[1.0] == pytest.approx(0.0, abs=1e-12)
    assert any("no matching entry" in str(item.message) for item in caught)


def test_pymatgen_leaves_out_traces() -> None:
    """A phase with 1e-9 of the amounts: its energy counts here, as in the linear program; not there."""
    entries = entries_of({"Na": 0.0, "S": 0.0, "Na2S": -1.2})
    diagram = PhaseDiagram(entries)
    composition = Composition({"Na": 1.0, "S": 5e-9})
    exact = -1.2 * 3 * 5e-9
    made = as_entry_set(entries)
    vector = np.array([1.0, 5e-9])
    program = lp.hull_energy(made.fractions, made.formation_energies_ev_per_atom, vector)
    assert program == pytest.approx(exact, rel=1e-6)
    theirs = diagram.get_hull_energy_per_atom(composition)
    assert abs(theirs - exact) > 1e-9

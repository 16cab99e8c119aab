"""Hulls, profiles and windows of 2,000 random systems against pymatgen and against linear programs (HiGHS).

Where pymatgen disagrees it is at fault, and the reason is a test of its own at the end.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element
from stability_cases import Case, pymatgen_profile, pymatgen_would_say, random_case

from nasicon_struct.entries import as_entry_set
from nasicon_struct.stability import (
    StabilityWindow,
    energies_above_hull,
    hull_energies,
    lp,
    stability_window,
    windows,
)
from nasicon_struct.stability import hull as hull_module

#: eV and V.
TOLERANCE = 1e-8


def profile_of(window: StabilityWindow) -> list[tuple[float, float]]:
    """Return our profile as (potential, atoms taken up), downward in potential."""
    return [(-step.v_low, step.exchanged) for step in window.steps]


def check(case: Case) -> None:
    """Compare one system with pymatgen, with the linear programs, with our arrays, and in another order."""
    entries = as_entry_set(list(case.entries))
    target = dict(case.target)
    window = stability_window(target, entries, uncertainty=False)
    diagram = PhaseDiagram(case.entries)
    _check_energies(case, window, entries, diagram)
    _check_profile(case, window, diagram)
    _check_programs(case, window, entries)
    _check_arrays(case, window, entries)
    if case.seed % 4 == 0:
        shuffled = list(case.entries)
        np.random.default_rng(case.seed).shuffle(shuffled)  # type: ignore[arg-type]
        assert stability_window(target, shuffled, uncertainty=False) == window, case


def _check_energies(case: Case, window: StabilityWindow, entries: object, diagram: PhaseDiagram) -> None:
    ours = energies_above_hull(case.entries, entries)
    theirs = [diagram.get_e_above_hull(entry) for entry in case.entries]
    assert np.abs(ours - np.array(theirs)).max() < TOLERANCE, case
    references = {str(element): entry.energy_per_atom for element, entry in diagram.el_refs.items()}
    n_atoms = case.composition.num_atoms
    offset = sum(float(n) * references[symbol] for symbol, n in case.target.items()) / n_atoms
    hull = diagram.get_hull_energy_per_atom(case.composition) - offset
    assert abs(window.hull_energy_ev_per_atom - hull) < TOLERANCE, case


def _check_profile(case: Case, window: StabilityWindow, diagram: PhaseDiagram) -> None:
    theirs = pymatgen_profile(diagram, case.composition, "Na")
    ours = profile_of(window)
    amount = float(case.target.get("Na", 0))
    tolerance = TOLERANCE * case.composition.num_atoms
    if case.kind == "trace":
        # Its own error explains every difference: see test_pymatgen_steps_over_short_plateaus.
        ours = pymatgen_would_say(ours, amount)
        tolerance = 1e-5 * (1.0 + max(row[1] for row in ours) + amount)
    assert len(ours) == len(theirs), case
    for (mu, exchanged), (their_mu, evolution) in zip(ours, theirs, strict=True):
        assert abs(mu - their_mu) < TOLERANCE, case
        assert abs(exchanged - evolution) < tolerance, case
    if window.width_v and window.width_v > TOLERANCE and case.kind != "trace":
        # The row that exchanges nothing is the window, for a target on the hull. (On a plateau between coplanar
        # phases a target is on the hull at one voltage alone, and there is no row.)
        k = next(k for k, row in enumerate(theirs) if abs(row[1]) < 1e-8)
        below = theirs[k + 1][0] if k + 1 < len(theirs) else -math.inf
        assert window.reduction_v == pytest.approx(-theirs[k][0], abs=TOLERANCE), case
        assert window.oxidation_v == pytest.approx(-below, abs=TOLERANCE), case


def _check_programs(case: Case, window: StabilityWindow, entries: object) -> None:
    made = as_entry_set(entries)
    x, e = made.fractions, made.formation_energies_ev_per_atom
    vector = np.array([float(case.target.get(symbol, 0)) for symbol in made.elements])
    column = made.elements.index("Na")
    energy = lp.hull_energy(x, e, vector) / vector.sum()
    assert abs(energy - window.hull_energy_ev_per_atom) < TOLERANCE, case
    low, high = lp.potential_limits(x, e, vector, column)
    assert window.assemblage_reduction_v == pytest.approx(max(0.0, -high), abs=TOLERANCE), case
    assert window.assemblage_oxidation_v == pytest.approx(-low, abs=TOLERANCE), case
    steps = [mu for mu, _ in profile_of(window)]
    assert lp.plateaus(x, e, vector, column) == pytest.approx(steps, abs=TOLERANCE), case


def _check_arrays(case: Case, window: StabilityWindow, entries: object) -> None:
    table = windows([case.target], entries)
    assert hull_energies([case.target], entries)[0] == pytest.approx(
        window.hull_energy_ev_per_atom, abs=1e-10
    )
    for name in ("hull_energy_ev_per_atom", "assemblage_reduction_v", "assemblage_oxidation_v"):
        assert getattr(table, name)[0] == pytest.approx(getattr(window, name), abs=1e-10), (name, case)
    assert bool(table.is_stable[0]) == bool(window.is_stable), case
    above = window.e_above_hull_ev_per_atom
    expected = math.nan if above is None else above
    assert table.e_above_hull_ev_per_atom[0] == pytest.approx(expected, abs=1e-10, nan_ok=True), case


@pytest.mark.parametrize("block", range(3))
def test_random_systems(block: int) -> None:
    """150 systems of 3 to 8 elements and 5 to 300 entries."""
    for seed in range(50 * block, 50 * (block + 1)):
        check(random_case(seed))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_random_systems_to_2000(block: int) -> None:
    for seed in range(150 + 185 * block, 150 + 185 * (block + 1)):
        check(random_case(seed))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_elements", "n_entries"), [(3, 300), (4, 300), (5, 300), (6, 300), (7, 150), (8, 80)]
)
def test_large_systems(n_elements: int, n_entries: int) -> None:
    """The corners of the range that chance seldom draws."""
    check(random_case(7, n_elements=n_elements, n_entries=n_entries))


def test_the_cases_are_what_they_are_said_to_be() -> None:
    cases = [random_case(seed) for seed in range(500)]
    assert {len(case.elements) for case in cases} == {3, 4, 5, 6, 7, 8}
    assert min(len(case.entries) for case in cases) == 5
    assert max(len(case.entries) for case in cases) >= 250
    assert {case.kind for case in cases} == {"entry", "line", "inside", "trace"}
    assert {case.degenerate for case in cases} == {"none", "grid", "coplanar", "duplicates", "linear"}
    for kind in ("entry", "line", "inside", "trace"):
        assert sum(case.kind == kind for case in cases) > 25


def test_the_programs_do_not_hang_on_the_last_bits() -> None:
    """A plateau so near to 0 V that rounding decides on which side it lies, and facets that share one plane."""
    for seed in (1220, 1157, 1375):
        case = random_case(seed)
        entries = as_entry_set(list(case.entries))
        x, e = entries.fractions, entries.formation_energies_ev_per_atom
        vector = np.array([float(case.target.get(symbol, 0)) for symbol in entries.elements])
        column = entries.elements.index("Na")
        expected = lp.plateaus(x, e, vector, column), *lp.potential_limits(x, e, vector, column)
        rng = np.random.default_rng(seed)
        for scale in (1.0, 1.0, 1.0, 1 / 3, 7.0):
            order = rng.permutation(len(e))
            noisy = (e + np.spacing(np.abs(e)) * rng.integers(-4, 5, e.shape))[order] * scale
            found = (
                lp.plateaus(x[order], noisy, vector, column),
                *lp.potential_limits(x[order], noisy, vector, column),
            )
            for one, two in zip(found, expected, strict=True):
                assert np.allclose(np.minimum(one, 0.0) / scale, np.minimum(two, 0.0), rtol=0, atol=1e-10), (
                    case
                )


# ---- facets one by one, as above six elements


@pytest.mark.parametrize("block", range(2))
def test_facets_found_one_by_one_are_those_of_the_full_hull(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small systems by both ways: all facets from Qhull, and a cache filled by the simplex method."""
    for seed in range(3000 + 40 * block, 3000 + 40 * (block + 1)):
        case = random_case(seed)
        rng = np.random.default_rng(seed)
        table = rng.integers(0, 5, (60, len(case.elements))).astype(float)
        table[:, 1] += table[:, 1:].sum(axis=1) == 0
        table[::7, 2] = 1e-6
        answers = []
        for most in (6, 2):
            monkeypatch.setattr(hull_module, "MAX_ELEMENTS_OF_FULL_HULL", most)
            entries = as_entry_set(list(case.entries))
            answers.append(
                (
                    stability_window(dict(case.target), entries, uncertainty=False),
                    windows(table, entries, elements=case.elements),
                )
            )
        (one, table_one), (two, table_two) = answers
        assert np.allclose(profile_of(one), profile_of(two), rtol=0, atol=TOLERANCE), case
        assert [step.products for step in one.steps] == [step.products for step in two.steps], case
        for name in ("hull_energy_ev_per_atom", "assemblage_reduction_v", "assemblage_oxidation_v"):
            first, second = getattr(table_one, name), getattr(table_two, name)
            finite = np.isfinite(first)
            assert (finite == np.isfinite(second)).all(), case
            assert np.abs(first[finite] - second[finite]).max() < TOLERANCE, (name, case)


# ---- where pymatgen disagrees


def _entries(energies: dict[str, float]) -> list[PDEntry]:
    """Return PDEntry objects from formation energies in eV per atom."""
    found = []
    for formula, energy in energies.items():
        composition = Composition(formula)
        found.append(PDEntry(composition, energy * composition.num_atoms))
    return found


BINARY = {"Na": 0.0, "S": 0.0, "Na2S": -1.2, "NaS": -1.0, "P": 0.0, "Na3P": -0.4, "P2S5": -0.5}


def test_pymatgen_steps_over_short_plateaus() -> None:
    """A trace of an element reacts at its own voltages, over a plateau as short as its amount.

    Na2S with 1e-6 P: sodium reduces the trace of phosphorus. By hand, from the seven energies: 2 Na2S + x P is
    Na2S + traces at all voltages where Na2S is; the trace takes up Na below the potential at which P turns
    into Na3P, mu = 4 e(Na3P) / 3 = -0.5333 eV, that is below 0.5333 V.
    """
    entries = _entries(BINARY)
    target = {"Na": 2, "S": 1, "P": 1e-6}
    window = stability_window(target, entries, uncertainty=False)
    by_voltage = {round(step.v_low, 6): step for step in window.steps}
    assert by_voltage[0.0].exchanged == pytest.approx(3e-6, abs=1e-15)
    step = by_voltage[round(4 * 0.4 / 3, 6)]
    assert {part.formula for part in step.products} == {"Na2S", "P"}
    assert step.exchanged == 0.0
    theirs = pymatgen_profile(PhaseDiagram(entries), Composition(target), "Na")
    assert all(abs(mu + 4 * 0.4 / 3) > 1e-3 for mu, _ in theirs)  # it has no such step
    assert [mu for mu, _ in pymatgen_would_say(profile_of(window), 2.0)] == pytest.approx(
        [mu for mu, _ in theirs], abs=TOLERANCE
    )
    # With 1e-3 of phosphorus the plateau is long enough, and both agree.
    more = {"Na": 2, "S": 1, "P": 1e-3}
    seen = pymatgen_profile(PhaseDiagram(entries), Composition(more), "Na")
    ours = profile_of(stability_window(more, entries, uncertainty=False))
    assert np.allclose(seen, ours, rtol=0, atol=TOLERANCE)


def test_pymatgen_gives_a_row_without_exchange_for_what_is_no_phase() -> None:
    """The "evolution = 0" row is no window: the mixture, not the compound, exchanges nothing there."""
    entries = [*_entries(BINARY), *_entries({"Na3PS4": -0.5})]
    diagram = PhaseDiagram(entries)
    assert diagram.get_e_above_hull(entries[-1]) > 0.3
    rows = pymatgen_profile(diagram, Composition("Na3PS4"), "Na")
    assert any(abs(evolution) < 1e-8 for _, evolution in rows)
    window = stability_window("Na3PS4", entries, uncertainty=False)
    assert window.is_stable is False
    assert window.reduction_v is None
    assert window.oxidation_v is None
    assert window.assemblage_oxidation_v > window.assemblage_reduction_v
    absent = stability_window("Na3PS4", _entries(BINARY), uncertainty=False)
    assert absent.is_stable is None
    assert (absent.reduction_v, absent.e_above_hull_ev_per_atom) == (None, None)


def test_pymatgen_cannot_range_a_phase_off_the_hull() -> None:
    entries = [*_entries(BINARY), *_entries({"Na3PS4": -0.5})]
    with pytest.raises(TypeError):
        PhaseDiagram(entries).get_chempot_range_stability_phase(Composition("Na3PS4"), Element("Na"))
    assert stability_window("Na3PS4", entries, uncertainty=False).is_stable is False


def test_pymatgen_agrees_on_the_range_of_a_stable_phase() -> None:
    entries = [*_entries(BINARY), *_entries({"Na3PS4": -1.3})]
    low, high = PhaseDiagram(entries).get_chempot_range_stability_phase(Composition("Na3PS4"), Element("Na"))[
        Element("Na")
    ]
    window = stability_window("Na3PS4", entries, uncertainty=False)
    assert window.reduction_v == pytest.approx(-high, abs=TOLERANCE)
    assert window.oxidation_v == pytest.approx(-low, abs=TOLERANCE)

"""Objectives other than the lowest energy, and laws: invariance, parents, workers, rules."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure

import nasicon_struct as ns
from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.correlations import pair_shells, randomness_error
from nasicon_struct.ordering.enumeration import list_distinct
from nasicon_struct.ordering.request import prepare
from nasicon_struct.ordering.results import OrderedCell
from nasicon_struct.ordering.symmetry import canonical, site_permutations
from nasicon_struct.ordering.weighted import Weighted

DOPED = "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12"


def check(cell: OrderedCell) -> None:
    assert cell.net_charge == 0
    atoms = {e: int(n) for e, n in cell.structure.composition.get_el_amt_dict().items()}
    assert atoms == cell.composition
    whole = EwaldSummation(cell.structure, acc_factor=20).total_energy
    assert cell.energy_ev_per_fu * cell.formula_units == pytest.approx(whole, abs=1e-6)


def test_refined_occupancies_as_an_objective() -> None:
    best = ns.order_cell("Na3Zr2Si2PO12", formula_units=4, objective="refined")[0]
    assert best.objective == "refined"
    assert best.cost_of_refined_ev_per_fu == pytest.approx(5.937, abs=1e-3)
    check(best)


def test_random_like_cations() -> None:
    cells = ns.order_cell(DOPED, formula_units=10, objective="sqs", n_structures=2, n_anneals=4)
    lowest = ns.order_cell(DOPED, formula_units=10, search_shape=False, n_anneals=2)[0]
    drawn = ns.order_cell(DOPED, formula_units=10, objective="random", n_structures=12, seed=3)
    errors = [cell.sqs_error for cell in drawn]
    assert cells[0].sqs_error < min(errors)
    assert cells[0].objective_value == cells[0].sqs_error
    # sodium is at its best: the energy beats every random arrangement, and stays above the lowest
    assert lowest.energy_ev_per_fu < cells[0].energy_ev_per_fu < min(c.energy_ev_per_fu for c in drawn)
    for cell in (*cells[:1], *drawn[:1]):
        check(cell)
        assert cell.hit_rate is None


def test_randomness_error_of_a_plain_definition() -> None:
    """Shares of pairs on a cubic lattice, counted by pymatgen's neighbour lists."""
    cell = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(5.0), [{"Mg2+": 0.5, "Al3+": 0.5}, "N5-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    request, choices = prepare(cell, supercell=[2, 2, 2], oxidation_states={"N": -3, "Mg": 2, "Al": 4})
    problem = request.problem(choices[0])
    shells = pair_shells(problem)
    one = ns.order_cell(
        cell, supercell=[2, 2, 2], oxidation_states={"N": -3, "Mg": 2, "Al": 4}, objective="random", seed=1
    )[0]
    metal = Structure.from_sites([s for s in one.structure if s.specie.symbol != "N"])
    squares = []
    for low, high in ((4.9, 5.1), (6.9, 7.0 + 1e-9)):
        counts = np.zeros((2, 2))
        centre, other, _, lengths = metal.get_neighbor_list(high)
        for i, j, r in zip(centre, other, lengths, strict=True):
            if r > low:
                counts[int(metal[i].specie.symbol == "Al"), int(metal[j].specie.symbol == "Al")] += 1
        if counts.sum():
            squares.append(((counts / counts.sum() - 0.25) ** 2).sum())
    squares.append(0.0)  # one kind of site, half and half by content
    assert shells.size.shape[0] == len(squares) - 1
    assert one.sqs_error == pytest.approx(np.sqrt(np.mean(squares)), abs=1e-12)
    assert randomness_error(problem, shells, problem.first_arrangement()) > 0


def test_weights_lead_from_one_objective_to_another() -> None:
    ends = [
        ns.order_cell("Na3Zr2Si2PO12", formula_units=4, objective=weights, n_anneals=4)[0]
        for weights in (
            {"electrostatic": 1, "sqs": 0.001},
            {"electrostatic": 1, "sqs": 60},
            {"electrostatic": 1, "refined": 8},
        )
    ]
    assert ends[0].energy_ev_per_fu == pytest.approx(-873.0078, abs=1e-4)
    assert ends[1].sqs_error < 0.5 * ends[0].sqs_error
    assert ends[1].energy_ev_per_fu > ends[0].energy_ev_per_fu
    assert ends[2].energy_ev_per_fu == pytest.approx(-867.0713, abs=2.0)
    misplaced = [
        sum(
            abs(n - cell.refined_statistics[label].get(e, 0.0))
            for label, row in cell.site_statistics.items()
            for e, n in row.items()
        )
        for cell in (ends[0], ends[2])
    ]
    assert misplaced[1] < misplaced[0]
    for cell in ends:
        check(cell)
        assert cell.objective.startswith("1 electrostatic + ")


@pytest.mark.parametrize(
    "weights",
    [{"electrostatic": 1, "sqs": 5}, {"electrostatic": 1, "refined": 0.5}, {"refined": 1, "sqs": 5}],
)
def test_weights_find_as_many_as_asked_for(weights: dict) -> None:
    # All 114 distinct arrangements, counted by SHRY and by Burnside's lemma (docs/ordering.md), valued one by one.
    request, choices = prepare("Na3Zr2Si2PO12", formula_units=2, search_shape=False)
    problem = request.problem(choices[0])
    weighted = Weighted.of(problem, weights)
    every = list_distinct(problem, site_permutations(problem)).occupations
    values = sorted(weighted.value(occupation.astype(np.int64)) for occupation in every)
    assert len(values) == 114
    options = {"formula_units": 2, "search_shape": False, "objective": weights}
    for wanted in (1, 12):
        cells = ns.order_cell("Na3Zr2Si2PO12", n_structures=wanted, **options)
        assert [cell.objective_value for cell in cells] == pytest.approx(values[:wanted], abs=1e-6)
        assert not any("asked for" in text for text in cells[0].warnings)
    cells = ns.order_cell("Na3Zr2Si2PO12", n_structures=200, **options)
    assert [cell.objective_value for cell in cells] == pytest.approx(values, abs=1e-6)
    assert all("114 distinct arrangements were found, 200 were asked for" in c.warnings for c in cells)


def test_random_like_cations_as_many_as_there_are() -> None:
    cells = ns.order_cell(
        "Na3Zr2Si2PO12", formula_units=2, search_shape=False, objective="sqs", n_structures=20
    )
    errors = [cell.sqs_error for cell in cells]
    assert errors == sorted(errors)
    # Two P on six T positions: the cations alone tell the arrangements apart.
    request, choices = prepare("Na3Zr2Si2PO12", formula_units=2, search_shape=False)
    problem = request.problem(choices[0])
    permutations = site_permutations(problem)
    cations = np.array([name in ("Zr", "Si", "P") for name in problem.species_names])
    forms = {
        canonical(np.where(cations[o], problem.element_number[o] + 1, 0), permutations)
        for o in list_distinct(problem, permutations).occupations.astype(np.int64)
    }
    assert len(cells) == len(forms) == 6
    assert "6 distinct arrangements were found, 20 were asked for" in cells[0].warnings


def test_boltzmann_sample_has_the_exact_mean() -> None:
    temperature = 3000.0
    listed = ns.enumerate_arrangements("Na3Zr2Si2PO12", formula_units=2)
    chance = listed.probabilities(temperature)
    mean = float(chance @ listed.energies_ev_per_fu)
    spread = float(np.sqrt(chance @ (listed.energies_ev_per_fu - mean) ** 2))
    cells = ns.order_cell(
        "Na3Zr2Si2PO12", formula_units=2, objective="boltzmann", temperature_k=temperature, n_structures=200
    )
    assert np.mean([c.energy_ev_per_fu for c in cells]) == pytest.approx(mean, abs=5 * spread / np.sqrt(200))
    assert {c.temperature_k for c in cells} == {temperature}


def test_parallel_tempering_agrees_with_the_exact_mean() -> None:
    from nasicon_struct.ordering import sampling

    request, choices = prepare("Na3Zr2Si2PO12", formula_units=4)
    problem = request.problem(choices[0])
    rows = site_permutations(problem)
    for temperature in (1500.0, 6000.0):
        exact = ns.enumerate_arrangements("Na3Zr2Si2PO12", formula_units=4)
        chance = exact.probabilities(temperature)
        energies = 4 * exact.energies_ev_per_fu
        mean = float(chance @ energies)
        spread = float(np.sqrt(chance @ (energies - mean) ** 2))
        sample = sampling._tempered(problem, rows, 300, temperature, 0, 1)
        assert np.mean([e for e, _ in sample.members]) == pytest.approx(mean, abs=0.35 * spread)


def test_energies_do_not_change_under_symmetry() -> None:
    request, choices = prepare(DOPED, formula_units=10)
    problem = request.problem(choices[0])
    rows = site_permutations(problem)
    rng = np.random.default_rng(0)
    for _ in range(5):
        occupation = problem.first_arrangement()
        for g in range(len(problem.groups)):
            here = slice(int(problem.start[g]), int(problem.start[g + 1]))
            occupation[here] = rng.permutation(occupation[here])
        images = occupation[rows]
        assert np.ptp(problem.energies(images)) < 1e-8


@pytest.mark.parametrize("number", range(3))
def test_results_do_not_depend_on_origin_setting_or_order_of_sites(number: int) -> None:
    average = ns.build_average_cell("Na3.4Zr1.7Sc0.2Zn0.1Si2PO12")
    whole = average.structure
    rng = np.random.default_rng(number)
    shuffled = Structure.from_sites([whole[int(i)] for i in rng.permutation(len(whole))])
    shuffled.translate_sites(range(len(shuffled)), rng.random(3))
    turn = [np.eye(3), [[0, 1, 0], [0, 0, 1], [1, 0, 0]], [[1, 1, 0], [0, 1, 0], [0, 0, 1]]][number]
    shuffled.make_supercell(np.array(turn, dtype=int), to_unit_cell=True)
    plain = ns.count_arrangements(whole, formula_units=10)
    moved = ns.count_arrangements(shuffled, formula_units=10)
    assert (plain.distinct, plain.total) == (moved.distinct, moved.total)
    low = [
        ns.order_cell(s, formula_units=10, n_structures=1, search_shape=False)[0] for s in (whole, shuffled)
    ]
    assert low[0].energy_ev_per_fu == pytest.approx(low[1].energy_ev_per_fu, abs=1e-6)


@pytest.mark.parametrize(
    ("composition", "parent"),
    [
        ("Na3Zr2Si2PO12", "xun2025_s3"),
        ("Na3Zr2Si2PO12", "subramanian1985"),
        ("Na3.3Zr1.7Sc0.3Si2PO12", "subramanian1985"),
        ("Na3Zr2Si2PO12", "boilot1988_x235"),
        ("Na1.5Zr1.5Sc0.5P3O12", "boilot1988_x235"),
        ("NaZr1.5Hf0.5P3O12", "hong1976_nzp"),
    ],
)
def test_other_parents(composition: str, parent: str) -> None:
    cells = ns.order_cell(
        composition, parent=parent, min_na_na_ang=2.5, n_structures=2, search_shape=False, n_anneals=4
    )
    assert cells[0].energy_ev_per_fu <= cells[-1].energy_ev_per_fu + 1e-7
    assert len(cells) == 2 or any("distinct arrangement" in w for w in cells[0].warnings)
    check(cells[0])
    for cell in cells:
        assert cell.composition_error <= 0.02
        assert cell.shortest_na_na_ang is None or cell.shortest_na_na_ang >= 2.5


def test_close_sodium_is_named_and_can_be_excluded() -> None:
    """The rhombohedral model of Boilot et al. 1988 splits sodium over sites 1.3-2.2 A apart."""
    options = {"parent": "boilot1988_x235", "formula_units": 2}
    free = ns.order_cell("Na3Zr2Si2PO12", **options)[0]
    assert free.shortest_na_na_ang < 2.5
    assert any("min_na_na_ang" in warning for warning in free.warnings)
    kept = ns.order_cell("Na3Zr2Si2PO12", min_na_na_ang=2.5, **options)[0]
    assert kept.shortest_na_na_ang >= 2.5
    assert kept.exact
    assert kept.energy_ev_per_fu >= free.energy_ev_per_fu - 1e-9
    assert not any("min_na_na_ang" in warning for warning in kept.warnings)


@pytest.mark.parametrize(
    "options",
    [
        {"objective": "random", "n_structures": 3},
        {"objective": "sqs"},
        {"objective": "boltzmann", "temperature_k": 900.0, "n_structures": 3},
        {"objective": {"electrostatic": 1, "refined": 2, "sqs": 5}},
    ],
)
def test_same_seed_same_cells_with_any_number_of_workers(options: dict) -> None:
    runs = [
        ns.order_cell("Na13Zr7ScSi8P4O48", formula_units=4, n_anneals=3, seed=4, workers=w, **options)
        for w in (1, 3)
    ]
    first, second = ([c.as_dict() for c in row] for row in runs)
    assert first == second
    other = ns.order_cell("Na13Zr7ScSi8P4O48", formula_units=4, n_anneals=3, seed=5, **options)
    assert all(c.seed == 5 for c in other)


def test_rules_hold_for_samples_too() -> None:
    for objective in ("random", "sqs"):
        for cell in ns.order_cell(
            "Na2.5Zr2Si1.5P1.5O12",
            formula_units=4,
            objective=objective,
            n_structures=3,
            n_anneals=3,
            min_na_na_ang=3.4,
            allowed_sites={"P": ["T2"]},
        ):
            assert cell.shortest_na_na_ang >= 3.4
            assert "P" not in cell.site_statistics["T1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "boltzmann"}, "temperature_k"),
        ({"temperature_k": 300.0}, "go together"),
        ({"objective": "boltzmann", "temperature_k": -3.0}, "above 0"),
        ({"objective": {"energy": 1}}, "'energy'"),
        ({"objective": {"electrostatic": -1}}, "0 or more"),
        ({"objective": {"electrostatic": 0}}, "above 0"),
        ({"objective": "sqs", "search_shape": True}, "search_shape"),
        ({"objective": "random", "n_structures": 200}, "distinct arrangements turned up"),
        ({"min_na_na_ang": -1.0}, "min_na_na_ang"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(options: dict, message: str) -> None:
    with pytest.raises(OrderingError, match=message):
        ns.order_cell("Na3Zr2Si2PO12", formula_units=2, **options)


def test_sqs_needs_mixed_cations() -> None:
    with pytest.raises(OrderingError, match="cation site"):
        ns.order_cell("Na1.0Zr2P3O12", formula_units=2, objective="sqs")

"""Tempered walks: detailed balance of every proposal, true energies, and the lowest arrangement on split sites."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nasicon_struct as ns
from nasicon_struct.ordering import _kernels
from nasicon_struct.ordering.annealing import LOCAL_SHARE, Layout, Walker, n_temperatures, stream
from nasicon_struct.ordering.request import prepare

SPLIT = "boilot1988_x235"


def problem_of(composition: str, units: int, parent: str, **options):
    request, choices = prepare(composition, formula_units=units, parent=parent, search_shape=False, **options)
    return request.problem(choices[0])


def all_energies(problem) -> np.ndarray:
    """Energies of all arrangements, eV per supercell, listed without the package's enumeration."""
    groups = []
    for g in range(len(problem.groups)):
        species = np.arange(problem.first_species[g], problem.first_species[g + 1])
        wanted = np.repeat(species, problem.count[species]).tolist()
        groups.append(sorted(set(itertools.permutations(wanted))))
    rows = [[k for part in choice for k in part] for choice in itertools.product(*groups)]
    return problem.energies(np.array(rows))


@pytest.mark.parametrize("local", [0, LOCAL_SHARE, 1 << 32])
def test_a_walk_draws_from_the_boltzmann_distribution(local: int) -> None:
    problem = problem_of("Na3Zr2Si2PO12", 2, "xun2025_s2")
    energies = all_energies(problem)
    assert len(energies) == 420
    temperature = 1.5
    weights = np.exp(-(energies - energies.min()) / temperature)
    weights /= weights.sum()
    expected = float(weights @ energies)
    spread = float(np.sqrt(weights @ (energies - expected) ** 2))

    lay, walker = Layout.of(problem), Walker(Layout.of(problem))
    order, bits = walker.shuffled(stream(1, 2))
    walker._load(order)
    walker.place[order] = np.arange(problem.n)
    energy, seen = walker.energy(order), []
    low, best = np.full(1, np.inf), np.empty_like(order)
    # proposals among neighbours alone may not reach all arrangements: a global one now and then
    shares = [local, local, 0] if local > LOCAL_SHARE else [local]
    walker._load(order)
    for n in range(6000):
        energy = _kernels.walk(
            walker.q, walker.phi, order, walker.place, lay.species, lay.low, lay.high, lay.sub_low, lay.sub_high,
            lay.weight, lay.allowed, problem.charge, problem.pair, lay.near, shares[n % len(shares)], temperature,
            40, bits, energy, low, best,
        )  # fmt: skip
        seen.append(energy)
    # the energy kept by the walk is that of the arrangement
    assert energy == pytest.approx(problem.energies(lay.occupation(order))[0], abs=1e-6)
    assert low[0] == pytest.approx(problem.energies(lay.occupation(best))[0], abs=1e-6)
    assert low[0] == pytest.approx(energies.min(), abs=1e-6)
    # 6000 draws, at worst one in ten of them independent
    assert np.mean(seen) == pytest.approx(expected, abs=5 * spread / np.sqrt(600))
    assert np.std(seen) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("minimum", [0.0, 2.5])
def test_a_tempered_walk_ends_at_an_allowed_arrangement_of_its_energy(minimum: float) -> None:
    problem = problem_of("Na3.25Zr1.75Y0.25Si2PO12", 4, SPLIT, min_na_na_ang=minimum)
    layout = Layout.of(problem)
    energy, occupation = Walker(layout).temper(7, 100)
    assert np.bincount(occupation, minlength=len(problem.count)).tolist() == problem.count.tolist()
    assert problem.is_allowed(occupation)
    assert energy == pytest.approx(problem.energies(occupation)[0], abs=1e-6)
    again, same = Walker(layout).temper(7, 100)
    assert again == energy
    assert same.tolist() == occupation.tolist()


def test_neighbours_are_the_strongest_pairs_of_a_group() -> None:
    problem = problem_of("Na3.25Zr1.75Y0.25Si2PO12", 4, SPLIT)
    near = Layout.of(problem).near
    for a in range(problem.n):
        group = np.flatnonzero(problem.group_of == problem.group_of[a])
        others = group[group != a]
        listed = near[a][near[a] >= 0]
        assert len(set(listed.tolist())) == len(listed) == min(near.shape[1], len(others))
        assert set(listed.tolist()) <= set(others.tolist())
        strongest = np.sort(problem.pair[a, others])[::-1][: len(listed)]
        assert problem.pair[a, listed] == pytest.approx(strongest, abs=2e-6)


def test_larger_cells_are_tempered_at_more_temperatures() -> None:
    small = problem_of("Na3.25Zr1.75Y0.25Si2PO12", 4, SPLIT)
    large = problem_of("Na3.25Zr1.75Y0.25Si2PO12", 40, SPLIT)
    assert n_temperatures(small) == 8 < n_temperatures(large)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_split_sites_of_r3c_are_ordered_as_low_by_every_seed(seed: int) -> None:
    # -851.459876: the lowest of a plain Metropolis annealer on pymatgen's Ewald matrices, all three shapes
    best = ns.order_cell("Na3.25Zr1.75Y0.25Si2PO12", parent=SPLIT, formula_units=4, seed=seed)[0]
    assert best.energy_ev_per_fu == pytest.approx(-851.459876, abs=1e-5)
    assert best.hit_rate is not None
    assert best.hit_rate >= 0.25

"""Tolerance windows of random systems against linear programs (HiGHS), and arrays in any order of columns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from stability_cases import random_case

from nasicon_struct.entries import EntrySet, as_entry_set
from nasicon_struct.stability import lp, stability_window, tolerance_window, windows

#: eV per atom.
TOLERANCE = 1e-8


def above_open_hull(entries: EntrySet, vector: np.ndarray, energy: float, voltage: float) -> float:
    """Return the energy above the hull open to Na at a voltage, eV per atom of the target."""
    x, e = entries.fractions, entries.formation_energies_ev_per_atom
    column = entries.elements.index("Na")
    keep = np.arange(len(entries.elements)) != column
    share = x[:, keep].sum(axis=1)
    held = share > 1e-12
    grand = (e + x[:, column] * voltage)[held] / share[held]
    hull = lp.hull_energy(x[held][:, keep] / share[held, None], grand, vector[keep])
    return (energy * vector.sum() + vector[column] * voltage - hull) / vector.sum()


@pytest.mark.parametrize("block", range(4))
def test_at_the_ends_the_tolerance_is_used_up(block: int) -> None:
    for seed in range(5000 + 15 * block, 5000 + 15 * (block + 1)):
        case = random_case(seed)
        entries, target = as_entry_set(list(case.entries)), dict(case.target)
        vector = np.array([float(target.get(symbol, 0)) for symbol in entries.elements])
        window = stability_window(target, entries, uncertainty=False)
        own = window.formation_energy_ev_per_atom
        energy = window.hull_energy_ev_per_atom if own is None else own
        for tolerance in (0.0, 0.025, 0.2):
            found = tolerance_window(target, entries, tolerance_ev_per_atom=tolerance)
            if found.reduction_v is None or found.oxidation_v is None:
                at = [step.v_low for step in window.steps] + [window.steps[-1].v_low + 1.0]
                assert min(above_open_hull(entries, vector, energy, v) for v in at) > tolerance - TOLERANCE, (
                    case
                )
                continue
            low = above_open_hull(entries, vector, energy, found.reduction_v)
            assert low < tolerance + TOLERANCE, case
            if tolerance and found.reduction_v > 0:
                assert low > tolerance - TOLERANCE, case
            unlimited = math.isinf(found.oxidation_v)
            high = above_open_hull(entries, vector, energy, 50.0 if unlimited else found.oxidation_v)
            assert high < tolerance + TOLERANCE, case
            if tolerance and not unlimited:
                assert high > tolerance - TOLERANCE, case


def test_the_order_of_columns_does_not_matter() -> None:
    for seed in range(6000, 6030):
        case = random_case(seed)
        entries = as_entry_set(list(case.entries))
        rng = np.random.default_rng(seed)
        symbols = list(entries.elements)
        table = rng.integers(0, 5, (40, len(symbols))).astype(float)
        table[:, symbols.index(next(s for s in symbols if s != "Na"))] += 1.0
        order = rng.permutation(len(symbols))
        first = windows(table, entries, elements=symbols)
        second = windows(table[:, order], entries, elements=[symbols[i] for i in order])
        for name in (
            "hull_energy_ev_per_atom",
            "e_above_hull_ev_per_atom",
            "assemblage_reduction_v",
            "assemblage_oxidation_v",
        ):
            one, two = getattr(first, name), getattr(second, name)
            assert np.allclose(one, two, rtol=0.0, atol=1e-12, equal_nan=True), (name, case)

"""The search of facets in single precision: decided in double, it must find what a full comparison finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasicon_struct.stability.envelopes import envelopes
from nasicon_struct.stability.faces import dot_in_order
from nasicon_struct.stability.hull import Hull
from nasicon_struct.stability.profile import upper_envelope


def random_hull(seed: int, n_elements: int, n_phases: int, noise_ev: float) -> Hull:
    """Return a hull whose facets nearly coincide where ``noise_ev`` is small."""
    rng = np.random.default_rng(seed)
    amounts = rng.integers(0, 5, (n_phases, n_elements)).astype(float)
    amounts = np.vstack([np.eye(n_elements), amounts[(amounts > 0).sum(axis=1) > 1]])
    x = amounts / amounts.sum(axis=1, keepdims=True)
    # A convex bowl, so that many phases are on the hull, with noise.
    energies = 3.0 * (np.square(x).sum(axis=1) - 1.0) + rng.normal(0.0, noise_ev, len(x))
    energies[:n_elements] = 0.0
    return Hull([f"E{k}" for k in range(n_elements)], x, energies, [str(k) for k in range(len(x))])


def every_value(hull: Hull, compositions: np.ndarray) -> np.ndarray:
    """Return the value of each composition (row) on each facet (column), added in one order."""
    return np.column_stack(
        [dot_in_order(compositions, np.broadcast_to(mu, compositions.shape)) for mu in hull.planes_ev]
    )


@pytest.mark.parametrize("noise_ev", [0.3, 1e-5, 1e-8, 0.0])
@pytest.mark.parametrize("n_elements", [2, 3, 5])
def test_energies_and_slopes_are_those_of_all_facets(n_elements: int, noise_ev: float) -> None:
    hull = random_hull(n_elements, n_elements, 60, noise_ev)
    rng = np.random.default_rng(1)
    compositions = np.vstack(
        [
            rng.random((300, n_elements)) * 10.0 ** rng.integers(-3, 4, (300, 1)),
            rng.integers(0, 4, (300, n_elements)) + np.eye(n_elements)[rng.integers(0, n_elements, 300)],
            hull.x,  # the phases themselves lie on several facets
            (hull.x[:-1] + hull.x[1:]) / 2,
            np.eye(n_elements) + 1e-9,
        ]
    )
    values = every_value(hull, compositions)
    best = values.max(axis=1)
    assert (hull.energies(compositions) == best).all()
    held = values >= best[:, None] - 1e-12 * compositions.sum(axis=1, keepdims=True)
    for column in range(n_elements):
        slopes = np.where(held, hull.planes_ev[:, column], np.nan)
        energies, low, high = hull.energies_and_slopes(compositions, column)
        inside = compositions[:, column] > 1e-12 * compositions.sum(axis=1)
        assert (energies == best).all()
        assert np.isneginf(low[~inside]).all()
        assert (low[inside] == np.nanmin(slopes, axis=1)[inside]).all()
        assert (high == np.nanmax(slopes, axis=1)).all()


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1), n_elements=st.integers(2, 5), noise_ev=st.sampled_from([0.3, 1e-3, 1e-7])
)
def test_an_answer_does_not_depend_on_its_neighbours(seed: int, n_elements: int, noise_ev: float) -> None:
    hull = random_hull(seed % 97, n_elements, 40, noise_ev)
    rng = np.random.default_rng(seed)
    compositions = rng.integers(0, 9, (50, n_elements)) + rng.random((50, n_elements))
    together = hull.energies(compositions)
    alone = np.concatenate([hull.energies(row[None, :]) for row in compositions])
    assert (together == alone).all()


@pytest.mark.parametrize("seed", range(4))
def test_paths_of_several_directions_are_those_of_single_ones(seed: int) -> None:
    hull = random_hull(seed, 4, 50, 0.1)
    rng = np.random.default_rng(seed)
    bases = rng.integers(1, 9, (60, 4)).astype(float)
    directions = np.eye(4)[rng.integers(0, 4, 60)] + rng.integers(0, 2, (60, 1)) * hull.x[5]
    paths = envelopes(hull, bases, directions)
    for row in range(len(bases)):
        part = slice(paths.offsets[row], paths.offsets[row + 1])
        scale = float(bases[row].sum() + directions[row].sum())
        slopes, starts = upper_envelope(hull.planes_ev @ directions[row], hull.planes_ev @ bases[row], scale)
        assert paths.slopes[part] == pytest.approx(slopes, abs=1e-9)
        assert paths.starts[part] == pytest.approx(starts, abs=1e-8 * scale)

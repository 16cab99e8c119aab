"""Weighted objectives: Ewald energy, refined site occupancies and randomness of the cations in one sum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering import _mixed
from nasicon_struct.ordering.annealing import Layout, Walker, run_all, stream
from nasicon_struct.ordering.correlations import Shells, pair_shells, randomness_error
from nasicon_struct.ordering.lattice import FloatArray, IntArray
from nasicon_struct.ordering.problem import OrderingProblem, only_exclusions
from nasicon_struct.ordering.search import HIT_EV, Progress
from nasicon_struct.ordering.symmetry import canonical

#: What can be weighed, and the unit of its value.
TERMS: Final = ("electrostatic", "refined", "sqs")
#: Temperatures of the walk in the unit of the sum, eV per supercell, per unit of the largest weight.
_HOT: Final = 0.6
_COLD: Final = 0.004
#: Proposals per site of one anneal.
_STEPS_PER_SITE: Final = 5_000
#: Exchanges tried around one arrangement at most, and around all before no further one is looked at, where there are
#: as many arrangements as asked for.
_TRIED_ONCE: Final = 4_000
_TRIED: Final = 20_000


def check_weights(weights: Mapping[str, Any]) -> dict[str, float]:
    """Return the weights as numbers.

    Raises
    ------
    OrderingError
        When a name is unknown, a weight is negative or no number, or all are 0.
    """
    checked = {}
    for name, weight in weights.items():
        if name not in TERMS:
            raise OrderingError(f"objectives that can be weighed are {', '.join(TERMS)}; got {name!r}")
        value = float(weight)
        if not 0.0 <= value < math.inf:
            raise OrderingError(f"the weight of {name} is a number, 0 or more, got {weight!r}")
        checked[name] = value
    if not any(checked.values()):
        raise OrderingError("at least one weight is above 0")
    return checked


@dataclass(frozen=True, eq=False)
class Weighted:
    """One supercell with a sum of objectives.

    Attributes
    ----------
    problem : OrderingProblem
    walked : OrderingProblem
        The same, its energy replaced by the distance rule alone where the energy has no weight.
    weights : dict of str to float
        eV per formula unit for one unit of each term.
    units : float
        Formula units.
    shells : Shells
    label : (n,) integers
        Kind of site of each disordered site.
    refined : (kinds, elements) floats
        Refined atoms per kind of site.
    """

    problem: OrderingProblem
    walked: OrderingProblem
    weights: dict[str, float]
    units: float
    shells: Shells
    label: IntArray
    refined: FloatArray

    @classmethod
    def of(cls, problem: OrderingProblem, weights: Mapping[str, float]) -> Weighted:
        """Prepare the sum for a problem."""
        model = problem.model
        names = sorted({model.classes[int(i)] for i in problem.site})
        elements = sorted(set(problem.species_names))
        refined = np.zeros((len(names), len(elements)))
        for n, name in enumerate(names):
            for element, share in model.refined[name].items():
                if element in elements:
                    refined[n, elements.index(element)] = (
                        float(share) * model.class_size(name) * problem.index
                    )
        return cls(
            problem=problem,
            walked=problem if weights.get("electrostatic") else only_exclusions(problem),
            weights=dict(weights),
            units=problem.formula_units,
            shells=pair_shells(problem),
            label=np.array([names.index(model.classes[int(i)]) for i in problem.site], dtype=np.int64),
            refined=refined,
        )

    def misplaced_per_fu(self, occupation: IntArray) -> float:
        """Return atoms on other kinds of site than the refinement has them, per formula unit."""
        numbers = np.zeros_like(self.refined)
        np.add.at(numbers, (self.label, self.problem.element_number[occupation]), 1.0)
        return float(np.abs(numbers - self.refined).sum()) / 2.0 / self.units

    def value(self, occupation: IntArray) -> float:
        """Return the weighted sum, eV per formula unit."""
        total = 0.0
        if self.weights.get("electrostatic"):
            total += self.weights["electrostatic"] * float(self.problem.energies(occupation)[0]) / self.units
        if self.weights.get("refined"):
            total += self.weights["refined"] * self.misplaced_per_fu(occupation)
        if self.weights.get("sqs"):
            total += self.weights["sqs"] * randomness_error(self.problem, self.shells, occupation)
        return total

    def anneal(self, layout: Layout, state: int, effort: float) -> IntArray:
        """Return the best arrangement of one walk from a random start."""
        problem, shells, lay = self.problem, self.shells, layout
        walker = Walker(lay)
        order, bits = walker.shuffled(state)
        walker.energy(order)  # fills charges and potentials
        colour = problem.element_number[lay.occupation(order)]
        pairs = np.zeros_like(shells.target)
        centre = np.repeat(np.arange(problem.n), np.diff(shells.first))
        np.add.at(pairs, (shells.shell, colour[centre], colour[shells.other]), 1.0)
        points = np.zeros_like(shells.kind_target)
        here = np.flatnonzero(shells.kind >= 0)
        np.add.at(points, (shells.kind[here], colour[here]), 1.0)
        numbers = np.zeros_like(self.refined)
        np.add.at(numbers, (self.label, colour), 1.0)
        open_groups = [
            float(n) * (len(set(group.counts) - {0}) > 0 and sum(c > 0 for c in group.counts) > 1)
            for group, n in zip(problem.groups, np.diff(problem.start), strict=True)
        ]
        share = np.cumsum(open_groups) / max(sum(open_groups), 1.0)
        best = order.copy()
        w_energy, w_refined, w_random = (self.weights.get(name, 0.0) for name in TERMS)
        scale = max(w_energy, 0.1 * w_refined, 0.1 * w_random)
        w_energy = w_energy or 1.0  # of the distance rule alone
        _mixed.anneal_mixed(
            walker.q, walker.phi, order, lay.species, lay.sub_low, lay.sub_high,
            np.floor(share * 2.0**32).astype(np.int64), lay.allowed, problem.charge, self.walked.pair,
            problem.element_number, colour, shells.first, shells.other, shells.shell, shells.kind, pairs,
            shells.size, shells.target, points, shells.kind_size, shells.kind_target, self.label, numbers,
            self.refined, w_energy, w_refined, w_random * self.units, _HOT * scale, _COLD * scale,
            int(_STEPS_PER_SITE * problem.n * effort), bits, best,
        )  # fmt: skip
        return lay.occupation(best)


@dataclass(frozen=True, eq=False)
class WeightedOutcome:
    """The best distinct arrangements of a weighted sum.

    Attributes
    ----------
    lowest : list of (float, ndarray)
        Sum, eV per formula unit, and species number of each site; best first.
    n_anneals, hits : int
        Independent anneals, and how many reached the best sum.
    """

    lowest: list[tuple[float, IntArray]]
    n_anneals: int
    hits: int


def weighted_lowest(
    weighted: Weighted,
    permutations: IntArray,
    k: int,
    *,
    seed: int,
    n_anneals: int,
    workers: int = 1,
    progress: Progress | None = None,
    considered: IntArray | None = None,
) -> WeightedOutcome:
    """Anneal ``n_anneals`` times and return the ``k`` best distinct arrangements, fewer where there are no more.

    ``considered`` masks the sites by which arrangements are told apart (all by default).
    """
    problem = weighted.problem
    layout = Layout.of(weighted.walked)
    found: dict[bytes, tuple[float, IntArray]] = {}
    ends: list[float] = []

    def one(number: int) -> IntArray:
        return weighted.anneal(layout, stream(seed, 77, number), 1.0)

    for number, occupation in enumerate(run_all(one, list(range(n_anneals)), workers)):
        if progress is not None:
            progress(number + 1, n_anneals)
        if not problem.is_allowed(occupation):
            continue
        value = weighted.value(occupation)
        ends.append(value)
        element = problem.element_number[occupation] + 1
        key = canonical(element if considered is None else element * considered, permutations)
        if key not in found or value < found[key][0] - HIT_EV:
            found[key] = (value, occupation)
    if not found:
        raise OrderingError(
            "no arrangement that keeps the rules was found; take a smaller min_na_na_ang, free more sites or "
            "anneal more often"
        )
    _add_neighbours(weighted, found, permutations, considered, k)
    lowest = [entry for _, entry in _ranked(found)[:k]]
    return WeightedOutcome(lowest, n_anneals, sum(value < lowest[0][0] + 1e-6 for value in ends))


def _ranked(found: dict[bytes, tuple[float, IntArray]]) -> list[tuple[bytes, tuple[float, IntArray]]]:
    return sorted(found.items(), key=lambda item: (round(item[1][0], 7), item[0]))


def _add_neighbours(
    weighted: Weighted,
    found: dict[bytes, tuple[float, IntArray]],
    permutations: IntArray,
    considered: IntArray | None,
    k: int,
) -> None:
    """Add the best single exchanges around the best arrangements, until the ``k`` best are settled.

    Walks that agree end at one arrangement: the next best ones lie around it, where no walk ends.
    """
    problem = weighted.problem
    done: set[bytes] = set()
    tried = 0
    while True:
        fresh = [(key, entry) for key, entry in _ranked(found)[:k] if key not in done]
        if not fresh or (tried > _TRIED and len(found) >= k):
            return
        key, (_, occupation) = fresh[0]
        done.add(key)
        images = _exchanged(problem, occupation, considered)
        values = np.array([weighted.value(image) for image in images])
        tried += len(images)
        added = 0
        for n in np.argsort(values.round(7), kind="stable"):
            value, image = float(values[n]), images[n]
            if added > 50 * k or (len(found) >= k and value > _ranked(found)[k - 1][1][0] + HIT_EV):
                break
            if not problem.is_allowed(image):
                continue
            element = problem.element_number[image] + 1
            form = canonical(element if considered is None else element * considered, permutations)
            if form not in found:
                found[form] = (value, image)
                added += 1


def _exchanged(problem: OrderingProblem, occupation: IntArray, considered: IntArray | None) -> IntArray:
    """Return the arrangements that differ by one exchange of two species, evenly picked where there are many."""
    pairs = []
    for low, high in zip(problem.start[:-1], problem.start[1:], strict=True):
        if considered is not None and not considered[low]:
            continue
        first, second = np.triu_indices(int(high - low), 1)
        unlike = occupation[low + first] != occupation[low + second]
        pairs.append(np.column_stack([low + first[unlike], low + second[unlike]]))
    every = np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64)
    every = every[:: max(1, math.ceil(len(every) / _TRIED_ONCE))]
    images = np.repeat(occupation[None], len(every), axis=0)
    rows = np.arange(len(every))
    images[rows, every[:, 0]] = occupation[every[:, 1]]
    images[rows, every[:, 1]] = occupation[every[:, 0]]
    return images

"""Counts and lists of arrangements: published and independently found numbers, brute force, an independent enumerator."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import pytest
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Species, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

import nasicon_struct as ns
from nasicon_struct.errors import OrderingError

#: Cells of several systems with general, special and mixed positions: group, lattice, sites of three sublattices.
TOYS = [
    ("P-1", Lattice.from_parameters(4.1, 4.6, 5.3, 81, 97, 104), [[0.21, 0.13, 0.34]], [[0, 0, 0.5]]),
    ("P2_1/c", Lattice.monoclinic(4.3, 5.1, 5.9, 101), [[0, 0, 0]], [[0.28, 0.11, 0.37]]),
    ("C2/c", Lattice.monoclinic(7.3, 5.1, 5.9, 109), [[0, 0.23, 0.25]], [[0.25, 0.25, 0]]),
    ("Pmmm", Lattice.orthorhombic(4.0, 5.0, 6.0), [[0.23, 0, 0], [0, 0.5, 0.5]], [[0.5, 0.5, 0]]),
    ("P4/mmm", Lattice.tetragonal(4.2, 6.1), [[0.24, 0, 0]], [[0.5, 0.5, 0.26]]),
    ("R-3", Lattice.hexagonal(5.4, 9.8), [[0, 0, 0.18]], [[0, 0, 0.5]]),
    ("Pm-3m", Lattice.cubic(5.0), [[0, 0.5, 0.5]], [[0.5, 0.5, 0.5]]),
]
SUPERCELLS = [
    [1, 1, 1],
    [2, 1, 1],
    [1, 1, 2],
    [[1, 1, 0], [-1, 1, 0], [0, 0, 1]],
    [[1, 0, 0], [0, 1, 0], [1, 0, 2]],
]


def toy(number: int) -> tuple[Structure, list, list[tuple[list[int], list[str]]], dict[str, int]] | None:
    """Return a random disordered cell, a supercell, atoms per sublattice, and charges that make it neutral."""
    rng = random.Random(number)
    group, lattice, mobile, metal = TOYS[number % len(TOYS)]
    supercell = SUPERCELLS[rng.randrange(len(SUPERCELLS))]
    bare = Structure.from_spacegroup(
        group, lattice, ["Na"] * len(mobile) + ["Mg"] * len(metal) + ["O"], [*mobile, *metal, [0.5, 0, 0]]
    )
    index = round(abs(np.linalg.det(np.diag(supercell) if np.ndim(supercell) == 1 else supercell)))
    sizes = [int(bare.composition[e]) * index for e in ("Na", "Mg")]
    na = rng.randint(1, sizes[0] - 1) if sizes[0] > 1 else 1
    al = rng.randint(1, sizes[1] - 1) if sizes[1] > 1 else 0
    charge = na + 2 * (sizes[1] - al) + 3 * al
    oxygen = int(bare.composition["O"]) * index
    if charge % oxygen or sum(sizes) > 14 or not al or na == sizes[0]:
        return None
    cell = bare.copy()
    for i, site in enumerate(bare):
        if site.specie.symbol == "Na":
            cell.replace(i, {"Na": na / sizes[0]})
        elif site.specie.symbol == "Mg":
            cell.replace(i, {"Mg": (sizes[1] - al) / sizes[1], "Al": al / sizes[1]})
    counts = [([na, sizes[0] - na], ["Na", "X"]), ([sizes[1] - al, al], ["Mg", "Al"])]
    return cell, supercell, counts, {"O": -charge // oxygen, "Na": 1, "Mg": 2, "Al": 3}


CASES = [n for n in range(140) if toy(n) is not None][:24]


def brute_force(cell: Structure, supercell, counts) -> Counter:
    """Sizes of the classes, by listing everything and applying spglib's operations of the bare supercell."""
    bare = cell.copy()
    for i, site in enumerate(cell):
        bare.replace(
            i, "Na" if "Na" in site.species.as_dict() else "Mg" if "Mg" in site.species.as_dict() else "O"
        )
    bare.make_supercell(supercell, in_place=True)
    places = [[i for i, s in enumerate(bare) if s.specie.symbol == e] for e in ("Na", "Mg")]
    operations = SpacegroupAnalyzer(bare, symprec=1e-3).get_symmetry_operations()
    rows = set()
    for operation in operations:
        moved = operation.operate_multi(bare.frac_coords)
        gap = moved[:, None] - bare.frac_coords[None]
        gap -= np.rint(gap)
        rows.add(tuple((np.abs(gap).sum(axis=2)).argmin(axis=1).tolist()))
    options = [
        set(itertools.permutations([name for n, name in zip(*row, strict=True) for _ in range(n)]))
        if sum(row[0]) <= 7
        else {
            tuple(row[1][1] if i in chosen else row[1][0] for i in range(sum(row[0])))
            for chosen in itertools.combinations(range(sum(row[0])), row[0][1])
        }
        for row in counts
    ]
    left = set()
    for first, second in itertools.product(*options):
        whole = ["O"] * len(bare)
        for sites, names in zip(places, (first, second), strict=True):
            for i, name in zip(sites, names, strict=True):
                whole[i] = name
        left.add(tuple(whole))
    sizes: Counter = Counter()
    while left:
        one = next(iter(left))
        images = {tuple(one[j] for j in row) for row in rows}
        sizes[len(images)] += 1
        left -= images
    return sizes


@pytest.mark.parametrize("number", CASES)
def test_random_problems_agree_with_brute_force(number: int) -> None:
    cell, supercell, counts, charges = toy(number)
    sizes = brute_force(cell, supercell, counts)
    options = {"supercell": supercell, "oxidation_states": charges}
    count = ns.count_arrangements(cell, **options)
    assert count.total == sum(size * n for size, n in sizes.items())
    assert count.distinct == sum(sizes.values())
    listed = ns.enumerate_arrangements(cell, **options)
    assert Counter(listed.degeneracies.tolist()) == sizes
    best = ns.order_cell(cell, **options)[0]
    assert best.exact
    assert best.energy_ev_per_fu == pytest.approx(listed.energies_ev_per_fu[0], abs=1e-6)
    # the energies of the list are those of an independent Ewald sum
    for one in (listed[0], listed[-1]):
        whole = EwaldSummation(one.structure, acc_factor=20).total_energy
        assert one.energy_ev_per_fu * one.formula_units == pytest.approx(whole, abs=1e-6)
        assert one.net_charge == 0


def test_published_counts() -> None:
    # found beforehand by listing all arrangements with another program
    assert ns.count_arrangements("Na3Zr2Si2PO12", formula_units=2).distinct == 114
    whole = ns.count_arrangements("Na3Zr2Si2PO12", formula_units=4)
    assert (whole.total, whole.distinct) == (900_900, 113_174)
    doped = ns.count_arrangements("Na13Zr7ScSi8P4O48", formula_units=4)
    assert (doped.total, doped.distinct) == (2_217_600, 277_200)
    assert ns.ArrangementCount.from_dict(whole.as_dict()) == whole


def test_all_arrangements_of_the_conventional_cell() -> None:
    listed = ns.enumerate_arrangements("Na3Zr2Si2PO12", formula_units=4)
    assert len(listed) == 113_174
    assert int(listed.degeneracies.sum()) == 900_900
    assert listed.energies_ev_per_fu[0] == pytest.approx(-873.0078, abs=1e-4)
    # mean and spread over all arrangements, found independently: -865.79 +- 1.79 (random sample)
    mean = np.average(listed.energies_ev_per_fu, weights=listed.degeneracies)
    assert mean == pytest.approx(-865.79, abs=0.05)
    cells = ns.order_cell("Na3Zr2Si2PO12", formula_units=4, n_structures=20)
    assert [c.energy_ev_per_fu for c in cells] == pytest.approx(
        listed.energies_ev_per_fu[:20].tolist(), abs=1e-7
    )
    assert [c.degeneracy for c in cells] == listed.degeneracies[:20].tolist()


def test_distinct_by_an_independent_matcher() -> None:
    """No two of the primitive cell's 114 arrangements match; a moved copy of each matches its original."""
    listed = list(ns.enumerate_arrangements("Na3Zr2Si2PO12", formula_units=2))
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.05, primitive_cell=False, scale=False)
    groups: dict[float, list[Structure]] = {}
    for cell in listed:
        groups.setdefault(round(cell.energy_ev_per_fu, 4), []).append(cell.structure)
    for members in groups.values():  # structures of different energies cannot match
        for a, b in itertools.combinations(members, 2):
            assert not matcher.fit(a, b)
    moved = listed[0].structure.copy()
    moved.translate_sites(range(len(moved)), [0.5, 0.0, 0.5], frac_coords=True)
    assert matcher.fit(moved, listed[0].structure)


def test_rules_are_counted_and_listed() -> None:
    for rules in (
        {"min_na_na_ang": 3.4},
        {"allowed_sites": {"P": ["T1"]}},
        {"allowed_sites": {"P": ["T1"]}, "min_na_na_ang": 3.4},
        {"fixed_sites": {"Na1": "Na"}},
        {"keep_site_occupancies": True},
    ):
        count = ns.count_arrangements("Na3Zr2Si2PO12", formula_units=4, **rules)
        listed = ns.enumerate_arrangements("Na3Zr2Si2PO12", formula_units=4, **rules)
        assert len(listed) == count.distinct < 113_174
        assert int(listed.degeneracies.sum()) == count.total
        best = ns.order_cell("Na3Zr2Si2PO12", formula_units=4, **rules)[0]
        assert best.energy_ev_per_fu == pytest.approx(listed.energies_ev_per_fu[0], abs=1e-7)
        if "min_na_na_ang" in rules:
            assert best.shortest_na_na_ang >= 3.4
        if "allowed_sites" in rules:
            assert "P" not in best.site_statistics["T2"]
        if "fixed_sites" in rules:
            assert "Na1" not in best.site_statistics
            labels = best.structure.site_properties["label"]
            assert labels.count("Na1") == 4


def test_split_sites_of_which_one_excludes_the_other() -> None:
    """A Na site split in two places 0.8 A apart: the rule leaves 2^n choices of side, each pair half full."""
    cell = Structure.from_spacegroup(
        "P-1",
        Lattice.orthorhombic(5.0, 6.0, 7.0),
        [{"Na+": 0.5}, "Cl-"],
        [[0.08, 0, 0], [0.5, 0.5, 0.5]],
    )
    for n in (2, 3, 4):
        rule = {"supercell": [1, 1, n], "min_na_na_ang": 1.0}
        assert ns.count_arrangements(cell, **rule).total == 2**n
        listed = ns.enumerate_arrangements(cell, **rule)
        assert int(listed.degeneracies.sum()) == 2**n
        assert all(one.shortest_na_na_ang > 1.0 for one in listed if one.shortest_na_na_ang is not None)


def test_too_many_to_list_says_how_many() -> None:
    count = ns.count_arrangements("Na3Zr2Si2PO12", formula_units=8)
    assert count.distinct > 10**9
    with pytest.raises(OrderingError, match=f"{count.distinct:,} distinct"):
        ns.enumerate_arrangements("Na3Zr2Si2PO12", formula_units=8)


def test_boltzmann_probabilities() -> None:
    listed = ns.enumerate_arrangements("Na3Zr2Si2PO12", formula_units=2)
    hot = listed.probabilities(float("inf"))
    assert hot == pytest.approx(listed.degeneracies / listed.degeneracies.sum())
    cold = listed.probabilities(1.0)
    assert cold[0] == pytest.approx(1.0)
    warm = listed.probabilities(1000.0)
    gap = 2 * (listed.energies_ev_per_fu[1] - listed.energies_ev_per_fu[0])
    ratio = np.exp(-gap / 0.08617333) * listed.degeneracies[1] / listed.degeneracies[0]
    assert warm[1] / warm[0] == pytest.approx(ratio)
    with pytest.raises(OrderingError, match="temperature_k"):
        listed.probabilities(0.0)


def test_species_of_listed_cells_are_ions() -> None:
    one = ns.enumerate_arrangements("Na3Zr2Si2PO12", formula_units=2)[5]
    assert {str(s) for s in one.structure.species} == {"Na+", "Zr4+", "Si4+", "P5+", "O2-"}
    assert all(isinstance(s, Species) for s in one.structure.species)

"""Ordered cells: exact contents, exact energies, exact minima, and the laws every result obeys."""

from __future__ import annotations

import json

import numpy as np
import pytest
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Structure

import nasicon_struct as ns
from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.results import OrderedCell


def ewald_ev(structure: Structure) -> float:
    """Energy of a cell by pymatgen, eV, its accuracy raised to about 1e-9."""
    return float(EwaldSummation(structure, acc_factor=20).total_energy)


def check_laws(cell: OrderedCell) -> None:
    """Composition exact, charge zero, energy that of pymatgen."""
    atoms = {e: int(n) for e, n in cell.structure.composition.get_el_amt_dict().items()}
    assert atoms == cell.composition
    assert cell.net_charge == 0
    assert atoms["O"] == 12 * cell.formula_units
    assert cell.energy_ev_per_fu * cell.formula_units == pytest.approx(ewald_ev(cell.structure), abs=1e-6)
    assert all(cell.structure.site_properties["label"])
    total = sum(n for row in cell.site_statistics.values() for e, n in row.items() if e == "Na")
    assert total == atoms.get("Na", 0)


@pytest.fixture(scope="module")
def undoped() -> list[OrderedCell]:
    return ns.order_cell("Na3Zr2Si2PO12", formula_units=4, n_structures=3)


def test_exact_minimum_of_the_undoped_cell(undoped: list[OrderedCell]) -> None:
    # computed independently with pymatgen's EwaldSummation matrix over all 900,900 arrangements
    best = undoped[0]
    assert best.energy_ev_per_fu == pytest.approx(-873.0078, abs=1e-4)
    assert best.exact
    assert best.n_arrangements == 900_900
    assert best.hit_rate == 1.0
    assert best.supercell_matrix == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    energies = [cell.energy_ev_per_fu for cell in undoped]
    assert energies == sorted(energies)
    for cell in undoped:
        check_laws(cell)


def test_round_trip(undoped: list[OrderedCell], tmp_path) -> None:
    again = json.loads(json.dumps(undoped[0].as_dict(), cls=MontyEncoder), cls=MontyDecoder)
    assert isinstance(again, OrderedCell)
    assert again.as_dict() == undoped[0].as_dict()
    text = undoped[0].to_cif(tmp_path / "cell.cif")
    back = Structure.from_file(tmp_path / "cell.cif")
    assert back.composition == undoped[0].structure.composition
    assert back.lattice.volume == pytest.approx(undoped[0].structure.lattice.volume, abs=1e-3)
    assert "eV per formula unit" in text


def test_scandium_cell_is_exact() -> None:
    # same source as above
    best = ns.order_cell("Na13Zr7ScSi8P4O48", formula_units=4)[0]
    assert best.exact
    assert best.energy_ev_per_fu == pytest.approx(-865.782523, abs=2e-6)
    check_laws(best)


def test_refined_occupancies_cost_about_six_ev() -> None:
    best = ns.order_cell("Na3Zr2Si2PO12", formula_units=4, keep_site_occupancies=True)[0]
    assert best.energy_ev_per_fu == pytest.approx(-867.0713, abs=1e-3)
    assert best.cost_of_refined_ev_per_fu == pytest.approx(5.937, abs=1e-3)
    for label, row in best.site_statistics.items():
        for element, n in row.items():
            assert abs(n - best.refined_statistics[label].get(element, 0.0)) < 1.0


def test_size_is_chosen_by_itself_and_any_shape_is_searched() -> None:
    best = ns.order_cell("Na3.4Zr1.7Sc0.2Zn0.1Si2PO12")[0]
    assert best.formula_units == 10
    assert best.composition_error == 0
    assert best.n_atoms == 204
    assert best.energy_ev_per_fu <= -861.7818
    check_laws(best)


def test_same_seed_same_result_on_any_number_of_workers() -> None:
    cells = [
        ns.order_cell(
            "Na27Zr14ScZnSi16P8O96", supercell=[2, 1, 1], n_structures=3, seed=5, workers=w, n_anneals=8
        )
        for w in (1, 2)
    ]
    first, second = ([(c.energy_ev_per_fu, c.structure.frac_coords.tolist()) for c in row] for row in cells)
    assert first == second


def test_a_dopant_is_never_dropped_in_silence() -> None:
    with pytest.raises(OrderingError, match=r"Sc.*dropped"):
        ns.order_cell("Na3.1Zr1.9Sc0.1Si2PO12", formula_units=2)
    sizes = ns.candidate_supercells("Na3.1Zr1.9Sc0.1Si2PO12", max_formula_units=20)
    assert sizes[0].formula_units == 10
    assert sizes[0].exact
    assert any("dropped" in " ".join(size.warnings) for size in sizes)
    assert not any(size.warnings for size in sizes[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formula_units": 3}, "whole multiples"),
        ({"formula_units": 4, "supercell": [1, 1, 1]}, "not both"),
        ({"n_structures": 0}, "at least 1"),
        ({"formula_units": 4, "objective": "lowest"}, "objective"),
        ({"supercell": [[1, 0], [0, 1]]}, "3x3"),
        ({"supercell": [0.3, 1, 1]}, "lattice points"),
        ({"formula_units": 4, "fixed_sites": {"Na9": "Na"}}, "no site 'Na9'"),
        ({"formula_units": 4, "allowed_sites": {"P": ["T7"]}}, "T7"),
        ({"formula_units": 4, "min_na_na_ang": 6.0}, "min_na_na_ang"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(options: dict, message: str) -> None:
    with pytest.raises(OrderingError, match=message):
        ns.order_cell("Na3Zr2Si2PO12", **options)


def test_candidates_cover_primitive_and_compact_shapes() -> None:
    sizes = ns.candidate_supercells("Na3.4Zr1.7Sc0.2Zn0.1Si2PO12", max_formula_units=20)
    assert [(c.formula_units, c.exact) for c in sizes[:2]] == [(10, True), (20, True)]
    assert sizes[0].composition == {"Na": 34, "Zr": 17, "Sc": 2, "Zn": 1, "Si": 20, "P": 10, "O": 120}
    assert sizes[0].nearest_image_distance_ang > 12.9
    charges = {"Na": 1, "Zr": 4, "Sc": 3, "Zn": 2, "Si": 4, "P": 5, "O": -2}
    for size in sizes:
        assert sum(charges[e] * n for e, n in size.composition.items()) == 0
        assert size.n_atoms == sum(size.composition.values())
        assert abs(np.linalg.det(size.supercell_matrix)) * 4 == pytest.approx(size.formula_units)


@pytest.mark.parametrize(
    "options", [{"formula_units": 100_000}, {"max_formula_units": 1e6, "tolerance": 0.0}, {"supercell": 100}]
)
def test_cells_beyond_any_memory_are_refused_at_once(options):
    with pytest.raises(OrderingError, match="at most 500"):
        ns.order_cell("Na3Zr2Si2PO12", **options)
    with pytest.raises(OrderingError, match="at most 500"):
        ns.candidate_supercells("Na3Zr2Si2PO12", max_formula_units=10_000)

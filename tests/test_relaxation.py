"""Relaxation: what any calculator must give, and what the report says of it."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.lj import LennardJones
from pymatgen.core import Lattice, Species, Structure
from pymatgen.io.ase import AseAtomsAdaptor

import nasicon_struct as ns
from nasicon_struct.errors import CellError, MissingDependencyError
from nasicon_struct.relaxation import RelaxedCell, framework_symmetry, load_calculator, relax_cell
from nasicon_struct.relaxation.compare import site_kinds


def ordered(parent: str = "xun2025_s2", coordinates: str = "refined") -> Structure:
    """Na3Zr2Si2PO12, Z = 4: P on T1, Si on T2, Na1 and Na2 full, half of Na3."""
    average = ns.build_average_cell("Na3Zr2Si2PO12", parent=parent, coordinates=coordinates).structure
    kept, sodium = [], 0
    for site in average:
        label = site.properties["label"]
        choice = {"T1": Species("P", 5), "T2": Species("Si", 4), "Zr1": Species("Zr", 4)}.get(label)
        if label.startswith("Na"):
            sodium += 1
            choice = Species("Na", 1)
            if sodium > 12:
                continue
        kept.append((choice or Species("O", -2), site.frac_coords, label))
    return Structure(
        average.lattice,
        [k[0] for k in kept],
        [k[1] for k in kept],
        site_properties={"label": [k[2] for k in kept]},
    )


class Springs(Calculator):
    """Springs along the bonds of a start, with lengths by kind: a framework with a known minimum."""

    implemented_properties: ClassVar = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, structure: Structure, lengths: dict[str, float], stiffness: float = 8.0):
        super().__init__()
        kinds = site_kinds(structure)
        centre, neighbour, image, distance = structure.get_neighbor_list(3.6)
        self.stiffness = stiffness
        rows = []
        for i, kind in enumerate(kinds):
            count = {"M": 6, "T": 4, "Na": 4}.get(kind, 0)
            mine = [k for k in np.flatnonzero(centre == i) if kinds[neighbour[k]] == "O"]
            for k in sorted(mine, key=lambda k: distance[k])[:count]:
                rows.append((i, neighbour[k], *image[k], lengths[kind]))
            if kind == "T":  # the edges of the tetrahedron
                ends = list(rows[-4:])
                for a in range(4):
                    for b in range(a):
                        shift = np.subtract(ends[a][2:5], ends[b][2:5])
                        rows.append((ends[b][1], ends[a][1], *shift, lengths["T"] * np.sqrt(8 / 3)))
        table = np.array(rows)
        self.i, self.j = table[:, 0].astype(int), table[:, 1].astype(int)
        self.image, self.rest = table[:, 2:5], table[:, 5]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        cell, place = np.array(self.atoms.cell), self.atoms.positions
        bond = place[self.j] + self.image @ cell - place[self.i]
        length = np.linalg.norm(bond, axis=1)
        pull = self.stiffness * (length - self.rest)
        force = (pull / length)[:, None] * bond
        forces = np.zeros_like(place)
        np.add.at(forces, self.i, force)
        np.add.at(forces, self.j, -force)
        virial = bond.T @ force / self.atoms.get_volume()
        energy = 0.5 * self.stiffness * float(((length - self.rest) ** 2).sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "stress": virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


SANE = {"M": 2.09, "T": 1.6, "Na": 2.6}


@pytest.fixture(scope="module")
def refined() -> Structure:
    return ordered()


@pytest.fixture(scope="module")
def relaxed(refined) -> RelaxedCell:
    return relax_cell(refined, Springs(refined, SANE), optimizer="LBFGS", max_steps=400)


def test_the_test_calculator_is_right(refined):
    atoms = AseAtomsAdaptor.get_atoms(refined, msonable=False)
    atoms.calc = Springs(refined, SANE)
    assert (
        np.abs(
            calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 20, 60]) - atoms.get_forces()[[0, 20, 60]]
        ).max()
        < 1e-5
    )
    assert np.abs(calculate_numerical_stress(atoms, eps=1e-5) - atoms.get_stress()).max() < 1e-6


def test_refined_oxygens_become_a_sane_framework(refined, relaxed):
    before, after = relaxed.geometry_before, relaxed.geometry_after
    assert before is not None
    assert after is not None
    # Xun et al. 2025, SI Table S2: T-O 1.335-1.905, Zr-O 1.837-2.259 angstrom
    assert before.t_o_range_ang == pytest.approx((1.335, 1.905), abs=2e-3)
    assert before.m_o_range_ang == pytest.approx((1.837, 2.259), abs=2e-3)
    assert relaxed.outside_before["T"][0] > 20
    assert relaxed.outside_after["T"] == (0, 48)
    assert after.t_o_range_ang[0] > 1.48
    assert after.t_o_range_ang[1] < 1.70
    assert after.bond_valence_sums["T2"] == pytest.approx(4.3, abs=0.3)
    assert relaxed.broken_bonds == ()
    assert relaxed.converged
    assert relaxed.max_force_ev_per_ang < 0.05
    assert relaxed.max_stress_gpa < 0.1
    assert relaxed.energy_ev_per_fu < relaxed.initial_energy_ev_per_fu
    assert relaxed.steps == len(relaxed.energies_ev_per_fu) - 1
    assert relaxed.energies_ev_per_fu[-1] == relaxed.energy_ev_per_fu


def test_energy_and_stress_are_those_of_the_final_structure(relaxed, refined):
    atoms = AseAtomsAdaptor.get_atoms(relaxed.final, msonable=False)
    atoms.calc = Springs(refined, SANE)
    assert atoms.get_potential_energy() / 4 == pytest.approx(relaxed.energy_ev_per_fu, abs=1e-9)
    assert atoms.get_potential_energy() / len(atoms) == pytest.approx(relaxed.energy_ev_per_atom, abs=1e-9)
    assert relaxed.formula_units == 4
    assert relaxed.volume_change_percent == pytest.approx(100 * (relaxed.final.volume / refined.volume - 1))


def test_nothing_of_the_input_is_lost_or_changed(relaxed, refined):
    assert relaxed.initial == refined
    assert relaxed.final.species == refined.species  # formal charges too
    assert relaxed.final.site_properties["label"] == refined.site_properties["label"]
    assert refined == ordered()
    assert relaxed.structure is relaxed.final


def test_report_has_both_sides(relaxed):
    text = relaxed.report()
    for word in (
        "Zr1 (Zr)-O",
        "T1 (P)-O",
        "T2 (Si)-O",
        "BVS",
        "delta2",
        "C2/c (15)",
        "before",
        "after",
        "eV per formula unit",
    ):
        assert word in text
    assert "T-O bonds outside 1.48-1.70 A: " in text
    assert "0 after, of 48" in text


def test_round_trip(relaxed):
    again = RelaxedCell.from_dict(json.loads(json.dumps(relaxed.as_dict())))
    assert again.as_dict() == relaxed.as_dict()
    assert again.report() == relaxed.report()
    assert again.symmetry_after == relaxed.symmetry_after


def test_held_lattice_stays(refined):
    result = relax_cell(refined, Springs(refined, SANE), relax_lattice=False, max_steps=3)
    assert np.array_equal(result.final.lattice.matrix, refined.lattice.matrix)
    assert result.volume_change_percent == pytest.approx(0, abs=1e-9)
    assert result.max_stress_gpa is None
    assert result.distortion_after.delta2 == pytest.approx(result.distortion_before.delta2, abs=1e-9)


def test_no_step_changes_nothing(refined):
    result = relax_cell(refined, Springs(refined, SANE), max_steps=0)
    assert result.steps == 0
    assert not result.converged
    assert result.final == refined
    assert max(result.displacement_rms_ang.values()) < 1e-9
    assert any("not converged" in flag for flag in result.flags)


def test_growth_is_flagged(refined):
    class Balloon(Calculator):
        implemented_properties: ClassVar = ["energy", "free_energy", "forces", "stress"]

        def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            gap = self.atoms.get_volume() - 1.2 * refined.volume
            pressure = 2e-3 * gap
            self.results = {
                "energy": 1e-3 * gap**2,
                "free_energy": 1e-3 * gap**2,
                "forces": np.zeros((len(self.atoms), 3)),
                "stress": np.array([pressure] * 3 + [0.0] * 3),
            }

    result = relax_cell(refined, Balloon())
    assert result.converged
    assert result.volume_change_percent == pytest.approx(20, abs=0.1)
    assert any("the volume changed by +2" in flag or "by +19" in flag for flag in result.flags)


def test_broken_bonds_are_flagged(refined):
    result = relax_cell(refined, Springs(refined, {"M": 2.9, "T": 2.2, "Na": 2.9}), optimizer="LBFGS")
    text = " ".join(result.flags)
    assert "has opened from" in text
    assert "more broken bonds or changed coordinations" in text
    assert any("oxygens within 2.75 A instead of 6" in line for line in result.broken_bonds)
    assert not result.is_sane
    assert "FLAG" in result.report()


def test_a_destroyed_framework_is_said_to_be_one(refined):
    result = relax_cell(
        refined, Springs(refined, {"M": 9.0, "T": 9.0, "Na": 9.0}, stiffness=50.0), max_steps=60
    )
    assert not result.is_sane
    assert result.flags
    assert result.report()


def test_progress_is_called_at_each_step(refined):
    seen = []
    relax_cell(refined, Springs(refined, SANE), max_steps=4, progress=lambda *row: seen.append(row))
    assert [row[0] for row in seen] == [0, 1, 2, 3, 4]
    assert all(len(row) == 3 for row in seen)


def test_other_inputs_give_the_same(refined, tmp_path):
    direct = relax_cell(refined, Springs(refined, SANE), max_steps=2)
    atoms = AseAtomsAdaptor.get_atoms(refined, msonable=False)
    assert relax_cell(atoms, Springs(refined, SANE), max_steps=2).energy_ev_per_fu == pytest.approx(
        direct.energy_ev_per_fu, abs=1e-9
    )


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"fmax_ev_per_ang": 0.0}, "fmax_ev_per_ang"),
        ({"fmax_ev_per_ang": float("nan")}, "fmax_ev_per_ang"),
        ({"max_stress_gpa": -1.0}, "max_stress_gpa"),
        ({"max_steps": -1}, "max_steps"),
        ({"optimizer": "Newton"}, "FIRE"),
        ({"calculator": "nothing"}, "chgnet-r2scan"),
    ],
)
def test_bad_options_are_one_sentence(refined, options, word):
    calculator = options.pop("calculator", Springs(refined, SANE))
    with pytest.raises(CellError, match=word):
        relax_cell(refined, calculator, **options)


def test_whole_atoms_are_needed():
    with pytest.raises(CellError, match="order_cell"):
        relax_cell(ns.build_average_cell("Na3Zr2Si2PO12"), LennardJones())
    with pytest.raises(CellError, match="no oxygen"):
        relax_cell(Structure(Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]), LennardJones())


def test_calculators_that_do_not_fit_are_named(refined):
    class NoStress(Springs):
        implemented_properties: ClassVar = ["energy", "free_energy", "forces"]

    with pytest.raises(CellError, match="relax_lattice=False"):
        relax_cell(refined, NoStress(refined, SANE))

    class Nonsense(Springs):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            self.results["energy"] = float("nan")

    with pytest.raises(CellError, match="nan"):
        relax_cell(refined, Nonsense(refined, SANE))


def test_missing_chgnet_is_one_sentence(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "chgnet.model", None)
    with pytest.raises(MissingDependencyError, match=r"nasicon-struct\[mlip\]"):
        load_calculator("chgnet")


def test_framework_symmetry_is_that_of_the_parent_whatever_the_order(refined):
    assert set(framework_symmetry(refined, refined).values()) == {"C2/c (15)"}
    larger = refined.copy()
    larger.make_supercell([[1, 1, 0], [0, 2, 0], [0, 0, 1]])
    assert framework_symmetry(larger, larger)[0.01] == "C2/c (15)"
    hexagonal = ns.load_parent("boilot1988_x235").structure.copy()
    hexagonal.remove_species([s for s in hexagonal.composition if s.symbol == "Na"])
    for i, site in enumerate(hexagonal):
        if "Si" in {s.symbol for s in site.species}:
            hexagonal.replace(i, Species("Si", 4))
    assert framework_symmetry(hexagonal, hexagonal)[0.01] == "R-3c (167)"


def test_averaging_takes_local_disorder_out(refined):
    larger = refined.copy()
    larger.make_supercell([2, 2, 2])
    shaken = larger.copy()
    rng = np.random.default_rng(1)
    shift = rng.normal(0, 0.04, (len(shaken), 3))
    for i in range(len(shaken)):
        shaken[i].coords = larger[i].coords + shift[i]
    symmetry = framework_symmetry(larger, shaken)
    assert symmetry[0.01].startswith("P")  # 16 copies of each atom leave 0.01 A
    assert symmetry[0.1] == "C2/c (15)"
    # one atom moved far shows even after averaging
    shaken[-1].coords = larger[-1].coords + np.array([3.0, 0.0, 0.0])
    assert framework_symmetry(larger, shaken)[0.1] != "C2/c (15)"


def test_distortion_follows_a_strain_exactly(refined):
    from nasicon_struct.relaxation.compare import compare

    strained = refined.copy()
    a, b, c, _, beta, _ = refined.lattice.parameters
    strained.lattice = Lattice.from_parameters(a * 1.004, b * 0.999, c, 90, beta + 0.3, 90)
    fields = compare(refined, strained)
    want = ns.monoclinic_distortion((a * 1.004, b * 0.999, c, beta + 0.3))
    for name in ("delta1", "delta2", "strain_norm"):
        assert getattr(fields["distortion_after"], name) == pytest.approx(getattr(want, name), abs=1e-9)
    assert max(fields["displacement_rms_ang"].values()) < 1e-9  # a pure strain moves nothing
    skew = refined.copy()
    skew.lattice = Lattice.from_parameters(a, b, c, 90.5, beta, 90)
    assert compare(refined, skew)["distortion_after"].off_monoclinic_deg == pytest.approx(0.5, abs=1e-6)


@pytest.mark.slow
def test_chgnet_relaxes_the_refined_cell():
    pytest.importorskip("chgnet")
    result = relax_cell(ns.order_cell("Na3Zr2Si2PO12", formula_units=4)[0], "chgnet", max_steps=150)
    assert result.converged
    assert result.steps < 110  # 74 where it was measured
    assert result.outside_before["T"] == (32, 48)
    assert result.outside_after["T"] == (0, 48)
    assert result.outside_after["M"][0] < result.outside_before["M"][0]
    assert result.broken_bonds == ()
    assert result.volume_change_percent == pytest.approx(1.7, abs=0.5)
    assert "CHGNet 0.3.0" in result.report()

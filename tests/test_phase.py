"""Phase assignment: laws of symmetry first, then published cells, then what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from nasicon_struct import reference
from nasicon_struct.cell import build_average_cell
from nasicon_struct.cif import read_structure
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.errors import CellError, CompositionError, NasiconError
from nasicon_struct.metric import monoclinic_cell_from_distortion, to_monoclinic
from nasicon_struct.parents import load_parent
from nasicon_struct.phase import PhaseVote, assign_phase, metric_probability
from nasicon_struct.phase.result import MAX_PROBABILITY, combine, phase_of

# Cells (angstrom, degree) of C2/c samples: Hong 1976, Table 1; Subramanian et al. 1985, Table I;
# Xun et al. 2025, SI Table S2
GENUINE = {
    "Na2.8Zr2Si1.8P1.2O12": (15.567, 9.003, 9.217, 123.76),
    "Na3Zr2Si2PO12": (15.586, 9.029, 9.205, 123.70),
    "Na3.2Zr2Si2.2P0.8O12": (15.618, 9.051, 9.210, 123.93),
    "Na3Sc0.5Zr1.5Si1.5P1.5O12": (15.616, 9.019, 9.184, 123.92),
    "Na3Sc0.2Zr1.8Si1.8P1.2O12": (15.632, 9.031, 9.220, 123.98),
    "Na3.3Sc0.3Zr1.7Si2PO12": (15.644, 9.054, 9.215, 124.00),
    "Na3.01Zr2Si2.01P0.99O12": (15.6972, 9.0762, 9.2167, 124.090),
}


def lattice(a, b, c, beta):
    return Lattice.from_parameters(a, b, c, 90, beta, 90)


@pytest.fixture(scope="module")
def s2() -> Structure:
    return read_structure(reference.cif_path("xun2025_s2"))


@pytest.fixture(scope="module")
def boilot() -> Structure:
    return read_structure(reference.cif_path("boilot1988_x235"))


def same(one, other, tol=1e-9):
    assert one.phase == other.phase
    assert one.probability_monoclinic == pytest.approx(other.probability_monoclinic, abs=tol)
    assert one.distortion.delta1 == pytest.approx(other.distortion.delta1, abs=tol)
    assert one.distortion.delta2 == pytest.approx(other.distortion.delta2, abs=tol)


# ---- laws: the description of a crystal does not matter


@given(st.tuples(*[st.floats(0, 1)] * 3))
@settings(deadline=None, max_examples=6)
def test_origin_shift(shift):
    structure = read_structure(reference.cif_path("xun2025_s2"))
    moved = structure.copy()
    moved.translate_sites(list(range(len(moved))), shift)
    same(assign_phase(moved), assign_phase(structure))


#: new axes (rows) in the old ones: C2/c to A2/n, I2/a, their reverses, other unique axes, a left turn
SETTINGS = {
    "I2/a (a+c)": [[1, 0, 1], [0, 1, 0], [0, 0, 1]],
    "I2/a (-a-c, b, a)": [[-1, 0, -1], [0, 1, 0], [1, 0, 0]],
    "A2/n (c, b, -a-c)": [[0, 0, 1], [0, 1, 0], [-1, 0, -1]],
    "unique axis c": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    "unique axis a": [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
    "primitive": [[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]],
    "turned about b": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_axis_choice(s2, name):
    matrix = np.array(SETTINGS[name], dtype=float)
    new = Structure(
        Lattice(matrix @ s2.lattice.matrix), s2.species_and_occu, s2.frac_coords @ np.linalg.inv(matrix)
    )
    if np.linalg.det(matrix) < 0.9:  # a smaller cell: sites that now coincide are one
        new.merge_sites(tol=0.05, mode="delete")
    same(assign_phase(new), assign_phase(s2))


@pytest.mark.parametrize(
    "scaling",
    [(2, 1, 1), (1, 1, 2), (1, 2, 1), [[1, 0, 1], [0, 1, 0], [-1, 0, 1]], [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]],
)
def test_supercell(s2, scaling):
    bigger = s2.copy()
    bigger.make_supercell(scaling)
    same(assign_phase(bigger), assign_phase(s2), tol=1e-6)


def test_hexagonal_or_monoclinic_description_of_a_rhombohedral_crystal(boilot):
    same(assign_phase(to_monoclinic(boilot)), assign_phase(boilot), tol=1e-6)


def test_rotation_of_the_whole_crystal(s2):
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    q *= np.sign(np.linalg.det(q))
    same(
        assign_phase(Structure(Lattice(s2.lattice.matrix @ q), s2.species_and_occu, s2.frac_coords)),
        assign_phase(s2),
        tol=1e-7,
    )


def test_the_form_of_a_structure_does_not_matter():
    ordered = Structure.from_spacegroup(
        "R-3cH", Lattice.hexagonal(8.815, 22.746), ["Na", "Zr", "P", "O", "O"],
        [[0, 0, 0], [0, 0, 0.14568], [0.2916, 0, 0.25], [0.1841, -0.0165, 0.1956], [0.1911, 0.1675, 0.0876]],
    )  # fmt: skip  # Hong 1976
    atoms = AseAtomsAdaptor.get_atoms(ordered)
    assert isinstance(atoms, Atoms)
    same(assign_phase(atoms), assign_phase(ordered))
    assert assign_phase(ordered).phase == "rhombohedral"


# ---- laws: the probability


@given(st.floats(-0.006, 0.006), st.floats(-0.03, 0.012), st.floats(-0.03, 0.012), st.floats(0, 0.002))
@settings(deadline=None)
def test_more_shear_is_never_less_monoclinic_between_the_two_populations(delta1, one, other, se):
    low, high = sorted((one, other))
    if low >= -0.0135 and high <= 0:
        assert metric_probability(delta1, low, se, se) >= metric_probability(delta1, high, se, se) - 1e-12


@given(st.floats(-0.02, 0.02), st.floats(-0.03, 0.02), st.floats(0, 0.01))
@settings(deadline=None)
def test_metric_probability_is_a_probability(delta1, delta2, se):
    assert 0.01 <= metric_probability(delta1, delta2, se, se) <= 0.99


def test_a_vague_metric_decides_less_than_a_sharp_one():
    sharp = metric_probability(-0.002, -0.009, 1e-4, 1e-4)
    vague = metric_probability(-0.002, -0.009, 0.004, 0.008)
    assert sharp > 0.9
    assert 0.3 < vague < sharp


def test_a_metric_far_from_both_populations_says_little():
    assert 0.2 < metric_probability(-0.012, 0.02) < 0.8


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.sampled_from([0.0, 0.5, 1.0])), max_size=5))
@settings(deadline=None)
def test_log_odds_add(pairs):
    votes = [PhaseVote(kind="x", probability_monoclinic=p, weight=w, sentence="") for p, w in pairs]
    odds = math.prod((p / (1 - p)) ** w for p, w in pairs)
    expected = min(MAX_PROBABILITY, max(1 - MAX_PROBABILITY, odds / (1 + odds)))
    assert combine(votes) == pytest.approx(expected)


def test_thresholds():
    assert [phase_of(p) for p in (0.05, 0.41, 0.5, 0.59, 0.6)] == [
        "rhombohedral", "undetermined", "undetermined", "undetermined", "monoclinic",
    ]  # fmt: skip


# ---- published cells


@pytest.mark.parametrize("formula", GENUINE)
def test_genuine_monoclinic_cells(formula):
    by_metric = assign_phase(lattice(*GENUINE[formula]))
    assert by_metric.phase == "monoclinic"
    assert by_metric.probability_monoclinic > 0.95
    assert -0.0196 <= by_metric.distortion.delta2 <= -0.0105
    both = assign_phase(lattice(*GENUINE[formula]), composition=formula)
    assert both.phase == "monoclinic"
    assert {vote.kind for vote in both.votes} == {"metric", "composition"}


def test_s2_is_monoclinic():
    """Xun et al. 2025, SI Table S2: delta1 -0.0015, delta2 -0.0127, strain 0.0062."""
    result = assign_phase(reference.cif_path("xun2025_s2"))
    assert result.phase == "monoclinic"
    assert result.probability_monoclinic > 0.95
    assert result.distortion.delta1 == pytest.approx(-0.0015, abs=5e-5)
    assert result.distortion.delta2 == pytest.approx(-0.0127, abs=5e-5)
    assert result.distortion.strain_norm == pytest.approx(0.0062, abs=5e-5)
    assert 0 < result.distortion.delta2_se < 0.0005
    assert not result.contradictions


@pytest.mark.parametrize("form", ["path", "parent"])
def test_s3_is_reported_as_what_it_is(form):
    """Xun et al. 2025, SI Table S3: labelled C2/c, rhombohedral by metric, with the wrong sign."""
    result = assign_phase(reference.cif_path("xun2025_s3") if form == "path" else load_parent("xun2025_s3"))
    assert result.phase == "rhombohedral"
    assert result.probability_monoclinic < 0.05
    assert result.distortion.delta1 == pytest.approx(0.0030, abs=5e-5)
    assert result.distortion.delta2 == pytest.approx(0.0044, abs=5e-5)
    assert result.distortion.nearest_a_h_ang == pytest.approx(9.114, abs=5e-4)
    assert result.distortion.nearest_c_h_ang == pytest.approx(22.645, abs=5e-4)
    (said,) = result.contradictions
    assert "labelled C 1 2/c 1" in said
    assert "rhombohedral by its metric" in said
    assert "sign" in said
    assert "9.114" in said
    assert "22.645" in said
    assert any("Boilot" in sentence for sentence in result.evidence)


def test_a_hexagonal_cell_is_a_label_not_a_measurement(boilot):
    result = assign_phase(boilot)
    metric = next(vote for vote in result.votes if vote.kind == "metric")
    assert "by construction" in metric.sentence
    assert metric.probability_monoclinic > 0.05


def test_framework_evidence_names_its_tolerance_and_does_not_count(s2):
    vote = next(vote for vote in assign_phase(s2).votes if vote.kind == "framework")
    assert vote.weight == 0
    assert vote.log_odds == 0
    assert "0.7 A" in vote.sentence  # the framework of S2 becomes R-3c only there


# ---- a built cell does not vote with its parent's metric


@pytest.mark.parametrize("parent", ["xun2025_s2", "xun2025_s3", "boilot1988_x235"])
def test_the_metric_of_a_built_cell_is_not_counted(parent, tmp_path):
    formula = "Na3.1Zr1.9Sc0.1Si2PO12"
    cell = build_average_cell(NasiconComposition.from_formula(formula), parent=parent)
    alone = assign_phase(formula)
    for obj in (cell, tmp_path / "built.cif"):
        if obj is not cell:
            cell.to_cif(obj)
        result = assign_phase(obj)
        metric = next(vote for vote in result.votes if vote.kind == "metric")
        assert metric.weight == 0
        assert parent in metric.sentence
        assert result.phase == alone.phase
        assert result.probability_monoclinic == pytest.approx(alone.probability_monoclinic, abs=1e-3)


# ---- combining


def test_contradictions_are_said():
    rhombohedral = lattice(*monoclinic_cell_from_distortion(9.03, 22.95, 0.0004, -0.0005))
    result = assign_phase("Na3Zr2Si2PO12", structure=rhombohedral)
    assert result.phase == "rhombohedral"  # what is measured on the sample counts more
    assert any("contradict" in sentence for sentence in result.contradictions)
    assert result.contradictions[0] in result.evidence
    weights = {vote.kind: vote.weight for vote in result.votes}
    assert weights["composition"] < weights["metric"]


def test_temperature():
    assert assign_phase("Na3Zr2Si2PO12", temperature_k=600).phase == "rhombohedral"
    assert assign_phase("Na3Zr2Si2PO12").phase == "monoclinic"


def test_a_cell_measured_at_another_temperature(tmp_path):
    """Monoclinic when hot is monoclinic when cold; rhombohedral when hot says nothing about cold."""
    text = reference.cif_path("xun2025_s2").read_text().replace(
        "_cell_measurement_temperature      ?", "_cell_measurement_temperature      400"
    )  # fmt: skip
    hot = tmp_path / "hot.cif"
    hot.write_text(text)
    weights = {}
    for kelvin in (298.15, 400, 500):
        votes = assign_phase(hot, temperature_k=kelvin).votes
        weights[kelvin] = next(vote.weight for vote in votes if vote.kind == "metric")
    assert weights == {298.15: 1.0, 400: 1.0, 500: 0.0}
    boilot = load_parent("boilot1988_x235")  # R-3c at 300 K
    for kelvin, weight in ((300, 1.0), (400, 1.0), (200, 0.0)):
        votes = assign_phase(boilot, temperature_k=kelvin).votes
        assert next(vote.weight for vote in votes if vote.kind == "metric") == weight


def test_undetermined_comes_with_reasons():
    result = assign_phase("Na3.4Zr2Si2.4P0.6O12")
    assert result.phase == "undetermined"
    assert any(sentence.startswith("undetermined") for sentence in result.evidence)
    assert result.nearest_literature
    assert any("Hong" in sentence for sentence in result.evidence)


def test_every_form_of_a_composition():
    formula = "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12"
    expected = assign_phase(formula)
    for obj in (
        NasiconComposition.from_formula(formula), Composition(formula), Composition(formula).as_dict(),
        "Na6.8Zr3.4Sc0.4Zn0.2(SiO4)4(PO4)2", "Na34/10Zr17/10Sc2/10Zn1/10Si2PO12",
    ):  # fmt: skip
        assert assign_phase(obj).probability_monoclinic == pytest.approx(expected.probability_monoclinic)


def test_a_cell_without_a_nasicon_composition_is_assigned_by_its_metric(boilot):
    lithium = boilot.copy()
    lithium.replace_species({"Na+": "Li+"})
    lithium.remove_oxidation_states()
    result = assign_phase(lithium)
    assert result.formula is None
    assert any("composition of the cell is not used" in sentence for sentence in result.evidence)


def test_assignment_survives_json(s2):
    for result in (assign_phase("Na3.3Zr1.7Lu0.3Si2PO12"), assign_phase(s2)):
        again = MontyDecoder().decode(json.dumps(result, cls=MontyEncoder))
        assert again == result
        assert isinstance(again.votes, tuple)
        assert again.probability_rhombohedral == pytest.approx(1 - result.probability_monoclinic)


# ---- what is refused


@pytest.mark.parametrize(
    "obj",
    [
        None,
        3,
        3.5,
        [],
        object(),
        "no such file.cif",
        "nowhere/scan.xy",
        "NaCl",
        "",
        "Na3Zr2Si2P3O12",
        b"Na3Zr2Si2PO12",
    ],
)
def test_what_cannot_be_assigned(obj):
    with pytest.raises(NasiconError) as caught:
        assign_phase(obj)
    assert "\n" not in str(caught.value)


def test_a_cubic_cell_is_no_nasicon():
    with pytest.raises(CellError):
        assign_phase(Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]))


def test_evidence_of_one_kind_is_given_once(s2):
    with pytest.raises(CompositionError, match="two cells"):
        assign_phase(s2, structure=s2)
    with pytest.raises(CompositionError, match="two compositions"):
        assign_phase("Na3Zr2Si2PO12", composition="Na3Zr2Si2PO12")
    with pytest.raises(CompositionError, match="temperature"):
        assign_phase("Na3Zr2Si2PO12", temperature_k=-1)


# ---- the literature table


def test_cells_of_the_literature_table():
    """Every C2/c cell is monoclinic by metric, save the one that the table itself marks as contradictory."""
    for row in reference.read_rows("literature_phases"):
        if not row["a_ang"]:
            continue
        cell = lattice(*(float(row[k]) for k in ("a_ang", "b_ang", "c_ang", "beta_deg")))
        result = assign_phase(cell, composition=row["formula"])
        assert result.phase == ("rhombohedral" if "metric R-3c" in row["label"] else "monoclinic")

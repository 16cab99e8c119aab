"""Parent cells and geometry: the printed numbers, the misprints, and what the structures are worth."""

from __future__ import annotations

import json

import gemmi
import numpy as np
import pytest
import spglib
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nasicon_struct import reference
from nasicon_struct.errors import CellError
from nasicon_struct.geometry import GeometryReport, bond_valence_parameters, bond_valence_sums, check_geometry
from nasicon_struct.parents import ParentCell, list_parents, load_parent, orbit, parse_su, space_group


def test_the_list_of_parents():
    assert list_parents() == [
        "xun2025_s2",
        "xun2025_s3",
        "subramanian1985",
        "boilot1988_x235",
        "hong1976_nzp",
    ]


@pytest.mark.parametrize(
    ("text", "value", "su"),
    [
        ("0.893(3)", 0.893, 0.003),
        ("1/4", 0.25, None),
        ("-0.0281", -0.0281, None),
        ("15.6972(8)", 15.6972, 8e-4),
        ("1087.466(103)", 1087.466, 0.103),
        ("0.8367(19)", 0.8367, 0.0019),
        ("1", 1.0, None),
    ],
)
def test_printed_numbers(text, value, su):
    got, got_su = parse_su(text)
    assert float(got) == pytest.approx(value, abs=1e-12)
    assert got_su == (None if su is None else pytest.approx(su, rel=1e-9))


@pytest.mark.parametrize("text", ["", "a", "1.2.3", "0.5(", "(3)", "1e5"])
def test_unprintable_numbers(text):
    with pytest.raises(CellError):
        parse_su(text)


@pytest.mark.parametrize("key", list_parents())
def test_round_trip(key):
    parent = load_parent(key)
    assert ParentCell.from_dict(json.loads(json.dumps(parent.as_dict()))) == parent


@pytest.mark.parametrize("key", list_parents())
def test_wyckoff_letters_and_space_group_by_spglib(key):
    """An independent code finds the same space group, multiplicities and site symmetry."""
    parent = load_parent(key)
    structure = parent.structure
    numbers = {label: i + 1 for i, label in enumerate(dict.fromkeys(structure.site_properties["label"]))}
    data = spglib.get_symmetry_dataset(
        (structure.lattice.matrix, structure.frac_coords,
         [numbers[label] for label in structure.site_properties["label"]]),
        symprec=1e-4,
    )  # fmt: skip
    assert data.number == parent.space_group_number
    for site in parent.sites:
        positions = [i for i, label in enumerate(structure.site_properties["label"]) if label == site.label]
        assert len(positions) == site.multiplicity == int(site.wyckoff[:-1])
        assert site.per_o12 * parent.z == site.multiplicity
        found = {data.wyckoffs[i] for i in positions}
        if parent.setting == "C2/c":
            # 4a/4b and 4c/4d are exchanged by an origin shift that spglib is free to choose
            same = {"a": "ab", "b": "ab", "c": "cd", "d": "cd"}.get(site.wyckoff[-1], site.wyckoff[-1])
        else:
            same = {"a": "ab", "b": "ab"}.get(site.wyckoff[-1], site.wyckoff[-1])
        assert len(found) == 1
        assert found <= set(same)


@pytest.mark.parametrize("key", list_parents())
def test_cells_expand_as_pymatgen_expands_them(key):
    parent = load_parent(key)
    symbol = {15: "C2/c", 167: "R-3cH"}[parent.space_group_number]
    other = Structure.from_spacegroup(
        symbol, parent.lattice, ["X"] * len(parent.sites), [site.xyz for site in parent.sites]
    )
    mine = parent.structure
    assert len(other) == len(mine)
    for site in other:
        delta = mine.frac_coords - site.frac_coords
        delta -= np.round(delta)
        assert np.linalg.norm(delta @ parent.lattice.matrix, axis=1).min() < 2e-3


def test_na1_sits_on_4d():
    for key in ("xun2025_s2", "xun2025_s3", "subramanian1985"):
        assert load_parent(key).site("Na1").xyz == (0.25, 0.25, 0.5)
        assert load_parent(key).site("Na1").wyckoff == "4d"


# -- the refined cells: B. Xun et al. 2025, Supporting Information, Tables S2 and S3 ------------------


def test_volumes_and_compositions():
    s2, s3 = load_parent("xun2025_s2"), load_parent("xun2025_s3")
    assert s2.lattice.volume == pytest.approx(1087.464, abs=5e-4)
    assert s3.lattice.volume == pytest.approx(1085.893, abs=5e-4)
    assert s2.volume_printed == "1087.466(103)"
    assert s3.volume_printed == "1085.859(182)"
    for parent in (s2, s3):
        value, su = parse_su(parent.volume_printed)
        assert abs(float(value) - parent.lattice.volume) < su
    assert s2.amounts == pytest.approx({"Na": 3.01, "Zr": 2.0, "Si": 2.01, "P": 0.99, "O": 12.0})
    assert s3.amounts == pytest.approx(
        {"Na": 3.39, "Zr": 1.95, "Al": 0.05, "Si": 2.349, "P": 0.651, "O": 12.0}
    )
    assert s2.net_charge == 0.0
    assert s3.net_charge == pytest.approx(-0.009, abs=1e-9)


def test_sodium_per_formula_unit():
    """Na = occ(Na1, 4d) + occ(Na2, 4e) + 2 occ(Na3, 8f)."""
    parent = load_parent("xun2025_s2")
    na1, na2, na3 = (parent.site(label) for label in ("Na1", "Na2", "Na3"))
    assert (na1.per_o12, na2.per_o12, na3.per_o12) == (1, 1, 2)
    assert na1.occupancy + na2.occupancy + 2 * na3.occupancy == pytest.approx(3.01)


def test_esds_are_kept():
    parent = load_parent("xun2025_s2")
    assert parent.lattice_esds == pytest.approx({"a": 8e-4, "b": 5e-4, "c": 4e-4, "beta": 3e-3})
    assert parent.site("Na2").xyz_su == pytest.approx((0.0, 0.003, 0.0))
    assert parent.site("Na3").xyz_su == pytest.approx((0.0019, 0.003, 0.003))
    assert load_parent("xun2025_s3").site("Na1").species_su == pytest.approx({"Na": 0.03})
    assert parent.distortion.delta2_se == pytest.approx(1.1e-4, abs=3e-5)


def test_distortions_of_the_refined_cells():
    assert load_parent("xun2025_s2").distortion.delta2 == pytest.approx(-0.0127, abs=5e-5)
    assert load_parent("xun2025_s3").distortion.delta2 == pytest.approx(+0.0044, abs=5e-5)
    assert not any("rhombohedral by metric" in w for w in load_parent("xun2025_s2").warnings)
    assert any("rhombohedral by metric" in w for w in load_parent("xun2025_s3").warnings)


def test_misprints_are_flagged_and_printed_values_kept():
    s3 = load_parent("xun2025_s3")
    assert s3.site("Zr1").species == {"Zr": 0.975, "Al": 0.025}
    assert any("0.975, read as 0.025" in c for c in s3.site("Zr1").corrections)
    assert all("label lost in print" in site.corrections for site in s3.sites)
    assert any("0.975" in m for m in s3.misprints)
    printed = [
        r for r in reference.read_rows("refined_sites") if r["key"] == "xun2025_s3" and r["label"] == "Al1"
    ]
    assert printed[0]["occupancy"] == "0.975"
    assert "label 06 read as O6" in load_parent("xun2025_s2").site("O6").corrections
    assert any("1000(3)" in m for m in load_parent("xun2025_s2").misprints)
    t1 = load_parent("subramanian1985").site("T1")
    assert t1.xyz[2] == 0.25
    assert any("printed 0.0" in c for c in t1.corrections)
    for key in ("xun2025_s2", "xun2025_s3"):
        assert any("unphysical" in w for w in load_parent(key).warnings)


def test_net_charge_of_rounded_occupancies_is_said():
    assert any("-0.009" in w for w in load_parent("xun2025_s3").warnings)
    assert load_parent("hong1976_nzp").net_charge == 0.0


def test_unknown_parents_and_sites():
    with pytest.raises(CellError, match="xun2025_s2, xun2025_s3"):
        load_parent("xun2025_s4")
    with pytest.raises(CellError, match="Na1"):
        load_parent("xun2025_s2").site("Na9")
    with pytest.raises(CellError):
        load_parent("na3ps4_p421c_chu2016")
    with pytest.raises(CellError):
        space_group("C 7")


# -- geometry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "m_o", "t_o", "valences"),
    [
        # bond lengths and bond valence sums of Xun et al. 2025, Tables S2 and S3, as printed
        ("xun2025_s2", (1.837, 2.259), (1.335, 1.905), {"Zr1": 3.67, "T1": 6.45, "T2": 4.48}),
        ("xun2025_s3", (1.625, 2.536), (1.409, 1.980), {"Zr1": 4.89, "T1": 2.95, "T2": 4.22}),
    ],
)
def test_refined_oxygens_are_unphysical(key, m_o, t_o, valences):
    report = check_geometry(load_parent(key).structure)
    assert report.m_o_range_ang == pytest.approx(m_o, abs=5e-4)
    assert report.t_o_range_ang == pytest.approx(t_o, abs=5.1e-4)
    assert report.bond_valence_sums == pytest.approx(valences, abs=5e-3)
    assert not report.is_sane
    assert any("Zr1-O" in p for p in report.problems)


@pytest.mark.parametrize("key", ["subramanian1985", "boilot1988_x235", "hong1976_nzp"])
def test_prototypes_are_sane(key):
    report = check_geometry(load_parent(key).structure)
    assert report.is_sane, report.problems
    assert report.m_o_range_ang[0] > 2.04
    assert report.m_o_range_ang[1] < 2.11
    assert round(report.t_o_range_ang[0], 3) >= 1.52
    assert report.t_o_range_ang[1] < 1.63
    for site in report.sites:
        assert site.bond_valence_sum == pytest.approx(site.formal_charge, abs=0.5)


def test_topology():
    """Zr bonds one of each O1..O6; T1 two O2 and two O6; T2 O1, O3, O4 and O5."""
    for key in ("xun2025_s2", "xun2025_s3", "subramanian1985"):
        structure = load_parent(key).structure
        labels = structure.site_properties["label"]
        for centre, count, expected in (
            ("Zr1", 6, ["O1", "O2", "O3", "O4", "O5", "O6"]),
            ("T1", 4, ["O2", "O2", "O6", "O6"]),
            ("T2", 4, ["O1", "O3", "O4", "O5"]),
        ):
            i = labels.index(centre)
            near = [n for n in structure.get_neighbors(structure[i], 3.4) if labels[n.index].startswith("O")]
            near.sort(key=lambda n: n.nn_distance)
            assert sorted(labels[n.index] for n in near[:count]) == expected


def test_bond_lengths_against_pymatgen():
    structure = load_parent("boilot1988_x235").structure
    report = check_geometry(structure)
    lengths = []
    for i, label in enumerate(structure.site_properties["label"]):
        if label == "Zr1":
            near = [n.nn_distance for n in structure.get_neighbors(structure[i], 3.4)
                    if structure.site_properties["label"][n.index].startswith("O")]  # fmt: skip
            lengths += sorted(near)[:6]
    assert report.m_o_range_ang == pytest.approx((min(lengths), max(lengths)), abs=1e-9)


def test_geometry_of_an_ordered_supercell():
    ordered = load_parent("hong1976_nzp").structure * (2, 1, 1)
    report = check_geometry(ordered)
    single = check_geometry(load_parent("hong1976_nzp").structure)
    assert report.bond_valence_sums == pytest.approx(single.bond_valence_sums)
    ordered.remove_site_property("label")
    assert check_geometry(ordered).sites[0].label == "Zr"


def test_geometry_finds_what_is_wrong():
    structure = load_parent("hong1976_nzp").structure
    squeezed = structure.copy()
    squeezed.scale_lattice(structure.volume * 0.8)
    assert any("P" in p or "T1" in p for p in check_geometry(squeezed).problems)
    with pytest.raises(CellError, match="no NASICON"):
        check_geometry(Structure(Lattice.cubic(4.2), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    stretched = structure.copy()
    stretched.scale_lattice(structure.volume * 8)
    with pytest.raises(CellError, match="oxygens within"):
        check_geometry(stretched)


def test_report_round_trip_and_sums():
    report = check_geometry(load_parent("xun2025_s3").structure)
    assert GeometryReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report
    assert bond_valence_sums(load_parent("xun2025_s3").structure) == report.bond_valence_sums


def test_bond_valence_table():
    table = bond_valence_parameters()
    # Brown, Altermatt, Acta Cryst. B41 (1985) 244; Brese, O'Keeffe, Acta Cryst. B47 (1991) 192
    assert table["Zr", 4, "O"] == (1.928, 0.37)
    assert table["P", 5, "O"] == (1.617, 0.37)
    assert table["Si", 4, "O"] == (1.624, 0.37)
    assert all(1.3 < r0 < 2.6 and b == 0.37 for r0, b in table.values())
    # baddeleyite-like check: six bonds of 2.078 A make a Zr valence of 4
    assert 6 * np.exp((1.928 - 2.078) / 0.37) == pytest.approx(4.0, abs=0.01)


# -- tetragonal sulfides -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "centre", "bond"),
    # Chu et al., Sci. Rep. 6 (2016) 33733, Table 3: P-S 2.05 A; computed cell of Na3SbS4: Sb-S 2.34 A
    [("na3ps4_p421c_chu2016", "P", 2.054), ("na3sbs4_p421c_chgnet", "Sb", 2.344)],
)
def test_sulfides(key, centre, bond):
    structure = Structure.from_file(reference.cif_path(key))
    assert SpacegroupAnalyzer(structure, symprec=1e-3).get_space_group_number() == 114
    assert structure.composition.reduced_formula == f"Na3{centre}S4"
    i = next(i for i, s in enumerate(structure) if s.specie.symbol == centre)
    near = sorted(n.nn_distance for n in structure.get_neighbors(structure[i], 2.8))
    assert near == pytest.approx([bond] * 4, abs=2e-3)
    r0, b = bond_valence_parameters()[centre, 5, "S"]
    assert 4 * np.exp((r0 - bond) / b) == pytest.approx(5.0, abs=0.5)


def test_orbit_counts():
    operations = list(gemmi.SpaceGroup("C 1 2/c 1").operations())
    vectors = np.eye(3) * 10
    assert len(orbit(operations, (0.1, 0.2, 0.3), vectors)) == 8
    assert len(orbit(operations, (0.25, 0.25, 0.5), vectors)) == 4
    assert len(orbit(operations, (0.0, 0.3, 0.25), vectors)) == 4

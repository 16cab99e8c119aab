"""The average cell: exact sums on every site, and the same cell in other programs."""

from __future__ import annotations

import json
import warnings
from fractions import Fraction

import gemmi
import pytest
from ase.io import read as ase_read
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition
from pymatgen.io.cif import CifParser
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nasicon_struct.cell import AverageCell, build_average_cell, distribute_sodium
from nasicon_struct.cif import read_structure
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.errors import CellError, ChargeBalanceError, CompositionError
from nasicon_struct.parents import list_parents, load_parent
from nasicon_struct.series import composition_series

ACCEPTANCE = "Na3.4Zr1.95Al0.05Si2.35P0.65O12"
FULL_PARENTS = [key for key in list_parents() if key != "hong1976_nzp"]  # that one has no Na2 site


@st.composite
def neutral_compositions(draw) -> NasiconComposition:
    """Random neutral compositions with up to three dopants and awkward fractions."""
    pool = ["Sc", "Zn", "Al", "Mg", "Y", "La", "Yb", "Hf", "Ti", "Nb", "Sn", "Fe"]
    elements = draw(st.lists(st.sampled_from(pool), unique=True, max_size=3))
    unit = draw(st.sampled_from([3, 7, 10, 20, 97, 1000]))
    left, dopants = 2 * unit, {}
    for element in elements:
        amount = draw(st.integers(0, left // 3))
        left -= amount
        if amount:
            dopants[element] = Fraction(amount, unit)
    x_si = Fraction(draw(st.integers(0, 3 * unit)), unit)
    try:
        return NasiconComposition.from_dopants(dopants, x_si=x_si)
    except CompositionError:
        return NasiconComposition.from_dopants({}, x_si=x_si)


# -- laws ----------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(neutral_compositions(), st.sampled_from(FULL_PARENTS), st.sampled_from(["refined", "uniform"]))
def test_occupancies_sum_exactly_and_are_neutral(comp, parent, rule):
    cell = build_average_cell(comp, parent=parent, na_distribution=rule)
    assert cell.amounts == comp.amounts
    assert cell.net_charge == 0
    for site in cell.sites:
        assert 0 < site.occupancy <= 1
        if not site.role.startswith("Na"):
            assert site.occupancy == 1
    assert sum(site.per_o12 for site in cell.sites if site.role == "M") == 2
    assert sum(site.per_o12 for site in cell.sites if site.role.startswith("T")) == 3
    total = {e.symbol: n for e, n in cell.structure.composition.element_composition.items()}
    assert {e: n / cell.z for e, n in total.items()} == pytest.approx(
        {e: float(n) for e, n in comp.amounts.items()}, abs=1e-9
    )
    assert cell.structure.charge == pytest.approx(0.0, abs=1e-7)


@settings(deadline=None, max_examples=25)
@given(
    neutral_compositions(),
    st.sampled_from(FULL_PARENTS),
    st.sampled_from(["refined", "prototype"]),
    st.sampled_from(["refined", "predicted"]),
)
def test_cif_round_trip_in_four_readers(tmp_path_factory, comp, parent, coordinates, lattice):
    cell = build_average_cell(comp, parent=parent, coordinates=coordinates, lattice=lattice)
    path = tmp_path_factory.mktemp("cell") / "cell.cif"
    text = cell.to_cif(path)
    assert text.isascii()
    assert path.read_text() == text
    expected = {e: float(n) for e, n in comp.amounts.items()}

    mine = read_structure(path)
    assert {e.symbol: n / cell.z for e, n in mine.composition.element_composition.items()} == pytest.approx(
        expected, abs=1e-6
    )
    assert mine.matches(cell.structure)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (pmg,) = CifParser(path, occupancy_tolerance=1.0 + 1e-7).parse_structures(primitive=False)
        atoms = ase_read(path)
    assert {e.symbol: n / cell.z for e, n in pmg.composition.element_composition.items()} == pytest.approx(
        expected, abs=1e-6
    )
    seen: dict[str, float] = {}
    for site in gemmi.read_small_structure(str(path)).get_all_unit_cell_sites():
        seen[site.element.name] = seen.get(site.element.name, 0.0) + site.occ / cell.z
    assert seen == pytest.approx(expected, abs=1e-5)
    seen = {}
    for kind in atoms.arrays["spacegroup_kinds"]:
        for element, amount in atoms.info["occupancy"][str(kind)].items():
            seen[element] = seen.get(element, 0.0) + amount / cell.z
    assert seen == pytest.approx(expected, abs=1e-5)


@given(
    st.fractions(0, 4, max_denominator=1000),
    st.lists(st.tuples(st.integers(1, 3), st.fractions(Fraction(1, 100), 1, max_denominator=100)), min_size=3,
             max_size=4),
)  # fmt: skip
def test_sodium_is_shared_out_exactly(na, spots):
    sites = [(f"Na{i}", count, weight) for i, (count, weight) in enumerate(spots)]
    if na > sum(count for _, count, _ in sites):
        with pytest.raises(CellError):
            distribute_sodium(na, sites)
        return
    shares = distribute_sodium(na, sites)
    assert sum(count * shares[label] for label, count, _ in sites) == na
    assert all(0 <= share <= 1 for share in shares.values())
    partly = [(shares[label], w) for label, _, w in sites if shares[label] < 1]
    for share, weight in partly:  # sites that are not full keep the ratio of their weights
        assert share * partly[0][1] == partly[0][0] * weight
    full = [w for label, _, w in sites if shares[label] == 1]
    if full and partly:
        assert min(full) >= max(w for _, w in partly)


@settings(deadline=None, max_examples=20)
@given(neutral_compositions())
def test_round_trip(comp):
    cell = build_average_cell(comp)
    again = AverageCell.from_dict(json.loads(json.dumps(cell.as_dict())))
    assert again.sites == cell.sites
    assert again.composition == cell.composition
    assert again.amounts == comp.amounts
    assert again.warnings == cell.warnings
    assert again.lattice_prediction == cell.lattice_prediction
    assert again.structure.matches(cell.structure)
    assert again.structure.site_properties["label"] == cell.structure.site_properties["label"]


# -- the acceptance cell -------------------------------------------------------------------------------


def test_acceptance(tmp_path):
    cell = build_average_cell(ACCEPTANCE, parent="xun2025_s2")
    path = tmp_path / "cell.cif"
    cell.to_cif(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (structure,) = CifParser(path).parse_structures(primitive=False)
    target = {"Na": 3.4, "Zr": 1.95, "Al": 0.05, "Si": 2.35, "P": 0.65, "O": 12.0}
    got = {e.symbol: n / 4 for e, n in structure.composition.element_composition.items()}
    assert got == pytest.approx(target, abs=1e-3)
    analyzer = SpacegroupAnalyzer(structure, symprec=0.01)
    assert analyzer.get_space_group_number() == 15
    assert len(analyzer.get_symmetrized_structure().equivalent_sites) == 12
    text = path.read_text()
    assert "Na 17/5, Zr 39/20, Al 1/20, Si 47/20, P 13/20, O 12" in " ".join(text.replace("#", "").split())
    assert "Table S2" in text
    # per site: M and T exactly as the composition says
    for site in structure:
        amounts = {e.symbol: n for e, n in site.species.element_composition.items()}
        if "Zr" in amounts:
            assert amounts == pytest.approx({"Zr": 0.975, "Al": 0.025}, abs=1e-6)
        if "Si" in amounts:
            assert amounts == pytest.approx({"Si": 2.35 / 3, "P": 0.65 / 3}, abs=1e-6)


def test_labels_and_sites():
    cell = build_average_cell(ACCEPTANCE)
    labels = ["Na1", "Na2", "Na3", "Zr1", "T1", "T2", "O1", "O2", "O3", "O4", "O5", "O6"]
    assert [site.label for site in cell.sites] == labels
    assert list(dict.fromkeys(cell.structure.site_properties["label"])) == labels
    assert cell.structure.site_properties["wyckoff"][0] == "4d"
    assert [s.wyckoff for s in cell.sites[:6]] == ["4d", "4e", "8f", "8f", "4e", "8f"]
    assert cell.site("Zr1").occupancies == {"Zr": Fraction(39, 40), "Al": Fraction(1, 40)}
    assert cell.parent == "xun2025_s2"
    assert len(cell.structure) == 84
    frame = cell.to_dataframe()
    assert len(frame) == 15
    assert frame.set_index(["label", "element"]).loc[("T1", "Si"), "occupancy_exact"] == "47/60"
    with pytest.raises(CellError, match="Na1"):
        cell.site("Li1")


def test_sodium_rule_on_the_refined_parent():
    """S2 has Na1 0.81, Na2 1, Na3 0.6: at Na 3.4 Na2 stays full, the others rise in proportion."""
    cell = build_average_cell(ACCEPTANCE)
    rest = Fraction(12, 5)  # 3.4 less the full Na2
    factor = rest / (Fraction("0.81") + 2 * Fraction("0.6"))
    assert cell.site("Na2").occupancy == 1
    assert cell.site("Na1").occupancy == Fraction("0.81") * factor
    assert cell.site("Na3").occupancy == Fraction("0.6") * factor
    full = build_average_cell("Na4Zr2Si3O12")
    assert [full.site(label).occupancy for label in ("Na1", "Na2", "Na3")] == [1, 1, 1]
    parent = load_parent("xun2025_s2")
    same = build_average_cell("Na3.01Zr2Si2.01P0.99O12")
    for label in ("Na1", "Na2", "Na3"):
        assert float(same.site(label).occupancy) == pytest.approx(parent.site(label).occupancy)


def test_sodium_as_given():
    cell = build_average_cell(ACCEPTANCE, na_distribution={"Na1": "0.9", "Na2": 1, "Na3": "0.75"})
    assert cell.site("Na1").occupancy == Fraction(9, 10)
    assert any("as given" in p for p in cell.provenance)
    bad = [{"Na1": 1}, {"Na1": 2, "Na2": 1, "Na3": 0.2}, {"Na9": 1}, "random", 5]
    for rule in bad:
        with pytest.raises(CellError):
            build_average_cell(ACCEPTANCE, na_distribution=rule)


def test_no_sodium_site_is_left_without_sodium():
    cell = build_average_cell("Nb2P3O12", parent="hong1976_nzp", oxidation_states={"Nb": "9/2"})
    assert [site.label for site in cell.sites] == ["Zr1", "T1", "O1", "O2"]
    assert cell.net_charge == 0
    assert "Nb1 Nb " in cell.to_cif()  # no whole-number charge, so none in the type symbol
    assert "4.5" in cell.to_cif()


def test_inputs():
    reference = build_average_cell(ACCEPTANCE)
    for same in (NasiconComposition.from_formula(ACCEPTANCE), Composition(ACCEPTANCE)):
        assert build_average_cell(same).sites == reference.sites
    assert build_average_cell("Na3.4Zr1.9V0.1Si2.3P0.7O12", oxidation_states={"V": 3}).net_charge == 0
    series = composition_series("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", x=[0, 0.05, 0.1])
    assert [float(build_average_cell(c).amounts["Na"]) for c in series] == pytest.approx([3.2, 3.3, 3.4])


# -- coordinates, lattice, warnings ---------------------------------------------------------------------


def test_refined_oxygens_never_pass_without_a_warning():
    for parent in ("xun2025_s2", "xun2025_s3"):
        for lattice in ("refined", "predicted"):
            cell = build_average_cell(ACCEPTANCE, parent=parent, lattice=lattice)
            assert any("unphysical" in w and "prototype" in w for w in cell.warnings)
            assert not cell.geometry.is_sane
            assert "WARNING: Bond lengths" in cell.to_cif()
            cell = build_average_cell(ACCEPTANCE, parent=parent, coordinates="prototype", lattice=lattice)
            assert cell.geometry.is_sane
            assert not any("unphysical" in w for w in cell.warnings)


def test_prototype_coordinates_are_those_of_the_prototype():
    cell = build_average_cell(ACCEPTANCE, coordinates="prototype")
    prototype = load_parent("subramanian1985")
    for site in cell.sites:
        assert site.xyz == prototype.site(site.label).xyz
    assert any("subramanian1985" in p and "Table VI" in p for p in cell.provenance)
    assert cell.structure.lattice.parameters == pytest.approx(load_parent("xun2025_s2").lattice.parameters)
    assert all(site.u_iso_ang2 is None for site in cell.sites)


def test_s3_is_called_rhombohedral_by_metric():
    cell = build_average_cell(ACCEPTANCE, parent="xun2025_s3")
    assert any("rhombohedral by metric" in w for w in cell.warnings)
    assert not any("rhombohedral by metric" in w for w in build_average_cell(ACCEPTANCE).warnings)


def test_rhombohedral_parent():
    cell = build_average_cell(ACCEPTANCE, parent="boilot1988_x235", lattice="predicted")
    assert (cell.setting, cell.space_group_number, cell.z) == ("R-3c", 167, 6)
    assert SpacegroupAnalyzer(cell.structure, symprec=0.01).get_space_group_number() == 167
    a, b, c, alpha, beta, gamma = cell.structure.lattice.parameters
    assert (a, alpha, beta, gamma) == pytest.approx((b, 90, 90, 120))
    assert (a, c) == pytest.approx((cell.lattice_prediction.a_h_ang, cell.lattice_prediction.c_h_ang))
    assert cell.distortion.strain_norm < 1e-9
    assert cell.warnings == ()


def test_predicted_monoclinic_lattice_is_monoclinic():
    cell = build_average_cell("Na3Zr2Si2PO12", lattice="predicted")
    assert -0.0196 < cell.distortion.delta2 < -0.0110
    assert cell.structure.lattice.beta == pytest.approx(124, abs=0.5)
    assert any("error of leaving one source out" in p for p in cell.provenance)


def test_far_lattices_are_flagged():
    assert any("far from that predicted" in w for w in build_average_cell("NaZr2P3O12").warnings)
    assert any("extrapolated" in w for w in build_average_cell("Na3La2P3O12", lattice="predicted").warnings)


def test_errors():
    with pytest.raises(ChargeBalanceError) as info:
        build_average_cell("Na3.4Zr2Si2.35P0.65O12")
    assert info.value.na_needed == pytest.approx(3.35)
    with pytest.raises(CellError, match="choose one of xun2025_s2"):
        build_average_cell(ACCEPTANCE, parent="nothing")
    with pytest.raises(CellError, match="does not fit"):
        build_average_cell(ACCEPTANCE, parent="hong1976_nzp")
    for option in ("coordinates", "lattice"):
        with pytest.raises(CellError, match=option):
            build_average_cell(ACCEPTANCE, **{option: "best"})
    with pytest.raises(CompositionError):
        build_average_cell("Na3Zr2Si2PO12B")

"""The metric: laws first, then published cells, then an independent code."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nasicon_struct.errors import CellError
from nasicon_struct.metric import (
    HEX_TO_MONO,
    ORIGIN_SHIFT,
    hexagonal_to_monoclinic_cell,
    monoclinic_cell_from_distortion,
    monoclinic_distortion,
    to_monoclinic,
    to_rhombohedral,
)

# Cells (angstrom, degree) and the distortion they must give.
PUBLISHED = {
    # Hong, Mater. Res. Bull. 11 (1976) 173, Table 1: x = 1.8, 2.0, 2.2
    "hong_1.8": ((15.567, 9.003, 9.217, 123.76), (-0.0017, -0.0129, 0.0063)),
    "hong_2.0": ((15.586, 9.029, 9.205, 123.70), (-0.0034, -0.0169, 0.0085)),
    "hong_2.2": ((15.618, 9.051, 9.210, 123.93), (-0.0038, -0.0125, 0.0066)),
    # Subramanian et al., J. Solid State Chem. 60 (1985) 172, Table I: Na3.3Sc0.3Zr1.7Si2PO12
    "subramanian_na3.3": ((15.644, 9.054, 9.215, 124.00), (-0.0024, -0.0118, 0.0060)),
    # Xun et al. 2025, SI Tables S2 and S3
    "xun_s2": ((15.6972, 9.0762, 9.2167, 124.090), (-0.0015, -0.0127, 0.0062)),
    "xun_s3": ((15.809, 9.100, 9.219, 125.039), (+0.0030, +0.0044, 0.0030)),
}
# R-3c cells, hexagonal (a_h, c_h): Hong 1976 (x = 0, 2.4), Boilot 1988, Tran Qui 1981
HEXAGONAL = [(8.815, 22.746), (9.079, 22.685), (9.097, 22.680), (9.1863, 22.181)]

hex_cells = st.tuples(st.floats(8.0, 9.6), st.floats(2.36, 2.7)).map(lambda ac: (ac[0], ac[0] * ac[1]))
small = st.floats(-0.02, 0.02)


def conventional(parameters):
    a, b, c, beta = parameters
    return Lattice.from_parameters(a, b, c, 90, beta, 90)


@pytest.fixture(scope="module")
def r3c() -> Structure:
    """Boilot, Collin, Colomban, J. Solid State Chem. 73 (1988) 160, Tables I-II."""
    return Structure.from_spacegroup(
        "R-3cH",
        Lattice.hexagonal(9.097, 22.680),
        ["Zr4+", {"Si4+": 0.783, "P5+": 0.217}, "O2-", "O2-", {"Na+": 0.49}, {"Na+": 0.7733}],
        [[0, 0, 0.1475], [0.2921, 0, 0.25], [0.1777, -0.0281, 0.1936], [0.1902, 0.1672, 0.0898], [0, 0, 0],
         [0.6371, 0, 0.25]],
        site_properties={"label": ["Zr", "T", "O1", "O2", "Na1", "Na2"]},
    )  # fmt: skip


# -- laws ------------------------------------------------------------------------------------------


def test_basis_volume_and_origin():
    assert np.linalg.det(HEX_TO_MONO) == pytest.approx(2 / 3, abs=1e-15)
    # Na1 of R-3c (0, 0, 0) on 4d (1/4, 1/4, 1/2), up to C2/c translations
    x = np.linalg.solve(HEX_TO_MONO, np.zeros(3) - ORIGIN_SHIFT)
    assert np.allclose((x - [0.25, 0.25, 0.5]) % 0.5, 0) or np.allclose((x - [0.75, 0.25, 0.0]) % 1.0, 0)


@given(hex_cells)
@settings(deadline=None)
def test_undistorted_metric_has_no_distortion(cell):
    a_h, c_h = cell
    for given_cell in (
        Lattice.hexagonal(a_h, c_h),
        to_monoclinic(Lattice.hexagonal(a_h, c_h)),
        hexagonal_to_monoclinic_cell(a_h, c_h),
    ):
        d = monoclinic_distortion(given_cell)
        assert max(abs(d.delta1), abs(d.delta2), d.strain_norm) < 1e-12
        assert d.nearest_a_h_ang == pytest.approx(a_h, rel=1e-12)
        assert d.nearest_c_h_ang == pytest.approx(c_h, rel=1e-12)


@given(hex_cells)
@settings(deadline=None, max_examples=30)
def test_rhombohedral_primitive_cell_has_no_distortion(cell):
    a_h, c_h = cell
    a_r = math.sqrt(a_h**2 / 3 + c_h**2 / 9)
    lattice = Lattice.rhombohedral(a_r, math.degrees(2 * math.asin(a_h / 2 / a_r)))
    d = monoclinic_distortion(lattice)
    assert d.strain_norm < 1e-12
    # volumes can tell the primitive cell from any other, so c/a is the one that was put in
    assert d.nearest_c_h_ang == pytest.approx(c_h, rel=1e-9)


@given(hex_cells, small, small)
@settings(deadline=None)
def test_distortion_is_recovered_and_strain_bounds_it(cell, delta1, delta2):
    monoclinic = monoclinic_cell_from_distortion(*cell, delta1, delta2)
    a, b, c, beta = monoclinic
    assert a / (math.sqrt(3) * b) - 1 == pytest.approx(delta1, abs=1e-12)
    assert -3 * c * math.cos(math.radians(beta)) / a - 1 == pytest.approx(delta2, abs=1e-12)
    assert a * b * c * math.sin(math.radians(beta)) * 1.5 == pytest.approx(
        math.sqrt(0.75) * cell[0] ** 2 * cell[1], rel=1e-12
    )


@given(st.sampled_from(sorted(PUBLISHED)), st.lists(st.integers(-2, 2), min_size=9, max_size=9))
@settings(deadline=None, max_examples=80)
def test_distortion_does_not_depend_on_the_setting(name, entries):
    """Any cell of the same lattice, primitive or up to four-fold, gives the same numbers."""
    lattice = conventional(PUBLISHED[name][0])
    primitive = np.array([[0.5, 0.5, 0], [0.5, -0.5, 0], [0, 0, 1]]) @ lattice.matrix
    change = np.array(entries).reshape(3, 3)
    if not 1 <= abs(round(np.linalg.det(change))) <= 4:
        return
    reference = monoclinic_distortion(lattice)
    d = monoclinic_distortion(Lattice(change @ primitive).parameters)
    assert (d.delta1, d.delta2, d.strain_norm) == pytest.approx(
        (reference.delta1, reference.delta2, reference.strain_norm), abs=1e-9
    )


def test_a_large_bare_lattice_is_refused_when_ambiguous():
    lattice = conventional(PUBLISHED["hong_1.8"][0])
    primitive = np.array([[0.5, 0.5, 0], [0.5, -0.5, 0], [0, 0, 1]]) @ lattice.matrix
    with pytest.raises(CellError, match="more than one way"):
        monoclinic_distortion(Lattice(np.array([[1, -2, -1], [1, -1, -2], [-1, -2, -2]]) @ primitive))


SETTINGS = {
    "A2/a": [[0, 0, 1], [0, -1, 0], [1, 0, 0]],
    "I2/a": [[1, 0, 0], [0, 1, 0], [1, 0, 1]],
    "I2/c": [[1, 0, 1], [0, 1, 0], [0, 0, -1]],
    "A2/n": [[-1, 0, -1], [0, 1, 0], [1, 0, 0]],
    "unique axis c": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    "unique axis a": [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
    "acute beta": [[-1, 0, 0], [0, 1, 0], [0, 0, 1]],
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_named_settings(name, setting):
    lattice = conventional(PUBLISHED[name][0])
    reference = monoclinic_distortion(lattice)
    for moved in (
        Lattice(np.array(SETTINGS[setting]) @ lattice.matrix),
        lattice.get_niggli_reduced_lattice(),
    ):
        d = monoclinic_distortion(moved.parameters)
        assert (d.delta1, d.delta2, d.strain_norm) == pytest.approx(
            (reference.delta1, reference.delta2, reference.strain_norm), abs=1e-8
        )
        change = np.array(d.transformation)
        found = change @ moved.matrix
        assert np.allclose(found @ found.T, lattice.matrix @ lattice.matrix.T, atol=1e-6)


@given(st.integers(-30, 30), st.integers(-30, 30), st.integers(-60, 60))
def test_miller_indices_there_and_back(h, k, ell):
    hkl = np.array([h, k, ell])
    mono = to_monoclinic(hkl)
    assert np.allclose(to_rhombohedral(mono), hkl, atol=1e-10)
    if (-h + k + ell) % 3 == 0:
        assert np.issubdtype(mono.dtype, np.integer)
        assert tuple(mono) == (h + 2 * k, -h, (-h - 2 * k + ell) // 3)
        assert (mono[0] + mono[1]) % 2 == 0  # C centring


@given(hex_cells, st.integers(-5, 5), st.integers(-5, 5), st.integers(-15, 15))
@settings(deadline=None)
def test_d_spacings_are_kept(cell, h, k, ell):
    if (h, k, ell) == (0, 0, 0):
        return
    lattice = Lattice.hexagonal(*cell)
    mono = to_monoclinic(lattice)
    assert mono.d_hkl(to_monoclinic([float(h), k, ell])) == pytest.approx(
        lattice.d_hkl([h, k, ell]), rel=1e-10
    )


@given(hex_cells)
@settings(deadline=None)
def test_lattices_there_and_back(cell):
    lattice = Lattice.hexagonal(*cell)
    mono = to_monoclinic(lattice)
    assert np.allclose(to_rhombohedral(mono).matrix, lattice.matrix, atol=1e-10)
    assert mono.parameters == pytest.approx(
        (lambda p: (p[0], p[1], p[2], 90, p[3], 90))(hexagonal_to_monoclinic_cell(*cell)), abs=1e-9
    )
    distorted = conventional(PUBLISHED["xun_s2"][0])
    assert np.allclose(to_monoclinic(to_rhombohedral(distorted)).matrix, distorted.matrix, atol=1e-10)


def test_lines_that_split():
    """104, 110, 024 of R-3c and the C2/c lines they become."""
    split = {(1, 0, 4): (1, 1, 1), (0, 2, 4): (2, 2, -2)}
    lattice = to_monoclinic(Lattice.hexagonal(9.07, 22.9))
    for hexagonal, mono in split.items():
        assert lattice.d_hkl(to_monoclinic(hexagonal)) == pytest.approx(lattice.d_hkl(mono), rel=1e-10)
    assert lattice.d_hkl((2, 0, -2)) == pytest.approx(lattice.d_hkl((1, 1, 1)), rel=1e-10)
    assert lattice.d_hkl((0, 2, 0)) == pytest.approx(lattice.d_hkl((3, 1, -1)), rel=1e-10)
    assert lattice.d_hkl((4, 0, 0)) == pytest.approx(lattice.d_hkl((2, 2, -2)), rel=1e-10)


# -- published numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cells(name):
    cell, expected = PUBLISHED[name]
    d = monoclinic_distortion(cell)
    assert (d.delta1, d.delta2, d.strain_norm) == pytest.approx(expected, abs=0.5e-4)
    assert (d.a_ang, d.b_ang, d.c_ang, d.beta_deg) == pytest.approx(cell, abs=1e-9)


def test_s3_is_rhombohedral_by_metric():
    """Xun et al. 2025, SI Table S3: labelled C2/c, with the wrong sign of both modes."""
    d = monoclinic_distortion(PUBLISHED["xun_s3"][0])
    assert d.delta1 > 0
    assert d.delta2 > 0
    assert (d.nearest_a_h_ang, d.nearest_c_h_ang) == pytest.approx((9.114, 22.645), abs=5e-4)


def test_genuine_monoclinic_cells_lie_in_the_published_range():
    for name, (cell, _) in PUBLISHED.items():
        if name != "xun_s3":
            assert -0.0196 <= monoclinic_distortion(cell).delta2 <= -0.0110


def test_beta_without_distortion():
    assert hexagonal_to_monoclinic_cell(8.815, 22.746)[3] == pytest.approx(123.87, abs=5e-3)  # NaZr2P3O12
    assert hexagonal_to_monoclinic_cell(9.1863, 22.181)[3] == pytest.approx(125.65, abs=5e-3)  # Na4Zr2Si3O12


@pytest.mark.parametrize("cell", HEXAGONAL)
def test_hexagonal_parameters(cell):
    d = monoclinic_distortion(cell)
    assert d.strain_norm < 1e-12
    assert (d.nearest_a_h_ang, d.nearest_c_h_ang) == pytest.approx(cell)
    assert d.lattice_points == 3


# -- uncertainties ---------------------------------------------------------------------------------


def test_esds_against_sampling():
    cell = np.array(PUBLISHED["xun_s2"][0])
    esd = np.array([0.0008, 0.0005, 0.0004, 0.003])  # as printed
    d = monoclinic_distortion(tuple(cell), esds=tuple(esd))
    a, b, c, beta = (cell + esd * np.random.default_rng(1).normal(size=(200_000, 4))).T
    delta1 = a / (math.sqrt(3) * b) - 1
    delta2 = -3 * c * np.cos(np.radians(beta)) / a - 1
    assert d.delta1_se == pytest.approx(delta1.std(), rel=0.02)
    assert d.delta2_se == pytest.approx(delta2.std(), rel=0.02)
    same = monoclinic_distortion(tuple(cell), esds=dict(zip(("a", "b", "c", "beta"), esd, strict=True)))
    assert same.delta2_se == pytest.approx(d.delta2_se)
    assert monoclinic_distortion(tuple(cell)).delta1_se is None


def test_hexagonal_esds_cancel():
    """In a hexagonal cell a and b are one parameter: delta1 and delta2 cannot move."""
    d = monoclinic_distortion((9.097, 22.680), esds=(0.001, 0.003))
    assert d.delta1_se == pytest.approx(0.0, abs=1e-9)
    assert d.delta2_se == pytest.approx(0.0, abs=1e-9)


# -- structures ------------------------------------------------------------------------------------


def test_structure_becomes_c2c_and_comes_back(r3c):
    mono = to_monoclinic(r3c)
    assert len(mono) * 3 == len(r3c) * 2
    assert SpacegroupAnalyzer(mono, symprec=1e-3).get_space_group_number() == 167  # same crystal
    assert monoclinic_distortion(mono).strain_norm < 1e-12
    na1 = [site.frac_coords % 1 for site in mono if site.properties["label"] == "Na1"]
    expected = [(0.25, 0.25, 0.5), (0.75, 0.75, 0.5), (0.75, 0.25, 0.0), (0.25, 0.75, 0.0)]  # 4d of C2/c
    assert all(any(np.allclose((f - e + 0.5) % 1, 0.5, atol=1e-9) for e in expected) for f in na1)
    assert len(na1) == 4
    back = to_rhombohedral(mono)
    assert len(back) == len(r3c)
    assert np.allclose(back.lattice.matrix, r3c.lattice.matrix, atol=1e-10)
    for site in r3c:
        delta = back.frac_coords - site.frac_coords
        delta -= np.round(delta)
        j = int(np.argmin(np.linalg.norm(delta, axis=1)))
        assert np.abs(delta[j]).max() < 1e-10
        assert back[j].species == site.species
        assert back[j].properties["label"] == site.properties["label"]
    assert back.volume / len(back) == pytest.approx(mono.volume / len(mono))


def test_c2c_symmetry_holds_in_the_new_setting(r3c):
    """The operations of C2/c, cell choice 1, map the transformed structure onto itself."""
    mono = to_monoclinic(r3c)
    for operation in (
        lambda x: x + np.array([0.5, 0.5, 0]),
        lambda x: x * [-1, 1, -1] + [0, 0, 0.5],
        lambda x: -x,
        lambda x: x * [1, -1, 1] + [0, 0, 0.5],
    ):
        delta = operation(mono.frac_coords)[:, None] - mono.frac_coords[None]
        delta -= np.round(delta)
        assert np.abs(delta).max(axis=2).min(axis=1).max() < 1e-9


def test_primitive_and_reverse_settings(r3c):
    primitive = r3c.get_primitive_structure()
    mono = to_monoclinic(primitive)
    assert len(mono) == 2 * len(primitive)
    assert monoclinic_distortion(primitive).strain_norm < 1e-6
    turn = np.diag([-1.0, -1.0, 1.0])
    reverse = Structure(r3c.lattice, [s.species for s in r3c], r3c.frac_coords @ turn)
    assert len(to_monoclinic(reverse)) * 3 == len(reverse) * 2


@pytest.mark.parametrize("scaling", [[1, 1, 5], [[2, 1, 0], [0, 1, 1], [1, 0, 3]], [2, 2, 2]])
def test_structures_in_supercells(scaling, r3c):
    mono = to_monoclinic(r3c)
    strained = Structure(
        conventional(PUBLISHED["xun_s2"][0]), [s.species for s in mono], mono.frac_coords
    )  # fmt: skip
    cell = strained * np.array(scaling) if np.ndim(scaling) == 2 else strained * tuple(scaling)
    d = monoclinic_distortion(cell)
    assert (d.delta1, d.delta2) == pytest.approx((-0.0015, -0.0127), abs=1e-4)


def test_ase_atoms(r3c):
    from ase import Atoms

    ordered = r3c.copy()
    for i, site in enumerate(ordered):
        ordered[i] = max(site.species.items(), key=lambda kv: kv[1])[0]
    atoms = Atoms([s.specie.symbol for s in ordered], cell=ordered.lattice.matrix,
                  scaled_positions=ordered.frac_coords, pbc=True)  # fmt: skip
    assert monoclinic_distortion(atoms).strain_norm < 1e-9


# -- errors and round trip -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        (5.0, 5.0, 5.0, 90, 90, 90),
        (10.0, 10.0, 24.0, 90, 90, 90),
        (6.952, 6.952, 7.0757, 90, 90, 90),
        (1, 2, 3),
        (0.0, 0.0),
        (9.0, math.nan),
        "cell",
        {"a": 9.0},
        7,
        np.zeros((3, 3)),
        (15.7, 9.1, 9.2, 200.0),
        {"a": 9.0, "c": 22.0, "x": 1},
        (120.0, 90.0, 92.0, 124.0),
    ],
)
def test_clear_errors(bad):
    with pytest.raises(CellError) as info:
        monoclinic_distortion(bad)
    assert "\n" not in str(info.value)


def test_transform_errors(r3c):
    with pytest.raises(CellError):
        to_monoclinic(Lattice.cubic(9))
    with pytest.raises(CellError):
        to_rhombohedral(Lattice.cubic(9))
    with pytest.raises(CellError):
        to_monoclinic([1, 2])
    broken = r3c.copy()
    broken.remove_sites([0])
    with pytest.raises(CellError, match="centring"):
        to_monoclinic(broken)
    with pytest.raises(CellError):
        monoclinic_distortion(PUBLISHED["xun_s2"][0], esds=(1, 2, 3))
    with pytest.raises(CellError):
        monoclinic_distortion(PUBLISHED["xun_s2"][0], esds={"a": -1.0})


def test_round_trip():
    d = monoclinic_distortion(PUBLISHED["xun_s2"][0], esds=(0.001, 0.001, 0.001, 0.01))
    assert type(d).from_dict(d.as_dict()) == d
    assert MontyDecoder().process_decoded(d.as_dict()) == d
    assert "delta2 -0.0127 +- " in str(d)

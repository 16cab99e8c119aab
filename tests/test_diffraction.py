"""Calculated powder patterns: laws, published numbers, and an independent structure-factor code."""

from __future__ import annotations

import json
import math

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

import nasicon_struct.diffraction as dif
from nasicon_struct.errors import CellError, PatternError
from nasicon_struct.metric import monoclinic_cell_from_distortion, to_monoclinic, to_rhombohedral


def boilot() -> Structure:
    """Na3.35Zr2Si2.35P0.65O12: Boilot, Collin, Colomban, J. Solid State Chem. 73 (1988) 160, Tables I, II."""
    return Structure.from_spacegroup(
        "R-3c",
        Lattice.hexagonal(9.097, 22.680),
        ["Zr", {"Si": 0.783, "P": 0.217}, "O", "O", {"Na": 0.49}, {"Na": 0.7733}],
        [
            [0, 0, 0.1475],
            [0.2921, 0, 0.25],
            [0.1777, -0.0281, 0.1936],
            [0.1902, 0.1672, 0.0898],
            [0, 0, 0],
            [0.6371, 0, 0.25],
        ],
    )


def subramanian() -> Structure:
    """Na3Zr1.5Sc0.5Si1.5P1.5O12, C2/c: Subramanian, Rudolf, Clearfield, J. Solid State Chem. 60 (1985) 172,
    Table VI (z of T1 printed 0.0, 1/4 meant)."""
    t = {"Si": 0.5, "P": 0.5}
    return Structure.from_spacegroup(
        "C2/c",
        Lattice.monoclinic(15.6160, 9.0188, 9.1841, 123.92),
        [{"Zr": 0.75, "Sc": 0.25}, t, t, *["O"] * 6, {"Na": 0.69}, {"Na": 0.86}, {"Na": 0.73}],
        [
            [0.1010, 0.2503, 0.0554],
            [0, 0.0480, 0.25],
            [0.3567, 0.1100, 0.2628],
            [0.1468, 0.4403, 0.2130],
            [0.4366, 0.4484, 0.0856],
            [0.2536, 0.1852, 0.2076],
            [0.3781, 0.1342, 0.1199],
            [0.4484, 0.1813, 0.4258],
            [0.0783, 0.1462, 0.2362],
            [0.25, 0.25, 0.5],
            [0.5, 0.9081, 0.25],
            [0.8186, 0.0935, 0.8207],
        ],
    )


def gemmi_intensities(
    structure: Structure, hkls: list[tuple[int, int, int]], lam: float, b_iso: float
) -> np.ndarray:
    """|F|^2 with Lorentz and polarisation factor, from gemmi's form factors (Int. Tables C) in P1."""
    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(*structure.lattice.parameters)
    small.spacegroup_hm = "P 1"
    for number, site in enumerate(structure):
        for species, occupancy in site.species.items():
            atom = gemmi.SmallStructure.Site()
            atom.label = f"{species.symbol}{number}"
            atom.type_symbol = species.symbol
            atom.element = gemmi.Element(species.symbol)
            atom.fract = gemmi.Fractional(*site.frac_coords)
            atom.occ = occupancy
            atom.u_iso = b_iso / (8.0 * math.pi**2)
            small.add_site(atom)
    small.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    out = []
    for hkl in hkls:
        f = calculator.calculate_sf_from_small_structure(small, list(hkl))
        theta = math.asin(lam / (2.0 * small.cell.calculate_d(list(hkl))))
        lp = (1.0 + math.cos(2.0 * theta) ** 2) / (math.sin(theta) ** 2 * math.cos(theta))
        out.append(abs(f) ** 2 * lp)
    return np.array(out)


class TestIndices:
    @settings(deadline=None, max_examples=200)
    @given(st.tuples(*[st.integers(-9, 9)] * 3))
    def test_index_change_is_its_own_inverse(self, hkl: tuple[int, int, int]) -> None:
        there_and_back = to_rhombohedral(to_monoclinic(np.array(hkl, dtype=float)))
        assert np.allclose(there_and_back, hkl, atol=1e-10)

    @settings(deadline=None, max_examples=100)
    @given(
        st.tuples(*[st.integers(-6, 6)] * 3), st.floats(8.4, 9.3), st.floats(21.5, 23.3), st.floats(0.6, 1.8)
    )
    def test_same_plane_same_spacing(self, hkl: tuple[int, int, int], a: float, c: float, lam: float) -> None:
        cell = monoclinic_cell_from_distortion(a, c)
        mono = to_monoclinic(np.array(hkl, dtype=float))
        assert dif.inverse_d_squared_monoclinic(tuple(mono), *cell) == pytest.approx(
            dif.inverse_d_squared_hexagonal(hkl, a, c), abs=1e-12
        )

    @settings(deadline=None, max_examples=100)
    @given(st.tuples(*[st.integers(-6, 6)] * 3).filter(lambda t: (-t[0] + t[1] + t[2]) % 3 == 0 and any(t)))
    def test_families_keep_every_plane(self, hkl: tuple[int, int, int]) -> None:
        families = dif.monoclinic_families(hkl)
        assert sum(n for _, n in families) == len(dif.hexagonal_family(hkl))
        for label, number in families:
            assert number == len(dif.monoclinic_family(label))
            assert (label[0] + label[1]) % 2 == 0  # C centring
            assert dif.hexagonal_label(tuple(int(v) for v in to_rhombohedral(np.array(label)))) == (
                dif.hexagonal_label(hkl)
            )

    def test_published_rule_lines(self) -> None:
        """The lines of the three-peak rule (Li et al. 2025) and the C2/c lines they become."""
        table = {line.label: line for line in dif.index_table()}
        assert table["19.2"].hkl_monoclinic == ((1, 1, 1), (2, 0, -2))
        assert table["19.6"].hkl_monoclinic == ((3, 1, -1), (0, 2, 0))
        assert table["27.5"].hkl_monoclinic == ((2, 2, -2), (4, 0, 0))
        assert table["34.5"].hkl_monoclinic == ((3, 3, -1), (6, 0, -2))
        assert all(line.multiplicities == (4, 2) for line in table.values())

    def test_split_coefficients(self) -> None:
        """Magnitudes, checked by hand from the metric: at delta1 the 110 line moves as tan(theta)."""
        table = {line.label: line for line in dif.index_table(a_h_ang=9.05, c_h_ang=22.9)}
        assert table["19.2"].split_delta1_deg == pytest.approx(-5.05, rel=0.03)
        assert table["19.2"].split_delta2_deg == pytest.approx(-9.43, rel=0.03)
        assert abs(table["19.6"].split_delta1_deg) == pytest.approx(14.8, rel=0.02)
        assert table["19.6"].split_delta2_deg == pytest.approx(0.0, abs=1e-6)
        assert table["27.5"].split_delta1_deg == pytest.approx(-14.3, rel=0.02)
        assert table["27.5"].split_delta2_deg == pytest.approx(13.4, rel=0.03)
        assert abs(table["34.5"].split_delta1_deg) == pytest.approx(26.5, rel=0.02)
        # 110 becomes 31-1 and 020: d(020) = b/2 alone changes with b = a_h / sqrt(1 + delta1)
        theta = math.asin(1.5405929 / 9.05)
        tan_part = math.degrees(2.0 * math.tan(theta))
        assert table["19.6"].split_delta1_deg == pytest.approx(0.75 * tan_part, rel=0.01)

    def test_forbidden_line_is_refused(self) -> None:
        with pytest.raises(PatternError, match="multiple of 3"):
            dif.monoclinic_families((0, 1, 4))
        with pytest.raises(PatternError, match="does not diffract"):
            dif.index_table(lines=((30, 0, 0),))


class TestPattern:
    @pytest.mark.parametrize(("build", "floor"), [(boilot, 0.5), (subramanian, 0.5)])
    def test_intensities_against_gemmi(self, build: object, floor: float) -> None:
        """Two codes, two tables of form factors: relative intensities agree within 3 % or 0.6 units."""
        structure = build()  # type: ignore[operator]
        lam, b_iso = 1.5405929, 1.0
        pattern = dif.powder_pattern(structure, wavelength=lam, kalpha2=False, b_iso_ang2=b_iso)
        lines = [r for r in pattern.reflections if r.intensity > floor]
        mine = np.array([r.intensity for r in lines])
        other = np.array(
            [gemmi_intensities(structure, members(structure, r), lam, b_iso).sum() for r in lines]
        )
        other *= (mine @ other) / (other @ other)
        assert len(lines) > 25
        assert np.all(np.abs(mine - other) < np.maximum(0.03 * mine, 0.6))

    def test_multiplicities_and_labels(self) -> None:
        lines = {r.hkl_hexagonal[0]: r for r in dif.powder_pattern(boilot()).reflections}
        assert lines[1, 0, 4].multiplicity == 6
        assert lines[1, 0, 4].hkl == (1, 0, 4)
        assert lines[1, 1, 3].multiplicity == 12
        assert lines[1, 1, 3].hkl_monoclinic == ((0, 2, 1), (3, 1, -2), (3, 1, 0))
        mono = dif.powder_pattern(subramanian()).reflections
        pair = [r for r in mono if (1, 0, 4) in r.hkl_hexagonal]
        assert [r.multiplicity for r in pair] == [4, 2]
        assert [r.hkl_monoclinic for r in pair] == [((1, 1, 1),), ((2, 0, -2),)]

    def test_same_pattern_in_either_setting(self) -> None:
        hexagonal = boilot()
        monoclinic = to_monoclinic(hexagonal)
        one, two = (
            dif.powder_pattern(s, two_theta_deg=(12, 45), step_deg=0.02) for s in (hexagonal, monoclinic)
        )
        assert np.abs(one.intensity - two.intensity).max() < 1e-6
        assert [r.hkl_hexagonal for r in one.reflections] == [r.hkl_hexagonal for r in two.reflections]

    def test_supercell_and_ase_give_the_same_pattern(self) -> None:
        structure = Structure.from_spacegroup(
            "R-3c",
            Lattice.hexagonal(8.815, 22.746),  # NaZr2P3O12: Hong, Mater. Res. Bull. 11 (1976) 173
            ["Zr", "P", "O", "O", "Na"],
            [
                [0, 0, 0.14568],
                [0.2916, 0, 0.25],
                [0.1841, -0.0165, 0.1956],
                [0.1911, 0.1675, 0.0876],
                [0, 0, 0],
            ],
        )
        ordered = to_monoclinic(structure)
        one = dif.powder_pattern(structure, two_theta_deg=(12, 32), step_deg=0.02)
        for other in (ordered * (1, 2, 1), AseAtomsAdaptor.get_atoms(ordered)):
            two = dif.powder_pattern(other, two_theta_deg=(12, 32), step_deg=0.02)
            assert np.abs(one.intensity - two.intensity).max() < 1e-5
            strong = [r.hkl_hexagonal for r in one.reflections if r.intensity > 1]
            assert strong == [r.hkl_hexagonal for r in two.reflections if r.intensity > 1]

    def test_doublet_positions_and_ratio(self) -> None:
        pattern = dif.powder_pattern(
            boilot(), fwhm_deg=0.02, step_deg=0.001, two_theta_deg=(27, 28.2), profile=0.0
        )
        line = max(pattern.reflections, key=lambda r: r.intensity)
        second = 2.0 * math.degrees(math.asin(1.5444274 / (2.0 * line.d_ang)))
        height = np.interp([line.two_theta_deg, second], pattern.two_theta_deg, pattern.intensity)
        assert height[1] / height[0] == pytest.approx(0.5, abs=0.01)
        assert pattern.kalpha2_ratio == 0.5
        alone = dif.powder_pattern(boilot(), wavelength="CuKa1", fwhm_deg=0.02, two_theta_deg=(27, 28.2))
        assert alone.kalpha2_ratio == 0.0
        assert np.interp(second, alone.two_theta_deg, alone.intensity) < 6.0

    @settings(deadline=None, max_examples=25)
    @given(st.floats(-0.2, 0.2), st.floats(0.03, 0.3), st.floats(0.0, 1.0))
    def test_zero_shift_and_width(self, zero: float, fwhm: float, eta: float) -> None:
        x = np.linspace(-40, 40, 400_001)
        shape = dif.pseudo_voigt(x, fwhm, eta)
        assert np.trapezoid(shape, x) == pytest.approx(1.0, abs=0.01 * eta + 1e-6)
        above = x[shape >= 0.5 * shape.max()]
        assert above[-1] - above[0] == pytest.approx(fwhm, abs=5e-4)
        assert zero == zero

    def test_zero_shift_moves_every_line(self) -> None:
        plain, shifted = (dif.powder_pattern(boilot(), zero_shift_deg=z) for z in (0.0, 0.07))
        for a, b in zip(plain.reflections, shifted.reflections, strict=False):
            assert b.two_theta_deg - a.two_theta_deg == pytest.approx(0.07, abs=1e-9)

    def test_caglioti_is_used(self) -> None:
        broad = dif.powder_pattern(boilot(), caglioti=(0.0, 0.0, 0.04), kalpha2=False, profile="gaussian")
        flat = dif.powder_pattern(boilot(), fwhm_deg=0.2, kalpha2=False, profile="gaussian")
        assert np.allclose(broad.intensity, flat.intensity)
        assert dif.caglioti_fwhm(90.0, (1.0, -0.5, 0.5)) == pytest.approx(1.0)

    def test_round_trip(self) -> None:
        pattern = dif.powder_pattern(boilot(), two_theta_deg=(18, 20))
        text = json.dumps(pattern.as_dict(), cls=MontyEncoder)
        back = json.loads(text, cls=MontyDecoder)
        assert isinstance(back, dif.PowderPattern)
        assert np.array_equal(back.intensity, pattern.intensity)
        assert back.reflections == pattern.reflections
        line = dif.index_table()[0]
        assert dif.SplitLine.from_dict(json.loads(json.dumps(line.as_dict()))) == line

    def test_arrays_cannot_be_changed(self) -> None:
        pattern = dif.powder_pattern(boilot(), two_theta_deg=(18, 20))
        with pytest.raises(ValueError, match="read-only"):
            pattern.intensity[0] = 1.0

    def test_simulated_scan_is_reproducible_and_poisson(self) -> None:
        pattern = dif.powder_pattern(boilot(), two_theta_deg=(18, 20.2))
        one, two = (
            dif.simulate_scan(pattern, peak_counts=5000, background_counts=200, seed=s) for s in (3, 3)
        )
        assert np.array_equal(one.intensity, two.intensity)
        assert one.is_counts
        expected = pattern.intensity * 50.0 + 200.0
        z = (one.intensity - expected) / np.sqrt(expected)
        assert abs(z.mean()) < 0.3
        assert 0.8 < z.std() < 1.2


def members(structure: Structure, line: dif.Reflection) -> list[tuple[int, int, int]]:
    """Every plane of the lattice with the spacing of the line."""
    points = structure.lattice.reciprocal_lattice_crystallographic.get_points_in_sphere(
        [[0, 0, 0]], [0, 0, 0], 1.0001 / line.d_ang
    )
    return [tuple(round(float(v)) for v in p[0]) for p in points if abs(p[1] * line.d_ang - 1.0) < 1e-6]  # type: ignore[misc]


class TestRadiation:
    def test_names_and_numbers(self) -> None:
        """International Tables for Crystallography C (2006), Table 4.2.2.1."""
        assert dif.parse_radiation("CuKa").components == (
            (1.5405929, pytest.approx(2 / 3)),
            (1.5444274, pytest.approx(1 / 3)),
        )
        assert dif.parse_radiation("Cu K-alpha1").components == ((1.5405929, 1.0),)
        assert dif.parse_radiation("mo kα").wavelength_ang == 0.70931715
        assert dif.parse_radiation(1.5418).kalpha2_ratio == 0.5
        assert dif.parse_radiation(1.54056).ambiguous
        assert dif.parse_radiation(1.54056, kalpha2=False).kalpha2_ratio == 0.0
        assert not dif.parse_radiation(1.54056, kalpha2=False).ambiguous
        assert dif.parse_radiation(0.8265).components == ((0.8265, 1.0),)
        assert dif.parse_radiation("1.2400").wavelength_ang == 1.24
        assert dif.parse_radiation("CuKa", kalpha2=0.52).kalpha2_ratio == 0.52

    @pytest.mark.parametrize("bad", ["XxKa", "", "-1", "1e-6", 0.0, -1.0, 9.0, math.nan, math.inf])
    def test_refuses(self, bad: str | float) -> None:
        with pytest.raises(PatternError):
            dif.parse_radiation(bad)

    def test_kalpha2_needs_a_tube(self) -> None:
        with pytest.raises(PatternError, match="no K-alpha1 line"):
            dif.parse_radiation(0.8265, kalpha2=True)
        with pytest.raises(PatternError, match="between 0 and 1"):
            dif.parse_radiation("CuKa", kalpha2=1.5)
        with pytest.raises(PatternError, match="auto"):
            dif.parse_radiation("CuKa", kalpha2="both")


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "word"),
        [
            ({"two_theta_deg": (60, 10)}, "must rise"),
            ({"two_theta_deg": (-5, 10)}, "must rise"),
            ({"step_deg": 0.0}, "20 points"),
            ({"step_deg": 1e-7}, "wider step"),
            ({"fwhm_deg": 0.0}, "fwhm_deg"),
            ({"profile": "voigtish"}, "profile"),
            ({"profile": 1.5}, "Lorentzian"),
            ({"two_theta_deg": (1.0, 4.0)}, "no reflection"),
            ({"b_iso_ang2": -1.0}, "b_iso_ang2"),
            ({"caglioti": (0.0, 0.0, -1.0)}, "check signs"),
        ],
    )
    def test_settings(self, options: dict[str, object], word: str) -> None:
        with pytest.raises(PatternError, match=word):
            dif.powder_pattern(boilot(), **options)  # type: ignore[arg-type]

    def test_structures(self, tmp_path: object) -> None:
        with pytest.raises(CellError, match="no file"):
            dif.powder_pattern("missing.cif")
        with pytest.raises(CellError, match="int"):
            dif.powder_pattern(3)
        bad = tmp_path / "bad.cif"  # type: ignore[operator]
        bad.write_text("not a cif")
        with pytest.raises(CellError, match=r"bad\.cif"):
            dif.powder_pattern(bad)

    @pytest.mark.parametrize(
        ("angle", "counts", "word"),
        [
            (np.arange(30.0), np.arange(29.0), "one of each"),
            (np.arange(5.0), np.arange(5.0), "at least"),
            (np.r_[np.arange(20.0), np.arange(10.0)], np.arange(30.0), "increase strictly"),
            (np.arange(30.0) - 5.0, np.arange(30.0), "0 to 180"),
            (np.arange(30.0), np.r_[np.arange(29.0), np.nan], "nan"),
            (np.ones((5, 5)), np.ones((5, 5)), "one-dimensional"),
            (["a"] * 30, np.arange(30.0), "must be numbers"),
        ],
    )
    def test_arrays(self, angle: object, counts: object, word: str) -> None:
        with pytest.raises(PatternError, match=word):
            dif.PowderPattern(two_theta_deg=angle, intensity=counts)  # type: ignore[arg-type]

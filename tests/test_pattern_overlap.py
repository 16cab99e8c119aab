"""Cells whose lines 104 and 110 coincide (c_h near sqrt(6) a_h), scans on a high background, least errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from nasicon_struct.diffraction import PowderPattern, parse_radiation, powder_pattern, simulate_scan
from nasicon_struct.metric import (
    conventional_distortion,
    monoclinic_cell_from_distortion,
    monoclinic_distortion,
)
from nasicon_struct.parents import load_parent
from nasicon_struct.pattern_fit import fit_pattern, prepare


def counts(
    structure: Structure, *, fwhm: float = 0.1, peak: float = 3000.0, background: float = 100.0
) -> PowderPattern:
    pattern = powder_pattern(structure, fwhm_deg=fwhm, two_theta_deg=(12, 38), step_deg=0.02)
    return simulate_scan(pattern, peak_counts=peak, background_counts=background, seed=4)


def moved(parent: str, lattice: Lattice) -> Structure:
    structure = load_parent(parent).structure
    return Structure(lattice, structure.species_and_occu, structure.frac_coords)


@settings(deadline=None, max_examples=60)
@given(st.floats(8.9, 9.1), st.floats(22.7, 23.1), st.floats(-0.004, 0.004), st.floats(-0.02, 0.006))
def test_a_known_setting_needs_no_search(a_h: float, c_h: float, delta1: float, delta2: float) -> None:
    cell = monoclinic_cell_from_distortion(a_h, c_h, delta1, delta2)
    known, found = conventional_distortion(*cell), monoclinic_distortion(cell)
    for name in ("delta1", "delta2", "strain_norm", "nearest_a_h_ang", "nearest_c_h_ang"):
        assert getattr(known, name) == pytest.approx(getattr(found, name), abs=1e-10)


@settings(deadline=None, max_examples=60)
@given(st.floats(8.2, 9.3), st.floats(2.40, 2.50), st.floats(-0.005, 0.002), st.floats(-0.02, 0.006))
def test_a_known_setting_stays_where_the_lattice_is_nearly_cubic(
    a_h: float, ratio: float, delta1: float, delta2: float
) -> None:
    known = conventional_distortion(*monoclinic_cell_from_distortion(a_h, ratio * a_h, delta1, delta2))
    assert known.delta1 == pytest.approx(delta1, abs=1e-12)
    assert known.delta2 == pytest.approx(delta2, abs=1e-12)
    assert known.nearest_a_h_ang == pytest.approx(a_h, rel=0.006)
    assert known.nearest_c_h_ang == pytest.approx(ratio * a_h, rel=0.012)


@pytest.mark.slow
@pytest.mark.parametrize(("a_h", "c_h"), [(9.0334, 21.9901), (9.02, math.sqrt(6.0) * 9.02)])
def test_coinciding_lines_are_no_reason_to_refuse(a_h: float, c_h: float) -> None:
    """The first cell is Na3.8Sc2Si0.8P2.2O12, M. Guin, F. Tietz, O. Guillon, Solid State Ionics 293 (2016) 18."""
    fit = fit_pattern(counts(moved("boilot1988_x235", Lattice.hexagonal(a_h, c_h))))
    assert fit.refusal == ""
    assert fit.phase == "rhombohedral"
    assert fit.a_h_ang == pytest.approx(a_h, abs=0.02)
    assert fit.c_h_ang == pytest.approx(c_h, abs=0.08)
    assert fit.delta2 is not None
    assert fit.delta2_se is not None
    assert abs(fit.delta2) < 2.5 * fit.delta2_se
    assert fit.delta2_se > 2e-4  # never nothing: R-3c samples indexed as C2/c scatter by 0.0005


def test_sheared_cell_near_the_coincidence() -> None:
    a, b, c, beta = monoclinic_cell_from_distortion(9.113, 22.6, -0.0031, -0.0143)
    fit = fit_pattern(counts(moved("subramanian1985", Lattice.monoclinic(a, b, c, beta))))
    assert fit.phase == "monoclinic"
    assert fit.delta1 == pytest.approx(-0.0031, abs=6e-4)
    assert fit.delta2 == pytest.approx(-0.0143, abs=6e-4)
    assert fit.a_h_ang == pytest.approx(9.12, abs=0.02)


@pytest.mark.slow
def test_sharp_lines_are_found_from_afar() -> None:
    """Lines of 0.07 degree are caught within 0.2 % only, the search for the cell is good within 0.5 %."""
    r = fit_pattern(counts(moved("boilot1988_x235", Lattice.hexagonal(8.927, 22.34)), fwhm=0.07, peak=6000.0))
    assert r.phase == "rhombohedral"
    assert r.a_h_ang == pytest.approx(8.927, abs=0.006)
    assert r.c_h_ang == pytest.approx(22.34, abs=0.03)
    a, b, c, beta = monoclinic_cell_from_distortion(8.947, 22.24, 0.0008, -0.0145)
    m = fit_pattern(
        counts(moved("subramanian1985", Lattice.monoclinic(a, b, c, beta)), fwhm=0.067, peak=1400.0)
    )
    assert m.phase == "monoclinic"
    assert m.delta1 == pytest.approx(0.0008, abs=6e-4)
    assert m.delta2 == pytest.approx(-0.0145, abs=6e-4)


@pytest.mark.parametrize("background", [30.0, 900.0, 3000.0])
def test_counts_on_any_background_are_taken_for_counts(background: float) -> None:
    scan = counts(load_parent("boilot1988_x235").structure, fwhm=0.06, background=background)
    noise = prepare.measure_noise(scan)
    assert noise.gain == 1.0
    assert noise.note == ""


def test_the_scale_of_the_intensity_prior_follows_the_scan() -> None:
    scan = counts(load_parent("boilot1988_x235").structure)
    bounds = [(18.7, 20.1), (26.8, 28.3)]
    noise = prepare.measure_noise(scan)
    one, _ = prepare.build_problem(scan, parse_radiation("CuKa"), noise, bounds, ())
    doubled = PowderPattern(two_theta_deg=scan.two_theta_deg, intensity=2.0 * scan.intensity)
    two, _ = prepare.build_problem(doubled, parse_radiation("CuKa"), noise, bounds, ())
    assert two.line_scale == pytest.approx(2.0 * one.line_scale)
    assert np.isfinite(one.line_scale)
    assert one.line_scale > 0.0

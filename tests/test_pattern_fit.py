"""Profile fits: laws of the models, recovery of known cells, refusals, and the three-peak rule."""

from __future__ import annotations

import json
import math
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure

from nasicon_struct.diffraction import (
    PowderPattern,
    bragg_two_theta_deg,
    inverse_d_squared_monoclinic,
    parse_radiation,
    powder_pattern,
    simulate_scan,
)
from nasicon_struct.errors import PatternError
from nasicon_struct.metric import monoclinic_cell_from_distortion, monoclinic_distortion
from nasicon_struct.parents import load_parent
from nasicon_struct.pattern_fit import PatternFit, PeakRuleReading, fit_pattern, peak_rule, prepare
from nasicon_struct.pattern_fit import models as m
from nasicon_struct.pattern_fit.shape import pseudo_voigt_with_slopes, skewed_pseudo_voigt
from nasicon_struct.pattern_fit.solver import Evaluator, ImpurityLine, Problem

mpl.use("Agg")


@cache
def scan(
    parent: str,
    *,
    fwhm: float = 0.1,
    peak: float = 3000.0,
    wavelength: str | float = "CuKa",
    zero: float = 0.0,
    span: tuple[float, float] = (15.0, 36.0),
    step: float = 0.02,
    seed: int = 1,
) -> PowderPattern:
    """Counts of a published structure."""
    pattern = powder_pattern(
        load_parent(parent),
        wavelength=wavelength,
        fwhm_deg=fwhm,
        two_theta_deg=span,
        step_deg=step,
        zero_shift_deg=zero,
    )
    return simulate_scan(pattern, peak_counts=peak, background_counts=0.03 * peak, seed=seed)


def bare(pattern: PowderPattern, intensity: np.ndarray | None = None) -> PowderPattern:
    """The same data without wavelength, as a two-column file gives them."""
    y = pattern.intensity if intensity is None else intensity
    return PowderPattern(two_theta_deg=pattern.two_theta_deg, intensity=y)


def mixture(share: float, *, peak: float = 5000.0, fwhm: float = 0.08) -> PowderPattern:
    """Subramanian's C2/c and Boilot's R-3c structure, by share of the area of the lines that are fitted."""
    one, two = (
        powder_pattern(load_parent(k), fwhm_deg=fwhm, two_theta_deg=(15, 36), step_deg=0.02)
        for k in ("subramanian1985", "boilot1988_x235")
    )
    x = one.two_theta_deg
    inside = ((x > 18.5) & (x < 20.4)) | ((x > 26.8) & (x < 28.3))
    area = one.intensity[inside].sum() / two.intensity[inside].sum()
    both = PowderPattern(
        two_theta_deg=x,
        intensity=share * one.intensity + (1 - share) * area * two.intensity,
        wavelength_ang=one.wavelength_ang,
        kalpha2_ratio=0.5,
    )
    return simulate_scan(both, peak_counts=peak, background_counts=100, seed=2)


class TestModels:
    @settings(deadline=None, max_examples=100)
    @given(st.floats(8.1, 9.3), st.floats(21.5, 23.3), st.floats(-0.006, 0.006), st.floats(-0.025, 0.01))
    def test_monoclinic_lines_follow_the_exact_metric(self, a: float, c: float, d1: float, d2: float) -> None:
        theta = m.MONOCLINIC.means.copy()
        names = m.MONOCLINIC.names
        for name, value in (("ln_a", math.log(a)), ("ln_c", math.log(c)), ("delta1", d1), ("delta2", d2)):
            theta[names.index(name)] = value
        angles, _ = m.MONOCLINIC.lines(theta, 1.5405929)
        cell = monoclinic_cell_from_distortion(a, c, d1, d2)
        expected = [
            bragg_two_theta_deg(inverse_d_squared_monoclinic(hkl, *cell), 1.5405929)
            for pair in m.MONO_LINES
            for hkl in pair
        ]
        assert np.allclose(angles, expected, atol=1e-9)

    @settings(deadline=None, max_examples=100)
    @given(st.floats(8.1, 9.3), st.floats(21.5, 23.3), st.floats(0.5, 1.8))
    def test_no_distortion_no_split(self, a: float, c: float, wavelength: float) -> None:
        shared = dict(zip(m.RHOMBOHEDRAL.names, m.RHOMBOHEDRAL.means, strict=True))
        shared |= {"ln_a": math.log(a), "ln_c": math.log(c)}
        r, _ = m.RHOMBOHEDRAL.lines(np.array(list(shared.values())), wavelength)
        values = {p.name: p.mean for p in m.MONOCLINIC.parameters} | shared | {"delta1": 0.0, "delta2": 0.0}
        mono, share = m.MONOCLINIC.lines(np.array([values[n] for n in m.MONOCLINIC.names]), wavelength)
        assert np.allclose(mono, np.repeat(r, 2), atol=1e-9)
        assert np.allclose(share.reshape(3, 2), [[2 / 3, 1 / 3]] * 3)  # 4 and 2 equivalent planes

    @pytest.mark.parametrize("model", [m.RHOMBOHEDRAL, m.MONOCLINIC, m.MIXED], ids=lambda x: x.key)
    def test_shares_sum_to_one(self, model: m.Model) -> None:
        rng = np.random.default_rng(0)
        for _ in range(20):
            _, share = model.lines(model.means + model.sds * rng.normal(size=len(model.sds)), 1.5405929)
            sums = np.bincount(model.line_groups, weights=share)
            assert np.allclose(sums, 1.0)
            assert np.all(share > 0)

    def test_sum_rule_fixes_the_zero_shift(self) -> None:
        """1/d^2 of 024 is the sum of those of 104 and 110, whatever the cell: only a zero shift breaks it."""
        theta = m.RHOMBOHEDRAL.means.copy()
        angles, _ = m.RHOMBOHEDRAL.lines(theta, 1.5405929)
        sines = np.sin(np.radians(angles) / 2) ** 2
        assert sines[0] + sines[1] == pytest.approx(sines[2], abs=1e-12)

    @settings(deadline=None, max_examples=50)
    @given(st.floats(0.03, 0.3), st.floats(0.0, 0.95), st.floats(-0.5, 0.5))
    def test_shape_area_and_value(self, width: float, eta: float, skew: float) -> None:
        x = np.linspace(-30, 30, 200_001)
        arguments = (x, np.array([0.0]), np.array([width]), eta, np.array([skew]))
        value = skewed_pseudo_voigt(*arguments)
        assert np.allclose(value, pseudo_voigt_with_slopes(*arguments)[0])
        assert np.trapezoid(value[0], x) == pytest.approx(1.0, abs=0.012 * eta + 2e-3)
        above = x[value[0] > 0.5 * value[0].max()]
        assert above[-1] - above[0] == pytest.approx(width, abs=2e-3)

    @pytest.mark.parametrize("model", [m.RHOMBOHEDRAL, m.MONOCLINIC, m.MIXED], ids=lambda x: x.key)
    def test_derivatives(self, model: m.Model) -> None:
        x = np.r_[np.arange(18.6, 20.2, 0.013), np.arange(26.9, 28.5, 0.013)]
        window = (x > 24).astype(int)
        problem = Problem(
            x=x,
            y=np.full_like(x, 10.0),
            sigma=np.ones_like(x),
            window=window,
            background=np.stack([(window == 0) * 1.0, (window == 1) * 1.0], axis=1),
            radiation=parse_radiation("CuKa"),
            impurities=(ImpurityLine("m-ZrO2", 3.1656, 1.0, 1),),
        )
        evaluator = Evaluator(model, problem)
        rng = np.random.default_rng(3)
        theta = model.means + 0.3 * model.sds * rng.normal(size=len(model.means))
        linear = rng.uniform(1, 5, evaluator.n_columns)
        columns, slopes = evaluator.columns_and_slopes(theta, linear)
        assert np.allclose(columns, evaluator.columns(theta))
        for i, name in enumerate(model.names):
            step = 1e-5 * model.sds[i]
            up, down = theta.copy(), theta.copy()
            up[i] += step
            down[i] -= step
            numeric = (evaluator.columns(up) - evaluator.columns(down)) @ linear / (2 * step)
            error = np.abs(numeric - slopes[:, i]).max() / max(np.abs(numeric).max(), 1e-9)
            assert error < 1e-3, name


class TestRecovery:
    @pytest.mark.parametrize(
        ("parent", "phase"),
        [
            ("subramanian1985", "monoclinic"),
            ("xun2025_s2", "monoclinic"),
            ("boilot1988_x235", "rhombohedral"),
            ("hong1976_nzp", "rhombohedral"),
        ],
    )
    @pytest.mark.parametrize("fwhm", [0.06, 0.15])
    def test_published_structures(self, parent: str, phase: str, fwhm: float) -> None:
        """Cells of the structures themselves: Subramanian 1985, Xun 2025, Boilot 1988, Hong 1976."""
        fit = fit_pattern(scan(parent, fwhm=fwhm))
        truth = monoclinic_distortion(load_parent(parent).lattice)
        assert fit.phase == phase
        assert fit.probabilities[phase] > 0.85
        assert fit.delta2 is not None
        assert fit.delta2_se is not None
        assert abs(fit.delta2 - truth.delta2) < max(3 * fit.delta2_se, 2e-4)
        assert fit.a_h_ang == pytest.approx(truth.nearest_a_h_ang, abs=0.015)
        assert fit.c_h_ang == pytest.approx(truth.nearest_c_h_ang, abs=0.04)
        assert fit.fwhm_deg == pytest.approx(fwhm, rel=0.12)

    def test_wrong_sign_is_rhombohedral_by_metric(self) -> None:
        """Xun et al. 2025, SI Table S3, is labelled C2/c, but its delta2 is +0.0044."""
        fit = fit_pattern(scan("xun2025_s3", fwhm=0.06, peak=8000.0))
        assert fit.phase == "rhombohedral"
        assert fit.delta2 == pytest.approx(0.0044, abs=0.0006)
        assert any("wrong sign" in sentence for sentence in fit.evidence)

    @pytest.mark.slow
    @pytest.mark.parametrize("zero", [-0.1, 0.1])
    def test_zero_shift(self, zero: float) -> None:
        fit = fit_pattern(scan("subramanian1985", zero=zero))
        assert fit.phase == "monoclinic"
        assert fit.zero_shift_deg == pytest.approx(zero, abs=4 * (fit.zero_shift_se_deg or 1))
        assert fit.zero_shift_se_deg is not None
        assert fit.zero_shift_se_deg < 0.03

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("wavelength", "span", "fwhm", "step"),
        [
            ("MoKa", (6.0, 18.0), 0.05, 0.005),
            ("CoKa", (17.0, 42.0), 0.1, 0.02),
            (0.8265, (8.0, 20.0), 0.015, 0.002),
        ],
    )
    def test_any_wavelength(
        self, wavelength: str | float, span: tuple[float, float], fwhm: float, step: float
    ) -> None:
        fit = fit_pattern(scan("subramanian1985", wavelength=wavelength, span=span, fwhm=fwhm, step=step))
        assert fit.phase == "monoclinic"
        assert fit.delta2 == pytest.approx(-0.0154, abs=3e-4)

    def test_only_the_windows_are_needed(self) -> None:
        full = scan("subramanian1985")
        x = full.two_theta_deg
        kept = ((x > 18.6) & (x < 20.3)) | ((x > 26.9) & (x < 28.6))
        part = PowderPattern(two_theta_deg=x[kept], intensity=full.intensity[kept])
        fit = fit_pattern(part, wavelength="CuKa")
        assert fit.phase == "monoclinic"
        assert fit.delta2 == pytest.approx(-0.0154, abs=3e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize("factor", [1e-4, 7.3])
    def test_scale_of_the_intensity_does_not_matter(self, factor: float) -> None:
        counts = scan("subramanian1985")
        plain = fit_pattern(counts)
        scaled = fit_pattern(bare(counts, counts.intensity * factor), wavelength="CuKa")
        assert scaled.phase == plain.phase
        assert scaled.delta2 == pytest.approx(plain.delta2, abs=1e-4)
        assert scaled.delta2_se == pytest.approx(plain.delta2_se, rel=0.35)

    @pytest.mark.slow
    def test_errors_shrink_with_counts(self) -> None:
        errors = [fit_pattern(scan("subramanian1985", peak=n)).delta2_se for n in (200.0, 3000.0)]
        assert errors[0] is not None
        assert errors[1] is not None
        assert errors[1] < 0.6 * errors[0]

    @pytest.mark.slow
    @pytest.mark.parametrize("share", [0.35, 0.5, 0.65])
    def test_mixture(self, share: float) -> None:
        fit = fit_pattern(mixture(share))
        assert fit.phase == "mixed"
        assert fit.fraction_monoclinic == pytest.approx(share, abs=0.15)
        assert fit.delta2 == pytest.approx(-0.0154, abs=4 * (fit.delta2_se or 1))
        assert 0.0 < (fit.probability_monoclinic or 0.0) < 1.0

    def test_zirconia_is_told_apart(self) -> None:
        """Baddeleyite -111 at 28.17 degrees: Howard, Hill, Reichert, Acta Cryst. B44 (1988) 116."""
        zro2 = Structure.from_spacegroup(
            "P2_1/c",
            Lattice.monoclinic(5.1505, 5.2116, 5.3173, 99.230),
            ["Zr", "O", "O"],
            [[0.2754, 0.0395, 0.2083], [0.0700, 0.3317, 0.3447], [0.4496, 0.7569, 0.4792]],
        )
        one, two = (
            powder_pattern(s, two_theta_deg=(15, 36), step_deg=0.02)
            for s in (load_parent("boilot1988_x235"), zro2)
        )
        both = PowderPattern(two_theta_deg=one.two_theta_deg, intensity=one.intensity + 0.25 * two.intensity)
        fit = fit_pattern(simulate_scan(both, peak_counts=3000, background_counts=100), wavelength="CuKa")
        assert fit.phase == "rhombohedral"
        assert any(s.startswith("m-ZrO2 line") for s in fit.evidence)
        assert abs(fit.zero_shift_deg or 0.0) < 0.02

    @pytest.mark.slow
    @pytest.mark.parametrize("wavelength", ["CuKa", "CuKa1"])
    def test_beam_is_found_out(self, wavelength: str) -> None:
        counts = bare(scan("boilot1988_x235", wavelength=wavelength, fwhm=0.07, peak=8000.0))
        fit = fit_pattern(counts)
        assert fit.phase == "rhombohedral"
        assert fit.kalpha2_ratio == (0.5 if wavelength == "CuKa" else 0.0)
        assert any("assumed" in w for w in fit.warnings)

    def test_noise_free_pattern(self) -> None:
        fit = fit_pattern(powder_pattern(load_parent("subramanian1985"), two_theta_deg=(15, 36)))
        assert fit.phase == "monoclinic"
        assert any("no noise" in w for w in fit.warnings)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("element", "a", "c"),
        [("Ti", 8.457, 21.972), ("Ge", 8.146, 21.504), ("Hf", 8.755, 22.746), ("In", 8.9555, 22.3539)],
    )
    def test_cells_of_other_chemistries(self, element: str, a: float, c: float) -> None:
        """Cells: Guin and Tietz, J. Power Sources 273 (2015) 1056, Table 5; In: Losilla et al. 2000."""
        parent = load_parent("hong1976_nzp").structure.copy()
        parent.remove_oxidation_states()
        parent.replace_species({"Zr": element})
        moved = Structure(Lattice.hexagonal(a, c), parent.species, parent.frac_coords)
        pattern = powder_pattern(moved, two_theta_deg=(12, 40), step_deg=0.02)
        fit = fit_pattern(simulate_scan(pattern, peak_counts=3000, background_counts=100))
        assert fit.phase == "rhombohedral"
        assert fit.a_h_ang == pytest.approx(a, abs=0.01)
        assert fit.c_h_ang == pytest.approx(c, abs=0.03)


def _other(kind: str) -> PowderPattern:
    x = np.arange(10.0, 60.0, 0.02)
    if kind == "noise":
        return PowderPattern(two_theta_deg=x, intensity=np.random.default_rng(0).poisson(50, len(x)) * 1.0)
    if kind == "flat":
        return PowderPattern(two_theta_deg=x, intensity=np.full(len(x), 50.0))
    cells = {
        "quartz": ("P3_121", Lattice.hexagonal(4.913, 5.405), [[0.4697, 0, 1 / 3], [0.4133, 0.2672, 0.4521]]),
        "halite": ("Fm-3m", Lattice.cubic(5.64), [[0, 0, 0], [0.5, 0.5, 0.5]]),
    }
    group, lattice, sites = cells[kind]
    species = ["Si", "O"] if kind == "quartz" else ["Na", "Cl"]
    pattern = powder_pattern(Structure.from_spacegroup(group, lattice, species, sites), step_deg=0.02)
    return simulate_scan(pattern, peak_counts=3000, background_counts=100)


class TestRefusal:
    @pytest.mark.parametrize("kind", ["noise", "flat", "quartz", "halite"])
    def test_what_is_no_nasicon(self, kind: str) -> None:
        fit = fit_pattern(bare(_other(kind)))
        assert fit.phase == "undetermined"
        assert fit.refusal
        assert fit.probability_monoclinic is None
        assert fit.models == {}

    @pytest.mark.parametrize(
        ("options", "word"),
        [
            ({"span": (10.0, 25.0)}, "but the lines"),
            ({"span": (21.0, 40.0)}, "but the lines"),
            ({"span": (10.0, 27.56)}, "but the lines"),
            ({"step": 0.05, "fwhm": 0.06}, "too coarse"),
            ({"step": 0.1}, "finer step"),
            ({"fwhm": 0.6}, "wide and hide"),
            ({"peak": 4.0}, "do not stand out"),
        ],
    )
    def test_scans_that_cannot_tell(self, options: dict[str, object], word: str) -> None:
        fit = fit_pattern(scan("subramanian1985", **options))  # type: ignore[arg-type]
        assert fit.phase == "undetermined"
        assert word in fit.refusal

    def test_wrong_wavelength(self) -> None:
        counts = scan("subramanian1985", wavelength="MoKa", span=(6.0, 30.0), fwhm=0.05, step=0.01)
        fit = fit_pattern(bare(counts), wavelength="CuKa")
        assert fit.phase == "undetermined"
        assert fit.refusal

    def test_gap(self) -> None:
        full = scan("subramanian1985")
        kept = (full.two_theta_deg < 19.4) | (full.two_theta_deg > 19.85)
        part = PowderPattern(two_theta_deg=full.two_theta_deg[kept], intensity=full.intensity[kept])
        assert "gap" in fit_pattern(part).refusal

    def test_options(self) -> None:
        with pytest.raises(PatternError, match="unknown impurity"):
            fit_pattern(scan("subramanian1985"), impurities=("rust",))
        with pytest.raises(PatternError, match="unknown wavelength"):
            fit_pattern(scan("subramanian1985"), wavelength="XxKa")
        with pytest.raises(PatternError, match="kalpha2"):
            fit_pattern(scan("subramanian1985"), kalpha2="perhaps")

    @pytest.mark.slow
    def test_low_resolution_is_not_confident(self) -> None:
        """A weak distortion on a broad instrument with few counts must not be called with confidence."""
        structure = load_parent("subramanian1985").structure
        a, b, c, beta = monoclinic_cell_from_distortion(9.03, 22.9, -0.001, -0.005)
        weak = Structure(Lattice.monoclinic(a, b, c, beta), structure.species_and_occu, structure.frac_coords)
        pattern = powder_pattern(weak, fwhm_deg=0.25, two_theta_deg=(15, 36), step_deg=0.02)
        fit = fit_pattern(simulate_scan(pattern, peak_counts=300, background_counts=50))
        assert max(fit.probabilities.values()) < 0.97


class TestResult:
    def test_round_trip(self) -> None:
        fit = fit_pattern(scan("subramanian1985"))
        back = json.loads(json.dumps(fit.as_dict(), cls=MontyEncoder), cls=MontyDecoder)
        assert isinstance(back, PatternFit)
        assert back.summary() == fit.summary()
        assert np.array_equal(back.models["monoclinic"].curve, fit.models["monoclinic"].curve)
        assert back.models["mixed"].lines == fit.models["mixed"].lines

    def test_summary_is_plain_and_complete(self) -> None:
        fit = fit_pattern(scan("subramanian1985"))
        summary = json.loads(json.dumps(fit.summary()))
        wanted = "phase probability_monoclinic fraction_monoclinic delta1 delta1_se delta2 delta2_se "
        wanted += "a_h_ang c_h_ang zero_shift_deg fwhm_deg evidence"
        assert set(wanted.split()) <= set(summary)
        assert sum(fit.probabilities.values()) == pytest.approx(1.0)
        assert str(fit).startswith("monoclinic")

    def test_same_scan_same_answer(self) -> None:
        one, two = (fit_pattern(bare(scan("xun2025_s2"))) for _ in range(2))
        assert one.summary() == two.summary()

    def test_sigma_of_the_file_is_used(self) -> None:
        counts = scan("subramanian1985")
        honest, modest = (
            fit_pattern(
                PowderPattern(
                    two_theta_deg=counts.two_theta_deg,
                    intensity=counts.intensity,
                    sigma=factor * np.sqrt(np.maximum(counts.intensity, 1.0)),
                ),
                wavelength="CuKa",
            )
            for factor in (1.0, 3.0)
        )
        assert honest.delta2_se is not None
        assert modest.delta2_se is not None
        assert modest.delta2_se > 1.7 * honest.delta2_se

    @pytest.mark.slow
    def test_smoothed_data_are_noticed(self) -> None:
        counts = scan("subramanian1985")
        smooth = np.convolve(counts.intensity, np.full(5, 0.2), mode="same")
        fit = fit_pattern(bare(counts, smooth), wavelength="CuKa")
        assert any("correlated" in w for w in fit.warnings)
        plain = fit_pattern(counts)
        assert fit.delta2_se is not None
        assert fit.delta2_se > 0.4 * (plain.delta2_se or 0)

    def test_figures(self) -> None:
        import matplotlib.pyplot as plt

        from nasicon_struct.plotting.patterns import plot_pattern, plot_pattern_fit

        fit = fit_pattern(mixture(0.5))
        _, ax = plt.subplots()
        assert plot_pattern_fit(fit, ax) is ax
        assert len(ax.child_axes) == 6
        assert plot_pattern_fit(fit, models=("monoclinic",)).child_axes
        with pytest.raises(PatternError, match="no model"):
            plot_pattern_fit(fit, models=("cubic",))
        with pytest.raises(PatternError, match="refused"):
            plot_pattern_fit(fit_pattern(_other("noise")))
        counts = scan("subramanian1985")
        assert plot_pattern(counts).get_ylabel() == "intensity (counts)"
        assert "degree" in plot_pattern({"a": counts, "b": counts}).get_xlabel()
        with pytest.raises(PatternError, match="setting"):
            plot_pattern(counts, setting="cubic")
        with pytest.raises(PatternError, match="no points"):
            plot_pattern(counts, two_theta_deg=(70, 80))
        plt.close("all")


class TestNoise:
    def test_counts(self) -> None:
        assert prepare.measure_noise(scan("subramanian1985")).gain == 1.0

    @pytest.mark.parametrize("factor", [0.001, 4.0])
    def test_scaled_counts(self, factor: float) -> None:
        counts = scan("subramanian1985")
        noise = prepare.measure_noise(bare(counts, counts.intensity * factor + 1e-9))
        assert noise.gain == pytest.approx(factor, rel=0.2)

    def test_background_subtracted(self) -> None:
        counts = scan("subramanian1985")
        noise = prepare.measure_noise(bare(counts, counts.intensity - 90.0))
        assert float(noise.sigma(np.zeros(1))[0]) == pytest.approx(math.sqrt(90.0), rel=0.3)


class TestPeakRule:
    """Li et al., EES Batteries 1 (2025) 1740: 19.2 lower than 19.6, double peaks at 27.5 and 34.5."""

    @pytest.mark.parametrize(
        ("fwhm", "phase"), [(0.06, "monoclinic"), (0.1, "monoclinic"), (0.2, "contradictory")]
    )
    def test_same_crystal_reads_differently(self, fwhm: float, phase: str) -> None:
        assert peak_rule(scan("subramanian1985", fwhm=fwhm, peak=8000.0)).phase == phase

    def test_undistorted(self) -> None:
        reading = peak_rule(scan("boilot1988_x235"))
        assert reading.phase == "rhombohedral"
        assert reading.height_ratio == pytest.approx(1.45, abs=0.1)

    def test_it_misreads_nzp(self) -> None:
        """R-3c NaZr2P3O12 (Hong 1976) has the 110 line stronger than 104, by its sodium content."""
        reading = peak_rule(scan("hong1976_nzp"))
        assert reading.votes["19.2 against 19.6"] == "monoclinic"
        assert reading.height_ratio == pytest.approx(0.76, abs=0.05)
        assert fit_pattern(scan("hong1976_nzp")).phase == "rhombohedral"

    def test_height_ratio_crosses_one_with_strain(self) -> None:
        """With the intensities of Subramanian 1985 and K-alpha1 + K-alpha2, the heights are equal at a strain
        of about 0.0034, 0.0042, 0.0057 and 0.0072 for widths of 0.06, 0.10, 0.15 and 0.20 degrees."""
        structure = load_parent("subramanian1985").structure
        for fwhm, strain in ((0.06, 0.0034), (0.10, 0.0042), (0.15, 0.0057), (0.20, 0.0072)):
            ratios = []
            for factor in (0.75, 1.3):
                d1, d2 = -0.0024 * factor * strain / 0.0059, -0.0118 * factor * strain / 0.0059
                a, b, c, beta = monoclinic_cell_from_distortion(9.04, 22.9, d1, d2)
                cell = Structure(
                    Lattice.monoclinic(a, b, c, beta), structure.species_and_occu, structure.frac_coords
                )
                assert monoclinic_distortion(cell.lattice).strain_norm == pytest.approx(
                    factor * strain, rel=0.05
                )
                pattern = powder_pattern(cell, fwhm_deg=fwhm, two_theta_deg=(17, 22))
                ratios.append(peak_rule(pattern).height_ratio or 0.0)
            assert ratios[0] > 1.0 > ratios[1]

    def test_caveats_and_round_trip(self) -> None:
        reading = peak_rule(scan("subramanian1985"))
        assert len(reading.caveats) >= 5
        back = PeakRuleReading.from_dict(json.loads(json.dumps(reading.as_dict())))
        assert back == reading
        assert "three-peak rule" in str(reading)

    def test_refusal(self) -> None:
        with pytest.raises(PatternError, match="neither"):
            peak_rule(scan("subramanian1985", span=(40.0, 50.0)))

    def test_part_of_the_range(self) -> None:
        reading = peak_rule(scan("subramanian1985", span=(18.0, 21.0)))
        assert reading.votes["27.5 double"] == "unreadable"
        assert reading.votes["34.5 double"] == "unreadable"

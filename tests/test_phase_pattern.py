"""Assignments from powder patterns, alone and beside composition and cell; the command line; the figures."""

from __future__ import annotations

import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice

from nasicon_struct import reference
from nasicon_struct.cli import main
from nasicon_struct.diffraction import PowderPattern, powder_pattern
from nasicon_struct.parents import load_parent
from nasicon_struct.phase import assign_phase
from nasicon_struct.phase_model import phase_map, probability_curve
from nasicon_struct.plotting.phase import (
    literature_distortions,
    plot_assignment,
    plot_distortions,
    plot_phase_map,
    plot_probability_curve,
    plot_reliability,
)


@pytest.fixture(scope="module")
def scans() -> dict[str, PowderPattern]:
    """Simulated scans of a C2/c and an R-3c crystal (Subramanian et al. 1985; Boilot et al. 1988)."""
    rng = np.random.default_rng(20)
    curves = {}
    for key in ("subramanian1985", "boilot1988_x235"):
        calculated = powder_pattern(load_parent(key).structure)
        curves[key] = calculated.two_theta_deg, 4000.0 * calculated.intensity / calculated.intensity.max()
    angle = curves["subramanian1985"][0]
    both = {key: np.interp(angle, *curve) for key, curve in curves.items()}
    both["mixture"] = 0.5 * both["subramanian1985"] + 0.5 * both["boilot1988_x235"]
    return {
        key: PowderPattern(
            two_theta_deg=angle,
            intensity=rng.poisson(y + 150.0).astype(float),
            wavelength_ang=1.5405929,
            kalpha2_ratio=0.5,
        )
        for key, y in both.items()
    }


def run(argv, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    out = capsys.readouterr()
    return int(stop.value.code or 0), out.out, out.err


# ---- patterns


@pytest.mark.parametrize(
    ("key", "phase"), [("subramanian1985", "monoclinic"), ("boilot1988_x235", "rhombohedral")]
)
def test_single_phases(scans, key, phase):
    result = assign_phase(scans[key])
    assert result.phase == phase
    assert (result.probability_monoclinic > 0.9) == (phase == "monoclinic")
    assert result.pattern_fit is not None
    assert result.distortion is not None
    if phase == "monoclinic":
        # Subramanian et al. 1985: a 15.6160, b 9.0188, c 9.1841 A, beta 123.92 deg
        assert result.distortion.delta2 == pytest.approx(-0.0154, abs=0.0005)
        assert result.distortion.delta2_se is not None
        assert result.fraction_monoclinic == 1.0


def test_mixture(scans):
    result = assign_phase(scans["mixture"])
    assert result.phase == "mixed"
    assert 0.2 < result.fraction_monoclinic < 0.8


def test_composition_moves_a_pattern_little(scans):
    alone = assign_phase(scans["boilot1988_x235"])
    against = assign_phase(scans["boilot1988_x235"], composition="Na3Zr2Si2PO12")
    assert against.phase == alone.phase == "rhombohedral"
    assert alone.probability_monoclinic < against.probability_monoclinic < 0.2
    assert any("contradict" in sentence for sentence in against.contradictions)
    same = assign_phase("Na3Zr2Si2PO12", pattern=scans["boilot1988_x235"])
    assert same.probability_monoclinic == pytest.approx(against.probability_monoclinic)


def test_a_pattern_that_cannot_tell_counts_nothing(scans):
    full = scans["subramanian1985"]
    keep = full.two_theta_deg > 30
    short = PowderPattern(two_theta_deg=full.two_theta_deg[keep], intensity=full.intensity[keep])
    result = assign_phase(short)
    assert result.phase == "undetermined"
    assert result.probability_monoclinic == 0.5
    assert "cannot tell" in result.evidence[0]
    helped = assign_phase(short, composition="Na3Zr2Si2PO12")
    expected = assign_phase("Na3Zr2Si2PO12").probability_monoclinic
    assert helped.phase == "monoclinic"
    assert helped.probability_monoclinic == pytest.approx(expected)


def test_calculated_patterns_are_named_as_such():
    result = assign_phase(powder_pattern(load_parent("subramanian1985").structure))
    assert result.phase == "monoclinic"
    assert any("calculated from a structure" in sentence for sentence in result.evidence)


def test_everything_together(scans):
    lattice = Lattice.from_parameters(15.616, 9.0188, 9.1841, 90, 123.92, 90)
    result = assign_phase("Na3Zr1.5Sc0.5Si1.5P1.5O12", structure=lattice, pattern=scans["subramanian1985"])
    assert {vote.kind for vote in result.votes} == {"composition", "metric", "pattern"}
    assert result.phase == "monoclinic"
    again = MontyDecoder().decode(json.dumps(result, cls=MontyEncoder))
    assert again == result
    assert again.pattern_fit.delta2 == pytest.approx(result.pattern_fit.delta2)


# ---- command line


def test_cif_json(capsys):
    code, out, _ = run(["phase", str(reference.cif_path("xun2025_s2")), "--json"], capsys)
    got = json.loads(out)
    assert code == 0
    assert got["phase"] == "monoclinic"
    assert {"probability_monoclinic", "delta1", "delta2", "strain_norm", "evidence"} <= set(got)
    assert got["delta2"] == pytest.approx(-0.0127, abs=5e-5)


def test_scan_json(scans, tmp_path, capsys):
    scan = scans["subramanian1985"]
    path = tmp_path / "scan.xy"
    np.savetxt(path, np.column_stack([scan.two_theta_deg, scan.intensity]), fmt="%.4f %.0f")
    code, out, _ = run(["phase", str(path), "--wavelength", "CuKa", "--json"], capsys)
    got = json.loads(out)
    assert code == 0
    assert got["phase"] == "monoclinic"
    for key in (
        "probability_monoclinic", "fraction_monoclinic", "delta1", "delta1_se", "delta2", "delta2_se",
        "a_h_ang", "c_h_ang", "zero_shift_deg", "fwhm_deg",
    ):  # fmt: skip
        assert isinstance(got[key], float), key
    assert got["evidence"]


def test_formula_text_and_figure(tmp_path, capsys):
    figure = tmp_path / "p.png"
    code, out, _ = run(["phase", "Na3.4Zr2Si2.4P0.6O12", "--figure", str(figure)], capsys)
    assert code == 0
    assert out.startswith("undetermined")
    assert "nearest in the literature" in out
    assert figure.stat().st_size > 1000


@pytest.mark.parametrize(
    "argv",
    [
        ["nowhere.cif"], ["nowhere.xy"], ["NaCl"], ["Na3Zr2Si2P3O12"], [],
        ["Na3Zr2Si2PO12", "--temperature-k", "-1"],
        ["Na3Zr2Si2PO12", "--wavelength", "CuKa"], ["Na3Zr2Si2PO12", "--figure", "x.nonsense"],
        ["Na3Zr2Si2PO12", "--composition", "Na3Zr2Si2PO12"],
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(argv, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(["phase", *argv], capsys)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


# ---- figures


def test_figures():
    cells = literature_distortions()
    assert len(cells) >= 8
    for ax in (
        plot_reliability([0.02, 0.5, 0.55, 0.97], [False, True, False, True]),
        plot_phase_map(phase_map("Sc", x_si=[1.5, 2.0, 2.5], amounts=[0.0, 0.2, 0.4])),
        plot_probability_curve(probability_curve("Na3Zr2Si2PO12")),
        plot_distortions(cells),
        plot_assignment(assign_phase("Na3Zr2Si2PO12")),
        plot_assignment(assign_phase(reference.cif_path("xun2025_s3"))),
    ):
        assert ax.get_xlabel()
        ax.figure.canvas.draw()
        plt.close(ax.figure)
    fig, mine = plt.subplots()
    assert plot_probability_curve(probability_curve("Na3Zr2Si2PO12"), mine) is mine
    plt.close(fig)

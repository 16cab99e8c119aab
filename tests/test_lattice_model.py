"""The lattice model: reproducible, inspectable, honest about its error."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasicon_struct.composition import NasiconComposition
from nasicon_struct.errors import CellError, ChargeBalanceError
from nasicon_struct.lattice_model import (
    FEATURES,
    TARGET_FEATURES,
    LatticePrediction,
    composition_features,
    fit,
    load_model,
    predict_lattice,
    training_rows,
)
from nasicon_struct.metric import monoclinic_distortion


@pytest.fixture(scope="module")
def fresh():
    return fit()


def test_stored_coefficients_are_those_of_a_fresh_fit(fresh):
    stored = load_model()
    assert [c["formula"] for c in stored["cells"]] == [c["formula"] for c in fresh["cells"]]
    for target in TARGET_FEATURES:
        for name in TARGET_FEATURES[target]:
            assert stored["targets"][target]["features"][name]["coefficient"] == pytest.approx(
                fresh["targets"][target]["features"][name]["coefficient"], abs=2e-5
            )


def test_ridge_against_scikit_style_normal_equations(fresh):
    """The same minimum from a stacked least-squares problem (numpy lstsq)."""
    rows = training_rows()
    for target, names in TARGET_FEATURES.items():
        x = np.array([[composition_features(r["composition"])[n] for n in names] for r in rows])
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        y = np.array([r[target] for r in rows])
        stacked = np.vstack(
            [
                np.column_stack([np.ones(len(z)), z]),
                np.column_stack([np.zeros(len(names)), math.sqrt(1e-4 * len(z)) * np.eye(len(names))]),
            ]
        )
        weights = np.linalg.lstsq(stacked, np.concatenate([y, np.zeros(len(names))]), rcond=None)[0]
        assert fresh["targets"][target]["intercept"] == pytest.approx(weights[0], abs=1e-5)
        got = [fresh["targets"][target]["features"][n]["coefficient"] for n in names]
        assert got == pytest.approx(weights[1:], abs=1e-5)  # fmt: skip


def test_leaving_a_source_out_sees_nothing_of_it():
    rows = training_rows()
    reference = {c["formula"] + c["source_key"]: c["c_h_error_ang"] for c in fit(rows)["cells"]}
    moved = [{**r, "c_h_ang": r["c_h_ang"] + (1.0 if r["source_key"] == "guin2016" else 0.0)} for r in rows]
    for cell in fit(moved)["cells"]:
        if cell["source_key"] == "guin2016":
            # the prediction stays, so the error moves by exactly what was added
            assert cell["c_h_error_ang"] == pytest.approx(
                reference[cell["formula"] + "guin2016"] - 1.0, abs=2e-4
            )


def test_errors_are_worth_something():
    model = load_model()
    assert model["targets"]["a_h_ang"]["rms_error_leave_one_source_out"] < 0.035
    assert model["targets"]["c_h_ang"]["rms_error_leave_one_source_out"] < 0.13
    for target in TARGET_FEATURES:
        spec = model["targets"][target]
        assert spec["rms_error_fitted"] < spec["rms_error_leave_one_source_out"]
        mean_only = np.std([r[target] for r in training_rows()])
        assert spec["rms_error_leave_one_source_out"] < 0.45 * mean_only
    assert len(model["cells"]) >= 45
    assert set(FEATURES) == {n for names in TARGET_FEATURES.values() for n in names}


def test_published_cells_lie_within_three_errors():
    for row in training_rows():
        p = predict_lattice(row["composition"])
        assert abs(p.a_h_ang - row["a_h_ang"]) < 3.2 * p.a_h_error_ang, row["formula"]
        assert abs(p.c_h_ang - row["c_h_ang"]) < 3.2 * p.c_h_error_ang, row["formula"]


def test_trends():
    """a_h grows with Si and Na; c_h has a maximum near Na 2.6-2.8 (Hong 1976, Table 1)."""
    series = [NasiconComposition.from_dopants({}, x_si=x / 10) for x in range(0, 31)]
    a = [predict_lattice(c).a_h_ang for c in series]
    c = [predict_lattice(c).c_h_ang for c in series]
    assert all(np.diff(a) > 0)
    assert 1.0 <= np.argmax(c) / 10 <= 2.1
    assert c[-1] < c[0]


def test_phases():
    p = predict_lattice("Na3Zr2Si2PO12", phase="C2/c")
    d = monoclinic_distortion(p.cell)
    assert (d.delta1, d.delta2) == pytest.approx((p.delta1, p.delta2), abs=1e-9)
    assert -0.0196 < p.delta2 < -0.0110
    assert p.delta2_error == pytest.approx(0.002, abs=0.001)
    assert volume(p.cell) / 4 == pytest.approx(p.volume_per_o12_ang3, rel=1e-9)
    r = predict_lattice("Na3Zr2Si2PO12", phase="rhombohedral")
    assert r.cell == pytest.approx((p.a_h_ang, p.a_h_ang, p.c_h_ang, 90, 90, 120))
    assert (r.delta1, r.delta2) == (0.0, 0.0)
    bare = predict_lattice("Na3Zr2Si2PO12")
    assert bare.cell is None
    assert bare.delta2 is None
    with pytest.raises(CellError, match="R-3c"):
        predict_lattice("Na3Zr2Si2PO12", phase="cubic")
    with pytest.raises(ChargeBalanceError):
        predict_lattice("Na3.4Zr2Si2.35P0.65O12")


def volume(cell):
    a, b, c, alpha, beta, gamma = cell
    assert (alpha, gamma) == (90, 90)
    return a * b * c * math.sin(math.radians(beta))


def test_extrapolation_is_said():
    assert predict_lattice("Na3Zr2Si2PO12").extrapolation == ()
    assert any("Zn" in r for r in predict_lattice("Na3.4Zr1.7Sc0.2Zn0.1Si2PO12").extrapolation)
    far = predict_lattice("Na3La2P3O12")
    assert any("radius" in r for r in far.extrapolation)
    assert "extrapolated" in str(far)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.integers(0, 10))
def test_predictions_are_finite_and_nasicon_like(si, sc):
    try:
        comp = NasiconComposition.from_dopants({"Sc": sc / 10}, x_si=si / 10)
    except ValueError:
        return
    p = predict_lattice(comp, phase="R-3c")
    assert 8.6 < p.a_h_ang < 9.4
    assert 21.0 < p.c_h_ang < 23.5
    assert 0 < p.a_h_error_ang < 0.2
    assert 0 < p.c_h_error_ang < 0.5
    assert LatticePrediction.from_dict(json.loads(json.dumps(p.as_dict()))) == p

"""Fit the phase model to the literature table and write structures/tables/phase_model.json.

Each label says on which side of the temperature of measurement the transition temperature lies (a logistic
likelihood of width s; mixed and borderline samples count as half and half), each published transition
temperature measures it directly. The coefficients have normal priors with the physical reasons given below;
the posterior is the usual Gaussian about its maximum. The width s and the size of the local term are the
least confident ones whose log loss, with each source in turn left out, is as small as the smallest.

    python scripts/fit_phase_model.py            # fit, score with leave-one-source-out, write the file
    python scripts/fit_phase_model.py --check    # fit and compare with the file, write nothing
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasicon_struct import reference
from nasicon_struct.phase_model import (
    FEATURES,
    NominalComposition,
    PhaseModel,
    literature_rows,
    nominal_composition,
)
from nasicon_struct.phase_model.model import FloatArray, anchor_kernel
from nasicon_struct.units import ROOM_TEMPERATURE_K

OUTPUT = Path(__file__).resolve().parent.parent / "structures" / "tables" / "phase_model.json"

#: Prior mean and standard deviation (K per unit of the feature), and why.
PRIORS: dict[str, tuple[float, float, str]] = {
    "constant": (
        430.0,
        15.0,
        "transition of Na3Zr2Si2PO12 at 147 to 167 C: Jolley et al. 2015 and references there",
    ),
    "na_deficit": (
        -200.0,
        150.0,
        "rhombohedral below about 2.7 Na in Na1+xZr2SixP3-xO12 (Hong 1976); shared with si_deficit",
    ),
    "na_excess": (
        -330.0,
        120.0,
        "room temperature is reached near 3.4 Na: Hong 1976, Subramanian et al. 1985",
    ),
    "si_deficit": (
        -160.0,
        100.0,
        "at 3 Na room temperature is reached near 1.2 to 1.6 Si: Subramanian et al. 1985",
    ),
    "m_mixing": (-50.0, 100.0, "every dopant at 10 % lowers the transition: Jolley et al. 2015"),
    "m_divalent": (0.0, 100.0, "no expectation beyond the Na that it brings"),
    "m_radius_shift": (0.0, 40.0, "no law in the radius: Jolley et al. 2015"),
    "m_radius_spread": (-30.0, 40.0, "disorder on M weakens the ordering of Na"),
    "m_vacancy": (
        0.0,
        150.0,
        "no expectation: Kohler et al. 1983 and Bohnke et al. 1999 point in opposite directions",
    ),
    "ordered_phosphate": (200.0, 120.0, "Na3M2(PO4)3 with one trivalent M orders its Na near 300 to 410 K"),
}
ELEMENT_SD_K = 60.0
TETRAHEDRAL_SD_K = 150.0
LABEL_NOISE = 0.02
TC_SD_K = 20.0
LOCAL_LENGTH = 1.0
WIDTHS_K = (10.0, 15.0, 20.0, 30.0)
LOCAL_SD_K = (10.0, 20.0, 30.0)
LOG_LOSS_TOLERANCE = 0.005
CONFIDENCE_WEIGHT = {"high": 1.0, "medium": 0.8, "low": 0.4}
#: Probability that a row speaks for monoclinic.
TARGET = {"monoclinic": 1.0, "rhombohedral": 0.0, "mixed": 0.5, "borderline": 0.5}


@dataclass(frozen=True)
class Row:
    """One observation: a label (target, weight), or a transition temperature (tc_k)."""

    composition: NominalComposition
    target: float
    weight: float
    temperature_k: float
    tc_k: float | None
    source_key: str
    scored: bool
    formula: str
    phase: str


def training_rows() -> list[Row]:
    """Return the rows the model learns from."""
    rows = []
    for row in literature_rows():
        if row.phase not in TARGET or row.label.startswith("C2/c (metric"):
            continue  # another space group; or a label that its own cell contradicts
        rows.append(
            Row(
                composition=row.composition,
                target=0.8 if row.label.endswith("?") else TARGET[row.phase],
                weight=CONFIDENCE_WEIGHT[row.confidence],
                temperature_k=row.temperature_k,
                tc_k=None,
                source_key=row.source_key,
                scored=row.scored and row.phase in ("monoclinic", "rhombohedral"),
                formula=row.formula,
                phase=row.phase,
            )
        )
    for row in reference.read_rows("transition_temperatures"):
        if not row["tc_k"]:
            continue  # bounds repeat what the labels say
        rows.append(
            Row(
                composition=nominal_composition(row["formula"]),
                target=0.5,
                weight=0.0,
                temperature_k=ROOM_TEMPERATURE_K,
                tc_k=float(row["tc_k"]),
                source_key=row["source_key"],
                scored=False,
                formula=row["formula"],
                phase="transition",
            )
        )
    return rows


def anchors_of(rows: Sequence[Row]) -> tuple[NominalComposition, ...]:
    """Return the compositions that carry a local correction: those not decided by a glance."""
    unique = {row.composition.formula: row.composition for row in rows if near_boundary(row.composition)}
    return tuple(unique[formula] for formula in sorted(unique))


def near_boundary(composition: NominalComposition) -> bool:
    """Whether a composition is not decided by a glance: 2.4 to 3.8 Na and at least 0.8 Si."""
    return 2.4 <= composition.na <= 3.8 and composition.x_si >= 0.8


def fit(rows: Sequence[Row], width_k: float, local_sd_k: float) -> tuple[PhaseModel, float]:
    """Return the model at the maximum of the posterior, and the logarithm of its evidence (Laplace)."""
    elements = sorted({s for row in rows for s in row.composition.m_site if s != "Zr"})
    anchors = anchors_of(rows)
    n_linear = len(FEATURES) + len(elements)
    mean = np.zeros(n_linear + len(anchors))
    mean[: len(FEATURES)] = [PRIORS[name][0] for name in FEATURES]
    sd = np.array([PRIORS[name][1] for name in FEATURES] + [ELEMENT_SD_K] * len(elements))
    precision = np.zeros((len(mean), len(mean)))
    precision[:n_linear, :n_linear] = np.diag(1.0 / sd**2)
    precision[n_linear:, n_linear:] = np.linalg.inv(local_sd_k**2 * anchor_kernel(anchors, LOCAL_LENGTH))
    empty = PhaseModel(
        features=tuple(FEATURES),
        elements=tuple(elements),
        anchors=anchors,
        weights_k=mean,
        covariance_k2=np.zeros((len(mean), len(mean))),
        scale_k=width_k,
        label_noise=LABEL_NOISE,
        element_sd_k=ELEMENT_SD_K,
        tetrahedral_sd_k=TETRAHEDRAL_SD_K,
        local_sd_k=local_sd_k,
        local_length=LOCAL_LENGTH,
    )
    x = np.array([empty.row(row.composition) for row in rows])
    target = np.array([row.target for row in rows])
    weight = np.array([row.weight for row in rows])
    temperature = np.array([row.temperature_k for row in rows])
    measured = np.array([row.tc_k is not None for row in rows])
    x_tc, tc = x[measured], np.array([row.tc_k for row in rows if row.tc_k is not None], dtype=float)

    def posterior(w: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        z = (x @ w - temperature) / width_k
        p = 0.5 * (1.0 + np.tanh(0.5 * z))
        loss = float(weight @ (np.logaddexp(0.0, z) - target * z))
        gradient = x.T @ (weight * (p - target)) / width_k
        hessian = (x.T * (weight * p * (1.0 - p) / width_k**2)) @ x + precision
        off = w - mean
        loss += 0.5 * float(off @ precision @ off)
        gradient = gradient + precision @ off
        residual = x_tc @ w - tc
        loss += 0.5 * float(residual @ residual) / TC_SD_K**2
        return loss, gradient + x_tc.T @ residual / TC_SD_K**2, hessian + x_tc.T @ x_tc / TC_SD_K**2

    w = mean.copy()
    for _ in range(200):
        loss, gradient, hessian = posterior(w)
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        while posterior(w - length * step)[0] > loss + 1e-12 and length > 1e-6:
            length /= 2.0
        w = w - length * step
        if np.abs(length * step).max() < 1e-8:
            break
    loss, _, hessian = posterior(w)
    evidence = 0.5 * float(np.linalg.slogdet(precision)[1] - np.linalg.slogdet(hessian)[1]) - loss
    return replace(empty, weights_k=w, covariance_k2=np.linalg.inv(hessian)), evidence


def leave_one_source_out(rows: Sequence[Row], width_k: float, local_sd_k: float) -> list[float]:
    """Return P(monoclinic) of each row from a model that has not seen its source."""
    predictions = [math.nan] * len(rows)
    for key in sorted({row.source_key for row in rows}):
        model, _ = fit([row for row in rows if row.source_key != key], width_k, local_sd_k)
        for i, row in enumerate(rows):
            if row.source_key == key:
                transition = model.transition_temperature(row.composition)
                predictions[i] = model.probability(*transition, row.temperature_k)
    return predictions


def best_settings(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the width and the size of the local term.

    The least confident pair (largest width, then largest local term) of those whose leave-one-source-out log
    loss is as small as the smallest, within ``LOG_LOSS_TOLERANCE``.
    """
    losses = {
        (width, local): scores(rows, leave_one_source_out(rows, width, local))["log_loss"]
        for width in WIDTHS_K
        for local in LOCAL_SD_K
    }
    smallest = min(losses.values())
    return max(pair for pair, loss in losses.items() if loss <= smallest + LOG_LOSS_TOLERANCE)


def nested_leave_one_source_out(rows: Sequence[Row]) -> list[float]:
    """The same predictions, with width and local term chosen anew without the source that is left out."""
    predictions = [math.nan] * len(rows)
    for key in sorted({row.source_key for row in rows}):
        rest = [row for row in rows if row.source_key != key]
        model, _ = fit(rest, *best_settings(rest))
        for i, row in enumerate(rows):
            if row.source_key == key:
                transition = model.transition_temperature(row.composition)
                predictions[i] = model.probability(*transition, row.temperature_k)
    return predictions


def scores(rows: Sequence[Row], predictions: Sequence[float]) -> dict[str, float]:
    """Return the scores of probabilistic predictions on the rows with a clear label."""
    pairs = [(p, row.target > 0.5) for p, row in zip(predictions, rows, strict=True) if row.scored]
    p = np.array([pair[0] for pair in pairs])
    truth = np.array([pair[1] for pair in pairs])
    sure = np.maximum(p, 1 - p) >= 0.7
    very = np.maximum(p, 1 - p) >= 0.95
    right = (p > 0.5) == truth
    likelihood = np.where(truth, p, 1 - p)
    return {
        "rows": float(len(p)),
        "accuracy": float(right.mean()),
        "brier": float(np.mean((p - truth) ** 2)),
        "log_loss": float(-np.log(likelihood).mean()),
        "share_decided": float(sure.mean()),
        "accuracy_decided": float(right[sure].mean()),
        "rows_above_0.95": float(very.sum()),
        "errors_above_0.95": float((~right[very]).sum()),
    }


def as_json(model: PhaseModel, rows: Sequence[Row], loso: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return the content of the file."""
    n = len(model.features)
    m = n + len(model.elements)
    sd = np.sqrt(np.diag(model.covariance_k2))
    return {
        "about": "Transition temperature of NASICON from composition; see nasicon_struct/phase_model.py",
        "made_by": "scripts/fit_phase_model.py from literature_phases.csv and transition_temperatures.csv",
        "features": {
            name: {
                "what": FEATURES[name],
                "weight_k": round(float(model.weights_k[i]), 3),
                "se_k": round(float(sd[i]), 3),
                "prior_mean_k": PRIORS[name][0],
                "prior_sd_k": PRIORS[name][1],
                "prior_reason": PRIORS[name][2],
            }
            for i, name in enumerate(model.features)
        },
        "elements": {
            name: {"weight_k": round(float(model.weights_k[n + i]), 3), "se_k": round(float(sd[n + i]), 3)}
            for i, name in enumerate(model.elements)
        },
        "local": {
            "what": "correction of the transition temperature near literature compositions, K",
            "prior_sd_k": model.local_sd_k,
            "length": model.local_length,
            "corrections": [
                {
                    "formula": anchor.formula,
                    "correction_k": round(float(model.weights_k[m + i]), 3),
                    "se_k": round(float(sd[m + i]), 3),
                }
                for i, anchor in enumerate(model.anchors)
            ],
        },
        "scale_k": model.scale_k,
        "label_noise": model.label_noise,
        "element_prior_sd_k": model.element_sd_k,
        "tetrahedral_prior_sd_k": model.tetrahedral_sd_k,
        "tc_sd_k": TC_SD_K,
        "training": {
            "rows": sum(row.tc_k is None for row in rows),
            "sources": len({row.source_key for row in rows}),
            "transition_temperatures": sum(row.tc_k is not None for row in rows),
        },
        "leave_one_source_out": {k: {name: round(v, 4) for name, v in s.items()} for k, s in loso.items()},
        "covariance_k2_lower_triangle": [
            [round(float(v), 2) for v in row[: i + 1]] for i, row in enumerate(model.covariance_k2)
        ],
    }


def dump(content: dict[str, Any]) -> str:
    """Write JSON, each row of the covariance and each local correction on a line of its own."""
    lines = {}

    def compact(value: Any) -> str:
        key = f"@{len(lines)}@"
        lines[f'"{key}"'] = json.dumps(value)
        return key

    content = dict(content)
    content["local"] = content["local"] | {
        "corrections": [compact(entry) for entry in content["local"]["corrections"]]
    }
    triangle = "covariance_k2_lower_triangle"
    content[triangle] = [compact(row) for row in content[triangle]]
    text = json.dumps(content, indent=1)
    for key, value in lines.items():
        text = text.replace(key, value)
    return text + "\n"


def score_table(rows: Sequence[Row], predictions: Sequence[float]) -> dict[str, dict[str, float]]:
    """Return the scores on all rows with a clear label, and on those near the boundary."""
    near = [replace(row, scored=row.scored and near_boundary(row.composition)) for row in rows]
    return {"all": scores(rows, predictions), "near_boundary": scores(near, predictions)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    parser.add_argument(
        "--nested", action="store_true", help="also score with the settings chosen anew (slow)"
    )
    args = parser.parse_args(argv)
    rows = training_rows()
    if args.check:
        stored = PhaseModel.from_dict(json.loads(OUTPUT.read_text(encoding="utf-8")))
        model, _ = fit(rows, stored.scale_k, stored.local_sd_k)
        same = stored.elements == model.elements and len(stored.weights_k) == len(model.weights_k)
        same = same and np.allclose(stored.weights_k, model.weights_k, atol=0.01)
        print("the file agrees with the table" if same else "the file is out of date: run this script")
        return 0 if same else 1
    settings = best_settings(rows)
    model, _ = fit(rows, *settings)
    loso = score_table(rows, leave_one_source_out(rows, *settings))
    if args.nested:
        nested = score_table(rows, nested_leave_one_source_out(rows))
        loso |= {f"{name}_nested": values for name, values in nested.items()}
    OUTPUT.write_text(dump(as_json(model, rows, loso)), encoding="utf-8")
    for name, values in loso.items():
        print(name, {k: round(v, 3) for k, v in values.items()})
    names = model.features + model.elements
    for name, w, v in zip(names, model.weights_k, np.diag(model.covariance_k2), strict=False):
        print(f"{name:20s} {w:8.1f} +- {math.sqrt(v):5.1f} K")
    print(f"width {model.scale_k} K, local {model.local_sd_k} K; run scripts/update_checksums.py now")
    return 0


if __name__ == "__main__":
    sys.exit(main())

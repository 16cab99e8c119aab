"""Lattice parameters predicted from composition: a small ridge model with a stated error.

The hexagonal metric (a_h, c_h) of literature cells at room temperature is fitted to a handful of features
(Na, Si, mean radius and electronegativity on M); monoclinic cells enter through their nearest rhombohedral
metric. Errors come from leaving one source (paper) out at a time. Coefficients are plain numbers in
``structures/tables/lattice_model.json``, written by ``scripts/fit_lattice_model.py``.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monty.json import MSONable
from numpy.typing import NDArray
from pymatgen.core.periodic_table import Element

from nasicon_struct import reference
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.errors import CellError, CompositionError
from nasicon_struct.metric import monoclinic_cell_from_distortion, monoclinic_distortion

FloatArray = NDArray[np.float64]

#: What each feature is, for readers of the coefficients.
FEATURES: Final[dict[str, str]] = {
    "na": "Na per O12",
    "na_squared": "square of Na per O12",
    "na_above_3_squared": "square of the Na above 3 per O12, 0 below",
    "si": "Si per O12",
    "si_squared": "square of Si per O12",
    "m_radius": "mean Shannon radius (VI) on M, angstrom",
    "m_electronegativity": "mean Pauling electronegativity on M",
}
#: Features of each target: few, and chosen once by the error of leaving a source out.
TARGET_FEATURES: Final[dict[str, tuple[str, ...]]] = {
    "a_h_ang": ("na", "na_squared", "si", "m_radius", "m_electronegativity"),
    "c_h_ang": (
        "na",
        "na_squared",
        "na_above_3_squared",
        "si",
        "si_squared",
        "m_radius",
        "m_electronegativity",
    ),
}
#: Ridge penalty per row on standardised features.
RIDGE: Final = 1e-4
#: The error of a prediction is that of this many nearest literature cells.
NEIGHBOURS: Final = 10
_PHASES: Final = {
    "c2/c": "monoclinic",
    "monoclinic": "monoclinic",
    "r-3c": "rhombohedral",
    "rhombohedral": "rhombohedral",
}


def composition_features(composition: NasiconComposition) -> dict[str, float]:
    """Return the features of :data:`FEATURES` for one composition."""
    na, si = composition.na, composition.x_si
    return {
        "na": na,
        "na_squared": na**2,
        "na_above_3_squared": max(0.0, na - 3.0) ** 2,
        "si": si,
        "si_squared": si**2,
        "m_radius": composition.m_radius_mean_ang,
        "m_electronegativity": sum(float(n) * Element(s).X for s, n in composition.m_site.items()) / 2.0,
    }


@dataclass(frozen=True, kw_only=True)
class LatticePrediction(MSONable):
    """Lattice parameters predicted for a composition at room temperature.

    Attributes
    ----------
    formula : str
    phase : str or None
        ``monoclinic``, ``rhombohedral``, or None when only the hexagonal metric was asked for.
    a_h_ang, c_h_ang : float
        Hexagonal (or nearest hexagonal) cell, angstrom.
    a_h_error_ang, c_h_error_ang : float
        Root mean square error, angstrom, of the nearest literature cells when their source is left out.
    delta1, delta2 : float or None
        Distortion (dimensionless): 0 for rhombohedral, the mean of the literature C2/c cells for
        monoclinic, None without a phase.
    delta1_error, delta2_error : float or None
        Standard deviation of the distortion among literature C2/c cells.
    cell : tuple of float or None
        a, b, c, alpha, beta, gamma (angstrom, degree) in the setting of the phase.
    nearest : tuple of str
        The literature cells nearest in composition, with their source.
    extrapolation : tuple of str
        Why the prediction leaves the range of the literature; empty when it does not.
    """

    formula: str
    phase: str | None
    a_h_ang: float
    c_h_ang: float
    a_h_error_ang: float
    c_h_error_ang: float
    delta1: float | None
    delta2: float | None
    delta1_error: float | None
    delta2_error: float | None
    cell: tuple[float, ...] | None
    nearest: tuple[str, ...]
    extrapolation: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("nearest", "extrapolation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.cell is not None:
            object.__setattr__(self, "cell", tuple(self.cell))

    @property
    def volume_per_o12_ang3(self) -> float:
        """Volume of one O12 formula unit, cubic angstrom."""
        return math.sqrt(0.75) * self.a_h_ang**2 * self.c_h_ang / 6.0

    def __str__(self) -> str:
        return (
            f"a_h {self.a_h_ang:.3f} +- {self.a_h_error_ang:.3f} A, c_h {self.c_h_ang:.2f} +- "
            f"{self.c_h_error_ang:.2f} A (error of leaving one source out)"
            + ("; extrapolated: " + "; ".join(self.extrapolation) if self.extrapolation else "")
        )


# --------------------------------------------------------------------------------------------------
# fitting


def training_rows() -> list[dict[str, Any]]:
    """Return the literature cells the model is fitted to: formula, source, (a_h, c_h), distortion.

    Rows of ``literature_phases`` at 298 K with a cell, a neutral formula and one of the two phases (or the
    border between them); monoclinic cells give the nearest rhombohedral metric and their distortion.
    """
    rows = []
    for row in reference.read_rows("literature_phases"):
        if row["phase"] == "other" or row["temperature_k"] != "298" or not (row["a_hex_ang"] or row["a_ang"]):
            continue
        try:
            composition = NasiconComposition.from_any(row["formula"])
        except CompositionError:
            continue
        item: dict[str, Any] = {
            "formula": composition.formula,
            "source_key": row["source_key"],
            "composition": composition,
            "phase": row["phase"],
            "delta1": None,
            "delta2": None,
        }
        if row["a_ang"]:
            cell = tuple(float(row[name]) for name in ("a_ang", "b_ang", "c_ang", "beta_deg"))
            distortion = monoclinic_distortion(cell)
            item |= {"a_h_ang": distortion.nearest_a_h_ang, "c_h_ang": distortion.nearest_c_h_ang}
            item |= {"delta1": distortion.delta1, "delta2": distortion.delta2}
        else:
            item |= {"a_h_ang": float(row["a_hex_ang"]), "c_h_ang": float(row["c_hex_ang"])}
        rows.append(item)
    return rows


def _ridge(z: FloatArray, y: FloatArray) -> FloatArray:
    """Return (intercept, coefficients) on standardised features."""
    design = np.column_stack([np.ones(len(z)), z])
    penalty = RIDGE * len(z) * np.diag([0.0] + [1.0] * z.shape[1])
    return np.asarray(np.linalg.solve(design.T @ design + penalty, design.T @ y), dtype=np.float64)


def fit(rows: Sequence[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Fit the model and its leave-one-source-out errors; returns the content of the coefficient file.

    Each source is left out with its standardisation, so nothing of it is seen.
    """
    rows = training_rows() if rows is None else list(rows)
    features = [composition_features(row["composition"]) for row in rows]
    sources = np.array([row["source_key"] for row in rows])
    targets: dict[str, Any] = {}
    residuals: dict[str, FloatArray] = {}
    for target, names in TARGET_FEATURES.items():
        x = np.array([[f[name] for name in names] for f in features])
        y = np.array([row[target] for row in rows])

        def standardised(part: FloatArray) -> tuple[FloatArray, FloatArray]:
            spread = part.std(axis=0)
            return part.mean(axis=0), np.where(spread > 0, spread, 1.0)

        mean, spread = standardised(x)
        weights = _ridge((x - mean) / spread, y)
        left_out = np.zeros(len(y))
        for source in sorted(set(sources)):
            out = sources == source
            mean_in, spread_in = standardised(x[~out])
            inner = _ridge((x[~out] - mean_in) / spread_in, y[~out])
            left_out[out] = inner[0] + ((x[out] - mean_in) / spread_in) @ inner[1:] - y[out]
        inside = weights[0] + ((x - mean) / spread) @ weights[1:] - y
        residuals[target] = left_out
        targets[target] = {
            "intercept": round(float(weights[0]), 6),
            "features": {
                name: {
                    "mean": round(float(mean[i]), 6),
                    "spread": round(float(spread[i]), 6),
                    "coefficient": round(float(weights[1 + i]), 6),
                }
                for i, name in enumerate(names)
            },
            "rms_error_leave_one_source_out": round(float(np.sqrt(np.mean(left_out**2))), 4),
            "largest_error_leave_one_source_out": round(float(np.abs(left_out).max()), 4),
            "rms_error_fitted": round(float(np.sqrt(np.mean(inside**2))), 4),
        }
    genuine = [row for row in rows if row["phase"] == "monoclinic" and row["delta2"] is not None]
    distortion = {
        name: {
            "mean": round(float(np.mean([row[name] for row in genuine])), 5),
            "standard_deviation": round(float(np.std([row[name] for row in genuine], ddof=1)), 5),
            "cells": len(genuine),
        }
        for name in ("delta1", "delta2")
    }
    return {
        "what": "Ridge model of the hexagonal metric of NASICON at room temperature; value = intercept + "
        "sum of coefficient * (feature - mean) / spread",
        "units": "angstrom; distortions are dimensionless",
        "fitted_to": "structures/tables/literature_phases.csv, rows at 298 K with a cell",
        "written_by": "scripts/fit_lattice_model.py",
        "ridge_penalty_per_row": RIDGE,
        "feature_meanings": FEATURES,
        "targets": targets,
        "monoclinic_distortion": distortion,
        "elements": sorted({e for row in rows for e in row["composition"].amounts}),
        "cells": [
            {
                "formula": row["formula"],
                "source_key": row["source_key"],
                "a_h_error_ang": round(float(residuals["a_h_ang"][i]), 4),
                "c_h_error_ang": round(float(residuals["c_h_ang"][i]), 4),
            }
            for i, row in enumerate(rows)
        ],
    }


# --------------------------------------------------------------------------------------------------
# predicting


@functools.cache
def load_model() -> dict[str, Any]:
    """Return the coefficients and errors of the model as stored; treat as read-only."""
    return dict(json.loads(reference.data_path("lattice_model").read_text(encoding="utf-8")))


@functools.cache
def _cells() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (features, spreads, left-out errors) of the cells in the model."""
    model = load_model()
    x = np.array(
        [
            [composition_features(NasiconComposition.from_any(cell["formula"]))[name] for name in FEATURES]
            for cell in model["cells"]
        ]
    )
    errors = np.array([[cell["a_h_error_ang"], cell["c_h_error_ang"]] for cell in model["cells"]])
    return x, x.std(axis=0), errors


def predict_lattice(composition: Any, *, phase: str | None = None) -> LatticePrediction:
    """Predict the room-temperature lattice of a composition.

    Parameters
    ----------
    composition
        Formula, pymatgen Composition or NasiconComposition; must be neutral.
    phase : str, optional
        ``"C2/c"`` or ``"monoclinic"``, ``"R-3c"`` or ``"rhombohedral"``; without it only the hexagonal
        metric is predicted.

    Returns
    -------
    LatticePrediction

    Raises
    ------
    CellError
        When the phase is neither of the two.
    CompositionError
        When the composition is no neutral NASICON.
    """
    comp = NasiconComposition.from_any(composition)
    named = None if phase is None else _PHASES.get(str(phase).lower())
    if phase is not None and named is None:
        raise CellError(f"the phase is 'C2/c' (monoclinic) or 'R-3c' (rhombohedral), got {str(phase)[:40]!r}")
    model = load_model()
    features = composition_features(comp)
    values = {
        target: spec["intercept"]
        + sum(
            part["coefficient"] * (features[name] - part["mean"]) / part["spread"]
            for name, part in spec["features"].items()
        )
        for target, spec in model["targets"].items()
    }
    x, spread, errors = _cells()
    point = np.array([features[name] for name in FEATURES])
    distance = np.linalg.norm((x - point) / spread, axis=1)
    near = np.argsort(distance, kind="stable")[:NEIGHBOURS]
    a_error, c_error = np.sqrt(np.mean(errors[near] ** 2, axis=0))

    delta = {"delta1": None, "delta2": None} if named is None else {"delta1": 0.0, "delta2": 0.0}
    delta_error: dict[str, float | None] = {"delta1": None, "delta2": None}
    cell: tuple[float, ...] | None = None
    if named == "monoclinic":
        delta = {name: spec["mean"] for name, spec in model["monoclinic_distortion"].items()}
        delta_error = {n: spec["standard_deviation"] for n, spec in model["monoclinic_distortion"].items()}
        a, b, c, beta = monoclinic_cell_from_distortion(
            values["a_h_ang"], values["c_h_ang"], float(delta["delta1"] or 0), float(delta["delta2"] or 0)
        )
        cell = (a, b, c, 90.0, beta, 90.0)
    elif named == "rhombohedral":
        cell = (values["a_h_ang"], values["a_h_ang"], values["c_h_ang"], 90.0, 90.0, 120.0)
    return LatticePrediction(
        formula=comp.formula,
        phase=named,
        a_h_ang=float(values["a_h_ang"]),
        c_h_ang=float(values["c_h_ang"]),
        a_h_error_ang=float(a_error),
        c_h_error_ang=float(c_error),
        delta1=delta["delta1"],
        delta2=delta["delta2"],
        delta1_error=delta_error["delta1"],
        delta2_error=delta_error["delta2"],
        cell=cell,
        nearest=tuple(
            f"{model['cells'][i]['formula']} ({model['cells'][i]['source_key']})" for i in near[:3]
        ),
        extrapolation=_extrapolation(comp, features, x, float(distance.min())),
    )


def _extrapolation(
    comp: NasiconComposition, features: dict[str, float], x: FloatArray, nearest: float
) -> tuple[str, ...]:
    reasons = []
    unseen = [e for e in comp.amounts if e not in load_model()["elements"]]
    if unseen:
        reasons.append(f"no literature cell holds {', '.join(unseen)}")
    for i, name in enumerate(FEATURES):
        if "squared" in name:
            continue
        low, high = x[:, i].min(), x[:, i].max()
        if not low - 1e-9 <= features[name] <= high + 1e-9:
            reasons.append(
                f"{FEATURES[name]} is {features[name]:.4g}, literature cells have {low:.4g} to {high:.4g}"
            )
    if nearest > 1.5:
        reasons.append(f"the nearest literature cell is {nearest:.1f} standard deviations away")
    return tuple(reasons)

"""Coefficients of the phase model and what they predict."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasicon_struct import reference
from nasicon_struct.errors import ReferenceDataError
from nasicon_struct.phase_model.features import (
    FEATURES,
    CompositionSpace,
    NominalComposition,
    composition_features,
    element_features,
    nominal_composition,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PhaseModel:
    """Coefficients of the transition-temperature model.

    Attributes
    ----------
    features, elements : tuple of str
        Names of the coefficients: features first, then M-site elements.
    anchors : tuple of NominalComposition
        Literature compositions that carry a local correction.
    weights_k : ndarray of shape (n_features + n_elements + n_anchors,)
        Coefficients, K per unit of the feature; the last ones are the corrections at the anchors, K.
    covariance_k2 : ndarray of shape (n, n)
        Their posterior covariance, K^2.
    scale_k : float
        Width s of the logistic, K.
    label_noise : float
        Share eps of labels that are wrong wherever they are.
    element_sd_k : float
        Prior standard deviation of an element term, K; used for an element never seen.
    tetrahedral_sd_k : float
        The same for a T-site element other than Si and P, per full T site, K.
    local_sd_k, local_length : float
        Prior standard deviation (K) and range (units of :func:`composition_distance`) of the local term.
    """

    features: tuple[str, ...]
    elements: tuple[str, ...]
    anchors: tuple[NominalComposition, ...]
    weights_k: FloatArray
    covariance_k2: FloatArray
    scale_k: float
    label_noise: float
    element_sd_k: float
    tetrahedral_sd_k: float
    local_sd_k: float
    local_length: float

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> PhaseModel:
        """Make the model from the content of ``phase_model.json``."""
        names = tuple(d["features"]), tuple(d["elements"])
        if set(names[0]) != set(FEATURES):
            raise ReferenceDataError(
                f"phase_model.json holds the features {sorted(names[0])}, this version computes "
                f"{sorted(FEATURES)}; run scripts/fit_phase_model.py"
            )
        weights = [entry["weight_k"] for block in (d["features"], d["elements"]) for entry in block.values()]
        weights += [entry["correction_k"] for entry in d["local"]["corrections"]]
        triangle = d["covariance_k2_lower_triangle"]
        covariance = np.zeros((len(weights), len(weights)))
        for i, values in enumerate(triangle):
            covariance[i, : i + 1] = values
            covariance[: i + 1, i] = values
        return cls(
            features=names[0],
            elements=names[1],
            anchors=tuple(nominal_composition(entry["formula"]) for entry in d["local"]["corrections"]),
            weights_k=np.array(weights, dtype=float),
            covariance_k2=covariance,
            scale_k=float(d["scale_k"]),
            label_noise=float(d["label_noise"]),
            element_sd_k=float(d["element_prior_sd_k"]),
            tetrahedral_sd_k=float(d["tetrahedral_prior_sd_k"]),
            local_sd_k=float(d["local"]["prior_sd_k"]),
            local_length=float(d["local"]["length"]),
        )

    @functools.cached_property
    def _space(self) -> CompositionSpace:
        return CompositionSpace(self.anchors)

    @functools.cached_property
    def _anchor_inverse(self) -> FloatArray:
        return np.asarray(np.linalg.inv(anchor_kernel(self.anchors, self.local_length)), dtype=np.float64)

    def row(self, composition: NominalComposition) -> FloatArray:
        """Return the design row of a composition, shape ``(n_features + n_elements + n_anchors,)``."""
        features, elements = composition_features(composition), element_features(composition)
        linear = [features[name] for name in self.features]
        linear += [elements.get(name, 0.0) for name in self.elements]
        if not self.anchors:
            return np.array(linear)
        near = local_kernel(composition, self._space, self.local_length)
        return np.concatenate([linear, _sum_in_order(near[:, None] * self._anchor_inverse)])

    def transition_temperature(self, composition: NominalComposition) -> tuple[float, float]:
        """Return the transition temperature and its standard uncertainty, K."""
        row = self.row(composition)
        spread = _sum_in_order(row[:, None] * self.covariance_k2)
        variance = float(_sum_in_order(spread * row))
        explained = 0.0
        if self.anchors:
            near = local_kernel(composition, self._space, self.local_length)
            explained = float(_sum_in_order(row[-len(near) :] * near))
        variance += self.local_sd_k**2 * max(0.0, 1.0 - explained)
        for symbol, value in element_features(composition).items():
            if symbol not in self.elements:
                variance += (self.element_sd_k * value) ** 2
        total = sum(composition.t_site.values())
        for symbol, amount in composition.t_site.items():
            if symbol not in ("Si", "P"):
                variance += (self.tetrahedral_sd_k * amount / total) ** 2
        return float(_sum_in_order(row * self.weights_k)), math.sqrt(variance)

    def probability(self, transition_k: float, transition_se_k: float, temperature_k: float) -> float:
        """Return P(monoclinic) at a temperature, given the transition temperature and its uncertainty."""
        z = (transition_k - temperature_k) / math.hypot(
            self.scale_k, math.sqrt(math.pi / 8) * transition_se_k
        )
        logistic = 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, z))))
        return self.label_noise + (1.0 - 2.0 * self.label_noise) * logistic

    def terms(self, composition: NominalComposition) -> dict[str, float]:
        """Return the contribution of each term that is not zero to the transition temperature, K.

        The local corrections are one term, ``local``.
        """
        values = self.row(composition) * self.weights_k
        names = self.features + self.elements
        terms = {name: float(value) for name, value in zip(names, values, strict=False) if value}
        local = float(values[len(names) :].sum())
        return terms | ({"local": local} if abs(local) > 0.05 else {})


def _sum_in_order(terms: FloatArray) -> FloatArray:
    """Add along the first axis from first to last, so that one composition and a million round alike."""
    return np.asarray(np.cumsum(terms, axis=0)[-1])


def local_kernel(composition: NominalComposition, anchors: CompositionSpace, length: float) -> FloatArray:
    """Return exp(-d^2 / 2 length^2) to each anchor, shape ``(n_anchors,)``."""
    return np.asarray(np.exp(-0.5 * (anchors.distances(composition) / length) ** 2))


def anchor_kernel(anchors: Sequence[NominalComposition], length: float) -> FloatArray:
    """Return the kernel between anchors, shape ``(n_anchors, n_anchors)``, safe to invert."""
    space = CompositionSpace(anchors)
    kernel = np.array([local_kernel(anchor, space, length) for anchor in anchors])
    return kernel + 1e-4 * np.eye(len(anchors))


@functools.lru_cache(maxsize=4)
def _load_model(path: str, _mtime_ns: int) -> PhaseModel:
    return PhaseModel.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def load_phase_model() -> PhaseModel:
    """Return the model of ``structures/tables/phase_model.json``.

    Raises
    ------
    ReferenceDataError
        If the file is missing or belongs to another version.
    """
    path = reference.structures_dir() / "tables" / "phase_model.json"
    if not path.is_file():
        raise ReferenceDataError(f"{path} is missing; install the package again")
    return _load_model(str(path), path.stat().st_mtime_ns)

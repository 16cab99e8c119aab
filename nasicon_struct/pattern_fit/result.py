"""What a profile fit returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from monty.json import MSONable
from numpy.typing import NDArray

FloatArray = NDArray[Any]

PHASES: Final = ("monoclinic", "rhombohedral", "mixed", "undetermined")


def _array(values: Any) -> FloatArray:
    out = np.array(values, dtype=float)
    out.setflags(write=False)
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedModel(MSONable):
    """One of the models compared.

    Attributes
    ----------
    key : str
        ``"rhombohedral"``, ``"monoclinic"`` or ``"mixed"``.
    chi2 : float
        Sum of squared residuals over standard deviations (dimensionless).
    n_parameters : int
    bic : float
        Bayesian information criterion, chi2 + n_parameters ln(points), chi2 scaled as in the comparison.
    log_evidence : float
        Natural log of the marginal likelihood, up to a constant common to the models.
    probability : float
        Of this model among the three.
    lines : tuple of (str, tuple of int, float, float)
        Setting, indices, 2-theta of K-alpha1 in degrees, integrated intensity in intensity times degree.
    curve : ndarray, shape (n,)
        Fitted intensity at ``PatternFit.two_theta_deg``.
    values : dict of str to (float, float)
        Fitted quantities with standard errors; units in the names.
    """

    key: str
    chi2: float
    n_parameters: int
    bic: float
    log_evidence: float
    probability: float
    lines: tuple[tuple[str, tuple[int, int, int], float, float], ...]
    curve: FloatArray
    values: dict[str, tuple[float, float]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", _array(self.curve))
        object.__setattr__(
            self, "lines", tuple((str(s), tuple(h), float(t), float(i)) for s, h, t, i in self.lines)
        )
        object.__setattr__(self, "values", {k: (float(v[0]), float(v[1])) for k, v in self.values.items()})

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            **{
                k: getattr(self, k)
                for k in ("key", "chi2", "n_parameters", "bic", "log_evidence", "probability")
            },
            "lines": [[s, list(h), t, i] for s, h, t, i in self.lines],
            "curve": self.curve.tolist(),
            "values": {k: list(v) for k, v in self.values.items()},
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> FittedModel:
        """Inverse of :meth:`as_dict`."""
        return cls(**{k: v for k, v in d.items() if not k.startswith("@")})


@dataclass(frozen=True, kw_only=True, eq=False)
class PatternFit(MSONable):
    """Monoclinic, rhombohedral or both, from a powder pattern.

    Attributes
    ----------
    phase : str
        ``"monoclinic"``, ``"rhombohedral"``, ``"mixed"`` or ``"undetermined"``.
    probability_monoclinic : float or None
        Probability that a formula unit taken at random belongs to a monoclinic phase: that of the monoclinic
        model plus that of the mixture times its monoclinic fraction. None when the fit was refused.
    probabilities : dict of str to float
        Of the three answers; empty when the fit was refused. A monoclinic model whose delta2 is not below
        -0.004 counts as rhombohedral by metric.
    fraction_monoclinic : float or None
        Share of the monoclinic phase in the diffracted intensity of the lines fitted, which is close to its
        mole fraction; 1 or 0 for a single phase.
    fraction_monoclinic_se : float or None
    delta1, delta1_se, delta2, delta2_se : float or None
        Distortion (dimensionless) of the monoclinic component, or, in a rhombohedral sample, what the
        monoclinic model makes of it; standard errors include the noise, the correlations and the priors.
    a_h_ang, a_h_se_ang, c_h_ang, c_h_se_ang : float or None
        Nearest hexagonal cell of the phase (of the monoclinic component in a mixture), angstrom.
    zero_shift_deg, zero_shift_se_deg : float or None
        Added to every 2-theta, degrees. Determined by the sum rule of the lines, and weakly: see the docs.
    fwhm_deg : float or None
        Full width at half maximum of one line near 19.4 degrees (Cu), degrees.
    chi2_reduced : float or None
        Of the best model.
    evidence : tuple of str
        Sentences with numbers.
    warnings : tuple of str
    refusal : str
        Why no answer was given; empty otherwise.
    models : dict of str to FittedModel
        Empty when the fit was refused.
    two_theta_deg, intensity, sigma : ndarray, shape (n,)
        The data of the two windows; empty when the fit was refused.
    wavelength_ang : float or None
        K-alpha1 or the only wavelength, angstrom.
    kalpha2_ratio : float or None
    source : str
    """

    phase: str
    probability_monoclinic: float | None
    probabilities: dict[str, float]
    fraction_monoclinic: float | None = None
    fraction_monoclinic_se: float | None = None
    delta1: float | None = None
    delta1_se: float | None = None
    delta2: float | None = None
    delta2_se: float | None = None
    a_h_ang: float | None = None
    a_h_se_ang: float | None = None
    c_h_ang: float | None = None
    c_h_se_ang: float | None = None
    zero_shift_deg: float | None = None
    zero_shift_se_deg: float | None = None
    fwhm_deg: float | None = None
    chi2_reduced: float | None = None
    evidence: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    models: dict[str, FittedModel] = field(default_factory=dict)
    two_theta_deg: FloatArray = field(default_factory=lambda: np.empty(0))
    intensity: FloatArray = field(default_factory=lambda: np.empty(0))
    sigma: FloatArray = field(default_factory=lambda: np.empty(0))
    wavelength_ang: float | None = None
    kalpha2_ratio: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("two_theta_deg", "intensity", "sigma"):
            object.__setattr__(self, name, _array(getattr(self, name)))
        for name in ("evidence", "warnings"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def best_model(self) -> FittedModel | None:
        """The most probable model, None when the fit was refused."""
        return max(self.models.values(), key=lambda m: m.probability) if self.models else None

    def summary(self) -> dict[str, Any]:
        """The numbers without curves and data, as plain JSON types."""
        skip = {"models", "two_theta_deg", "intensity", "sigma"}
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value
            for name in self.__dataclass_fields__
            if name not in skip
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            **self.summary(),
            "models": {k: m.as_dict() for k, m in self.models.items()},
            **{k: getattr(self, k).tolist() for k in ("two_theta_deg", "intensity", "sigma")},
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> PatternFit:
        """Inverse of :meth:`as_dict`."""
        values = {k: v for k, v in d.items() if not k.startswith("@")}
        values["models"] = {
            k: m if isinstance(m, FittedModel) else FittedModel.from_dict(m)
            for k, m in values.get("models", {}).items()
        }
        return cls(**values)

    def __str__(self) -> str:
        return "\n".join([f"{self.phase}", *self.evidence])

"""The three models: rhombohedral, monoclinic, and both together, as parameters with priors and lines.

Every model has the same three intensities (of the R-3c lines 104, 110 and 024, or of the pairs they become),
the same background and impurity lines, and the same instrument parameters; so the models differ only in the
metric and in how an intensity is shared out among lines. Shares have priors, because a mixture could imitate
anything if they were free.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]

#: Lines of R-3c in the two windows, and the C2/c lines that each becomes (4 and 2 equivalent planes).
HEX_LINES: Final = ((1, 0, 4), (1, 1, 0), (0, 2, 4))
MONO_LINES: Final = (((1, 1, 1), (2, 0, -2)), ((3, 1, -1), (0, 2, 0)), ((2, 2, -2), (4, 0, 0)))
#: Window (0 or 1) of each line.
LINE_WINDOW: Final = (0, 0, 1)

_HEX: Final = np.array(HEX_LINES, dtype=float)
_MONO: Final = np.array([hkl for pair in MONO_LINES for hkl in pair], dtype=float)
_HEX_BASAL: Final = 4.0 / 3.0 * (_HEX[:, 0] ** 2 + _HEX[:, 0] * _HEX[:, 1] + _HEX[:, 1] ** 2)
_HEX_ALONG: Final = _HEX[:, 2] ** 2

#: ln of the intensity ratio of a pair, 4-fold over 2-fold line, relative to 2: mean at delta2 = -0.013 (it
#: grows in proportion) and standard deviation. The means follow the C2/c refinements of Subramanian, Rudolf
#: and Clearfield, J. Solid State Chem. 60 (1985) 172 (-0.55, -0.35, -0.02) and Xun et al. 2025, SI Table S2
#: (-0.08, -0.19, -0.08); the deviation also covers sodium order, dopants and texture.
PAIR_RATIO_MEAN: Final = (-0.25, -0.25, -0.05)
_PAIR_MEANS: Final = np.array(PAIR_RATIO_MEAN)
PAIR_RATIO_SD: Final = 0.30
PAIR_RATIO_AT: Final = -0.013
#: In a mixture, ln of (R intensity / M intensity) of one line relative to the others.
PHASE_RATIO_SD: Final = 0.25
#: Distortion of a C2/c phase: mean and standard deviation. Published cells have delta2 from -0.0196 to
#: -0.011 and delta1 from -0.004 to 0; small |delta2| stays possible.
DELTA1_PRIOR: Final = (-0.0018, 0.0018)
DELTA2_PRIOR: Final = (-0.012, 0.006)
#: Broader priors for the search of the monoclinic model; the ones above are weighed in afterwards.
DELTA1_SEARCH: Final = (-0.0015, 0.004)
DELTA2_SEARCH: Final = (-0.005, 0.015)
#: Rhombohedral against monoclinic cell in a mixture: ln a_R/a_M and ln c_R/c_M (mean, standard deviation).
#: Hong 1976, x = 2.2 (C2/c) to 2.4 (R-3c): +0.005, -0.0106.
CELL_OFFSET_A: Final = (0.002, 0.005)
CELL_OFFSET_C: Final = (-0.004, 0.007)


@dataclass(frozen=True)
class Parameter:
    """A parameter with a Gaussian prior."""

    name: str
    mean: float
    sd: float


#: Instrument and sample parameters shared by all models. ``zero`` and ``zro2_shift`` in degrees.
SHARED: Final = (
    Parameter("ln_a", math.log(9.02), 0.02),
    Parameter("ln_c", math.log(22.7), 0.02),
    Parameter("zero", 0.0, 0.07),
    Parameter("ln_width", math.log(0.11), 0.5),
    Parameter("ln_width_ratio", 0.03, 0.08),
    Parameter("logit_eta", 0.0, 1.0),
    Parameter("skew", 0.03, 0.06),
    Parameter("impurity_shift", 0.0, 0.03),
    Parameter("ln_impurity_width", 0.15, 0.25),
)
_DISTORTION: Final = (
    Parameter("delta1", *DELTA1_SEARCH),
    Parameter("delta2", *DELTA2_SEARCH),
    Parameter("pair1", 0.0, PAIR_RATIO_SD),
    Parameter("pair2", 0.0, PAIR_RATIO_SD),
    Parameter("pair3", 0.0, PAIR_RATIO_SD),
)
_PAIRS: Final = _DISTORTION[2:]
_MIXTURE: Final = (
    Parameter("logit_fraction", 0.0, 1.5),
    Parameter("ln_a_offset", *CELL_OFFSET_A),
    Parameter("ln_c_offset", *CELL_OFFSET_C),
    Parameter("share1", 0.0, PHASE_RATIO_SD),
    Parameter("share2", 0.0, PHASE_RATIO_SD),
    Parameter("share3", 0.0, PHASE_RATIO_SD),
)


@dataclass(frozen=True)
class Model:
    """One of the three descriptions.

    Attributes
    ----------
    key : str
        ``"rhombohedral"``, ``"monoclinic"`` or ``"mixed"``.
    parameters : tuple of Parameter
    """

    key: str
    parameters: tuple[Parameter, ...]

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(p.name for p in self.parameters)

    @functools.cached_property
    def means(self) -> FloatArray:
        """Prior means."""
        return np.array([p.mean for p in self.parameters])

    @functools.cached_property
    def sds(self) -> FloatArray:
        """Prior standard deviations."""
        return np.array([p.sd for p in self.parameters])

    @functools.cached_property
    def line_groups(self) -> FloatArray:
        """Which intensity (0, 1, 2) each line belongs to."""
        r, m = [0, 1, 2], [0, 0, 1, 1, 2, 2]
        return np.array({"rhombohedral": r, "monoclinic": m, "mixed": m + r}[self.key])

    def lines(self, theta: FloatArray, wavelength_ang: float) -> tuple[FloatArray, FloatArray]:
        """Positions (2-theta, degrees, zero shift included) and shares of all lines.

        Shares of the lines of one group sum to 1. ``theta`` has the shape ``(..., parameters)``, both results
        ``(..., lines)``, with as many lines as :attr:`line_groups` has entries.
        """
        at = self._places
        theta = np.asarray(theta, dtype=float)
        shape = theta.shape[:-1]

        def value(name: str) -> FloatArray:
            return np.asarray(theta[..., at[name]])

        if self.key == "rhombohedral":
            square = _hex_inverse_square(value("ln_a"), value("ln_c"))
            share = np.ones((*shape, 3))
        else:
            square = _mono_inverse_square(value("ln_a"), value("ln_c"), value("delta1"), value("delta2"))
            grown = np.clip(value("delta2") / PAIR_RATIO_AT, 0.0, 1.5)[..., None]
            pairs = theta[..., at["pair1"] : at["pair3"] + 1]
            ratio = 2.0 * np.exp(grown * _PAIR_MEANS + pairs)
            share = np.empty((*shape, 6))
            share[..., 0::2] = ratio / (1.0 + ratio)
            share[..., 1::2] = 1.0 / (1.0 + ratio)
        if self.key == "mixed":
            other = _hex_inverse_square(
                value("ln_a") + value("ln_a_offset"), value("ln_c") + value("ln_c_offset")
            )
            square = np.concatenate([square, other], axis=-1)
            shares = theta[..., at["share1"] : at["share3"] + 1]
            part = 1.0 / (1.0 + np.exp(np.clip(shares - value("logit_fraction")[..., None], -40.0, 40.0)))
            share = np.concatenate([np.repeat(part, 2, axis=-1) * share, 1.0 - part], axis=-1)
        sine = 0.5 * wavelength_ang * np.sqrt(np.maximum(square, 1e-9))
        angle = 2.0 * np.degrees(np.arcsin(np.minimum(sine, 0.999999)))
        return angle + value("zero")[..., None], share

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}


def _hex_inverse_square(ln_a: FloatArray, ln_c: FloatArray) -> FloatArray:
    basal, along = np.exp(-2.0 * ln_a)[..., None], np.exp(-2.0 * ln_c)[..., None]
    return np.asarray(_HEX_BASAL * basal + _HEX_ALONG * along)


def _mono_inverse_square(
    ln_a: FloatArray, ln_c: FloatArray, delta1: FloatArray, delta2: FloatArray
) -> FloatArray:
    """1/d^2 of the C2/c lines from the exact metric of ``metric.monoclinic_cell_from_distortion``.

    On orthogonal axes the plane (hkl) has the components h/a, k/b and (l + (1 + delta2) h / 3) / (c_h / 3),
    because c sin(beta) = c_h/3 and c cos(beta) = -(1 + delta2) a/3.
    """
    h, k, el = _MONO.T
    square = np.maximum(1.0 + delta1, 1e-6)
    basal, along = np.exp(-2.0 * ln_a), 9.0 * np.exp(-2.0 * ln_c)
    slope = ((1.0 + delta2) / 3.0)[..., None]
    out = (h * h / 3.0) * (basal / square)[..., None] + (k * k) * (basal * square)[..., None]
    return np.asarray(out + (el + slope * h) ** 2 * along[..., None])


RHOMBOHEDRAL: Final = Model("rhombohedral", SHARED)
MONOCLINIC: Final = Model("monoclinic", SHARED + _DISTORTION)
MIXED: Final = Model(
    "mixed",
    (*SHARED, Parameter("delta1", *DELTA1_PRIOR), Parameter("delta2", *DELTA2_PRIOR), *_PAIRS, *_MIXTURE),
)

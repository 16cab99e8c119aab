"""The line shape of the fit and its derivatives: an asymmetric pseudo-Voigt, K-alpha1 and K-alpha2 together.

The line has half widths ``w (1 + s)/2`` below and ``w (1 - s)/2`` above its maximum, with ``s`` proportional
to ``cot(2 theta)`` as axial divergence makes it; ``w`` may differ between the two windows.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]

_GAUSS: Final = 4.0 * math.log(2.0)
_GAUSS_HEIGHT: Final = math.sqrt(_GAUSS / math.pi)
_LORENTZ_HEIGHT: Final = 2.0 / math.pi


def skewed_pseudo_voigt(
    x: FloatArray, center: FloatArray, width: FloatArray, eta: float, skew: FloatArray
) -> FloatArray:
    """Asymmetric pseudo-Voigt of unit area, per degree; arguments as :func:`pseudo_voigt_with_slopes`."""
    t = x[None, :] - center[:, None]
    inverse = 1.0 / width
    u = t * np.where(t < 0.0, (inverse / (1.0 + skew))[:, None], (inverse / (1.0 - skew))[:, None])
    u *= u
    out = (eta * _LORENTZ_HEIGHT) / (1.0 + 4.0 * u)
    np.multiply(u, -_GAUSS, out=u)
    np.exp(u, out=u)
    out += (1.0 - eta) * _GAUSS_HEIGHT * u
    out *= inverse[:, None]
    return np.asarray(out)


def pseudo_voigt_with_slopes(
    x: FloatArray, center: FloatArray, width: FloatArray, eta: float, skew: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Asymmetric pseudo-Voigt of unit area and its derivatives.

    Parameters
    ----------
    x : ndarray, shape (n,)
        2-theta, degrees.
    center, width, skew : ndarray, shape (m,)
        Position and full width at half maximum (degrees) and asymmetry of each line.
    eta : float
        Lorentzian part.

    Returns
    -------
    (value, d/d center, d/d ln width, d/d eta, d/d skew), each ndarray of shape (m, n), per degree.
    """
    t = x[None, :] - center[:, None]
    side = np.where(t < 0.0, 1.0, -1.0)
    stretch = 1.0 + side * skew[:, None]
    w = width[:, None] * stretch
    u = t / w
    u2 = u * u
    gauss = _GAUSS_HEIGHT * np.exp(-_GAUSS * u2)
    lorentz = _LORENTZ_HEIGHT / (1.0 + 4.0 * u2)
    value = (1.0 - eta) * gauss + eta * lorentz
    slope = -2.0 * _GAUSS * (1.0 - eta) * gauss * u - (8.0 / _LORENTZ_HEIGHT) * eta * lorentz * lorentz * u
    scale = 1.0 / width[:, None]  # the two half widths sum to the full one, so the area stays 1
    d_center = -slope / w * scale
    d_log_width = -(value + u * slope) * scale
    d_eta = (lorentz - gauss) * scale
    d_skew = -slope * u * side / stretch * scale
    return value * scale, d_center, d_log_width, d_eta, d_skew


def components_of(
    center: FloatArray, components: tuple[tuple[float, float], ...]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Split lines at the first wavelength into all of them.

    Returns
    -------
    (positions in degrees, d position / d center, weights), each of shape (number of wavelengths, m).
    """
    first = components[0][0]
    sine = np.sin(np.radians(center) / 2.0)
    cosine = np.cos(np.radians(center) / 2.0)
    positions, slopes, weights = [], [], []
    for wavelength, weight in components:
        ratio = wavelength / first
        shifted = np.clip(ratio * sine, -1.0, 1.0)
        positions.append(2.0 * np.degrees(np.arcsin(shifted)))
        slopes.append(ratio * cosine / np.sqrt(np.maximum(1.0 - shifted**2, 1e-12)))
        weights.append(np.full_like(center, weight))
    return np.array(positions), np.array(slopes), np.array(weights)

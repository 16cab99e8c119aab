"""Peak shapes: pseudo-Voigt lines of a given width, and the width as a function of angle."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasicon_struct.errors import PatternError

_GAUSS: Final = 4.0 * math.log(2.0)
_GAUSS_AREA: Final = math.sqrt(_GAUSS / math.pi)
#: Mixing of the named shapes: 0 is Gaussian, 1 Lorentzian.
SHAPES: Final[dict[str, float]] = {"gaussian": 0.0, "pseudo-voigt": 0.5, "lorentzian": 1.0}


def pseudo_voigt(offset_deg: ArrayLike, fwhm_deg: ArrayLike, eta: float) -> NDArray[np.float64]:
    """Pseudo-Voigt of unit area.

    Parameters
    ----------
    offset_deg : array_like
        Distance from the line, degrees.
    fwhm_deg : array_like
        Full width at half maximum, degrees; broadcasts with ``offset_deg``.
    eta : float
        Lorentzian part, 0 to 1.

    Returns
    -------
    numpy.ndarray
        Per degree.
    """
    width = np.asarray(fwhm_deg, dtype=float)
    x2 = (np.asarray(offset_deg, dtype=float) / width) ** 2
    gauss = _GAUSS_AREA * np.exp(-_GAUSS * x2)
    lorentz = (2.0 / math.pi) / (1.0 + 4.0 * x2)
    return np.asarray(((1.0 - eta) * gauss + eta * lorentz) / width)


def caglioti_fwhm(two_theta_deg: ArrayLike, caglioti: tuple[float, float, float]) -> NDArray[np.float64]:
    """Width after Caglioti, Paoletti and Ricci, Nucl. Instrum. 3 (1958) 223: FWHM^2 = U tan^2 + V tan + W.

    Parameters
    ----------
    two_theta_deg : array_like
        Degrees.
    caglioti : (U, V, W)
        Square degrees.

    Returns
    -------
    numpy.ndarray
        Full width at half maximum, degrees.
    """
    u, v, w = (float(value) for value in caglioti)
    tan = np.tan(np.radians(np.asarray(two_theta_deg, dtype=float)) / 2.0)
    square = u * tan**2 + v * tan + w
    if np.any(square <= 0.0):
        raise PatternError(
            f"U, V, W = {u:g}, {v:g}, {w:g} square degrees give no width at some angle; check signs and unit"
        )
    return np.asarray(np.sqrt(square))


def shape_eta(profile: str | float) -> float:
    """Lorentzian part of a named shape, or the number itself."""
    if isinstance(profile, str):
        if profile not in SHAPES:
            raise PatternError(
                f"unknown profile {profile!r}; use one of {', '.join(SHAPES)} or a number from 0 to 1"
            )
        return SHAPES[profile]
    eta = float(profile)
    if not 0.0 <= eta <= 1.0:
        raise PatternError(f"the Lorentzian part of a profile must lie between 0 and 1, got {eta:g}")
    return eta

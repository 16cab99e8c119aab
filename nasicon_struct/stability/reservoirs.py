"""Reservoirs: elements whose chemical potential the surroundings fix (a gas at T and p, an excess of S)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from monty.json import MSONable

from nasicon_struct.errors import StabilityError
from nasicon_struct.formula import ELEMENTS
from nasicon_struct.stability.inputs import finite_number
from nasicon_struct.units import BOLTZMANN_EV_PER_K, KJ_PER_MOL_PER_EV

_REFERENCE_T_K: Final = 298.15
_SHOMATE_SOURCE: Final = (
    "NIST Chemistry WebBook, SRD 69, Shomate equation after M. W. Chase, NIST-JANAF (1998)"
)
_H0_SOURCE: Final = "CODATA Key Values for Thermodynamics (1989)"

#: Shomate coefficients A to G of gases by range of temperature (K), with t = T/1000:
#: Cp = A + B t + C t^2 + D t^3 + E/t^2 (J/mol/K), H(T) - H(298.15) + dfH = A t + B t^2/2 + C t^3/3 + D t^4/4
#: - E/t + F (kJ/mol), S = A ln t + B t + C t^2/2 + D t^3/3 - E/(2 t^2) + G (J/mol/K), at 1 bar.
_SHOMATE: Final[dict[str, tuple[tuple[float, float, tuple[float, ...]], ...]]] = {
    "O2": (
        (100, 700, (31.32234, -20.23531, 57.86644, -36.50624, -0.007374, -8.903471, 246.7945)),
        (700, 2000, (30.03235, 8.772972, -3.988133, 0.788313, -0.741599, -11.32468, 236.1663)),
        (2000, 6000, (20.91111, 10.72071, -2.020498, 0.146449, 9.245722, 5.337651, 237.6185)),
    ),
    "N2": (
        (100, 500, (28.98641, 1.853978, -9.647459, 16.63537, 0.000117, -8.671914, 226.4168)),
        (500, 2000, (19.50583, 19.88705, -8.598535, 1.369784, 0.527601, -4.935202, 212.3900)),
    ),
    "H2": (
        (298, 1000, (33.066178, -11.363417, 11.432816, -2.772874, -0.158558, -9.980797, 172.707974)),
        (1000, 2500, (18.563083, 12.257357, -2.859786, 0.268238, 1.977990, -1.147438, 156.288133)),
    ),
    "Cl2": ((298, 1000, (33.05060, 12.22940, -12.06510, 4.385330, -0.159494, -10.83480, 259.0290)),),
    "S2": ((298, 6000, (33.51313, 5.065360, -1.059670, 0.089905, -0.211911, 117.6855, 266.0919)),),
}
#: Element, atoms per molecule, and H(298.15) - H(0) of the element's reference state, kJ/mol of the molecule
#: (for S2: of two atoms of orthorhombic sulfur, 4.412 kJ/mol each).
_GASES: Final[dict[str, tuple[str, int, float]]] = {
    "O2": ("O", 2, 8.680),
    "N2": ("N", 2, 8.670),
    "H2": ("H", 2, 8.467),
    "Cl2": ("Cl", 2, 9.181),
    "S2": ("S", 2, 2 * 4.412),
}


@dataclass(frozen=True, kw_only=True)
class Reservoir(MSONable):
    """An element at a fixed chemical potential.

    Attributes
    ----------
    element : str
    mu_relative_ev : float
        Chemical potential relative to the element's reference in the entry set (its lowest phase), eV per
        atom: never an absolute energy.
    description : str
        What fixes it, in words.
    source : str
        Printable citation of the thermochemistry.
    """

    element: str
    mu_relative_ev: float
    description: str
    source: str = ""

    def __post_init__(self) -> None:
        if self.element not in ELEMENTS:
            raise StabilityError(
                f"a reservoir holds one element, got {self.element!r}; use a symbol such as O"
            )
        mu = finite_number(self.mu_relative_ev, f"chemical potential of {self.element}", "eV")
        object.__setattr__(self, "mu_relative_ev", mu)


def gas_reservoir(
    gas: str, *, temperature_k: float, pressure_bar: float, reference: str = "298.15 K"
) -> Reservoir:
    """Return the reservoir of an ideal gas at a temperature and partial pressure.

    Parameters
    ----------
    gas : str
        ``O2``, ``N2``, ``H2``, ``Cl2`` or ``S2``.
    temperature_k : float, keyword-only
        K, within the range of the tabulated thermochemistry.
    pressure_bar : float, keyword-only
        Partial pressure, bar.
    reference : str, keyword-only
        State of the element whose enthalpy is the zero: ``"298.15 K"`` (standard enthalpies of formation, to
        which corrected energies are fitted) or ``"0 K"`` (uncorrected energies). They differ by 45 meV per O.

    Returns
    -------
    Reservoir
        ``mu = [H(T) - H_ref - T S(T) + R T ln(p / 1 bar)] / atoms``. Only the gas has a temperature:
        vibrations and entropy of the solids are not in the energies.

    Raises
    ------
    StabilityError
        If the gas is unknown or temperature or pressure are out of range.
    """
    if gas not in _GASES:
        raise StabilityError(f"there is no thermochemistry of {gas!r}; the gases are {', '.join(_GASES)}")
    if reference not in ("298.15 K", "0 K"):
        raise StabilityError(f"the reference must be '298.15 K' or '0 K', got {reference!r}")
    temperature_k = finite_number(temperature_k, "temperature", "K")
    if finite_number(pressure_bar, "pressure", "bar") <= 0:
        raise StabilityError(f"the pressure of {gas} must be positive (bar), got {pressure_bar}")
    enthalpy, entropy = shomate(gas, temperature_k)
    element, atoms, to_zero = _GASES[gas]
    if reference == "0 K":
        enthalpy += to_zero
    energy = (enthalpy - temperature_k * entropy / 1000.0) / KJ_PER_MOL_PER_EV
    energy += BOLTZMANN_EV_PER_K * temperature_k * math.log(pressure_bar)
    return Reservoir(
        element=element,
        mu_relative_ev=energy / atoms,
        description=f"{gas} at {temperature_k:g} K and {pressure_bar:g} bar, {element} at {reference} as 0",
        source=_SHOMATE_SOURCE + (f"; {_H0_SOURCE}" if reference == "0 K" else ""),
    )


def shomate(gas: str, temperature_k: float) -> tuple[float, float]:
    """Return enthalpy above the elements at 298.15 K (kJ/mol) and entropy (J/mol/K) of a gas at 1 bar.

    Raises
    ------
    StabilityError
        If the temperature is outside the tabulated range.
    """
    ranges = _SHOMATE[gas]
    for low, high, (a, b, c, d, e, f, g) in ranges:
        if low <= temperature_k <= high:
            t = temperature_k / 1000.0
            enthalpy = a * t + b * t**2 / 2 + c * t**3 / 3 + d * t**4 / 4 - e / t + f
            entropy = a * math.log(t) + b * t + c * t**2 / 2 + d * t**3 / 3 - e / (2 * t**2) + g
            return enthalpy, entropy
    raise StabilityError(
        f"the thermochemistry of {gas} covers {ranges[0][0]} to {ranges[-1][1]} K, got {temperature_k:g} K"
    )


def saturated(element: str) -> Reservoir:
    """Return the reservoir of an element in excess: its own lowest phase, relative potential 0.

    Parameters
    ----------
    element : str
        Symbol, such as ``"S"``.

    Returns
    -------
    Reservoir
        Its potential is 0 eV against the element's lowest phase in the entry set.

    Examples
    --------
    >>> saturated("S").element
    'S'
    """
    return Reservoir(
        element=element, mu_relative_ev=0.0, description=f"excess of {element} (its own phase present)"
    )


def supersaturated(reservoirs: Iterable[Reservoir]) -> list[str]:
    """Return a sentence for each reservoir that lies above the element's own phase, which would form from it."""
    return [
        f"the reservoir of {item.element} ({item.description}) lies {item.mu_relative_ev:.2f} eV/atom above the "
        f"element's own phase, which would form from it; saturated({item.element!r}) is the limit"
        for item in reservoirs
        if item.mu_relative_ev > 1e-9
    ]


def parse_reservoir(text: str) -> Reservoir:
    """Read a reservoir from text: ``S`` (excess of sulfur) or ``O2:1073K:0.21bar`` (a gas).

    Raises
    ------
    StabilityError
        If it is neither.
    """
    parts = [part.strip() for part in str(text).split(":")]
    if len(parts) == 1 and parts[0] in ELEMENTS:
        return saturated(parts[0])
    numbers = []
    for part, unit in zip(parts[1:], ("K", "bar"), strict=False):
        match = re.fullmatch(rf"([0-9.eE+-]+)\s*{unit}", part)
        try:
            numbers.append(float(match.group(1)) if match else math.nan)
        except ValueError:
            numbers.append(math.nan)
    if len(parts) != 3 or len(numbers) != 2 or any(math.isnan(number) for number in numbers):
        raise StabilityError(
            f"cannot read the reservoir {text!r}; write an element such as S for an excess of it, or a gas "
            "as "
            "O2:1073K:0.21bar"
        )
    return gas_reservoir(parts[0], temperature_k=numbers[0], pressure_bar=numbers[1])


def as_reservoirs(reservoirs: Any) -> tuple[Reservoir, ...]:
    """Return reservoirs from None, one, or several; numbers are refused, since their reference is not known.

    Raises
    ------
    StabilityError
        If something else than :class:`Reservoir` objects is given, or an element twice.
    """
    if reservoirs is None:
        return ()
    items = [reservoirs] if isinstance(reservoirs, Reservoir) else reservoirs
    if isinstance(items, (str, bytes, dict)) or not isinstance(items, Iterable):
        raise StabilityError(
            f"reservoirs must be Reservoir objects, got {type(reservoirs).__name__}; "
            "use gas_reservoir('O2', temperature_k=..., pressure_bar=...) or saturated('S')"
        )
    found = tuple(items)
    for item in found:
        if not isinstance(item, Reservoir):
            raise StabilityError(
                f"reservoirs must be Reservoir objects, got {type(item).__name__}; a bare number does not "
                "say "
                "whether it is relative or absolute"
            )
    symbols = [item.element for item in found]
    if len(set(symbols)) < len(symbols):
        raise StabilityError(f"each element has one reservoir, got {', '.join(symbols)}")
    return found

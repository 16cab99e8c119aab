"""Numbers and elements that a user gives, checked once."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Final

from nasicon_struct.errors import StabilityError
from nasicon_struct.formula import ELEMENTS

#: Charge of the ion of each element that a cell may exchange.
ION_CHARGES: Final = {"Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "Ag": 1, "Mg": 2, "Ca": 2, "Zn": 2, "Al": 3}
_SYMBOLS: Final = frozenset(ELEMENTS)


def finite_number(value: Any, what: str, unit: str) -> float:
    """Return a finite number as float.

    Parameters
    ----------
    value : int, float or numpy number
    what, unit : str
        For the sentence, such as ``"voltage"`` and ``"V"``.

    Raises
    ------
    StabilityError
        If it is something else: text, a truth value, NaN, infinity.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise StabilityError(f"the {what} must be a finite number of {unit}, got {str(value)[:40]!r}")
    return float(value)


def element_symbol(value: Any) -> str:
    """Return the symbol of an element given as text or as pymatgen Element.

    Raises
    ------
    StabilityError
        If it is no element.
    """
    symbol = str(value)
    if symbol not in _SYMBOLS:
        raise StabilityError(
            f"the open element must be an element symbol such as Na, got {symbol[:20]!r}; it is one element"
        )
    return symbol


def ion_charge(symbol: str) -> int:
    """Return the charge of the ion of an element, for voltages.

    Raises
    ------
    StabilityError
        If the element is no ion that a cell exchanges.
    """
    if symbol not in ION_CHARGES:
        raise StabilityError(
            f"a voltage needs an ion of known charge, got {symbol!r}; use one of "
            f"{', '.join(ION_CHARGES)}, or element_profile for the chemical potential of any element"
        )
    return ION_CHARGES[symbol]

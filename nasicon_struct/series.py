"""Series of compositions: a formula with variables, and the values they take."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from nasicon_struct.composition import NasiconComposition, format_number
from nasicon_struct.errors import ChargeBalanceError, CompositionError
from nasicon_struct.formula import exact, parse_formula


def composition_series(
    template: str,
    *,
    oxidation_states: Mapping[str, Any] | None = None,
    **variables: Iterable[Any],
) -> list[NasiconComposition]:
    """Make the compositions of a series with one or several variables.

    Parameters
    ----------
    template : str
        Formula whose amounts may hold single-letter variables: ``"Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12"``.
    oxidation_states : mapping of str to number, optional
        Formal charges that replace the table's.
    **variables : iterables of numbers
        Values of each variable; with several variables every combination is made, the last one fastest.

    Returns
    -------
    list of NasiconComposition

    Raises
    ------
    CompositionError
        If the template cannot be read, does not hold a variable, or a member is no neutral NASICON; the
        sentence names the value of the variable.

    Examples
    --------
    >>> [c.na for c in composition_series("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", x=[0, 0.1])]
    [3.2, 3.4]
    """
    if not variables:
        raise CompositionError("a series needs the values of its variable, for example x=[0, 0.1, 0.2]")
    grids = []
    for name, values in variables.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise CompositionError(f"the values of {name} must be a list of numbers, got {values!r}")
        grids.append([exact(value, what=f"value of {name}") for value in values])
        if isinstance(template, str) and not _uses(template, name, [*variables]):
            raise CompositionError(
                f"the template {template[:80]!r} does not hold the variable {name}; use it or drop it"
            )
    members = []
    for combination in itertools.product(*grids):
        values = dict(zip(variables, combination, strict=True))
        try:
            members.append(
                NasiconComposition.from_any(
                    parse_formula(template, values), oxidation_states=oxidation_states
                )
            )
        except CompositionError as error:
            at = ", ".join(f"{name} = {format_number(value)}" for name, value in values.items())
            message = f"at {at}: {error}"
            if isinstance(error, ChargeBalanceError):
                raise ChargeBalanceError(message, error.net_charge, error.na_needed) from None
            raise CompositionError(message) from None
    return members


def _uses(template: str, name: str, names: list[str]) -> bool:
    """Whether the formula changes with the variable."""
    base = dict.fromkeys(names, Fraction(1, 7))
    try:
        return parse_formula(template, base) != parse_formula(template, {**base, name: Fraction(1, 11)})
    except CompositionError:
        return True  # the real values will tell

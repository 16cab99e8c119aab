"""Exceptions: every one is a single sentence saying the rule broken, the value got and the remedy.

All inherit :class:`NasiconError` (itself a ``ValueError``), so a caller can catch one class and the
command line can turn any of them into one line on standard error and exit code 2.
"""

from __future__ import annotations

from fractions import Fraction


class NasiconError(ValueError):
    """Base of all errors that nasicon_struct raises on purpose."""


class CompositionError(NasiconError):
    """A formula cannot be read, or does not fit the NASICON sites."""


class ChargeBalanceError(CompositionError):
    """A composition fits the NASICON sites but is not neutral.

    Attributes
    ----------
    net_charge : float
        Net charge per O12 formula unit, in elementary charges.
    na_needed : float
        Na content per O12 formula unit (dimensionless) that would make the rest neutral.
    """

    def __init__(self, message: str, net_charge: Fraction | float, na_needed: Fraction | float) -> None:
        super().__init__(message)
        self.net_charge = float(net_charge)
        self.na_needed = float(na_needed)


class ReferenceDataError(NasiconError):
    """Reference data is missing, damaged, or an unknown key was asked for."""


class CellError(NasiconError):
    """A crystal structure cannot be read, or is not what the function needs."""


class OrderingError(NasiconError):
    """No ordered cell exists that meets the constraints, or the request is too large."""


class PatternError(NasiconError):
    """A powder pattern cannot be read, or does not hold what a fit needs."""


class EntriesError(NasiconError):
    """An entry set is incomplete, inconsistent, or cannot be read."""


class StabilityError(NasiconError):
    """A stability question that the entries at hand cannot answer."""


class ScreeningError(NasiconError):
    """A screening run cannot start, or its files do not belong to this run."""


class MissingDependencyError(NasiconError):
    """An optional package is needed; the message names the extra that installs it."""

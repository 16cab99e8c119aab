"""Sintering aids: mixtures added to the calcined powder, in per cent of its weight."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from monty.json import MSONable

from nasicon_struct.batch.precursors import parse_precursor
from nasicon_struct.errors import CompositionError
from nasicon_struct.formula import exact

#: Names of Xun et al. 2025 (Supporting Information): wt%, then N for Na2CO3 and B for B2O3 with their moles.
_XUN: Final = re.compile(r"^(?P<wt>\d+(?:\.\d+)?)?N(?P<n>\d*)B(?P<b>\d*)$")
_PERCENT: Final = re.compile(r"^(?P<wt>\d+(?:\.\d+)?)\s*(?:wt\.?\s*%|%\s*wt|%)\s*(?P<mix>.+)$", re.IGNORECASE)
_TERM: Final = re.compile(r"^(?P<n>\d+(?:\.\d+)?(?:/\d+)?)?\s*(?P<formula>[A-Z(\[].*)$")


@dataclass(frozen=True, kw_only=True)
class SinteringAid(MSONable):
    """A mixture that is ground into the calcined electrolyte.

    Attributes
    ----------
    name : str
        As given, for example ``"10N2B"``.
    wt_percent : float
        Mass of the mixture in per cent of the mass of the electrolyte (not of the sum).
    moles : dict of str to float
        Molar proportions of its components, for example ``{"Na2CO3": 2, "B2O3": 1}``.
    """

    name: str
    wt_percent: float
    moles: dict[str, float]

    @classmethod
    def from_any(cls, given: Any) -> SinteringAid:
        """Read a sintering aid.

        Parameters
        ----------
        given : str, mapping or SinteringAid
            ``"10N2B"``: 10 wt% of 2 Na2CO3 + 1 B2O3, in the notation of Xun et al. 2025 (Supporting
            Information; NB3, NB2, NB, N2B, N3B are Na2CO3 : B2O3 = 1:3, 1:2, 1:1, 2:1, 3:1);
            ``"5 wt% Na2SiO3"``, ``"10 wt% (2Na2CO3 + B2O3)"``; or
            ``{"wt_percent": 10, "moles": {"Na2CO3": 2, "B2O3": 1}}``.

        Raises
        ------
        CompositionError
            If it cannot be read, or the percentage is not between 0 and 100.

        Examples
        --------
        >>> SinteringAid.from_any("10N2B").moles
        {'Na2CO3': 2.0, 'B2O3': 1.0}
        """
        if isinstance(given, SinteringAid):
            return given
        if isinstance(given, Mapping):
            if set(given) != {"wt_percent", "moles"} or not isinstance(given["moles"], Mapping):
                raise CompositionError(
                    "a sintering aid is written as {'wt_percent': 10, 'moles': {'Na2CO3': 2, 'B2O3': 1}} "
                    f"or '10N2B', got {dict(given)!r}"
                )
            percent, moles = given["wt_percent"], given["moles"]
            name = f"{percent} wt% ({' + '.join(f'{n}{f}' for f, n in moles.items())})"
        else:
            name = str(given).strip()
            percent, moles = _read(name)
        percent = exact(percent, what="weight percentage of the sintering aid")
        if not 0 < percent < 100:
            raise CompositionError(
                f"the sintering aid must be between 0 and 100 wt% of the electrolyte, got {float(percent):g}"
            )
        amounts = {f: exact(n, what=f"moles of {f} in the sintering aid") for f, n in moles.items()}
        if not amounts or any(n <= 0 for n in amounts.values()):
            raise CompositionError(f"the components of the sintering aid {name!r} need positive moles")
        for formula in amounts:
            parse_precursor(formula)
        return cls(name=name, wt_percent=float(percent), moles={f: float(n) for f, n in amounts.items()})


def _read(text: str) -> tuple[str, dict[str, str]]:
    plain = text.replace(" ", "")
    if match := _XUN.match(plain):
        if match["wt"] is None:
            raise CompositionError(
                f"the sintering aid {text!r} needs its weight percentage in front, as in '10{plain}'"
            )
        return match["wt"], {"Na2CO3": match["n"] or "1", "B2O3": match["b"] or "1"}
    if match := _PERCENT.match(text):
        mix = match["mix"].strip()
        if mix.startswith("(") and mix.endswith(")") and "+" in mix:
            mix = mix[1:-1]
        moles = {}
        for part in mix.split("+"):
            term = _TERM.match(part.strip())
            if term is None:
                raise CompositionError(f"cannot read {part.strip()!r} in the sintering aid {text!r}")
            moles[term["formula"].strip()] = str(Fraction(term["n"] or 1))
        return match["wt"], moles
    raise CompositionError(
        f"cannot read the sintering aid {text!r}; write '10N2B', '5 wt% Na2SiO3' or '10 wt% (2Na2CO3 + B2O3)'"
    )

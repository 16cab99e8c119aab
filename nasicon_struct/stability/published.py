"""Published windows, to stand beside ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.entries import amounts_of, composition_key
from nasicon_struct.errors import CompositionError
from nasicon_struct.formula import parse_formula

#: All published windows of the table are against this metal.
PUBLISHED_AGAINST: Final = "Na"


@dataclass(frozen=True, kw_only=True)
class PublishedWindow(MSONable):
    """A window as a paper prints it.

    Attributes
    ----------
    formula : str
    kind : str
        How it was found; computed thermodynamic windows and measured voltammetric ones are different things.
    reduction_v, oxidation_v : float or None
        Limits, V against Na/Na+; None where none is given.
    relation : str
        ``=``, ``>`` or ``>=`` where the oxidation limit is only a bound.
    cited : str
        The origin, where the source cites another paper for the value.
    source : str
        Printable citation of what was read.
    note : str
    """

    formula: str
    kind: str
    reduction_v: float | None
    oxidation_v: float | None
    relation: str
    cited: str
    source: str
    note: str

    @property
    def is_computed(self) -> bool:
        """Whether it is a computed thermodynamic window, which may be compared with ours."""
        return self.kind.startswith("computed")


def published_windows(target: Any) -> list[PublishedWindow]:
    """Return the published windows of a composition (any multiple of its formula).

    Parameters
    ----------
    target : str or composition-like

    Returns
    -------
    list of PublishedWindow
        From ``structures/tables/published_windows.csv``; empty where none is known. They are for comparison;
        nothing in the package is fitted to them.

    Raises
    ------
    CompositionError
        If the target cannot be read.
    """
    key = composition_key(amounts_of(target))
    found = []
    for row in reference.read_rows("published_windows"):
        try:
            same = composition_key(parse_formula(row["formula"])) == key
        except CompositionError:
            continue  # a composite named with its additive
        if same:
            found.append(
                PublishedWindow(
                    formula=row["formula"],
                    kind=row["kind"],
                    reduction_v=float(row["reduction_v"]) if row["reduction_v"] else None,
                    oxidation_v=float(row["oxidation_v"]) if row["oxidation_v"] else None,
                    relation=row["relation"],
                    cited=row["cited"],
                    source=row["source"],
                    note=row["note"],
                )
            )
    return found

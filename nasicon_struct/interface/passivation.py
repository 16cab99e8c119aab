"""Does an interphase pass electrons? The test of whether a decomposition stops by itself.

An interphase of insulators alone can passivate: once it is there, no more electrons reach the electrolyte.
One that holds an electronic conductor (a metal, an alloy, a narrow-gap semiconductor such as Na3Sb or Na3P in
contact with sodium) can go on growing as a mixed conductor. Thermodynamics gives the products, not their
texture: a conductor in small, isolated grains, or an amorphous layer, may still passivate.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.entries import amounts_of, composition_key
from nasicon_struct.errors import StabilityError
from nasicon_struct.formula import parse_formula
from nasicon_struct.stability import PhaseAmount, stability_window
from nasicon_struct.stability.inputs import finite_number
from nasicon_struct.stability.result import as_tuples

#: Characters that let electrons pass.
CONDUCTING: Final = ("metal", "narrow-gap semiconductor", "conductor")
_ANIONS: Final = {"F": -1, "Cl": -1, "Br": -1, "I": -1, "O": -2, "S": -2, "Se": -2, "Te": -2, "N": -3}
#: Elements between anion and cation, with their lowest and highest oxidation state.
_COVALENT: Final = {
    "B": (0, 3),
    "C": (-4, 4),
    "Si": (-4, 4),
    "Ge": (-4, 4),
    "P": (-3, 5),
    "As": (-3, 5),
    "Sb": (-3, 5),
}
#: Oxidation states of the metals of a closed shell; others leave the character open.
_CLOSED_SHELL: Final = {
    **dict.fromkeys(("Li", "Na", "K", "Rb", "Cs", "Ag"), 1),
    **dict.fromkeys(("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd"), 2),
    **dict.fromkeys(("Al", "Ga", "In", "Sc", "Y", "La", "Gd", "Lu", "Yb"), 3),
    **dict.fromkeys(("Zr", "Hf", "Ti", "Sn"), 4),
    **dict.fromkeys(("Nb", "Ta"), 5),
}
_INSULATING_ELEMENTS: Final = frozenset(
    {"H", "N", "O", "F", "P", "S", "Cl", "Se", "Br", "I", "He", "Ne", "Ar"}
)


@dataclass(frozen=True, kw_only=True)
class ElectronicCharacter(MSONable):
    """How a phase conducts electrons.

    Attributes
    ----------
    formula : str
    character : str
        ``metal``, ``conductor``, ``narrow-gap semiconductor``, ``semiconductor``, ``insulator`` or
        ``unknown``.
    band_gap_ev : float or None
    by_rule : bool
        Whether it follows from composition by a rule, for lack of a source.
    source : str
        Printable citation, or the rule.
    """

    formula: str
    character: str
    band_gap_ev: float | None
    by_rule: bool
    source: str

    @property
    def conducts(self) -> bool | None:
        """Whether electrons pass; None where it is not known."""
        return None if self.character == "unknown" else self.character in CONDUCTING


@dataclass(frozen=True, kw_only=True)
class Interphase(MSONable):
    """Products at an electrode and whether they may passivate.

    Attributes
    ----------
    electrolyte, source : str
    voltage_v : float or None
        Voltage against the open element's metal; None for the products of a closed mixture.
    verdict : str
        ``none`` (no reaction), ``insulating`` (may passivate), ``mixed conducting`` (an electronic conductor
        is among the products) or ``unknown``.
    sentence : str
        The verdict in words.
    products : tuple of PhaseAmount
    characters : tuple of ElectronicCharacter
        In the order of the products.
    conducting_atomic_fraction : float
        Share of the atoms in conducting phases, 0 to 1.
    observed : tuple of str
        What experiments report for this electrolyte, from ``structures/tables/interphase_products.csv``.
    """

    electrolyte: str
    source: str
    voltage_v: float | None
    verdict: str
    sentence: str
    products: tuple[PhaseAmount, ...]
    characters: tuple[ElectronicCharacter, ...]
    conducting_atomic_fraction: float
    observed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        as_tuples(self, products=PhaseAmount, characters=ElectronicCharacter, observed=None)


@functools.lru_cache(maxsize=1)
def _table() -> dict[Any, Mapping[str, str]]:
    return {
        composition_key(parse_formula(row["formula"])): row
        for row in reference.read_rows("electronic_character")
    }


def electronic_character(formula: Any) -> ElectronicCharacter:
    """Return how a phase conducts electrons: from the table, else by a rule.

    Parameters
    ----------
    formula : str or composition-like

    Returns
    -------
    ElectronicCharacter

    Notes
    -----
    Rules: an element is a metal or an insulator; a phase without an anion of the groups 15 (N) to 17 beside
    P, As and Sb is a conductor (intermetallics, phosphides, silicides: metals or narrow gaps); a phase with
    one is an insulator if closed- shell metals can be fully oxidised in it, a conductor if metal is left over
    (Zr3O), and unknown with other metals.
    """
    amounts = amounts_of(formula)
    name = formula if isinstance(formula, str) else "".join(f"{s}{float(a):g}" for s, a in amounts.items())
    row = _table().get(composition_key(amounts))
    if row is not None:
        gap = float(row["band_gap_ev"]) if row["band_gap_ev"] else None
        return ElectronicCharacter(
            formula=name, character=row["character"], band_gap_ev=gap, by_rule=False, source=row["source"]
        )
    character, rule = _by_rule(amounts)
    return ElectronicCharacter(formula=name, character=character, band_gap_ev=None, by_rule=True, source=rule)


def _by_rule(amounts: Mapping[str, Any]) -> tuple[str, str]:
    if len(amounts) == 1:
        (symbol,) = amounts
        if symbol in _INSULATING_ELEMENTS:
            return "insulator", "rule: non-metallic element"
        return "metal", "rule: metallic element"
    anions = [symbol for symbol in amounts if symbol in _ANIONS]
    if not anions:
        return "conductor", "rule: intermetallic phase, phosphide, antimonide or silicide"
    others = [s for s in amounts if s not in _ANIONS and s not in _COVALENT and s not in _CLOSED_SHELL]
    if others:
        return "unknown", f"rule: open-shell {', '.join(others)} leaves it open"
    left = sum(float(amounts[s]) * _CLOSED_SHELL[s] for s in amounts if s in _CLOSED_SHELL)
    left += sum(float(amounts[s]) * _ANIONS[s] for s in anions)
    lowest = sum(float(amounts[s]) * _COVALENT[s][0] for s in amounts if s in _COVALENT)
    if left + lowest > 1e-6:
        return "conductor", "rule: more metal than the anions oxidise"
    return "insulator", "rule: closed-shell metals fully oxidised"


def interphase(
    electrolyte: Any, entries: Any = None, *, voltage_v: float = 0.0, **options: Any
) -> Interphase:
    """Return what an electrolyte becomes at an electrode potential, and whether that may passivate.

    Parameters
    ----------
    electrolyte : str or composition-like
    entries : anything that :func:`nasicon_struct.as_entry_set` takes
    voltage_v : float, keyword-only
        Potential of the electrode, V; 0 is the metal itself, an alloy such as Na15Sn4 lies a little above.
    **options
        Passed to :func:`stability_window` (open_element, formation_energy_ev_per_atom, reservoirs).

    Returns
    -------
    Interphase

    Raises
    ------
    StabilityError
        If the voltage is negative.
    """
    if finite_number(voltage_v, "voltage", "V") < 0:
        raise StabilityError(f"the voltage must be 0 or more V, got {voltage_v}")
    window = stability_window(electrolyte, entries, uncertainty=False, **options)
    step = next((s for s in window.steps if s.v_low - 1e-9 <= voltage_v < s.v_high - 1e-9), window.steps[-1])
    at = f"at {voltage_v:g} V"
    return judge(
        step.products,
        electrolyte=window.target,
        source=window.source,
        voltage_v=voltage_v,
        unchanged=step.is_target,
        where=at,
    )


def judge(
    products: Iterable[PhaseAmount],
    *,
    electrolyte: str,
    source: str = "",
    voltage_v: float | None = None,
    unchanged: bool = False,
    where: str = "in the mixture",
) -> Interphase:
    """Return whether a set of products may passivate.

    Parameters
    ----------
    products : iterable of PhaseAmount
    electrolyte : str, keyword-only
    source : str, keyword-only
    voltage_v : float or None, keyword-only
    unchanged : bool, keyword-only
        Whether the electrolyte does not react.
    where : str, keyword-only
        Words for the sentence.
    """
    parts = tuple(products)
    characters = tuple(electronic_character(part.formula) for part in parts)
    share = sum(p.atomic_fraction for p, c in zip(parts, characters, strict=True) if c.conducts)
    conductors = [c.formula for c in characters if c.conducts]
    open_ones = [c.formula for c in characters if c.conducts is None]
    if unchanged:
        verdict, sentence = "none", f"{electrolyte} does not react {where}"
    elif conductors:
        verdict = "mixed conducting"
        sentence = (
            f"{electrolyte} {where} gives {' + '.join(p.formula for p in parts)}; {', '.join(conductors)} "
            f"({100 * share:.0f} % of the atoms) passes electrons, so the reaction need not stop by itself"
        )
    elif open_ones:
        verdict = "unknown"
        sentence = (
            f"{electrolyte} {where} gives {' + '.join(p.formula for p in parts)}; whether "
            f"{', '.join(open_ones)} "
            "passes electrons is not known"
        )
    else:
        verdict = "insulating"
        sentence = (
            f"{electrolyte} {where} gives {' + '.join(p.formula for p in parts)}, insulators alone: the "
            "layer may "
            "passivate"
        )
    return Interphase(
        electrolyte=electrolyte,
        source=source,
        voltage_v=voltage_v,
        verdict=verdict,
        sentence=sentence,
        products=parts,
        characters=characters,
        conducting_atomic_fraction=float(share),
        observed=_observed(electrolyte),
    )


def _observed(electrolyte: str) -> tuple[str, ...]:
    key = composition_key(amounts_of(electrolyte))
    found = []
    for row in reference.read_rows("interphase_products"):
        try:
            same = composition_key(parse_formula(row["electrolyte"])) == key
        except ValueError:
            continue  # named with an additive
        if same:
            found.append(
                f"{row['product']} ({row['status']}, {row['context']}, with {row['partner']}): "
                f"{row['source']}"
            )
    return tuple(found)

"""Precursors: formulas with water of crystallisation, and what leaves them in the furnace."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from nasicon_struct.composition import element_sites
from nasicon_struct.errors import CompositionError
from nasicon_struct.formula import parse_formula

#: Elements that leave on calcination in air, with the gas they leave as.
VOLATILE: Final[dict[str, str]] = {"C": "CO2", "N": "NH3 or NO2", "H": "H2O"}
#: Gases of the balance: element -> atoms per molecule.
GASES: Final[dict[str, dict[str, int]]] = {
    "CO2": {"C": 1, "O": 2},
    "NH3": {"N": 1, "H": 3},
    "NO2": {"N": 1, "O": 2},
    "H2O": {"H": 2, "O": 1},
    "O2": {"O": 2},
}
#: Precursors taken where none is named; every other element comes as the oxide of its usual state.
COMMON: Final[dict[str, str]] = {
    "Na": "Na2CO3",
    "P": "NH4H2PO4",
    "Ca": "CaCO3",
    "Sr": "SrCO3",
    "Ba": "BaCO3",
    "B": "B2O3",
}
_WATER = re.compile(r"^(?P<salt>.+?)\s*[.·•∙⋅*]\s*(?P<n>\d+/\d+|\d*\.?\d*)\s*H2O$")


@dataclass(frozen=True)
class Precursor:
    """A substance to be weighed.

    Attributes
    ----------
    name : str
        Formula as given.
    amounts : dict of str to Fraction
        Atoms per formula unit, water of crystallisation included (dimensionless, exact).
    ammonium : bool
        Whether its nitrogen leaves as NH3; else it leaves as NO2.
    """

    name: str
    amounts: dict[str, Fraction]
    ammonium: bool

    @property
    def fixed(self) -> dict[str, Fraction]:
        """Atoms that stay in the product: all but C, N, H and O."""
        return {s: n for s, n in self.amounts.items() if s not in VOLATILE and s != "O"}

    def gases(self) -> dict[str, Fraction]:
        """Molecules of CO2, NH3, NO2 and H2O that one formula unit gives off in air."""
        carbon, nitrogen, hydrogen = (self.amounts.get(s, Fraction(0)) for s in ("C", "N", "H"))
        found = {"CO2": carbon}
        if self.ammonium:
            found["NH3"] = nitrogen
            hydrogen -= 3 * nitrogen
        else:
            found["NO2"] = nitrogen
        found["H2O"] = hydrogen / 2
        return {gas: n for gas, n in found.items() if n}

    @property
    def molar_mass_g_per_mol(self) -> float:
        """Molar mass, g/mol."""
        return molar_mass_g_per_mol(self.amounts)


def molar_mass_g_per_mol(amounts: Mapping[str, Fraction]) -> float:
    """Molar mass, g/mol, from pymatgen's table of atomic masses."""
    from pymatgen.core.periodic_table import Element

    return float(sum(float(n) * float(Element(s).atomic_mass) for s, n in amounts.items()))


def parse_precursor(formula: str) -> Precursor:
    """Read the formula of a precursor; water of crystallisation stands behind a dot.

    Parameters
    ----------
    formula : str
        ``"Na2CO3"``, ``"(NH4)2HPO4"``, ``"Na3PO4·12H2O"``. A plain dot before ``nH2O`` at the end, as in
        ``"Na3PO4.12H2O"``, is read as a hydrate, never as a decimal.

    Returns
    -------
    Precursor

    Raises
    ------
    CompositionError
        If it cannot be read, or holds nothing that stays after calcination.

    Examples
    --------
    >>> parse_precursor("Na3PO4.12H2O").amounts
    {'Na': Fraction(3, 1), 'P': Fraction(1, 1), 'O': Fraction(16, 1), 'H': Fraction(24, 1)}
    """
    if not isinstance(formula, str):
        raise CompositionError(
            f"a precursor must be a formula such as 'Na2CO3', got {type(formula).__name__} {formula!r}"
        )
    text = " ".join(unicodedata.normalize("NFKC", formula).split())
    water = Fraction(0)
    if match := _WATER.match(text):
        text = match["salt"]
        try:
            water = Fraction(match["n"] or 1)
        except (ValueError, ZeroDivisionError):
            raise CompositionError(
                f"cannot read the water in {formula!r}; write it like Na3PO4·12H2O"
            ) from None
    amounts = parse_formula(text)
    if water:
        amounts["O"] = amounts.get("O", Fraction(0)) + water
        amounts["H"] = amounts.get("H", Fraction(0)) + 2 * water
    found = Precursor(" ".join(formula.split()), amounts, "NH4" in text)
    if not found.fixed:
        raise CompositionError(
            f"nothing of {formula} stays after calcination (C, N and H leave as gas); leave it out"
        )
    if found.ammonium and found.gases().get("H2O", Fraction(0)) < 0:
        raise CompositionError(
            f"{formula} holds too little hydrogen for its ammonium; check the formula, such as NH4H2PO4"
        )
    return found


def default_precursor(element: str) -> str:
    """Name the precursor taken for an element when none is given.

    Na2CO3, NH4H2PO4, the carbonates of Ca, Sr and Ba, and for all others the oxide of the element's usual
    oxidation state (``structures/tables/oxidation_states.csv``).

    Raises
    ------
    CompositionError
        If the element's usual oxidation state is not known to the package.

    Examples
    --------
    >>> [default_precursor(element) for element in ("Na", "Zr", "Sc", "Zn", "P")]
    ['Na2CO3', 'ZrO2', 'Sc2O3', 'ZnO', 'NH4H2PO4']
    """
    if element in COMMON:
        return COMMON[element]
    known = element_sites().get(element)
    if known is None or known.oxidation_state <= 0:
        raise CompositionError(f"no usual precursor is known for {element}; name one, such as its oxide")
    ratio = Fraction(known.oxidation_state, 2)
    metal, oxygen = ratio.denominator, ratio.numerator
    return f"{element}{metal if metal > 1 else ''}O{oxygen if oxygen > 1 else ''}"


def oxide_oxygen(element: str) -> Fraction:
    """Oxygen atoms that accompany one atom of an element in the oxide of its usual state."""
    known = element_sites().get(element)
    if known is None or known.oxidation_state <= 0:
        raise CompositionError(
            f"an excess of {element} cannot be balanced: its usual oxide is not known; put it into the formula"
        )
    return Fraction(known.oxidation_state, 2)


def parse_precursors(
    given: object, wanted: Iterable[str]
) -> tuple[list[Precursor], dict[str, dict], frozenset[str]]:
    """Read the precursors in any of the accepted forms.

    Returns
    -------
    precursors : list of Precursor
        Without repetition, in the order given.
    shares : dict
        Element -> {precursor: share of that element}, where a mapping gave shares.
    added : frozenset of str
        Usual precursors added last for elements that a mapping left out; needed only where the others do
        not bring enough.
    """
    wanted = list(wanted)
    if given is None:
        given = [default_precursor(element) for element in wanted]
    names: list[str] = []
    added: list[str] = []
    shares: dict[str, dict] = {}
    if isinstance(given, str):
        names = [part.strip() for part in given.split(",") if part.strip()]
    elif isinstance(given, Mapping):
        for element, value in given.items():
            if element not in wanted:
                raise CompositionError(
                    f"the keys of precursors are elements of the target ({', '.join(wanted)}), got {element!r}; "
                    "write {'Na': 'Na2CO3', ...} or a list of formulas"
                )
            if isinstance(value, Mapping):
                shares[element] = dict(value)
                names += list(value)
            else:
                names += [value] if isinstance(value, str) else list(value)
        added = [default_precursor(element) for element in wanted if element not in given]
    elif isinstance(given, (set, frozenset)):
        names = sorted(given)
    elif isinstance(given, Iterable):
        names = list(given)
    else:
        raise CompositionError(
            f"precursors must be a list of formulas or a mapping of element to formula, got {given!r}"
        )
    if not names and not added:
        raise CompositionError("no precursor is given; name them, or leave precursors out for the usual ones")
    unique: dict[str, Precursor] = {}
    for name in [*names, *added]:
        found = parse_precursor(name)
        unique.setdefault(found.name, found)
    named = {parse_precursor(name).name for name in names}
    return list(unique.values()), shares, frozenset(set(added) - named)

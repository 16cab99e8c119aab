"""Charge balance and site sums of NASICON compositions, exact in rational arithmetic.

A NASICON holds, per O12 formula unit, M = 2 (Zr and its dopants, octahedral), T = 3 (Si, P, tetrahedral),
O = 12 and at most 4 Na. With formal oxidation states z the composition is neutral when
``n_Na = 24 - sum(z_M n_M) - sum(z_T n_T)``; for Si and P on T this is
``n_Na = 1 + n_Si + sum((4 - z_M) n_M)``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.errors import ChargeBalanceError, CompositionError
from nasicon_struct.formula import ELEMENTS, element_amounts, exact, format_formula, parse_formula

if TYPE_CHECKING:
    from pymatgen.core.composition import Composition

#: Sum of each site per O12 formula unit; Na is an upper limit (one Na1 + three Na2 in R-3c).
SITE_SUMS: Final[dict[str, int]] = {"M": 2, "T": 3, "O": 12}
MAX_NA: Final = 4
#: What the sites are called in sentences.
SITE_NAMES: Final = {"M": "M (Zr and its dopants)", "T": "T (Si, P)"}


@dataclass(frozen=True)
class ElementSite:
    """Where an element sits in NASICON and with which formal charge.

    Attributes
    ----------
    element : str
    site : str
        ``"Na"``, ``"M"``, ``"T"``, ``"O"``, or ``""`` for an element that sits on no NASICON site.
    oxidation_state : int
    radius_ang : float or None
        Shannon radius, angstrom (VI-coordinate on M and Na, IV-coordinate on T).
    note : str
    """

    element: str
    site: str
    oxidation_state: int
    radius_ang: float | None
    note: str


@functools.cache
def element_sites() -> dict[str, ElementSite]:
    """Site, formal charge and radius of each element known to the package.

    Source: ``structures/tables/oxidation_states.csv``, where every row names its own.
    """
    table = {}
    for row in reference.read_rows("oxidation_states"):
        site = row["site"].strip()
        table[row["element"]] = ElementSite(
            element=row["element"],
            site=site if site in ("Na", "M", "T", "O") else "",
            oxidation_state=int(row["oxidation_state"] or 0),
            radius_ang=float(row["radius_ang"]) if row["radius_ang"].strip() else None,
            note=row["note"].strip(),
        )
    return table


def format_number(value: Fraction) -> str:
    """Write a number for a sentence: up to six decimals, no trailing zeros."""
    return f"{float(value):.6f}".rstrip("0").rstrip(".")


def _signed(value: Fraction) -> str:
    return ("+" if value > 0 else "") + format_number(value)


def _check_overrides(oxidation_states: Mapping[str, Any] | None) -> dict[str, Fraction]:
    states = {}
    for symbol, state in (oxidation_states or {}).items():
        if symbol not in ELEMENTS:
            raise CompositionError(
                f"the oxidation states name {symbol!r}, which is no element; use symbols such as V"
            )
        value = exact(state, what=f"oxidation state of {symbol}")
        low, high = (-2, -1) if symbol == "O" else (1, 8)
        if not low <= value <= high:
            raise CompositionError(
                f"the oxidation state of {symbol} must lie between {low} and {high}, got {format_number(value)}"
            )
        states[symbol] = value
    return states


@dataclass(frozen=True)
class _Assignment:
    """A formula scaled to O12, with its elements put on their sites."""

    amounts: dict[str, Fraction]
    states: dict[str, Fraction]
    sites: dict[str, dict[str, Fraction]]
    net_charge: Fraction
    na_needed: Fraction
    problems: tuple[str, ...]

    @property
    def formula(self) -> str:
        return format_formula(self.amounts)


def _assign(amounts: Mapping[str, Fraction], oxidation_states: Mapping[str, Any] | None) -> _Assignment:
    overrides = _check_overrides(oxidation_states)
    if "O" not in amounts:
        raise CompositionError(
            f"{format_formula(amounts)} holds no oxygen; a NASICON formula has 12 O, as in Na3Zr2Si2PO12"
        )
    known = element_sites()
    scale = Fraction(12) / amounts["O"]
    scaled = {symbol: amount * scale for symbol, amount in amounts.items()}
    sites: dict[str, dict[str, Fraction]] = {"Na": {}, "M": {}, "T": {}, "O": {}}
    states = {}
    for symbol, amount in scaled.items():
        info = known.get(symbol)
        if info is None:
            raise CompositionError(
                f"{symbol} is not in the table of NASICON constituents; leave it out, or use one of "
                + ", ".join(s for s, i in known.items() if i.site)
            )
        if not info.site:
            why = f" ({info.note.rstrip('.')})" if info.note else ""
            raise CompositionError(
                f"{symbol} sits on no NASICON site{why}; give the electrolyte alone, without sintering aid or additive"
            )
        sites[info.site][symbol] = amount
        states[symbol] = overrides.get(symbol, Fraction(info.oxidation_state))
    if not sites["M"] or not sites["T"]:
        missing = " and ".join(SITE_NAMES[s] for s in ("M", "T") if not sites[s])
        raise CompositionError(
            f"{format_formula(scaled)} is no NASICON: nothing sits on {missing}; a formula looks like Na3Zr2Si2PO12"
        )
    charge = sum((states[s] * n for s, n in scaled.items()), Fraction(0))
    na = scaled.get("Na", Fraction(0))
    needed = na - charge
    problems = []
    for site, target in (("M", SITE_SUMS["M"]), ("T", SITE_SUMS["T"])):
        total = sum(sites[site].values(), Fraction(0))
        if total != target:
            members = " + ".join(f"{s} {format_number(n)}" for s, n in sites[site].items())
            problems.append(
                f"site {SITE_NAMES[site]} holds {format_number(total)} per O12 ({members}), it must hold {target}"
            )
    if na > MAX_NA:
        problems.append(f"Na is {format_number(na)} per O12, the Na sites hold at most {MAX_NA}")
    if charge:
        sentence = f"net charge is {_signed(charge)} per O12, "
        if 0 <= needed <= MAX_NA:
            sentence += f"Na {format_number(needed)} instead of {format_number(na)} would make it neutral"
        else:
            sentence += (
                f"and the Na content that would balance it, {format_number(needed)}, lies outside 0 to {MAX_NA}: "
                "the other amounts are wrong"
            )
        problems.append(sentence)
    ordered = _ordered(scaled, sites)
    sites = {site: {s: held[s] for s in ordered if s in held} for site, held in sites.items()}
    return _Assignment(ordered, states, sites, charge, needed, tuple(problems))


def _ordered(
    amounts: Mapping[str, Fraction], sites: Mapping[str, Mapping[str, Fraction]]
) -> dict[str, Fraction]:
    """Canonical order: Na, Zr, other M, Si, P, other T, O."""
    order = list(sites["Na"])
    order += sorted(sites["M"], key=lambda s: (s != "Zr", s))
    order += sorted(sites["T"], key=lambda s: (s != "Si", s != "P", s))
    order += list(sites["O"])
    return {symbol: amounts[symbol] for symbol in order}


def _amounts_of(obj: Any) -> dict[str, Fraction]:
    """Read any accepted input into exact amounts."""
    if isinstance(obj, str):
        return parse_formula(obj)
    if isinstance(obj, NasiconComposition):
        return obj.amounts
    amounts = {}
    for symbol, value in element_amounts(
        obj, expected="a formula, a pymatgen Composition or Structure, or ASE Atoms"
    ):
        if value < 0:
            raise CompositionError(
                f"the amount of {symbol} is negative ({format_number(value)}); amounts are 0 or more"
            )
        if value:
            amounts[symbol] = value
    if not amounts:
        raise CompositionError("the composition is empty; give a formula such as 'Na3Zr2Si2PO12'")
    return amounts


@dataclass(frozen=True, kw_only=True)
class ChargeBalance(MSONable):
    """Outcome of :func:`charge_balance`, per O12 formula unit.

    Attributes
    ----------
    formula : str
        The formula scaled to 12 O, in canonical order.
    neutral : bool
        True only when the net charge is exactly zero.
    net_charge : float
        Elementary charges per O12.
    na_needed : float
        Na per O12 that makes the other amounts neutral (may lie outside 0 to 4; see ``problems``).
    oxidation_states : dict of str to float
        Formal charge of each element.
    sites : dict of str to dict
        Amounts per O12 on the sites ``Na``, ``M``, ``T`` and ``O``.
    problems : tuple of str
        One sentence for each rule broken; empty for a possible NASICON.
    """

    formula: str
    neutral: bool
    net_charge: float
    na_needed: float
    oxidation_states: dict[str, float]
    sites: dict[str, dict[str, float]]
    problems: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", tuple(self.problems))


def _plain(value: Fraction) -> float | int:
    return int(value) if value.denominator == 1 else float(value)


def charge_balance(formula: Any, *, oxidation_states: Mapping[str, Any] | None = None) -> ChargeBalance:
    """Judge a composition: site sums, net charge, and the Na content that neutrality needs.

    Parameters
    ----------
    formula : str, pymatgen Composition or Structure, ASE Atoms, NasiconComposition, or mapping
        Any multiple of O12; amounts are handled as exact fractions.
    oxidation_states : mapping of str to number, optional
        Formal charges that replace the table's, for example ``{"V": 3}``.

    Returns
    -------
    ChargeBalance

    Raises
    ------
    CompositionError
        If the input is no formula, or names an element that sits on no NASICON site.

    Examples
    --------
    >>> charge_balance("Na3.4Zr2Si2.35P0.65O12").na_needed
    3.35
    """
    done = _assign(_amounts_of(formula), oxidation_states)
    return ChargeBalance(
        formula=done.formula,
        neutral=done.net_charge == 0,
        net_charge=float(done.net_charge),
        na_needed=float(done.na_needed),
        oxidation_states={symbol: _plain(state) for symbol, state in done.states.items()},
        sites={site: {s: float(n) for s, n in held.items()} for site, held in done.sites.items()},
        problems=done.problems,
    )


@dataclass(frozen=True, eq=False)
class NasiconComposition(MSONable):
    """A neutral NASICON composition, exact, per O12 formula unit.

    Make one with :meth:`from_formula`, :meth:`from_dopants` or :meth:`from_any`. Two compositions are equal
    when their exact amounts and oxidation states are.

    Attributes
    ----------
    amounts : dict of str to Fraction
        Amount of each element per O12.
    oxidation_states : dict of str to int or float
        Formal charge of each element.
    """

    amounts: dict[str, Fraction]
    oxidation_states: dict[str, float]

    @classmethod
    def from_any(cls, obj: Any, *, oxidation_states: Mapping[str, Any] | None = None) -> NasiconComposition:
        """Make a composition from a formula, pymatgen Composition or Structure, ASE Atoms, or mapping.

        Parameters
        ----------
        obj : str, Composition, Structure, Atoms, mapping of str to number, or NasiconComposition
            Amounts in any multiple of O12.
        oxidation_states : mapping of str to number, optional
            Formal charges that replace the table's.

        Returns
        -------
        NasiconComposition

        Raises
        ------
        ChargeBalanceError
            If the composition is not neutral; it carries the net charge and the Na content needed.
        CompositionError
            If it cannot be read or does not fit the NASICON sites.
        """
        if isinstance(obj, NasiconComposition) and not oxidation_states:
            return obj
        if hasattr(obj, "lattice") and hasattr(obj, "composition"):  # a Structure: amounts per cell
            obj = obj.composition
        done = _assign(_amounts_of(obj), oxidation_states)
        if done.problems:
            message = f"{done.formula} is no possible NASICON: " + "; ".join(done.problems)
            if done.net_charge:
                raise ChargeBalanceError(message, done.net_charge, done.na_needed)
            raise CompositionError(message)
        return cls(done.amounts, {symbol: _plain(done.states[symbol]) for symbol in done.amounts})

    @classmethod
    def from_formula(
        cls, formula: str, *, oxidation_states: Mapping[str, Any] | None = None
    ) -> NasiconComposition:
        """Make a composition from a formula in any multiple of O12.

        Parameters
        ----------
        formula : str
            Brackets and decimal amounts are read exactly.
        oxidation_states : mapping of str to number, optional
            Formal charges that replace the table's, for example ``{"V": 3}``.

        Returns
        -------
        NasiconComposition

        Raises
        ------
        ChargeBalanceError
            If the composition is not neutral; it carries the net charge and the Na content needed.
        CompositionError
            If the formula cannot be read or does not fit the NASICON sites.

        Examples
        --------
        >>> NasiconComposition.from_formula("Na3.4Sc0.4Zr1.6(SiO4)2(PO4)").formula
        'Na3.4Zr1.6Sc0.4Si2PO12'
        """
        return cls.from_any(parse_formula(formula), oxidation_states=oxidation_states)

    @classmethod
    def from_dopants(
        cls,
        dopants: Mapping[str, Any] | None = None,
        *,
        x_si: Any = 2,
        oxidation_states: Mapping[str, Any] | None = None,
    ) -> NasiconComposition:
        """Make the neutral composition with given M-site dopants and Si content; Na follows.

        Parameters
        ----------
        dopants : mapping of str to number
            Amount per O12 of each element that replaces Zr, for example ``{"Sc": 0.2, "Zn": 0.1}``.
        x_si : number
            Si per O12, 0 to 3; P is 3 - x_si.
        oxidation_states : mapping of str to number, optional
            Formal charges that replace the table's.

        Raises
        ------
        CompositionError
            If the amounts do not fit the sites or no Na content within 0 to 4 makes them neutral.

        Examples
        --------
        >>> NasiconComposition.from_dopants({"Sc": 0.2, "Zn": 0.1}).formula
        'Na3.4Zr1.7Sc0.2Zn0.1Si2PO12'
        """
        si = exact(x_si, what="Si content x_si")
        if not 0 <= si <= SITE_SUMS["T"]:
            raise CompositionError(f"the Si content x_si must lie between 0 and 3, got {format_number(si)}")
        amounts = {"Si": si, "P": SITE_SUMS["T"] - si, "O": Fraction(12)}
        zr = Fraction(SITE_SUMS["M"])
        known = element_sites()
        for symbol, value in (dopants or {}).items():
            amount = exact(value, what=f"amount of {symbol}")
            if symbol not in known or known[symbol].site != "M" or symbol == "Zr":
                options = ", ".join(s for s, i in known.items() if i.site == "M" and s != "Zr")
                raise CompositionError(f"{symbol!r} is no dopant of the Zr site; use one of {options}")
            if amount < 0:
                raise CompositionError(
                    f"the amount of {symbol} is negative ({format_number(amount)}); amounts are 0 or more"
                )
            amounts[symbol] = amount
            zr -= amount
        if zr < 0:
            raise CompositionError(
                f"the dopants sum to {format_number(2 - zr)} per O12, the M site holds 2; lower them"
            )
        amounts["Zr"] = zr
        amounts = {symbol: amount for symbol, amount in amounts.items() if amount}
        needed = _assign(amounts, oxidation_states).na_needed
        if not 0 <= needed <= MAX_NA:
            raise CompositionError(
                f"neutrality would need Na {format_number(needed)} per O12, outside 0 to {MAX_NA}; change dopants or x_si"
            )
        return cls.from_any(
            {"Na": needed, **amounts} if needed else amounts, oxidation_states=oxidation_states
        )

    @property
    def formula(self) -> str:
        """Exact formula per O12; :meth:`from_formula` reads it back without loss."""
        return format_formula(self.amounts)

    @property
    def composition(self) -> Composition:
        """The pymatgen Composition per O12 (float amounts)."""
        from pymatgen.core.composition import Composition

        return Composition({symbol: float(amount) for symbol, amount in self.amounts.items()})

    def _site(self, site: str) -> dict[str, Fraction]:
        known = element_sites()
        return {symbol: amount for symbol, amount in self.amounts.items() if known[symbol].site == site}

    @property
    def m_site(self) -> dict[str, Fraction]:
        """Exact amounts on the M site; they sum to 2."""
        return self._site("M")

    @property
    def t_site(self) -> dict[str, Fraction]:
        """Exact amounts on the T site; they sum to 3."""
        return self._site("T")

    @property
    def dopants(self) -> dict[str, float]:
        """Amount per O12 of each M-site element other than Zr."""
        return {symbol: float(amount) for symbol, amount in self.m_site.items() if symbol != "Zr"}

    def amount(self, symbol: str) -> Fraction:
        """Exact amount of an element per O12, 0 when absent."""
        return self.amounts.get(symbol, Fraction(0))

    @property
    def na_exact(self) -> Fraction:
        """Na per O12, exact."""
        return self.amount("Na")

    @property
    def na(self) -> float:
        """Na per O12."""
        return float(self.na_exact)

    @property
    def x_si(self) -> float:
        """Si per O12."""
        return float(self.amount("Si"))

    @property
    def x_p(self) -> float:
        """P per O12."""
        return float(self.amount("P"))

    @property
    def net_charge(self) -> Fraction:
        """Net charge per O12 in elementary charges, exactly 0."""
        return sum((exact(self.oxidation_states[s]) * n for s, n in self.amounts.items()), Fraction(0))

    @property
    def m_radius_mean_ang(self) -> float:
        """Mean Shannon radius (VI) on the M site, angstrom."""
        known = element_sites()
        return float(
            sum(float(n) * (known[s].radius_ang or float("nan")) for s, n in self.m_site.items()) / 2
        )

    @property
    def m_radius_spread_ang(self) -> float:
        """Standard deviation of the Shannon radius (VI) over the M site, angstrom."""
        known, mean = element_sites(), self.m_radius_mean_ang
        variance = 0.0
        for symbol, amount in self.m_site.items():
            step = (known[symbol].radius_ang or float("nan")) - mean
            variance += float(amount) * (step * step)
        return math.sqrt(variance / 2)

    @property
    def molar_mass_g_per_mol(self) -> float:
        """Molar mass per O12 formula unit, g/mol (atomic masses of pymatgen)."""
        return float(self.composition.weight)

    def _key(self) -> tuple[Any, ...]:
        return tuple(self.amounts.items()), tuple(sorted(self.oxidation_states.items()))

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, NasiconComposition) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return self.formula

    def __repr__(self) -> str:
        return f"NasiconComposition({self.formula!r})"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON: the exact formula and the oxidation states."""
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            "formula": self.formula,
            "oxidation_states": dict(self.oxidation_states),
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> NasiconComposition:
        """Rebuild from :meth:`as_dict`, exactly."""
        return cls.from_formula(d["formula"], oxidation_states=d["oxidation_states"])

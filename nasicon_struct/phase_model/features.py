"""Compositions as printed, and the inspectable features that the phase model is made of."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from monty.json import MSONable
from numpy.typing import NDArray

from nasicon_struct import reference
from nasicon_struct.composition import ChargeBalance, NasiconComposition, charge_balance, element_sites
from nasicon_struct.errors import ChargeBalanceError, CompositionError

#: Radius of Zr4+ in octahedral coordinate, angstrom (Shannon 1976); the M-site radius is counted from it.
ZR_RADIUS_ANG: Final = 0.72
#: Amount per O12 at which the term of an M-site element reaches half its full size.
ELEMENT_HALF_AMOUNT: Final = 0.3
#: A printed formula may miss neutrality by this much per O12 (rounded occupancies, oxygen deficiency).
CHARGE_TOLERANCE: Final = 0.25
#: ... and its M and T sites may miss 2 and 3 by this much (zirconium-deficient compositions, 1.58 to 2).
SITE_TOLERANCE: Final = 0.45

#: Ions of the M site that also sit in oxygen tetrahedra, and their charge there.
TETRAHEDRAL_CHARGE: Final = {"Ge": 4, "Al": 3, "Ga": 3, "V": 5}

#: Feature -> what it is. Each weight is in kelvin per unit of the feature.
FEATURES: Final[dict[str, str]] = {
    "constant": "1: the transition temperature of Na3Zr2Si2PO12",
    "na_deficit": "Na missing from 3 per O12, max(0, 3 - n_Na)",
    "na_excess": "Na above 3 per O12, max(0, n_Na - 3)",
    "si_deficit": "Si missing from 2 per O12, max(0, 2 - n_Si)",
    "m_mixing": "mixing on the M site, 1 - sum of squared fractions (0 for one element)",
    "m_divalent": "divalent M ions per O12",
    "m_radius_shift": "mean M-site radius minus that of Zr4+, in units of 0.1 angstrom",
    "m_radius_spread": "standard deviation of the M-site radius, in units of 0.1 angstrom",
    "m_vacancy": "vacant M sites per O12, max(0, 2 - n_M)",
    "ordered_phosphate": "1 for Na3M2(PO4)3 with trivalent M; 0 beyond 0.1 Na, 0.1 Si or 10 % other charges",
}


@dataclass(frozen=True, kw_only=True)
class NominalComposition(MSONable):
    """A composition as printed, per O12, not necessarily neutral or with full sites.

    Attributes
    ----------
    formula : str
        Scaled to 12 O.
    na, x_si : float
        Na and Si per O12.
    m_site, t_site : dict of str to float
        Amounts per O12.
    oxidation_states : dict of str to float
    net_charge : float
        Elementary charges per O12.
    problems : tuple of str
        Rules of the NASICON formula it breaks, within the tolerance.
    """

    formula: str
    na: float
    x_si: float
    m_site: dict[str, float]
    t_site: dict[str, float]
    oxidation_states: dict[str, float]
    net_charge: float
    problems: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", tuple(self.problems))


def nominal_composition(obj: Any, *, oxidation_states: Mapping[str, Any] | None = None) -> NominalComposition:
    """Read a composition as a paper prints it; a small lack of charge or occupation is kept, and said.

    Where the usual charges leave a large net charge, one M-site element with other charges in
    ``oxidation_states.csv`` takes the mean charge that neutrality asks for (Ti3+ in Na3Ti2(PO4)3, half Fe2+ in
    Na4Fe2(PO4)3). Where M holds too much and T too little, Ge, Al, Ga and V (then V5+) fill T. Both are said in
    ``problems``.

    Parameters
    ----------
    obj : str, pymatgen Composition or Structure, ASE Atoms, NasiconComposition, or mapping
    oxidation_states : mapping of str to number, optional
        Formal charges that replace the table's.

    Raises
    ------
    ChargeBalanceError
        If the net charge is more than 0.25 per O12.
    CompositionError
        If it is no NASICON formula.
    """
    if isinstance(obj, NasiconComposition) and oxidation_states is None:
        oxidation_states = obj.oxidation_states
    balance = charge_balance(obj, oxidation_states=oxidation_states)
    if oxidation_states is None:
        balance = _with_other_charges(_with_tetrahedral_ions(balance))
    sites = {name: sum(amounts.values()) for name, amounts in balance.sites.items()}
    name = obj.strip() if isinstance(obj, str) else balance.formula
    if abs(balance.net_charge) > CHARGE_TOLERANCE:
        raise ChargeBalanceError(
            f"{name} has a net charge of {balance.net_charge:+.3g} per O12, so its phase means nothing; "
            f"check the formula or the oxidation states (neutral with Na {balance.na_needed:.4g} per O12)",
            balance.net_charge,
            balance.na_needed,
        )
    for site, full in (("M", 2.0), ("T", 3.0)):
        if abs(sites[site] - full) > SITE_TOLERANCE:
            raise CompositionError(
                f"{name} is no NASICON: its {site} site holds {sites[site]:.4g} per O12 instead of {full:g}"
            )
    if sites["Na"] > 4.0 + SITE_TOLERANCE:
        raise CompositionError(f"{name} is no NASICON: Na is {sites['Na']:.4g} per O12, at most 4 fit")
    return NominalComposition(
        formula=balance.formula,
        na=sites["Na"],
        x_si=balance.sites["T"].get("Si", 0.0),
        m_site=dict(balance.sites["M"]),
        t_site=dict(balance.sites["T"]),
        oxidation_states=dict(balance.oxidation_states),
        net_charge=balance.net_charge,
        problems=balance.problems,
    )


def _with_tetrahedral_ions(balance: ChargeBalance) -> ChargeBalance:
    """Move ions from an overfull M site to a T site that lacks them."""
    m_site, t_site = dict(balance.sites["M"]), dict(balance.sites["T"])
    net, states, said = balance.net_charge, dict(balance.oxidation_states), []
    for symbol, state in TETRAHEDRAL_CHARGE.items():
        spare = min(sum(m_site.values()) - 2.0, 3.0 - sum(t_site.values()), m_site.get(symbol, 0.0))
        if spare < 1e-6:
            continue
        held = m_site.pop(symbol) - spare
        if held > 1e-9:
            m_site[symbol] = held
        t_site[symbol] = t_site.get(symbol, 0.0) + spare
        net += spare * (state - states[symbol])
        if held <= 1e-9:
            states[symbol] = state
        said.append(f"{spare:.4g} {symbol} per O12 counted on the T site, which lacks them")
    if not said:
        return balance
    problems = [*said]
    if abs(net) > 1e-6:
        problems.append(f"the net charge is {net:+.3g} per O12")
    sites = {**balance.sites, "M": m_site, "T": t_site}
    na_needed = balance.na_needed - (net - balance.net_charge)
    return replace(
        balance,
        sites=sites,
        net_charge=net,
        neutral=abs(net) < 1e-9,
        oxidation_states=states,
        na_needed=na_needed,
        problems=tuple(problems),
    )


def _with_other_charges(balance: ChargeBalance) -> ChargeBalance:
    """Give one M-site element the mean charge that neutrality asks for, if it is known to take it."""
    if abs(balance.net_charge) <= CHARGE_TOLERANCE:
        return balance
    choices = []
    for symbol, others in _other_charges().items():
        amount = balance.sites["M"].get(symbol, 0.0)
        if amount < 1e-9:
            continue
        usual = balance.oxidation_states[symbol]
        wanted = usual - balance.net_charge / amount
        if min(usual, *others) - 1e-6 <= wanted <= max(usual, *others) + 1e-6:
            choices.append((abs(wanted - usual), symbol, round(wanted, 6)))
    if not choices:
        return balance
    _, symbol, state = min(choices)
    return replace(
        balance,
        oxidation_states={**balance.oxidation_states, symbol: state},
        net_charge=0.0,
        neutral=True,
        problems=(
            *(p for p in balance.problems if "charge" not in p),
            f"neutral with {symbol} at {state:+g}",
        ),
    )


@functools.cache
def _other_charges() -> dict[str, tuple[int, ...]]:
    """Less usual charges of M-site elements, from oxidation_states.csv."""
    rows = reference.read_rows("oxidation_states")
    return {
        row["element"]: tuple(int(v) for v in row["other_states"].split(";"))
        for row in rows
        if row["site"].strip() == "M" and row["other_states"].strip()
    }


def composition_features(composition: NominalComposition) -> dict[str, float]:
    """Return the features of :data:`FEATURES` of a composition, by name."""
    known = element_sites()
    total = sum(composition.m_site.values())
    fractions = {symbol: amount / total for symbol, amount in composition.m_site.items()}
    radii = {symbol: known[symbol].radius_ang or ZR_RADIUS_ANG for symbol in fractions}
    mean = sum(f * radii[s] for s, f in fractions.items())
    spread = math.sqrt(max(0.0, sum(f * (radii[s] - mean) ** 2 for s, f in fractions.items())))
    trivalent = sum(f for s, f in fractions.items() if composition.oxidation_states[s] == 3)
    p_fraction = composition.t_site.get("P", 0.0) / sum(composition.t_site.values())
    ordered = (
        max(0.0, 1.0 - abs(composition.na - 3.0) / 0.1)
        * max(0.0, 1.0 - 3.0 * (1.0 - p_fraction) / 0.1)
        * max(0.0, 1.0 - (1.0 - trivalent) / 0.1)
    )
    return {
        "constant": 1.0,
        "na_deficit": max(0.0, 3.0 - composition.na),
        "na_excess": max(0.0, composition.na - 3.0),
        "si_deficit": max(0.0, 2.0 - composition.x_si),
        "m_mixing": 1.0 - sum(f * f for f in fractions.values()),
        "m_divalent": sum(n for s, n in composition.m_site.items() if composition.oxidation_states[s] == 2),
        "m_radius_shift": (mean - ZR_RADIUS_ANG) / 0.1,
        "m_radius_spread": spread / 0.1,
        "m_vacancy": max(0.0, 2.0 - total),
        "ordered_phosphate": ordered,
    }


def element_features(composition: NominalComposition) -> dict[str, float]:
    """Return d / (d + 0.3) of each M-site element other than Zr, d being its amount per O12."""
    return {
        symbol: amount / (amount + ELEMENT_HALF_AMOUNT)
        for symbol, amount in composition.m_site.items()
        if symbol != "Zr" and amount > 0
    }


#: Step of Na, Si or one M- or T-site element (per O12) that counts as distance 1.
DISTANCE_STEP: Final = 0.2


def coordinates(composition: NominalComposition) -> dict[str, float]:
    """Return the coordinates of a composition: Na, Si and every other element but Zr and P, per O12."""
    others = composition.m_site | composition.t_site
    named = {symbol: amount for symbol, amount in others.items() if symbol not in ("Zr", "P", "Si")}
    return {"Na": composition.na, "Si": composition.x_si} | named


class CompositionSpace:
    """Many compositions as points, so that distances to all of them are one array operation.

    Parameters
    ----------
    compositions : sequence of NominalComposition
    """

    def __init__(self, compositions: Sequence[NominalComposition]) -> None:
        points = [coordinates(composition) for composition in compositions]
        self.names = sorted({name for point in points for name in point})
        self.points = np.array([[point.get(name, 0.0) for name in self.names] for point in points])

    def distances(self, composition: NominalComposition) -> NDArray[np.float64]:
        """Return the distance to each composition, shape ``(n,)``."""
        point = coordinates(composition)
        known = np.array([point.pop(name, 0.0) for name in self.names])
        square = ((self.points - known) ** 2).sum(axis=1) + sum(amount**2 for amount in point.values())
        return np.asarray(np.sqrt(square) / DISTANCE_STEP)


def composition_distance(first: NominalComposition, second: NominalComposition) -> float:
    """Return a distance between compositions: 1 for 0.2 Na, 0.2 Si, or 0.2 of one M- or T-site element."""
    return float(CompositionSpace([first]).distances(second)[0])

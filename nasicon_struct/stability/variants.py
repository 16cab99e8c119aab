"""Other windows of a compound: with a tolerance, and by the path that keeps its framework."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from monty.json import MSONable

from nasicon_struct.entries import amounts_of, formula_of
from nasicon_struct.errors import StabilityError
from nasicon_struct.stability.case import Case
from nasicon_struct.stability.inputs import finite_number
from nasicon_struct.stability.reactions import reaction


@dataclass(frozen=True, kw_only=True)
class ToleranceWindow(MSONable):
    """Range of voltage in which a compound lies at most a given energy above the open hull.

    Attributes
    ----------
    target, open_element, source : str
    tolerance_ev_per_atom : float
        Energy that a compound may be above the hull, eV per atom of target.
    reduction_v, oxidation_v : float or None
        Limits, V; None where the compound is never that near to the hull.
    is_assemblage : bool
        True where the set holds no energy of the target: the window is that of a compound exactly on the hull
        at this composition, a hypothetical one.
    """

    target: str
    open_element: str
    source: str
    tolerance_ev_per_atom: float
    reduction_v: float | None
    oxidation_v: float | None
    is_assemblage: bool


@dataclass(frozen=True, kw_only=True)
class TopotacticWindow(MSONable):
    """Window by insertion and extraction of the open element with the framework kept (indirect path).

    Attributes
    ----------
    target, open_element, source : str
    reduction_v, oxidation_v : float or None
        Voltages of the first insertion and extraction, V; None where no phase of the framework with more, or
        with less, of the element is known.
    reduction_reaction, oxidation_reaction : str or None
    framework : tuple of str
        Phases of the framework that were used.
    framework_assumed : bool
        Whether they were taken from the entries by composition alone, so that their structures may differ.
    metastable_ev_per_atom : float
        How far the target lies above the line between its neighbours in the framework, eV per atom of target;
        0 on it.
    """

    target: str
    open_element: str
    source: str
    reduction_v: float | None
    oxidation_v: float | None
    reduction_reaction: str | None
    oxidation_reaction: str | None
    framework: tuple[str, ...]
    framework_assumed: bool
    metastable_ev_per_atom: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "framework", tuple(self.framework))


def tolerance_window(
    target: Any,
    entries: Any = None,
    *,
    tolerance_ev_per_atom: float = 0.025,
    open_element: str = "Na",
    formation_energy_ev_per_atom: float | None = None,
    reservoirs: Any = None,
) -> ToleranceWindow:
    """Return the range of voltage in which a compound is within a tolerance of the open hull, exactly.

    The energy above the open hull is a convex, piecewise linear function of voltage; its crossings with the
    tolerance are found on its pieces.

    Parameters
    ----------
    target, entries, open_element, formation_energy_ev_per_atom, reservoirs
        As for :func:`stability_window`.
    tolerance_ev_per_atom : float, keyword-only
        eV per atom of target; 25 meV is about k T at room temperature.

    Returns
    -------
    ToleranceWindow

    Raises
    ------
    StabilityError
        If the tolerance is negative or not finite.
    """
    tolerance_ev_per_atom = finite_number(tolerance_ev_per_atom, "tolerance", "eV per atom")
    if tolerance_ev_per_atom < 0:
        raise StabilityError(f"the tolerance must be 0 or more eV/atom, got {tolerance_ev_per_atom}")
    case = Case(
        target,
        entries,
        open_element=open_element,
        formation_energy_ev_per_atom=formation_energy_ev_per_atom,
        reservoirs=reservoirs,
    )
    energy = case.hull_energy * case.n_atoms
    if case.energy is not None:
        energy = case.system.grand_energy(case.amounts, case.energy)
    limit = energy - tolerance_ev_per_atom * case.n_atoms
    low, high = -math.inf, 0.0
    # A row of the profile with energy G and exchange dn forbids mu where E - tolerance > G - mu dn.
    for plateau in case.profile():
        moved = float(plateau.exchanged.get(case.open_element, 0.0))
        pairs = zip(plateau.phases, plateau.units, strict=True)
        held = sum(float(u) * case.system.atoms_per_formula(i) * float(case.hull.e[i]) for i, u in pairs)
        if moved > 0:
            high = min(high, (held - limit) / moved)
        elif moved < 0:
            low = max(low, (held - limit) / moved)
        elif limit > held + 1e-9 * case.n_atoms:
            high = -math.inf
    found = high >= low - 1e-9 and math.isfinite(high)
    return ToleranceWindow(
        target=case.formula,
        open_element=case.open_element,
        source=case.entries.source,
        tolerance_ev_per_atom=tolerance_ev_per_atom,
        reduction_v=abs(high) / case.charge if found else None,
        oxidation_v=abs(low) / case.charge if found else None,
        is_assemblage=case.energy is None,
    )


def topotactic_window(
    target: Any,
    entries: Any = None,
    *,
    framework: Iterable[Any] | Mapping[str, float] | None = None,
    open_element: str = "Na",
    formation_energy_ev_per_atom: float | None = None,
) -> TopotacticWindow:
    """Return the voltages at which a compound takes up or gives up an element with its framework kept.

    Parameters
    ----------
    target, entries, open_element, formation_energy_ev_per_atom
        As for :func:`stability_window`; the target needs an energy.
    framework : iterable of formulas, or mapping of formula to formation energy (eV per atom), optional,
    keyword-only
        Phases of the same framework. By default every entry that holds the other elements in the target's
        ratio; whether they are of the same structure the entries do not say.

    Returns
    -------
    TopotacticWindow

    Raises
    ------
    StabilityError
        If the target has no energy, a framework phase has none, or differs in more than the open element.

    References
    ----------
    T. K. Schwietert et al., Nat. Mater. 19 (2020) 428: the indirect path through (de)lithiated phases.
    """
    case = Case(
        target, entries, open_element=open_element, formation_energy_ev_per_atom=formation_energy_ev_per_atom
    )
    open_element = case.open_element
    if case.energy is None:
        raise StabilityError(
            f"the entry set {case.entries.source!r} holds no energy of {case.formula}; give "
            "formation_energy_ev_per_atom"
        )
    points: dict[Fraction, tuple[float, str]] = {}
    for phase, energy in _framework(case, framework).items():
        amounts = amounts_of(phase)
        factor = _ratio(case.amounts, amounts, open_element)
        if factor is None:
            raise StabilityError(
                f"{phase} does not hold the elements other than {open_element} in the ratio of "
                f"{case.formula}; a phase of "
                "the same framework differs only in it"
            )
        held = amounts.get(open_element, Fraction(0)) * factor
        total = energy * float(sum(amounts.values()) * factor)
        if held not in points or total < points[held][0]:
            points[held] = (total, phase)
    own = case.amounts.get(open_element, Fraction(0))
    energy = case.energy * case.n_atoms
    above = _slopes(points, own, energy, +1)
    below = _slopes(points, own, energy, -1)
    strain = 0.0
    if above and below:
        (n_high, e_high), (n_low, e_low) = above[1:3], below[1:3]
        share = float((own - n_low) / (n_high - n_low))
        strain = max(0.0, energy - (e_low + share * (e_high - e_low))) / case.n_atoms
    return TopotacticWindow(
        target=case.formula,
        open_element=case.open_element,
        source=case.entries.source,
        reduction_v=above[0] / case.charge if above else None,
        oxidation_v=below[0] / case.charge if below else None,
        reduction_reaction=_write(case, above[1] - own, above[3]) if above else None,
        oxidation_reaction=_write(case, below[1] - own, below[3]) if below else None,
        framework=tuple(sorted(phase for _, phase in points.values())),
        framework_assumed=framework is None,
        metastable_ev_per_atom=strain,
    )


def _framework(case: Case, given: Iterable[Any] | Mapping[str, float] | None) -> dict[str, float]:
    """Return the phases of the framework and their formation energies, eV per atom."""
    if isinstance(given, Mapping):
        return {
            formula_of(phase): finite_number(energy, f"formation energy of {phase}", "eV per atom")
            for phase, energy in given.items()
        }
    if isinstance(given, str):
        given = [given]
    elif given is not None and not isinstance(given, Iterable):
        raise StabilityError(
            f"the framework must be a list of formulas or a mapping to energies, got {type(given).__name__}"
        )
    if given is None:
        names = [
            entry.formula
            for entry in case.system.entries
            if _ratio(case.amounts, entry.amounts, case.open_element) is not None
        ]
    else:
        names = [formula_of(phase) for phase in given]
    found = {}
    for name in names:
        energy = case.system.entries.formation_energy_ev_per_atom(name)
        if energy is None:
            raise StabilityError(
                f"the entry set {case.entries.source!r} holds no energy of the framework phase {name}; "
                "give framework as a mapping of formula to formation energy"
            )
        found[name] = energy
    return found


def _ratio(
    target: Mapping[str, Fraction], phase: Mapping[str, Fraction], open_element: str
) -> Fraction | None:
    """Return by what a phase's formula is multiplied to hold as much of the other elements as the target."""
    wanted = {symbol: amount for symbol, amount in target.items() if symbol != open_element}
    held = {symbol: amount for symbol, amount in phase.items() if symbol != open_element}
    if wanted.keys() != held.keys():
        return None
    factors = {wanted[symbol] / held[symbol] for symbol in wanted}
    return factors.pop() if len(factors) == 1 else None


def _slopes(
    points: Mapping[Fraction, tuple[float, str]], own: Fraction, energy: float, sign: int
) -> tuple[float, Fraction, float, str] | None:
    """Return the first voltage on one side (times the charge), with amount, energy and phase at its end."""
    found = []
    for held, (total, phase) in points.items():
        change = held - own
        if change * sign > 0:
            found.append((-(total - energy) / float(change), held, total, phase))
    if not found:
        return None
    return max(found) if sign > 0 else min(found)


def _write(case: Case, moved: Fraction, phase: str) -> str:
    factor = _ratio(case.amounts, amounts_of(phase), case.open_element)
    assert factor is not None
    left = [(Fraction(1), case.formula)]
    right = [(factor, phase)]
    (left if moved > 0 else right).append((abs(moved), case.open_element))
    return reaction(left, right)

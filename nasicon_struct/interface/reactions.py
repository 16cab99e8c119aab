"""Reactions of two materials in every ratio, closed or open to an element, exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct.entries import EntrySet, as_entry_set, formula_unit
from nasicon_struct.entries.checks import implausible_energies, missing_phases
from nasicon_struct.errors import StabilityError
from nasicon_struct.stability import simplex
from nasicon_struct.stability.case import SCALE_TOLERANCE_EV
from nasicon_struct.stability.inputs import ION_CHARGES, element_symbol, finite_number, ion_charge
from nasicon_struct.stability.profile import envelope
from nasicon_struct.stability.reactions import PhaseAmount, reaction, solve_exactly
from nasicon_struct.stability.reservoirs import Reservoir, as_reservoirs, supersaturated
from nasicon_struct.stability.result import as_tuples
from nasicon_struct.stability.system import System, molecular
from nasicon_struct.units import KJ_PER_MOL_PER_EV

_SUPPORT_TOLERANCE: Final = 1e-10
_ENERGY_NOISE_EV: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class InterfaceKink(MSONable):
    """A mixing ratio at which the products change.

    Attributes
    ----------
    fraction_b : float
        Share of the atoms that come from ``b``, 0 (pure ``a``) to 1 (pure ``b``).
    ratio_b : float
        Formula units of ``b`` per formula unit of ``a``; inf for pure ``b``.
    energy_ev_per_atom : float
        Reaction energy from the two materials as they are, eV per atom of both; 0 or less unless a material
        lies below the hull of the phases (which cannot be).
    energy_kj_per_mol : float
        The same per mole of formula units of ``a`` plus the ``ratio_b`` of ``b``; for pure ``b`` per mole of
        ``b``.
    mutual_energy_ev_per_atom : float
        The part that needs both materials: beyond what each gives off by decomposing alone, eV per atom.
    reaction : str
        Balanced reaction.
    products : tuple of PhaseAmount
        Per formula unit of ``a`` (of ``b`` for pure ``b``).
    exchanged : dict of str to float
        Atoms taken up from outside, by element; negative where given up.
    """

    fraction_b: float
    ratio_b: float
    energy_ev_per_atom: float
    energy_kj_per_mol: float
    mutual_energy_ev_per_atom: float
    reaction: str
    products: tuple[PhaseAmount, ...]
    exchanged: dict[str, float]

    def __post_init__(self) -> None:
        as_tuples(self, products=PhaseAmount)


@dataclass(frozen=True, kw_only=True)
class InterfaceReactions(MSONable):
    """What two materials form with each other.

    Attributes
    ----------
    a, b : str
        Formulas.
    source, level : str
    voltage_v : float or None
        Voltage against the open element's metal; None for a closed interface.
    open_element : str
    reservoirs : tuple of str
        Further elements held, and by what.
    e_above_hull_a_ev_per_atom, e_above_hull_b_ev_per_atom : float or None
        Energies of the materials above the (open) hull, eV per atom; None where the entries hold no energy of
        the material, which is then taken to lie on the closed hull.
    kinks : tuple of InterfaceKink
        From pure ``a`` to pure ``b``.
    missing : tuple of str
        Known phases that the entries lack.
    notes : tuple of str
    """

    a: str
    b: str
    source: str
    level: str
    voltage_v: float | None
    open_element: str
    reservoirs: tuple[str, ...]
    e_above_hull_a_ev_per_atom: float | None
    e_above_hull_b_ev_per_atom: float | None
    kinks: tuple[InterfaceKink, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        as_tuples(self, kinks=InterfaceKink, reservoirs=None, missing=None, notes=None)

    @property
    def strongest(self) -> InterfaceKink:
        """The kink of lowest reaction energy per atom; in between the energy is linear in ``fraction_b``."""
        return min(self.kinks, key=lambda kink: (round(kink.energy_ev_per_atom, 12), kink.fraction_b))

    @property
    def strongest_mutual(self) -> InterfaceKink:
        """The kink at which the two materials together give off most beyond what each gives off alone."""
        return min(self.kinks, key=lambda kink: (round(kink.mutual_energy_ev_per_atom, 12), kink.fraction_b))

    @property
    def mutual_driving_force_ev_per_atom(self) -> float:
        """Largest energy that needs both materials, eV per atom, as a positive number."""
        return -self.strongest_mutual.mutual_energy_ev_per_atom + 0.0

    @property
    def driving_force_ev_per_atom(self) -> float:
        """Largest energy the interface can give off, eV per atom, as a positive number."""
        return -self.strongest.energy_ev_per_atom + 0.0

    @property
    def is_stable(self) -> bool | None:
        """Whether no ratio reacts; None where none does but a material's own energy is not known."""
        if self.driving_force_ev_per_atom >= 1e-8:
            return False
        unknown = None in (self.e_above_hull_a_ev_per_atom, self.e_above_hull_b_ev_per_atom)
        return None if unknown else True


class Pair:
    """Two materials in their common chemical system."""

    def __init__(
        self,
        a: Any,
        b: Any,
        entries: Any,
        *,
        voltage_v: float | None,
        open_element: str,
        reservoirs: Any,
        formation_energy_a_ev_per_atom: float | None = None,
        formation_energy_b_ev_per_atom: float | None = None,
        include: tuple[str, ...] = (),
    ) -> None:
        held = list(as_reservoirs(reservoirs))
        self.described = tuple(item.description for item in held)
        if voltage_v is not None:
            held.append(electrode_reservoir(voltage_v, open_element, held))
        units = (formula_unit(a), formula_unit(b))
        self.formulas = (units[0][0], units[1][0])
        self.amounts = (units[0][1], units[1][1])
        elements = {*self.amounts[0], *self.amounts[1], *(item.element for item in held), *include}
        self.entries: EntrySet = as_entry_set(entries, system=elements, open_element=None)
        self.atoms = tuple(float(sum(amounts.values())) for amounts in self.amounts)
        given = (formation_energy_a_ev_per_atom, formation_energy_b_ev_per_atom)
        extra = []
        for k in (0, 1):
            if given[k] is not None:
                self._check_energy(k, given[k], elements)
                extra.append((self.formulas[k], self.amounts[k], float(given[k] or 0.0)))
        self.system = self._make_system(elements, held, extra)
        self.vectors = tuple(self.system.vector(amounts) for amounts in self.amounts)
        for formula, vector in zip(self.formulas, self.vectors, strict=True):
            if vector.sum() <= 0:
                raise StabilityError(
                    f"{formula} holds nothing but elements that are exchanged or held by a reservoir; leave "
                    "the voltage or the reservoir out to let it react as a material"
                )
        first, second = (vector / vector.sum() for vector in self.vectors)
        if np.allclose(first, second, rtol=0.0, atol=1e-12):
            raise StabilityError(
                f"{self.formulas[0]} and {self.formulas[1]} are the same composition apart from exchanged "
                "elements; "
                "an interface needs two"
            )
        self.known, self.grand = self._energies(given)
        #: Hull energies of the two materials, eV per formula unit.
        self.alone = self.system.hull.energies(np.array(self.vectors)).tolist()

    def _make_system(self, elements: set[str], held: list[Reservoir], extra: list[Any]) -> System:
        if extra:
            return System(self.entries, elements, reservoirs=held, extra=extra)
        memo = self.entries.memo("system")
        key = (frozenset(elements), tuple((item.element, item.mu_relative_ev) for item in held))
        if key not in memo:
            memo[key] = System(self.entries, elements, reservoirs=held)
        return memo[key]

    def _check_energy(self, k: int, given: Any, elements: set[str]) -> None:
        """Refuse an energy of a material that is on another scale than the entries."""
        energy = finite_number(given, f"formation energy of {self.formulas[k]}", "eV per atom")
        closed = self._make_system(elements, [], [])
        vector = closed.vector(self.amounts[k])
        gap = energy - float(closed.hull.energies(vector[None, :])[0]) / self.atoms[k]
        if abs(gap) > SCALE_TOLERANCE_EV:
            raise StabilityError(
                f"the energy given for {self.formulas[k]} lies {gap:+.2f} eV/atom from the hull: it is on another "
                "scale; give a formation energy at the level of the entries"
            )

    def _energies(self, given: tuple[float | None, float | None]) -> tuple[list[bool], list[float]]:
        """Return whether each material's energy is known, and its grand potential, eV per formula unit."""
        known, grand = [], []
        for k in (0, 1):
            energy = given[k]
            if energy is None:
                energy = self.system.entries.formation_energy_ev_per_atom(self.amounts[k])
            known.append(energy is not None)
            if energy is None:
                closed = self._make_system(set(self.amounts[k]), [], [])
                vector = closed.vector(self.amounts[k])
                energy = float(closed.hull.energies(vector[None, :])[0]) / self.atoms[k]
            grand.append(self.system.grand_energy(self.amounts[k], energy))
        return known, grand


def electrode_reservoir(voltage_v: float, open_element: str, held: list[Reservoir]) -> Reservoir:
    """Return the open element as held by an electrode at a voltage, beside other reservoirs."""
    open_element = element_symbol(open_element)
    charge = ion_charge(open_element)
    if finite_number(voltage_v, "voltage", "V") < 0:
        raise StabilityError(
            f"the voltage must be 0 or more V, got {voltage_v}; below 0 V metal plates without limit"
        )
    if any(item.element == open_element for item in held):
        raise StabilityError(f"{open_element} is given twice, by the voltage and by a reservoir; give one")
    return Reservoir(
        element=open_element,
        mu_relative_ev=-charge * float(voltage_v),
        description=f"{open_element} at {voltage_v:g} V",
    )


def interface_reactions(
    a: Any,
    b: Any,
    entries: Any = None,
    *,
    voltage_v: float | None = None,
    open_element: str = "Na",
    reservoirs: Any = None,
    formation_energy_a_ev_per_atom: float | None = None,
    formation_energy_b_ev_per_atom: float | None = None,
) -> InterfaceReactions:
    """Return the reactions of two materials in every mixing ratio.

    Parameters
    ----------
    a, b : str or composition-like
        For example an electrolyte and an electrode.
    entries : anything that :func:`nasicon_struct.as_entry_set` takes
    voltage_v : float, optional, keyword-only
        Voltage at which the open element is exchanged with outside, V against its metal; None for a closed
        interface (contact with the metal itself: give it as ``b``).
    open_element : str, keyword-only
    reservoirs : Reservoir or sequence of Reservoir, optional, keyword-only
    formation_energy_a_ev_per_atom, formation_energy_b_ev_per_atom : float, optional, keyword-only
        Formation energies of the materials, eV per atom, where the entries lack them.

    Returns
    -------
    InterfaceReactions
        The kinks come from the facets of the hull along the mixing line, not from a grid.

    Raises
    ------
    CompositionError, EntriesError, StabilityError
        If a material cannot be read, the entries do not cover it, or there is nothing to mix.

    References
    ----------
    W. D. Richards, L. J. Miara, Y. Wang, J. C. Kim, G. Ceder, Chem. Mater. 28 (2016) 266; Y. Zhu, X. He, Y.
    Mo, J. Mater. Chem. A 4 (2016) 3253.
    """
    open_element = element_symbol(open_element)
    pair = Pair(
        a,
        b,
        entries,
        voltage_v=voltage_v,
        open_element=open_element,
        reservoirs=reservoirs,
        formation_energy_a_ev_per_atom=formation_energy_a_ev_per_atom,
        formation_energy_b_ev_per_atom=formation_energy_b_ev_per_atom,
    )
    above = [(pair.grand[k] - pair.alone[k]) / pair.atoms[k] if pair.known[k] else None for k in (0, 1)]
    above = [None if gap is None else (0.0 if abs(gap) < 1e-8 else gap) for gap in above]
    return InterfaceReactions(
        a=pair.formulas[0],
        b=pair.formulas[1],
        source=pair.entries.source,
        level=pair.entries.level,
        voltage_v=voltage_v,
        open_element=open_element,
        reservoirs=pair.described,
        e_above_hull_a_ev_per_atom=above[0],
        e_above_hull_b_ev_per_atom=above[1],
        kinks=tuple(_kinks(pair)),
        missing=missing_phases(pair.system.entries),
        notes=tuple(_notes(pair)),
    )


def _notes(pair: Pair) -> list[str]:
    notes = [
        f"the entries hold no energy of {formula}; it is taken to lie on the closed hull, so its reactions "
        "are the least "
        "that can happen"
        for formula, known in zip(pair.formulas, pair.known, strict=True)
        if not known
    ]
    notes += supersaturated(pair.system.reservoirs)
    odd = implausible_energies(pair.system.entries)
    if odd:
        notes.append(f"formation energies out of all bounds (eV/atom), check them: {', '.join(odd)}")
    if pair.system.entries.excluded:
        notes.append(f"kept out of the hull, by flag: {pair.system.entries.excluded_names}")
    return notes


def _kinks(pair: Pair) -> list[InterfaceKink]:
    """Return the kinks along a + t b, then pure b."""
    first, second = pair.vectors
    hull = pair.system.hull
    _, starts = envelope(hull, first, second)
    points = np.vstack([first + starts[:, None] * second, second])
    solved = simplex.solve(hull.x, hull.e, points, hull.elements_at)
    kinks = []
    for k, t in enumerate([*starts.tolist(), math.inf]):
        kinks.append(_kink(pair, t, solved.basis[k], solved.amounts[k]))
    return kinks


def _kink(pair: Pair, t: float, basis: np.ndarray, atoms: np.ndarray) -> InterfaceKink:
    system = pair.system
    a, b = pair.amounts
    pure_b = math.isinf(t)
    ratio, phases, units = _balance(pair, t, basis, atoms)
    n_a, n_b = (0.0, pair.atoms[1]) if pure_b else (pair.atoms[0], float(ratio) * pair.atoms[1])
    mixture = _mixture(a, b, ratio, pure_b)
    products = sum(
        float(u) * system.atoms_per_formula(i) * float(system.hull.e[i])
        for i, u in zip(phases, units, strict=True)
    )
    share_a, share_b = (0.0, 1.0) if pure_b else (1.0, float(ratio))
    reactants = share_a * pair.grand[0] + share_b * pair.grand[1]
    alone = share_a * pair.alone[0] + share_b * pair.alone[1]
    energy = (products - reactants) / (n_a + n_b)
    mutual = (products - alone) / (n_a + n_b)
    exchanged = system.balance(phases, units, mixture, () if isinstance(ratio, Fraction) or pure_b else None)
    return InterfaceKink(
        fraction_b=n_b / (n_a + n_b),
        ratio_b=math.inf if pure_b else float(ratio),
        energy_ev_per_atom=0.0 if abs(energy) < _ENERGY_NOISE_EV else energy,
        energy_kj_per_mol=0.0 if abs(energy) < _ENERGY_NOISE_EV else energy * (n_a + n_b) * KJ_PER_MOL_PER_EV,
        mutual_energy_ev_per_atom=0.0 if abs(mutual) < _ENERGY_NOISE_EV else mutual,
        reaction=_write(pair, ratio, pure_b, phases, units, exchanged),
        products=system.phase_amounts(phases, units),
        exchanged={symbol: float(value) for symbol, value in exchanged.items()},
    )


def _mixture(
    a: Mapping[str, Fraction], b: Mapping[str, Fraction], ratio: Fraction | float, pure_b: bool
) -> dict[str, Any]:
    if pure_b:
        return dict(b)
    mixture: dict[str, Any] = dict(a)
    for symbol, amount in b.items():
        part = amount * ratio if isinstance(ratio, Fraction) else float(amount) * ratio
        mixture[symbol] = mixture.get(symbol, Fraction(0)) + part
    return mixture


def _balance(
    pair: Pair, t: float, basis: np.ndarray, atoms: np.ndarray
) -> tuple[Fraction | float, list[int], list[Fraction | float]]:
    """Return ratio, phases and formula units of a kink, exact where the balance allows it."""
    system = pair.system
    a, b = pair.amounts
    if math.isinf(t) or t == 0.0:
        phases, units = system.formula_units(basis, atoms, b if math.isinf(t) else a)
        return (math.inf if math.isinf(t) else Fraction(0)), phases, units
    present = atoms > _SUPPORT_TOLERANCE * atoms.sum()
    pairs = sorted(
        zip(basis[present].tolist(), atoms[present].tolist(), strict=True),
        key=lambda p: system.hull.labels[p[0]],
    )
    held = [item.element for item in system.reservoirs]
    negative = {symbol: -amount for symbol, amount in b.items()}
    exact = solve_exactly([*(system.exact[i] for i, _ in pairs), negative], a, held)
    if (
        exact is not None
        and all(value >= 0 for value in exact)
        and abs(float(exact[-1]) - t) < 1e-6 * max(1.0, t)
    ):
        kept = [(i, value) for (i, _), value in zip(pairs, exact[:-1], strict=True) if value]
        return exact[-1], [i for i, _ in kept], [value for _, value in kept]
    return t, [i for i, _ in pairs], [value / system.atoms_per_formula(i) for i, value in pairs]


def _write(
    pair: Pair,
    ratio: Fraction | float,
    pure_b: bool,
    phases: list[int],
    units: list[Fraction | float],
    exchanged: Mapping[str, Fraction | float],
) -> str:
    left: list[tuple[Fraction | float, str]] = []
    if not pure_b:
        left.append((Fraction(1), pair.formulas[0]))
    if pure_b or ratio:
        left.append((Fraction(1) if pure_b else ratio, pair.formulas[1]))
    right: list[tuple[Fraction | float, str]] = [
        (unit, pair.system.hull.labels[i]) for i, unit in zip(phases, units, strict=True)
    ]
    for symbol in sorted(exchanged):
        value = exchanged[symbol]
        size = value if value > 0 else -value
        (left if value > 0 else right).append(
            (size, symbol) if symbol in ION_CHARGES else molecular(symbol, size)
        )
    return reaction(left, right)

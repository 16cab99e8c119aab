"""One target in its chemical system: what all questions about it share."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from nasicon_struct.entries import EntrySet, amounts_of, as_entry_set, formula_unit
from nasicon_struct.errors import StabilityError
from nasicon_struct.stability import simplex
from nasicon_struct.stability.inputs import element_symbol, finite_number, ion_charge
from nasicon_struct.stability.profile import SLOPE_TOLERANCE_EV, Plateau, plateaus
from nasicon_struct.stability.reactions import reaction
from nasicon_struct.stability.reservoirs import Reservoir, as_reservoirs
from nasicon_struct.stability.system import System, molecular

#: A target this little above the hull, eV per atom, is on it.
STABLE_TOLERANCE_EV: Final = 1e-8
#: An energy of the target this far below or above the hull, eV per atom, is on another scale.
SCALE_TOLERANCE_EV: Final = 1.0


class Case:
    """A composition, its energy, the phases around it, and the element it exchanges.

    Parameters
    ----------
    target : composition-like or pymatgen entry
    entries : anything that :func:`as_entry_set` takes
    open_element : str, keyword-only
    formation_energy_ev_per_atom : float, optional, keyword-only
        Formation energy of the target, eV per atom.
    reservoirs : Reservoir or sequence of Reservoir, optional, keyword-only

    Attributes
    ----------
    formula : str
    amounts : dict of str to Fraction
    n_atoms : float
    system : System
    vector : ndarray
        Amounts of the free elements.
    energy : float or None
        Formation energy, eV per atom; None where it is not known.
    hull_energy : float
        Formation energy of the hull at the composition, eV per atom; with reservoirs the grand potential.
    """

    def __init__(
        self,
        target: Any,
        entries: Any,
        *,
        open_element: str,
        formation_energy_ev_per_atom: float | None = None,
        reservoirs: Any = None,
    ) -> None:
        self.open_element = open_element = element_symbol(open_element)
        self.reservoirs: tuple[Reservoir, ...] = as_reservoirs(reservoirs)
        self.formula, self.amounts = formula_unit(target)
        held = {item.element for item in self.reservoirs}
        if open_element in held:
            raise StabilityError(
                f"{open_element} cannot be exchanged and held by a reservoir at once; drop its reservoir"
            )
        if set(self.amounts) <= held | {open_element}:
            raise StabilityError(
                f"{self.formula} holds nothing but exchanged elements; give a compound of others"
            )
        elements = {*self.amounts, open_element, *held}
        self.entries: EntrySet = as_entry_set(entries, system=elements, open_element=open_element)
        self.n_atoms = float(sum(self.amounts.values()))
        self.given_energy = self._read_energy(target, formation_energy_ev_per_atom)
        self.system = self._make_system(elements)
        self.hull = self.system.hull
        self.column = self.system.column(open_element)
        self.vector = self.system.vector(self.amounts)
        found = self.system.entries.formation_energy_ev_per_atom(self.amounts)
        self.energy = found if self.given_energy is None else self.given_energy
        self.hull_energy = float(self.hull.energies(self.vector[None, :])[0]) / self.n_atoms
        self.index = self.system.find(self.vector)
        self._check_scale()

    def _make_system(self, elements: set[str]) -> System:
        if self.given_energy is not None:
            extra = [(self.formula, self.amounts, self.given_energy)]
            return System(self.entries, elements, reservoirs=self.reservoirs, extra=extra)
        memo = self.entries.memo("system")
        key = (frozenset(elements), tuple((item.element, item.mu_relative_ev) for item in self.reservoirs))
        if key not in memo:
            memo[key] = System(self.entries, elements, reservoirs=self.reservoirs)
        return memo[key]

    def _read_energy(self, target: Any, given: float | None) -> float | None:
        if given is not None:
            number = finite_number(given, "formation energy", "eV per atom")
            if number < 0 and len(self.amounts) == 1:
                raise StabilityError(
                    f"the formation energy of the element {self.formula} is {number:g} eV/atom, but an element's "
                    "lowest phase is at 0 by definition; give 0 or more"
                )
            return number
        energy = getattr(target, "energy", None)
        if energy is None or not hasattr(target, "composition"):
            return None
        references = self.entries.reference_ev_per_atom
        missing = [symbol for symbol in self.amounts if symbol not in references]
        if missing:
            raise StabilityError(
                f"the entries hold no element {missing[0]}; add it as reference of {self.formula}"
            )
        cell = amounts_of(target)
        offset = sum(float(amount) * references[symbol] for symbol, amount in cell.items())
        return (finite_number(energy, "energy of the target", "eV") - offset) / float(sum(cell.values()))

    def _check_scale(self) -> None:
        if self.given_energy is None:
            return
        gap = self.given_energy - self.energy_without_target()
        if abs(gap) > SCALE_TOLERANCE_EV and not self.reservoirs:
            raise StabilityError(
                f"the energy given for {self.formula} lies {gap:+.2f} eV/atom from the hull of the other "
                "phases: it "
                "is on another scale; give a formation energy at the level of the entry set"
            )

    # ---- energies

    @functools.cached_property
    def own_grand_energy(self) -> float:
        """Grand potential of the target, eV per formula unit."""
        assert self.energy is not None
        return self.system.grand_energy(self.amounts, self.energy)

    @functools.cached_property
    def e_above_hull(self) -> float | None:
        """Energy above the hull, eV per atom; None without an energy of the target."""
        if self.energy is None:
            return None
        gap = self.own_grand_energy / self.n_atoms - self.hull_energy
        return 0.0 if abs(gap) < STABLE_TOLERANCE_EV else gap

    @property
    def is_stable(self) -> bool | None:
        """Whether the target is on the hull; None without an energy of it."""
        above = self.e_above_hull
        return None if above is None else above == 0.0

    def energy_without_target(self) -> float:
        """Return the hull energy at the target's composition from all other compositions, eV per atom."""
        energies = self.hull.e.copy()
        if self.index is not None:
            if self.index in self.hull.elements_at:
                return self.hull_energy
            energies[self.index] = 1e3
        solved = simplex.solve(self.hull.x, energies, self.vector, self.hull.elements_at)
        return float(solved.energies_ev[0]) / self.n_atoms

    # ---- assemblages

    def own_units(self) -> tuple[list[int], list[Fraction | float]]:
        """Return the target as an assemblage of itself."""
        assert self.index is not None
        units = sum(self.amounts.values(), Fraction(0)) / sum(
            self.system.exact[self.index].values(), Fraction(0)
        )
        return [self.index], [units]

    def decomposition(self) -> tuple[list[int], list[Fraction | float]]:
        """Return the equilibrium assemblage of the composition: phases and formula units."""
        if self.is_stable and self.index is not None:
            return self.own_units()
        return self.system.assemblage(self.amounts)

    def write(
        self,
        phases: Sequence[int],
        units: Sequence[Fraction | float],
        exchanged: Mapping[str, Fraction | float],
        *,
        is_target: bool = False,
    ) -> str:
        """Write the balanced reaction from one formula unit of the target to an assemblage."""
        left: list[tuple[Fraction | float, str]] = [(Fraction(1), self.formula)]
        right: list[tuple[Fraction | float, str]] = [
            (unit, self.hull.labels[i]) for i, unit in zip(phases, units, strict=True)
        ]
        if is_target:
            right = [(Fraction(1), self.formula)]
        for symbol in sorted(exchanged, key=lambda s: (s == self.open_element, s)):
            value = exchanged[symbol]
            size = value if value > 0 else -value
            side = left if value > 0 else right
            side.append((size, symbol) if symbol == self.open_element else molecular(symbol, size))
        return reaction(left, right)

    def profile(self) -> list[Plateau]:
        """Return the rows of the profile, from high to low potential of the open element.

        Many facets share the potential of one plateau up to the last bits; where a row ends at a limit of the
        composition, it ends at the same number that :meth:`limits_ev` gives.
        """
        low, high = self.limits_ev()
        rows = plateaus(self.system, self.amounts, self.open_element)
        return [
            replace(row, mu_high_ev=_as(row.mu_high_ev, low, high), mu_low_ev=_as(row.mu_low_ev, low, high))
            for row in rows
        ]

    def limits_ev(self) -> tuple[float, float]:
        """Return the range of the open element's potential in which the assemblage exchanges nothing, eV."""
        return self._limits_ev

    @functools.cached_property
    def _limits_ev(self) -> tuple[float, float]:
        low, high = self.hull.slopes(self.vector[None, :], self.column)
        return float(low[0]), min(0.0, float(high[0]))

    @functools.cached_property
    def molar_mass(self) -> float:
        """Molar mass of the target, g/mol."""
        from pymatgen.core.periodic_table import Element

        return sum(float(Element(symbol).atomic_mass) * float(n) for symbol, n in self.amounts.items())

    @property
    def charge(self) -> int:
        """Charge of the open element's ion.

        Raises
        ------
        StabilityError
            If the element is no ion that a cell exchanges.
        """
        return ion_charge(self.open_element)

    def limits_v(self) -> tuple[float, float]:
        """Return the range of voltage in which the assemblage exchanges nothing, V: reduction, oxidation."""
        low, high = self.limits_ev()
        return abs(high) / self.charge, abs(low) / self.charge


def _as(potential: float, *limits: float) -> float:
    """Return the limit that a potential is up to the noise of the arithmetic, else the potential."""
    near = (limit for limit in limits if abs(potential - limit) < SLOPE_TOLERANCE_EV)
    return next(near, potential)

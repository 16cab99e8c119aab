"""A chemical system ready for questions: phases, hull, reservoirs, exact formulas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from nasicon_struct.entries import EntrySet, amounts_of
from nasicon_struct.errors import StabilityError
from nasicon_struct.formula import parse_formula
from nasicon_struct.stability import simplex
from nasicon_struct.stability.faces import dot_in_order
from nasicon_struct.stability.hull import Hull
from nasicon_struct.stability.reactions import PhaseAmount, solve_exactly
from nasicon_struct.stability.reservoirs import Reservoir

_MOLECULES: Final = {"H": "H2", "N": "N2", "O": "O2", "F": "F2", "Cl": "Cl2", "Br": "Br2", "I": "I2"}
#: Phases that make up less than this share of the atoms are not there.
_SUPPORT_TOLERANCE: Final = 1e-10


def display_formula(formula: str, amounts: Mapping[str, Fraction]) -> str:
    """Return the formula as chemists write it: O2 and its like for molecular elements."""
    if len(amounts) == 1:
        (symbol,) = amounts
        return _MOLECULES.get(symbol, symbol)
    return formula


class System:
    """Phases of a chemical system with some elements held by reservoirs.

    Energies are formation energies; with reservoirs they are grand potentials ``e - sum n mu`` over the held
    elements, per atom of the other elements, which are the coordinates of the hull.

    Parameters
    ----------
    entries : EntrySet
        Phases; only those within ``elements`` count.
    elements : iterable of str
        Elements of the system, the held ones included.
    reservoirs : sequence of Reservoir
        Held elements.
    extra : sequence of (formula, amounts, energy), optional
        More phases: formation energies in eV per atom.

    Attributes
    ----------
    elements : tuple of str
        All elements.
    free : tuple of str
        Elements that are not held: the columns of the hull.
    hull : Hull
    exact : list of dict
        Exact amounts per formula unit of each phase of the hull, all elements.
    """

    def __init__(
        self,
        entries: EntrySet,
        elements: Iterable[str],
        *,
        reservoirs: Sequence[Reservoir] = (),
        extra: Sequence[tuple[str, Mapping[str, Fraction], float]] = (),
    ) -> None:
        wanted = set(elements) | {item.element for item in reservoirs}
        self.entries = entries.subset(wanted)
        self.elements = self.entries.elements
        self.reservoirs = tuple(reservoirs)
        held = {item.element: item.mu_relative_ev for item in reservoirs}
        self.free = tuple(symbol for symbol in self.elements if symbol not in held)
        if not self.free:
            raise StabilityError("every element is held by a reservoir; leave at least one free")
        self._columns = np.array([self.elements.index(symbol) for symbol in self.free])
        self._mu = np.array([held.get(symbol, 0.0) for symbol in self.elements])
        fractions = self.entries.fractions
        energies = self.entries.formation_energies_ev_per_atom
        labels = [display_formula(entry.formula, entry.amounts) for entry in self.entries]
        if extra:
            rows = [[float(amounts.get(s, 0)) for s in self.elements] for _, amounts, _ in extra]
            added = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
            fractions = np.vstack([fractions, added])
            energies = np.append(energies, [energy for _, _, energy in extra])
            labels += [formula for formula, _, _ in extra]
        share, reduced, grand = self._grand(fractions, energies)
        if held:
            self._check_reservoirs(share, grand, labels)
        kept = np.flatnonzero(share > 0)
        self.hull = Hull(self.free, reduced[kept], grand[kept], [labels[i] for i in kept])
        self.origin = kept[self.hull.origin]
        self.exact = [amounts_of(label) for label in self.hull.labels]
        self._counted: dict[int, tuple[float, float]] = {}

    def _grand(
        self, fractions: np.ndarray, energies: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the share of free atoms, fractions and grand potentials per free atom."""
        if not self.reservoirs:
            return np.ones(len(fractions)), fractions, energies
        # Added in a fixed order: a matrix product rounds differently with the position of a row.
        grand = energies - dot_in_order(fractions, self._mu[None, :])
        part = fractions[:, self._columns]
        share = part.sum(axis=1)
        share[share < 1e-12] = 0.0
        safe = np.where(share > 0, share, 1.0)
        return share, part / safe[:, None], np.where(share > 0, grand / safe, grand)

    def _check_reservoirs(self, share: np.ndarray, grand: np.ndarray, labels: Sequence[str]) -> None:
        """Refuse reservoirs that would react with each other."""
        inside = np.flatnonzero(share <= 0)
        worst = inside[np.argmin(grand[inside])] if len(inside) else None
        if worst is not None and grand[worst] < -1e-9 and len(parse_formula(labels[worst])) > 1:
            names = ", ".join(item.description for item in self.reservoirs)
            raise StabilityError(
                f"the reservoirs ({names}) are not in equilibrium with each other: they would form "
                f"{labels[worst]}; "
                "lower one of their chemical potentials"
            )

    # ---- compositions

    def vector(self, amounts: Mapping[str, Any]) -> np.ndarray:
        """Return the amounts of the free elements."""
        return np.array([float(amounts.get(symbol, 0)) for symbol in self.free])

    def column(self, symbol: str) -> int:
        """Return the column of a free element."""
        if symbol not in self.free:
            raise StabilityError(f"{symbol} is held by a reservoir or not in the system; leave it free")
        return self.free.index(symbol)

    def grand_energy(self, amounts: Mapping[str, Any], formation_ev_per_atom: float) -> float:
        """Return the grand potential of a phase, eV per unit of ``amounts``."""
        total = float(sum(amounts.values()))
        held = sum(float(amounts.get(item.element, 0)) * item.mu_relative_ev for item in self.reservoirs)
        return formation_ev_per_atom * total - held

    def find(self, vector: np.ndarray) -> int | None:
        """Return the phase of the hull with a composition, or None."""
        same = np.flatnonzero(np.abs(self.hull.x - vector / vector.sum()).max(axis=1) < 1e-9)
        return int(same[0]) if len(same) else None

    def atoms_per_formula(self, index: int) -> float:
        """Return the free atoms per formula unit of a phase."""
        return self._atoms(index)[0]

    def _atoms(self, index: int) -> tuple[float, float]:
        """Return the free atoms and all atoms per formula unit of a phase."""
        if index not in self._counted:
            exact = self.exact[index]
            free = float(sum(exact.get(symbol, 0) for symbol in self.free))
            self._counted[index] = (free, float(sum(exact.values())))
        return self._counted[index]

    def assemblage(self, amounts: Mapping[str, Fraction]) -> tuple[list[int], list[Fraction | float]]:
        """Return the equilibrium phases of a composition and their formula units, sorted by name."""
        vector = self.vector(amounts)
        solved = simplex.solve(self.hull.x, self.hull.e, vector, self.hull.elements_at)
        return self.formula_units(solved.basis[0], solved.amounts[0], amounts)

    def formula_units(
        self,
        basis: np.ndarray,
        atoms: np.ndarray,
        amounts: Mapping[str, Fraction],
        exchanged: Iterable[str] = (),
    ) -> tuple[list[int], list[Fraction | float]]:
        """Turn a basis into present phases and formula units, exact where the balance allows it.

        Parameters
        ----------
        basis : ndarray of int
        atoms : ndarray
            Free atoms in each phase.
        amounts : mapping of element to Fraction
            The composition.
        exchanged : iterable of str
            Elements whose amount is not fixed by the composition (besides the held ones).
        """
        present = atoms > _SUPPORT_TOLERANCE * atoms.sum()
        pairs = sorted(
            zip(basis[present].tolist(), atoms[present].tolist(), strict=True),
            key=lambda pair: self.hull.labels[pair[0]],
        )
        open_elements = {*exchanged, *(item.element for item in self.reservoirs)}
        exact = solve_exactly([self.exact[i] for i, _ in pairs], amounts, open_elements)
        if exact is not None and all(amount >= 0 for amount in exact):
            kept = [(i, amount) for (i, _), amount in zip(pairs, exact, strict=True) if amount]
            return [i for i, _ in kept], [amount for _, amount in kept]
        return [i for i, _ in pairs], [held / self.atoms_per_formula(i) for i, held in pairs]

    def balance(
        self,
        phases: Sequence[int],
        units: Sequence[Fraction | float],
        amounts: Mapping[str, Fraction],
        exchanged: Iterable[str] | None = None,
    ) -> dict[str, Fraction | float]:
        """Return how much more of each element the phases hold than the composition; only non-zero ones.

        ``exchanged`` names what may differ besides the held elements, as for :meth:`formula_units`: exact
        units balance all others, which are then not counted again. With None all are counted.
        """
        wanted: Iterable[str] = amounts.keys() | {s for i in phases for s in self.exact[i]}
        if exchanged is not None and all(isinstance(unit, Fraction) for unit in units):
            wanted = {*exchanged, *(item.element for item in self.reservoirs)}
        total = float(sum(amounts.values()))
        excess: dict[str, Fraction | float] = {}
        for symbol in sorted(wanted):
            value: Fraction | float = -amounts.get(symbol, Fraction(0))
            for i, unit in zip(phases, units, strict=True):
                amount = self.exact[i].get(symbol)
                if amount is not None:
                    value = value + (unit * amount if isinstance(unit, Fraction) else unit * float(amount))
            if value and abs(float(value)) > 1e-9 * total:
                excess[symbol] = value
        return excess

    def phase_amounts(
        self, phases: Sequence[int], units: Sequence[Fraction | float]
    ) -> tuple[PhaseAmount, ...]:
        """Return the phases with formula units and shares of the atoms."""
        atoms = [float(u) * self._atoms(i)[1] for i, u in zip(phases, units, strict=True)]
        total = sum(atoms)
        return tuple(
            PhaseAmount(formula=self.hull.labels[i], amount=float(u), atomic_fraction=held / total)
            for i, u, held in zip(phases, units, atoms, strict=True)
        )


def molecular(symbol: str, amount: Fraction | float) -> tuple[Fraction | float, str]:
    """Return amount and formula of an element as it stands in a reaction: 0.5 O2 for one O."""
    formula = _MOLECULES.get(symbol, symbol)
    return (amount / 2 if formula != symbol else amount), formula

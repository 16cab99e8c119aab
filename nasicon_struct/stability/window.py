"""The stability window of one composition against one element, with everything around it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from nasicon_struct.entries import EntrySet, amounts_of, as_entry_set, formula_of
from nasicon_struct.entries.checks import missing_phases
from nasicon_struct.errors import StabilityError
from nasicon_struct.formula import parse_formula
from nasicon_struct.stability import simplex
from nasicon_struct.stability.hull import Hull
from nasicon_struct.stability.profile import Corner, corners
from nasicon_struct.stability.reactions import PhaseAmount, reaction, solve_exactly
from nasicon_struct.stability.result import StabilityWindow, WindowStep
from nasicon_struct.units import FARADAY_MAH_PER_MOL

#: Charge of the ion of each element that a cell may exchange.
ION_CHARGES: Final = {"Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "Ag": 1, "Mg": 2, "Ca": 2, "Zn": 2, "Al": 3}
#: A target this little above the hull, eV per atom, is on it.
STABLE_TOLERANCE_EV: Final = 1e-8
#: An energy of the target this far from the hull, eV per atom, is on another scale.
_SCALE_TOLERANCE_EV: Final = 1.0
_MOLECULES: Final = {"H": "H2", "N": "N2", "O": "O2", "F": "F2", "Cl": "Cl2", "Br": "Br2", "I": "I2"}


def stability_window(
    target: Any,
    entries: Any = None,
    *,
    open_element: str = "Na",
    formation_energy_ev_per_atom: float | None = None,
) -> StabilityWindow:
    """Return the exact electrochemical stability window of a composition.

    The limits come from the facets of the hull that hold the composition, not from a grid of voltages. The limit of
    reduction is the voltage below which the target would take up the open element, the limit of oxidation
    that above which it would give it up; V = (mu0 - mu) / (z e), with mu0 the potential in the metal.

    Parameters
    ----------
    target : str, Composition, Structure, Atoms, CIF path, NasiconComposition or pymatgen entry
        Only the composition counts, except that a pymatgen entry brings its own energy, which must be on the
        scale of the entry set.
    entries : EntrySet, list of pymatgen entries, file, source name, or None
        See :func:`nasicon_struct.as_entry_set`; None takes the default embedded set.
    open_element : str, keyword-only
        Element exchanged with the electrode; one of Li, Na, K, Rb, Cs, Ag, Mg, Ca, Zn, Al.
    formation_energy_ev_per_atom : float, optional, keyword-only
        Formation energy of the target at the level of the entry set, eV per atom, where the set lacks it or
        holds another polymorph.

    Returns
    -------
    StabilityWindow
        With ``is_stable`` None and no window where the set holds no energy of the target.

    Raises
    ------
    CompositionError, EntriesError, StabilityError
        If the target cannot be read, the entries do not cover it, or nothing but the open element is in it.

    References
    ----------
    S. P. Ong, L. Wang, B. Kang, G. Ceder, Chem. Mater. 20 (2008) 1798; W. D. Richards et al., Chem. Mater. 28
    (2016) 266; equations 1 and 2 of Y. Yuan et al., Energy Environ. Sci. 18 (2025) 4288.
    """
    case = Case(
        target, entries, open_element=open_element, formation_energy_ev_per_atom=formation_energy_ev_per_atom
    )
    return case.window()


class Case:
    """One target in its chemical system: hull, phases and exact amounts, shared by all questions about it."""

    def __init__(
        self,
        target: Any,
        entries: Any,
        *,
        open_element: str,
        formation_energy_ev_per_atom: float | None = None,
    ) -> None:
        if open_element not in ION_CHARGES:
            raise StabilityError(
                f"a voltage needs an ion of known charge, got {open_element!r}; use one of {', '.join(ION_CHARGES)}, "
                "or element_profile for the chemical potential of any element"
            )
        self.open_element = open_element
        self.charge = ION_CHARGES[open_element]
        self.amounts = amounts_of(target)
        self.formula = formula_of(target)
        closed = [symbol for symbol in self.amounts if symbol != open_element]
        if not closed:
            raise StabilityError(f"{self.formula} holds nothing but {open_element}; give a compound")
        whole = as_entry_set(entries, system=self.amounts, open_element=open_element)
        self.entries: EntrySet = whole.subset({*self.amounts, open_element})
        self.elements = self.entries.elements
        self.column = self.elements.index(open_element)
        self.n_atoms = float(sum(self.amounts.values()))
        self.vector = np.array([float(self.amounts.get(symbol, 0)) for symbol in self.elements])
        self.own_energy = self._own_energy(target, formation_energy_ev_per_atom)
        fractions, energies = self.entries.fractions, self.entries.formation_energies_ev_per_atom
        labels = [display_formula(entry.formula, entry.amounts) for entry in self.entries]
        if self.own_energy is not None:
            fractions = np.vstack([fractions, self.vector / self.n_atoms])
            energies = np.append(energies, self.own_energy)
            labels.append(self.formula)
        self.hull = Hull(self.elements, fractions, energies, labels)
        self.exact = [parse_formula(label) for label in self.hull.labels]
        found = self.entries.formation_energy_ev_per_atom(self.amounts)
        self.energy = found if self.own_energy is None else self.own_energy
        self.hull_energy = float(self.hull.energies(self.vector[None, :])[0]) / self.n_atoms
        if (
            self.own_energy is not None
            and abs(self.own_energy - self.hull_energy) > _SCALE_TOLERANCE_EV
            and (
                self.own_energy <= self.hull_energy + STABLE_TOLERANCE_EV
                or self.own_energy > _SCALE_TOLERANCE_EV
            )
        ):
            self._check_scale()

    def _own_energy(self, target: Any, given: float | None) -> float | None:
        if given is not None:
            if not math.isfinite(given):
                raise StabilityError(
                    f"the formation energy must be a finite number of eV per atom, got {given}"
                )
            return float(given)
        energy = getattr(target, "energy", None)
        if energy is None or not hasattr(target, "composition"):
            return None
        references = self.entries.reference_ev_per_atom
        offset = sum(float(a) * references.get(symbol, math.nan) for symbol, a in self.amounts.items())
        return (float(energy) - offset) / self.n_atoms

    def _check_scale(self) -> None:
        others = self.energy_without_target()
        if self.own_energy is not None and abs(self.own_energy - others) > _SCALE_TOLERANCE_EV:
            raise StabilityError(
                f"the energy given for {self.formula} lies {self.own_energy - others:+.2f} eV/atom from the hull of the "
                "other phases: it is on another scale; give a formation energy at the level of the entry set"
            )

    @property
    def target_index(self) -> int | None:
        """Position of the target's composition among the phases of the hull."""
        same = np.flatnonzero(np.abs(self.hull.x - self.vector / self.n_atoms).max(axis=1) < 1e-9)
        return int(same[0]) if len(same) else None

    @property
    def e_above_hull(self) -> float | None:
        """Energy above the hull, eV per atom; None without an energy of the target."""
        if self.energy is None:
            return None
        gap = self.energy - self.hull_energy
        return 0.0 if abs(gap) < STABLE_TOLERANCE_EV else gap

    def energy_without_target(self) -> float:
        """Return the hull energy at the target's composition from all other compositions, eV per atom."""
        energies = self.hull.e.copy()
        index = self.target_index
        if index is not None:
            if index in self.hull.elements_at:
                return 0.0
            energies[index] = 1e3
        solved = simplex.solve(self.hull.x, energies, self.vector, self.hull.elements_at)
        return float(solved.energies_ev[0]) / self.n_atoms

    def decomposition(self) -> tuple[list[int], list[Fraction | float]]:
        """Return the equilibrium assemblage of the composition, closed: phases and formula units."""
        index = self.target_index
        if index is not None and self.e_above_hull == 0.0:
            return [index], [Fraction(1) * sum(self.amounts.values()) / sum(self.exact[index].values())]
        solved = simplex.solve(self.hull.x, self.hull.e, self.vector, self.hull.elements_at)
        present = solved.amounts[0] > 1e-10 * self.n_atoms
        pairs = sorted(
            zip(solved.basis[0][present].tolist(), solved.amounts[0][present].tolist(), strict=True),
            key=lambda pair: self.hull.labels[pair[0]],
        )
        phases = [i for i, _ in pairs]
        exact = solve_exactly([self.exact[i] for i in phases], self.amounts)
        if exact is not None and all(amount > 0 for amount in exact[0]):
            return phases, list(exact[0])
        return phases, [atoms / float(sum(self.exact[i].values())) for i, atoms in pairs]

    def phase_amounts(
        self, phases: Sequence[int], amounts: Sequence[Fraction | float]
    ) -> tuple[PhaseAmount, ...]:
        """Return the phases with their amounts per formula unit of the target."""
        atoms = [float(a) * float(sum(self.exact[i].values())) for i, a in zip(phases, amounts, strict=True)]
        total = sum(atoms)
        return tuple(
            PhaseAmount(formula=self.hull.labels[i], amount=float(a), atomic_fraction=held / total)
            for i, a, held in zip(phases, amounts, atoms, strict=True)
        )

    def molar_mass(self) -> float:
        """Return the molar mass of the target, g/mol."""
        from pymatgen.core import Element

        return sum(
            float(Element(symbol).atomic_mass) * float(amount) for symbol, amount in self.amounts.items()
        )

    def steps(self) -> list[WindowStep]:
        """Return the rows of the profile, upward in voltage."""
        found = corners(self.hull, self.amounts, self.column, self.exact)
        mass = self.molar_mass()
        rows = []
        for corner in found:
            rows.append(self._row(corner, mass))
        return rows

    def _row(self, corner: Corner, mass: float) -> WindowStep:
        held = self.amounts.get(self.open_element, Fraction(0))
        exchanged: Fraction | float = corner.open_amount - held
        if isinstance(exchanged, float) and abs(exchanged) < 1e-10 * self.n_atoms:
            exchanged = 0.0
        phases, amounts = list(corner.phases), list(corner.amounts)
        index = self.target_index
        is_target = index is not None and self.e_above_hull == 0.0 and exchanged == 0
        if is_target:
            assert index is not None
            phases, amounts = [index], [sum(self.amounts.values()) / sum(self.exact[index].values())]
        left = [(Fraction(1), self.formula)]
        right = [(a, self.hull.labels[i]) for i, a in zip(phases, amounts, strict=True)]
        if is_target:
            right = left
        (left if exchanged > 0 else right).append((abs(exchanged), self.open_element))
        energy = None
        if self.energy is not None:
            products = sum(
                float(a) * float(sum(self.exact[i].values())) * self.hull.e[i]
                for i, a in zip(phases, amounts, strict=True)
            )
            energy = 0.0 if is_target else float(products / self.n_atoms - self.energy)
        return WindowStep(
            v_low=abs(corner.mu_high_ev) / self.charge,
            v_high=-corner.mu_low_ev / self.charge,
            reaction=reaction(left, right),
            products=self.phase_amounts(phases, amounts),
            exchanged=float(exchanged),
            capacity_mah_per_g=float(exchanged) * self.charge * FARADAY_MAH_PER_MOL / mass,
            reaction_energy_ev_per_atom=energy,
            is_target=is_target,
        )

    def limits(self) -> tuple[float, float]:
        """Return the range of voltage in which the equilibrium assemblage exchanges nothing, V."""
        low, high = self.hull.slopes(self.vector[None, :], self.column)
        return abs(float(high[0])) / self.charge, abs(float(low[0])) / self.charge

    def window(self) -> StabilityWindow:
        """Return the answer."""
        steps = self.steps()
        reduction_v, oxidation_v = self.limits()
        above = self.e_above_hull
        phases, amounts = self.decomposition()
        parts = self.phase_amounts(phases, amounts)
        text = reaction(
            [(Fraction(1), self.formula)],
            [(a, self.hull.labels[i]) for i, a in zip(phases, amounts, strict=True)],
        )
        stable = None if above is None else above == 0.0
        if stable:
            text = f"{self.formula} -> {self.formula}"
        below = max(
            (s for s in steps if s.v_high <= reduction_v + 1e-9), key=lambda s: s.v_high, default=None
        )
        over = min((s for s in steps if s.v_low >= oxidation_v - 1e-9), key=lambda s: s.v_low, default=None)
        return StabilityWindow(
            target=self.formula,
            open_element=self.open_element,
            charge=self.charge,
            source=self.entries.source,
            level=self.entries.level,
            is_stable=stable,
            reduction_v=reduction_v if stable else None,
            oxidation_v=oxidation_v if stable else None,
            e_above_hull_ev_per_atom=above,
            reason=self._reason(above, parts, reduction_v, oxidation_v),
            hull_energy_ev_per_atom=self.hull_energy,
            formation_energy_ev_per_atom=self.energy,
            decomposition=parts,
            decomposition_reaction=text,
            depth_ev_per_atom=max(0.0, self.energy_without_target() - self.hull_energy) if stable else None,
            assemblage_reduction_v=reduction_v,
            assemblage_oxidation_v=oxidation_v,
            steps=tuple(steps),
            reduction_reaction=below.reaction if stable and below else None,
            oxidation_reaction=over.reaction if stable and over else None,
            reduction_products=tuple(p.formula for p in below.products) if stable and below else (),
            oxidation_products=tuple(p.formula for p in over.products) if stable and over else (),
            missing=missing_phases(self.entries),
            notes=self._notes(below if stable else None, over if stable else None),
        )

    def _reason(
        self, above: float | None, parts: Sequence[PhaseAmount], reduction_v: float, oxidation_v: float
    ) -> str:
        names = " + ".join(part.formula for part in parts)
        if above is None:
            return (
                f"the entry set {self.entries.source!r} holds no energy of {self.formula}, so its stability is unknown; "
                f"at equilibrium the other phases would form {names} at this composition"
            )
        if above > 0:
            return (
                f"{self.formula} lies {1000 * above:.1f} meV/atom above the hull of {self.entries.source!r} and "
                f"would decompose to {names}; a phase above the hull has no stability window"
            )
        lower = "down to the metal" if reduction_v < STABLE_TOLERANCE_EV else f"above {reduction_v:.3f} V"
        upper = "without upper limit" if math.isinf(oxidation_v) else f"below {oxidation_v:.3f} V"
        return f"{self.formula} is on the hull of {self.entries.source!r}: stable {lower} and {upper}"

    def _notes(self, *limits: WindowStep | None) -> tuple[str, ...]:
        notes = []
        own = self.entries.find(self.amounts)
        if own is not None and own.note and self.own_energy is None:
            notes.append(f"{own.formula}: {own.note}")
        doubtful: dict[str, str] = {}
        for step in limits:
            for part in step.products if step is not None and not step.is_target else ():
                entry = self.entries.find(part.formula)
                if entry is not None and entry.flag not in ("", "element", "user"):
                    doubtful[entry.formula] = entry.note or entry.flag
        notes += [f"a limit rests on {name}: {why}" for name, why in sorted(doubtful.items())]
        if self.entries.excluded:
            names = ", ".join(sorted(entry.formula for entry in self.entries.excluded))
            notes.append(f"kept out of the hull (flagged): {names}")
        pairs = self._uncovered_pairs()
        if pairs:
            notes.append(
                f"the entry set holds no phase with {', '.join(pairs)} together; such competitors, if they exist, "
                "are not in the hull"
            )
        return tuple(notes)

    def _uncovered_pairs(self) -> list[str]:
        held = {frozenset(pair) for e in self.entries for pair in itertools.combinations(e.amounts, 2)}
        symbols = [symbol for symbol in self.amounts if symbol != self.open_element]
        return [
            f"{a} and {b}" for a, b in itertools.combinations(symbols, 2) if frozenset((a, b)) not in held
        ]


def display_formula(formula: str, amounts: Mapping[str, Fraction]) -> str:
    """Return the formula as chemists write it: O2 and its like for molecular elements."""
    if len(amounts) == 1:
        (symbol,) = amounts
        return _MOLECULES.get(symbol, symbol)
    return formula

"""What :func:`doped_stability` returns."""

from __future__ import annotations

from dataclasses import dataclass

from monty.json import MSONable

from nasicon_struct.relaxation import RelaxedCell
from nasicon_struct.stability import StabilityWindow


@dataclass(frozen=True, kw_only=True)
class DopedOrdering(MSONable):
    """One ordered, relaxed cell of a composition.

    Attributes
    ----------
    parent : str
        Parent cell whose sites were filled.
    formula : str
        Content of the cell per O12; it differs from the composition asked for where whole atoms need it.
    formula_units, n_atoms : int
    composition_error : float
        Largest difference to the composition asked for, atoms per formula unit.
    electrostatic_ev_per_fu : float or None
        Ewald energy of the arrangement before relaxation, eV per formula unit; None where the sites of the parent
        are full and nothing is to be arranged.
    energy_ev_per_atom : float
        Energy of the calculator after relaxation, eV per atom.
    formation_energy_ev_per_atom : float
        From the elements, eV per atom.
    e_above_hull_ev_per_atom : float
        Above the hull of the level's phases (not the cell itself), eV per atom; negative below it.
    e_above_hull_mixed_ev_per_atom : float
        The same less temperature times the ideal entropy of mixing.
    relaxed : RelaxedCell
    """

    parent: str
    formula: str
    formula_units: int
    n_atoms: int
    composition_error: float
    electrostatic_ev_per_fu: float | None
    energy_ev_per_atom: float
    formation_energy_ev_per_atom: float
    e_above_hull_ev_per_atom: float
    e_above_hull_mixed_ev_per_atom: float
    relaxed: RelaxedCell


@dataclass(frozen=True, kw_only=True)
class DopedStability(MSONable):
    """Stability of a doped composition from relaxed cells.

    Attributes
    ----------
    composition : str
        As asked for.
    level, calculator : str
        Energy level of the competing phases, and what relaxed the cells.
    temperature_k : float or None
        Temperature of the entropy of mixing; None leaves it out.
    entropy_ev_per_k_per_atom : float
        Ideal entropy of mixing of the parent of ``lowest`` over the sites named in ``mixing``. It differs between
        parents: a monoclinic one has more kinds of sodium site, and less disorder on them.
    mixing : tuple of str
        Kinds of site that mix.
    orderings : tuple of DopedOrdering
        Lowest first: by energy, or, if a temperature is given, by energy less temperature times entropy.
    window : StabilityWindow
        Of ``lowest``, with the entropy if a temperature is given.
    warnings : tuple of str
    """

    composition: str
    level: str
    calculator: str
    temperature_k: float | None
    entropy_ev_per_k_per_atom: float
    mixing: tuple[str, ...]
    orderings: tuple[DopedOrdering, ...]
    window: StabilityWindow
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("mixing", "orderings", "warnings"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def lowest(self) -> DopedOrdering:
        """The ordering that is lowest at ``temperature_k``, with the entropy; without a temperature at 0 K."""
        return self.orderings[0]

    @property
    def ground_state(self) -> DopedOrdering:
        """The ordering that is lowest at 0 K, without entropy."""
        return min(self.orderings, key=lambda item: item.e_above_hull_ev_per_atom)

    @property
    def e_above_hull_ev_per_atom(self) -> float:
        """Of ``ground_state``, without entropy, eV per atom; negative below every competing phase."""
        return self.ground_state.e_above_hull_ev_per_atom

    @property
    def e_above_hull_mixed_ev_per_atom(self) -> float:
        """Of ``lowest``, with the ideal entropy of mixing, eV per atom."""
        return self.lowest.e_above_hull_mixed_ev_per_atom

    @property
    def spread_ev_per_atom(self) -> float:
        """Highest minus lowest energy over the orderings, without entropy, eV per atom."""
        values = [item.e_above_hull_ev_per_atom for item in self.orderings]
        return max(values) - min(values)

    def __str__(self) -> str:
        count = len(self.orderings)
        which = "the only relaxed ordering" if count == 1 else f"the lowest of {count} relaxed orderings"
        spread = (
            "" if count == 1 else f"; the highest lies {1000 * self.spread_ev_per_atom:.1f} meV/atom above it"
        )
        text = (
            f"{self.composition}: {1000 * self.e_above_hull_ev_per_atom:+.1f} meV/atom against the hull of "
            f"{self.level!r} at 0 K, {which} ({_cell(self.ground_state)}{spread})"
        )
        if self.temperature_k is not None:
            text += (
                f"; with the ideal entropy of mixing at {self.temperature_k:g} K "
                f"{1000 * self.e_above_hull_mixed_ev_per_atom:+.1f} meV/atom ({_cell(self.lowest)})"
            )
        return text

    def describe_window(self) -> str:
        """Return the window in one sentence, and what the composition decomposes to where there is none."""
        kind = (
            ""
            if self.temperature_k is None
            else f", with the ideal entropy of mixing at {self.temperature_k:g} K"
        )
        text = f"Window of the cell of {self.lowest.parent}{kind}: {self.window.reason}"
        if self.window.is_stable:
            return text
        low, high = self.window.shifted_v
        return (
            f"{text}; shifted onto the hull {low:.3f} to {high:.3f} V; {self.window.decomposition_reaction}"
        )

    def table(self) -> str:
        """Return the orderings as a plain-text table."""
        from tabulate import tabulate

        mixed = self.temperature_k is not None
        rows = [
            [
                item.parent,
                item.formula,
                item.formula_units,
                f"{item.formation_energy_ev_per_atom:.4f}",
                f"{1000 * item.e_above_hull_ev_per_atom:+.1f}",
                *([f"{1000 * item.e_above_hull_mixed_ev_per_atom:+.1f}"] if mixed else []),
                f"{item.relaxed.volume_change_percent:+.1f}",
                "yes" if item.relaxed.converged else "no",
                len(item.relaxed.flags),
            ]
            for item in self.orderings
        ]
        heads = ["parent", "cell", "Z", "formation, eV/atom", "above hull, meV/atom"]
        heads += [f"with mixing, {self.temperature_k:g} K"] if mixed else []
        heads += ["dV, %", "converged", "flags"]
        return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def _cell(item: DopedOrdering) -> str:
    return f"{item.parent}, {item.formula_units} formula unit{'s' if item.formula_units > 1 else ''}"

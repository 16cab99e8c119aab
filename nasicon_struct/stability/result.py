"""Results of stability questions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monty.json import MSONable

from nasicon_struct.stability.reactions import PhaseAmount


def as_tuples(obj: Any, **kinds: type[MSONable] | None) -> None:
    """Turn lists of a frozen dataclass into tuples, and dictionaries in them into their class."""
    for name, kind in kinds.items():
        value = getattr(obj, name)
        if value is not None:
            items = (
                kind.from_dict(dict(item)) if kind is not None and isinstance(item, Mapping) else item
                for item in value
            )
            object.__setattr__(obj, name, tuple(items))


@dataclass(frozen=True, kw_only=True)
class WindowStep(MSONable):
    """One row of the profile: a range of voltage and what the composition is at equilibrium in it.

    Attributes
    ----------
    v_low, v_high : float
        Range, V against the open element's metal; ``v_high`` is infinite in the last row.
    reaction : str
        Balanced reaction from one formula unit of the target.
    products : tuple of PhaseAmount
        Phases, per formula unit of the target.
    exchanged : float
        Atoms of the open element taken up (positive) or given up (negative) per formula unit of the target.
    capacity_mah_per_g : float
        The same as charge per mass of target, mAh/g, with the same sign.
    reaction_energy_ev_per_atom : float or None
        Energy of the reaction with the open element's metal at 0 V, eV per atom of target; None where the
        target has no energy.
    is_target : bool
        Whether the row is the target itself (not exchanged, not decomposed).
    """

    v_low: float
    v_high: float
    reaction: str
    products: tuple[PhaseAmount, ...]
    exchanged: float
    capacity_mah_per_g: float
    reaction_energy_ev_per_atom: float | None = None
    is_target: bool = False

    def __post_init__(self) -> None:
        as_tuples(self, products=PhaseAmount)


@dataclass(frozen=True, kw_only=True)
class ProfileRow(MSONable):
    """One row of an element profile.

    Attributes
    ----------
    mu_low_ev, mu_high_ev : float
        Range of the open element's chemical potential, eV relative to the element; ``mu_low_ev`` is -inf in
        the last row.
    reaction : str
        Balanced reaction from one formula unit of the target.
    products : tuple of PhaseAmount
    exchanged : float
        Atoms of the open element taken up (positive) or given up per formula unit of the target.
    is_target : bool
        Whether the row is the target itself.
    """

    mu_low_ev: float
    mu_high_ev: float
    reaction: str
    products: tuple[PhaseAmount, ...]
    exchanged: float
    is_target: bool = False

    def __post_init__(self) -> None:
        as_tuples(self, products=PhaseAmount)


@dataclass(frozen=True, kw_only=True)
class ElementProfile(MSONable):
    """What a composition is at equilibrium with at every chemical potential of one element.

    Attributes
    ----------
    target, open_element, source : str
    is_stable : bool or None
        As in :class:`StabilityWindow`.
    mu_low_ev, mu_high_ev : float or None
        Range in which the target is stable, eV relative to the element (never absolute); None without one.
    e_above_hull_ev_per_atom : float or None
    rows : tuple of ProfileRow
        Downward in chemical potential from 0.
    """

    target: str
    open_element: str
    source: str
    is_stable: bool | None
    mu_low_ev: float | None
    mu_high_ev: float | None
    e_above_hull_ev_per_atom: float | None
    rows: tuple[ProfileRow, ...]

    def __post_init__(self) -> None:
        as_tuples(self, rows=ProfileRow)


@dataclass(frozen=True, kw_only=True)
class CompetitorEffect(MSONable):
    """What the window would be if one competing phase did not exist.

    Attributes
    ----------
    formula : str
        The phase left out.
    e_above_hull_ev_per_atom : float
        Energy of the target above the hull without it, eV per atom.
    reduction_v, oxidation_v : float or None
        Limits without it, V; None where the target would still lie above the hull.
    reduction_shift_v, oxidation_shift_v : float or None
        Changes of the limits, V (a negative reduction shift and a positive oxidation shift widen the window);
        None for a target that has no window with the phase.
    """

    formula: str
    e_above_hull_ev_per_atom: float
    reduction_v: float | None
    oxidation_v: float | None
    reduction_shift_v: float | None
    oxidation_shift_v: float | None


@dataclass(frozen=True, kw_only=True)
class WindowUncertainty(MSONable):
    """How well a window is known at this level of theory.

    Limits are those of the samples in which the target is on the hull; with few such samples they say little.

    Attributes
    ----------
    reduction_v_median, oxidation_v_median : float or None
        Medians over the samples, V.
    reduction_v_interval, oxidation_v_interval : tuple of float or None
        95 % intervals, V.
    reduction_v_se, oxidation_v_se : float or None
        Standard errors, V: half the width of the central 68.27 % of the samples.
    e_above_hull_median_ev_per_atom : float or None
        Median energy above the hull of all other phases and itself, eV per atom.
    e_above_hull_interval_ev_per_atom : tuple of float or None
        95 % interval, eV per atom.
    probability_stable : float
        Share of the samples in which the target is on the hull.
    n_samples : int
    seed : int
    model : str
        The error model, in words and numbers.
    competitors : tuple of CompetitorEffect
        Leave-one-phase-out: the phases whose absence would move a limit, the largest effect first.
    """

    reduction_v_median: float | None
    oxidation_v_median: float | None
    reduction_v_interval: tuple[float, float] | None
    oxidation_v_interval: tuple[float, float] | None
    reduction_v_se: float | None
    oxidation_v_se: float | None
    e_above_hull_median_ev_per_atom: float | None
    e_above_hull_interval_ev_per_atom: tuple[float, float] | None
    probability_stable: float
    n_samples: int
    seed: int
    model: str
    competitors: tuple[CompetitorEffect, ...] = ()

    def __post_init__(self) -> None:
        as_tuples(
            self,
            reduction_v_interval=None,
            oxidation_v_interval=None,
            e_above_hull_interval_ev_per_atom=None,
            competitors=CompetitorEffect,
        )

    @property
    def percent_stable(self) -> str:
        """Share of the samples in which the target is on the hull, as text: ``"41 %"``."""
        if 0 < self.probability_stable < 0.01:
            return "under 1 %"
        if 0.99 < self.probability_stable < 1:
            return "over 99 %"
        return f"{100 * self.probability_stable:.0f} %"


@dataclass(frozen=True, kw_only=True)
class StabilityWindow(MSONable):
    """Electrochemical stability of one composition, open to one element.

    Attributes
    ----------
    target : str
        Formula as given.
    open_element : str
        Element exchanged with the electrode; voltages are against its metal.
    source, level : str
        Entry set and its level of theory.
    is_stable : bool or None
        True on the hull, False above it, None where the set holds no energy of the target (unknown).
    reduction_v, oxidation_v : float or None
        Window of the target, V; None unless ``is_stable``. ``oxidation_v`` is infinite for a target without
        the open element that nothing oxidises by taking it out.
    e_above_hull_ev_per_atom : float or None
        Energy above the hull, eV per atom; None where the set holds no energy of the target.
    reason : str
        Why there is no window, or what limits it, in one sentence.
    hull_energy_ev_per_atom : float
        Formation energy of the equilibrium assemblage at this composition, eV per atom.
    formation_energy_ev_per_atom : float or None
        Formation energy of the target, eV per atom.
    decomposition : tuple of PhaseAmount
        Equilibrium assemblage of the composition without exchange; the target itself where it is stable.
    decomposition_reaction : str
        Balanced reaction to it.
    depth_ev_per_atom : float or None
        For a stable target: how far it lies below the hull of all other phases, eV per atom.
    assemblage_reduction_v, assemblage_oxidation_v : float
        Range of voltage in which the equilibrium assemblage at this composition exchanges nothing, V. For a
        stable target the window; for any other target no window of the compound, but that of the mixture it
        would form.
    steps : tuple of WindowStep
        All rows, upward in voltage from 0.
    reduction_reaction, oxidation_reaction : str or None
        Reactions at the two limits.
    reduction_products, oxidation_products : tuple of str
        Phases that limit the window: those that appear there.
    reservoirs : tuple of str
        Elements held at a fixed potential, and by what.
    missing : tuple of str
        Known phases of the chemical system that the entry set lacks.
    notes : tuple of str
        What else a reader must know, such as a doubtful entry at a limit.
    uncertainty : WindowUncertainty or None
        Standard errors and intervals of the limits.
    charge : int
        Charge of the open element's ion.
    """

    target: str
    open_element: str
    source: str
    level: str
    is_stable: bool | None
    reduction_v: float | None
    oxidation_v: float | None
    e_above_hull_ev_per_atom: float | None
    reason: str
    hull_energy_ev_per_atom: float
    formation_energy_ev_per_atom: float | None
    decomposition: tuple[PhaseAmount, ...]
    decomposition_reaction: str
    depth_ev_per_atom: float | None
    assemblage_reduction_v: float
    assemblage_oxidation_v: float
    steps: tuple[WindowStep, ...]
    reduction_reaction: str | None = None
    oxidation_reaction: str | None = None
    reduction_products: tuple[str, ...] = ()
    oxidation_products: tuple[str, ...] = ()
    reservoirs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    uncertainty: WindowUncertainty | None = None
    charge: int = 1

    def __post_init__(self) -> None:
        as_tuples(
            self,
            decomposition=PhaseAmount,
            steps=WindowStep,
            reduction_products=None,
            oxidation_products=None,
            reservoirs=None,
            missing=None,
            notes=None,
        )
        if isinstance(self.uncertainty, Mapping):
            object.__setattr__(self, "uncertainty", WindowUncertainty.from_dict(dict(self.uncertainty)))

    @property
    def width_v(self) -> float | None:
        """Width of the window, V; None without a window."""
        if self.reduction_v is None or self.oxidation_v is None:
            return None
        return self.oxidation_v - self.reduction_v

    @property
    def is_doubtful(self) -> bool:
        """Whether the target is on the hull, but in under half of the draws of the error model of the energies."""
        known = self.uncertainty
        return bool(self.is_stable) and known is not None and known.probability_stable < 0.5

    @property
    def shifted_v(self) -> tuple[float, float]:
        """Window of the target after shifting it onto the hull (that of its equilibrium assemblage), V."""
        return self.assemblage_reduction_v, self.assemblage_oxidation_v

    def __str__(self) -> str:
        if self.reduction_v is None or self.oxidation_v is None:
            return f"{self.target}: no window ({self.reason})"
        upper = "no upper limit" if math.isinf(self.oxidation_v) else f"{self.oxidation_v:.3f} V"
        text = f"{self.target}: {self.reduction_v:.3f} to {upper} against {self.open_element}"
        if self.is_doubtful and self.uncertainty is not None:
            text += f", but on the hull in only {self.uncertainty.percent_stable} of the draws of the errors"
        return text

"""The stability window of one composition against one metal, and profiles open to any element."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from nasicon_struct.entries.checks import implausible_energies, missing_phases
from nasicon_struct.stability.case import STABLE_TOLERANCE_EV, Case
from nasicon_struct.stability.profile import Plateau
from nasicon_struct.stability.reactions import PhaseAmount
from nasicon_struct.stability.reservoirs import supersaturated
from nasicon_struct.stability.result import (
    ElementProfile,
    ProfileRow,
    StabilityWindow,
    WindowStep,
    WindowUncertainty,
)
from nasicon_struct.stability.uncertainty import window_uncertainty
from nasicon_struct.units import FARADAY_MAH_PER_MOL


def stability_window(
    target: Any,
    entries: Any = None,
    *,
    open_element: str = "Na",
    formation_energy_ev_per_atom: float | None = None,
    reservoirs: Any = None,
    uncertainty: bool = True,
    n_samples: int = 1000,
    seed: int = 0,
) -> StabilityWindow:
    """Return the exact electrochemical stability window of a composition.

    The limits come from the facets of the hull that hold the composition, not from a grid of voltages. The
    limit of reduction is the voltage below which the target would take up the open element, the limit of
    oxidation that above which it would give it up; V = (mu0 - mu) / (z e), with mu0 the potential in the
    metal.

    Parameters
    ----------
    target : str, Composition, Structure, Atoms, CIF path, NasiconComposition or pymatgen entry
        Only the composition counts, except that a pymatgen entry brings its own energy, which must be on the
        scale of the entry set.
    entries : EntrySet, list of pymatgen entries, file, source name, or None
        See :func:`nasicon_struct.as_entry_set`; None takes the embedded set that
        :func:`nasicon_struct.entries.default_source` names for the elements.
    open_element : str, keyword-only
        Element exchanged with the electrode; one of Li, Na, K, Rb, Cs, Ag, Mg, Ca, Zn, Al.
    formation_energy_ev_per_atom : float, optional, keyword-only
        Formation energy of the target at the level of the entry set, eV per atom, where the set lacks it or
        holds another polymorph.
    reservoirs : Reservoir or sequence of Reservoir, optional, keyword-only
        Further elements at fixed potential, such as O2 at a temperature and pressure or an excess of S.
    uncertainty : bool, keyword-only
        Whether to sample the error of the level of theory (tens of milliseconds).
    n_samples, seed : int, keyword-only
        Number of samples and seed of the random numbers.

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
        target,
        entries,
        open_element=open_element,
        formation_energy_ev_per_atom=formation_energy_ev_per_atom,
        reservoirs=reservoirs,
    )
    return window_of(case, uncertainty=uncertainty, n_samples=n_samples, seed=seed)


def element_profile(
    target: Any,
    entries: Any = None,
    *,
    open_element: str,
    formation_energy_ev_per_atom: float | None = None,
    reservoirs: Any = None,
) -> ElementProfile:
    """Return what a composition is at equilibrium with at every chemical potential of one element.

    Parameters
    ----------
    target, entries, formation_energy_ev_per_atom, reservoirs
        As for :func:`stability_window`.
    open_element : str, keyword-only
        Any element, for example O or S.

    Returns
    -------
    ElementProfile

    Raises
    ------
    CompositionError, EntriesError, StabilityError
        If the target cannot be read or the entries do not cover it.
    """
    case = Case(
        target,
        entries,
        open_element=open_element,
        formation_energy_ev_per_atom=formation_energy_ev_per_atom,
        reservoirs=reservoirs,
    )
    rows = []
    for plateau in case.profile():
        phases, units, exchanged, is_target = _resolve(case, plateau)
        rows.append(
            ProfileRow(
                mu_low_ev=plateau.mu_low_ev,
                mu_high_ev=plateau.mu_high_ev,
                reaction=case.write(phases, units, exchanged, is_target=is_target),
                products=case.system.phase_amounts(phases, units),
                exchanged=float(exchanged.get(case.open_element, 0.0)),
                is_target=is_target,
            )
        )
    low, high = case.limits_ev()
    return ElementProfile(
        target=case.formula,
        open_element=case.open_element,
        source=case.entries.source,
        is_stable=case.is_stable,
        mu_low_ev=low if case.is_stable else None,
        mu_high_ev=high if case.is_stable else None,
        e_above_hull_ev_per_atom=case.e_above_hull,
        rows=tuple(rows),
    )


def _resolve(case: Case, plateau: Plateau) -> tuple[list[int], list[Any], dict[str, Any], bool]:
    """Return phases, units, exchange of a row; where a stable target exchanges nothing, the target itself."""
    is_target = bool(case.is_stable) and case.open_element not in plateau.exchanged
    if is_target:
        return *case.own_units(), {}, True
    return list(plateau.phases), list(plateau.units), plateau.exchanged, False


def window_of(case: Case, *, uncertainty: bool, n_samples: int, seed: int) -> StabilityWindow:
    """Return the window of a prepared case."""
    charge = case.charge
    steps = [_step(case, plateau, charge) for plateau in case.profile()]
    reduction_v, oxidation_v = case.limits_v()
    stable = case.is_stable
    phases, units = case.decomposition()
    parts = case.system.phase_amounts(phases, units)
    below = max((s for s in steps if s.v_high <= reduction_v + 1e-9), key=lambda s: s.v_high, default=None)
    over = min((s for s in steps if s.v_low >= oxidation_v - 1e-9), key=lambda s: s.v_low, default=None)
    if not stable:
        below = over = None
    known = window_uncertainty(case, n_samples=n_samples, seed=seed) if uncertainty else None
    limits = (reduction_v, oxidation_v) if stable else (None, None)
    return StabilityWindow(
        target=case.formula,
        open_element=case.open_element,
        charge=charge,
        source=case.entries.source,
        level=case.entries.level,
        is_stable=stable,
        reduction_v=limits[0],
        oxidation_v=limits[1],
        e_above_hull_ev_per_atom=case.e_above_hull,
        reason=_reason(case, parts, reduction_v, oxidation_v),
        hull_energy_ev_per_atom=case.hull_energy,
        formation_energy_ev_per_atom=case.energy,
        decomposition=parts,
        decomposition_reaction=case.write(
            phases, units, case.system.balance(phases, units, case.amounts), is_target=bool(stable)
        ),
        depth_ev_per_atom=_depth(case),
        assemblage_reduction_v=reduction_v,
        assemblage_oxidation_v=oxidation_v,
        steps=tuple(steps),
        reduction_reaction=below.reaction if below else None,
        oxidation_reaction=over.reaction if over else None,
        reduction_products=tuple(part.formula for part in below.products) if below else (),
        oxidation_products=tuple(part.formula for part in over.products) if over else (),
        reservoirs=tuple(item.description for item in case.reservoirs),
        missing=missing_phases(case.system.entries),
        notes=(*_notes(case, below, over), *_shifted_limits(known, *limits)),
        uncertainty=known,
    )


def _depth(case: Case) -> float | None:
    """Return how far a stable compound lies below all other phases, eV per atom; None for an element's place.

    Without an element, or what stands for it beside a reservoir, there is no hull.
    """
    if not case.is_stable or case.index in case.hull.elements_at:
        return None
    return max(0.0, case.energy_without_target() - case.hull_energy)


def _step(case: Case, plateau: Plateau, charge: int) -> WindowStep:
    phases, units, exchanged, is_target = _resolve(case, plateau)
    moved = float(exchanged.get(case.open_element, 0.0))
    energy = None
    if case.energy is not None:
        products = sum(
            float(unit) * case.system.atoms_per_formula(i) * float(case.hull.e[i])
            for i, unit in zip(phases, units, strict=True)
        )
        energy = 0.0 if is_target else (products - case.own_grand_energy) / case.n_atoms
    return WindowStep(
        v_low=abs(plateau.mu_high_ev) / charge,
        v_high=-plateau.mu_low_ev / charge,
        reaction=case.write(phases, units, exchanged, is_target=is_target),
        products=case.system.phase_amounts(phases, units),
        exchanged=moved,
        capacity_mah_per_g=moved * charge * FARADAY_MAH_PER_MOL / case.molar_mass,
        reaction_energy_ev_per_atom=energy,
        is_target=is_target,
    )


def _reason(case: Case, parts: Sequence[PhaseAmount], reduction_v: float, oxidation_v: float) -> str:
    names = " + ".join(part.formula for part in parts)
    above = case.e_above_hull
    if above is None:
        return (
            f"the entry set {case.entries.source!r} holds no energy of {case.formula}, so its stability is "
            f"unknown; at equilibrium the phases of the set would form {names} at this composition"
        )
    if above > 0:
        return (
            f"{case.formula} lies {1000 * above:.1f} meV/atom above the hull of {case.entries.source!r} and "
            "would "
            f"decompose to {names}; a phase above the hull has no stability window"
        )
    lower = "down to the metal" if reduction_v < STABLE_TOLERANCE_EV else f"above {reduction_v:.3f} V"
    upper = "without upper limit" if math.isinf(oxidation_v) else f"below {oxidation_v:.3f} V"
    return f"{case.formula} is on the hull of {case.entries.source!r}: stable {lower} and {upper}"


def _notes(case: Case, *limits: WindowStep | None) -> tuple[str, ...]:
    notes = []
    entries = case.system.entries
    own = entries.find(case.amounts)
    if own is not None and own.note and own.flag != "element" and case.given_energy is None:
        notes.append(f"{own.formula}: {own.note}")
    doubtful: dict[str, str] = {}
    for step in limits:
        for part in step.products if step is not None else ():
            entry = entries.find(part.formula)
            if entry is not None and entry.flag not in ("", "element", "user"):
                doubtful[entry.formula] = entry.note or entry.flag
    notes += [f"a limit rests on {name}: {why}" for name, why in sorted(doubtful.items())]
    notes += supersaturated(case.reservoirs)
    odd = implausible_energies(entries)
    if odd:
        notes.append(f"formation energies out of all bounds (eV/atom), check them: {', '.join(odd)}")
    floor = case.hull.labels[case.hull.elements_at[case.column]]
    if floor != case.open_element:
        notes.append(
            f"below {abs(float(case.hull.e[case.hull.elements_at[case.column]])) / case.charge:.3f} V the "
            f"reservoir itself takes up {case.open_element} without limit, as {floor}"
        )
    if entries.excluded:
        notes.append(f"kept out of the hull, by flag: {entries.excluded_names}")
    pairs = _uncovered_pairs(case)
    if pairs:
        notes.append(
            f"the entry set holds no phase with {', '.join(pairs)} together; such competitors, if they "
            "exist, are "
            "not in the hull"
        )
    return tuple(notes)


def _shifted_limits(
    known: WindowUncertainty | None, reduction_v: float | None, oxidation_v: float | None
) -> list[str]:
    """Say where measured enthalpies move a limit so far that its own value is outside the interval."""
    notes = []
    for name, value, interval in (
        ("reduction", reduction_v, known.reduction_v_interval if known else None),
        ("oxidation", oxidation_v, known.oxidation_v_interval if known else None),
    ):
        if value is not None and interval is not None and not interval[0] <= value <= interval[1]:
            notes.append(
                f"the {name} limit of these energies, {value:.3f} V, lies outside its 95 % interval, "
                f"{interval[0]:.2f} to {interval[1]:.2f} V: measured enthalpies show that the level errs in one "
                "direction here"
            )
    return notes


def _uncovered_pairs(case: Case) -> list[str]:
    memo = case.system.entries.memo("pairs")
    if "held" not in memo:
        memo["held"] = {
            frozenset(pair) for e in case.system.entries for pair in itertools.combinations(e.amounts, 2)
        }
    held = memo["held"]
    symbols = [symbol for symbol in case.amounts if symbol != case.open_element]
    return [f"{a} and {b}" for a, b in itertools.combinations(symbols, 2) if frozenset((a, b)) not in held]

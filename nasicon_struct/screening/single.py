"""One candidate through the code for single compositions."""

from __future__ import annotations

import math
from typing import Any, Final

from nasicon_struct.composition import NasiconComposition, charge_balance
from nasicon_struct.errors import CompositionError, NasiconError
from nasicon_struct.formula import format_formula, parse_formula
from nasicon_struct.lattice_model import predict_lattice
from nasicon_struct.phase import assign_phase
from nasicon_struct.screening.columns import columns_of
from nasicon_struct.screening.literature import nearest_conductivity
from nasicon_struct.screening.settings import ScreenSettings
from nasicon_struct.screening.stability import NUMBERS, own_numbers
from nasicon_struct.stability import stability_window

#: Characters of a candidate that a row keeps.
MAX_INPUT_CHARACTERS: Final = 200


def shown(text: str | None) -> str | None:
    """Return the text of a candidate as a row keeps it."""
    if text is None or len(text) <= MAX_INPUT_CHARACTERS:
        return text
    return f"{text[:MAX_INPUT_CHARACTERS]}... ({len(text)} characters)"


def empty_row(settings: ScreenSettings) -> dict[str, Any]:
    """Return a row without values."""
    return dict.fromkeys(columns_of(predicted_cell=settings.predicted_cell))


def candidate_row(formula: Any, settings: ScreenSettings | None = None) -> dict[str, Any]:
    """Return the row of one candidate, from the functions for single compositions.

    The table of :func:`screen` holds the same values to the last digit; this is the slow way to them, and the
    one that rows take which the array code leaves.

    Parameters
    ----------
    formula : str or None
    settings : ScreenSettings, optional

    Returns
    -------
    dict
        Values by column, None where there is none; without ``candidate`` and ``input``, which are None.

    Examples
    --------
    >>> candidate_row("Na3.4Zr2Si2PO12")["reason"][:37]
    'Na3.4Zr2Si2PO12 is no possible NASICO'
    """
    settings = settings or ScreenSettings()
    row = empty_row(settings)
    try:
        if formula is None:
            raise CompositionError("the candidate is no text; give a formula such as 'Na3Zr2Si2PO12'")
        amounts = parse_formula(formula)
    except CompositionError as error:
        return row | {"status": "unreadable", "reason": str(error)}
    try:
        balance = charge_balance(format_formula(amounts))
    except CompositionError as error:
        return row | {"status": "rejected", "reason": str(error)}
    m_site, t_site = balance.sites["M"], balance.sites["T"]
    scaled = parse_formula(balance.formula)
    row |= {
        "formula": balance.formula,
        "neutral": balance.neutral,
        "net_charge": balance.net_charge,
        "na_needed": balance.na_needed,
        "na": balance.sites["Na"].get("Na", 0.0),
        "zr": m_site.get("Zr", 0.0),
        "si": t_site.get("Si", 0.0),
        "p": t_site.get("P", 0.0),
        "m_site": format_formula({s: scaled[s] for s in m_site}),
        "t_site": format_formula({s: scaled[s] for s in t_site}),
        "m_sum": float(sum(scaled[s] for s in m_site)),
        "t_sum": float(sum(scaled[s] for s in t_site)),
    }
    try:
        composition = NasiconComposition.from_formula(balance.formula)
    except CompositionError as error:
        return row | {"status": "rejected", "reason": str(error)}
    row |= {"status": "possible", "reason": ""}
    row |= {
        "m_radius_mean_ang": composition.m_radius_mean_ang,
        "m_radius_spread_ang": composition.m_radius_spread_ang,
    }
    phase = assign_phase(composition, temperature_k=settings.temperature_k)
    row |= {
        "phase": phase.phase,
        "probability_monoclinic": phase.probability_monoclinic,
        "transition_temperature_k": phase.transition_temperature_k,
        "transition_temperature_se_k": phase.transition_temperature_se_k,
    }
    row |= _stability(composition, settings)
    near = nearest_conductivity(composition)
    row |= {
        "literature_formula": near.measured.formula,
        "literature_distance": near.distance,
        "literature_sigma_s_per_cm": near.measured.sigma_s_per_cm,
        "literature_sigma_low_s_per_cm": near.measured.sigma_low_s_per_cm,
        "literature_sigma_high_s_per_cm": near.measured.sigma_high_s_per_cm,
        "literature_sources": "; ".join(near.measured.sources),
    }
    return row | (cell_values(composition, phase.phase) if settings.predicted_cell else {})


def rule_row(rule: Any, number: int, settings: ScreenSettings) -> dict[str, Any]:
    """Return the row of one candidate of a design space or series."""
    try:
        composition = rule.composition(number)
    except CompositionError as error:
        row = empty_row(settings) | {"status": "rejected", "reason": str(error)}
    else:
        row = candidate_row(composition.formula, settings)
    return row | {"input": shown(rule.text(number))}


def _stability(composition: NasiconComposition, settings: ScreenSettings) -> dict[str, Any]:
    try:
        window = stability_window(
            composition,
            settings.entries,
            open_element=settings.open_element,
            n_samples=settings.n_samples,
            seed=settings.seed,
        )
    except NasiconError as error:
        nothing = {"energy_source": "", "competing_phases": "", "stability_note": str(error)}
        return {**dict.fromkeys(NUMBERS), **nothing}
    numbers, phases, note = own_numbers(window)
    known = {name: None if math.isnan(value) else value for name, value in numbers.items()}
    return {**known, "energy_source": window.source, "competing_phases": phases, "stability_note": note}


def cell_values(composition: NasiconComposition, phase: str) -> dict[str, Any]:
    """Return the predicted lattice of a composition; without a phase only the hexagonal metric."""
    predicted = predict_lattice(composition, phase=phase if phase in ("monoclinic", "rhombohedral") else None)
    cell = predicted.cell
    return {
        "a_h_ang": predicted.a_h_ang,
        "a_h_error_ang": predicted.a_h_error_ang,
        "c_h_ang": predicted.c_h_ang,
        "c_h_error_ang": predicted.c_h_error_ang,
        "cell_a_ang": cell[0] if cell else None,
        "cell_b_ang": cell[1] if cell else None,
        "cell_c_ang": cell[2] if cell else None,
        "cell_beta_deg": cell[4] if cell else None,
        "cell_note": "; ".join(predicted.extrapolation),
    }

"""The columns of a screening table: names, types, meanings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from nasicon_struct.screening.stability import NUMBERS

Kind = Literal["integer", "number", "text", "label", "boolean"]

#: Candidates that are possible NASICON, that break a rule, and that cannot be read.
STATUSES: Final = ("possible", "rejected", "unreadable")


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    kind : str
        ``integer``, ``number``, ``text``, ``label`` (a text that many rows share) or ``boolean``.
    meaning : str
        What it holds, with the unit.
    """

    kind: Kind
    meaning: str


_STABILITY: Final = {
    "hull_energy_ev_per_atom": "formation energy of the equilibrium assemblage of the composition, eV/atom",
    "e_above_hull_ev_per_atom": "energy above the hull, eV/atom, where the entries hold the composition",
    "e_above_hull_low_ev_per_atom": "lower end of its 95 % interval, eV/atom",
    "e_above_hull_high_ev_per_atom": "upper end of its 95 % interval, eV/atom",
    "probability_stable": "share of the samples of the error model in which it is on the hull",
    "reduction_v": "lower limit of the stability window, V, of a composition on the hull",
    "reduction_low_v": "lower end of its 95 % interval, V, over samples that put it on the hull",
    "reduction_high_v": "upper end of its 95 % interval, V, over samples that put it on the hull",
    "oxidation_v": "upper limit of the stability window, V, of a composition on the hull",
    "oxidation_low_v": "lower end of its 95 % interval, V, over samples that put it on the hull",
    "oxidation_high_v": "upper end of its 95 % interval, V, over samples that put it on the hull",
    "assemblage_reduction_v": "lower limit of the window of the equilibrium assemblage, V",
    "assemblage_oxidation_v": "upper limit of the window of the equilibrium assemblage, V",
}
assert tuple(_STABILITY) == NUMBERS

#: Columns of every table, in order.
COLUMNS: Final[dict[str, Column]] = {
    "candidate": Column("integer", "number of the candidate, from 0, in the order given"),
    "input": Column("text", "candidate as given, cut after 200 characters"),
    "formula": Column("text", "canonical formula per O12, exact"),
    "status": Column("label", "possible, rejected (breaks a rule of NASICON) or unreadable"),
    "reason": Column("text", "why it is not possible; empty where it is"),
    "neutral": Column("boolean", "whether the net charge is exactly zero"),
    "net_charge": Column("number", "net charge per O12, elementary charges"),
    "na_needed": Column("number", "Na per O12 that makes the rest neutral"),
    "na": Column("number", "Na per O12"),
    "zr": Column("number", "Zr per O12"),
    "si": Column("number", "Si per O12"),
    "p": Column("number", "P per O12"),
    "m_site": Column("text", "M site (sums to 2 per O12)"),
    "t_site": Column("text", "T site (sums to 3 per O12)"),
    "m_sum": Column("number", "atoms on the M site per O12"),
    "t_sum": Column("number", "atoms on the T site per O12"),
    "m_radius_mean_ang": Column("number", "mean Shannon radius on the M site, angstrom"),
    "m_radius_spread_ang": Column("number", "standard deviation of the radius on the M site, angstrom"),
    "phase": Column("label", "monoclinic, rhombohedral or undetermined, from the composition"),
    "probability_monoclinic": Column("number", "probability of C2/c"),
    "transition_temperature_k": Column("number", "transition temperature of the phase model, K"),
    "transition_temperature_se_k": Column("number", "its standard error, K"),
    **{name: Column("number", meaning) for name, meaning in _STABILITY.items()},
    "energy_source": Column("label", "set of energies; rows of different sets are not comparable"),
    "competing_phases": Column("label", "phases of the equilibrium assemblage"),
    "stability_note": Column("label", "what limits the window, or why a number is missing"),
    "literature_formula": Column("label", "nearest composition with a measured conductivity"),
    "literature_distance": Column("number", "distance to it: 1 is 0.2 Na, Si or dopant per O12"),
    "literature_sigma_s_per_cm": Column("number", "its measured conductivity (median), S/cm"),
    "literature_sigma_low_s_per_cm": Column("number", "lowest value measured, S/cm"),
    "literature_sigma_high_s_per_cm": Column("number", "highest value measured, S/cm"),
    "literature_sources": Column("label", "where it was measured"),
}

#: Further columns with ``predicted_cell``.
CELL_COLUMNS: Final[dict[str, Column]] = {
    "a_h_ang": Column("number", "predicted hexagonal (or nearest hexagonal) a, angstrom"),
    "a_h_error_ang": Column("number", "its error, angstrom"),
    "c_h_ang": Column("number", "predicted hexagonal (or nearest hexagonal) c, angstrom"),
    "c_h_error_ang": Column("number", "its error, angstrom"),
    "cell_a_ang": Column("number", "predicted a in the setting of the phase, angstrom"),
    "cell_b_ang": Column("number", "predicted b in the setting of the phase, angstrom"),
    "cell_c_ang": Column("number", "predicted c in the setting of the phase, angstrom"),
    "cell_beta_deg": Column("number", "predicted beta in the setting of the phase, degree"),
    "cell_note": Column("text", "where the prediction leaves the range of the literature"),
}

#: Column of the Pareto rank, with ``pareto``.
PARETO_COLUMN: Final = "pareto_rank"


def columns_of(*, predicted_cell: bool = False, variables: tuple[str, ...] = ()) -> dict[str, Column]:
    """Return the columns of a run, in order."""
    found = dict(COLUMNS)
    for name in variables:
        found[name] = Column("number", f"value of the variable {name} of the series")
    return found | (CELL_COLUMNS if predicted_cell else {})

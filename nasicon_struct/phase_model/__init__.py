"""Monoclinic or rhombohedral from composition and temperature: a model of the transition temperature.

A NASICON is monoclinic (C2/c) below its transition temperature and rhombohedral (R-3c) above. The model
writes that temperature as a sum of readable terms,

    T_c = sum_k w_k phi_k(composition) + sum_el u_el d_el / (d_el + 0.3) + g(composition),

with the features phi of :func:`composition_features`, one small term per M-site element (d_el is its
amount per O12, zirconium excepted) and a local correction g (a Gaussian process over the compositions,
with values at the literature compositions near the boundary), and turns it into a probability at T,

    P(monoclinic) = eps + (1 - 2 eps) sigmoid((T_c - T) / sqrt(s^2 + (pi/8) var(T_c))).

``s`` is the width of the zone in which laboratories disagree, ``eps`` the share of labels that are wrong
wherever they are, ``var(T_c)`` the posterior variance of the coefficients: far from the literature, or with
an element that no paper in the table used, the variance is large and the probability goes to 1/2.

The coefficients and their covariance are in ``structures/tables/phase_model.json``;
``scripts/fit_phase_model.py`` fits them to ``literature_phases.csv`` and ``transition_temperatures.csv``.
"""

from __future__ import annotations

from nasicon_struct.phase_model.features import (
    FEATURES,
    NominalComposition,
    composition_distance,
    composition_features,
    element_features,
    nominal_composition,
)
from nasicon_struct.phase_model.literature import (
    LiteratureNeighbour,
    LiteratureRow,
    literature_rows,
    nearest_literature,
)
from nasicon_struct.phase_model.maps import PhaseMap, ProbabilityCurve, phase_map, probability_curve
from nasicon_struct.phase_model.model import PhaseModel, load_phase_model
from nasicon_struct.phase_model.predict import CompositionPhase, composition_phase

__all__ = [
    "FEATURES",
    "CompositionPhase",
    "LiteratureNeighbour",
    "LiteratureRow",
    "NominalComposition",
    "PhaseMap",
    "PhaseModel",
    "ProbabilityCurve",
    "composition_distance",
    "composition_features",
    "composition_phase",
    "element_features",
    "literature_rows",
    "load_phase_model",
    "nearest_literature",
    "nominal_composition",
    "phase_map",
    "probability_curve",
]

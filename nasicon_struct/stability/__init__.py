"""Phase diagrams open to an element: exact windows, profiles, arrays, uncertainty."""

from __future__ import annotations

from nasicon_struct.stability.batch import WindowTable, energies_above_hull, hull_energies, windows
from nasicon_struct.stability.error_model import ErrorModel, error_model, fit_error_model
from nasicon_struct.stability.grand import chemical_potentials_absolute_ev, grand_potential_diagram
from nasicon_struct.stability.profiles import ProfileTable, voltage_profiles
from nasicon_struct.stability.published import PublishedWindow, published_windows
from nasicon_struct.stability.reactions import PhaseAmount
from nasicon_struct.stability.reservoirs import Reservoir, gas_reservoir, parse_reservoir, saturated
from nasicon_struct.stability.result import (
    CompetitorEffect,
    ElementProfile,
    ProfileRow,
    StabilityWindow,
    WindowStep,
    WindowUncertainty,
)
from nasicon_struct.stability.variants import (
    ToleranceWindow,
    TopotacticWindow,
    tolerance_window,
    topotactic_window,
)
from nasicon_struct.stability.window import element_profile, stability_window

__all__ = [
    "CompetitorEffect",
    "ElementProfile",
    "ErrorModel",
    "PhaseAmount",
    "ProfileRow",
    "ProfileTable",
    "PublishedWindow",
    "Reservoir",
    "StabilityWindow",
    "ToleranceWindow",
    "TopotacticWindow",
    "WindowStep",
    "WindowTable",
    "WindowUncertainty",
    "chemical_potentials_absolute_ev",
    "element_profile",
    "energies_above_hull",
    "error_model",
    "fit_error_model",
    "gas_reservoir",
    "grand_potential_diagram",
    "hull_energies",
    "parse_reservoir",
    "published_windows",
    "saturated",
    "stability_window",
    "tolerance_window",
    "topotactic_window",
    "voltage_profiles",
    "windows",
]

"""What composition and temperature alone say about the phase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monty.json import MSONable

from nasicon_struct.errors import CompositionError
from nasicon_struct.phase_model.features import ELEMENT_HALF_AMOUNT, NominalComposition, nominal_composition
from nasicon_struct.phase_model.literature import LiteratureNeighbour, nearest_literature
from nasicon_struct.phase_model.model import PhaseModel, load_phase_model
from nasicon_struct.units import ROOM_TEMPERATURE_K


@dataclass(frozen=True, kw_only=True)
class CompositionPhase(MSONable):
    """What composition and temperature alone say about the phase.

    Attributes
    ----------
    formula : str
        Per O12.
    temperature_k : float
    probability_monoclinic : float
        0 to 1.
    transition_temperature_k, transition_temperature_se_k : float
        Transition temperature and its standard uncertainty, K. Where the composition is rhombohedral down to
        any temperature the value is only the latent variable of the model: small, or negative.
    terms_k : dict of str to float
        Contribution of each term to the transition temperature, K; zero terms are left out.
    nearest_literature : tuple of LiteratureNeighbour
        Nearest compositions of the literature table, nearest first.
    extrapolation : tuple of str
        What lies outside the literature, a sentence each; each has widened the uncertainty.
    """

    formula: str
    temperature_k: float
    probability_monoclinic: float
    transition_temperature_k: float
    transition_temperature_se_k: float
    terms_k: dict[str, float]
    nearest_literature: tuple[LiteratureNeighbour, ...]
    extrapolation: tuple[str, ...]

    def __post_init__(self) -> None:
        neighbours = (
            LiteratureNeighbour.from_dict(dict(n)) if isinstance(n, Mapping) else n
            for n in self.nearest_literature
        )
        object.__setattr__(self, "nearest_literature", tuple(neighbours))
        object.__setattr__(self, "extrapolation", tuple(self.extrapolation))


def _extrapolation(
    model: PhaseModel, composition: NominalComposition, nearest: Sequence[LiteratureNeighbour]
) -> list[str]:
    said = []
    for symbol, amount in composition.m_site.items():
        if symbol != "Zr" and symbol not in model.elements:
            said.append(
                f"no paper in the literature table used {symbol} on the M site ({amount:.3g} per O12): its "
                "own effect on the "
                "transition is unknown (taken as 0 +- "
                f"{model.element_sd_k * amount / (amount + ELEMENT_HALF_AMOUNT):.0f} K)"
            )
    for symbol, amount in composition.t_site.items():
        if symbol not in ("Si", "P"):
            said.append(
                f"no paper in the literature table used {symbol} on the T site ({amount:.3g} per O12)"
            )
    if nearest and nearest[0].distance > 3.0:
        said.append(
            f"the nearest literature composition, {nearest[0].formula}, is far away (distance "
            f"{nearest[0].distance:.1f}, "
            "where 1 is 0.2 Na, Si or dopant per O12)"
        )
    return said


def composition_phase(
    obj: Any,
    *,
    temperature_k: float = ROOM_TEMPERATURE_K,
    oxidation_states: Mapping[str, Any] | None = None,
    model: PhaseModel | None = None,
) -> CompositionPhase:
    """Return what composition and temperature say about the phase.

    Parameters
    ----------
    obj : str, pymatgen Composition or Structure, ASE Atoms, NasiconComposition, mapping, NominalComposition
    temperature_k : float
        Kelvin.
    oxidation_states : mapping of str to number, optional
        Formal charges that replace the table's.
    model : PhaseModel, optional
        Another set of coefficients (for leave-one-source-out scores).

    Raises
    ------
    CompositionError
        If it is no NASICON formula or the temperature is not positive.

    Examples
    --------
    >>> composition_phase("Na3Zr2Si2PO12").probability_monoclinic > 0.9
    True
    >>> composition_phase("NaZr2P3O12").probability_monoclinic < 0.1
    True
    """
    if not (math.isfinite(temperature_k) and temperature_k > 0):
        raise CompositionError(f"the temperature must be positive and in kelvin, got {temperature_k}")
    model = model or load_phase_model()
    composition = (
        obj
        if isinstance(obj, NominalComposition)
        else nominal_composition(obj, oxidation_states=oxidation_states)
    )
    transition, se = model.transition_temperature(composition)
    nearest = nearest_literature(composition)
    return CompositionPhase(
        formula=composition.formula,
        temperature_k=float(temperature_k),
        probability_monoclinic=model.probability(transition, se, temperature_k),
        transition_temperature_k=transition,
        transition_temperature_se_k=se,
        terms_k=model.terms(composition),
        nearest_literature=nearest,
        extrapolation=tuple(_extrapolation(model, composition, nearest)),
    )

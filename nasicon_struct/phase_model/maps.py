"""The probability over composition and over temperature, for tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from monty.json import MSONable
from numpy.typing import ArrayLike

from nasicon_struct.composition import NasiconComposition
from nasicon_struct.errors import CompositionError
from nasicon_struct.phase_model.features import nominal_composition
from nasicon_struct.phase_model.model import load_phase_model
from nasicon_struct.units import ROOM_TEMPERATURE_K


@dataclass(frozen=True, kw_only=True)
class ProbabilityCurve(MSONable):
    """P(monoclinic) of one composition against temperature.

    Attributes
    ----------
    formula : str
        Per O12.
    temperatures_k, probability_monoclinic : tuple of float
        Kelvin; 0 to 1.
    transition_temperature_k, transition_temperature_se_k : float
        Kelvin.
    """

    formula: str
    temperatures_k: tuple[float, ...]
    probability_monoclinic: tuple[float, ...]
    transition_temperature_k: float
    transition_temperature_se_k: float

    def __post_init__(self) -> None:
        for name in ("temperatures_k", "probability_monoclinic"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class PhaseMap(MSONable):
    """P(monoclinic) over Si content and amount of one dopant.

    Attributes
    ----------
    dopant : str
        M-site element.
    x_si, amounts : tuple of float
        Si and dopant per O12.
    probability_monoclinic : tuple of tuple of float, shape (n_amounts, n_x_si)
        NaN where no Na content between 0 and 4 makes the composition neutral.
    na : tuple of tuple of float, same shape
        Na per O12.
    temperature_k : float
    """

    dopant: str
    x_si: tuple[float, ...]
    amounts: tuple[float, ...]
    probability_monoclinic: tuple[tuple[float, ...], ...]
    na: tuple[tuple[float, ...], ...]
    temperature_k: float

    def __post_init__(self) -> None:
        for name in ("x_si", "amounts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("probability_monoclinic", "na"):
            object.__setattr__(self, name, tuple(tuple(row) for row in getattr(self, name)))


def probability_curve(obj: Any, temperatures_k: ArrayLike | None = None) -> ProbabilityCurve:
    """Return P(monoclinic) of a composition against temperature.

    Parameters
    ----------
    obj : str, pymatgen Composition or Structure, ASE Atoms, NasiconComposition or mapping
    temperatures_k : array_like, shape (n,), optional
        Kelvin; 200 to 600 K when absent.

    Raises
    ------
    CompositionError
        If it is no NASICON formula or a temperature is not positive.
    """
    temperatures = np.linspace(200.0, 600.0, 201) if temperatures_k is None else np.asarray(temperatures_k)
    temperatures = np.atleast_1d(temperatures.astype(float))
    if not (np.all(np.isfinite(temperatures)) and np.all(temperatures > 0)):
        raise CompositionError("temperatures must be positive and in kelvin")
    composition = nominal_composition(obj)
    model = load_phase_model()
    transition, se = model.transition_temperature(composition)
    return ProbabilityCurve(
        formula=composition.formula,
        temperatures_k=tuple(temperatures.tolist()),
        probability_monoclinic=tuple(model.probability(transition, se, t) for t in temperatures.tolist()),
        transition_temperature_k=transition,
        transition_temperature_se_k=se,
    )


def phase_map(
    dopant: str = "Sc",
    *,
    x_si: Sequence[float] | None = None,
    amounts: Sequence[float] | None = None,
    temperature_k: float = ROOM_TEMPERATURE_K,
) -> PhaseMap:
    """Return P(monoclinic) over Si content and amount of a dopant; Na follows from neutrality.

    Parameters
    ----------
    dopant : str
        M-site element, for example ``"Sc"``.
    x_si, amounts : sequences of float, optional
        Si (0 to 3 when absent) and dopant (0 to 1) per O12.
    temperature_k : float

    Raises
    ------
    CompositionError
        If the element is no dopant of the M site or a value is out of range.
    """
    x_values = [round(0.05 * i, 10) for i in range(61)] if x_si is None else [float(x) for x in x_si]
    d_values = [round(0.025 * i, 10) for i in range(41)] if amounts is None else [float(d) for d in amounts]
    if not (np.isfinite(temperature_k) and temperature_k > 0):
        raise CompositionError(f"the temperature must be positive and in kelvin, got {temperature_k}")
    model = load_phase_model()
    probability, sodium = [], []
    for amount in d_values:
        p_row, na_row = [], []
        for x in x_values:
            try:
                composition = NasiconComposition.from_dopants({dopant: amount} if amount else {}, x_si=x)
            except CompositionError as error:
                if "neutrality" not in str(error):
                    raise
                p_row.append(float("nan"))
                na_row.append(float("nan"))
                continue
            nominal = nominal_composition(composition)
            p_row.append(model.probability(*model.transition_temperature(nominal), temperature_k))
            na_row.append(nominal.na)
        probability.append(tuple(p_row))
        sodium.append(tuple(na_row))
    return PhaseMap(
        dopant=dopant,
        x_si=tuple(x_values),
        amounts=tuple(d_values),
        probability_monoclinic=tuple(probability),
        na=tuple(sodium),
        temperature_k=float(temperature_k),
    )

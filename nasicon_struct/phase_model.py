"""Monoclinic or rhombohedral from composition and temperature: a model of the transition temperature.

A NASICON is monoclinic (C2/c) below its transition temperature and rhombohedral (R-3c) above. The model
writes that temperature as a sum of readable terms,

    T_c = sum_k w_k phi_k(composition) + sum_el u_el d_el / (d_el + 0.3),

with the features phi of :func:`composition_features` and one small term per M-site element (d_el is its
amount per O12, zirconium excepted), and turns it into a probability at the temperature T,

    P(monoclinic) = eps + (1 - 2 eps) sigmoid((T_c - T) / sqrt(s^2 + (pi/8) var(T_c))).

``s`` is the width of the zone in which laboratories disagree, ``eps`` the share of labels that are wrong
wherever they are, ``var(T_c)`` the posterior variance of the coefficients: far from the literature, or with
an element that no paper in the table used, the variance is large and the probability goes to 1/2.

The coefficients and their covariance are in ``structures/tables/phase_model.json``;
``scripts/fit_phase_model.py`` fits them to ``literature_phases.csv`` and ``transition_temperatures.csv``.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from monty.json import MSONable
from numpy.typing import NDArray

from nasicon_struct import reference
from nasicon_struct.composition import NasiconComposition, charge_balance, element_sites
from nasicon_struct.errors import ChargeBalanceError, CompositionError, ReferenceDataError
from nasicon_struct.units import ROOM_TEMPERATURE_K

FloatArray = NDArray[np.float64]

#: Radius of Zr4+ in octahedral coordinate, angstrom (Shannon 1976); the M-site radius is counted from it.
ZR_RADIUS_ANG: Final = 0.72
#: Amount per O12 at which the term of an M-site element reaches half its full size.
ELEMENT_HALF_AMOUNT: Final = 0.3
#: A printed formula may miss neutrality by this much per O12 (rounded occupancies, oxygen deficiency).
CHARGE_TOLERANCE: Final = 0.25
#: ... and its M and T sites may miss 2 and 3 by this much (zirconium-deficient compositions, 1.58 to 2).
SITE_TOLERANCE: Final = 0.45

#: Feature -> what it is. Each weight is in kelvin per unit of the feature.
FEATURES: Final[dict[str, str]] = {
    "constant": "1: the transition temperature of Na3Zr2Si2PO12",
    "na_deficit": "Na missing from 3 per O12, max(0, 3 - n_Na)",
    "na_excess": "Na above 3 per O12, max(0, n_Na - 3)",
    "si_deficit": "Si missing from 2 per O12, max(0, 2 - n_Si)",
    "m_mixing": "mixing on the M site, 1 - sum of squared fractions (0 for one element)",
    "m_divalent": "divalent M ions per O12",
    "m_radius_shift": "mean M-site radius minus that of Zr4+, in units of 0.1 angstrom",
    "m_radius_spread": "standard deviation of the M-site radius, in units of 0.1 angstrom",
    "m_vacancy": "vacant M sites per O12, max(0, 2 - n_M)",
    "ordered_phosphate": "1 for Na3M2(PO4)3 with one trivalent M; 0 beyond 0.1 Na, 0.1 Si or 10 % other M",
}


@dataclass(frozen=True, kw_only=True)
class NominalComposition(MSONable):
    """A composition as printed, per O12, not necessarily neutral or with full sites.

    Attributes
    ----------
    formula : str
        Scaled to 12 O.
    na, x_si : float
        Na and Si per O12.
    m_site, t_site : dict of str to float
        Amounts per O12.
    oxidation_states : dict of str to float
    net_charge : float
        Elementary charges per O12.
    problems : tuple of str
        Rules of the NASICON formula it breaks, within the tolerance.
    """

    formula: str
    na: float
    x_si: float
    m_site: dict[str, float]
    t_site: dict[str, float]
    oxidation_states: dict[str, float]
    net_charge: float
    problems: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", tuple(self.problems))


def nominal_composition(obj: Any, *, oxidation_states: Mapping[str, Any] | None = None) -> NominalComposition:
    """Read a composition as a paper prints it; a small lack of charge or occupation is kept, and said.

    Parameters
    ----------
    obj : str, pymatgen Composition or Structure, ASE Atoms, NasiconComposition, or mapping
    oxidation_states : mapping of str to number, optional
        Formal charges that replace the table's.

    Raises
    ------
    ChargeBalanceError
        If the net charge is more than 0.25 per O12.
    CompositionError
        If it is no NASICON formula.
    """
    if isinstance(obj, NasiconComposition) and oxidation_states is None:
        oxidation_states = obj.oxidation_states
    balance = charge_balance(obj, oxidation_states=oxidation_states)
    sites = {name: sum(amounts.values()) for name, amounts in balance.sites.items()}
    if abs(balance.net_charge) > CHARGE_TOLERANCE:
        raise ChargeBalanceError(
            f"{balance.formula} has a net charge of {balance.net_charge:+.3g} per O12, so its phase means "
            "nothing; "
            f"check the formula or the oxidation states (neutral with Na {balance.na_needed:.4g})",
            balance.net_charge,
            balance.na_needed,
        )
    for name, full in (("M", 2.0), ("T", 3.0)):
        if abs(sites[name] - full) > SITE_TOLERANCE:
            raise CompositionError(
                f"{balance.formula} is no NASICON: its {name} site holds {sites[name]:.4g} per O12 instead "
                f"of {full:g}"
            )
    if sites["Na"] > 4.0 + SITE_TOLERANCE:
        raise CompositionError(
            f"{balance.formula} is no NASICON: Na is {sites['Na']:.4g} per O12, at most 4 fit"
        )
    return NominalComposition(
        formula=balance.formula,
        na=sites["Na"],
        x_si=balance.sites["T"].get("Si", 0.0),
        m_site=dict(balance.sites["M"]),
        t_site=dict(balance.sites["T"]),
        oxidation_states=dict(balance.oxidation_states),
        net_charge=balance.net_charge,
        problems=balance.problems,
    )


def composition_features(composition: NominalComposition) -> dict[str, float]:
    """Return the features of :data:`FEATURES` of a composition, by name."""
    known = element_sites()
    total = sum(composition.m_site.values())
    fractions = {symbol: amount / total for symbol, amount in composition.m_site.items()}
    radii = {symbol: known[symbol].radius_ang or ZR_RADIUS_ANG for symbol in fractions}
    mean = sum(f * radii[s] for s, f in fractions.items())
    spread = math.sqrt(max(0.0, sum(f * (radii[s] - mean) ** 2 for s, f in fractions.items())))
    main = max(fractions, key=lambda s: fractions[s])
    p_fraction = composition.t_site.get("P", 0.0) / sum(composition.t_site.values())
    ordered = (
        max(0.0, 1.0 - abs(composition.na - 3.0) / 0.1)
        * max(0.0, 1.0 - 3.0 * (1.0 - p_fraction) / 0.1)
        * max(0.0, 1.0 - (1.0 - fractions[main]) / 0.1)
        * float(composition.oxidation_states[main] == 3)
    )
    return {
        "constant": 1.0,
        "na_deficit": max(0.0, 3.0 - composition.na),
        "na_excess": max(0.0, composition.na - 3.0),
        "si_deficit": max(0.0, 2.0 - composition.x_si),
        "m_mixing": 1.0 - sum(f * f for f in fractions.values()),
        "m_divalent": sum(n for s, n in composition.m_site.items() if composition.oxidation_states[s] == 2),
        "m_radius_shift": (mean - ZR_RADIUS_ANG) / 0.1,
        "m_radius_spread": spread / 0.1,
        "m_vacancy": max(0.0, 2.0 - total),
        "ordered_phosphate": ordered,
    }


def element_features(composition: NominalComposition) -> dict[str, float]:
    """Return d / (d + 0.3) of each M-site element other than Zr, d being its amount per O12."""
    return {
        symbol: amount / (amount + ELEMENT_HALF_AMOUNT)
        for symbol, amount in composition.m_site.items()
        if symbol != "Zr" and amount > 0
    }


@dataclass(frozen=True, kw_only=True)
class LiteratureNeighbour(MSONable):
    """A composition of the literature table near the one asked for.

    Attributes
    ----------
    formula : str
        As printed.
    phase : str
        What the paper found: monoclinic, rhombohedral, mixed, borderline or other.
    temperature_k : float
    distance : float
        0 for the same composition; 1 for a difference of 0.2 Na, 0.2 Si or 0.2 of one M-site element.
    source : str
        Printable citation.
    """

    formula: str
    phase: str
    temperature_k: float
    distance: float
    source: str


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


@dataclass(frozen=True)
class PhaseModel:
    """Coefficients of the transition-temperature model.

    Attributes
    ----------
    features, elements : tuple of str
        Names of the coefficients: features first, then M-site elements.
    weights_k : ndarray of shape (n_features + n_elements,)
        Coefficients, K per unit of the feature.
    covariance_k2 : ndarray of shape (n, n)
        Their posterior covariance, K^2.
    scale_k : float
        Width s of the logistic, K.
    label_noise : float
        Share eps of labels that are wrong wherever they are.
    element_sd_k : float
        Prior standard deviation of an element term, K; used for an element never seen.
    tetrahedral_sd_k : float
        The same for a T-site element other than Si and P, per full T site, K.
    """

    features: tuple[str, ...]
    elements: tuple[str, ...]
    weights_k: FloatArray
    covariance_k2: FloatArray
    scale_k: float
    label_noise: float
    element_sd_k: float
    tetrahedral_sd_k: float

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> PhaseModel:
        """Make the model from the content of ``phase_model.json``."""
        names = tuple(d["features"]), tuple(d["elements"])
        if set(names[0]) != set(FEATURES):
            raise ReferenceDataError(
                f"phase_model.json holds the features {sorted(names[0])}, this version computes "
                f"{sorted(FEATURES)}; "
                "run scripts/fit_phase_model.py"
            )
        weights = [entry["weight_k"] for block in (d["features"], d["elements"]) for entry in block.values()]
        return cls(
            features=names[0],
            elements=names[1],
            weights_k=np.array(weights, dtype=float),
            covariance_k2=np.array(d["covariance_k2"], dtype=float),
            scale_k=float(d["scale_k"]),
            label_noise=float(d["label_noise"]),
            element_sd_k=float(d["element_prior_sd_k"]),
            tetrahedral_sd_k=float(d["tetrahedral_prior_sd_k"]),
        )

    def row(self, composition: NominalComposition) -> FloatArray:
        """Return the design row of a composition, shape ``(n_features + n_elements,)``."""
        features, elements = composition_features(composition), element_features(composition)
        return np.array(
            [features[name] for name in self.features] + [elements.get(name, 0.0) for name in self.elements]
        )

    def transition_temperature(self, composition: NominalComposition) -> tuple[float, float]:
        """Return the transition temperature and its standard uncertainty, K."""
        row = self.row(composition)
        variance = float(row @ self.covariance_k2 @ row)
        for symbol, value in element_features(composition).items():
            if symbol not in self.elements:
                variance += (self.element_sd_k * value) ** 2
        total = sum(composition.t_site.values())
        for symbol, amount in composition.t_site.items():
            if symbol not in ("Si", "P"):
                variance += (self.tetrahedral_sd_k * amount / total) ** 2
        return float(row @ self.weights_k), math.sqrt(variance)

    def probability(self, transition_k: float, transition_se_k: float, temperature_k: float) -> float:
        """Return P(monoclinic) at a temperature, given the transition temperature and its uncertainty."""
        z = (transition_k - temperature_k) / math.hypot(
            self.scale_k, math.sqrt(math.pi / 8) * transition_se_k
        )
        logistic = 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, z))))
        return self.label_noise + (1.0 - 2.0 * self.label_noise) * logistic

    def terms(self, composition: NominalComposition) -> dict[str, float]:
        """Return the contribution of each term that is not zero to the transition temperature, K."""
        values = self.row(composition) * self.weights_k
        return {
            name: float(value)
            for name, value in zip(self.features + self.elements, values, strict=True)
            if value
        }


@functools.lru_cache(maxsize=4)
def _load_model(path: str, _mtime_ns: int) -> PhaseModel:
    return PhaseModel.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def load_phase_model() -> PhaseModel:
    """Return the model of ``structures/tables/phase_model.json``.

    Raises
    ------
    ReferenceDataError
        If the file is missing or belongs to another version.
    """
    path = reference.structures_dir() / "tables" / "phase_model.json"
    if not path.is_file():
        raise ReferenceDataError(f"{path} is missing; install the package again")
    return _load_model(str(path), path.stat().st_mtime_ns)


@dataclass(frozen=True)
class LiteratureRow:
    """One row of ``literature_phases.csv`` whose formula can be read."""

    composition: NominalComposition
    phase: str
    label: str
    temperature_k: float
    confidence: str
    scored: bool
    source_key: str
    source: str
    formula: str


@functools.cache
def literature_rows() -> tuple[LiteratureRow, ...]:
    """Return the rows of the literature table that are NASICON formulas within the tolerances."""
    rows = []
    for row in reference.read_rows("literature_phases"):
        try:
            composition = nominal_composition(row["formula"])
        except CompositionError:
            continue
        rows.append(
            LiteratureRow(
                composition=composition,
                phase=row["phase"],
                label=row["label"],
                temperature_k=float(row["temperature_k"]),
                confidence=row["confidence"],
                scored=row["score"] == "yes",
                source_key=row["source_key"],
                source=row["source"],
                formula=row["formula"],
            )
        )
    return tuple(rows)


def composition_distance(first: NominalComposition, second: NominalComposition) -> float:
    """Return a distance between compositions: 1 for 0.2 Na, 0.2 Si, or 0.2 of one M- or T-site element."""
    square = ((first.na - second.na) / 0.2) ** 2 + ((first.x_si - second.x_si) / 0.2) ** 2
    for one, other in ((first.m_site, second.m_site), (first.t_site, second.t_site)):
        for symbol in (set(one) | set(other)) - {"Zr", "Si", "P"}:
            square += ((one.get(symbol, 0.0) - other.get(symbol, 0.0)) / 0.2) ** 2
    return math.sqrt(square)


def nearest_literature(composition: NominalComposition, *, n: int = 4) -> tuple[LiteratureNeighbour, ...]:
    """Return the ``n`` rows of the literature table nearest to a composition, nearest first."""
    ranked = sorted(
        ((composition_distance(composition, row.composition), i) for i, row in enumerate(literature_rows()))
    )
    rows = literature_rows()
    return tuple(
        LiteratureNeighbour(
            formula=rows[i].formula,
            phase=rows[i].phase,
            temperature_k=rows[i].temperature_k,
            distance=distance,
            source=rows[i].source,
        )
        for distance, i in ranked[:n]
    )


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

"""How wrong the energies of a level of theory are, learnt from measured formation enthalpies.

The error of a phase (computed minus true formation energy, eV per atom) is modelled as Gaussian with
covariance

    cov(i, j) = [same anion] (s_anion^2 a_i a_j + s_bond^2 4 a_i a_j sum_c x_ic x_jc)
                + [same anion] s_phase^2 exp(-|x_i - x_j|^2 / 2 l^2)

with x the atomic fractions, a the fraction of the anion (O; else S; else P and Sb; else none) and c the
cations. The first term is an error common to all phases of one anion (the anion correction), the second one
per pair of cation and anion (how a P-S or an Sb-S bond is described), the third that of the single phase,
shared by phases near in composition. Elements have no error: they are the reference. The five scales maximise
the marginal likelihood of the measured enthalpies times a weak prior; leaving out one compound at a time
checks the result.

A potential is also held against density-functional rows of the functional it was fitted to, where a compound
has one and no measured enthalpy: they enter as measurements do, with the error of the functional itself against
measurement as their standard error. The scales are learnt without them: a potential and the functional it was
fitted to err alike, so that their differences are smaller than the error of either.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.entries import (
    DEFAULT_SOURCE,
    EntrySet,
    composition_key,
    entry_source,
    list_entry_sources,
    load_entries,
)
from nasicon_struct.errors import EntriesError
from nasicon_struct.formula import parse_formula
from nasicon_struct.units import KJ_PER_MOL_PER_EV

#: Fewer measured compounds than this do not make an error model: five scales are fitted to them.
MIN_COMPOUNDS: Final = 20
#: Smallest standard error of a measured enthalpy, eV per atom (also covers 0 K against 298 K).
_MEASURED_FLOOR_EV: Final = 0.005
#: Enthalpy of black phosphorus relative to white, the reference of the tables, eV per atom, and its standard error:
#: -21.2(2.1) kJ/mol, P. A. G. O'Hare, B. M. Lewis, I. Shirotani, J. Chem. Thermodyn. 20 (1988) 681. Computed
#: formation energies refer to black phosphorus.
_BLACK_P_EV: Final = (-0.2197, 0.0218)
_ANIONS: Final[tuple[tuple[str, ...], ...]] = (("O",), ("S",), ("P", "Sb"), ())
#: Medians of the prior (log-normal, factor e): anion and bond terms in eV per atom of anion, the error of a
#: single phase after G. Hautier, S. P. Ong, A. Jain, C. J. Moore, G. Ceder, Phys. Rev. B 85 (2012) 155208
#: (24 meV per atom), of phases without O or S, and the length in atomic fraction.
_PRIOR: Final = np.array([0.3, 0.2, 0.024, 0.07, 0.15])
_PRIOR_LOG_SD: Final = 1.0
#: Least standard error of a density-functional row against the truth, eV per atom: as the prior of a single phase.
_DFT_FLOOR_EV: Final = 0.024
#: What a DFT row costs for not being relaxed with GPAW, eV per atom, by the ending of its identifier: root mean squares
#: of the forms where it is known (docs/energies.md), for cells relaxed in DFT by a database and for those of the potential.
_DFT_GEOMETRY_EV: Final = {"relaxed": 0.0, "start": 0.005}
_POTENTIAL_GEOMETRY_EV: Final = 0.049

_Key = tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class ErrorModel(MSONable):
    """Error of a level of theory.

    Attributes
    ----------
    source : str
        Entry set it was learnt from.
    scale_anion_ev, scale_bond_ev : float
        Standard deviations of the anion and the bond terms, eV per atom of anion.
    scale_phase_ev, scale_phase_other_ev : float
        Standard deviation of the single phase, eV per atom, with and without O or S.
    length : float
        Distance in atomic fractions over which phases share their error.
    formulas : tuple of str
        Measured compounds.
    errors_ev_per_atom, measured_se_ev_per_atom : tuple of float
        Computed minus measured enthalpy, and the standard error of the measured one, eV per atom.
    dft_formulas : tuple of str
        Compounds without a measured enthalpy that are held against a density-functional level instead.
    dft_errors_ev_per_atom, dft_se_ev_per_atom : tuple of float
        Computed minus density-functional formation energy, and the standard error of the latter against the
        truth, eV per atom.
    loo_rmse_ev_per_atom, loo_coverage_95, loo_coverage_68 : float
        Leave-one-compound-out over the measured compounds: root mean square error of the predicted error, and
        the share of compounds within their 95 % and 68 % intervals. NaN without compounds.
    assumed : bool
        Whether the scales are taken over from ``DEFAULT_SOURCE``, for lack of measured compounds in this one.
    """

    source: str
    scale_anion_ev: float
    scale_bond_ev: float
    scale_phase_ev: float
    scale_phase_other_ev: float
    length: float
    formulas: tuple[str, ...] = ()
    errors_ev_per_atom: tuple[float, ...] = ()
    measured_se_ev_per_atom: tuple[float, ...] = ()
    dft_formulas: tuple[str, ...] = ()
    dft_errors_ev_per_atom: tuple[float, ...] = ()
    dft_se_ev_per_atom: tuple[float, ...] = ()
    loo_rmse_ev_per_atom: float = math.nan
    loo_coverage_95: float = math.nan
    loo_coverage_68: float = math.nan
    assumed: bool = False

    def __post_init__(self) -> None:
        lists = ("formulas", "errors_ev_per_atom", "measured_se_ev_per_atom")
        for name in (*lists, "dft_formulas", "dft_errors_ev_per_atom", "dft_se_ev_per_atom"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def mean_absolute_error_ev_per_atom(self) -> float:
        """Mean absolute error against the measured enthalpies, eV per atom; NaN without compounds."""
        return float(np.mean(np.abs(self.errors_ev_per_atom))) if self.errors_ev_per_atom else math.nan

    def describe(self) -> str:
        """Return the model in one sentence."""
        if self.assumed:
            held = f", conditioned on {len(self.formulas)} measured enthalpies" if self.formulas else ""
            return (
                f"scales of the error assumed from those of {DEFAULT_SOURCE!r} (phase {1000 * self.scale_phase_ev:.0f} "
                f"meV/atom){held}; fewer than {MIN_COMPOUNDS} measured compounds in {self.source!r}"
            )
        return (
            f"conditioned on {len(self.formulas)} measured enthalpies (mean absolute error of the level "
            f"{1000 * self.mean_absolute_error_ev_per_atom:.0f} meV/atom; left out one at a time, "
            f"{1000 * self.loo_rmse_ev_per_atom:.0f} meV/atom remain and {100 * self.loo_coverage_95:.0f} % "
            "lie within "
            "their 95 % interval)"
            + (f" and on {len(self.dft_formulas)} density-functional energies" if self.dft_formulas else "")
        )

    @property
    def _scales(self) -> np.ndarray:
        return np.array(
            [
                self.scale_anion_ev,
                self.scale_bond_ev,
                self.scale_phase_ev,
                self.scale_phase_other_ev,
                self.length,
            ]
        )

    def predict(
        self, fractions: np.ndarray, elements: Sequence[str], *, conditioned: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of the errors of phases.

        Parameters
        ----------
        fractions : ndarray, shape (N, E)
            Atomic fractions.
        elements : sequence of str
            Columns.
        conditioned : bool, keyword-only
            Whether to use the measured enthalpies; without, the mean is 0 and the covariance that of the
            prior.

        Returns
        -------
        mean : ndarray, shape (N,)
            Expected error (computed minus true), eV per atom.
        covariance : ndarray, shape (N, N)
            eV^2 per atom^2.
        """
        columns = tuple(elements)
        prior = _covariance(fractions, fractions, columns, self._scales)
        if not conditioned or not self.formulas:
            return np.zeros(len(fractions)), prior
        rows = [parse_formula(formula) for formula in (*self.formulas, *self.dft_formulas)]
        every = tuple(sorted({*columns, *(symbol for row in rows for symbol in row)}))
        wide = np.zeros((len(fractions), len(every)))
        wide[:, [every.index(symbol) for symbol in columns]] = fractions
        known = np.array([[float(row.get(symbol, 0)) for symbol in every] for row in rows])
        known /= known.sum(axis=1, keepdims=True)
        noise = np.diag(np.square([*self.measured_se_ev_per_atom, *self.dft_se_ev_per_atom]))
        errors = np.array([*self.errors_ev_per_atom, *self.dft_errors_ev_per_atom])
        between = _covariance(wide, known, every, self._scales)
        gain = np.linalg.solve(_covariance(known, known, every, self._scales) + noise, between.T).T
        return gain @ errors, prior - gain @ between.T


class _Kernel:
    """The parts of the covariance of the errors of two sets of phases that do not depend on the scales."""

    def __init__(self, first: np.ndarray, second: np.ndarray, elements: Sequence[str]) -> None:
        class_1, share_1, pure_1 = _features(first, elements)
        class_2, share_2, pure_2 = _features(second, elements)
        squares = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1)
        self.distance = np.clip(squares - 2 * first @ second.T, 0.0, None)
        together = (class_1[:, None] == class_2) & np.outer(~pure_1, ~pure_2)
        main = (class_1 <= 1)[:, None] & (class_2 <= 1)
        self.main, self.other = together & main, together & ~main
        self.anion = np.outer(share_1, share_2) * together
        self.bond = np.zeros_like(self.distance)
        for number, anions in enumerate(_ANIONS):
            cations = [j for j, symbol in enumerate(elements) if symbol not in anions]
            shared = first[:, cations] @ second[:, cations].T
            self.bond += np.outer(class_1 == number, class_2 == number) * shared
        self.bond *= 4 * self.anion

    def covariance(self, scales: np.ndarray) -> np.ndarray:
        """Return the covariance, eV^2 per atom^2."""
        anion, bond, phase, other, length = scales
        near = np.exp(-self.distance / (2 * length**2))
        single = near * (phase**2 * self.main + other**2 * self.other)
        return anion**2 * self.anion + bond**2 * self.bond + single


def _covariance(
    first: np.ndarray, second: np.ndarray, elements: Sequence[str], scales: np.ndarray
) -> np.ndarray:
    """Return the covariance of the errors of two sets of phases, shape (len(first), len(second))."""
    return _Kernel(first, second, elements).covariance(scales)


def _features(fractions: np.ndarray, elements: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return class of the anion, fraction of the anion, and whether the phase is an element."""
    kind = np.full(len(fractions), len(_ANIONS) - 1)
    share = np.zeros(len(fractions))
    for number in range(len(_ANIONS) - 2, -1, -1):
        columns = [j for j, symbol in enumerate(elements) if symbol in _ANIONS[number]]
        amount = fractions[:, columns].sum(axis=1)
        held = amount > 0
        kind[held], share[held] = number, amount[held]
    return kind, share, fractions.max(axis=1) > 1 - 1e-9


def measured_enthalpies() -> dict[_Key, tuple[float, float]]:
    """Return measured formation enthalpies by composition: median and standard error, eV per atom.

    Source: ``structures/tables/experimental_enthalpies.csv``, every row with its own. The standard error is half the
    range of several values, of a single one the uncertainty stated for it, and at least 5 meV per atom. Enthalpies of
    phosphorus compounds, tabulated against white phosphorus, are moved to black phosphorus, whose uncertainty is added.
    """
    values: dict[_Key, list[float]] = defaultdict(list)
    stated: dict[_Key, float] = {}
    for row in reference.read_rows("experimental_enthalpies"):
        if row["quantity"] == "enthalpy of formation":
            amounts = parse_formula(row["formula"])
            key = composition_key(amounts)
            values[key].append(float(row["value_ev_per_atom"]))
            uncertainty = float(row["uncertainty_kj_per_mol"] or 0.0) / KJ_PER_MOL_PER_EV
            stated[key] = uncertainty / float(sum(amounts.values()))
    shift, shift_se = _BLACK_P_EV
    result = {}
    for key, found in values.items():
        share = dict(key).get("P", 0) / sum(number for _, number in key)
        scatter = (max(found) - min(found)) / 2 if len(found) > 1 else stated[key]
        error = max(_MEASURED_FLOOR_EV, scatter)
        result[key] = (float(np.median(found)) - share * shift, math.hypot(error, share * shift_se))
    return result


def fit_error_model(entries: EntrySet) -> ErrorModel:
    """Learn the error of an entry set from the measured formation enthalpies of its compounds.

    An embedded set made with a potential is also held against density-functional rows, see :func:`dft_energies`.

    Parameters
    ----------
    entries : EntrySet

    Returns
    -------
    ErrorModel

    Raises
    ------
    EntriesError
        If fewer than twenty measured compounds are in the set.
    """
    measured = _compared(entries, measured_enthalpies())
    if len(measured) < MIN_COMPOUNDS:
        raise EntriesError(
            f"the entry set {entries.source!r} holds {len(measured)} compounds of measured enthalpy; an error "
            "model needs "
            f"{MIN_COMPOUNDS}"
        )
    dft = _compared(entries, dft_energies(entries.source))
    found = [*measured, *dft]
    elements = tuple(sorted({symbol for key, _, _ in found for symbol, _ in key}))
    table = np.array([[dict(key).get(symbol, 0.0) for symbol in elements] for key, _, _ in found])
    table /= table.sum(axis=1, keepdims=True)
    errors = np.array([error for _, error, _ in found])
    noise = np.diag(np.square([se for _, _, se in found]))
    n = len(measured)
    scales = _maximise(table[:n], elements, errors[:n], noise[:n, :n])
    inverse = np.linalg.inv(_covariance(table, table, elements, scales) + noise)
    residual = ((inverse @ errors) / np.diag(inverse))[:n]
    deviate = np.abs(residual) * np.sqrt(np.diag(inverse)[:n])
    return ErrorModel(
        source=entries.source,
        scale_anion_ev=float(scales[0]),
        scale_bond_ev=float(scales[1]),
        scale_phase_ev=float(scales[2]),
        scale_phase_other_ev=float(scales[3]),
        length=float(scales[4]),
        formulas=tuple(_formula(key) for key, _, _ in measured),
        errors_ev_per_atom=tuple(error for _, error, _ in measured),
        measured_se_ev_per_atom=tuple(se for _, _, se in measured),
        dft_formulas=tuple(_formula(key) for key, _, _ in dft),
        dft_errors_ev_per_atom=tuple(error for _, error, _ in dft),
        dft_se_ev_per_atom=tuple(se for _, _, se in dft),
        loo_rmse_ev_per_atom=float(np.sqrt(np.mean(np.square(residual)))),
        loo_coverage_95=float(np.mean(deviate < 1.96)),
        loo_coverage_68=float(np.mean(deviate < 1.0)),
    )


def dft_energies(source: str) -> dict[_Key, tuple[float, float]]:
    """Return the density-functional energies that a level is held against: formation energy and standard error.

    The level named by ``held_against`` of the embedded set, without its elements and without compounds of measured
    enthalpy. The standard error of all is the scatter of that level around the measured enthalpies of its compounds
    beyond the standard errors of these (maximum likelihood), at least 24 meV per atom; rows on cells of the potential
    have 49 meV per atom more, in quadrature, rows on cells that a database relaxed with another functional 5.

    Parameters
    ----------
    source : str
        Name of an entry set.

    Returns
    -------
    dict
        By composition: formation energy and standard error, eV per atom. Empty where there is nothing.
    """
    embedded = {item.name for item in list_entry_sources()}
    name = entry_source(source).held_against if source in embedded else ""
    if not name:
        return {}
    dft, measured = load_entries(source=name), measured_enthalpies()
    error = max(_DFT_FLOOR_EV, _scatter(_compared(dft, measured)))
    found: dict[_Key, tuple[float, float]] = {}
    for entry in dft:
        key = composition_key(parse_formula(entry.formula))
        if len(key) > 1 and key not in measured and entry.energy_ev_per_atom < found.get(key, (math.inf,))[0]:
            ending = entry.entry_id.rpartition("_")[2]
            geometry = _DFT_GEOMETRY_EV.get(ending, _POTENTIAL_GEOMETRY_EV)
            found[key] = (entry.energy_ev_per_atom, math.hypot(error, geometry))
    return found


def _scatter(compared: Sequence[tuple[_Key, float, float]]) -> float:
    """Return the standard deviation of errors beyond the standard errors of the measurements, eV per atom."""
    from scipy.optimize import minimize_scalar

    if not compared:
        return 0.0
    errors, ses = np.array([[error, se] for _, error, se in compared]).T

    def cost(scatter: float) -> float:
        variance = scatter**2 + ses**2
        return float(np.sum(errors**2 / variance + np.log(variance)))

    return float(minimize_scalar(cost, bounds=(0.0, 2 * float(np.abs(errors).max())), method="bounded").x)


def _compared(
    entries: EntrySet, known: Mapping[_Key, tuple[float, float]]
) -> list[tuple[_Key, float, float]]:
    """Return error and standard error, eV per atom, of the compounds of a set that have a known energy."""
    found = []
    for key, (value, error) in sorted(known.items()):
        energy = entries.formation_energy_ev_per_atom(dict(key)) if len(key) > 1 else None
        if energy is not None:
            found.append((key, float(energy - value), error))
    return found


def _formula(key: _Key) -> str:
    return "".join(f"{symbol}{number}" for symbol, number in key)


def _maximise(
    table: np.ndarray, elements: Sequence[str], errors: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    from scipy.optimize import minimize

    kernel = _Kernel(table, table, elements)

    def cost(logs: np.ndarray) -> float:
        matrix = kernel.covariance(_PRIOR * np.exp(logs)) + noise
        try:
            lower = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return 1e9
        whitened = np.linalg.solve(lower, errors)
        likelihood = 0.5 * whitened @ whitened + np.log(np.diag(lower)).sum()
        return float(likelihood + 0.5 * np.square(logs / _PRIOR_LOG_SD).sum())

    best = minimize(cost, np.zeros(len(_PRIOR)), method="L-BFGS-B", bounds=[(-4.0, 4.0)] * len(_PRIOR))
    return _PRIOR * np.exp(best.x)


def error_model(entries: EntrySet) -> ErrorModel:
    """Return the error model of an entry set.

    That of an embedded set is learnt from the whole set, also for a part of it; that of a user's set from its
    own compounds. With fewer than twenty measured ones the scales are those of ``DEFAULT_SOURCE``, conditioned on what
    there is.
    """
    embedded = {item.name for item in list_entry_sources()}
    whole = load_entries(source=entries.source) if entries.source in embedded else entries
    memo: dict[Any, Any] = whole.memo("error_model")
    if "model" not in memo:
        try:
            memo["model"] = fit_error_model(whole)
        except EntriesError:
            basis = error_model(load_entries(source=DEFAULT_SOURCE))
            known = _compared(whole, measured_enthalpies())
            memo["model"] = ErrorModel(
                source=entries.source,
                formulas=tuple(_formula(key) for key, _, _ in known),
                errors_ev_per_atom=tuple(error for _, error, _ in known),
                measured_se_ev_per_atom=tuple(se for _, _, se in known),
                scale_anion_ev=basis.scale_anion_ev,
                scale_bond_ev=basis.scale_bond_ev,
                scale_phase_ev=basis.scale_phase_ev,
                scale_phase_other_ev=basis.scale_phase_other_ev,
                length=basis.length,
                assumed=True,
            )
    return memo["model"]

"""The phase model for many compositions: the same numbers as ``assign_phase``, to the last bit.

The features and sums are taken in the order of the single-candidate code. Should that code change and this
not follow, :class:`PhaseArrays` notices on a set of probes and hands every composition to the single code.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np

from nasicon_struct.composition import NasiconComposition, element_sites
from nasicon_struct.phase import assign_phase
from nasicon_struct.phase.result import MAX_PROBABILITY, phase_of
from nasicon_struct.phase_model import FEATURES, PhaseModel, load_phase_model
from nasicon_struct.phase_model.features import DISTANCE_STEP, ELEMENT_HALF_AMOUNT, ZR_RADIUS_ANG
from nasicon_struct.screening import _kernels
from nasicon_struct.screening.amounts import Amounts, from_fractions
from nasicon_struct.screening.judge import Judgement, judge

_FEATURES: Final = (
    "constant",
    "na_deficit",
    "na_excess",
    "si_deficit",
    "m_mixing",
    "m_divalent",
    "m_radius_shift",
    "m_radius_spread",
    "m_vacancy",
    "ordered_phosphate",
)
#: Rows whose distances to all anchors are held at once.
_BLOCK: Final = 512
#: Compositions on which array and single code are compared: dopants, Si.
_PROBES: Final[tuple[tuple[dict[str, int], int], ...]] = (
    ({}, 20),
    ({}, 0),
    ({}, 30),
    ({"Sc": 2, "Zn": 1}, 20),
    ({"Al": 1}, 24),
    ({"Y": 1, "Mg": 1}, 18),
    ({"Sc": 20}, 0),
    ({"Hf": 20}, 17),
    ({"Nb": 1, "Bi": 2}, 22),
    ({"Fe": 7, "Ti": 2, "V": 1}, 3),
)


class PhaseArrays:
    """The phase model, vectorised.

    Parameters
    ----------
    temperature_k : float, keyword-only
    """

    def __init__(self, *, temperature_k: float) -> None:
        self.temperature_k = temperature_k
        self.model: PhaseModel = load_phase_model()
        self.vectorised = _agrees(temperature_k)

    def rows(
        self, judgement: Judgement, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return P(monoclinic), transition temperature, its standard error (K), and the phase, of some rows.

        Parameters
        ----------
        judgement : Judgement
        rows : ndarray of int, shape (m,)
            Possible compositions.
        """
        if not self.vectorised:
            return self._one_by_one(judgement, rows)
        return _vectorised(self.model, judgement, rows, self.temperature_k)

    def _one_by_one(
        self, judgement: Judgement, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        from nasicon_struct.screening.amounts import write_formulas

        found = [
            assign_phase(NasiconComposition.from_formula(formula), temperature_k=self.temperature_k)
            for formula in write_formulas(judgement.amounts.take(rows)).to_pylist()
        ]
        return (
            np.array([item.probability_monoclinic for item in found]),
            np.array([item.transition_temperature_k for item in found]),
            np.array([item.transition_temperature_se_k for item in found]),
            np.array([item.phase for item in found], dtype=object),
        )


def _vectorised(
    model: PhaseModel, judgement: Judgement, rows: np.ndarray, temperature_k: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    known = element_sites()
    names = judgement.amounts.elements
    floats = judgement.floats[rows]
    column = {symbol: floats[:, j] for j, symbol in enumerate(names)}
    zero = np.zeros(len(rows))
    na, si, p = (column.get(symbol, zero) for symbol in ("Na", "Si", "P"))
    m_symbols = [names[j] for j in judgement.on_site("M")]
    t_symbols = [names[j] for j in judgement.on_site("T")]
    m_amounts = np.ascontiguousarray(floats[:, judgement.on_site("M")])
    t_total = np.zeros(len(rows))
    for symbol in t_symbols:
        t_total += column[symbol]
    features = np.empty((len(rows), len(_FEATURES)))
    dopants = np.empty(m_amounts.shape)
    _kernels.phase_rows(
        na,
        si,
        p,
        t_total,
        m_amounts,
        np.array([known[s].radius_ang or ZR_RADIUS_ANG for s in m_symbols]),
        np.array([float(judgement.charges[j]) for j in judgement.on_site("M")]),
        np.array([s == "Zr" for s in m_symbols]),
        ZR_RADIUS_ANG,
        ELEMENT_HALF_AMOUNT,
        2.0,
        features,
        dopants,
    )
    linear = np.zeros((len(rows), len(model.features) + len(model.elements)))
    linear[:, : len(model.features)] = features[:, [_FEATURES.index(name) for name in model.features]]
    for j, symbol in enumerate(m_symbols):
        if symbol in model.elements:
            linear[:, len(model.features) + model.elements.index(symbol)] = dopants[:, j]
    near = _kernel(model, column, m_symbols, t_symbols, len(rows))
    value, variance, explained = (np.empty(len(rows)) for _ in range(3))
    _kernels.quadratic_rows(
        linear,
        near,
        model._anchor_inverse if model.anchors else np.empty((0, 0)),
        model.weights_k,
        model.covariance_k2,
        value,
        variance,
        explained,
    )
    if not model.anchors:
        explained[:] = 0.0
    variance += model.local_sd_k**2 * np.maximum(0.0, 1.0 - explained)
    for j, symbol in enumerate(m_symbols):
        if symbol not in model.elements and symbol != "Zr":
            variance += _squared(model.element_sd_k * dopants[:, j])
    for symbol in t_symbols:
        if symbol not in ("Si", "P"):
            variance += _squared(model.tetrahedral_sd_k * column[symbol] / t_total)
    error = np.sqrt(variance)
    values, errors = value.tolist(), error.tolist()
    chances = [
        _combined(model.probability(t, se, temperature_k)) for t, se in zip(values, errors, strict=True)
    ]
    probability = np.array(chances, dtype=float)
    phase = np.array([phase_of(chance) for chance in chances], dtype=object)
    return probability, value, error, phase


def _squared(values: np.ndarray) -> np.ndarray:
    """Return squares as Python's power takes them."""
    return np.array([value**2 for value in values.tolist()])


def _kernel(
    model: PhaseModel, column: dict[str, np.ndarray], m_symbols: list[str], t_symbols: list[str], n_rows: int
) -> np.ndarray:
    """Return exp(-d^2 / 2 length^2) to each anchor, shape (n_rows, n_anchors)."""
    if not model.anchors:
        return np.empty((n_rows, 0))
    space = model._space
    zero = np.zeros(n_rows)
    points = np.stack([column.get(name, zero) for name in space.names], axis=1)
    others = [s for s in (*m_symbols, *t_symbols) if s not in ("Zr", "P", "Si") and s not in space.names]
    extra = np.zeros(n_rows)
    for symbol in others:
        extra += _squared(column[symbol])
    near = np.empty((n_rows, len(space.points)))
    for at in range(0, n_rows, _BLOCK):
        part = slice(at, at + _BLOCK)
        square = ((space.points[None] - points[part, None]) ** 2).sum(axis=2) + extra[part, None]
        near[part] = np.exp(-0.5 * (np.sqrt(square) / DISTANCE_STEP / model.local_length) ** 2)
    return near


def _combined(probability: float) -> float:
    """Return what ``assign_phase`` makes of the composition's vote alone."""
    total = math.log(probability / (1.0 - probability))
    chance = 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, total))))
    return min(MAX_PROBABILITY, max(1.0 - MAX_PROBABILITY, chance))


def _probes() -> Amounts:
    symbols = sorted({"Na", "Zr", "Si", "P", "O", *(s for dopants, _ in _PROBES for s in dopants)})
    known = element_sites()
    table = np.zeros((len(_PROBES), len(symbols)), dtype=np.int64)
    for row, (dopants, si) in enumerate(_PROBES):
        amounts = {"Zr": 20 - sum(dopants.values()), "Si": si, "P": 30 - si, "O": 120, **dopants}
        amounts["Na"] = -sum(known[s].oxidation_state * n for s, n in amounts.items())
        for symbol, amount in amounts.items():
            table[row, symbols.index(symbol)] = amount
    return from_fractions(symbols, table, 10)


@functools.lru_cache(maxsize=8)
def _agrees(temperature_k: float) -> bool:
    """Whether array and single code give the same bits for the probes."""
    model = load_phase_model()
    if set(model.features) != set(_FEATURES) or set(FEATURES) != set(_FEATURES):
        return False
    judgement = judge(_probes())
    rows = np.flatnonzero(judgement.possible)
    arrays = PhaseArrays.__new__(PhaseArrays)
    arrays.temperature_k, arrays.model = temperature_k, model
    ours = _vectorised(model, judgement, rows, temperature_k)
    theirs = arrays._one_by_one(judgement, rows)
    return all(bool((a == b).all()) for a, b in zip(ours, theirs, strict=True))

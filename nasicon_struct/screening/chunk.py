"""Rows of many candidates at once, as arrays: the same values as :func:`candidate_row`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nasicon_struct.composition import NasiconComposition
from nasicon_struct.screening.amounts import Amounts, complete, read_formulas, write_formulas
from nasicon_struct.screening.columns import CELL_COLUMNS, STATUSES, Column, columns_of
from nasicon_struct.screening.judge import Judgement, judge, m_radii
from nasicon_struct.screening.literature import measured_conductivities, nearest_rows
from nasicon_struct.screening.phases import PhaseArrays
from nasicon_struct.screening.reasons import reasons
from nasicon_struct.screening.settings import ScreenSettings
from nasicon_struct.screening.single import MAX_INPUT_CHARACTERS, candidate_row, cell_values, rule_row, shown
from nasicon_struct.screening.sources import Piece
from nasicon_struct.screening.stability import StabilityArrays

if TYPE_CHECKING:
    import pyarrow as pa

_POSSIBLE, _REJECTED, _UNREADABLE = STATUSES


@dataclass
class _Engine:
    """Models and hulls of one set of settings, kept between the chunks of a process."""

    settings: ScreenSettings
    phases: PhaseArrays
    stability: StabilityArrays


_ENGINES: dict[str, _Engine] = {}


def _engine(settings: ScreenSettings) -> _Engine:
    if settings.key not in _ENGINES:
        _ENGINES.clear()  # one at a time: hulls and entries take memory
        _ENGINES[settings.key] = _Engine(
            settings=settings,
            phases=PhaseArrays(temperature_k=settings.temperature_k),
            stability=StabilityArrays(
                settings.entries,
                open_element=settings.open_element,
                n_samples=settings.n_samples,
                seed=settings.seed,
            ),
        )
    return _ENGINES[settings.key]


def chunk_table(piece: Piece, settings: ScreenSettings) -> pa.Table:
    """Return the rows of consecutive candidates.

    Parameters
    ----------
    piece : Piece
    settings : ScreenSettings

    Returns
    -------
    pyarrow Table
        ``piece.stop - piece.start`` rows in the order of the candidates.
    """
    import pyarrow as pa

    engine = _engine(settings)
    texts: list[str | None] | None = None
    variables: dict[str, np.ndarray] = {}
    if piece.rule is not None:
        amounts, variables = piece.rule.amounts(piece.start, piece.stop)
    else:
        assert piece.formulas is not None
        amounts = read_formulas(piece.formulas)
        if not amounts.read.all():
            texts = piece.formulas.to_pylist()
            amounts = complete(amounts, texts)
    judgement = judge(amounts)
    formulas = write_formulas(judgement.amounts)
    made = _Columns(
        len(amounts), columns_of(predicted_cell=settings.predicted_cell, variables=tuple(variables))
    )
    made.arrays["candidate"] = np.arange(piece.start, piece.stop)
    made.arrays["input"] = formulas if piece.formulas is None else _shown(piece.formulas)
    made.arrays.update(variables)
    _fill_judged(made, judgement, formulas)
    rows = np.flatnonzero(judgement.possible)
    if len(rows):
        _fill_possible(made, judgement, rows, formulas.take(pa.array(rows)).to_pylist(), engine)
    left = np.flatnonzero(~judgement.judged).tolist()
    for row in left:
        if piece.rule is not None:
            values = rule_row(piece.rule, piece.start + row, settings)
            made.set_input(row, values["input"])
        else:
            texts = piece.formulas.to_pylist() if texts is None else texts  # type: ignore[union-attr]
            values = candidate_row(texts[row], settings)
        made.set_row(row, values)
    return made.table()


class _Columns:
    """Columns under construction: numbers NaN and texts None where nothing is set."""

    def __init__(self, n_rows: int, columns: dict[str, Column]) -> None:
        self.columns = columns
        self.n_rows = n_rows
        self.arrays: dict[str, Any] = {}
        self._inputs: dict[int, str | None] = {}
        for name, column in columns.items():
            if column.kind == "number":
                self.arrays[name] = np.full(n_rows, np.nan)
            elif column.kind in ("text", "label", "boolean"):
                self.arrays[name] = np.full(n_rows, None, dtype=object)

    def set_row(self, row: int, values: dict[str, Any]) -> None:
        """Set the values of one row, except its number and input."""
        for name, value in values.items():
            if value is not None and name not in ("candidate", "input"):
                held = self.arrays[name]
                if not isinstance(held, np.ndarray):  # a column made by arrow, which cannot be written to
                    held = self.arrays[name] = held.to_numpy(zero_copy_only=False).astype(object)
                held[row] = value

    def set_input(self, row: int, text: str | None) -> None:
        """Set what a candidate was."""
        self._inputs[row] = text

    def table(self) -> pa.Table:
        """Return the columns as a table; NaN becomes null."""
        import pyarrow as pa

        if self._inputs:
            inputs = self.arrays["input"].to_pylist()
            for row, text in self._inputs.items():
                inputs[row] = text
            self.arrays["input"] = pa.array(inputs, pa.string())
        arrays = []
        for name, column in self.columns.items():
            values = self.arrays[name]
            kind = arrow_type(column)
            if isinstance(values, np.ndarray) and column.kind == "label":
                arrays.append(pa.array(values, pa.string()).dictionary_encode())
            elif isinstance(values, np.ndarray):
                arrays.append(pa.array(values, kind, from_pandas=True))
            else:
                arrays.append(values if values.type == kind else values.cast(kind))
        return pa.table(arrays, schema=schema_of(self.columns))


def arrow_type(column: Column) -> pa.DataType:
    """Return the arrow type of a column."""
    import pyarrow as pa

    return {
        "integer": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "label": pa.dictionary(pa.int32(), pa.string()),
        "boolean": pa.bool_(),
    }[column.kind]


def schema_of(columns: dict[str, Column]) -> pa.Schema:
    """Return the arrow schema of columns."""
    import pyarrow as pa

    return pa.schema([(name, arrow_type(column)) for name, column in columns.items()])


def _shown(formulas: pa.Array) -> pa.Array:
    """Return candidates as the table keeps them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    long = pc.greater(pc.utf8_length(formulas), MAX_INPUT_CHARACTERS)
    if not pc.any(long).as_py():
        return formulas
    return pa.array([shown(text) for text in formulas.to_pylist()], pa.string())


def _parts(amounts: Amounts, columns: Sequence[int]) -> pa.Array:
    """Return the formula of some of the elements."""
    return write_formulas(
        Amounts(
            tuple(amounts.elements[j] for j in columns),
            np.ascontiguousarray(amounts.numerators[:, list(columns)]),
            amounts.denominators,
            amounts.read,
        )
    )


def _fill_judged(made: _Columns, judgement: Judgement, formulas: pa.Array) -> None:
    """Fill what every composition has, possible or not; rows that are not judged stay empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    judged, possible = judgement.judged, judgement.possible
    mask = pa.array(judged)

    def text(values: pa.Array) -> pa.Array:
        return values if judged.all() else pc.if_else(mask, values, pa.scalar(None, pa.string()))

    made.arrays["formula"] = text(formulas)
    made.arrays["m_site"] = text(_parts(judgement.amounts, judgement.on_site("M")))
    made.arrays["t_site"] = text(_parts(judgement.amounts, judgement.on_site("T")))
    made.arrays["neutral"][judged] = judgement.neutral[judged]
    floats, names = judgement.floats, judgement.amounts.elements
    for name, symbol in (("na", "Na"), ("zr", "Zr"), ("si", "Si"), ("p", "P")):
        values = floats[:, names.index(symbol)] if symbol in names else np.zeros(len(judged))
        made.arrays[name][judged] = values[judged]
    for name in ("net_charge", "na_needed", "m_sum", "t_sum"):
        made.arrays[name][judged] = getattr(judgement, name)[judged]
    made.arrays["status"][judged] = np.where(possible[judged], _POSSIBLE, _REJECTED)
    made.arrays["reason"][possible] = ""
    wrong = np.flatnonzero(judged & ~possible)
    if len(wrong):
        made.arrays["reason"][wrong] = reasons(judgement, wrong, formulas.take(pa.array(wrong)).to_pylist())


def _fill_possible(
    made: _Columns, judgement: Judgement, rows: np.ndarray, formulas: list[str], engine: _Engine
) -> None:
    """Fill radii, phase, stability, nearest literature and predicted cell of possible compositions."""
    mean, spread = m_radii(judgement)
    made.arrays["m_radius_mean_ang"][rows] = mean[rows]
    made.arrays["m_radius_spread_ang"][rows] = spread[rows]
    probability, transition, error, phase = engine.phases.rows(judgement, rows)
    made.arrays["probability_monoclinic"][rows] = probability
    made.arrays["transition_temperature_k"][rows] = transition
    made.arrays["transition_temperature_se_k"][rows] = error
    made.arrays["phase"][rows] = phase
    stability = engine.stability.rows(judgement, rows, formulas)
    for name, values in stability.numbers.items():
        made.arrays[name][rows] = values
    made.arrays["energy_source"][rows] = stability.sources
    made.arrays["competing_phases"][rows] = stability.phases
    made.arrays["stability_note"][rows] = stability.notes
    nearest, distance = nearest_rows(judgement, rows)
    measured = measured_conductivities()
    made.arrays["literature_distance"][rows] = distance
    for name, sigma in (
        ("literature_sigma_s_per_cm", [m.sigma_s_per_cm for m in measured]),
        ("literature_sigma_low_s_per_cm", [m.sigma_low_s_per_cm for m in measured]),
        ("literature_sigma_high_s_per_cm", [m.sigma_high_s_per_cm for m in measured]),
    ):
        made.arrays[name][rows] = np.array(sigma)[nearest]
    for name, labels in (
        ("literature_formula", [m.formula for m in measured]),
        ("literature_sources", ["; ".join(m.sources) for m in measured]),
    ):
        made.arrays[name][rows] = np.array(labels, dtype=object)[nearest]
    if engine.settings.predicted_cell:
        for row, formula, name in zip(rows.tolist(), formulas, phase.tolist(), strict=True):
            cell = cell_values(NasiconComposition.from_formula(formula), name)
            for column in CELL_COLUMNS:
                if cell[column] is not None:
                    made.arrays[column][row] = cell[column]

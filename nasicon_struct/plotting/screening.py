"""Figures of screening tables: maps over two composition variables, Pareto fronts with measured compositions."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nasicon_struct.errors import ScreeningError
from nasicon_struct.plotting.labels import place_labels, subscripted
from nasicon_struct.plotting.windows import new_axes
from nasicon_struct.screening import measured_conductivities, screen
from nasicon_struct.screening.amounts import read_formulas
from nasicon_struct.screening.columns import CELL_COLUMNS, COLUMNS, PARETO_COLUMN
from nasicon_struct.screening.pareto import PARETO_DECIMALS, Objective, pareto_ranks, read_objectives

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: How candidates that share a point of a map are made one value.
REDUCTIONS: Final[dict[str, Callable[..., Any]]] = {"median": np.median, "min": np.min, "max": np.max}
#: Axis labels of columns; any other column is labelled by its meaning.
_LABELS: Final = {
    "na": "Na per O$_{12}$",
    "si": "Si per O$_{12}$",
    "p": "P per O$_{12}$",
    "zr": "Zr per O$_{12}$",
    "probability_monoclinic": "P(monoclinic)",
    "assemblage_reduction_v": "lower limit of the assemblage's window (V vs Na/Na$^+$)",
    "assemblage_oxidation_v": "upper limit of the assemblage's window (V vs Na/Na$^+$)",
    "reduction_v": "reduction limit (V vs Na/Na$^+$)",
    "oxidation_v": "oxidation limit (V vs Na/Na$^+$)",
    "e_above_hull_ev_per_atom": "energy above the hull (eV/atom)",
    "hull_energy_ev_per_atom": "hull energy (eV/atom)",
    "literature_sigma_s_per_cm": "conductivity of the nearest measured composition (S/cm)",
    "m_radius_mean_ang": r"mean radius on M ($\mathrm{\AA}$)",
    "transition_temperature_k": "transition temperature (K)",
    PARETO_COLUMN: "Pareto rank",
}
_MANY_POINTS: Final = 5000
_MARGIN: Final = 1e-9


def _label(name: str) -> str:
    known = {**COLUMNS, **CELL_COLUMNS}
    if name in _LABELS:
        return _LABELS[name]
    if name in known:
        return known[name].meaning
    return f"{name} per O$_{{12}}$" if name[:1].isupper() else name


def _possible(table: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates that are possible NASICON, where the table says which are."""
    return table[table["status"] == "possible"] if "status" in table.columns else table


def _values(table: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of numbers, or the amount of an element per O12 from the formulas."""
    if name in table.columns:
        if table[name].dtype.kind not in "fiu":
            try:
                return np.asarray(table[name].to_numpy(dtype=float, na_value=np.nan))
            except (TypeError, ValueError):
                raise ScreeningError(
                    f"a figure needs a column of numbers or an element, got {name!r}"
                ) from None
        return table[name].to_numpy(dtype=float)
    if "formula" in table.columns and 0 < len(name) <= 2 and name[0].isupper():
        import pyarrow as pa

        texts = table["formula"].astype(object).where(table["formula"].notna(), None)
        amounts = read_formulas(pa.array(texts.tolist(), pa.string()))
        values = amounts.column(name) / amounts.denominators
        return np.where(amounts.read, values, np.nan)
    raise ScreeningError(
        f"the table has no column {name!r} (and no formulas to count an element in); it has "
        f"{', '.join(map(str, table.columns))[:300]}"
    )


def plot_property_map(
    result: pd.DataFrame,
    ax: Axes | None = None,
    *,
    x: str,
    y: str,
    value: str,
    reduce: str = "median",
) -> Axes:
    """Draw one column of a screening table over two composition variables.

    Parameters
    ----------
    result : pandas DataFrame
        From :func:`nasicon_struct.screen`; columns ``x``, ``y``, ``value``, or ``formula`` for elements.
    ax : matplotlib Axes, optional
    x, y : str, keyword-only
        Columns such as ``na`` or ``si``, variables of a series, or elements such as ``"Sc"`` (amount per O12).
    value : str, keyword-only
        A column of numbers.
    reduce : str, keyword-only
        What is drawn where several candidates share a point: their ``median``, ``min`` or ``max``; the label
        says so.

    Returns
    -------
    matplotlib Axes
        Rejected candidates are left out; fields that no candidate with a value falls into are hatched.

    Raises
    ------
    ScreeningError
        If a column is missing or there is nothing to draw.
    """
    if reduce not in REDUCTIONS:
        raise ScreeningError(f"reduce must be one of {', '.join(REDUCTIONS)}, got {reduce!r}")
    columns = [_values(_possible(result), name) for name in (x, y, value)]
    known = np.isfinite(np.stack(columns)).all(axis=0)
    if not known.any():
        raise ScreeningError(f"no candidate has a value of {x}, {y} and {value}; there is nothing to draw")
    across, up, held = (column[known] for column in columns)
    xs, ix = np.unique(np.round(across, 9), return_inverse=True)
    ys, iy = np.unique(np.round(up, 9), return_inverse=True)
    if len(xs) * len(ys) > 4 * 10**6:
        raise ScreeningError(f"a map of {len(xs)} x {len(ys)} points is too fine; choose other variables")
    grid = np.full((len(ys), len(xs)), np.nan)
    cell = iy * len(xs) + ix
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(cell[order]) > 0))
    groups = np.split(held[order], starts[1:])
    grid.flat[cell[order][starts]] = [REDUCTIONS[reduce](group) for group in groups]
    several = any(len(group) > 1 and np.ptp(group) > 1e-12 for group in groups)
    axes = new_axes(ax, 5.0, 4.0)
    axes.patch.set(hatch="////", facecolor="white", edgecolor="0.75")
    shaded = axes.pcolormesh(
        xs, ys, np.ma.masked_invalid(grid), cmap="Greys", shading="nearest", rasterized=True
    )
    low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
    if high - low < _MARGIN:
        shaded.set_clim(low - 1.0, high + 1.0)
    else:
        shaded.set_clim(low, high + 0.35 * (high - low))  # black is kept for lines
        if min(grid.shape) > 2:
            lines = axes.contour(xs, ys, np.ma.masked_invalid(grid), levels=5, colors="black", linewidths=0.7)
            axes.clabel(lines, fmt="%.3g", fontsize=7)
    bar = axes.figure.colorbar(shaded, ax=axes)
    bar.ax.set_ylim(low, high) if high - low >= _MARGIN else None
    label = (f"{reduce} of candidates: " if several else "") + _label(value)
    bar.set_label(textwrap.fill(label, 44), fontsize=8)
    axes.set_xlabel(_label(x))
    axes.set_ylabel(_label(y))
    return axes


def plot_pareto(
    result: pd.DataFrame,
    ax: Axes | None = None,
    *,
    objectives: Any = ("assemblage_oxidation_v:max", "probability_monoclinic:min"),
    literature: pd.DataFrame | bool = True,
) -> Axes:
    """Draw two objectives of a screening table, their Pareto front, and the measured compositions.

    Parameters
    ----------
    result : pandas DataFrame
        From :func:`nasicon_struct.screen`.
    ax : matplotlib Axes, optional
    objectives : two of ``column:max`` or ``column:min``, keyword-only
    literature : DataFrame or bool, keyword-only
        The measured compositions, screened with the same settings as the table; True screens them with the
        default settings, False leaves them out. Their conductivities (S/cm) stand beside the points.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ScreeningError
        If there are not two objectives, a column is missing, or no candidate has both.
    """
    chosen = read_objectives(objectives)
    if len(chosen) != 2:
        raise ScreeningError(f"a Pareto figure has two objectives, got {len(chosen)}")
    points = _points(_possible(result), chosen)
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        raise ScreeningError(f"no candidate has values of {chosen[0].column} and {chosen[1].column}")
    points = np.round(points[known], PARETO_DECIMALS)
    ranks = pareto_ranks(points, maximise=[objective.maximise for objective in chosen])
    axes = new_axes(ax, 5.6, 4.2)
    many = len(points) > _MANY_POINTS
    axes.plot(
        *points.T,
        ls="none",
        marker=".",
        ms=2.5 if many else 4,
        mew=0,
        color="0.6",
        rasterized=many,
        label=f"{len(points):,} candidates",
        zorder=1,
    )
    front = np.unique(points[ranks == 1], axis=0)
    axes.plot(*front.T, color="black", lw=1.0, marker="o", ms=3.5, label="Pareto front", zorder=3)
    if literature is not False and len(measured_conductivities()):
        _mark_measured(axes, chosen, literature)
    for objective, name in zip(chosen, ("x", "y"), strict=True):
        way = "more" if objective.maximise else "less"
        getattr(axes, f"set_{name}label")(f"{_label(objective.column)}, {way} is better", fontsize=9)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0.0, 1.11), ncols=3, frameon=False)
    return axes


def _points(table: pd.DataFrame, objectives: Sequence[Objective]) -> np.ndarray:
    return np.column_stack([_values(table, objective.column) for objective in objectives])


def _mark_measured(axes: Any, objectives: Sequence[Objective], literature: pd.DataFrame | bool) -> None:
    """Draw the measured compositions with their conductivities."""
    measured = measured_conductivities()
    if isinstance(literature, bool):
        literature = screen([item.formula for item in measured])
    sigma = {item.formula: item.sigma_s_per_cm for item in measured}
    table = literature[literature["formula"].isin(sigma)]
    points = _points(table, objectives)
    known = np.isfinite(points).all(axis=1)
    points, formulas = points[known], table["formula"][known].tolist()
    if not len(points):
        return
    axes.plot(
        *points.T,
        ls="none",
        marker="D",
        ms=5.5,
        mfc="white",
        mec="black",
        label="measured (mS/cm)",
        zorder=4,
        clip_on=False,
    )
    axes.margins(0.08)
    best = sorted(range(len(points)), key=lambda k: -sigma[formulas[k]])
    place_labels(
        axes,
        [tuple(points[k]) for k in best],
        [f"{subscripted(formulas[k])}: {1000 * sigma[formulas[k]]:.2g}" for k in best],
        [6.0] * len(best),
        colours=["black"] * len(best),
        sides=[None] * len(best),
    )


def plot_screen(
    result: pd.DataFrame,
    *,
    x: str,
    y: str,
    values: Sequence[str] = ("probability_monoclinic", "na", "assemblage_oxidation_v"),
    objectives: Any = ("assemblage_oxidation_v:max", "probability_monoclinic:min"),
    reduce: str = "median",
    literature: pd.DataFrame | bool = True,
) -> Figure:
    """Draw a screening table in one figure: maps of several columns, and the Pareto front.

    Parameters
    ----------
    result : pandas DataFrame
        From :func:`nasicon_struct.screen`.
    x, y : str, keyword-only
        Variables of the maps, see :func:`plot_property_map`.
    values : sequence of str, keyword-only
        Columns drawn as maps.
    objectives, literature : keyword-only
        See :func:`plot_pareto`.
    reduce : str, keyword-only
        See :func:`plot_property_map`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ScreeningError
        If a column is missing or there is nothing to draw.
    """
    from matplotlib.figure import Figure

    count = len(values) + 1
    rows = (count + 1) // 2
    figure = Figure(figsize=(11.0, 4.4 * rows), layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, value in zip(panels, values, strict=False):
        plot_property_map(result, axes, x=x, y=y, value=value, reduce=reduce)
    plot_pareto(result, panels[len(values)], objectives=objectives, literature=literature)
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure

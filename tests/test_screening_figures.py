"""Figures of screening tables."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

from nasicon_struct.errors import ScreeningError
from nasicon_struct.plotting.screening import plot_pareto, plot_property_map, plot_screen
from nasicon_struct.screening import DesignSpace, measured_conductivities, pareto_ranks, screen


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return screen(
        DesignSpace.from_ranges(["Sc", "Zn"], stop="0.4", step="0.1", at_most=2, si=("1.6", "2.8", "0.2"))
    )


def test_a_map_holds_the_values_of_the_table(table: pd.DataFrame) -> None:
    one = table[~table["formula"].str.contains("Zn", na=False)]
    axes = plot_property_map(one, x="si", y="Sc", value="na")
    mesh = axes.collections[0]
    values = np.ma.asarray(mesh.get_array())
    assert values.shape == (5, 7)
    possible = one[one["status"] == "possible"]
    assert values.count() == len(possible)
    assert np.isclose(values.min(), possible["na"].min())
    assert np.isclose(values.max(), possible["na"].max())
    # Sc 0.2 per O12 at Si 2: 3.2 Na
    assert np.isclose(values[2, 2], 3.2)
    assert "Na per" in axes.figure.axes[-1].get_ylabel()
    assert "Sc per" in axes.get_ylabel()


@pytest.mark.parametrize(("reduce", "expected"), [("min", 3.0), ("max", 3.8), ("median", 3.4)])
def test_candidates_that_share_a_point_are_reduced(table: pd.DataFrame, reduce: str, expected: float) -> None:
    axes = plot_property_map(table, x="si", y="Sc", value="na", reduce=reduce)
    values = np.ma.asarray(axes.collections[0].get_array())
    assert np.isclose(values[0, 2], expected)  # Si 2, no Sc, Zn 0 to 0.4
    assert reduce in axes.figure.axes[-1].get_ylabel()


def test_pareto_front_and_measured_compositions(table: pd.DataFrame) -> None:
    objectives = ("na:max", "probability_monoclinic:max")
    axes = plot_pareto(table, objectives=objectives)
    lines = {line.get_label(): line for line in axes.get_lines()}
    points = table[["na", "probability_monoclinic"]][table["status"] == "possible"].to_numpy()
    front = np.unique(points[pareto_ranks(points, maximise=[True, True]) == 1], axis=0)
    assert np.allclose(np.column_stack(lines["Pareto front"].get_data()), front)
    drawn = np.column_stack(lines["measured (mS/cm)"].get_data())
    assert len(drawn) == len(measured_conductivities())
    assert sum(": " in text.get_text() for text in axes.texts) == len(drawn)
    bare = plot_pareto(table, objectives=objectives, literature=False)
    assert not bare.texts
    own = plot_pareto(table, objectives=objectives, literature=screen(["Na3Zr2Si2PO12"], temperature_k=600))
    assert len(own.texts) == 1


def test_everything_from_one_call(table: pd.DataFrame, tmp_path: Any) -> None:
    figure = plot_screen(table, x="si", y="Zn", reduce="max", literature=screen(["Na3Zr2Si2PO12"]))
    assert len([axes for axes in figure.axes if axes.get_xlabel()]) == 4
    figure.savefig(tmp_path / "screen.png", dpi=60)
    assert (tmp_path / "screen.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"x": "nonsense"}, "no column 'nonsense'"),
        ({"x": "formula"}, "column of numbers"),
        ({"value": "oxidation_low_v"}, "nothing to draw"),
        ({"reduce": "mean"}, "reduce must be"),
    ],
)
def test_maps_that_cannot_be_drawn(table: pd.DataFrame, options: dict[str, Any], word: str) -> None:
    undoped = table[table["formula"].str.contains("Sc", na=False)]
    with pytest.raises(ScreeningError, match=word):
        plot_property_map(undoped, **{"x": "si", "y": "Sc", "value": "na", **options})


@pytest.mark.parametrize(
    "objectives", ["na:max", ["na:max", "si:max", "p:max"], ["na:max", "oxidation_low_v:max"]]
)
def test_fronts_that_cannot_be_drawn(table: pd.DataFrame, objectives: Any) -> None:
    undoped = table[table["formula"].str.contains("Sc", na=False)]
    with pytest.raises(ScreeningError):
        plot_pareto(undoped, objectives=objectives)

"""Series of doped cells: the shipped tables against the hull of their level, mixing energies, figures."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import importlib.util
import json
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from click.testing import CliRunner
from hypothesis import given, settings
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from scipy.spatial import ConvexHull

import nasicon_struct as ns
from nasicon_struct import reference
from nasicon_struct.cli.design import command
from nasicon_struct.doped import (
    DopedSeries,
    DopedStability,
    doped_stability,
    list_doped_series,
    mixing_entropy_ev_per_k_per_atom,
    series_of,
)
from nasicon_struct.doped.series import _lower_hull
from nasicon_struct.doped.stability import _average, _orderings
from nasicon_struct.entries import reference_energies
from nasicon_struct.errors import StabilityError
from nasicon_struct.plotting.doped import _subscripted

ROOT = Path(__file__).resolve().parent.parent
NAMES = list(list_doped_series())
ELEMENTS = ("Na", "Zr", "Sc", "Si", "P", "O")


@pytest.fixture(scope="module")
def cells() -> list[dict[str, str]]:
    return reference.read_rows("doped_cells")


@pytest.fixture(scope="module")
def shipped() -> dict[str, DopedSeries]:
    return {name: ns.load_doped_series(name, uncertainty=False) for name in NAMES}


@pytest.fixture(scope="module")
def undoped() -> DopedSeries:
    return ns.load_doped_series("Si")


def rows_of(name: str) -> list[dict[str, str]]:
    return [row for row in reference.read_rows("doped_series") if row["series"] == name]


# --- the shipped tables


def test_formation_energies_are_those_of_the_level_as_it_is(cells):
    for row in cells:
        amounts = {symbol: float(n) for symbol, n in ns.parse_formula(row["formula"]).items()}
        references = reference_energies(row["level"])
        elements = sum(n * references[s] for s, n in amounts.items()) / sum(amounts.values())
        expected = float(row["energy_ev_per_atom"]) - elements
        assert float(row["formation_energy_ev_per_atom"]) == pytest.approx(expected, abs=3e-6), row["formula"]


def test_cells_are_whole_neutral_and_converged(cells):
    for row in cells:
        composition = ns.NasiconComposition.from_formula(row["formula"])
        assert composition.net_charge == 0
        per_fu = float(sum(composition.amounts.values()))
        assert int(row["n_atoms"]) == pytest.approx(per_fu * int(row["formula_units"]), abs=1e-9)
        assert row["converged"] == "yes"
        assert float(row["max_force_ev_per_ang"]) < 0.03


def test_entropies_are_those_of_the_average_cells(cells):
    for formula, parent in {(row["formula"], row["parent"]) for row in cells}:
        cell = ns.build_average_cell(formula, parent=parent, coordinates="prototype")
        expected = mixing_entropy_ev_per_k_per_atom(cell)
        for row in cells:
            if (row["formula"], row["parent"]) == (formula, parent):
                assert float(row["entropy_ev_per_k_per_atom"]) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_series_are_not_stale(name, shipped):
    """Energies above hull and limits, recomputed from the formation energies and the hull as it is now."""
    series = shipped[name]
    rows = rows_of(name)
    members = ns.composition_series(series.template, x=[row["x"] for row in rows])
    assert (
        [row["formula"] for row in rows] == [c.formula for c in members] == [p.formula for p in series.points]
    )
    for row, point in zip(rows, series.points, strict=True):
        assert float(row["x"]) == point.x
        assert int(row["n_cells"]) == len(point.cells)
        for column, value in (
            ("e_above_hull_ev_per_atom", point.e_above_hull_ev_per_atom),
            ("spread_ev_per_atom", point.spread_ev_per_atom),
            ("e_above_hull_1400_k_ev_per_atom", point.e_above_hull_mixed_ev_per_atom(1400.0)),
        ):
            assert float(row[column]) == pytest.approx(value, abs=3e-6), (row["formula"], column)
        for column in ("reduction_v", "oxidation_v"):
            value = getattr(point.window, f"assemblage_{column}")
            assert float(row[column]) == pytest.approx(value, abs=2e-3), (row["formula"], column)


@pytest.mark.parametrize("name", NAMES)
def test_energies_above_hull_are_those_of_pymatgen(name, shipped):
    series = shipped[name]
    elements = sorted({symbol for point in series.points for symbol in ns.parse_formula(point.formula)})
    entries = ns.load_entries(elements, source=series.level)
    diagram = PhaseDiagram(
        [
            PDEntry(Composition(e.formula), e.energy_ev_per_atom * Composition(e.formula).num_atoms)
            for e in entries
        ]
    )
    for point in series.points:
        hull = diagram.get_hull_energy_per_atom(Composition(point.formula))
        expected = point.lowest.formation_energy_ev_per_atom - hull
        assert point.e_above_hull_ev_per_atom == pytest.approx(expected, abs=1e-6)


def test_windows_are_those_of_the_lowest_cell_shifted_onto_the_hull(undoped):
    for point in undoped.points:
        energy = point.lowest.formation_energy_ev_per_atom
        plain = ns.stability_window(
            point.formula, undoped.level, formation_energy_ev_per_atom=energy, uncertainty=False
        )
        # A phase of the level that is lower takes the place of the cell where both have the same composition.
        assert point.window.shifted_v == pytest.approx(plain.shifted_v, abs=1e-6)
        assert point.window.is_stable
        assert point.window.uncertainty is not None


def test_the_page_shows_the_shipped_tables():
    if not (ROOT / "scripts").is_dir():
        pytest.skip("the scripts are not part of an installed package")
    spec = importlib.util.spec_from_file_location("doped_series", ROOT / "scripts" / "doped_series.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "doped-cells.md").read_text(encoding="utf-8")
    assert script.energy_table() in page
    # Intervals are of the error model, whose fit may differ by its last digit between machines.
    heads = [line.split("|")[1:3] for line in script.window_table().splitlines()]
    shown = page.partition("<!-- table: series-windows -->\n")[2].partition("<!-- end -->")[0].strip()
    assert [line.split("|")[1:3] for line in shown.splitlines()] == heads
    assert set(NAMES) <= set(script.SERIES)


def test_tables_hold_each_cell_once(cells):
    keys = [(row["formula"], row["parent"], row["ordering"]) for row in cells]
    assert len(keys) == len(set(keys))
    named = {row["formula"] for row in reference.read_rows("doped_series")}
    assert named == {row["formula"] for row in cells}
    for name in ("doped_cells", "doped_series"):
        with (reference.structures_dir() / "tables" / f"{name}.csv").open(encoding="utf-8") as stream:
            assert all(row["source"] for row in csv.DictReader(stream))


def ordered(formula: str, parent: str, n_orderings: int) -> list[float | None]:
    """Return the Ewald energies of the cells that doped_stability would relax."""
    average = {parent: _average(ns.NasiconComposition.from_formula(formula), parent)}
    found, _ = _orderings(average, None, n_orderings, 2.0, 0)
    return [cell.electrostatic_ev_per_fu for _, cell in found]


def test_the_defaults_still_order_the_shipped_cells(cells):
    """What doped_stability would relax today are the cells of the table: their Ewald energies agree."""
    small = [row for row in cells if int(row["formula_units"]) <= 2]
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in small:
        groups.setdefault((row["formula"], row["parent"]), []).append(row)
    for (formula, parent), rows in groups.items():
        expected = [
            float(row["electrostatic_ev_per_fu"]) if row["electrostatic_ev_per_fu"] else None for row in rows
        ]
        assert ordered(formula, parent, len(rows)) == pytest.approx(expected, abs=1e-5), (formula, parent)


@pytest.mark.slow
def test_a_shipped_cell_comes_back_from_the_potential(cells):
    pytest.importorskip("chgnet")
    found = doped_stability("NaZr2P3O12", n_orderings=1, parents=["boilot1988_x235"], uncertainty=False)
    (row,) = [r for r in cells if r["formula"] == "NaZr2P3O12" and r["parent"] == "boilot1988_x235"]
    expected = float(row["energy_ev_per_atom"])
    assert found.lowest.energy_ev_per_atom == pytest.approx(expected, abs=0.001)
    assert found.lowest.relaxed.final.volume / 36 == pytest.approx(
        float(row["volume_ang3_per_atom"]), rel=0.01
    )


# --- mixing energies


def test_mixing_energies_by_hand(undoped):
    entries = ns.load_entries(("Na", "Zr", "Si", "P", "O"), source=undoped.level)
    best = {}
    for point in undoped.points:
        phase = entries.formation_energy_ev_per_atom(point.formula)
        own = point.lowest.formation_energy_ev_per_atom
        best[point.x] = (18 + point.x) * (own if phase is None else min(own, phase))
    for found in undoped.mixing_energies():
        line = best[0.0] + found.x / 3 * (best[3.0] - best[0.0])
        assert found.lowest_mev_per_fu == pytest.approx(1000 * (best[found.x] - line), abs=1e-6)


def test_references_of_the_elements_do_not_move_mixing_energies(undoped):
    """A change linear in the composition drops out."""

    def moved(point):
        amounts = ns.parse_formula(point.formula)
        shift = 0.3 * float(amounts.get("Si", 0)) / float(sum(amounts.values()))
        cells = [
            dataclasses.replace(cell, formation_energy_ev_per_atom=cell.formation_energy_ev_per_atom + shift)
            for cell in point.cells
        ]
        return dataclasses.replace(point, cells=tuple(cells))

    alone = [
        ns.entries_from_pymatgen(
            [PDEntry(Composition(symbol), 0.0) for symbol in ("Na", "Zr", "Si", "P", "O")], source="elements"
        )
    ][0]
    other = dataclasses.replace(undoped, points=tuple(moved(point) for point in undoped.points))
    for one, two in zip(undoped.mixing_energies(alone), other.mixing_energies(alone), strict=True):
        assert one.phase_mev_per_fu is None
        assert two.energies_mev_per_fu == pytest.approx(one.energies_mev_per_fu, abs=1e-6)
        assert two.above_hull_mev_per_fu == pytest.approx(one.above_hull_mev_per_fu, abs=1e-6)


def test_the_ends_are_the_zero_and_carry_no_error(undoped):
    points = undoped.mixing_energies()
    for end in (points[0], points[-1]):
        assert end.lowest_mev_per_fu == pytest.approx(0.0, abs=1e-9)
        assert end.standard_error_mev_per_fu == pytest.approx(0.0, abs=1e-3)
        assert end.on_hull
    assert all(point.standard_error_mev_per_fu > 10 for point in points[1:-1])
    # Z. Deng et al., Chem. Mater. 32 (2020) 7908: ground states at x = 0, 2 and 3.
    assert {0.0, 2.0, 3.0} <= {point.x for point in points if point.on_hull}


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.floats(-5, 5)), min_size=3, max_size=12, unique_by=lambda p: p[0]
    )
)
@settings(deadline=None, max_examples=60)
def test_the_lower_hull_is_that_of_scipy(points):
    points = sorted(points)
    x, y = np.array([p[0] for p in points], dtype=float), np.array([p[1] for p in points])
    found = _lower_hull(x, y)
    top = np.array([[x[0], 99.0], [x[-1], 99.0]])
    below = ConvexHull(np.vstack([np.column_stack([x, y]), top])).equations
    sides = below[below[:, 1] < -1e-9]
    expected = np.max([-(a * x + c) / b for a, b, c in sides], axis=0)
    assert found == pytest.approx(expected, abs=1e-7)
    assert (found <= y + 1e-9).all()


def test_what_cannot_be_mixed_is_refused(undoped):
    with pytest.raises(StabilityError, match="at least two"):
        dataclasses.replace(undoped, points=undoped.points[:1]).mixing_energies()
    bent = dataclasses.replace(undoped.points[1], x=0.75)
    with pytest.raises(StabilityError, match="not linear"):
        dataclasses.replace(undoped, points=(undoped.points[0], bent, undoped.points[-1])).mixing_energies()


# --- series of one's own


@pytest.fixture(scope="module")
def own() -> tuple[dict[float, DopedStability], DopedSeries]:
    options = {
        "calculator": LennardJones(sigma=1.6, epsilon=0.05, rc=4.0),
        "references_ev_per_atom": dict.fromkeys(ELEMENTS, 3.0),
        "n_orderings": 2,
        "max_steps": 1,
    }
    template = "Na3+xZr2-xScxSi2PO12"
    results = {
        x: doped_stability(c, level="mp2019-gga", uncertainty=False, temperature_k=1000.0, **options)
        for x, c in zip((0.0, 0.5), ns.composition_series(template, x=["0", "0.5"]), strict=True)
    }
    calls: list[tuple[int, int, str]] = []
    series = ns.doped_series(
        template,
        x=["0", "0.5"],
        level="mp2019-gga",
        uncertainty=False,
        progress=lambda *args: calls.append(args),
        **options,
    )
    assert [call[:2] for call in calls] == [(0, 2), (1, 2)]
    return results, series


def test_a_series_holds_what_doped_stability_says(own):
    results, series = own
    gathered = series_of(series.template, results, uncertainty=False)
    assert gathered == series
    for point in series.points:
        found = results[point.x]
        assert point.formula == found.composition
        assert point.e_above_hull_ev_per_atom == pytest.approx(found.e_above_hull_ev_per_atom, abs=1e-12)
        assert point.spread_ev_per_atom == pytest.approx(found.spread_ev_per_atom, abs=1e-12)
        mixed = point.e_above_hull_mixed_ev_per_atom(1000.0)
        assert mixed == pytest.approx(found.e_above_hull_mixed_ev_per_atom, abs=1e-12)
        assert [cell.e_above_hull_ev_per_atom for cell in point.cells] == sorted(
            cell.e_above_hull_ev_per_atom for cell in point.cells
        )


def test_results_survive_json(own, undoped):
    for series in (own[1], undoped):
        assert DopedSeries.from_dict(json.loads(series.to_json())) == series
    point = undoped.mixing_energies()[1]
    assert type(point).from_dict(json.loads(point.to_json())) == point


def test_the_sentence_names_the_cell_at_0_k_and_the_one_with_entropy(own):
    found = own[0][0.5]
    first, second = found.orderings[0], found.orderings[-1]
    low = dataclasses.replace(first, e_above_hull_ev_per_atom=0.012, e_above_hull_mixed_ev_per_atom=-0.030)
    high = dataclasses.replace(second, e_above_hull_ev_per_atom=0.010, e_above_hull_mixed_ev_per_atom=-0.015)
    both = dataclasses.replace(found, orderings=(low, high))
    assert both.lowest is low
    assert both.ground_state is high
    text = str(both)
    assert "+10.0 meV/atom against the hull of 'mp2019-gga' at 0 K, the lowest of 2 relaxed orderings" in text
    assert f"({high.parent}, 2 formula units; the highest lies 2.0 meV/atom above it)" in text
    assert (
        f"with the ideal entropy of mixing at 1000 K -30.0 meV/atom ({low.parent}, 2 formula units)" in text
    )
    assert both.e_above_hull_ev_per_atom == 0.010
    assert both.e_above_hull_mixed_ev_per_atom == -0.030
    alone = dataclasses.replace(found, orderings=(high,), temperature_k=None)
    assert "the only relaxed ordering" in str(alone)
    assert "entropy" not in str(alone)


def test_the_window_says_of_what_it_is(own):
    found = own[0][0.5]
    text = found.describe_window()
    assert f"Window of the cell of {found.lowest.parent}, with the ideal entropy of mixing at 1000 K" in text
    assert "with mixing, 1000 K" in found.table()
    low, high = found.window.shifted_v
    assert found.window.is_stable or f"shifted onto the hull {low:.3f} to {high:.3f} V" in text
    cold = dataclasses.replace(found, temperature_k=None)
    assert "entropy" not in cold.describe_window()
    assert "with mixing" not in cold.table()


def test_the_command_shows_the_relaxed_cells(own, monkeypatch, tmp_path):
    importlib.import_module("nasicon_struct.design")
    monkeypatch.setattr(sys.modules["nasicon_struct.design"], "doped_stability", lambda *_, **__: own[0][0.5])
    shown = CliRunner().invoke(command, [own[0][0.5].composition, "--relax", "--out", str(tmp_path)])
    assert shown.exit_code == 0
    assert "meV/atom against the hull, relaxed" in shown.output
    assert "the lowest of 4 relaxed orderings" in shown.output
    assert own[0][0.5].describe_window() in shown.output


def test_series_of_several_levels_or_of_nothing_are_refused(own):
    results, series = own
    other = dataclasses.replace(results[0.5], level="chgnet-r2scan")
    with pytest.raises(StabilityError, match="one level"):
        series_of(series.template, {0: results[0.0], 0.5: other})
    with pytest.raises(StabilityError, match="no result"):
        series_of(series.template, {})
    with pytest.raises(StabilityError, match="there is no series 'Li'; there are Si"):
        ns.load_doped_series("Li")


# --- figures

PLOTS = [ns.plot_doped_series, ns.plot_doped_windows, ns.plot_mixing_energies]


@pytest.mark.parametrize("plot", PLOTS)
def test_figures_are_grey_with_units_in_the_given_axes(plot, undoped):
    given = Figure(layout="constrained").subplots()
    axes = plot(undoped, given)
    assert axes is given
    assert plot(undoped).figure is not given.figure
    assert any(unit in axes.get_ylabel() for unit in ("(meV/atom)", "(V vs Na/Na", "(meV per formula unit)"))
    assert axes.get_xlabel() == "x in Na$_{1+x}$Zr$_{2}$Si$_{x}$P$_{3-x}$O$_{12}$"
    colours = [line.get_color() for line in axes.lines] + [text.get_color() for text in axes.texts]
    colours += [line.get_markerfacecolor() for line in axes.lines if line.get_marker() not in ("None", "x")]
    colours += [patch.get_facecolor() for patch in axes.patches]
    for colour in colours:
        red, green, blue, _ = to_rgba(colour)
        assert red == green == blue


def test_figures_show_every_cell_and_interval(undoped):
    counts = dict.fromkeys({cell.parent for p in undoped.points for cell in p.cells}, 0)
    for point in undoped.points:
        for cell in point.cells:
            counts[cell.parent] += 1
    for plot in (ns.plot_doped_series, ns.plot_mixing_energies):
        drawn = {line.get_label(): len(line.get_xdata()) for line in plot(undoped).lines}
        for parent, count in counts.items():
            (label,) = [text for text in drawn if parent in text]
            assert drawn[label] == count
            assert ("rhombohedral" if parent.startswith("boilot") else "monoclinic") in label
    bars = ns.plot_doped_windows(undoped).patches
    known = [point.window.uncertainty for point in undoped.points]
    expected = [u.oxidation_v_interval for u in known] + [u.reduction_v_interval for u in known]
    assert [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in bars] == [
        pytest.approx(pair) for pair in expected
    ]
    plain = ns.plot_doped_series(undoped, temperature_k=None)
    assert not any("mixing" in line.get_label() for line in plain.lines)


def test_published_ground_states_are_marked(undoped):
    axes = ns.plot_mixing_energies(undoped, ground_states=(0, 2, 3))
    (mark,) = [line for line in axes.lines if line.get_label() == "published ground state"]
    assert list(mark.get_xdata()) == [0, 2, 3]
    assert "Na$_{3}$Zr$_{2}$Si$_{2}$PO$_{12}$" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("plot", PLOTS)
def test_an_empty_series_is_not_drawn(plot, undoped):
    with pytest.raises(StabilityError, match="nothing to draw"):
        plot(dataclasses.replace(undoped, points=()))


def test_senseless_temperatures_are_refused(undoped):
    with pytest.raises(StabilityError, match="temperature_k"):
        ns.plot_doped_series(undoped, temperature_k=-1.0)


def test_templates_get_subscripts():
    shown = _subscripted("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12")
    assert shown == "Na$_{3.2+2x}$Zr$_{1.8-x}$Sc$_{0.2}$Zn$_{x}$Si$_{2}$PO$_{12}$"

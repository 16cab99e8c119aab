"""Figures of windows, interfaces and phase diagrams: units on axes, grey, no text over text, nothing cut off."""

from __future__ import annotations

import itertools
from dataclasses import replace

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba

import nasicon_struct as ns
from nasicon_struct.cli.window_text import print_window
from nasicon_struct.errors import StabilityError
from nasicon_struct.interface import judge
from nasicon_struct.plotting.labels import letter, subscripted, voltage_label

GGA = "mp2019-gga"


def draw_windows():
    targets = ("Na3PS4", "Na3SbS4", "NaZr2P3O12", "Na3.2Zr2Si2.2P0.8O12")
    return ns.plot_windows([ns.stability_window(target, GGA) for target in targets])


def draw_profile():
    return ns.plot_voltage_profile(ns.stability_window("Na3PS4", GGA, uncertainty=False), v_max=4.0)


def draw_profile_of_a_mixture():
    return ns.plot_voltage_profile(ns.stability_window("Na3SbS4", GGA, uncertainty=False))


def draw_potentials():
    return ns.plot_potential_diagram(ns.potential_diagram(GGA, system="Na-P-S"))


def draw_hull():
    return ns.plot_ternary_hull(ns.ternary_hull(GGA, system="Na-P-S"))


def draw_interface():
    return ns.plot_interface(ns.interface_reactions("Na3PS4", "Na", GGA))


def draw_map():
    voltages = [0.1 * k for k in range(41)]
    return ns.plot_interface_map(ns.interface_map("Na3PS4", "Na3SbS4", GGA, voltages_v=voltages))


def draw_interphases():
    found = [ns.interphase(target, GGA) for target in ("Na3PS4", "Na3SbS4", "Na3Zr2Si2PO12")]
    products = ns.interface_reactions("Na3PS4", "S", GGA).strongest_mutual.products
    return ns.plot_interphases([*found, judge(products, electrolyte="Na3PS4", where="with S")])


DRAWN = [
    draw_windows,
    draw_profile,
    draw_profile_of_a_mixture,
    draw_potentials,
    draw_hull,
    draw_interface,
    draw_map,
    draw_interphases,
]
#: What stands on the x axis and the y axis.
UNITS = {
    "draw_windows": ("(V vs Na/Na", ""),
    "draw_profile": ("Na taken up per", "(V vs Na/Na"),
    "draw_profile_of_a_mixture": ("Na taken up per", "(V vs Na/Na"),
    "draw_potentials": ("(eV/atom)", "(eV/atom)"),
    "draw_interface": ("Share of atoms", "(meV/atom)"),
    "draw_map": ("Share of atoms", "(V vs Na/Na"),
    "draw_interphases": ("Share of the atoms", ""),
}


@pytest.mark.parametrize("draw", DRAWN)
def test_texts_lie_in_the_figure_and_not_over_each_other(draw):
    axes = draw()
    figure = axes.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [text for text in axes.texts if text.get_text() and text.get_visible()]
    boxes = {text: matplotlib.text.Text.get_window_extent(text, renderer) for text in texts}
    for text, box in boxes.items():
        assert min(box.x0, box.y0) >= 0, text.get_text()
        assert max(box.x1 - figure.bbox.x1, box.y1 - figure.bbox.y1) <= 0, text.get_text()
    for (first, a), (second, b) in itertools.combinations(boxes.items(), 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(wide, high) < 2.0, (first.get_text(), second.get_text())


@pytest.mark.parametrize("draw", DRAWN)
def test_everything_is_grey(draw):
    axes = draw()
    colours = [line.get_color() for line in axes.lines] + [text.get_color() for text in axes.texts]
    colours += [patch.get_facecolor() for patch in axes.patches]
    colours += [patch.get_edgecolor() for patch in axes.patches]
    for colour in colours:
        red, green, blue, _ = to_rgba(colour)
        assert red == green == blue, colour


@pytest.mark.parametrize("draw", [draw for draw in DRAWN if draw.__name__ in UNITS])
def test_axes_carry_units(draw):
    axes = draw()
    x, y = UNITS[draw.__name__]
    assert x in axes.get_xlabel()
    assert y in axes.get_ylabel()


@pytest.mark.parametrize("draw", DRAWN)
def test_a_figure_is_drawn_into_axes_that_are_given(draw, monkeypatch):
    from matplotlib.figure import Figure

    given = Figure(layout="constrained").subplots()
    for name in [name for name in ns.__all__ if name.startswith("plot_")]:
        plot = getattr(ns, name)
        monkeypatch.setattr(ns, name, lambda *args, _plot=plot, **options: _plot(*args, given, **options))
    assert draw() is given


def test_limits_bars_and_published_values_are_where_they_should_be():
    window = ns.stability_window("Na3PS4", GGA)
    axes = ns.plot_windows(window)
    bar = max(axes.patches, key=lambda patch: patch.get_width())
    assert bar.get_x() == pytest.approx(window.reduction_v)
    assert bar.get_x() + bar.get_width() == pytest.approx(window.oxidation_v)
    diamonds = [line.get_xdata() for line in axes.lines if line.get_marker() == "D"]
    # Y. Yuan et al., Energy Environ. Sci. 18 (2025) 4288, introduction, citing Lacivita et al. 2019.
    assert [list(x) for x in diamonds] == [[1.39, 2.45]]


def test_a_window_that_most_draws_deny_is_no_plain_bar(capsys):
    window = ns.stability_window("Na3PS4", GGA)
    assert window.uncertainty.probability_stable > 0.5
    assert not window.is_doubtful
    doubted = replace(window, uncertainty=replace(window.uncertainty, probability_stable=0.414))
    assert doubted.is_doubtful
    assert not replace(doubted, uncertainty=None).is_doubtful
    assert str(doubted) == f"{window}, but on the hull in only 41 % of the draws of the errors"
    axes = ns.plot_windows([window, doubted])
    plain, hatched = (patch for patch in axes.patches if patch.get_zorder() == 3)
    assert (plain.get_hatch(), hatched.get_hatch()) == (None, "xxx")
    assert (plain.get_x(), plain.get_width()) == (hatched.get_x(), hatched.get_width())
    assert "41 %" in [text.get_text() for text in axes.texts]
    assert any("under half of the draws" in text.get_text() for text in axes.get_legend().get_texts())
    print_window(doubted)
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].endswith("but on the hull in only 41 % of the draws of the errors")
    print_window(window)
    assert "only" not in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.004, "under 1 %"), (0.5, "50 %"), (0.997, "over 99 %"), (1, "100 %")]
)
def test_no_share_is_rounded_to_certainty(share, text):
    known = ns.stability_window("Na3PS4", GGA).uncertainty
    assert replace(known, probability_stable=share).percent_stable == text


def test_lists_name_every_step_and_kink():
    window = ns.stability_window("Na3PS4", GGA, uncertainty=False)
    texts = [text.get_text() for text in draw_profile().texts]
    listed = next(text for text in texts if "\n" in text).splitlines()
    assert len(listed) == sum(step.v_low < 4.0 for step in window.steps)
    assert listed[0].startswith("a  above")
    assert any(line.endswith(subscripted("Na3PS4")) for line in listed)


def test_letters_subscripts_and_voltages():
    assert [letter(k) for k in (0, 25, 26, 27, 52)] == ["a", "z", "aa", "ab", "ba"]
    assert subscripted("Na3Zr2(PO4)1.5") == "Na$_{3}$Zr$_{2}$(PO$_{4}$)$_{1.5}$"
    assert voltage_label("Mg", 2) == "Voltage (V vs Mg/Mg$^{2+}$)"


def test_nothing_to_draw_is_an_error():
    with pytest.raises(StabilityError, match="no window to draw"):
        ns.plot_windows([])
    with pytest.raises(StabilityError, match="no interphase to draw"):
        ns.plot_interphases([])
    with pytest.raises(StabilityError, match="1 interphases but 2 labels"):
        ns.plot_interphases(ns.interphase("Na3PS4", GGA), labels=["a", "b"])

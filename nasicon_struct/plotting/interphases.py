"""Figure of interphases: what an electrolyte becomes at electrodes, and which products pass electrons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nasicon_struct.errors import StabilityError
from nasicon_struct.interface.passivation import Interphase
from nasicon_struct.plotting.labels import subscripted
from nasicon_struct.plotting.windows import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What electrons do in a product -> face, text colour and hatching.
_STYLES = {
    "passes electrons": {"face": "0.35", "text": "white", "hatch": ""},
    "semiconductor": {"face": "0.75", "text": "black", "hatch": ""},
    "insulator": {"face": "1.0", "text": "black", "hatch": ""},
    "not known": {"face": "1.0", "text": "black", "hatch": "...."},
}


def plot_interphases(
    interphases: Interphase | Iterable[Interphase],
    ax: Axes | None = None,
    *,
    labels: Sequence[str] | None = None,
) -> Axes:
    """Draw the products of several electrolytes and electrodes as bars, with the verdict on passivation.

    Parameters
    ----------
    interphases : Interphase or iterable of Interphase
        From :func:`nasicon_struct.interphase` or ``interface.judge``.
    ax : matplotlib Axes, optional
    labels : sequence of str, optional, keyword-only
        Names of the bars; by default electrolyte and voltage.

    Returns
    -------
    matplotlib Axes
        One bar per interphase; its parts are the products by their share of the atoms. Dark parts pass
        electrons.

    Raises
    ------
    StabilityError
        If there is no interphase, or not one label for each.
    """
    items = [interphases] if isinstance(interphases, Interphase) else list(interphases)
    if not items:
        raise StabilityError("there is no interphase to draw; give at least one")
    names = [_name(item) for item in items] if labels is None else list(labels)
    if len(names) != len(items):
        raise StabilityError(f"there are {len(items)} interphases but {len(names)} labels; give one for each")
    axes = new_axes(ax, 7.2, 1.0 + 0.55 * len(items))
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(-0.5, len(items) - 0.35)
    axes.set_yticks(range(len(items)), names[::-1])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Share of the atoms")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    used: dict[str, Any] = {}
    for row, item in enumerate(items):
        y = len(items) - 1 - row
        _draw_products(axes, item, y, used)
        axes.annotate(
            _VERDICTS[item.verdict],
            (1.0, y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    shown = [name for name in _STYLES if name in used]
    axes.legend(
        [used[name] for name in shown],
        shown,
        fontsize=7.5,
        frameon=False,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(shown),
    )
    return axes


_VERDICTS = {
    "none": "no reaction",
    "insulating": "may passivate",
    "mixed conducting": "may go on growing",
    "unknown": "not known",
}


def _name(item: Interphase) -> str:
    at = "" if item.voltage_v is None else f", {item.voltage_v:g} V"
    return f"{subscripted(item.electrolyte)}{at}"


def _draw_products(axes: Any, item: Interphase, y: float, used: dict[str, Any]) -> None:
    left = 0.0
    parts = sorted(
        zip(item.products, item.characters, strict=True), key=lambda part: -part[0].atomic_fraction
    )
    for product, character in parts:
        kind = (
            "not known"
            if character.conducts is None
            else "passes electrons"
            if character.conducts
            else "semiconductor"
            if character.character == "semiconductor"
            else "insulator"
        )
        style = _STYLES[kind]
        wide = product.atomic_fraction
        bar = axes.barh(
            y,
            wide,
            left=left,
            height=0.5,
            facecolor=style["face"],
            edgecolor="black",
            linewidth=0.8,
            hatch=style["hatch"],
        )
        used.setdefault(kind, bar)
        inside = wide > 0.02 * (len(product.formula) + 1)
        axes.annotate(
            subscripted(product.formula),
            (left + wide / 2, y if inside else y + 0.27),
            ha="center",
            va="center" if inside else "bottom",
            fontsize=8 if inside else 6.5,
            color=style["text"] if inside else "black",
            bbox={"boxstyle": "square,pad=0.1", "facecolor": style["face"], "edgecolor": "none"}
            if inside and style["hatch"]
            else None,
        )
        left += wide

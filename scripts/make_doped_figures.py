"""Draw every figure of docs/doped-cells.md again, from the shipped tables.

python scripts/make_doped_figures.py                   # all, into docs/figures
python scripts/make_doped_figures.py energies          # only these
python scripts/make_doped_figures.py --folder FOLDER --suffix .pdf
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from figure_files import draw
from matplotlib.figure import Figure

import nasicon_struct as ns
from nasicon_struct.doped import list_doped_series

#: Doped series drawn side by side, as far as the tables hold more than one composition of them.
PANELS = ("Sc", "ScZn", "Zn", "Al")
#: Z. Deng et al., Chem. Mater. 32 (2020) 7908: rhombohedral, DFT and cluster expansion.
PUBLISHED = (0.0, 2.0, 3.0)


def energies() -> Any:
    """Draw energies above hull of the doped series."""
    return _panels(ns.plot_doped_series)


def windows() -> Any:
    """Draw the windows of the doped series."""
    return _panels(ns.plot_doped_windows)


def undoped() -> Any:
    """Draw energies above hull and windows of the undoped line."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    series = ns.load_doped_series("Si")
    ns.plot_doped_series(series, left)
    ns.plot_doped_windows(series, right)
    return figure


def mixing() -> Any:
    """Draw the mixing energies of the undoped line beside the published ground states."""
    series = ns.load_doped_series("Si", uncertainty=False)
    return ns.plot_mixing_energies(series, ground_states=PUBLISHED).figure


def _panels(plot: Callable[..., Any]) -> Any:
    held = [name for name in PANELS if name in list_doped_series()]
    names = [name for name in held if len(ns.load_doped_series(name, uncertainty=False).points) > 1]
    figure = Figure(figsize=(3.5 * len(names), 3.8), layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True)
    for number, (name, ax) in enumerate(zip(names, axes, strict=True)):
        plot(ns.load_doped_series(name), ax)
        if number:
            ax.get_legend().remove()
            ax.set_ylabel("")
    return figure


DRAWN: dict[str, Callable[[], Any]] = {
    "energies": energies,
    "windows": windows,
    "undoped": undoped,
    "mixing": mixing,
}


def main() -> None:
    """Draw what the command line asks for."""
    draw(__doc__.splitlines()[0], DRAWN, "doped")


if __name__ == "__main__":
    main()

"""Draw the figures of docs/screening.md again, and write its tables.

Text between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` is replaced; everything else is written by hand.

    python scripts/make_screening_figures.py            # write
    python scripts/make_screening_figures.py --check    # exit code 1 when the tables are out of date
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata
from tabulate import tabulate

from nasicon_struct import reference
from nasicon_struct.plotting.labels import place_labels, subscripted
from nasicon_struct.plotting.screening import plot_screen
from nasicon_struct.screening import CELL_COLUMNS, COLUMNS, DesignSpace, screen
from nasicon_struct.screening.literature import KINDS, is_room_temperature

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "screening.md"
FIGURES = DOCS / "figures"
#: The series of Z. Li et al., EES Batteries 1 (2025) 1740, and Table S1 of B. Xun et al. 2025.
SETS = {"Sc/Zn series": "li2025", "Table S1, no aid": "xun2025"}
#: Columns whose order is set beside the conductivity, fixed before looking at any of the coefficients.
TESTED = {
    "na": "Na per O12",
    "probability_monoclinic": "P(monoclinic)",
    "m_radius_mean_ang": "mean radius on M",
    "hull_energy_ev_per_atom": "hull energy",
    "assemblage_oxidation_v": "upper limit of the assemblage",
}
#: Draws where all orders are too many to list.
_DRAWS = 200_000


def counts(row: Mapping[str, str]) -> bool:
    """Whether a value is a conductivity of the whole pellet at room temperature, no bound."""
    return row["relation"] == "=" and row["kind"] in KINDS and is_room_temperature(row)


def measured_table() -> Any:
    """Screen the compositions of the two sets; returns the table with sigma (S/cm) and set of each row."""
    rows = []
    for name, key in SETS.items():
        for row in reference.read_rows("conductivity"):
            if (
                row["source_key"] == key
                and row["family"] == "NASICON"
                and not row["additive"]
                and counts(row)
            ):
                sigma = float(row["sigma_s_per_cm"])
                rows.append({"set": name, "given": row["formula"], "sigma_s_per_cm": sigma})
    table = screen([row["given"] for row in rows])
    assert (table["status"] == "possible").all()
    table["set"] = [row["set"] for row in rows]
    table["sigma_s_per_cm"] = [row["sigma_s_per_cm"] for row in rows]
    return table


def spearman(x: Sequence[float], y: Sequence[float]) -> tuple[float, tuple[float, float], float]:
    """Return Spearman's coefficient, its 95 % interval and the two-sided p-value.

    The interval is Fisher's transformation with the variance of Bonett and Wright, Psychometrika 65 (2000) 23;
    the p-value counts orders that correlate as well or better, all of them up to 8 values, else 200,000 at random.
    """
    a, b = rankdata(x), rankdata(y)
    n = len(a)
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    rho = float(np.mean(a * b))
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    centre = math.atanh(max(-0.999999, min(0.999999, rho)))
    if n <= 8:
        from itertools import permutations

        orders = np.array(list(permutations(range(n))))
    else:
        rng = np.random.default_rng(0)
        orders = np.argsort(rng.random((_DRAWS, n)), axis=1)
    found = np.abs((a[None] * b[orders]).mean(axis=1))
    return rho, (math.tanh(centre - half), math.tanh(centre + half)), float(np.mean(found >= abs(rho) - 1e-9))


def columns_table() -> str:
    """Every column and its meaning."""
    rows = [[f"`{name}`", column.meaning] for name, column in {**COLUMNS, **CELL_COLUMNS}.items()]
    return tabulate(rows, ["column", "meaning"], tablefmt="github")


def order_table(table: Any) -> str:
    """The measured compositions in the order of their conductivity, beside what the screen says."""
    rows = []
    for _, row in table.sort_values(["set", "sigma_s_per_cm"], ascending=[True, False]).iterrows():
        rows.append(
            [
                row["set"],
                row["formula"],
                f"{1000 * row['sigma_s_per_cm']:.3g}",
                f"{row['na']:.3f}",
                f"{row['probability_monoclinic']:.2f}",
                f"{row['transition_temperature_k']:.0f} +- {row['transition_temperature_se_k']:.0f}",
                f"{row['m_radius_mean_ang']:.4f}",
                "-" if math.isnan(row["assemblage_oxidation_v"]) else f"{row['assemblage_oxidation_v']:.2f}",
            ]
        )
    headers = [
        "set",
        "composition",
        "measured (mS/cm)",
        "Na",
        "P(monoclinic)",
        "transition (K)",
        "radius on M (A)",
        "upper limit (V)",
    ]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def correlation_table(table: Any) -> str:
    """Spearman's coefficient of each tested column with the conductivity, for each set and all."""
    rows = []
    for name, meaning in TESTED.items():
        line = [meaning]
        for part in (*SETS, "all"):
            chosen = table if part == "all" else table[table["set"] == part]
            chosen = chosen[chosen[name].notna()].round({name: 6})  # no ranks from rounding of the arithmetic
            if len(chosen) < 5 or chosen[name].nunique() < 3:
                line.append("too few values")
                continue
            rho, (low, high), p = spearman(chosen[name], chosen["sigma_s_per_cm"])
            line.append(f"{rho:+.2f} ({low:+.2f} to {high:+.2f}), p = {p:.2g}, n = {len(chosen)}")
        rows.append(line)
    return tabulate(rows, ["column", *SETS, "all"], tablefmt="github", disable_numparse=True)


def same_composition_table() -> str:
    """How far the conductivity of one composition spreads."""
    found = [
        row
        for row in reference.read_rows("conductivity")
        if row["formula"] == "Na3Zr2Si2PO12" and counts(row)
    ]
    rows = []
    for name, aided in (("without sintering aid", False), ("with a sintering aid", True)):
        sigma = [1000 * float(row["sigma_s_per_cm"]) for row in found if bool(row["additive"]) == aided]
        ratio = max(sigma) / min(sigma)
        rows.append([name, len(sigma), f"{min(sigma):.2g} to {max(sigma):.2g}", f"{ratio:.0f}"])
    return tabulate(
        rows, ["Na3Zr2Si2PO12", "values", "mS/cm", "ratio"], tablefmt="github", disable_numparse=True
    )


def draw_space() -> None:
    """Draw a design space: three maps and the Pareto front."""
    space = DesignSpace.from_ranges(["Sc", "Zn"], stop="0.4", step="0.02", si=("1.6", "2.6", "0.05"))
    plot_screen(screen(space), x="si", y="Sc").savefig(FIGURES / "screening-space.png", dpi=110)


def draw_conductivities(table: Any) -> None:
    """Draw the measured conductivity over what the screen says."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(panels, ("na", "probability_monoclinic"), strict=True):
        for part, marker, fill in (("Sc/Zn series", "o", "black"), ("Table S1, no aid", "D", "white")):
            chosen = table[table["set"] == part]
            axes.plot(
                chosen[name],
                1000 * chosen["sigma_s_per_cm"],
                ls="none",
                marker=marker,
                mfc=fill,
                mec="black",
                label=part,
            )
        axes.set_yscale("log")
        axes.set_xlabel({"na": "Na per O$_{12}$", "probability_monoclinic": "P(monoclinic)"}[name])
        axes.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        axes.minorticks_off()
        axes.margins(0.22, 0.1)
        middle = (table[name].min() + table[name].max()) / 2
        points = [(x, 1000 * y) for x, y in zip(table[name], table["sigma_s_per_cm"], strict=True)]
        place_labels(
            axes,
            points,
            [subscripted(formula) for formula in table["formula"]],
            [6.5] * len(points),
            colours=["black"] * len(points),
            sides=[(-1 if x > middle else 1, 1) for x, _ in points],
        )
    panels[0].set_ylabel("measured conductivity (mS/cm)")
    panels[0].legend(fontsize=8, loc="lower right")
    figure.savefig(FIGURES / "screening-conductivity.png", dpi=110)


def main() -> None:
    """Write or check the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare the tables, write nothing")
    options = parser.parse_args()
    table = measured_table()
    tables = {
        "columns": columns_table(),
        "order": order_table(table),
        "correlation": correlation_table(table),
        "spread": same_composition_table(),
    }
    before = PAGE.read_text(encoding="utf-8")
    after = before
    for name, text in tables.items():
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        assert pattern.search(after), f"{PAGE.name} has no place for the table {name}"
        after = pattern.sub(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", after)
    if options.check:
        if after != before:
            sys.exit(f"the tables of {PAGE.name} are out of date; run scripts/make_screening_figures.py")
        return
    PAGE.write_text(after, encoding="utf-8")
    draw_space()
    draw_conductivities(table)


if __name__ == "__main__":
    main()

"""Draw the figures of docs/ordering.md.

    python scripts/make_ordering_figures.py

The energies and site statistics are computed anew (some seconds); energy against time is read from
benchmarks/results/ordering.json, which benchmarks/ordering.py writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import nasicon_struct as ns
from nasicon_struct.ordering import enumerate_arrangements
from nasicon_struct.plotting.labels import subscripted

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"
FORMULA = "Na3Zr2Si2PO12"
UNITS = 4


def draw_energies(ax: Any) -> None:
    """Draw the energies of all arrangements of the conventional cell, and where the two targets lie."""
    every = enumerate_arrangements(FORMULA, formula_units=UNITS)
    kept = ns.order_cell(FORMULA, formula_units=UNITS, keep_site_occupancies=True)[0]
    energies, weights = every.energies_ev_per_fu, every.degeneracies
    mean = float(np.average(energies, weights=weights))
    spread = float(np.sqrt(np.average((energies - mean) ** 2, weights=weights)))
    ax.hist(energies, bins=80, weights=weights / 1e3, color="0.75", edgecolor="0.35", linewidth=0.4)
    top = ax.get_ylim()[1]
    ax.set_ylim(0, 1.3 * top)
    for value, text, height in (
        (float(energies[0]), f"lowest\n{energies[0]:.3f}", 0.55),
        (
            kept.energy_ev_per_fu,
            f"lowest with the refined\nnumbers on each site\n{kept.energy_ev_per_fu:.3f}",
            1.02,
        ),
    ):
        ax.axvline(value, color="0.1", linewidth=1.2, ymax=height / 1.3)
        ax.annotate(text, (value, height * top), ha="center", va="bottom", fontsize=8)
    ax.annotate(
        f"all {int(weights.sum()):,}\narrangements,\n{len(every):,} distinct:\nmean {mean:.2f},\nspread {spread:.2f}",
        (0.985, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=8,
    )  # fmt: skip
    ax.set_xlim(energies[0] - 1.2, None)
    ax.set_xlabel("Ewald energy, formal charges (eV per formula unit)")
    ax.set_ylabel("arrangements (thousands)")
    ax.set_title(f"{subscripted(FORMULA)}, {UNITS} formula units, xun2025_s2", fontsize=9)


def draw_sites(ax: Any) -> None:
    """Draw what sits on each site in the average cell and in ordered cells of two objectives."""
    lowest = ns.order_cell(FORMULA, formula_units=UNITS)[0]
    kept = ns.order_cell(FORMULA, formula_units=UNITS, keep_site_occupancies=True)[0]
    sites = (("Na1", "Na"), ("Na2", "Na"), ("Na3", "Na"), ("T1", "P"), ("T2", "P"))
    tables = (
        ("refined average", lowest.refined_statistics, "1.0", "////"),
        ("ordered, refined numbers kept", kept.site_statistics, "0.7", ""),
        ("ordered, lowest energy", lowest.site_statistics, "0.25", ""),
    )
    width = 0.26
    for k, (name, table, grey, hatch) in enumerate(tables):
        shares = [table[site].get(element, 0) / sum(table[site].values()) for site, element in sites]
        places = np.arange(len(sites)) + (k - 1) * width
        ax.bar(places, shares, width, label=name, color=grey, edgecolor="0.2", hatch=hatch, linewidth=0.7)
        for x, share in zip(places, shares, strict=True):
            if share == 0:
                ax.annotate("0", (x, 0.01), ha="center", va="bottom", fontsize=7)
    ax.set_xticks(range(len(sites)), [f"{element} on {site}" for site, element in sites])
    ax.set_ylim(0, 1.28)
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.set_ylabel("share of the positions")
    ax.legend(loc="upper right", ncols=3, fontsize=7, frameon=False, columnspacing=1.0, handlelength=1.4)


def draw_time(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Draw energy above the lowest known against CPU time, with the spread over seeds."""
    cases = list(
        dict.fromkeys((r["composition"], r["formula_units"], r["parent"], r["shapes"]) for r in rows)
    )
    for ax, case in zip(axes.flat, cases, strict=True):
        part = [r for r in rows if (r["composition"], r["formula_units"], r["parent"], r["shapes"]) == case]
        seconds = [r["cpu_seconds_median"] for r in part]
        low, middle, high = (
            [r[f"above_lowest_mev_per_fu_{k}"] for r in part] for k in ("min", "median", "max")
        )
        ax.fill_between(seconds, low, high, color="0.85", label=f"range of {part[0]['seeds']} seeds")
        ax.plot(seconds, middle, "o-", color="0.15", markersize=4, label="median")
        default = [r for r in part if r["effort"] == 1.0]
        if default:
            ax.plot(
                [default[0]["cpu_seconds_median"]], [default[0]["above_lowest_mev_per_fu_median"]], "s",
                markersize=9, markerfacecolor="none", markeredgecolor="0.1", label="default effort",
            )  # fmt: skip
        for r in part if not default else ():
            if r["anneals"] in (1, part[-1]["anneals"]):
                text = f"{r['anneals']} anneal{'s' if r['anneals'] > 1 else ''}"
                place = (r["cpu_seconds_median"], r["above_lowest_mev_per_fu_median"])
                ax.annotate(text, place, (0, 7), textcoords="offset points", ha="center", fontsize=7)
        ax.set_xscale("log")
        ax.set_xlim(0.6 * min(seconds), 1.7 * max(seconds))
        ticks = [
            t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if 0.6 * min(seconds) < t < 1.7 * max(seconds)
        ]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.minorticks_off()
        ax.set_ylim(-0.04 * max(*high, 1.0), 1.08 * max(*high, 1.0))
        composition, units, parent, shape = case
        what = "all shapes" if shape == "searched" else "one shape"
        ax.set_title(f"{subscripted(composition)}\n{units} formula units, {what}\n{parent}", fontsize=7.5)
        ax.set_xlabel("CPU time (s)")
        ax.tick_params(labelsize=8)
    axes.flat[0].set_ylabel("above the lowest (meV per formula unit)", fontsize=8)
    axes.flat[0].legend(fontsize=7, frameon=False)


def save(figure: Any, name: str) -> None:
    """Write a figure."""
    figure.savefig(FIGURES / f"{name}.png", dpi=130, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Run the script."""
    FIGURES.mkdir(exist_ok=True)
    for name, draw in (("ordering-energies", draw_energies), ("ordering-sites", draw_sites)):
        figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
        draw(ax)
        save(figure, name)
    file = ROOT / "benchmarks" / "results" / "ordering.json"
    if file.is_file():
        rows = json.loads(file.read_text(encoding="utf-8"))["energy_against_time"]
        figure, axes = plt.subplots(1, 3, figsize=(8.6, 3.1), layout="constrained")
        draw_time(axes, rows)
        save(figure, "ordering-time")


if __name__ == "__main__":
    main()

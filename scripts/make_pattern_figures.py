"""Regenerate the figures and the table of docs/powder-patterns.md.

    python scripts/make_pattern_figures.py            # write
    python scripts/make_pattern_figures.py --check    # exit code 1 when the table is out of date

The table comes from docs/pattern-campaign.csv, which ``scripts/simulate_pattern_campaign.py --rates`` writes.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from pymatgen.core import Lattice, Structure
from tabulate import tabulate

from nasicon_struct.cell import build_average_cell
from nasicon_struct.diffraction import PowderPattern, powder_pattern, simulate_scan
from nasicon_struct.metric import monoclinic_cell_from_distortion
from nasicon_struct.parents import load_parent
from nasicon_struct.pattern_fit import fit_pattern, peak_rule
from nasicon_struct.plotting.patterns import plot_pattern, plot_pattern_fit

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "powder-patterns.md"
RATES = DOCS / "pattern-campaign.csv"
FIGURES = DOCS / "figures"
WINDOWS = ((18.3, 20.6), (26.5, 28.6))


def calculated(structure: Structure, fwhm_deg: float = 0.09) -> PowderPattern:
    """Pattern of a structure from 12 to 40 degrees, Cu K-alpha."""
    return powder_pattern(structure, fwhm_deg=fwhm_deg, two_theta_deg=(12, 40), step_deg=0.02)


def on_cell(structure: Structure, a_h: float, c_h: float, delta1: float, delta2: float) -> Structure:
    """A C2/c structure on another metric, its fractional coordinates kept."""
    a, b, c, beta = monoclinic_cell_from_distortion(a_h, c_h, delta1, delta2)
    return Structure(Lattice.monoclinic(a, b, c, beta), structure.species_and_occu, structure.frac_coords)


def mixture(one: PowderPattern, other: PowderPattern, share: float) -> PowderPattern:
    """Two patterns, ``share`` being that of the first in the intensity of the two windows."""
    x = one.two_theta_deg
    inside = np.any([(x > low) & (x < high) for low, high in WINDOWS], axis=0)
    area = one.intensity[inside].sum() / other.intensity[inside].sum()
    return replace(
        one,
        intensity=share * one.intensity + (1 - share) * area * other.intensity,
        reflections=(),
        source="mixture",
    )


def counted(pattern: PowderPattern, seed: int) -> PowderPattern:
    """The scan with 4000 counts at the top and a background of 120."""
    return simulate_scan(pattern, peak_counts=4000, background_counts=120, seed=seed)


def draw_fits() -> dict[str, Figure]:
    """Fits of one scan of each kind."""
    monoclinic = load_parent("subramanian1985").structure
    rhombohedral = load_parent("boilot1988_x235").structure
    s3 = load_parent("xun2025_s3").structure
    scans = {
        "monoclinic": calculated(monoclinic),
        "rhombohedral": calculated(rhombohedral),
        "mixture": mixture(calculated(monoclinic), calculated(rhombohedral), 0.5),
        # the metric of Table S3 with the atoms of a sane structure: its own oxygen positions are unphysical
        "s3": calculated(
            Structure(s3.lattice, monoclinic.species_and_occu, monoclinic.frac_coords), fwhm_deg=0.06
        ),
    }
    out = {}
    for seed, (name, pattern) in enumerate(scans.items(), start=1):
        fit = fit_pattern(counted(pattern, seed))
        print(f"{name}: {fit.phase}, delta2 {fit.delta2:+.4f} +- {fit.delta2_se:.4f}, {fit.probabilities}")
        out[f"pattern-fit-{name}"] = plot_pattern_fit(fit).figure
    return out


def draw_average_cells() -> Figure:
    """Patterns of two average cells, one in each setting."""
    cells = {
        "Na3Zr2Si2PO12, C2/c": build_average_cell(
            "Na3Zr2Si2PO12", parent="subramanian1985", coordinates="prototype"
        ),
        "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12, R-3c": build_average_cell(
            "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12", parent="boilot1988_x235", coordinates="prototype"
        ),
    }
    ax = plot_pattern({name: calculated(cell.structure) for name, cell in cells.items()})
    return ax.figure


def draw_peak_rule() -> Figure:
    """The height ratio of the three-peak rule against the line width, for one crystal under growing shear."""
    structure = load_parent("subramanian1985").structure
    flat = load_parent("boilot1988_x235").structure
    nzp = load_parent("hong1976_nzp").structure
    widths = np.arange(0.05, 0.241, 0.01)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6), layout="constrained")
    shear = {-0.0154: "-", -0.012: "--", -0.009: "-.", -0.006: ":"}
    for delta2, style in shear.items():
        crystal = on_cell(structure, 9.043, 22.92, 0.15 * delta2, delta2)
        ratios = [peak_rule(calculated(crystal, w)).height_ratio for w in widths]
        left.plot(widths, ratios, style, color="black", lw=1.3, label=f"C2/c, $\\delta_2$ = {delta2:+.4f}")
    for name, crystal, style in (("R-3c, 3.35 Na", flat, "-"), ("R-3c, NaZr$_2$(PO$_4$)$_3$", nzp, "--")):
        ratios = [peak_rule(calculated(crystal, w)).height_ratio for w in widths]
        left.plot(widths, ratios, style, color="0.6", lw=2.2, label=name)
    left.axhline(1.0, color="0.3", lw=0.7)
    left.text(0.145, 0.42, "the rule: above 1 rhombohedral, below 1 monoclinic", fontsize=7.5, ha="center")
    left.set_xlabel("line width, FWHM (degree)")
    left.set_ylabel("I(19.2) / I(19.6), heights")
    left.set_ylim(0.35, 2.15)
    left.legend(fontsize=7, frameon=False, loc="upper right", ncols=2)
    crystal = on_cell(structure, 9.043, 22.92, 0.15 * -0.009, -0.009)
    for width, style in ((0.06, "-"), (0.2, "--")):
        pattern = calculated(crystal, width)
        x = pattern.two_theta_deg
        inside = (x > 18.8) & (x < 20.1)
        y = pattern.intensity[inside]
        reading = peak_rule(pattern)
        right.plot(
            x[inside],
            y / y.max(),
            style,
            color="black",
            lw=1.2,
            label=f"FWHM {width:.2f} deg: {reading.height_ratio:.2f},\nrule says {reading.votes['19.2 against 19.6']}",
        )
    right.set_title("one crystal, $\\delta_2$ = -0.009, two instruments", fontsize=9)
    right.set_xlabel(r"$2\theta$ (degree), Cu K$\alpha$")
    right.set_ylabel("intensity (arbitrary unit)")
    right.set_yticks([])
    right.set_ylim(0, 1.55)
    right.legend(fontsize=7.5, frameon=False, loc="upper left")
    return figure


def campaign_table() -> str:
    """The rates of all simulated scans, one column per generator."""
    with RATES.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    names = list(dict.fromkeys(row["scans_of"] for row in rows))
    table = []
    for what in dict.fromkeys(row["what"] for row in rows):
        mine = {row["scans_of"]: row for row in rows if row["what"] == what}
        aim = next((row["aim"] for row in mine.values() if row["aim"]), "")
        cells = [f"{float(mine[n]['rate']):.3f} ({mine[n]['count']})" if n in mine else "-" for n in names]
        table.append([what, *[c.replace("nan (0)", "-") for c in cells], aim])
    return tabulate(table, headers=["", *names, "aim"], tablefmt="pipe", disable_numparse=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(argv)
    text = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(r"(<!-- begin campaign -->\n).*?(<!-- end campaign -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise SystemExit(f"{PAGE.name} needs exactly one region named campaign")
    new = pattern.sub(lambda match: f"{match[1]}{campaign_table()}\n{match[2]}", text)
    if args.check:
        print("up to date" if new == text else "out of date: run scripts/make_pattern_figures.py")
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    FIGURES.mkdir(exist_ok=True)
    figures = {"pattern-average-cells": draw_average_cells(), "pattern-peak-rule": draw_peak_rule()}
    for name, figure in (figures | draw_fits()).items():
        figure.savefig(FIGURES / f"{name}.png", dpi=130, metadata={"Software": None})
        plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())

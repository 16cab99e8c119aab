"""Regenerate the tables and figures of docs/phase-assignment.md.

Text between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` is replaced; everything else is written by
hand.

    python scripts/make_phase_docs.py            # write
    python scripts/make_phase_docs.py --check    # exit code 1 when the tables are out of date
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import fit_phase_model as fitting
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from pymatgen.core import Lattice
from tabulate import tabulate

from nasicon_struct import reference
from nasicon_struct.phase import assign_phase
from nasicon_struct.phase_model import (
    FEATURES,
    load_phase_model,
    nominal_composition,
    phase_map,
    probability_curve,
)
from nasicon_struct.plotting.phase import (
    literature_distortions,
    plot_distortions,
    plot_phase_map,
    plot_probability_curve,
    plot_reliability,
)

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "phase-assignment.md"
FIGURES = DOCS / "figures"
SHORT = {
    "monoclinic": "M",
    "rhombohedral": "R",
    "undetermined": "?",
    "mixed": "M + R",
    "borderline": "borderline",
}
CELL_NAMES = {
    "Na2.8Zr2Si1.8P1.2O12": "Hong x = 1.8",
    "Na3Zr2Si2PO12": "Hong x = 2",
    "Na3.2Zr2Si2.2P0.8O12": "Hong x = 2.2",
    "Na3Sc0.5Zr1.5Si1.5P1.5O12": "Sc0.5Si1.5",
    "Na3Sc0.2Zr1.8Si1.8P1.2O12": "Sc0.2Si1.8",
    "Na3.3Sc0.3Zr1.7Si2PO12": "Sc0.3Si2",
    "Na3.01Zr2Si2.01P0.99O12": "Xun S2",
    "Na3.4Zr1.95Al0.05Si2.35P0.65O12": "Xun S3",
}


def markdown(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    """Return a Markdown table."""
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


def coefficients() -> str:
    """Return the table of the coefficients."""
    stored = json.loads((reference.structures_dir() / "tables" / "phase_model.json").read_text())
    rows = [
        [
            f"`{name}`",
            FEATURES[name],
            f"{e['weight_k']:+.0f} ± {e['se_k']:.0f}",
            f"{e['prior_mean_k']:+.0f} ± {e['prior_sd_k']:.0f}",
            e["prior_reason"],
        ]
        for name, e in stored["features"].items()
    ]
    table = markdown(rows, ["feature", "what it is", "weight (K)", "prior (K)", "why this prior"])
    elements = ", ".join(
        f"{name} {e['weight_k']:+.0f} ± {e['se_k']:.0f}"
        for name, e in stored["elements"].items()
        if abs(e["weight_k"]) >= 0.5
    )
    return (
        f"{table}\n\nTerms of single elements (K at full size; prior 0 ± "
        f"{stored['element_prior_sd_k']:.0f}; those not named "
        f"stayed at 0): {elements}.\n\nWidth of the logistic s = {stored['scale_k']:.0f} K, local term "
        f"{stored['local']['prior_sd_k']:.0f} K over a distance of {stored['local']['length']:.0f} (0.2 Na, "
        "Si or dopant per "
        f"O12), label noise {stored['label_noise']:.2f}; {stored['training']['rows']} labels and "
        f"{stored['training']['transition_temperatures']} transition temperatures from "
        f"{stored['training']['sources']} "
        "sources."
    )


def score_table() -> str:
    """Return the table of leave-one-source-out scores."""
    stored = json.loads((reference.structures_dir() / "tables" / "phase_model.json").read_text())
    names = {
        "all": "all labels",
        "near_boundary": "near the boundary (2.4 to 3.8 Na, Si at least 0.8)",
        "all_nested": "all labels, settings chosen anew",
        "near_boundary_nested": "near the boundary, settings chosen anew",
    }
    rows = [
        [
            names[key],
            f"{s['rows']:.0f}",
            f"{s['accuracy']:.3f}",
            f"{s['brier']:.3f}",
            f"{s['log_loss']:.3f}",
            f"{s['share_decided']:.2f}",
            f"{s['accuracy_decided']:.3f}",
            f"{s['errors_above_0.95']:.0f} of {s['rows_above_0.95']:.0f}",
        ]
        for key, s in stored["leave_one_source_out"].items()
    ]
    headers = [
        "rows", "n", "accuracy", "Brier", "log loss", "share with p >= 0.7", "correct among these",
        "wrong with p >= 0.95",
    ]  # fmt: skip
    return markdown(rows, headers)


def left_out() -> tuple[list[fitting.Row], list[float]]:
    """Return the training rows and the prediction for each with its source left out."""
    rows, model = fitting.training_rows(), load_phase_model()
    return rows, fitting.leave_one_source_out(rows, model.scale_k, model.local_sd_k)


def misses(rows: Sequence[fitting.Row], predictions: Sequence[float]) -> str:
    """Return the rows on the wrong side when their source is left out."""
    wrong = [
        [row.formula, row.source_key, SHORT[row.phase], f"{p:.2f}"]
        for row, p in zip(rows, predictions, strict=True)
        if row.scored and (p > 0.5) != (row.target > 0.5)
    ]
    return markdown(wrong, ["formula", "source", "paper", "P(monoclinic) without this source"])


def reference_cells() -> str:
    """Return the assignment of every NASICON cell in structures/cif."""
    rows = []
    for source in reference.list_sources():
        if not source.file.startswith("cif/") or source.key.startswith(("na3ps4", "na3sbs4")):
            continue
        result = assign_phase(reference.cif_path(source.key))
        metric = result.distortion
        rows.append(
            [
                source.key,
                f"{round(metric.delta1, 4) + 0.0:+.4f}",
                f"{round(metric.delta2, 4) + 0.0:+.4f}",
                f"{metric.strain_norm:.4f}",
                result.phase,
                f"{result.probability_monoclinic:.2f}",
                "; ".join(result.contradictions) or "agrees with its label",
            ]
        )
    return markdown(rows, ["cell", "delta1", "delta2", "strain", "assigned", "P(monoclinic)", "note"])


def literature_cells(rows: Sequence[fitting.Row], predictions: Sequence[float]) -> str:
    """Return the assignment of every row of the literature table that has a cell."""
    blind = {
        (row.composition.formula, row.source_key, row.temperature_k): p
        for row, p in zip(rows, predictions, strict=True)
        if row.tc_k is None
    }
    out = []
    for row in reference.read_rows("literature_phases"):
        if not row["a_hex_ang"]:
            continue
        kelvin = float(row["temperature_k"])
        if row["a_ang"]:
            a, b, c, beta = (float(row[k]) for k in ("a_ang", "b_ang", "c_ang", "beta_deg"))
            lattice = Lattice.from_parameters(a, b, c, 90, beta, 90)
        else:
            lattice = Lattice.hexagonal(float(row["a_hex_ang"]), float(row["c_hex_ang"]))
        result = assign_phase(lattice, composition=row["formula"], temperature_k=kelvin)
        metric = next(vote for vote in result.votes if vote.kind == "metric")
        alone = blind.get((nominal_composition(row["formula"]).formula, row["source_key"], kelvin))
        note = ""
        if result.phase != row["phase"]:
            note = f"paper: {row['label']}"
        elif alone is not None and (alone > 0.5) != (row["phase"] == "monoclinic"):
            note = "composition alone points the other way"
        out.append(
            [
                row["formula"],
                row["source_key"],
                f"{kelvin:.0f}",
                SHORT.get(row["phase"], row["label"]),
                "by construction"
                if "by construction" in metric.sentence
                else f"{result.distortion.delta2:+.4f}",
                "-" if alone is None else f"{alone:.2f}",
                f"{result.probability_monoclinic:.2f}",
                SHORT[result.phase],
                note,
            ]
        )
    headers = [
        "formula", "source", "T (K)", "paper", "delta2", "P(M), composition, source left out", "P(M), all",
        "assigned", "note",
    ]  # fmt: skip
    return markdown(out, headers)


def draw(rows: Sequence[fitting.Row], predictions: Sequence[float]) -> None:
    """Write the figures."""
    FIGURES.mkdir(exist_ok=True)
    clear = [(p, row.target > 0.5) for p, row in zip(predictions, rows, strict=True) if row.scored]
    distortions = {CELL_NAMES.get(name, name): cell for name, cell in literature_distortions().items()}
    curves = [
        probability_curve(formula)
        for formula in ("Na3Zr2Si2PO12", "Na3.2Zr1.8Sc0.2Si2PO12", "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12")
    ]
    for name, ax in (
        ("phase-reliability", plot_reliability(*zip(*clear, strict=True))),
        ("phase-map-sc", plot_phase_map(phase_map("Sc"))),
        ("phase-metric", plot_distortions(distortions)),
        ("phase-temperature", plot_probability_curve(curves)),
    ):
        ax.figure.savefig(FIGURES / f"{name}.png", dpi=130, metadata={"Software": None})
        plt.close(ax.figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(argv)
    rows, predictions = left_out()
    parts = {
        "coefficients": coefficients(),
        "scores": score_table(),
        "misses": misses(rows, predictions),
        "reference-cells": reference_cells(),
        "literature-cells": literature_cells(rows, predictions),
    }
    text = PAGE.read_text(encoding="utf-8")
    new = text
    for name, content in parts.items():
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if len(pattern.findall(new)) != 1:
            raise SystemExit(f"{PAGE.name} needs exactly one region named {name}")
        new = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", new)
    if args.check:
        print("up to date" if new == text else "out of date: run scripts/make_phase_docs.py")
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    draw(rows, predictions)
    return 0


if __name__ == "__main__":
    sys.exit(main())

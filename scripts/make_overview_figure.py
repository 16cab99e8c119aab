"""Draw ``docs/figures/overview.png``: phase map, powder patterns and stability windows in one row."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import nasicon_struct as ns
from nasicon_struct.phase_model import phase_map
from nasicon_struct.plotting.phase import plot_phase_map

FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "overview.png"
FORMULA = "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12"


def main() -> None:
    """Draw and save."""
    figure, axes = plt.subplots(
        1, 3, figsize=(13.5, 3.9), layout="constrained", width_ratios=(1.15, 1.0, 1.15)
    )
    plot_phase_map(phase_map("Sc"), axes[0])
    axes[0].legend(loc="upper right", frameon=False, fontsize=8)
    axes[0].set_title("a   which phase, from the composition", loc="left", fontsize=10)

    cells = {
        name: ns.build_average_cell(FORMULA, parent=parent, coordinates="prototype", lattice="predicted")
        for name, parent in (("C2/c", "subramanian1985"), ("R-3c", "boilot1988_x235"))
    }
    patterns = {name: ns.powder_pattern(cell) for name, cell in cells.items()}
    ns.plot_pattern(patterns, axes[1], two_theta_deg=(18.5, 28.5))
    axes[1].set_ylim(top=1.06 * axes[1].get_ylim()[1])
    axes[1].set_title("b   what a diffractometer would show", loc="left", fontsize=10)

    windows = [
        ns.stability_window(formula) for formula in ("Na3PS4", "Na3SbS4", "NaZr2P3O12", "Na3Zr2Si2PO12")
    ]
    ns.plot_windows(windows, axes[2], v_max=5.25)  # no interval cut off
    legend = axes[2].get_legend()
    legend.set_loc("upper center")
    legend.set_bbox_to_anchor((0.42, -0.16))
    axes[2].set_title("c   stable between which voltages", loc="left", fontsize=10)
    figure.savefig(FIGURE, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()

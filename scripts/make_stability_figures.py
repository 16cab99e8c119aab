"""Draw every figure of docs/stability.md again.

python scripts/make_stability_figures.py                    # all of them, into docs/figures
python scripts/make_stability_figures.py windows profile    # only these
python scripts/make_stability_figures.py --folder FOLDER --suffix .pdf
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np

import nasicon_struct as ns
from nasicon_struct.interface import judge
from nasicon_struct.plotting.labels import subscripted

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "figures"
GGA = "mp2019-gga"
R2SCAN = "chgnet-r2scan"


def windows() -> Any:
    """Draw electrolytes at two levels, with intervals and published values."""
    chosen = (
        ("Na3PS4", GGA),
        ("Na3PS4", R2SCAN),
        ("Na3SbS4", GGA),
        ("Na3SbS4", R2SCAN),
        ("NaZr2P3O12", GGA),
        ("Na3Zr2Si2PO12", GGA),
        ("Na4Zr2Si3O12", GGA),
    )
    return ns.plot_windows([ns.stability_window(target, source) for target, source in chosen])


def profile() -> Any:
    """Draw the steps of one electrolyte."""
    return ns.plot_voltage_profile(ns.stability_window("Na3PS4", GGA, uncertainty=False), v_max=4.0)


def potentials() -> Any:
    """Draw a chemical potential diagram."""
    return ns.plot_potential_diagram(ns.potential_diagram(GGA, system="Na-P-S"))


def hull() -> Any:
    """Draw a ternary hull."""
    return ns.plot_ternary_hull(ns.ternary_hull(GGA, system="Na-P-S"))


def interface() -> Any:
    """Draw a mixing curve."""
    return ns.plot_interface(ns.interface_reactions("Na3SbS4", "Na", R2SCAN))


def interface_map() -> Any:
    """Draw a map of voltage against mixing ratio."""
    return ns.plot_interface_map(
        ns.interface_map("Na3SbS4", "Na3PS4", R2SCAN, voltages_v=np.linspace(0, 4, 161))
    )


def interphases() -> Any:
    """Draw what two sulfides become at electrodes; the alloy counts by its potential."""
    found, labels = [], []
    for electrolyte in ("Na3SbS4", "Na3PS4"):
        for electrode, voltage_v in (("Na", 0.0), ("Na$_{15}$Sn$_4$", 0.1)):
            found.append(ns.interphase(electrolyte, R2SCAN, voltage_v=voltage_v))
            labels.append(f"{subscripted(electrolyte)} | {electrode}, {voltage_v:g} V")
        for electrode in ("S", "Na2S"):
            pair = ns.interface_reactions(electrolyte, electrode, R2SCAN)
            found.append(
                judge(pair.strongest_mutual.products, electrolyte=pair.a, unchanged=bool(pair.is_stable))
            )
            labels.append(f"{subscripted(electrolyte)} | {subscripted(electrode)}")
    return ns.plot_interphases(found, labels=labels)


DRAWN: dict[str, Callable[[], Any]] = {
    "windows": windows,
    "profile": profile,
    "potentials": potentials,
    "hull": hull,
    "interface": interface,
    "interface-map": interface_map,
    "interphases": interphases,
}


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(DRAWN)} [default: all]")
    parser.add_argument("--folder", type=Path, default=FIGURES, help="where to write")
    parser.add_argument("--suffix", default=".png", help="format")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(DRAWN))
    if unknown:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(DRAWN)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or DRAWN:
        file = options.folder / f"stability-{name}{options.suffix}"
        axes = DRAWN[name]()
        axes.figure.savefig(file, dpi=150, metadata={"Software": None} if options.suffix == ".png" else None)
        print(file)


if __name__ == "__main__":
    main()

"""Draw every figure of docs/stability.md again, and write its tables.

python scripts/make_stability_figures.py                    # all, into docs/figures, and the tables
python scripts/make_stability_figures.py windows profile    # only these figures
python scripts/make_stability_figures.py --folder FOLDER --suffix .pdf
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from figure_files import draw
from tabulate import tabulate

import nasicon_struct as ns
from nasicon_struct.interface import interface_uncertainty, judge
from nasicon_struct.plotting.labels import subscripted

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "stability.md"
GGA = "mp2019-gga"
R2SCAN = "chgnet-r2scan"
TARGETS = ("Na3PS4", "Na3SbS4", "NaZr2P3O12", "Na3Zr2Si2PO12", "Na4Zr2Si3O12")
CASES = [(target, source) for target in TARGETS for source in (GGA, R2SCAN)]
SULFIDES = ("Na3SbS4", "Na3PS4")
ELECTRODES = ("Na", "Na15Sn4", "S", "Na2S")
#: Energies without tin know the alloy by its sodium alone: plateau of Na9Sn4 and Na15Sn4 at 363 K, T. Yamamoto et
#: al., J. Power Sources 237 (2013) 98.
ALLOY_V = 0.08


def windows() -> Any:
    """Draw electrolytes at two levels, with intervals and published values."""
    return ns.plot_windows([ns.stability_window(target, source) for target, source in CASES], v_max=5.25)


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
    """Draw what two sulfides become at electrodes that are in excess."""
    pairs = [(electrolyte, electrode) for electrolyte in SULFIDES for electrode in ELECTRODES]
    labels = [f"{subscripted(electrolyte)} | {subscripted(electrode)}" for electrolyte, electrode in pairs]
    return ns.plot_interphases([layer(*pair, R2SCAN)[0] for pair in pairs], labels=labels)


def layer(electrolyte: str, electrode: str, source: str) -> tuple[Any, Any]:
    """Return what forms at an electrode in excess, and the most that both give off together with its interval."""
    covered = next(item.elements for item in ns.list_entry_sources() if item.name == source)
    if not set(ns.parse_formula(electrode)) <= set(covered):
        return ns.interphase(electrolyte, source, voltage_v=ALLOY_V), None
    pair = ns.interface_reactions(electrolyte, electrode, source)
    force = interface_uncertainty(electrolyte, electrode, source)
    # The last kink before the pure electrode.
    products = pair.kinks[-2].products
    unchanged = pair.mutual_driving_force_ev_per_atom < 1e-8
    return judge(products, electrolyte=pair.a, unchanged=unchanged, where=f"with {pair.b}"), force


def window_table() -> str:
    """Return the windows as a Markdown table."""
    rows = []
    for target, source in CASES:
        window = ns.stability_window(target, source)
        rows.append(
            [
                target,
                f"`{source}`",
                f"{1000 * window.e_above_hull_ev_per_atom:.1f}",
                _limit(window.reduction_v, window.uncertainty.reduction_v_interval),
                " + ".join(window.reduction_products),
                _limit(window.oxidation_v, window.uncertainty.oxidation_v_interval),
                " + ".join(window.oxidation_products),
                f"{100 * window.uncertainty.probability_stable:.0f} %",
            ]
        )
        rows += [
            [target, "published", "", _number(found.reduction_v), "", _number(found.oxidation_v), "", ""]
            for found in ns.published_windows(target)
            if found.is_computed and source == R2SCAN
        ]
    headers = [
        "",
        "energies",
        "above hull, meV/atom",
        "reduction, V",
        "to",
        "oxidation, V",
        "to",
        "stable in",
    ]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _limit(value: float | None, interval: tuple[float, float] | None) -> str:
    text = "none" if value is None else f"{value:.3f}"
    return text if interval is None else f"{text} ({interval[0]:.2f} to {interval[1]:.2f})"


def interface_table() -> str:
    """Return the interfaces of two sulfides as a Markdown table."""
    rows = []
    for electrolyte in SULFIDES:
        for electrode in ELECTRODES:
            for source in (GGA, R2SCAN):
                found, force = layer(electrolyte, electrode, source)
                name = electrode if force is not None else f"{electrode} as Na at {ALLOY_V} V"
                given = "" if force is None else _force(force)
                parts = "" if found.verdict == "none" else " + ".join(p.formula for p in found.products)
                rows.append([electrolyte, name, f"`{source}`", given, parts, found.verdict])
    headers = ["electrolyte", "electrode", "energies", "meV/atom", "products beside the electrode", "verdict"]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def _force(found: Any) -> str:
    if found.mutual_driving_force_ev_per_atom < 1e-8:
        return "0"  # the interval is that of the strongest reaction
    low, high = (1000 * value for value in found.interval_ev_per_atom)
    return f"{1000 * found.mutual_driving_force_ev_per_atom:.0f} ({low:.0f} to {high:.0f})"


def write_tables() -> None:
    """Put the tables between their marks in the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in (("windows", window_table()), ("interfaces", interface_table())):
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        head, _, rest = text.partition(begin)
        tail = rest.partition(end)[2]
        text = f"{head}{begin}\n{table}\n{end}{tail}"
    PAGE.write_text(text, encoding="utf-8")


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
    """Draw what the command line asks for; write the tables with all figures of the page."""
    if draw(__doc__.splitlines()[0], DRAWN, "stability"):
        write_tables()
        print(PAGE)


if __name__ == "__main__":
    main()

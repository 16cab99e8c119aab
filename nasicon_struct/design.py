"""Everything about one composition, in one folder: report, cells, pattern, window."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monty.json import MSONable

from nasicon_struct.cell import AverageCell, build_average_cell
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.diffraction import PowderPattern, powder_pattern
from nasicon_struct.doped import DopedStability, doped_stability
from nasicon_struct.errors import CompositionError
from nasicon_struct.phase import PhaseAssignment, assign_phase
from nasicon_struct.stability import StabilityWindow, published_windows, stability_window

#: Parent of the rhombohedral cell that is written beside the monoclinic one.
RHOMBOHEDRAL_PARENT = "boilot1988_x235"


@dataclass(frozen=True, kw_only=True)
class DesignReport(MSONable):
    """All that the package says about one composition.

    Attributes
    ----------
    composition : NasiconComposition
    phase : PhaseAssignment
        Monoclinic or rhombohedral at ``temperature_k``.
    temperature_k : float
        Kelvin.
    cells : dict of str to AverageCell
        Average cells by file name: from the refined parent, and with prototype coordinates.
    patterns : dict of str to PowderPattern
        Calculated Cu K-alpha patterns of the prototype cells.
    window : StabilityWindow
        Grand-potential stability open to Na; V against Na/Na+.
    relaxed : DopedStability or None
        Energies of relaxed, ordered cells, where asked for.
    """

    composition: NasiconComposition
    phase: PhaseAssignment
    temperature_k: float
    cells: dict[str, AverageCell]
    patterns: dict[str, PowderPattern]
    window: StabilityWindow
    relaxed: DopedStability | None = None


def design(
    composition: Any,
    *,
    parent: str = "xun2025_s2",
    temperature_k: float = 298.15,
    source: str | None = None,
    relax: bool = False,
    relax_options: Mapping[str, Any] | None = None,
) -> DesignReport:
    """Judge one composition: cells, phase, powder pattern and stability.

    Parameters
    ----------
    composition : str, pymatgen Composition or Structure, ASE Atoms, or NasiconComposition
    parent : str
        Refined parent of the average cell; see :func:`list_parents`.
    temperature_k : float
        Temperature of the phase assignment, kelvin.
    source : str, optional
        Name of the entry set of the window, see :func:`list_entry_sources`; without one, that nearest to
        measurement for the elements.
    relax : bool
        Also order the composition, relax the orderings and compare them with the hull (minutes; see
        :func:`doped_stability`).
    relax_options : mapping, optional
        Options of :func:`doped_stability`.

    Returns
    -------
    DesignReport

    Raises
    ------
    NasiconError
        If the composition is no neutral NASICON, or parent or source is unknown.
    """
    target = NasiconComposition.from_any(composition)
    cells = {
        f"average_{parent}.cif": build_average_cell(target, parent=parent),
        "average_monoclinic_prototype.cif": build_average_cell(
            target, parent="subramanian1985", coordinates="prototype", lattice="predicted"
        ),
        "average_rhombohedral_prototype.cif": build_average_cell(
            target, parent=RHOMBOHEDRAL_PARENT, coordinates="prototype", lattice="predicted"
        ),
    }
    patterns = {
        "C2/c prototype": powder_pattern(cells["average_monoclinic_prototype.cif"]),
        "R-3c prototype": powder_pattern(cells["average_rhombohedral_prototype.cif"]),
    }
    return DesignReport(
        composition=target,
        phase=assign_phase(target, temperature_k=temperature_k),
        temperature_k=temperature_k,
        cells=cells,
        patterns=patterns,
        window=stability_window(target.formula, source),
        relaxed=doped_stability(target, **(relax_options or {})) if relax else None,
    )


def summary(report: DesignReport) -> dict[str, Any]:
    """Return the report as plain JSON; units stand in the names."""
    c, phase, window = report.composition, report.phase, report.window
    published = published_windows(window.target)
    return {
        "formula": c.formula,
        "na": c.na,
        "x_si": c.x_si,
        "x_p": c.x_p,
        "dopants": c.dopants,
        "oxidation_states": c.oxidation_states,
        "net_charge": float(c.net_charge),
        "molar_mass_g_per_mol": c.molar_mass_g_per_mol,
        "m_radius_mean_ang": c.m_radius_mean_ang,
        "phase": {
            "phase": phase.phase,
            "probability_monoclinic": phase.probability_monoclinic,
            "temperature_k": report.temperature_k,
            "evidence": list(phase.evidence),
            "nearest_literature": [str(n) for n in phase.nearest_literature],
        },
        "cells": {name: _cell(cell) for name, cell in report.cells.items()},
        "window": {
            "target": window.target,
            "is_stable": window.is_stable,
            "reduction_v": window.reduction_v,
            "oxidation_v": window.oxidation_v,
            **_intervals(window),
            "e_above_hull_ev_per_atom": window.e_above_hull_ev_per_atom,
            "reason": window.reason,
            "decomposition_reaction": window.decomposition_reaction,
            "assemblage_reduction_v": window.assemblage_reduction_v,
            "assemblage_oxidation_v": window.assemblage_oxidation_v,
            "source": window.source,
            "level": window.level,
            "missing": list(window.missing),
            "notes": list(window.notes),
            "steps": [
                {
                    "v_low": step.v_low,
                    "v_high": step.v_high,
                    "reaction": step.reaction,
                    "exchanged": step.exchanged,
                    "capacity_mah_per_g": step.capacity_mah_per_g,
                }
                for step in window.steps
            ],
            "published": [
                {
                    "kind": p.kind,
                    "reduction_v": p.reduction_v,
                    "oxidation_v": p.oxidation_v,
                    "relation": p.relation,
                    "source": p.source,
                }
                for p in published
            ],
        },
        "relaxed": None if report.relaxed is None else _relaxed(report.relaxed),
    }


def _relaxed(found: DopedStability) -> dict[str, Any]:
    window = found.window
    return {
        "level": found.level,
        "calculator": found.calculator,
        "e_above_hull_ev_per_atom": found.e_above_hull_ev_per_atom,
        "e_above_hull_mixed_ev_per_atom": found.e_above_hull_mixed_ev_per_atom,
        "spread_ev_per_atom": found.spread_ev_per_atom,
        "temperature_k": found.temperature_k,
        "entropy_ev_per_k_per_atom": found.entropy_ev_per_k_per_atom,
        "mixing": list(found.mixing),
        "is_stable": window.is_stable,
        "reduction_v": window.reduction_v,
        "oxidation_v": window.oxidation_v,
        "assemblage_reduction_v": window.assemblage_reduction_v,
        "assemblage_oxidation_v": window.assemblage_oxidation_v,
        "decomposition_reaction": window.decomposition_reaction,
        "warnings": list(found.warnings),
        "orderings": [
            {
                name: getattr(item, name)
                for name in (
                    "parent",
                    "formula",
                    "formula_units",
                    "energy_ev_per_atom",
                    "formation_energy_ev_per_atom",
                    "e_above_hull_ev_per_atom",
                    "e_above_hull_mixed_ev_per_atom",
                )
            }
            | {
                "volume_change_percent": item.relaxed.volume_change_percent,
                "converged": item.relaxed.converged,
                "flags": list(item.relaxed.flags),
            }
            for item in found.orderings
        ],
    }


def _cell(cell: AverageCell) -> dict[str, Any]:
    lattice = cell.structure.lattice
    return {
        "parent": cell.parent,
        "coordinates": cell.coordinates,
        "lattice_source": cell.lattice_source,
        "space_group": cell.space_group,
        "formula_units": cell.z,
        "a_ang": lattice.a,
        "b_ang": lattice.b,
        "c_ang": lattice.c,
        "beta_deg": lattice.beta,
        "gamma_deg": lattice.gamma,
        "volume_ang3": lattice.volume,
        "warnings": list(cell.warnings),
    }


def _published_range(window: Mapping[str, Any]) -> str:
    """Return the limits that a publication gives, with the sign that it puts before the upper one."""
    low, high = window["reduction_v"], window["oxidation_v"]
    if high is None:
        return f"from {low} V"
    sign = "" if window["relation"] == "=" else f"{window['relation']} "
    if low is None:
        return f"{sign or 'up to '}{high} V"
    return f"{low} to {sign}{high} V"


def markdown(report: DesignReport) -> str:
    """Return the report as a Markdown page."""
    from tabulate import tabulate

    data = summary(report)
    c, phase, window = report.composition, data["phase"], data["window"]
    lines = [f"# {c.formula}", "", "## Composition", ""]
    lines += [
        f"Neutral per O12: Na {c.na:g}, Si {c.x_si:g}, P {c.x_p:g}, M site "
        + ", ".join(f"{s} {float(n):g}" for s, n in c.m_site.items())
        + f". Molar mass {data['molar_mass_g_per_mol']:.2f} g/mol; mean Shannon radius on M "
        f"{data['m_radius_mean_ang']:.3f} angstrom.",
        "",
        f"## Phase at {report.temperature_k:g} K",
        "",
        f"**{phase['phase']}**, probability of C2/c {phase['probability_monoclinic']:.2f}.",
        "",
        *[f"- {sentence}" for sentence in phase["evidence"]],
        "",
        "## Cells",
        "",
        tabulate(
            [
                [
                    name,
                    cell["space_group"],
                    cell["a_ang"],
                    cell["b_ang"],
                    cell["c_ang"],
                    cell["beta_deg"],
                    cell["volume_ang3"],
                    cell["lattice_source"],
                ]
                for name, cell in data["cells"].items()
            ],
            ["file", "space group", "a (A)", "b (A)", "c (A)", "beta (deg)", "V (A^3)", "lattice"],
            tablefmt="github",
            floatfmt=".3f",
        ),
        "",
        *[f"- {name}: {text}" for name, cell in data["cells"].items() for text in cell["warnings"]],
        "",
        "![powder pattern](pattern.png)",
        "",
        "## Stability against Na metal",
        "",
        f"Energies: {window['source']}, {window['level']}.",
        "",
        str(report.window) + ".",
        "",
        *([] if window["reason"] in str(report.window) else [f"- {window['reason']}"]),
        *([] if window["is_stable"] else [f"- decomposition: {window['decomposition_reaction']}"]),
        *_interval_lines(window),
        *[f"- note: {note}" for note in window["notes"]],
        *(
            [f"- known phases that these energies lack: {', '.join(window['missing'])}"]
            if window["missing"]
            else []
        ),
        *[f"- published ({p['kind']}): {_published_range(p)}; {p['source']}" for p in window["published"]],
        "",
        tabulate(
            [
                [
                    f"{s['v_low']:.3f}",
                    f"{s['v_high']:.3f}" if math.isfinite(s["v_high"]) else "no limit",
                    f"{s['exchanged']:+.3f}",
                    s["reaction"],
                ]
                for s in window["steps"]
            ],
            ["from (V)", "to (V)", "Na taken up", "equilibrium"],
            tablefmt="github",
            disable_numparse=True,
        ),
        "",
        "![stability window](window.png)",
        "",
    ]
    if report.relaxed is not None:
        found = report.relaxed
        lines += [
            "## Relaxed cells",
            "",
            f"{found}. {found.calculator}",
            "",
            found.table(),
            "",
            f"- {found.describe_window()}",
            *[f"- note: {text}" for text in found.warnings],
            "",
        ]
    return "\n".join(lines)


def _intervals(window: StabilityWindow) -> dict[str, Any]:
    known = window.uncertainty
    names = ("reduction_v_interval", "oxidation_v_interval", "e_above_hull_interval_ev_per_atom")
    found = {name: getattr(known, name, None) for name in names}
    return {
        **{name: None if pair is None else list(pair) for name, pair in found.items()},
        "probability_stable": None if known is None else known.probability_stable,
    }


def _interval_lines(window: dict[str, Any]) -> list[str]:
    parts = [
        f"{name} {pair[0]:.2f} to {pair[1]:.2f} V"
        for name, pair in (
            ("reduction", window["reduction_v_interval"]),
            ("oxidation", window["oxidation_v_interval"]),
        )
        if pair is not None
    ]
    lines = [f"- 95 % intervals with the error of the energies: {', '.join(parts)}"] if parts else []
    pair = window["e_above_hull_interval_ev_per_atom"]
    if window["e_above_hull_ev_per_atom"] is not None and pair is not None:
        lines.append(
            f"- energy above the hull {1000 * window['e_above_hull_ev_per_atom']:.1f} meV/atom, 95 % interval "
            f"{1000 * pair[0]:.1f} to {1000 * pair[1]:.1f}; on the hull in "
            f"{100 * window['probability_stable']:.0f} % of the draws of the errors"
        )
    return lines


def folder_name(composition: NasiconComposition) -> str:
    """Return a folder name for a composition: its formula, with any fraction bar replaced."""
    return re.sub(r"[^A-Za-z0-9.]", "_", composition.formula)


def write_report(report: DesignReport, out: str | Path) -> list[Path]:
    """Write report.md, report.json, the CIFs and both pictures into a folder.

    Parameters
    ----------
    report : DesignReport
    out : str or Path
        Folder; made if it does not exist, files of the same name are replaced.

    Returns
    -------
    list of Path
        The files written.
    """
    from matplotlib import pyplot

    from nasicon_struct.plotting.patterns import plot_pattern
    from nasicon_struct.plotting.windows import plot_windows

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, cell in report.cells.items():
        cell.to_cif(folder / name)
        files.append(folder / name)
    if report.relaxed is not None:
        from pymatgen.io.cif import CifWriter

        CifWriter(report.relaxed.lowest.relaxed.final).write_file(str(folder / "relaxed.cif"))
        files.append(folder / "relaxed.cif")
    for name, width, height in (("pattern.png", 7.5, 5.0), ("window.png", 7.5, 2.6)):
        figure, ax = pyplot.subplots(figsize=(width, height), layout="constrained")
        if name == "pattern.png":
            plot_pattern(report.patterns, ax)
        else:
            plot_windows([report.window], ax)
        figure.savefig(folder / name, dpi=150)
        pyplot.close(figure)
        files.append(folder / name)
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")
    (folder / "report.json").write_text(_json(summary(report)), encoding="utf-8")
    return [*files, folder / "report.md", folder / "report.json"]


def _json(data: dict[str, Any]) -> str:
    from nasicon_struct.plain import plain

    return json.dumps(plain(data), indent=2, ensure_ascii=False) + "\n"


#: Endings of files that may hold formulas, but no lines of them.
_NO_TEXT: Final = (".json", ".jsonl", ".parquet", ".xlsx", ".xls", ".ods", ".cif")


def read_formulas(path: str | Path) -> Sequence[str]:
    """Read formulas from a file: one a line, the column ``formula`` of a table, or its first; ``#`` starts a comment.

    Cells are separated by commas, semicolons or tabs.

    Raises
    ------
    CompositionError
        If the file is no text, or that of another program.
    """
    raw = Path(path).read_bytes()
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    if Path(path).suffix.lower() in _NO_TEXT or (b"\x00" in raw and not wide):
        raise CompositionError(
            f"{Path(path).name} is no list of formulas; give a text file with one a line, or a .csv with a column "
            "formula"
        )
    lines = raw.decode("utf-16" if wide else "utf-8-sig", errors="replace").splitlines()
    first = next((line for line in lines if line.partition("#")[0].strip()), "")
    delimiter = max((",", ";", "\t"), key=first.count)
    formulas: list[str] = []
    column = 0
    for line in lines:
        cells = [cell.strip().strip('"') for cell in line.partition("#")[0].split(delimiter)]
        names = [cell.lower() for cell in cells]
        if not formulas and "formula" in names:
            column = names.index("formula")
        elif column < len(cells) and cells[column]:
            formulas.append(cells[column])
    return formulas

"""The relaxed cell and its report."""

from __future__ import annotations

from dataclasses import dataclass

from monty.json import MSONable
from pymatgen.core.structure import Structure

from nasicon_struct.geometry import M_O_RANGE_ANG, T_O_RANGE_ANG, GeometryReport
from nasicon_struct.metric import MonoclinicDistortion


@dataclass(frozen=True, kw_only=True)
class RelaxedCell(MSONable):
    """Outcome of :func:`relax_cell`.

    Attributes
    ----------
    initial, final : Structure
        Before and after; the same order of atoms, formal charges and labels.
    formula_units : float
        O12 units in the cell.
    initial_energy_ev_per_fu, energy_ev_per_fu : float
        Energy of the calculator before and after, eV per O12 formula unit.
    energy_ev_per_atom : float
        After, eV per atom.
    max_force_ev_per_ang : float
        Largest force on an atom at the end, eV/angstrom.
    max_stress_gpa : float or None
        Largest component of the stress at the end, GPa; None when the lattice was held.
    steps : int
        Steps of the optimizer.
    converged : bool
        Whether forces (and stress) fell below the limit.
    fmax_ev_per_ang : float
        That limit, eV/angstrom.
    volume_change_percent : float
    geometry_before, geometry_after : GeometryReport or None
        Bond lengths and bond valence sums by site; None when an M or T atom has lost its oxygens.
    elements_before, elements_after : GeometryReport or None
        The same by element.
    outside_before, outside_after : dict of str to (int, int)
        For M and T: bonds to the six (four) nearest oxygens outside the sane range, and bonds in all.
    distortion_before, distortion_after : MonoclinicDistortion or None
        Distance from rhombohedral metric. After: in the C2/c axes found before, averaged over 2/m; None
        when the cell is near no NASICON metric.
    symmetry_before, symmetry_after : dict of float to str
        Space group of the framework (M, T, O without telling elements apart), averaged over the translations
        of the framework before, by tolerance in angstrom.
    displacement_rms_ang : dict of str to float
        Root mean square displacement of Na, M, T and O in fractional terms (the strain taken out) about
        their common drift, angstrom.
    broken_bonds : tuple of str
        Bonds of the start that are none any more, and atoms with a changed coordination number.
    energies_ev_per_fu : tuple of float
        Energy at each step.
    flags : tuple of str
        What to look at before using the result; empty when all went well.
    provenance : tuple of str
        Calculator, optimizer, versions.
    """

    initial: Structure
    final: Structure
    formula_units: float
    initial_energy_ev_per_fu: float
    energy_ev_per_fu: float
    energy_ev_per_atom: float
    max_force_ev_per_ang: float
    max_stress_gpa: float | None
    steps: int
    converged: bool
    fmax_ev_per_ang: float
    volume_change_percent: float
    geometry_before: GeometryReport | None
    geometry_after: GeometryReport | None
    elements_before: GeometryReport | None
    elements_after: GeometryReport | None
    outside_before: dict[str, tuple[int, int]]
    outside_after: dict[str, tuple[int, int]]
    distortion_before: MonoclinicDistortion | None
    distortion_after: MonoclinicDistortion | None
    symmetry_before: dict[float, str]
    symmetry_after: dict[float, str]
    displacement_rms_ang: dict[str, float]
    broken_bonds: tuple[str, ...]
    energies_ev_per_fu: tuple[float, ...]
    flags: tuple[str, ...]
    provenance: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("broken_bonds", "energies_ev_per_fu", "flags", "provenance"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("outside_before", "outside_after"):
            object.__setattr__(self, name, {k: tuple(v) for k, v in getattr(self, name).items()})
        for name in ("symmetry_before", "symmetry_after"):  # JSON makes keys text
            object.__setattr__(self, name, {float(k): v for k, v in getattr(self, name).items()})

    @property
    def structure(self) -> Structure:
        """The relaxed structure."""
        return self.final

    @property
    def is_sane(self) -> bool:
        """Whether the relaxed framework passes the geometry check."""
        return self.geometry_after is not None and self.geometry_after.is_sane

    def report(self) -> str:
        """Return the outcome as plain text: energies, lattice, bonds before and after, flags."""
        return _report(self)


def _report(cell: RelaxedCell) -> str:
    from tabulate import tabulate

    first, last = cell.initial.lattice, cell.final.lattice
    lines = [
        f"{cell.final.composition.element_composition.formula}, {cell.formula_units:g} formula units",
        *cell.provenance,
        f"{'Converged' if cell.converged else 'NOT converged'} after {cell.steps} steps: largest force "
        f"{cell.max_force_ev_per_ang:.4f} eV/A"
        + ("" if cell.max_stress_gpa is None else f", largest stress {cell.max_stress_gpa:.3f} GPa"),
        f"Energy {cell.initial_energy_ev_per_fu:.4f} -> {cell.energy_ev_per_fu:.4f} eV per formula unit "
        f"({cell.energy_ev_per_atom:.5f} eV per atom)",
        "",
        tabulate(
            [
                ["a, b, c (A)", *(" ".join(f"{x:.4f}" for x in box.abc) for box in (first, last))],
                [
                    "alpha, beta, gamma (deg)",
                    *(" ".join(f"{x:.3f}" for x in box.angles) for box in (first, last)),
                ],
                [
                    f"volume (A^3), {cell.volume_change_percent:+.2f} %",
                    f"{first.volume:.2f}",
                    f"{last.volume:.2f}",
                ],
                *(
                    [name, *("-" if d is None else f"{getattr(d, field):{form}}" for d in both)]
                    for both in [(cell.distortion_before, cell.distortion_after)]
                    for name, field, form in (
                        ("delta1", "delta1", "+.4f"),
                        ("delta2", "delta2", "+.4f"),
                        ("strain from rhombohedral", "strain_norm", ".4f"),
                    )
                ),
                *_symmetry_rows(cell),
            ],
            ["", "before", "after"],
            disable_numparse=True,
        ),
        "",
        tabulate(
            [
                *_merged(
                    _bond_rows(cell.geometry_before, cell.geometry_after),
                    _bond_rows(cell.elements_before, cell.elements_after),
                )
            ],
            [
                "",
                "n",
                "bonds before (A)",
                "bonds after (A)",
                "O-O before",
                "O-O after",
                "charge",
                "BVS before",
                "BVS after",
            ],
            disable_numparse=True,
        ),
        "",
        "Displacement without the strain (rms, A): "
        + ", ".join(f"{k} {v:.3f}" for k, v in cell.displacement_rms_ang.items()),
        *(
            f"{kind}-O bonds outside {low:.2f}-{high:.2f} A: {cell.outside_before[kind][0]} before, "
            f"{cell.outside_after[kind][0]} after, of {cell.outside_after[kind][1]}"
            for kind, (low, high) in (("M", M_O_RANGE_ANG), ("T", T_O_RANGE_ANG))
            if kind in cell.outside_after
        ),
        *(f"FLAG: {flag}" for flag in cell.flags),
        *(
            []
            if cell.flags
            else ["No flag: converged, every bond kept, bond lengths inside the sane ranges."]
        ),
    ]
    return "\n".join(lines)


def _symmetry_rows(cell: RelaxedCell) -> list[list[str]]:
    """Return the space group before and after, neighbouring tolerances with the same answer in one row."""
    runs: list[tuple[list[float], list[str]]] = []
    for tolerance in sorted(cell.symmetry_after):
        groups = [cell.symmetry_before.get(tolerance, "-"), cell.symmetry_after[tolerance]]
        if not runs or runs[-1][1] != groups:
            runs.append(([], groups))
        runs[-1][0].append(tolerance)
    return [
        [
            "framework symmetry within " + (f"{t[0]:g}" if len(t) == 1 else f"{t[0]:g} to {t[-1]:g}") + " A",
            *groups,
        ]
        for t, groups in runs
    ]


def _merged(sites: list[list[str]], elements: list[list[str]]) -> list[list[str]]:
    """Return rows of sites, then of elements; one row, such as ``T1 (P)-O``, where both say the same."""
    rows, left = [], list(elements)
    for row in sites:
        twin = next((other for other in left if other[1:] == row[1:]), None)
        if twin is not None:
            left.remove(twin)
            if twin[0] != row[0]:
                row = [f"{row[0].removesuffix('-O')} ({twin[0].removesuffix('-O')})-O", *row[1:]]
        rows.append(row)
    return rows + left


def _bond_rows(before: GeometryReport | None, after: GeometryReport | None) -> list[list[str]]:
    def number(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    tables = [{s.label: s for s in report.sites} if report else {} for report in (before, after)]
    rows = []
    for label in dict.fromkeys([*tables[0], *tables[1]]):
        sites = [table.get(label) for table in tables]
        known = next(site for site in sites if site is not None)
        rows.append(
            [
                f"{label}-O",
                str(known.n_positions),
                *(
                    "-" if s is None else f"{s.min_ang:.3f}-{s.max_ang:.3f}, mean {s.mean_ang:.3f}"
                    for s in sites
                ),
                *("-" if s is None else number(s.min_oo_ang, 2) for s in sites),
                f"{known.formal_charge:.2f}",
                *("-" if s is None else number(s.bond_valence_sum, 2) for s in sites),
            ]
        )
    return rows

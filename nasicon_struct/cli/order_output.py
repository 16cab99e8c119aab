"""What ``nasicon-struct order`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nasicon_struct.cli.common import echo_json

if TYPE_CHECKING:
    from nasicon_struct.ordering import CandidateSupercell, OrderedCell
    from nasicon_struct.relaxation import RelaxedCell

#: Below this share of anneals that end at the lowest energy, the answer says that a lower one may exist.
_FEW_HITS: Final = 0.1
#: Smaller differences come from the digits of a file's occupancies, atoms per formula unit.
_VISIBLE: Final = 5e-5
#: Sizes shown by --list; --json gives them all.
_SHOWN_SIZES: Final = 20


def _table(rows: Sequence[Sequence[Any]], headers: Sequence[str], numbers: Sequence[int] = ()) -> None:
    """Print a table of texts, the columns ``numbers`` to the right."""
    from tabulate import tabulate

    align = ["right" if i in numbers else "left" for i in range(len(headers))]
    click.echo(tabulate(rows, headers=headers, disable_numparse=True, colalign=align))


def atoms_of(structure: Any) -> dict[str, Any]:
    """Return lattice and sites of a structure as plain data."""
    return {
        "lattice_ang": structure.lattice.matrix.tolist(),
        "sites": [
            {
                "element": site.specie.symbol,
                "charge": getattr(site.specie, "oxi_state", None),
                "label": site.properties.get("label"),
                "xyz": site.frac_coords.tolist(),
            }
            for site in structure
        ],
    }


def summary(cell: OrderedCell, file: Path | None = None) -> dict[str, Any]:
    """Return what is said of one cell, as plain data."""
    found = {name: getattr(cell, name) for name in cell.__dataclass_fields__ if name != "structure"}
    return (
        {"formula": cell.formula, "n_atoms": cell.n_atoms}
        | found
        | atoms_of(cell.structure)
        | {"file": None if file is None else str(file)}
    )


_RELAXED: Final = (
    "initial_energy_ev_per_fu",
    "energy_ev_per_fu",
    "energy_ev_per_atom",
    "max_force_ev_per_ang",
    "max_stress_gpa",
    "steps",
    "converged",
    "volume_change_percent",
    "outside_before",
    "outside_after",
    "displacement_rms_ang",
    "broken_bonds",
    "is_sane",
    "flags",
    "provenance",
)


def relaxation_summary(cell: RelaxedCell, file: Path | None = None) -> dict[str, Any]:
    """Return what is said of a relaxed cell, as plain data."""
    found = {name: getattr(cell, name) for name in _RELAXED}
    for name in ("symmetry_before", "symmetry_after"):
        found[name] = {f"{tolerance:g}": group for tolerance, group in getattr(cell, name).items()}
    return found | atoms_of(cell.structure) | {"file": None if file is None else str(file)}


def how_sure(cell: OrderedCell) -> str:
    """Say in a sentence how sure the lowest energy is."""
    if cell.objective not in ("electrostatic", "refined"):
        return _how(cell)
    if cell.exact:
        text = f"proven lowest of this supercell: all {cell.n_arrangements:,} arrangements compared"
    elif cell.n_anneals and cell.hit_rate is not None:
        hits = round(cell.hit_rate * cell.n_anneals)
        text = f"{hits} of {cell.n_anneals} independent anneals ended at the lowest energy"
    else:
        return _how(cell)
    if cell.n_shapes > 1:
        text += f"; best of {cell.n_shapes} shapes of the cell"
    if not cell.exact and cell.hit_rate is not None and cell.hit_rate < _FEW_HITS:
        text += "; so few that a lower one may exist, --effort 4 looks longer"
    return text


def _how(cell: OrderedCell) -> str:
    """Return what the provenance says of how a cell was found."""
    told = [line for line in cell.provenance if line.startswith("Ordering: ")]
    text = told[-1].partition("; ")[2].rstrip(".") if told else "no search for the lowest energy"
    if cell.sqs_error is not None:
        text += f"; shares of pairs on M and T differ from a random alloy by {cell.sqs_error:.3f} (rms)"
    return f"objective {cell.objective}: {text}"


def print_cells(cells: list[OrderedCell], files: list[Path]) -> None:
    """Print the ordered cells, and where they were written."""
    first = cells[0]
    click.echo(
        f"{first.formula}: {first.formula_units} formula units, {first.n_atoms} atoms, nearest image "
        f"{first.nearest_image_distance_ang:.2f} A"
    )
    click.echo(f"composition: {_difference(first.difference)}; charge 0")
    click.echo("supercell: " + _matrix(first.supercell_matrix))
    click.echo(how_sure(first))
    if first.cost_of_refined_ev_per_fu is not None:
        click.echo(
            f"keeping the refined numbers per site costs {first.cost_of_refined_ev_per_fu:.3f} eV per formula unit"
        )
    click.echo("")
    _table(
        [
            [
                i + 1,
                f"{cell.energy_ev_per_fu:.6f}",
                f"{1e3 * (cell.energy_ev_per_fu - first.energy_ev_per_fu):.3f}",
                "-" if cell.shortest_na_na_ang is None else f"{cell.shortest_na_na_ang:.3f}",
                cell.degeneracy,
                *([str(files[i])] if files else []),
            ]
            for i, cell in enumerate(cells)
        ],
        [
            "",
            "Ewald energy (eV per f.u.)",
            "above first (meV)",
            "shortest Na-Na (A)",
            "equivalents",
            *(["file"] if files else []),
        ],
        (0, 1, 2, 3, 4),
    )
    click.echo("")
    _table(
        [
            [label, _counts(row), _counts(first.refined_statistics.get(label, {}))]
            for label, row in first.site_statistics.items()
        ],
        ["site", "atoms in cell 1", "by the average occupancies"],
    )
    for warning in dict.fromkeys(warning for cell in cells for warning in cell.warnings):
        click.echo(f"warning: {warning}")


def _counts(row: dict[str, Any]) -> str:
    return ", ".join(f"{element} {n:.4g}" for element, n in row.items())


def _matrix(rows: Any) -> str:
    return "; ".join(" ".join(str(Fraction(x).limit_denominator(12)) for x in row) for row in rows)


def print_sizes(sizes: list[CandidateSupercell], *, as_json: bool) -> None:
    """Print the sizes of cell for a composition, and which one is taken by itself."""
    from nasicon_struct.ordering.supercells import TOLERANCE

    if as_json:
        names = list(sizes[0].__dataclass_fields__)
        echo_json([{name: getattr(size, name) for name in names} for size in sizes])
        return
    shown = sizes[:_SHOWN_SIZES]
    _table(
        [
            [
                size.formula_units,
                size.n_atoms,
                size.formula,
                _difference(size.difference),
                f"{size.nearest_image_distance_ang:.2f}",
                size.n_shapes,
            ]
            for size in shown
        ],
        ["formula units", "atoms", "content", "difference per formula unit", "nearest image (A)", "shapes"],
        (0, 1, 4, 5),
    )
    if len(sizes) > len(shown):
        click.echo(f"... and {len(sizes) - len(shown)} more; --json shows all")
    for size in shown:
        for warning in size.warnings:
            click.echo(f"{size.formula_units} formula units: {warning}")
    fits = [s.formula_units for s in sizes if s.composition_error <= TOLERANCE and not s.warnings]
    if fits:
        click.echo(f"Without --formula-units the smallest within {TOLERANCE:g} is taken: {min(fits)}.")


def _difference(difference: dict[str, float]) -> str:
    """Say how far the whole atoms are from the composition, per formula unit."""
    shown = {element: value for element, value in difference.items() if abs(value) >= _VISIBLE}
    if shown:
        return ", ".join(f"{element} {value:+.4f}" for element, value in shown.items())
    return "exact to the digits of the occupancies" if difference else "exact"

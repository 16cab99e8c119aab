"""``nasicon-struct build``: the doped average cell of a composition, as a CIF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import (
    coordinates_option,
    echo_json,
    echo_table,
    json_option,
    lattice_option,
    parent_option,
)

CELL_KEYS = ("a_ang", "b_ang", "c_ang", "alpha_deg", "beta_deg", "gamma_deg")

EPILOG = """\b
Examples:
  nasicon-struct build Na3.4Zr1.95Al0.05Si2.35P0.65O12 --parent xun2025_s2 --out cell.cif
  nasicon-struct build Na3.4Zr1.7Sc0.2Zn0.1Si2PO12 --coordinates prototype --lattice predicted --json
"""


def _is_ours(path: Path) -> bool:
    """Whether a file was written by this command."""
    with path.open("rb") as handle:
        return handle.read(200).startswith(b"#\\#CIF_1.1\n# Average cell of ")


def _summary(cell: Any, out: Path | None) -> dict[str, Any]:
    distortion, prediction = cell.distortion, cell.lattice_prediction
    lattice = cell.structure.lattice
    return {
        "formula": cell.composition.formula,
        "parent": cell.parent,
        "space_group": cell.space_group,
        "space_group_number": cell.space_group_number,
        "coordinates": cell.coordinates,
        "lattice_source": cell.lattice_source,
        "cell": dict(zip(CELL_KEYS, lattice.parameters, strict=True)),
        "volume_ang3": lattice.volume,
        "formula_units": cell.z,
        "distortion": {
            "delta1": distortion.delta1,
            "delta2": distortion.delta2,
            "strain_norm": distortion.strain_norm,
            "nearest_a_h_ang": distortion.nearest_a_h_ang,
            "nearest_c_h_ang": distortion.nearest_c_h_ang,
        },
        "predicted_lattice": {
            "a_h_ang": prediction.a_h_ang,
            "a_h_error_ang": prediction.a_h_error_ang,
            "c_h_ang": prediction.c_h_ang,
            "c_h_error_ang": prediction.c_h_error_ang,
            "extrapolation": prediction.extrapolation,
        },
        "sites": [
            {
                "label": site.label,
                "wyckoff": site.wyckoff,
                "x": site.xyz[0],
                "y": site.xyz[1],
                "z": site.xyz[2],
                "occupancies": {e: float(n) for e, n in site.occupancies.items()},
                "occupancies_exact": {e: str(n) for e, n in site.occupancies.items()},
            }
            for site in cell.sites
        ],
        "provenance": cell.provenance,
        "warnings": cell.warnings,
        "cif": None if out is None else str(out),
    }


@click.command(
    name="build",
    epilog=EPILOG,
)
@click.argument("formula")
@parent_option
@coordinates_option
@lattice_option
@click.option(
    "--na-distribution",
    type=click.Choice(["refined", "uniform"]),
    default="refined",
    show_default=True,
    help="Sodium: shares of the parent's sites, scaled, or the same occupancy on all.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CIF to write. A file that this command wrote is replaced, any other only with --force.",
)
@click.option("--force", is_flag=True, help="Replace any existing file.")
@json_option
def command(
    formula: str,
    parent: str,
    coordinates: str,
    lattice: str,
    na_distribution: str,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Build the average cell of FORMULA: symmetry, sites, exact occupancies, warnings.

    Without --out nothing is written and the sites are only shown.
    """
    from nasicon_struct.cell import build_average_cell

    if out is not None and out.exists() and not force and not _is_ours(out):
        raise click.ClickException(f"{out} exists and is no average cell; choose another name or --force")
    cell = build_average_cell(
        formula, parent=parent, coordinates=coordinates, lattice=lattice, na_distribution=na_distribution
    )
    if out is not None:
        cell.to_cif(out)
    if as_json:
        echo_json(_summary(cell, out))
        return
    lattice_now = cell.structure.lattice
    click.echo(f"{cell.composition.formula} on {cell.parent}, {cell.space_group}, Z = {cell.z}")
    click.echo(
        "a {:.4f}  b {:.4f}  c {:.4f} A  alpha {:.3f}  beta {:.3f}  gamma {:.3f} deg  V {:.2f} A3".format(
            *lattice_now.parameters, lattice_now.volume
        )
    )
    click.echo(f"predicted: {cell.lattice_prediction}")
    echo_table(
        [
            [
                site.label,
                site.wyckoff,
                *site.xyz,
                " ".join(f"{element} {float(n):.4f}" for element, n in site.occupancies.items()),
            ]
            for site in cell.sites
        ],
        ["site", "Wyckoff", "x", "y", "z", "occupancy"],
    )
    for warning in cell.warnings:
        click.echo(f"warning: {warning}")
    if out is not None:
        click.echo(f"written: {out}")

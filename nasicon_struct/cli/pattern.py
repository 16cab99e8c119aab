"""``nasicon-struct pattern``: the powder pattern of a composition or a structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, echo_table, json_option

EPILOG = """\b
Examples:
  nasicon-struct pattern Na3Zr2Si2PO12 --out pattern.xy --figure pattern.png
  nasicon-struct pattern refined.cif --wavelength MoKa --range 5 30 --fwhm 0.05 --json
"""


@click.command(name="pattern", epilog=EPILOG)
@click.argument("target", metavar="FORMULA|CIF")
@click.option(
    "--wavelength",
    default="CuKa",
    show_default=True,
    metavar="NAME|ANGSTROM",
    help="CuKa (doublet), CuKa1, MoKa, CoKa, ... or a number in angstrom.",
)
@click.option("--fwhm", "fwhm_deg", type=float, default=0.1, show_default=True, help="Line width, degrees.")
@click.option(
    "--range",
    "two_theta_deg",
    type=(float, float),
    default=(10.0, 60.0),
    show_default=True,
    metavar="FROM TO",
    help="First and last 2-theta, degrees.",
)
@click.option("--step", "step_deg", type=float, default=0.01, show_default=True, help="Step, degrees.")
@click.option("--zero-shift", "zero_shift_deg", type=float, default=0.0, help="Added to 2-theta, degrees.")
@click.option(
    "--parent",
    default="subramanian1985",
    show_default=True,
    help="Published cell on which a FORMULA is built (xun2025_s2, boilot1988_x235, ...).",
)
@click.option(
    "--coordinates",
    type=click.Choice(["prototype", "refined"]),
    default="prototype",
    show_default=True,
    help="Atomic positions for a FORMULA: those of a sane published structure, or the parent's as printed.",
)
@click.option(
    "--lattice",
    type=click.Choice(["predicted", "refined"]),
    default="refined",
    show_default=True,
    help="Cell for a FORMULA: the parent's, or predicted for the composition.",
)
@click.option("--lines", "lines_shown", type=click.IntRange(min=0), default=15, help="Lines in the table.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write two columns, 2-theta and intensity, here; an existing pattern is replaced.",
)
@click.option("--figure", type=click.Path(dir_okay=False, path_type=Path), help="Write a picture here.")
@json_option
def command(
    target: str,
    wavelength: str,
    fwhm_deg: float,
    two_theta_deg: tuple[float, float],
    step_deg: float,
    zero_shift_deg: float,
    parent: str,
    coordinates: str,
    lattice: str,
    lines_shown: int,
    out: Path | None,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Calculate the X-ray powder pattern of FORMULA or CIF, with indices in both settings."""
    from nasicon_struct.diffraction import powder_pattern

    structure, warnings = _structure(target, parent, coordinates, lattice)
    for path in (out, figure):
        if path is not None and not path.resolve().parent.is_dir():
            raise click.UsageError(f"there is no folder {path.parent}; create it first")
    if out is not None and out.exists() and not _is_pattern(out):
        raise click.UsageError(f"{out} exists and is no pattern; choose another name")
    pattern = powder_pattern(
        structure,
        wavelength=wavelength,
        two_theta_deg=two_theta_deg,
        step_deg=step_deg,
        fwhm_deg=fwhm_deg,
        zero_shift_deg=zero_shift_deg,
    )
    if out is not None:
        pattern.to_xy(out)
    if figure is not None:
        _draw(pattern, figure)
    if as_json:
        echo_json(_summary(pattern, warnings, out, figure))
        return
    strongest = sorted(pattern.reflections, key=lambda r: -r.intensity)[:lines_shown]
    rows = [
        [
            _indices(r.hkl_hexagonal),
            _indices(r.hkl_monoclinic),
            r.d_ang,
            r.two_theta_deg,
            r.intensity,
            r.multiplicity,
        ]
        for r in sorted(strongest, key=lambda r: r.two_theta_deg)
    ]
    click.echo(f"{pattern.source}, {pattern.wavelength_ang:.5f} A, {len(pattern.reflections)} lines")
    echo_table(rows, ["R-3c", "C2/c", "d (A)", "2-theta (deg)", "I", "mult."], floatfmt=".4f")
    for warning in warnings:
        click.echo(f"warning: {warning}")
    for path in (out, figure):
        if path is not None:
            click.echo(f"wrote {path}")


def _structure(target: str, parent: str, coordinates: str, lattice: str) -> tuple[Any, tuple[str, ...]]:
    """Return the average cell of a formula, or the structure of a CIF, and warnings."""
    from nasicon_struct.cif import is_cif_name

    if is_cif_name(target) or Path(target).is_file():
        return target, ()
    from nasicon_struct.cell import build_average_cell

    cell = build_average_cell(target, parent=parent, coordinates=coordinates, lattice=lattice)
    return cell, tuple(cell.warnings)


def _is_pattern(path: Path) -> bool:
    """Whether a file was written by this command."""
    with path.open("rb") as handle:
        return handle.read(9) == b"# source:"


def _draw(pattern: Any, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from nasicon_struct.cli.figures import save_figure
    from nasicon_struct.plotting.patterns import plot_pattern

    save_figure(plot_pattern(pattern), path)


def _indices(families: tuple[tuple[int, int, int], ...]) -> str:
    return ", ".join(" ".join(map(str, hkl)) for hkl in families) or "-"


def _summary(
    pattern: Any, warnings: tuple[str, ...], out: Path | None, figure: Path | None
) -> dict[str, Any]:
    return {
        "source": pattern.source,
        "wavelength_ang": pattern.wavelength_ang,
        "kalpha2_ratio": pattern.kalpha2_ratio,
        "two_theta_deg": [float(pattern.two_theta_deg[0]), float(pattern.two_theta_deg[-1])],
        "step_deg": pattern.step_deg,
        "reflections": [
            {
                "hkl": r.hkl,
                "hkl_hexagonal": r.hkl_hexagonal,
                "hkl_monoclinic": r.hkl_monoclinic,
                "d_ang": r.d_ang,
                "two_theta_deg": r.two_theta_deg,
                "intensity": r.intensity,
                "multiplicity": r.multiplicity,
            }
            for r in pattern.reflections
        ],
        "warnings": list(warnings),
        "xy": None if out is None else str(out),
        "figure": None if figure is None else str(figure),
    }

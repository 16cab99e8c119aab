"""``nasicon-struct phase``: monoclinic or rhombohedral, with a probability."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, echo_table, json_option
from nasicon_struct.units import ROOM_TEMPERATURE_K

EPILOG = """\b
Examples:
  nasicon-struct phase Na3.4Zr1.7Sc0.2Zn0.1Si2PO12
  nasicon-struct phase refined.cif --json
  nasicon-struct phase scan.xy --composition Na3Zr2Si2PO12 --figure fit.png
  nasicon-struct phase scan.xrdml --structure refined.cif
"""


@click.command(epilog=EPILOG)
@click.argument("target", metavar="FORMULA|CIF|SCAN")
@click.option(
    "--temperature-k", type=float, default=ROOM_TEMPERATURE_K, show_default=True, help="Temperature, K."
)
@click.option("--composition", metavar="FORMULA", help="Composition of the sample, beside a cell or a scan.")
@click.option(
    "--structure",
    metavar="CIF",
    type=click.Path(dir_okay=False),
    help="Refined cell of the sample, beside a formula or a scan.",
)
@click.option(
    "--wavelength",
    metavar="NAME|ANGSTROM",
    help="Wavelength of a scan, such as CuKa or 0.7093 [default: the file's, else CuKa].",
)
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a picture here: the fit of a scan, or P against temperature.",
)
@json_option
def command(
    target: str,
    temperature_k: float,
    composition: str | None,
    structure: str | None,
    wavelength: str | None,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Say whether a composition, cell or powder scan is monoclinic (C2/c) or rhombohedral (R-3c)."""
    from nasicon_struct.phase import assign_phase

    scan = _read_scan(target, wavelength)
    result = assign_phase(
        target if scan is None else scan,
        temperature_k=temperature_k,
        composition=composition,
        structure=structure,
    )
    if figure is not None:
        _draw(result, figure)
    if as_json:
        echo_json(summary(result))
        return
    click.echo(
        f"{result.phase}, P(monoclinic) = {result.probability_monoclinic:.2f} at {result.temperature_k:.0f} K"
    )
    rows = [
        [
            vote.kind,
            "-" if vote.probability_monoclinic is None else f"{vote.probability_monoclinic:.2f}",
            f"{vote.weight:g}",
        ]
        for vote in result.votes
    ]
    echo_table(rows, ["evidence", "P(monoclinic)", "weight"])
    for sentence in result.evidence:
        click.echo(f"- {sentence}")
    if figure is not None:
        click.echo(f"figure: {figure}")


def _read_scan(target: str, wavelength: str | None) -> Any:
    """Return the pattern of a scan file with the wavelength asked for, None for anything else."""
    from nasicon_struct.phase.inputs import PATTERN_SUFFIXES

    if Path(target).suffix.lower() not in PATTERN_SUFFIXES:
        if wavelength is not None:
            raise click.UsageError(f"--wavelength goes with a scan, {target!r} is none")
        return None
    from nasicon_struct.pattern_io import read_pattern

    return read_pattern(target, wavelength=wavelength)


def _draw(result: Any, path: Path) -> None:
    """Write the figure that fits the evidence: the fit of a scan, P against temperature, or the metric."""
    import matplotlib

    matplotlib.use("Agg")
    from nasicon_struct.errors import NasiconError
    from nasicon_struct.plotting.phase import plot_assignment

    ax = plot_assignment(result)
    try:
        ax.figure.savefig(path, dpi=150)  # type: ignore[union-attr]
    except ValueError as error:  # a suffix that matplotlib does not know
        raise NasiconError(f"the figure {path.name} cannot be written: {error}") from None


def summary(result: Any) -> dict[str, Any]:
    """Return the JSON of an assignment: one flat level, with units in the names."""
    distortion = result.distortion
    flat = {
        "phase": result.phase,
        "probability_monoclinic": result.probability_monoclinic,
        "temperature_k": result.temperature_k,
        "formula": result.formula,
        "delta1": distortion.delta1 if distortion else None,
        "delta1_se": distortion.delta1_se if distortion else None,
        "delta2": distortion.delta2 if distortion else None,
        "delta2_se": distortion.delta2_se if distortion else None,
        "strain_norm": distortion.strain_norm if distortion else None,
        "a_h_ang": distortion.nearest_a_h_ang if distortion else None,
        "c_h_ang": distortion.nearest_c_h_ang if distortion else None,
        "fraction_monoclinic": result.fraction_monoclinic,
        "fraction_monoclinic_se": result.fraction_monoclinic_se,
        "transition_temperature_k": result.transition_temperature_k,
        "transition_temperature_se_k": result.transition_temperature_se_k,
    }
    if result.pattern_fit is not None:
        from nasicon_struct.phase.pattern_vote import fit_numbers

        flat.update(fit_numbers(result.pattern_fit))
    flat["evidence"] = list(result.evidence)
    flat["contradictions"] = list(result.contradictions)
    flat["extrapolation"] = list(result.extrapolation)
    flat["votes"] = [
        {
            "kind": vote.kind,
            "probability_monoclinic": vote.probability_monoclinic,
            "weight": vote.weight,
            "sentence": vote.sentence,
        }
        for vote in result.votes
    ]
    flat["nearest_literature"] = [
        {
            "formula": n.formula,
            "phase": n.phase,
            "temperature_k": n.temperature_k,
            "distance": n.distance,
            "source": n.source,
        }
        for n in result.nearest_literature
    ]
    return flat

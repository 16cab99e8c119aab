"""``nasicon-struct batch``: grams of each precursor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, json_option

EPILOG = """\b
Examples:
  nasicon-struct batch "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12" --excess Na=5% --excess P=5%
  nasicon-struct batch "Na3.4Zr1.95Al0.05Si2.35P0.65O12" --precursors Na3PO4,Na2CO3,ZrO2,SiO2,Al2O3 --aid 10N2B
  nasicon-struct batch Na3Zr2Si2PO12 --mass 25 --purity NH4H2PO4=99% --csv sheet.csv
  nasicon-struct batch Na3Zr2Si2PO12 --precursors Na3PO4.12H2O,Na2CO3,NH4H2PO4,ZrO2,SiO2 --share Na:Na2CO3=50%
"""


@click.command(epilog=EPILOG)
@click.argument("formula")
@click.option(
    "--precursors",
    metavar="A,B,...",
    help="Formulas in order of preference [default: Na2CO3, NH4H2PO4 and the usual oxides].",
)
@click.option("--mass", "mass_g", type=float, metavar="G", help="Mass of the target, g [default: 10].")
@click.option(
    "--amount", "amount_mol", type=float, metavar="MOL", help="Formula units instead of a mass, mol."
)
@click.option(
    "--excess", "excesses", metavar="EL=X", multiple=True, help="Excess of an element: Na=0.05 or Na=5%."
)
@click.option(
    "--purity", "purities", metavar="F=X", multiple=True, help="Mass fraction of a precursor: NH4H2PO4=0.99."
)
@click.option(
    "--share",
    "shares",
    metavar="EL:F=X",
    multiple=True,
    help="Part of an element that one precursor brings: Na:Na3PO4=0.5.",
)
@click.option(
    "--aid", metavar="TEXT", help='Sintering aid for the calcined powder: 10N2B, or "5 wt% Na2SiO3".'
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the lines into this file.",
)
@json_option
def command(
    formula: str,
    precursors: str | None,
    mass_g: float | None,
    amount_mol: float | None,
    excesses: tuple[str, ...],
    purities: tuple[str, ...],
    shares: tuple[str, ...],
    aid: str | None,
    csv_file: Path | None,
    as_json: bool,
) -> None:
    """Give the grams of each precursor for FORMULA, and the loss on calcination.

    Every element but C, N, H and O is balanced exactly; C, N and H leave as CO2, NH3 (or NO2) and H2O.
    """
    from nasicon_struct.batch import batch_masses

    split: dict[str, dict[str, float]] = {}
    for text in shares:
        element, colon, rest = text.partition(":")
        if not colon:
            raise click.UsageError(f"cannot read --share {text!r}; write it as Na:Na3PO4=0.5")
        name, part = _number("--share", rest, "Na:Na3PO4=0.5")
        of_element = split.setdefault(element.strip(), {})
        if name in of_element:
            raise click.UsageError(f"--share names {element.strip()}:{name} twice; give one number")
        of_element[name] = part
    if csv_file and csv_file.exists() and not _is_sheet(csv_file):
        raise click.UsageError(f"{csv_file} exists and is no batch sheet; choose another name")
    sheet = batch_masses(
        formula,
        precursors=precursors,
        mass_g=mass_g,
        amount_mol=amount_mol,
        excess=_numbers("--excess", excesses, "Na=0.05"),
        purity=_numbers("--purity", purities, "NH4H2PO4=0.99"),
        shares=split,
        sintering_aid=aid,
    )
    if csv_file:
        sheet.to_dataframe().to_csv(csv_file, index=False)
    if as_json:
        result = {k: v for k, v in sheet.as_dict().items() if not k.startswith("@")}
        result["lines"] = [vars(line) for line in sheet.lines]
        result["aid_lines"] = [vars(line) for line in sheet.aid_lines]
        result["sintering_aid"] = vars(sheet.sintering_aid) if sheet.sintering_aid else None
        echo_json(result)
        return
    _print(sheet)


def _is_sheet(path: Path) -> bool:
    """Whether a file may be replaced: a batch sheet, an empty file, or no file on a disk (a pipe, a device)."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        start = file.read(64)
    return not start or start.startswith(b"precursor,moles_per_formula_unit,")


def _numbers(option: str, texts: Sequence[str], example: str) -> dict[str, float]:
    """Return the number that an option gives for each name."""
    found: dict[str, float] = {}
    for text in texts:
        name, number = _number(option, text, example)
        if name in found:
            raise click.UsageError(f"{option} names {name} twice; give one number")
        found[name] = number
    return found


def _number(option: str, text: str, example: str) -> tuple[str, float]:
    name, equals, value = text.rpartition("=")
    try:
        if not equals:
            raise ValueError
        number = float(value.strip().removesuffix("%"))
    except ValueError:
        raise click.UsageError(f"cannot read {option} {text!r}; write it as {example}") from None
    return name.strip(), number / 100 if value.strip().endswith("%") else number


def _print(sheet: Any) -> None:
    from tabulate import tabulate

    def table(lines: Any) -> str:
        rows = [
            [
                line.precursor,
                f"{line.moles_per_formula_unit:.6g}",
                f"{line.molar_mass_g_per_mol:.3f}",
                f"{100 * line.purity:g}",
                f"{line.mass_g:.4f}",
            ]
            for line in lines
        ]
        headers = ["weigh", "mol per formula", "g/mol", "purity (%)", "mass (g)"]
        return tabulate(rows, headers, disable_numparse=True, colalign=("left",) + ("right",) * 4)

    click.echo(f"{sheet.mass_g:.4g} g ({1000 * sheet.amount_mol:.4g} mmol) {sheet.formula}")
    click.echo(table(sheet.lines))
    click.echo(f"- weighed {sheet.weighed_g:.4f} g, after calcination {sheet.calcined_g:.4f} g")
    gases = ", ".join(f"{gas} {mass:.4f} g" for gas, mass in sheet.gases_g.items() if mass > 0)
    click.echo(f"- loss on calcination {sheet.loss_percent:.2f} %{': ' + gases if gases else ''}")
    click.echo(f"- {sheet.equation}")
    if sheet.aid_lines:
        click.echo(f"then, into {sheet.mass_g:.4g} g of calcined powder, {sheet.sintering_aid.name}:")
        click.echo(table(sheet.aid_lines))
        click.echo(f"- it gives off {sheet.aid_gas_g:.4f} g of gas on sintering")
    for note in sheet.notes:
        click.echo(f"- note: {note}")
    click.echo(f"- atomic masses: {sheet.atomic_masses}")

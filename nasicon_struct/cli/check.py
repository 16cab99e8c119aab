"""``nasicon-struct check``: charge balance and site sums of formulas."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from nasicon_struct.cli.common import echo_json, json_option
from nasicon_struct.errors import CompositionError

EPILOG = """\b
Examples:
  nasicon-struct check "Na3.4Zr2Si2.35P0.65O12"
  nasicon-struct check "Na3V2(PO4)3" --oxidation V=3 --json
Exit code 0: a possible NASICON; 1: read, but not neutral or sites not full; 2: no formula.
"""


def parse_oxidation(items: tuple[str, ...]) -> dict[str, str]:
    """Read ``V=3`` options."""
    states = {}
    for item in items:
        symbol, equals, value = item.partition("=")
        if not equals:
            raise CompositionError(f"an oxidation state is written as V=3, got {item!r}")
        states[symbol.strip()] = value
    return states


oxidation_option = click.option(
    "--oxidation", multiple=True, metavar="EL=Z", help="Formal charge that replaces the table's, such as V=3."
)


@click.command(epilog=EPILOG)
@click.argument("formula")
@oxidation_option
@json_option
@click.pass_context
def command(ctx: click.Context, formula: str, oxidation: tuple[str, ...], as_json: bool) -> None:
    """Judge FORMULA: site sums, net charge, and the Na content that neutrality needs."""
    from nasicon_struct.composition import charge_balance

    found = charge_balance(formula, oxidation_states=parse_oxidation(oxidation))
    if as_json:
        result: dict[str, Any] = asdict(found)
        echo_json(result)
    else:
        click.echo(f"{found.formula}: {'possible' if not found.problems else 'not possible as written'}")
        for site, held in found.sites.items():
            click.echo(f"  {site:>2}: " + (", ".join(f"{s} {n:g}" for s, n in held.items()) or "empty"))
        charges = ", ".join(f"{s} {z:+g}" for s, z in found.oxidation_states.items())
        click.echo(f"  formal charges: {charges}; net charge {found.net_charge:+g} per O12")
        for problem in found.problems:
            click.echo(f"- {problem}")
    if found.problems:
        ctx.exit(1)

"""What every subcommand shares: the --json switch, clean JSON, tables, and error presentation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from nasicon_struct.plain import plain

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
#: The published cell of a composition, and what is kept of it.
parent_option = click.option(
    "--parent", default="xun2025_s2", show_default=True, help="Published cell to start from."
)
coordinates_option = click.option(
    "--coordinates",
    type=click.Choice(["refined", "prototype"]),
    default="refined",
    show_default=True,
    help="Atomic positions: the parent's as printed, or those of a sane published structure.",
)
lattice_option = click.option(
    "--lattice",
    type=click.Choice(["refined", "predicted"]),
    default="refined",
    show_default=True,
    help="Cell parameters: the parent's, or predicted for the composition.",
)


def echo_json(value: Any) -> None:
    """Print ``value`` as indented JSON on standard output."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def echo_table(rows: Sequence[Sequence[Any]], headers: Sequence[str], *, floatfmt: str = ".4g") -> None:
    """Print a plain table."""
    from tabulate import tabulate

    click.echo(tabulate(rows, headers=headers, floatfmt=floatfmt, missingval="-"))

"""What every subcommand shares: the --json switch, clean JSON, tables, and error presentation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def plain(value: Any) -> Any:
    """Turn a result into plain JSON types: numpy and Fraction to numbers, NaN and infinity to null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, Fraction):
        return float(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    if isinstance(value, Iterable):
        return [plain(v) for v in value]
    return str(value)


def echo_json(value: Any) -> None:
    """Print ``value`` as indented JSON on standard output."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def echo_table(rows: Sequence[Sequence[Any]], headers: Sequence[str], *, floatfmt: str = ".4g") -> None:
    """Print a plain table."""
    from tabulate import tabulate

    click.echo(tabulate(rows, headers=headers, floatfmt=floatfmt, missingval="-"))

"""Options that choose the energies, for the commands that need them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def entries_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--source``, ``--entries`` and ``--list-sources`` to a command."""
    for option in (
        click.option(
            "--list-sources",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_list_sources,
            help="List the energies that come with the package, and end.",
        ),
        click.option(
            "--entries",
            "entries_file",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Your own energies: a CSV with columns formula and formation_energy_ev_per_atom, or JSON of pymatgen "
            "entries.",
        ),
        click.option(
            "--source",
            metavar="NAME",
            help="Energies that come with the package, by name [default: those nearest to measurement for the "
            "elements at hand].",
        ),
    ):
        function = option(function)
    return function


def _list_sources(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from nasicon_struct.cli.common import echo_table
    from nasicon_struct.entries import list_entry_sources

    rows = [
        [item.name, item.n_entries, " ".join(item.elements), "-".join(item.default_for), item.level]
        for item in list_entry_sources()
    ]
    echo_table(rows, ["source", "rows", "elements", "default within", "level of theory"])
    context.exit()


def choose_entries(source: str | None, entries_file: Path | None) -> Any:
    """Return what ``as_entry_set`` takes, read once where it is a file.

    Raises
    ------
    click.UsageError
        If both are given.
    """
    if source and entries_file:
        raise click.UsageError("give either --source or --entries, not both")
    if entries_file:
        from nasicon_struct.entries import entries_from_file

        return entries_from_file(entries_file)
    return source

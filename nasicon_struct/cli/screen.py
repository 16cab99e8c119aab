"""``nasicon-struct screen``: every candidate of a file, a design space or a series gets one row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from nasicon_struct.cli.common import echo_json, json_option
from nasicon_struct.units import ROOM_TEMPERATURE_K

EPILOG = """\b
Examples:
  nasicon-struct screen candidates.csv --out result.parquet
  nasicon-struct screen candidates.csv --out result.parquet --resume --workers 2
  nasicon-struct screen --space space.toml --sort probability_monoclinic:desc --top 20
  nasicon-struct screen --series "Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12" --values x=0:0.2:0.05
  nasicon-struct screen candidates.csv --out best.csv --pareto na:max --pareto assemblage_oxidation_v:max
"""

#: Columns of the table on the screen, where none are asked for.
_SHORT: Final = (
    "formula",
    "status",
    "na",
    "phase",
    "probability_monoclinic",
    "e_above_hull_ev_per_atom",
    "assemblage_reduction_v",
    "assemblage_oxidation_v",
    "literature_distance",
    "literature_sigma_s_per_cm",
)
_SHOWN_ROWS: Final = 20
_CELL_LENGTH: Final = 300


@click.command(epilog=EPILOG)
@click.argument(
    "candidates", required=False, metavar="[FILE]", type=click.Path(dir_okay=False, path_type=Path)
)
@click.option(
    "--space",
    metavar="TOML",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Design space: dopants, their amounts, Si.",
)
@click.option("--series", "template", metavar="TEMPLATE", help="Formula with variables.")
@click.option(
    "--values", multiple=True, metavar="x=FROM:TO:STEP", help="Values of a variable, or a list x=0,0.1,0.2."
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table here: .parquet, .csv or .jsonl [default: show the first rows].",
)
@click.option("--resume", is_flag=True, help="Continue a run that was stopped.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--dask", metavar="ADDRESS", help="Scheduler of a Dask cluster, such as tcp://10.0.0.1:8786.")
@click.option("--limit", type=click.IntRange(0), help="Judge the first candidates only.")
@click.option("--columns", metavar="A,B", help="Columns of the table, see --list-columns.")
@click.option("--sort", multiple=True, metavar="COLUMN[:desc]", help="Sort by this column.")
@click.option("--top", type=click.IntRange(1), help="Keep the first rows of the sorted table only.")
@click.option("--pareto", multiple=True, metavar="COLUMN:max|min", help="Objective of the Pareto rank.")
@click.option("--formula-column", metavar="NAME", help="Column of the formulas [default: formula].")
@click.option(
    "--source",
    metavar="NAME",
    help="Embedded energies to use [default: those nearest to measurement for the elements of each candidate].",
)
@click.option(
    "--entries",
    "entries_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Energies from a CSV or JSON file.",
)
@click.option("--open-element", default="Na", show_default=True, help="Element of the metal electrode.")
@click.option(
    "--temperature-k", type=float, default=ROOM_TEMPERATURE_K, show_default=True, help="Of the phase, K."
)
@click.option("--cell", "predicted_cell", is_flag=True, help="Add the predicted lattice (slower).")
@click.option("--chunk-rows", type=click.IntRange(1), help="Candidates of a chunk [default: 20000].")
@click.option("--list-columns", is_flag=True, help="Say what the columns mean, and stop.")
@json_option
def command(
    candidates: Path | None,
    space: Path | None,
    template: str | None,
    values: tuple[str, ...],
    out: Path | None,
    dask: str | None,
    columns: str | None,
    sort: tuple[str, ...],
    pareto: tuple[str, ...],
    source: str | None,
    entries_file: Path | None,
    chunk_rows: int | None,
    list_columns: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge every candidate: charge balance, sites, phase, stability window, nearest measured conductivity.

    A million candidates take a minute or so. Each gets one row; a rejected one keeps its row and its reason.
    The exit code is 1 when not one of them can be read as a formula.
    """
    if list_columns:
        _list_columns(as_json=as_json)
        return
    from nasicon_struct.cli.energies import choose_entries
    from nasicon_struct.screening import CHUNK_ROWS

    options |= {
        "columns": columns,
        "sort": list(sort) or None,
        "pareto": list(pareto) or None,
        "entries": choose_entries(source, entries_file),
        "chunk_rows": chunk_rows or CHUNK_ROWS,
    }
    what = _candidates(candidates, space, template, values)
    with _executor(dask) as executor:
        if out is not None:
            counts = _write(what, out, options | {"executor": executor}, as_json=as_json)
        else:
            counts = _show(what, options | {"executor": executor}, as_json=as_json)
    total = sum(counts.values())
    if total and counts["unreadable"] == total:
        which = "the candidate" if total == 1 else f"any of the {total} candidates"
        remedy = "" if candidates is None else ", and --formula-column names another column"
        click.echo(f"error: cannot read {which} as a formula; the column reason says why{remedy}", err=True)
        click.get_current_context().exit(1)


def _candidates(file: Path | None, space: Path | None, template: str | None, values: tuple[str, ...]) -> Any:
    """Return what is to be judged; exactly one of the three ways to say it."""
    from nasicon_struct.screening import series

    given = [item for item in (file, space, template) if item is not None]
    if len(given) != 1:
        raise click.UsageError("give either a file of candidates, --space or --series")
    if template is None:
        if values:
            raise click.UsageError("--values goes with --series")
        if space is not None and space.suffix.lower() != ".toml":
            raise click.UsageError(f"--space takes a .toml file, got {space.name}")
        return given[0]
    held = {}
    for item in values:
        name, sign, text = item.partition("=")
        if not sign:
            raise click.UsageError(f"cannot read --values {item!r}; write it as x=0:0.2:0.05 or x=0,0.1,0.2")
        if name.strip() in held:
            raise click.UsageError(f"--values gives {name.strip()} twice")
        held[name.strip()] = text
    return series(template, **held)


@contextmanager
def _executor(address: str | None) -> Iterator[Any]:
    """Connect to a Dask cluster where one is named."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        from nasicon_struct.errors import MissingDependencyError

        raise MissingDependencyError(
            "--dask needs the package distributed; install it with: pip install 'nasicon-struct[dask]'"
        ) from None
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"cannot reach a Dask scheduler at {address!r}: {error}") from None
    with client:
        yield client.get_executor()


def _write(what: Any, out: Path, options: dict[str, Any], *, as_json: bool) -> dict[str, int]:
    """Write the result; returns the candidates by status."""
    from nasicon_struct.screening import write_screen

    done = write_screen(what, out, **options)
    if as_json:
        found = {k: v for k, v in done.as_dict().items() if not k.startswith("@")}
        echo_json(found)
        return done.counts
    counts = ", ".join(f"{count} {status}" for status, count in done.counts.items())
    click.echo(f"{done.candidates} candidates: {counts}")
    if done.resumed:
        click.echo(f"{done.resumed} of them were judged before")
    click.echo(f"{done.rows} rows in {done.out}; how they were made is in {done.out}.manifest.json")
    return done.counts


def _show(what: Any, options: dict[str, Any], *, as_json: bool) -> dict[str, int]:
    """Print the result; returns the candidates by status."""
    from nasicon_struct.screening.run import screen_in_memory

    if options.pop("resume") | options.pop("overwrite"):
        raise click.UsageError("--resume and --overwrite go with --out")
    short = options["columns"] is None and not as_json
    if short:
        options["columns"] = [*_SHORT, *(["pareto_rank"] if options["pareto"] else []), "input", "reason"]
    table, counts = screen_in_memory(what, **options)
    if as_json:
        echo_json({"rows": table.to_dict(orient="records")})
        return counts
    from tabulate import tabulate

    first = (table if options["top"] else table.head(_SHOWN_ROWS)).astype(object)
    reasons: list[str] = []
    if short:
        # What cannot be read has no formula: show what was given, and say below what is wrong.
        first["formula"] = [
            given if _missing(formula) else formula
            for formula, given in zip(first["formula"], first["input"], strict=True)
        ]
        reasons = [str(reason) for reason in first["reason"] if reason]
        first = first.drop(columns=["input", "reason"])
    rows = [[_cell(value) for value in row] for row in first.to_numpy()]
    sides = ["right" if kind.kind in "fiu" else "left" for kind in table[first.columns].dtypes]
    headers = list(first.columns)
    click.echo(tabulate(rows, headers=headers, disable_numparse=True, colalign=sides if rows else None))
    if len(first) < len(table):
        click.echo(f"... and {len(table) - len(first)} more; write all with --out")
    for reason in reasons[:_SHOWN_ROWS]:
        click.echo(f"- {reason}")
    if len(reasons) > _SHOWN_ROWS:
        click.echo(f"- ... and {len(reasons) - _SHOWN_ROWS} more; see --columns formula,reason")
    return counts


def _cell(value: Any) -> str:
    """Return a cell that fits on a screen: four digits of a number, the beginning of a text."""
    if _missing(value):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    return f"{text[:_CELL_LENGTH]}..." if len(text) > _CELL_LENGTH else text


def _missing(value: Any) -> bool:
    return value is None or value != value


def _list_columns(*, as_json: bool) -> None:
    from nasicon_struct.cli.common import echo_table
    from nasicon_struct.screening import CELL_COLUMNS, COLUMNS

    known = {**COLUMNS, **CELL_COLUMNS}
    if as_json:
        echo_json({name: column.meaning for name, column in known.items()})
        return
    echo_table([[name, column.meaning] for name, column in known.items()], ["column", "meaning"])

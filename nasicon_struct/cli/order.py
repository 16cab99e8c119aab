"""``nasicon-struct order``: ordered cells of a doped composition, lowest in energy."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasicon_struct.cli.common import (
    coordinates_option,
    echo_json,
    json_option,
    lattice_option,
    parent_option,
)
from nasicon_struct.cli.order_output import print_cells, print_sizes, relaxation_summary, summary
from nasicon_struct.errors import NasiconError

if TYPE_CHECKING:
    from nasicon_struct.ordering import OrderedCell
    from nasicon_struct.relaxation import RelaxedCell

EPILOG = """\b
Examples:
  nasicon-struct order Na3.4Zr1.7Sc0.2Zn0.1Si2PO12 --list
  nasicon-struct order Na3Zr2Si2PO12 --formula-units 4 --count
  nasicon-struct order Na3Zr2Si2PO12 --formula-units 4 --out ordered.cif
  nasicon-struct order Na27Zr14ScZnSi16P8O96 --supercell 2x1x1 --n-structures 3 --out cells --format poscar
  nasicon-struct order Na3Zr2Si2PO12 --formula-units 4 --objective boltzmann --temperature-k 1400 --n-structures 5
  nasicon-struct order refined.cif --min-na-na 2.5 --fixed Na2=Na --json
Whole atoms for DFT, with bond lengths that a machine-learned potential has mended (needs the extra mlip):
  add --relax to any of them
"""


@click.command(epilog=EPILOG)
@click.argument("target", metavar="FORMULA|CIF")
@parent_option
@coordinates_option
@lattice_option
@click.option(
    "--formula-units",
    type=int,
    metavar="N",
    help="Formula units of the ordered cell [default: smallest that fits].",
)
@click.option(
    "--supercell",
    metavar="PxQxR|MATRIX",
    help='Supercell itself, as 2x1x1 or as rows "1,1,0; -1,1,0; 0,0,1"; fractions of a centring as 1/2.',
)
@click.option(
    "--shape", type=click.Choice(["search", "compact"]), help="Search all shapes, or the compact one."
)
@click.option(
    "--tolerance", type=float, help="Composition error allowed when the size is chosen, per formula unit."
)
@click.option("--max-formula-units", type=click.IntRange(1), help="Largest cell considered.")
@click.option(
    "--n-structures", type=click.IntRange(1), default=1, show_default=True, help="How many, lowest first."
)
@click.option(
    "--objective",
    default="electrostatic",
    show_default=True,
    metavar="NAME|NAME=WEIGHT,...",
    help="electrostatic: lowest energy; refined: the same, refined numbers on each site; sqs: M and T random-like; "
    "random; boltzmann: sampled at --temperature-k; or weights of the first three.",
)
@click.option("--temperature-k", type=float, metavar="K", help="Temperature of --objective boltzmann.")
@click.option("--keep-site-occupancies", is_flag=True, help="Keep the refined numbers of atoms on each site.")
@click.option(
    "--min-na-na", type=float, metavar="A", default=0.0, help="Shortest Na-Na distance allowed, angstrom."
)
@click.option(
    "--fixed", multiple=True, metavar="SITE=ELEMENT", help="A site that holds one element, or vacancy."
)
@click.option(
    "--allowed", multiple=True, metavar="ELEMENT=SITE,SITE", help="Sites an element is confined to."
)
@click.option(
    "--oxidation-state", "states", multiple=True, metavar="ELEMENT=N", help="Formal charge of an element."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same cells.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Threads.")
@click.option(
    "--effort", type=float, default=1.0, show_default=True, help="Multiplies the number of anneals."
)
@click.option(
    "--list", "list_sizes", is_flag=True, help="List the sizes of cell for this composition, and stop."
)
@click.option(
    "--count", "count_only", is_flag=True, help="Count the arrangements and the distinct ones, and stop."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Write the cells here; several get numbers.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["cif", "poscar", "extxyz", "json"]),
    help="Format of the files [default: the suffix of --out, else cif].",
)
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option("--relax", is_flag=True, help="Relax each cell and report bonds before and after.")
@click.option(
    "--calculator", default="chgnet", show_default=True, help="Potential of --relax: chgnet or chgnet-r2scan."
)
@click.option(
    "--fmax", type=float, default=0.05, show_default=True, help="Relax to forces below this, eV/angstrom."
)
@click.option(
    "--max-steps", type=click.IntRange(0), default=500, show_default=True, help="Steps of --relax at most."
)
@json_option
def command(
    target: str,
    list_sizes: bool,
    count_only: bool,
    out: Path | None,
    file_format: str | None,
    force: bool,
    relax: bool,
    calculator: str,
    fmax: float,
    max_steps: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Order FORMULA or a disordered CIF: whole atoms, exactly neutral, lowest in electrostatic energy.

    Composition error, shortest Na-Na distance, atoms per site and how sure the minimum is are part of the answer.
    Cells are written as soon as they are known, relaxed ones one by one: what is computed is not lost.
    """
    if list_sizes:
        from nasicon_struct.ordering import candidate_supercells

        sizes = candidate_supercells(
            _average(target, given),
            oxidation_states=_charges(given["states"]) or None,
            **{name: given[name] for name in ("max_formula_units", "tolerance") if given[name] is not None},
        )
        print_sizes(sizes, as_json=as_json)
        return
    options = _options(given)
    if count_only:
        from nasicon_struct.ordering import count_arrangements

        names = set(inspect.signature(count_arrangements).parameters)
        found = count_arrangements(
            _average(target, given), **{name: value for name, value in options.items() if name in names}
        )
        if as_json:
            echo_json({name: getattr(found, name) for name in found.__dataclass_fields__})
        else:
            click.echo(str(found))
        return
    files = _file_names(out, file_format, given["n_structures"])
    _check_files(files, relax=relax, force=force)
    engine = None
    if relax:
        from nasicon_struct.relaxation import load_calculator

        engine = load_calculator(calculator)
    from nasicon_struct.ordering import order_cell

    with _progress("ordering") as bar:
        cells = order_cell(_average(target, given), progress=bar, **options)
    from nasicon_struct.adapters import write_structure

    files = files[: len(cells)]
    for cell, file in zip(cells, files, strict=False):
        write_structure(cell, file, file_format, force=force)
    rows = [summary(cell, files[i] if files else None) for i, cell in enumerate(cells)]
    if not as_json:
        print_cells(cells, files)
    failed: list[str] = []
    try:
        for i, cell in enumerate(cells if relax else ()):
            target_file = _with_tail(files[i], "relaxed") if files else None
            try:
                relaxed = _relaxed(cell, engine, quiet=as_json, fmax_ev_per_ang=fmax, max_steps=max_steps)
            except NasiconError as error:
                failed.append(f"cell {i + 1} was not relaxed: {error}")
                rows[i]["relaxation"] = {"error": str(error)}
                continue
            if target_file is not None:
                write_structure(relaxed, target_file, file_format, force=force)
                if not as_json:
                    click.echo(f"written: {target_file}")
            rows[i]["relaxation"] = relaxation_summary(relaxed, target_file)
    finally:
        if as_json:
            echo_json(rows)
    if failed:
        raise click.ClickException("; ".join(failed))


def _average(target: str, given: dict[str, Any]) -> Any:
    """Return the disordered cell: of a CIF as it is, of a formula on its parent."""
    from nasicon_struct.cell import build_average_cell
    from nasicon_struct.cif import is_cif_name, read_structure

    if is_cif_name(target) or Path(target).is_file():
        return read_structure(target)
    return build_average_cell(
        target,
        parent=given["parent"],
        coordinates=given["coordinates"],
        lattice=given["lattice"],
        oxidation_states=_charges(given["states"]) or None,
    )


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Turn the command's options into those of :func:`order_cell`."""
    options: dict[str, Any] = {
        "n_structures": given["n_structures"],
        "objective": _objective(given["objective"]),
        "keep_site_occupancies": given["keep_site_occupancies"],
        "min_na_na_ang": given["min_na_na"],
        "fixed_sites": dict(_pairs(given["fixed"], "--fixed", "Na2=Na")),
        "allowed_sites": {
            element: [site for site in re.split(r"[,\s]+", text) if site]
            for element, text in _pairs(given["allowed"], "--allowed", "P=T1,T2")
        },
        "oxidation_states": _charges(given["states"]) or None,
        "seed": given["seed"],
        "workers": given["workers"],
        "effort": given["effort"],
    }
    if given["formula_units"] is not None:
        options["formula_units"] = given["formula_units"]
    if given["supercell"] is not None:
        options["supercell"] = _supercell(given["supercell"])
    if given["shape"] is not None:
        options["search_shape"] = given["shape"] == "search"
    for name in ("tolerance", "max_formula_units", "temperature_k"):
        if given[name] is not None:
            options[name] = given[name]
    return options


def _pairs(texts: tuple[str, ...], option: str, example: str) -> Iterator[tuple[str, str]]:
    seen = set()
    for text in texts:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise click.UsageError(f"cannot read {option} {text!r}; write it as {example}")
        if name in seen:
            raise click.UsageError(f"{option} names {name} twice")
        seen.add(name)
        yield name, value


def _charges(texts: tuple[str, ...]) -> dict[str, int]:
    charges = {}
    for element, text in _pairs(texts, "--oxidation-state", "V=3"):
        if not re.fullmatch(r"[+-]?\d+", text):
            raise click.UsageError(f"the formal charge of {element} is a whole number, got {text!r}")
        charges[element] = int(text)
    return charges


def _objective(text: str) -> str | dict[str, float]:
    if "=" not in text:
        return text.strip()
    weights = {}
    for name, value in _pairs(tuple(text.split(",")), "--objective", "electrostatic=1,sqs=0.5"):
        try:
            weights[name] = float(value)
        except ValueError:
            raise click.UsageError(f"the weight of {name} is a number, got {value!r}") from None
    return weights


def _supercell(text: str) -> list[Any]:
    """Read ``2x1x1`` or three rows of three numbers, fractions allowed."""
    rows = [
        [part for part in re.split(r"[,\s]+|(?<=\d)x(?=[-\d])", row.strip()) if part]
        for row in text.strip("; ").split(";")
    ]
    try:
        numbers = [[float(Fraction(part)) for part in row] for row in rows]
    except (ValueError, ZeroDivisionError):
        numbers = []
    if [len(row) for row in numbers] == [3]:
        return numbers[0]
    if [len(row) for row in numbers] == [3, 3, 3]:
        return numbers
    raise click.UsageError(f'cannot read --supercell {text!r}; write it as 2x1x1 or "1,1,0; -1,1,0; 0,0,1"')


def _file_names(out: Path | None, file_format: str | None, count: int) -> list[Path]:
    """Return the name of each cell's file; empty when nothing is to be written."""
    from nasicon_struct.adapters import FORMATS, format_of

    if out is None:
        if file_format is not None:
            raise click.UsageError("--format goes with --out")
        return []
    if out.is_dir() or not (out.suffix or re.fullmatch(r"POSCAR|CONTCAR", out.name)):
        return [out / f"ordered-{i + 1}{FORMATS[file_format or 'cif']}" for i in range(count)]
    format_of(out, file_format)
    return [out] if count == 1 else [_with_tail(out, str(i + 1)) for i in range(count)]


def _with_tail(file: Path, tail: str) -> Path:
    return file.with_name(f"{file.stem}-{tail}{file.suffix}")


def _check_files(files: list[Path], *, relax: bool, force: bool) -> None:
    """Refuse names that cannot be written, and make the folder, before anything is computed."""
    for file in [*files, *(_with_tail(file, "relaxed") for file in files if relax)]:
        if file.exists() and not force:
            raise click.UsageError(f"{file} exists; choose another name or --force")
    for file in files[:1]:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(file.parent, os.W_OK):
            raise click.UsageError(f"the folder {file.parent} cannot be written to")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, nothing elsewhere."""
    from tqdm import tqdm

    with tqdm(desc=what, disable=None, leave=False, unit="anneal", dynamic_ncols=True) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update


def _relaxed(cell: OrderedCell, engine: Any, *, quiet: bool, **options: Any) -> RelaxedCell:
    """Relax one cell, with a bar on a terminal, and print the report."""
    from tqdm import tqdm

    from nasicon_struct.relaxation import relax_cell

    with tqdm(desc="relaxing", disable=None, leave=False, unit="step", dynamic_ncols=True) as bar:

        def update(step: int, energy: float, force: float) -> None:
            bar.n = step
            bar.set_postfix_str(f"{energy:.4f} eV/f.u., {force:.3f} eV/A")

        relaxed = relax_cell(cell, engine, progress=update, **options)
    if not quiet:
        click.echo("")
        click.echo(relaxed.report())
    return relaxed

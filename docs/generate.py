"""Pages that are written at every build: public API, commands, data, benchmarks, and the notebooks."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: First part of the module -> title of its section in the API reference, in the order of the layers.
SECTIONS = {
    "formula": "Formulas and compositions",
    "composition": "Formulas and compositions",
    "series": "Formulas and compositions",
    "metric": "Metric and settings",
    "parents": "Cells",
    "cif": "Cells",
    "geometry": "Cells",
    "lattice_model": "Cells",
    "cell": "Cells",
    "ordering": "Ordered cells",
    "relaxation": "Ordered cells",
    "diffraction": "Powder patterns",
    "pattern_io": "Powder patterns",
    "pattern_fit": "Powder patterns",
    "phase_model": "Phase",
    "phase": "Phase",
    "entries": "Energies",
    "stability": "Stability",
    "doped": "Stability",
    "interface": "Interfaces",
    "batch": "Batch sheets",
    "screening": "Screening",
    "plotting": "Figures",
    "adapters": "Adapters",
    "design": "All in one",
    "reference": "Reference data",
    "citations": "Reference data",
    "errors": "Errors",
}

#: Pages at the top of docs/ that are not theory.
OTHER_PAGES = {"index", "first-steps", "tutorials", "limits", "citing"}
#: Order of the theory pages; any other page comes after these, by name.
THEORY = (
    "charge-balance",
    "cells",
    "ordering",
    "powder-patterns",
    "phase-assignment",
    "stability",
    "energies",
    "interphases",
    "doped-cells",
    "screening",
    "batch-sheets",
)


def write_pages(docs: Path) -> None:
    """Write ``_generated/`` and copy the notebooks next to the other pages."""
    target = docs / "_generated"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name, text in (
        ("theory.md", theory_page(docs)),
        ("api.md", api_page()),
        ("commands.md", commands_page()),
        ("data.md", data_page()),
        ("misprints.md", misprints_page()),
        ("benchmarks.md", benchmarks_page(docs.parent / "benchmarks" / "results")),
    ):
        (target / name).write_text(text, encoding="utf-8")
    copies = docs / "notebooks"
    copies.mkdir(exist_ok=True)
    originals = {
        path.name: path
        for path in sorted((docs.parent / "notebooks").iterdir())
        if path.suffix in (".ipynb", ".json")  # a stored result lies beside the notebook that reads it
    }
    for old in copies.glob("*.ipynb"):
        if old.name not in originals:
            old.unlink()
    for name, path in originals.items():
        if not (copies / name).is_file() or (copies / name).read_bytes() != path.read_bytes():
            shutil.copyfile(path, copies / name)


def executed_notebooks(docs: Path) -> list[str]:
    """Return the notebooks that come with outputs, as paths below ``docs``."""
    found = []
    for path in sorted((docs / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if any(cell.get("outputs") for cell in cells):
            found.append(f"notebooks/{path.name}")
    return found


def theory_page(docs: Path) -> str:
    """Contents of the theory pages that are there."""
    found = {path.stem for path in docs.glob("*.md")} - OTHER_PAGES
    names = [name for name in THEORY if name in found] + sorted(found - set(THEORY))
    listed = "\n".join(f"../{name}" for name in names)
    return (
        "# Theory\n\nWhat is computed, by which equation, from which data, and how well it does.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    )


def api_page() -> str:
    """One section per layer, one directive per public name."""
    import nasicon_struct

    sections: dict[str, list[str]] = {title: [] for title in SECTIONS.values()}
    for name in sorted(nasicon_struct.__all__, key=lambda text: (text[0].islower(), text)):
        thing = getattr(nasicon_struct, name)
        part = (getattr(thing, "__module__", "") or "").split(".")
        title = SECTIONS.get(part[1] if len(part) > 1 else "", "Other")
        if isinstance(thing, type):
            options = "\n:members:\n:show-inheritance:" if not issubclass(thing, Exception) else ""
            body = f"```{{eval-rst}}\n.. autoclass:: {thing.__module__}.{name}"
            body += "".join(f"\n   {line}" for line in options.split("\n") if line)
        else:
            body = f"```{{eval-rst}}\n.. autofunction:: {thing.__module__}.{name}"
        sections.setdefault(title, []).append(f"### {name}\n\n{body}\n```\n")
    parts = [
        "# Public names",
        "Every name below is imported as `import nasicon_struct as ns; ns.name`. Results are frozen dataclasses "
        "with `as_dict` and `from_dict`; options are keyword-only; every error is a `ValueError`.",
    ]
    for title, entries in sections.items():
        if entries:
            parts += [f"## {title}", *entries]
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """The help text of every subcommand."""
    import click

    from nasicon_struct.cli import COMMANDS, cli

    context = click.Context(cli, info_name="nasicon-struct", terminal_width=100, max_content_width=100)
    parts = [
        "# Commands",
        "Every command takes `--json`; bad input ends with one sentence on standard error and exit code 2.",
        f"```text\n{cli.get_help(context)}\n```",
    ]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        inner = click.Context(
            command, info_name=name, parent=context, terminal_width=100, max_content_width=100
        )
        parts.append(f"## {name}\n\n```text\n{command.get_help(inner)}\n```")
    return "\n\n".join(parts) + "\n"


def data_page() -> str:
    """One entry per file of the reference data, from SOURCES.toml."""
    from nasicon_struct import citations, reference

    parts = [
        "# Reference data",
        "Generated from `structures/SOURCES.toml`. The checksums are verified by the tests; "
        "`nasicon-struct cite --bibtex` prints what to cite.",
    ]
    known = {citation.key: citation for citation in citations.cite()}
    folders = {"tables": "Tables", "cif": "Crystal structures", "entries": "Energies"}
    sources = reference.list_sources()
    for folder in dict.fromkeys(source.file.partition("/")[0] for source in sources):
        parts.append(f"## {folders.get(folder, folder)}")
        for source in sources:
            if source.file.partition("/")[0] != folder:
                continue
            lines = [f"### {source.key}", "", f"{_text(source.what)}.", ""]
            lines.append(f"- File: `structures/{source.file}`")
            lines.append(f"- Source: {_text(source.citation)}")
            links = [f"<https://doi.org/{doi}>" for doi in known[source.key].doi]
            if links:
                lines.append(f"- DOI: {', '.join(links)}")
            if source.temperature_k is not None:
                lines.append(f"- Temperature: {source.temperature_k:g} K")
            lines.append(f"- Licence: {_text(source.licence)}")
            lines.append(f"- SHA-256: `{source.sha256}`")
            papers = known[source.key].papers
            if papers:
                lines.append(f"- Sources named in its rows ({len(papers)}):")
                lines += [f"  - {_text(paper)}" for paper in papers]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def misprints_page() -> str:
    """The known misprints of the papers behind the data."""
    from nasicon_struct import reference

    rows = reference.read_rows("misprints")
    parts = [
        "# Misprints and contradictions",
        "What the papers behind the data print wrongly, or against each other, and what the package does about "
        "it. Nothing is mended in silence. Generated from `structures/tables/misprints.csv`.",
    ]
    for source in dict.fromkeys(row["source"] for row in rows):
        table = [["place", "printed", "problem", "meant", "handling"]]
        table += [[row[name] for name in table[0]] for row in rows if row["source"] == source]
        parts += [f"## {_text(source)}", _table(table)]
    return "\n\n".join(parts) + "\n"


def benchmarks_page(folder: Path) -> str:
    """Every JSON of ``benchmarks/results`` as tables."""
    parts = [
        "# Benchmarks",
        "Generated from `benchmarks/results/*.json`, which the scripts in `benchmarks/` write. Each compares this "
        "package with another one in the same run on the same machine; read the ratios, not the seconds.",
    ]
    files = sorted(folder.glob("*.json"))
    if not files:
        parts.append("No results are stored yet; run the scripts in `benchmarks/`.")
    for path in files:
        data = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"## {path.stem.replace('_', ' ').replace('-', ' ').capitalize()}")
        if "command" in data:
            parts.append(f"```bash\n{data.pop('command')}\n```")
        parts += _blocks(data, level=3)
    return "\n\n".join(parts) + "\n"


def _blocks(data: Any, level: int, key: str = "") -> Iterable[str]:
    """Turn nested JSON into tables: scalars of an object together, a list of objects as rows."""
    if isinstance(data, list):
        if data and all(isinstance(item, dict) for item in data):
            names = list(dict.fromkeys(name for item in data for name in item))
            rows = [[_cell(item.get(name), name) for name in names] for item in data]
            yield _table([[_heading(name) for name in names], *rows])
        else:
            yield ", ".join(_cell(item, key) for item in data)
        return
    if not isinstance(data, dict):
        yield _cell(data, key)
        return
    plain = {k: v for k, v in data.items() if not isinstance(v, (dict, list)) or _short(v)}
    if plain:
        yield _table([["", ""], *([_heading(k), _cell(v, f"{k} {key}")] for k, v in plain.items())])
    for name, value in data.items():
        if name not in plain:
            title = _text(_heading(name).capitalize())
            yield f"{'#' * level} {title}" if level < 6 else f"**{title}**"
            yield from _blocks(value, level + 1, name)


def _heading(key: str) -> str:
    """Return a key of a benchmark as words; one with spaces in it is a name already."""
    if " " in key:
        return key
    key = re.sub(r"_per_(\w+)_s$", r"_per_\1_second", key)
    key = key.replace("_s_per_", "_per_").removesuffix("_s")
    return key.replace("_", " ")


def _is_seconds(key: str) -> bool:
    rate = r"_per_\w+_s$"
    return any(re.search(r"_s(_per_\w+)?$", part) and not re.search(rate, part) for part in key.split())


def _seconds(value: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if abs(value) * factor >= 1.0:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def _short(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return len(value) <= 6 and not any(isinstance(item, (dict, list)) for item in items)


def _cell(value: Any, key: str = "") -> str:
    """Return a value as text; its key says whether it is a time or a ratio."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and _is_seconds(key):
        return _seconds(value)
    if isinstance(value, float):
        if "ratio" in key.split():
            return f"{value:,.0f}x" if value >= 100 else f"{value:.3g}x"
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if value >= 10_000 else str(value)
    if isinstance(value, dict):
        return "; ".join(f"{k} {_cell(v, key)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(_cell(item, key) for item in value)
    return str(value)


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(_text(str(cell)) for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def _text(text: str) -> str:
    """Escape what Markdown would read as markup."""
    return re.sub(r"([\\|*_<>\[\]$`{}])", r"\\\1", " ".join(str(text).split()))

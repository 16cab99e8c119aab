"""Every command that the README, the pages and the help texts show is run as it stands; so are all doctests."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import json
import pkgutil
import re
import shlex
from pathlib import Path

import click
import pytest

import nasicon_struct as ns
from nasicon_struct.cli import COMMANDS, cli, main

ROOT = Path(__file__).parent.parent
PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))) if path.is_file()]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Examples of something to be refused: text -> exit code.
REFUSED = {'nasicon-struct check "Na3.4Zr2Si2.35P0.65O12"': 1}


def shown_commands() -> list[str]:
    texts = [
        path.read_text(encoding="utf-8")
        for path in PAGES
        if not {"_build", "_generated", "jupyter_execute"} & set(path.parts)
    ]
    lines = [
        line
        for text in texts
        for block in re.findall(r"^```(?:bash|console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    lines += [found for text in texts for found in re.findall(r"`(nasicon-struct [^`\n]+)`", text)]
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        lines += (command.epilog or "").splitlines()
    found = {}
    for line in lines:
        command = re.sub(r"^.*&& (?=nasicon-struct)", "", line.strip().removeprefix("$ "))
        command = re.split(r"\s+(?:#|>)\s", command + " ")[0].strip()
        if re.match(r"nasicon-struct \S", command) and "--help" not in command:
            found[command] = None
    return list(found)


@pytest.mark.parametrize("command", shown_commands())
def test_shown_commands_run(
    command: str, example_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(example_folder)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    words = shlex.split(command)
    if "--relax" in words:
        pytest.importorskip("chgnet", reason="the calculator of the extra mlip")
    with pytest.raises(SystemExit) as end:
        main(words[1:])
    out, err = capsys.readouterr()
    assert end.value.code == REFUSED.get(command, 0), f"{command}\n{err}"
    assert out.strip(), f"{command} printed nothing"
    if "--json" in words:
        json.loads(out)
    for option in ("--out", "--figure", "--csv", "--profile"):
        if option in words:
            assert (example_folder / words[words.index(option) + 1]).exists(), f"{command} wrote no file"


MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(ns.__path__, "nasicon_struct.")
    if ">>>" in Path(str(importlib.util.find_spec(module.name).origin)).read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {name} fail"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert "".join(cells[0]["source"]).startswith("# ")
    for cell in cells:
        assert not cell.get("outputs"), f"{path.name}: strip the outputs"
        assert cell.get("execution_count") is None


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Usage: nasicon-struct")
    assert any(line.strip().startswith("nasicon-struct design") for line in lines)

"""What to cite, and the help a shell gives."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from nasicon_struct import reference
from nasicon_struct.citations import USES, Citation, cite, to_bibtex
from nasicon_struct.cli import COMMANDS, main
from nasicon_struct.cli.cite import command
from nasicon_struct.cli.completion import command as completion
from nasicon_struct.entries import default_source, entry_source
from nasicon_struct.errors import EntriesError, ReferenceDataError


def test_everything_is_cited() -> None:
    found = cite()
    assert found[0].kind == "package"
    data = [c.key for c in found if c.kind == "data"]
    assert data == [entry.key for entry in reference.list_sources()]
    assert {c.key for c in found if c.kind == "software"} >= {"pymatgen", "gemmi", "spglib"}
    assert all(c.citation and c.what for c in found)


@pytest.mark.parametrize("task", sorted(USES))
def test_each_task_has_data(task: str) -> None:
    assert any(c.kind == "data" for c in cite(task))


def test_keys_tasks_and_errors() -> None:
    assert [c.key for c in cite("xun2025_s2")] == ["nasicon_struct", "xun2025_s2"]
    papers = next(c for c in cite("phase") if c.key == "literature_phases").papers
    assert len(papers) > 5
    with pytest.raises(ReferenceDataError, match="window"):
        cite("windows")


@pytest.mark.parametrize("task", ["window", "interface", "screen", "design"])
def test_energies_are_those_of_the_level_used(task: str) -> None:
    files = {entry.key: entry.file for entry in reference.list_sources()}

    def energies(*what: str, source: str | None = None) -> set[str]:
        held = [files[c.key] for c in cite(*what, source=source) if c.kind == "data"]
        return {file.removeprefix("entries/") for file in held if file.startswith("entries/")}

    default = entry_source(default_source("Na3Zr2Si2PO12"))
    judged_by = set(entry_source(default.held_against).files)
    assert energies(task) == set(default.files) | judged_by
    assert energies(task) == energies(task, source=default.name) == energies(default.name)
    assert energies(task, source="mp2019-gga") == {"mp2019-gga.csv"} == energies("mp2019-gga-mp2020")
    assert energies(source="mp2019-gga") == {"mp2019-gga.csv"}
    with pytest.raises(EntriesError, match="mp2019-gga"):
        cite(task, source="mp2019")


def test_round_trip_and_bibtex() -> None:
    found = cite("design")
    for citation in found:
        assert Citation.from_dict(json.loads(citation.to_json())) == citation
    text = to_bibtex(found)
    assert text.count("@misc{") == len(found) - 1
    assert text.count("@software{") == 1
    assert text.count("{") == text.count("}")
    keys = [line.partition("{")[2] for line in text.splitlines() if line.startswith("@")]
    assert len(set(keys)) == len(keys)


def test_command() -> None:
    runner = CliRunner()
    shown = runner.invoke(command, ["window"])
    assert shown.exit_code == 0
    assert "https://doi.org/10.1038/s41524-025-01796-y" in shown.output
    assert "mp2019-gga" not in shown.output
    assert (
        "@misc{mp2019-gga" in runner.invoke(command, ["window", "--source", "mp2019-gga", "--bibtex"]).output
    )
    assert json.loads(runner.invoke(command, ["--json"]).output)[0]["key"] == "nasicon_struct"
    assert "    - " in runner.invoke(command, ["phase", "--papers"]).output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str) -> None:
    shown = CliRunner().invoke(completion, [shell])
    assert shown.exit_code == 0
    assert "_NASICON_STRUCT_COMPLETE" in shown.output
    assert json.loads(CliRunner().invoke(completion, [shell, "--json"]).output)["shell"] == shell


def test_completion_completes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("_NASICON_STRUCT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "nasicon-struct win")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        main([])
    assert "window" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["widow", "Na3PS4"], "did you mean 'window'?"),
        (["zzz"], f"there are {', '.join(COMMANDS)}"),
        (["check"], "see 'nasicon-struct check --help'"),
        (["window", "Na3PS4", "--figur", "x.png"], "--figure"),
        (["design", "Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12"], "--x 0,0.05,0.1"),
    ],
)
def test_errors_name_the_next_step(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1

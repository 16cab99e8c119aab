"""The command line: exit codes, one-line errors, JSON keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasicon_struct import reference
from nasicon_struct.cli import COMMANDS, main
from nasicon_struct.design import read_formulas


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = run(capsys, name, "--help")
    assert code == 0
    assert "Example" in out
    assert f"nasicon-struct {name}" in out
    assert "--json" in out


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "Na3.4Zr2Si2.35P0.65O12", "--json")
    data = json.loads(out)
    assert code == 1
    assert list(data) == [
        "formula",
        "neutral",
        "net_charge",
        "na_needed",
        "oxidation_states",
        "sites",
        "problems",
    ]
    assert (data["neutral"], data["net_charge"], data["na_needed"]) == (False, 0.05, 3.35)
    assert run(capsys, "check", "Na3Zr2Si2PO12")[0] == 0
    assert run(capsys, "check", "Na3V2(PO4)3", "--oxidation", "V=3")[0] == 0


@pytest.mark.parametrize(
    "argv",
    [
        ("check", "nonsense"),
        ("check", ""),
        ("check",),
        ("check", "Na3Zr2Si2PO12", "--oxidation", "V"),
        ("frobnicate",),
        ("design", "nonsense", "--out", "x"),
        ("design", "missing.csv"),
        ("build", "Na3Zr2Si2PO12", "--parent", "nobody"),
        ("phase", "no-such-file.cif"),
        ("window", "Xx2"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
    code, out, err = run(capsys, *argv)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_design_writes_everything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, _ = run(capsys, "design", "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12", "--out", str(out))
    assert code == 0
    assert "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12" in printed
    names = {path.name for path in out.iterdir()}
    assert {"report.md", "report.json", "pattern.png", "window.png", "average_xun2025_s2.cif"} <= names
    assert all(path.stat().st_size > 500 for path in out.iterdir())
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["na"] == 3.4
    assert report["net_charge"] == 0
    assert report["window"]["is_stable"] is None  # the set holds no energy of a doped composition


def test_design_gives_limits_with_their_intervals(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(capsys, "design", "Na3Zr2Si2PO12", "--out", str(out))[0] == 0
    window = json.loads((out / "report.json").read_text())["window"]
    for name in ("reduction_v_interval", "oxidation_v_interval"):
        low, high = window[name]
        assert 0.05 < high - low < 0.7
    text = (out / "report.md").read_text()
    assert "95 % intervals" in text
    assert f"{window['oxidation_v_interval'][1]:.2f} V" in text


def test_design_of_a_file_keeps_what_works(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("formula\nNa3Zr2Si2PO12\nNa9Zr2Si2PO12\n", encoding="utf-8")
    code, printed, err = run(capsys, "design", str(file), "--out", str(tmp_path / "many"), "--json")
    assert code == 2
    assert [row["formula"] for row in json.loads(printed)] == ["Na3Zr2Si2PO12"]
    assert "Na9Zr2Si2PO12" in err
    assert (tmp_path / "many" / "Na3Zr2Si2PO12" / "report.md").is_file()


def test_phase_of_the_refined_cell(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "phase", str(reference.cif_path("xun2025_s2")), "--json")
    data = json.loads(out)
    assert code == 0
    assert {"phase", "probability_monoclinic", "delta1", "delta2", "strain_norm", "evidence"} <= set(data)
    assert data["phase"] == "monoclinic"


def test_window(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "window", "Na3SbS4", "Na3PS4", "--json")
    data = json.loads(out)
    assert code == 0
    keys = "target reduction_v oxidation_v e_above_hull_ev_per_atom is_stable steps source published"
    assert all(set(keys.split()) <= set(row) for row in data)
    assert [row["target"] for row in data] == ["Na3SbS4", "Na3PS4"]
    assert [row["source"] for row in data] == ["chgnet-r2scan"] * 2
    for row in data:
        assert row["reduction_v_interval"][0] < row["reduction_v"] < row["oxidation_v"]
    gga = json.loads(run(capsys, "window", "Na3SbS4", "Na3PS4", "--source", "mp2019-gga", "--json")[1])
    assert gga[0]["is_stable"] is False
    assert gga[0]["reduction_v"] is None
    assert gga[1]["reduction_v"] == pytest.approx(1.246, abs=6e-4)


def test_a_list_may_hold_its_formulas_in_any_column(tmp_path: Path) -> None:
    """Tables of `screen` start with other columns, and spreadsheets write a byte order mark."""
    file = tmp_path / "list.csv"
    file.write_text("\ufeffcandidate,formula\n0,Na3Zr2Si2PO12\n1,NaZr2P3O12\n", encoding="utf-8")
    assert read_formulas(file) == ["Na3Zr2Si2PO12", "NaZr2P3O12"]
    file.write_text("# mine\nNa3Zr2Si2PO12, good\n\nNaZr2P3O12\n", encoding="utf-8")
    assert read_formulas(file) == ["Na3Zr2Si2PO12", "NaZr2P3O12"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_tables_of_formulas(between: str, encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    rows = [("name", "formula"), ("a", "Na3Zr2Si2PO12"), ("b", "NaZr2P3O12")]
    file.write_text("\n" + "\n\n".join(between.join(row) for row in rows), encoding=encoding)
    assert read_formulas(file) == ["Na3Zr2Si2PO12", "NaZr2P3O12"]


@pytest.mark.parametrize(("name", "content"), [("a.json", b'["NaZr2P3O12"]'), ("a.csv", bytes(range(256)))])
def test_a_file_that_is_no_list_is_refused_once(
    name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        main(["design", str(file), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "is no list of formulas" in error
    assert error.count("\n") == 1

"""The command ``nasicon-struct pattern``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nasicon_struct import reference
from nasicon_struct.cli import main
from nasicon_struct.pattern_io import read_pattern


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str, int]:
    with pytest.raises(SystemExit) as caught:
        main(["pattern", *arguments])
    captured = capsys.readouterr()
    code = caught.value.code
    return captured.out, captured.err, code if isinstance(code, int) else 0


def test_formula_to_file_figure_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xy, png = tmp_path / "pattern.xy", tmp_path / "pattern.png"
    out, _, code = run(
        capsys, "Na3Zr2Si2PO12", "--out", str(xy), "--figure", str(png), "--range", "15", "35", "--json"
    )
    assert code == 0
    data = json.loads(out)
    assert data["kalpha2_ratio"] == 0.5
    pair = [r for r in data["reflections"] if r["hkl_hexagonal"] == [[1, 0, 4]]]
    assert [r["hkl_monoclinic"] for r in pair] == [[[1, 1, 1]], [[2, 0, -2]]]
    back = read_pattern(xy)
    assert back.two_theta_deg[0] == 15.0
    assert back.wavelength_ang == pytest.approx(data["wavelength_ang"])
    assert back.kalpha2_ratio == 0.5
    assert png.stat().st_size > 5000


def test_cif_and_wavelength(capsys: pytest.CaptureFixture[str]) -> None:
    cif = str(reference.cif_path("boilot1988_x235"))
    out, _, code = run(capsys, cif, "--wavelength", "0.8265", "--fwhm", "0.02", "--json")
    assert code == 0
    data = json.loads(out)
    line = next(r for r in data["reflections"] if r["hkl_hexagonal"] == [[1, 0, 4]])
    assert line["hkl_monoclinic"] == [[1, 1, 1], [2, 0, -2]]
    assert line["multiplicity"] == 6
    assert 2 * line["d_ang"] * np.sin(np.radians(line["two_theta_deg"] / 2)) == pytest.approx(0.8265)


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    out, _, code = run(capsys, "Na3Zr2Si2PO12", "--lines", "5")
    assert code == 0
    assert "C2/c" in out
    assert len([line for line in out.splitlines() if line.strip()[:1].isdigit()]) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("Na3Zr2Si2PO13.5",),
        ("missing.cif",),
        ("Na3Zr2Si2PO12", "--wavelength", "XxKa"),
        ("Na3Zr2Si2PO12", "--fwhm", "0"),
        ("Na3Zr2Si2PO12", "--range", "60", "10"),
        ("Na3Zr2Si2PO12", "--figure", "picture.nonsense"),
        ("Na3Zr2Si2PO12", "--out", "no_such_folder/pattern.xy"),
        ("Na3Zr2Si2PO12", "--parent", "nobody"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    out, err, code = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("error: ")


def test_foreign_files_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "notes.txt"
    mine.write_text("keep me")
    _, err, code = run(capsys, "Na3Zr2Si2PO12", "--out", str(mine))
    assert code == 2
    assert "no pattern" in err
    assert mine.read_text() == "keep me"
    target = tmp_path / "a.xy"
    for _ in range(2):
        _, _, code = run(capsys, "Na3Zr2Si2PO12", "--range", "15", "20", "--out", str(target))
        assert code == 0

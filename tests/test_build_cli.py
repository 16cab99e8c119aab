"""``nasicon-struct build``: exit codes, files, JSON."""

from __future__ import annotations

import json

import pytest

from nasicon_struct.cif import read_structure
from nasicon_struct.cli import main

FORMULA = "Na3.4Zr1.95Al0.05Si2.35P0.65O12"


def run(capsys, *args):
    with pytest.raises(SystemExit) as info:
        main(["build", *map(str, args)])
    captured = capsys.readouterr()
    return info.value.code, captured.out, captured.err


def test_build_writes_a_cif(capsys, tmp_path):
    out = tmp_path / "cell.cif"
    code, text, err = run(capsys, FORMULA, "--parent", "xun2025_s2", "--out", out)
    assert (code, err) == (0, "")
    for word in ("Na1", "4d", "Zr 0.9750 Al 0.0250", "warning:", "predicted:", str(out)):
        assert word in text
    structure = read_structure(out)
    assert structure.composition.element_composition["Na"] == pytest.approx(4 * 3.4, abs=1e-6)
    # a file of its own is replaced
    assert run(capsys, FORMULA, "--out", out, "--coordinates", "prototype")[0] == 0
    assert "subramanian1985" in out.read_text()


def test_build_keeps_files_of_others(capsys, tmp_path):
    out = tmp_path / "mine.cif"
    out.write_text("my own work\n")
    code, _, err = run(capsys, FORMULA, "--out", out)
    assert code == 2
    assert err.count("\n") == 1
    assert out.read_text() == "my own work\n"
    assert run(capsys, FORMULA, "--out", out, "--force")[0] == 0
    assert len(read_structure(out)) == 84


def test_build_json(capsys, tmp_path):
    code, text, _ = run(capsys, FORMULA, "--lattice", "predicted", "--json", "--na-distribution", "uniform")
    assert code == 0
    data = json.loads(text)
    assert data["space_group_number"] == 15
    assert data["cif"] is None
    assert len(data["sites"]) == 12
    assert data["sites"][0]["occupancies_exact"] == {"Na": "17/20"}
    assert data["predicted_lattice"]["c_h_error_ang"] > 0
    assert data["cell"]["beta_deg"] == pytest.approx(124, abs=1)
    assert data["warnings"]
    assert data["distortion"]["delta2"] < -0.01


def test_build_on_a_rhombohedral_parent(capsys):
    code, text, _ = run(capsys, FORMULA, "--parent", "boilot1988_x235")
    assert code == 0
    assert "R -3 c" in text


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["Na3.4Zr2Si2.35P0.65O12"], "3.35"),
        (["nonsense"], ""),
        ([FORMULA, "--parent", "nothing"], "xun2025_s2, xun2025_s3"),
        ([FORMULA, "--parent", "hong1976_nzp"], "does not fit"),
        ([FORMULA, "--coordinates", "best"], "prototype"),
        ([FORMULA, "--out", "/nowhere/at/all/cell.cif"], "cell.cif"),
        ([], "FORMULA"),
    ],
)
def test_bad_input_is_one_sentence(capsys, args, word):
    code, text, err = run(capsys, *args)
    assert code == 2
    assert text == ""
    assert err.count("\n") == 1
    assert word in err


def test_help_has_an_example(capsys):
    code, text, _ = run(capsys, "--help")
    assert code == 0
    assert "--out cell.cif" in text

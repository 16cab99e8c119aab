"""Screening: where candidates come from, and what a result shows and is written as."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.composition import Composition

from nasicon_struct.cli import main
from nasicon_struct.errors import ScreeningError
from nasicon_struct.screening import (
    COLUMNS,
    DesignSpace,
    candidate_row,
    pareto_ranks,
    read_screen,
    screen,
    write_screen,
)
from nasicon_struct.screening.pareto import read_objectives

FORMULAS = [
    "Na3Zr2Si2PO12",
    "NaZr2P3O12",
    "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12",
    "Na3.4Zr2Si2PO12",
    "=1+1",
    "Na4Zr2Si3O12",
    "Na3.3Zr1.9Nb0.1Si2.4P0.6O12",
]


def space() -> DesignSpace:
    return DesignSpace.from_ranges(["Sc", "Zn"], stop="0.4", step="0.1", si=("1.6", "2.6", "0.2"))


# ---- sources


def test_candidates_from_files(tmp_path: Path) -> None:
    expected = screen(FORMULAS)
    files = {
        "a.csv": "name,Formula \n" + "".join(f"s{i},{f}\n" for i, f in enumerate(FORMULAS)),
        "bom.csv": "\ufeffformula\n" + "\n".join(FORMULAS),
        "one.csv": "my column\n" + "\n".join(FORMULAS) + "\n",
        "a.tsv": "x\tcomposition\n" + "".join(f"\t{f}\n" for f in FORMULAS),
        "a.txt": "\r\n".join(FORMULAS) + "\r\n",
        "a.jsonl": "".join(json.dumps({"id": i, "formula": f}) + "\n" for i, f in enumerate(FORMULAS)),
        "b.jsonl": "".join(json.dumps(f) + "\n\n" for f in FORMULAS),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        pd.testing.assert_frame_equal(screen(tmp_path / name), expected, obj=name)
    pd.DataFrame({"candidate": FORMULAS, "x": 1}).to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(screen(tmp_path / "a.parquet"), expected)
    pd.testing.assert_frame_equal(screen(str(tmp_path / "a.parquet"), chunk_rows=2), expected)
    pd.DataFrame({"formula": pd.Categorical(FORMULAS)}).to_parquet(tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(screen(tmp_path / "b.parquet"), expected)
    pd.testing.assert_frame_equal(screen(pd.DataFrame({"formula": FORMULAS})), expected)
    named = pd.DataFrame({"a": FORMULAS, "formula": "NaCl"})
    pd.testing.assert_frame_equal(screen(named, formula_column="a"), expected)
    assert len(screen(tmp_path / "a.csv", limit=3)) == 3


def test_tables_of_spreadsheets(tmp_path: Path) -> None:
    expected = screen(FORMULAS)
    files = {
        "semicolons.csv": "name;formula;x\n" + "".join(f"a;{f};1,5\n" for f in FORMULAS),
        "tabs.csv": "name\tformula\n" + "".join(f"a, b\t{f}\n" for f in FORMULAS),
        "blank.csv": "\n \nformula\n\n" + "\n\n".join(FORMULAS) + "\n\n\n",
        "twice.csv": "formula,formula\n" + "".join(f"{f},none\n" for f in FORMULAS),
        "bare.csv": "\n".join(FORMULAS),
        "bare2.csv": "".join(f"{n},{f}\n" for n, f in enumerate(FORMULAS)),
        "old mac.csv": "formula\r" + "\r".join(FORMULAS),
        "comments.txt": "# best first\n\n" + "\n".join(FORMULAS) + "\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode())
        pd.testing.assert_frame_equal(screen(tmp_path / name), expected, obj=name)
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "encoded.csv").write_text("formula\n" + "\n".join(FORMULAS), encoding=encoding)
        pd.testing.assert_frame_equal(screen(tmp_path / "encoded.csv"), expected, obj=encoding)
    # The names of columns may be formulas of precursors: those are no candidates.
    (tmp_path / "oxides.csv").write_text("SiO2,Na2CO3,Composition\n1,2,NaZr2P3O12\n")
    assert screen(tmp_path / "oxides.csv")["formula"].tolist() == ["NaZr2P3O12"]
    (tmp_path / "oxides.csv").write_text("SiO2,Na2CO3\n1,2\n")
    with pytest.raises(ScreeningError, match="no column 'formula'"):
        screen(tmp_path / "oxides.csv")


def test_broken_rows_of_a_file_cost_only_themselves(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(
        b'id,formula\n1,Na3Zr2Si2PO12\n2\n3,\xff\xfe\n4,"Na3Zr2Si2PO12\n5,NaZr2P3O12\n6,Na4Zr2Si3O12\n\n'
        b"7," + b"Na" * 50_000 + b"\n8,NaZr2P3O12,extra,cells\n"
    )
    table = screen(file)
    assert table["status"].tolist()[:3] == ["possible", "unreadable", "unreadable"]
    assert table["formula"].tolist()[-1] == "NaZr2P3O12"
    assert {"NaZr2P3O12", "Na4Zr2Si3O12"} <= set(table["formula"].dropna())
    assert "at most 400 characters" in table["reason"].iloc[-2]
    json_file = tmp_path / "a.jsonl"
    json_file.write_text(
        '{"formula": "Na3Zr2Si2PO12"}\n{"formula": 3}\n{broken\n[1]\n' + "[" * 100_000 + "\n"
    )
    assert screen(json_file)["status"].tolist() == ["possible"] + ["unreadable"] * 4


def test_reading_long_cells_leaves_the_shared_limit_alone(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = tmp_path / "long.csv"
    path.write_text("formula\n" + "A" * (2 * before) + "\nNa3Zr2Si2PO12\n")
    assert list(screen(path)["status"]) == ["unreadable", "possible"]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("missing.csv", None, "no file"),
        ("empty.csv", "", "empty"),
        ("wrong.csv", "a,b\n1,2\n", "no column 'formula'"),
        ("fake.parquet", "no parquet", "no Parquet file"),
    ],
)
def test_files_that_hold_no_candidates_are_refused(
    tmp_path: Path, name: str, text: str | None, word: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ScreeningError, match=word):
        screen(tmp_path / name)


@pytest.mark.parametrize(
    "candidates", ["Na3Zr2Si2PO12", 3, None, b"Na3Zr2Si2PO12", {"Na": 3}, Composition("Na3Zr2Si2PO12")]
)
def test_what_is_no_list_is_refused(candidates: Any) -> None:
    with pytest.raises(ScreeningError):
        screen(candidates)


def test_no_candidates_make_an_empty_table(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        assert write_screen([], tmp_path / name, sort="na", pareto="na:max").rows == 0
    assert list(read_screen(tmp_path / "a.parquet").columns) == [*COLUMNS, "pareto_rank"]
    assert len(screen([], sort="na", top=3)) == 0


# ---- views


def test_columns_sort_and_top() -> None:
    whole = screen(space())
    some = screen(space(), columns=["na", "formula"])
    pd.testing.assert_frame_equal(some, whole[["na", "formula"]])
    for keys, up in (
        (["probability_monoclinic:desc"], [False]),
        (["na:desc", "si"], [False, True]),
        (["formula"], [True]),
        (["oxidation_v:asc", "phase:desc"], [True, False]),
    ):
        names = [key.partition(":")[0] for key in keys]
        plain = whole.astype({"phase": "object", "formula": "object"})
        expected = plain.sort_values([*names, "candidate"], ascending=[*up, True], kind="stable")
        found = screen(space(), sort=keys, chunk_rows=13)
        assert found["candidate"].tolist() == expected["candidate"].tolist()
        assert screen(space(), sort=keys, top=5)["candidate"].tolist() == expected["candidate"].tolist()[:5]
        merged = found.sort_values("candidate").reset_index(drop=True)
        pd.testing.assert_frame_equal(merged.astype(object), whole.astype(object))


def test_pareto_rank_of_a_screen() -> None:
    objectives = ["probability_monoclinic:min", "assemblage_oxidation_v:max"]
    found = screen(space(), pareto=objectives, chunk_rows=11)
    values = found[["probability_monoclinic", "assemblage_oxidation_v"]]
    ranks = pareto_ranks(values.round(9), maximise=[False, True])
    assert found["pareto_rank"].fillna(0).astype(int).tolist() == ranks.tolist()
    assert found["pareto_rank"].isna().equals(values.isna().any(axis=1))
    best = screen(space(), pareto=dict(item.split(":") for item in objectives), top=4)
    assert best["pareto_rank"].iloc[0] == 1
    assert best["pareto_rank"].is_monotonic_increasing
    mixed = screen(space(), pareto=objectives, sort="na:desc", columns="formula,pareto_rank")
    assert list(mixed.columns) == ["formula", "pareto_rank"]
    by_formula = found.set_index("formula")["pareto_rank"].dropna()
    assert mixed.dropna().set_index("formula")["pareto_rank"].to_dict() == by_formula.to_dict()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"columns": ["formula", "nonsense"]}, "no column 'nonsense'"),
        ({"columns": []}, "once"),
        ({"columns": "na,na"}, "once"),
        ({"columns": "a_h_ang"}, "no column 'a_h_ang'"),
        ({"columns": "pareto_rank"}, "no column"),
        ({"sort": "na:up"}, "column:asc"),
        ({"sort": "x"}, "no column 'x'"),
        ({"top": 3}, "needs an order"),
        ({"top": 0, "sort": "na"}, "above 0"),
        ({"pareto": ["na"]}, "column:max"),
        ({"pareto": ["formula:max"]}, "columns of numbers"),
        ({"pareto": ["na:max", "na:min"]}, "one objective"),
        ({"pareto": 3}, "column:max"),
    ],
)
def test_views_that_cannot_be_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ScreeningError, match=word):
        screen(FORMULAS, **options)


# ---- Pareto ranks


def ranks_by_peeling(costs: np.ndarray) -> np.ndarray:
    """The definition: those that nobody beats, then those that nobody of the rest beats, ..."""
    ranks, left, rank = np.zeros(len(costs), dtype=int), np.arange(len(costs)), 0
    while len(left):
        rank += 1
        values = costs[left]
        no_worse = (values[None] <= values[:, None]).all(axis=2)
        better = (values[None] < values[:, None]).any(axis=2)
        beaten = (no_worse & better).any(axis=1)
        ranks[left[~beaten]] = rank
        left = left[beaten]
    return ranks


@given(st.integers(1, 5), st.integers(1, 60), st.integers(2, 12), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_pareto_ranks_follow_the_definition(columns: int, rows: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (rows, columns)).astype(float)
    values[rng.random(values.shape) < 0.02] = np.inf
    up = rng.random(columns) < 0.5
    expected = ranks_by_peeling(np.where(up, -values, values))
    assert pareto_ranks(values, maximise=up).tolist() == expected.tolist()


def test_pareto_ranks_of_odd_input() -> None:
    assert pareto_ranks(np.empty((0, 2)), maximise=[True, True]).tolist() == []
    values = [[math.nan, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, -0.0], [0.0, 0.0]]
    assert pareto_ranks(values, maximise=[True, True]).tolist() == [0, 1, 1, 2, 2]
    with pytest.raises(ScreeningError, match="one direction"):
        pareto_ranks([[1.0, 2.0]], maximise=[True])
    many = np.random.default_rng(0).random((200_001, 4))
    with pytest.raises(ScreeningError, match="200,000"):
        pareto_ranks(many, maximise=[True] * 4)
    assert read_objectives(read_objectives({"na": "max"})) == read_objectives("na:max")


# ---- files


def test_the_three_formats_hold_the_same(tmp_path: Path) -> None:
    whole = screen(FORMULAS)
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        write_screen(FORMULAS, tmp_path / name)
    pd.testing.assert_frame_equal(read_screen(tmp_path / "a.parquet"), whole)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    for number, formula in enumerate(FORMULAS):
        one = candidate_row(formula) | {"candidate": number, "input": formula}
        assert lines[number] == one
        for name, value in one.items():
            cell = rows[number][name]
            if value is None:
                assert cell == ""
            elif isinstance(value, bool):
                assert cell == str(value).lower()
            elif isinstance(value, float | int):
                assert float(cell) == value, name
            else:
                assert cell.removeprefix("'") == value
    pd.testing.assert_series_equal(read_screen(tmp_path / "a.csv")["na"], whole["na"])
    pd.testing.assert_series_equal(read_screen(tmp_path / "a.jsonl")["na"], whole["na"])


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path) -> None:
    nasty = ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "＝1", 'a"b', "a,b", "a\nb", "Na3Zr2Si2PO12"]
    write_screen(nasty, tmp_path / "a.csv", columns=["candidate", "input", "reason"])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(nasty)
    for text, row in zip(nasty, rows, strict=True):
        assert not row["input"].lstrip().startswith(("=", "+", "-", "@", "＝"))
        assert row["input"].removeprefix("'") == text
        assert not row["reason"].startswith(("=", "+", "-", "@"))
    assert read_screen(write_screen(nasty, tmp_path / "a.parquet").out)["input"].tolist() == nasty


# ---- command line


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


def test_command_writes_resumes_and_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, out = tmp_path / "c.csv", tmp_path / "r.parquet"
    file.write_text("formula\n" + "\n".join(FORMULAS))
    code, text, err = run(capsys, "screen", str(file), "--out", str(out))
    assert (code, err) == (0, "")
    assert "7 candidates: 5 possible, 1 rejected, 1 unreadable" in text
    pd.testing.assert_frame_equal(read_screen(out), screen(FORMULAS))
    code, text, err = run(capsys, "screen", str(file), "--out", str(out))
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    code, text, _ = run(capsys, "screen", str(file), "--out", str(out), "--resume", "--json")
    assert json.loads(text)["resumed"] == 7
    code, _, _ = run(capsys, "screen", str(file), "--out", str(out), "--overwrite", "--limit", "2")
    assert len(read_screen(out)) == 2


def test_command_shows_rows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    toml = tmp_path / "space.toml"
    toml.write_text(
        '[dopants]\nelements = ["Sc"]\nto = 0.4\nstep = 0.1\n[si]\nfrom = 1.6\nto = 2.6\nstep = 0.2\n'
    )
    code, text, _ = run(capsys, "screen", "--space", str(toml), "--sort", "na:desc", "--top", "3")
    assert code == 0
    assert len(text.strip().splitlines()) == 5
    code, text, _ = run(
        capsys, "screen", "--space", str(toml), "--pareto", "na:max", "--columns", "na,pareto_rank"
    )
    assert "and 10 more" in text
    template = "Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12"
    code, text, _ = run(capsys, "screen", "--series", template, "--values", "x=0,0.1", "--json")
    rows = json.loads(text)["rows"]
    assert [row["formula"] for row in rows] == ["Na3.2Zr1.8Sc0.2Si2PO12", "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12"]
    assert rows[1]["x"] == 0.1
    code, text, _ = run(capsys, "screen", "--list-columns")
    assert all(name in text for name in COLUMNS)
    code, text, _ = run(capsys, "screen", "--list-columns", "--json")
    assert json.loads(text)["na"] == "Na per O12"


def test_command_fails_when_no_candidate_can_be_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, out = tmp_path / "c.csv", tmp_path / "r.csv"
    file.write_text("id,formula\n1,first\n2,NaXx\n3,\n")
    code, text, err = run(capsys, "screen", str(file))
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot read any of the 3 candidates" in err
    assert "- cannot read the formula 'NaXx' at character 3" in text
    code, text, err = run(capsys, "screen", str(file), "--out", str(out), "--json")
    assert (code, json.loads(text)["counts"]["unreadable"]) == (1, 3)
    assert len(read_screen(out)) == 3
    code, text, _ = run(capsys, "screen", str(file), "--json", "--limit", "1")
    assert (code, len(json.loads(text)["rows"])) == (1, 1)
    # One that can be read is enough, even where the rows shown hold it not; so is none at all.
    file.write_text("formula\nfirst\nNaCl\n")
    code, text, err = run(capsys, "screen", str(file), "--sort", "candidate", "--top", "1")
    assert (code, err) == (0, "")
    assert "first" in text
    assert run(capsys, "screen", str(file), "--limit", "0")[0] == 0


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("missing.csv",),
        ("--series", "Na3+x"),
        ("--series", "Na3+x", "--values", "x"),
        ("--series", "Na3+x", "--values", "x=0,1", "--values", "x=2"),
        ("--series", "Na3+xZr2Si2PO12", "--values", "x=0,1", "--values", "y=2"),
        ("candidates",),
        ("--values", "x=1", "--space", "a.toml"),
        ("--space", "a.csv"),
        ("--space", "a.toml", "--series", "Na3+x"),
        ("--series", "Na3+xZr2Si2PO12", "--values", "x=0", "--resume"),
        ("--series", "Na3+xZr2Si2PO12", "--values", "x=0", "--dask", "tcp://127.0.0.1:1"),
    ],
)
def test_command_refuses_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    code, _, err = run(capsys, "screen", *argv)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_the_result_never_replaces_the_candidates(tmp_path: Path) -> None:
    path = tmp_path / "candidates.csv"
    path.write_text("formula\nNa3Zr2Si2PO12\n")
    with pytest.raises(ScreeningError, match="cannot take the result"):
        screen(path, out=path, overwrite=True)
    assert path.read_text() == "formula\nNa3Zr2Si2PO12\n"

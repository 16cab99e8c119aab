"""The commands window and interface: text, JSON, figures, own energies, errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasicon_struct.cli import main

GGA = ("--source", "mp2019-gga", "--no-uncertainty")
#: Formation energies, eV per atom, made up.
ENERGIES = "formula,formation_energy_ev_per_atom\nNa2S,-1.25\nNa3P,-0.33\nP2S5,-0.45\nNa3PS4,-1.06\n"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


def test_a_stable_target(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "window", "Na3PS4", "--source", "mp2019-gga")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "Na3PS4: stable from 1.246 to 2.130 V against Na"
    assert lines[1].startswith("Energies: mp2019-gga, PBE (GGA)")
    rows = {line.split("  ")[0]: line for line in lines}
    assert {"this level", "becomes", "median", "95 % interval", "published"} <= set(rows)
    assert "Na2PS3 + Na2S5" in rows["becomes"]
    assert rows["published"].split()[1:3] == ["1.39", "2.45"]
    assert any("Na3PS4 + 8 Na -> 4 Na2S + Na3P" in line for line in lines)
    assert not any("by -0.000 V" in line or "by +0.000 V" in line for line in lines)


def test_a_target_above_the_hull_has_no_window(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "window", "Na3SbS4", *GGA, "--tolerance", "0.025")[1]
    assert out.startswith("Na3SbS4: no window, 6.6 meV/atom above the hull\n")
    assert "no window of the compound" in out
    assert "within 25 meV/atom" in out
    assert "- decomposition: Na3SbS4 -> " in out


def test_a_target_without_an_energy(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "window", "Na3.4Zr2Si2.4P0.6O12", *GGA)[1]
    assert out.startswith("Na3.4Zr2Si2.4P0.6O12: no window, since these energies hold none of")


def test_published_windows_stand_beside_windows_against_sodium_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(ENERGIES + "K2S,-1.2\nK3PS4,-1.0\n")
    options = ("--entries", str(file), "--open-element", "K", "--no-uncertainty")
    out = run(capsys, "window", "Na3PS4", *options)[1]
    assert out.startswith("Na3PS4: stable from ")
    assert "V against K" in out.splitlines()[0]
    assert "published" not in out
    assert json.loads(run(capsys, "window", "Na3PS4", *options, "--json")[1])[0]["published"] == []


def test_no_upper_limit(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "window", "ZrO2", *GGA)[1]
    assert out.splitlines()[0].endswith("V against Na upwards, without a limit")


def test_the_path_that_keeps_the_framework(capsys: pytest.CaptureFixture[str]) -> None:
    phases = ("--framework", "NaZr2Si2PO12=-2.98", "--framework", "Na4Zr2Si2PO12=-3.05")
    out = run(capsys, "window", "Na3Zr2Si2PO12", *GGA, *phases)[1]
    line = next(line for line in out.splitlines() if line.startswith("framework kept"))
    assert "by way of Na4Zr2Si2PO12, NaZr2Si2PO12" in line
    data = json.loads(run(capsys, "window", "Na3Zr2Si2PO12", *GGA, *phases, "--json")[1])[0]
    assert data["topotactic_window"]["oxidation_reaction"] == "Na3Zr2Si2PO12 -> NaZr2Si2PO12 + 2 Na"
    assert f"{data['topotactic_window']['oxidation_v']:.3f}" in line
    code, _, err = run(capsys, "window", "Na3Zr2Si2PO12", *phases[:3], "Na4Zr2Si2PO12")
    assert code == 2
    assert "an energy for all phases or for none" in err


@pytest.mark.parametrize("command", [["window"], ["interface"]])
def test_the_sources_are_listed(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *command, "--list-sources")
    assert code == 0
    assert "mp2019-gga " in out
    assert "level of theory" in out


def test_own_energies(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(ENERGIES)
    code, out, _ = run(capsys, "window", "Na3PS4", "--entries", str(file))
    assert code == 0
    assert "known phases that these energies lack" in out
    code, _, err = run(capsys, "interface", "Na3PS4", "Na", "--entries", str(file), "--source", "mp2019-gga")
    assert code == 2
    assert "either --source or --entries" in err


def test_figures_are_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bars, steps, mixing = (tmp_path / name for name in ("bars.png", "steps.pdf", "mixing.svg"))
    code, *_ = run(capsys, "window", "Na3PS4", *GGA, "--figure", str(bars), "--profile", str(steps))
    assert code == 0
    code, *_ = run(capsys, "interface", "Na3PS4", "Na", "--source", "mp2019-gga", "--figure", str(mixing))
    assert code == 0
    assert bars.read_bytes().startswith(b"\x89PNG")
    assert steps.read_bytes().startswith(b"%PDF")
    assert "<svg" in mixing.read_text()
    code, _, err = run(capsys, "interface", "Na3PS4", "Na", "--map")
    assert code == 2
    assert "--figure" in err


def test_an_interface(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "interface", "Na3PS4", "Na", "--source", "mp2019-gga")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("Na3PS4 | Na, closed: up to ")
    assert "Na3PS4 + 8 Na -> 4 Na2S + Na3P" in out
    assert "passes electrons" in out
    out = run(capsys, "interface", "Na3PS4", "Na2S", "--source", "mp2019-gga")[1]
    assert out.startswith("Na3PS4 | Na2S, closed: no reaction at any ratio\n")
    out = run(capsys, "interface", "Na3PS4", "S", "--source", "mp2019-gga", "--voltage", "1.8")[1]
    assert out.startswith("Na3PS4 | S, at 1.8 V against Na: ")
    assert "above the hull at this voltage" in out


def test_an_interface_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(run(capsys, "interface", "Na3PS4", "Na", "--source", "mp2019-gga", "--json")[1])
    assert data["verdict"] == "mixed conducting"
    assert data["kinks"][0]["reaction"] == "Na3PS4 -> Na3PS4"
    assert data["kinks"][-1]["ratio_b"] is None
    assert min(kink["mutual_energy_ev_per_atom"] for kink in data["kinks"]) == pytest.approx(
        -data["mutual_driving_force_ev_per_atom"]
    )

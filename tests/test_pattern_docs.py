"""The page on powder patterns: its table follows from the stored rates, and its examples run."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import nasicon_struct as ns

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "powder-patterns.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="docs and scripts are part of the checkout only")


def test_table_follows_from_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location(
        "make_pattern_figures", ROOT / "scripts" / "make_pattern_figures.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_pattern_figures", module)
    spec.loader.exec_module(module)
    assert module.main(["--check"]) == 0


def test_rates_keep_their_promises() -> None:
    """What the simulated scans must show, whatever the seeds: no confident error, honest standard errors."""
    with (ROOT / "docs" / "pattern-campaign.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    total: dict[str, list[float]] = {}
    for row in rows:
        if int(row["count"]):
            good, count = total.setdefault(row["what"], [0.0, 0.0])
            total[row["what"]] = [good + float(row["rate"]) * int(row["count"]), count + int(row["count"])]
    rate = {what: good / count for what, (good, count) in total.items()}
    assert rate["such samples: called rhombohedral"] <= 0.02
    assert rate["rhombohedral: called monoclinic"] <= 0.02
    assert rate["answers given with p >= 0.95 that are wrong"] <= 0.02
    assert rate["delta2 within 2 standard errors, called monoclinic"] >= 0.9


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    calculated = ns.powder_pattern(
        ns.load_parent("subramanian1985"), two_theta_deg=(15, 36), step_deg=0.02, fwhm_deg=0.1
    )
    counts = np.random.default_rng(1).poisson(50 + 30 * calculated.intensity)
    np.savetxt("scan.xy", np.column_stack([calculated.two_theta_deg, counts]), fmt="%.3f")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        exec(compile(block, PAGE.name, "exec"), names)
    assert (tmp_path / "fit.png").stat().st_size > 10_000
    assert getattr(names["fit"], "phase", None) == "monoclinic"

"""What the benchmarks share: one thread, a description of the machine, a clock, tables and JSON.

Import it before numpy: it sets the number of threads.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

PACKAGES = ("nasicon-struct", "numpy", "scipy", "pymatgen", "pymatgen-core")


def describe() -> dict[str, Any]:
    """Return date, cores, CPU model, Python and package versions; no names of hosts, users or folders."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "cpu": model,
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": versions,
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def clock(function: Callable[[], Any], *, repeats: int = 3, least: float = 0.05) -> float:
    """Return the CPU seconds of a call, the least of ``repeats`` rounds; short calls are repeated in a round."""
    best = float("inf")
    for _ in range(repeats):
        calls = 0
        start = time.process_time()
        while True:
            function()
            calls += 1
            spent = time.process_time() - start
            if spent >= least:
                break
        best = min(best, spent / calls)
    return best


def race(*functions: Callable[[], Any], rounds: int = 5, least: float = 0.05) -> list[float]:
    """Return the median CPU seconds of a call of each function; they take turns, so that noise hits all alike."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for spent, function in zip(times, functions, strict=True):
            spent.append(clock(function, repeats=1, least=least))
    return [statistics.median(spent) for spent in times]


def show(title: str, rows: Sequence[Sequence[Any]], headers: Sequence[str]) -> None:
    """Print a titled table."""
    from tabulate import tabulate

    print(f"\n{title}")
    print(
        tabulate(
            rows, headers=headers, disable_numparse=True, colalign=("left",) + ("right",) * (len(headers) - 1)
        )
    )


def seconds(value: float) -> str:
    """Write a time with a unit."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if value * factor >= 1.0 or unit == "us":
            return f"{value * factor:.3g} {unit}"
    return f"{value:.3g} s"


def write_json(file: Path | None, result: dict[str, Any]) -> None:
    """Write the result, and the command that gave it, where a file is given."""
    if file is not None:
        options = [text for text in sys.argv[1:] if text != str(file) and not text.startswith("--json")]
        command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *options])
        result = {"command": command, **result}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")

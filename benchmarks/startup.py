"""Start-up times: importing the package against pymatgen.core, and cold starts of the command line.

    python benchmarks/startup.py --json benchmarks/results/startup.json
    python benchmarks/startup.py --quick

Wall-clock seconds of fresh processes, medians; the commands take turns, so that a busy moment hits all alike.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import machine

#: What the installed command runs.
CLI = "from nasicon_struct.cli import main; main()"
COMMANDS: dict[str, list[str]] = {
    "python -c pass": ["-c", "pass"],
    "import nasicon_struct": ["-c", "import nasicon_struct"],
    "import pymatgen.core": ["-c", "import pymatgen.core"],
    "from nasicon_struct import NasiconComposition": ["-c", "from nasicon_struct import NasiconComposition"],
    "from nasicon_struct import stability_window": ["-c", "from nasicon_struct import stability_window"],
    "nasicon-struct --help": ["-c", CLI, "--help"],
    "nasicon-struct check Na3.4Zr1.7Sc0.2Zn0.1Si2PO12": [
        *("-c", CLI, "check", "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12"),
    ],
    "nasicon-struct window Na3PS4": ["-c", CLI, "window", "Na3PS4"],
    "nasicon-struct interface Na3SbS4 Na": ["-c", CLI, "interface", "Na3SbS4", "Na"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 21")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers into this file")
    options = parser.parse_args()
    rounds = 5 if options.quick else 21
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            if number:  # the first round fills the disk cache
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    base, peer = medians["python -c pass"], medians["import pymatgen.core"]
    rows = []
    for name, value in medians.items():
        lowest, highest = min(times[name]), max(times[name])
        rows.append(
            [
                name,
                machine.seconds(value),
                f"{machine.seconds(lowest)} - {machine.seconds(highest)}",
                f"{value / peer:.2f}",
            ]
        )
    machine.show(
        f"Fresh processes, median of {rounds}", rows, ("command", "median", "range", "against pymatgen.core")
    )
    ours = medians["import nasicon_struct"]
    print(
        f"\nimport nasicon_struct takes {100 * (ours / peer - 1):+.0f} % against import pymatgen.core "
        f"({machine.seconds(ours - base)} against {machine.seconds(peer - base)} beyond the start of Python)"
    )
    result: dict[str, Any] = {
        "machine": machine.describe(),
        "rounds": rounds,
        "median_s": medians,
        "range_s": {name: [min(values), max(values)] for name, values in times.items()},
        "import_against_pymatgen_core": ours / peer,
    }
    machine.write_json(options.json, result)


if __name__ == "__main__":
    main()

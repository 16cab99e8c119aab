"""Fit the lattice model to the literature cells and write structures/tables/lattice_model.json.

Run it after changing structures/tables/literature_phases.csv, then scripts/update_checksums.py. With
--check nothing is written, and the exit code is 1 when the coefficients differ from a fresh fit.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nasicon_struct.lattice_model import fit

PATH = Path(__file__).resolve().parent.parent / "structures" / "tables" / "lattice_model.json"


def main() -> int:
    """Fit, report, and write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    args = parser.parse_args()
    model = fit()
    text = json.dumps(model, indent=1) + "\n"
    for target, spec in model["targets"].items():
        print(
            f"{target}: fitted {spec['rms_error_fitted']}, leave-one-source-out "
            f"{spec['rms_error_leave_one_source_out']} A over {len(model['cells'])} cells"
        )
    if args.check:
        same = PATH.is_file() and PATH.read_text(encoding="utf-8") == text
        if not same:
            print("the coefficients differ; run scripts/fit_lattice_model.py", file=sys.stderr)
        return 0 if same else 1
    PATH.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

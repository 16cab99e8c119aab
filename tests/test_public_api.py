"""The public names exist, are documented, and importing the package loads nothing heavy."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import nasicon_struct as ns

PROMISED = [
    "NasiconComposition",
    "ChargeBalance",
    "charge_balance",
    "composition_series",
    "build_average_cell",
    "AverageCell",
    "load_parent",
    "list_parents",
    "assign_phase",
    "PhaseAssignment",
    "monoclinic_distortion",
    "MonoclinicDistortion",
    "powder_pattern",
    "PowderPattern",
    "read_pattern",
    "load_entries",
    "list_entry_sources",
    "entries_from_file",
    "stability_window",
    "StabilityWindow",
    "plot_windows",
    "plot_pattern",
    "to_monoclinic",
    "to_rhombohedral",
    "design",
    "CompositionError",
    "ChargeBalanceError",
]


def test_promised_names_are_public() -> None:
    assert set(PROMISED) <= set(ns.__all__)
    assert set(ns.__all__) <= set(dir(ns))


@pytest.mark.parametrize("name", sorted(ns.__all__))
def test_every_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(ns, name)), f"{name} has no docstring"


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, nasicon_struct\n"
        "heavy = {'matplotlib', 'ase', 'torch', 'scipy', 'pandas', 'pymatgen', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_errors_are_value_errors() -> None:
    assert issubclass(ns.ChargeBalanceError, ns.CompositionError)
    assert issubclass(ns.CompositionError, ns.NasiconError)
    assert issubclass(ns.NasiconError, ValueError)

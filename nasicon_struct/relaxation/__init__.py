"""Relax an ordered cell with any ASE calculator, and say what became of it.

The published refinements hold oxygen positions with impossible bonds (T-O from 1.33 to 1.98 angstrom); a
relaxation must turn them into a sane framework, and the report puts bond lengths, bond valence sums, metric
and symmetry before and after side by side.
"""

from __future__ import annotations

from nasicon_struct.relaxation.calculators import CHGNET_MODELS, load_calculator
from nasicon_struct.relaxation.compare import framework_symmetry
from nasicon_struct.relaxation.relax import OPTIMIZERS, relax_cell
from nasicon_struct.relaxation.result import RelaxedCell

__all__ = [
    "CHGNET_MODELS",
    "OPTIMIZERS",
    "RelaxedCell",
    "framework_symmetry",
    "load_calculator",
    "relax_cell",
]

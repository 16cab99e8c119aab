"""CIF in and out: files that Rietveld and drawing programs read, and a reader that says no clearly.

Files are written with the symmetry they have (no P1 dump), one row per species, shared positions as rows
at the same coordinates, plain ASCII, CIF 1.1. Reading goes through gemmi; what a damaged file could hide
(lost symmetry, lost atoms, wrong cell) is checked against whatever else the file says.
"""

from __future__ import annotations

from nasicon_struct.cif.read import CIF_ENDINGS, as_structure, cell_block, is_cif_name, read_structure
from nasicon_struct.cif.write import CifAtom, exact_decimals, format_cif, to_ascii

__all__ = [
    "CIF_ENDINGS",
    "CifAtom",
    "as_structure",
    "cell_block",
    "exact_decimals",
    "format_cif",
    "is_cif_name",
    "read_structure",
    "to_ascii",
]

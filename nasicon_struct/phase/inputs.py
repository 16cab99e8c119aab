"""What was handed in: a composition, a cell, a pattern, or a file holding one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from nasicon_struct.cif import cell_block, is_cif_name, read_structure
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.errors import CellError, CompositionError, PatternError
from nasicon_struct.parents import list_parents

STRUCTURE_SUFFIXES: Final = frozenset({".cif", ".mcif", ".vasp", ".poscar", ".contcar", ".xsf"})
PATTERN_SUFFIXES: Final = frozenset(
    {
        ".xy",
        ".xye",
        ".csv",
        ".dat",
        ".txt",
        ".tsv",
        ".asc",
        ".brml",
        ".raw",
        ".xrdml",
        ".ras",
        ".rasx",
        ".fxye",
        ".gsas",
        ".uxd",
        ".chi",
    }
)


@dataclass
class CellInput:
    """A structure with what is known about it.

    Attributes
    ----------
    structure : Structure or None
    lattice : Lattice
    esds : mapping or None
        Standard uncertainties of the cell parameters (angstrom, degree).
    label : str
        Space-group symbol of the file, empty where none is given.
    temperature_k : float or None
        Temperature of the measurement.
    name : str
        For sentences.
    built_from : str
        Key of the parent whose cell was copied; empty for a cell of its own.
    """

    structure: Structure | None
    lattice: Lattice
    esds: Mapping[str, float] | None = None
    label: str = ""
    temperature_k: float | None = None
    name: str = "the cell"
    built_from: str = ""


@dataclass
class Inputs:
    """What an assignment works on."""

    composition: Any = None
    cell: CellInput | None = None
    pattern: Any = None


def is_pattern(obj: Any) -> bool:
    """Whether an object is a powder pattern."""
    return hasattr(obj, "two_theta_deg") and hasattr(obj, "intensity")


def sort_input(obj: Any) -> Inputs:
    """Say what an object is, reading it when it is a file.

    Raises
    ------
    CellError, CompositionError, PatternError
        If it is none of the things accepted.
    """
    if isinstance(obj, Path):
        return _from_file(obj)
    if isinstance(obj, str):
        text = obj.strip()
        suffix = Path(text).suffix.lower() if text else ""
        # an exact formula such as Na10/3... holds a slash
        named = suffix in STRUCTURE_SUFFIXES | PATTERN_SUFFIXES or is_cif_name(text)
        if named or (text and len(text) < 255 and Path(text).is_file()):
            return _from_file(Path(text))
        return Inputs(composition=text)
    if isinstance(obj, NasiconComposition | Composition):
        return Inputs(composition=obj)
    if is_pattern(obj):
        return Inputs(pattern=obj)
    if (
        isinstance(obj, Lattice)
        or hasattr(obj, "lattice")
        or hasattr(obj, "structure")
        or hasattr(obj, "cell")
    ):
        return Inputs(cell=cell_input(obj))
    if isinstance(obj, Mapping):
        return Inputs(composition=obj)
    raise CompositionError(
        "a phase is assigned to a formula, a composition, a structure, a powder pattern or a file holding "
        "one, "
        f"got {type(obj).__name__}"
    )


def _from_file(path: Path) -> Inputs:
    suffix = path.suffix.lower()
    if suffix in STRUCTURE_SUFFIXES or is_cif_name(path) or path.name.upper() in {"POSCAR", "CONTCAR"}:
        return Inputs(cell=read_cell(path))
    if suffix in PATTERN_SUFFIXES:
        from nasicon_struct.pattern_io import read_pattern

        return Inputs(pattern=read_pattern(path))
    kinds = ", ".join(sorted(STRUCTURE_SUFFIXES | PATTERN_SUFFIXES))
    if not path.is_file():
        raise CompositionError(f"{str(path)!r} is neither a formula nor a file that exists")
    raise PatternError(f"{path.name} is of no kind that can be read here; use one of {kinds}")


def cell_input(obj: Any, *, name: str = "the cell") -> CellInput:
    """Take lattice, structure and provenance from an object with a cell.

    Raises
    ------
    CellError
        If it has no cell.
    """
    if isinstance(obj, CellInput):
        return obj
    if isinstance(obj, str | Path):
        return read_cell(Path(obj))
    if isinstance(obj, Lattice):
        return CellInput(structure=None, lattice=obj, name=name)
    if isinstance(obj, Structure):
        return CellInput(structure=obj, lattice=obj.lattice, name=name)
    if hasattr(obj, "get_chemical_symbols") and hasattr(obj, "cell"):  # ASE Atoms
        if not all(obj.pbc):
            raise CellError("the Atoms are not periodic in three directions; give a crystal")
        structure = Structure(obj.cell.array, obj.get_chemical_symbols(), obj.get_scaled_positions())
        return CellInput(structure=structure, lattice=structure.lattice, name=name)
    held = getattr(obj, "structure", None)
    if isinstance(held, Structure):
        return CellInput(
            structure=held,
            lattice=held.lattice,
            esds=getattr(obj, "lattice_esds", None) or None,
            label=str(getattr(obj, "space_group", "") or ""),
            temperature_k=getattr(obj, "temperature_k", None),
            name=name,
            built_from=_built_from(obj),
        )
    raise CellError(
        f"a cell is a Structure, a Lattice, ASE Atoms, a built cell or a CIF, got {type(obj).__name__}"
    )


def _built_from(obj: Any) -> str:
    """Name the parent of a cell that this package built; its metric is not its own."""
    for holder in (obj, getattr(obj, "parent_cell", None), getattr(obj, "average_cell", None)):
        parent = getattr(holder, "parent", None)
        if parent is not None:
            return parent if isinstance(parent, str) else str(getattr(parent, "key", "its parent"))
    return "its parent" if hasattr(obj, "supercell_matrix") else ""


def read_cell(path: Path) -> CellInput:
    """Read a structure file, with the standard uncertainties of its cell where it prints them.

    Raises
    ------
    CellError
        If the file is missing or cannot be read.
    """
    if not path.is_file():
        raise CellError(f"there is no file {str(path)!r}")
    if not is_cif_name(path):
        try:
            structure = Structure.from_file(path)
        except Exception as error:
            raise CellError(f"{path.name} cannot be read as a structure ({_short(error)})") from None
        return CellInput(structure=structure, lattice=structure.lattice, name=path.name)
    structure = read_structure(path)
    block = cell_block(path)
    return CellInput(
        structure=structure,
        lattice=structure.lattice,
        esds=_printed_esds(block),
        label=_text(block, "_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M"),
        temperature_k=_temperature(block),
        name=path.name,
        built_from=_written_from(block),
    )


def _written_from(block: Any) -> str:
    """Name the parent of a cell that this package built and wrote, empty for any other file."""
    if not _text(block, "_audit_creation_method").strip().startswith("nasicon_struct"):
        return ""
    if not _text(block, "_chemical_name_common").strip().startswith(("average cell", "ordered cell")):
        return ""
    return next((key for key in list_parents() if block.name.endswith(key)), "its parent")


def _text(block: Any, *tags: str) -> str:
    import gemmi

    values = (block.find_value(tag) for tag in tags)
    return next((gemmi.cif.as_string(v) for v in values if v and v not in "?."), "")


def _printed_esds(block: Any) -> dict[str, float] | None:
    """Return the standard uncertainties printed in brackets behind the cell parameters."""
    esds = {}
    for kind, name in (
        (k, n) for k in ("length", "angle") for n in ("a", "b", "c", "alpha", "beta", "gamma")
    ):
        match = re.fullmatch(r"\d+(?:\.(\d*))?\((\d+)\)", block.find_value(f"_cell_{kind}_{name}") or "")
        if match:
            esds[name] = int(match[2]) * 10.0 ** -len(match[1] or "")
    return esds or None


def _temperature(block: Any) -> float | None:
    text = _text(block, "_cell_measurement_temperature", "_diffrn_ambient_temperature")
    match = re.match(r"\d+(\.\d+)?", text)
    return float(match[0]) if match and float(match[0]) > 0 else None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__

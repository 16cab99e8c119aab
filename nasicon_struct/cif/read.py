"""Read a CIF, or say in one sentence why not."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gemmi
import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element, Species
from pymatgen.core.structure import Structure

from nasicon_struct.cif.write import CELL_TAGS, to_ascii
from nasicon_struct.errors import CellError
from nasicon_struct.parents import orbit

_MAX_BYTES: Final = 20_000_000
_MAX_ATOMS: Final = 20_000
#: Endings of the names of CIFs.
CIF_ENDINGS: Final = (".cif", ".mcif", ".cif.gz", ".mcif.gz")


def is_cif_name(path: str | Path) -> bool:
    """Whether a name is that of a CIF, packed with gzip or not."""
    return str(path).lower().endswith(CIF_ENDINGS)


def read_structure(path: str | Path, *, block: str | None = None, check_formula: bool = True) -> Structure:
    """Read one crystal structure from a CIF, or say in one sentence why not.

    Parameters
    ----------
    path : str or Path
    block : str, optional
        Name of the data block, where the file holds several structures.
    check_formula : bool
        Refuse a file whose atoms disagree with its own chemical formula (a sign of lost rows).

    Returns
    -------
    Structure
        The whole cell, disorder kept; site property ``label``; formal charges where every atom has one.

    Raises
    ------
    CellError
        When the file cannot be read or contradicts itself.
    """
    file = Path(path)
    name = file.name
    try:
        return _read_block(_find_block(_parse(_text_of(file), name), block, name), name, check_formula)
    except CellError:
        raise
    except RecursionError:
        raise
    except Exception as error:  # whatever a damaged file provokes in a parser is one clear sentence
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CellError(f"{name} cannot be read as a CIF ({first}); check or re-export it") from None


def as_structure(obj: Any) -> Structure:
    """Return a pymatgen Structure of anything that is one: Structure, cell object, ASE Atoms, CIF path.

    Raises
    ------
    CellError
        When it is none of these, or its CIF cannot be read.
    """
    obj = getattr(obj, "structure", obj)
    if isinstance(obj, Structure):
        return obj
    if isinstance(obj, str | Path):
        return read_structure(obj)
    if hasattr(obj, "get_chemical_symbols"):
        from pymatgen.io.ase import AseAtomsAdaptor

        try:
            return AseAtomsAdaptor.get_structure(obj)
        except (ValueError, TypeError, np.linalg.LinAlgError) as error:
            raise CellError(f"the ASE Atoms hold no periodic cell ({error})") from None
    raise CellError(
        f"a structure is a pymatgen Structure, ASE Atoms or the path of a CIF, got {type(obj).__name__}"
    )


def _text_of(file: Path) -> str:
    if not file.exists():
        raise CellError(f"there is no file {str(file)!r}; give the path of a CIF")
    if not file.is_file():
        raise CellError(f"{str(file)!r} is not a file; give the path of a CIF")
    size = file.stat().st_size
    if size > _MAX_BYTES:
        raise CellError(
            f"{file.name} has {size / 1e6:.0f} MB, more than {_MAX_BYTES / 1e6:.0f}; give a single structure"
        )
    raw = _unpacked(file.read_bytes(), file.name)
    if not raw.strip():
        raise CellError(f"{file.name} is empty")
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if raw.startswith(mark):
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                raise CellError(
                    f"{file.name} is not text in the encoding it announces ({encoding})"
                ) from None
    if b"\x00" in raw or sum(c < 9 or 13 < c < 32 for c in raw[:4096]) > 4:
        raise CellError(f"{file.name} is not a text file; give a CIF")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _unpacked(raw: bytes, name: str) -> bytes:
    """Return the content of a file packed with gzip, and that of any other as it is."""
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    unpack = zlib.decompressobj(wbits=31)
    try:
        content = unpack.decompress(raw, _MAX_BYTES + 1)
    except zlib.error:
        raise CellError(f"{name} is a damaged gzip file; pack it again") from None
    if len(content) > _MAX_BYTES:
        raise CellError(f"{name} unpacks to more than {_MAX_BYTES / 1e6:.0f} MB; give a single structure")
    if not unpack.eof:
        raise CellError(f"{name} is a gzip file that breaks off; fetch it again")
    return content


def cell_block(path: str | Path) -> gemmi.cif.Block:
    """Return the block of a CIF that holds its structure, for what else it says.

    Raises
    ------
    CellError
        When the file cannot be read.
    """
    file = Path(path)
    return _find_block(_parse(_text_of(file), file.name), None, file.name)


def _parse(text: str, name: str) -> gemmi.cif.Document:
    # gemmi reads ASCII; other signs may stand in comments and free text only
    clean = to_ascii(text.replace("\r\n", "\n").replace("\r", "\n"))
    try:
        return gemmi.cif.read_string(clean)
    except (ValueError, RuntimeError) as error:
        reason = re.sub(r"^string:", "line ", (str(error).splitlines() or ["unknown reason"])[0])
        raise CellError(f"{name} breaks the rules of CIF ({reason.strip()}); check or re-export it") from None


def _find_block(document: gemmi.cif.Document, wanted: str | None, name: str) -> gemmi.cif.Block:
    blocks = list(document)
    if wanted is not None:
        for block in blocks:
            if block.name == wanted:
                return block
        raise CellError(
            f"{name} has no block {wanted!r}; it has {', '.join(b.name for b in blocks) or 'none'}"
        )
    filled = [
        b for b in blocks if len(b.find_loop("_atom_site_fract_x")) or b.find_value("_atom_site_fract_x")
    ]
    if not filled:
        raise CellError(f"{name} holds no atom coordinates (_atom_site_fract_x); give a CIF with a structure")
    if len(filled) > 1:
        raise CellError(
            f"{name} holds {len(filled)} structures ({', '.join(b.name for b in filled[:6])}); "
            "name one with block="
        )
    return filled[0]


def _value(block: gemmi.cif.Block, *tags: str) -> str | None:
    for tag in tags:
        raw = block.find_value(tag)
        if raw is not None and not gemmi.cif.is_null(raw):
            return str(gemmi.cif.as_string(raw)).strip()
    return None


def _number(text: str | None, what: str, name: str) -> float:
    value = math.nan if text is None else gemmi.cif.as_number(text)
    if not math.isfinite(value):
        raise CellError(f"{name}: {what} is {'missing' if text is None else repr(text)}, a number is needed")
    return float(value)


def _read_cell(block: gemmi.cif.Block, name: str) -> gemmi.UnitCell:
    values = [_number(_value(block, f"_cell_{tag}"), f"_cell_{tag}", name) for tag in CELL_TAGS]
    if min(values[:3]) < 1.0 or max(values[:3]) > 1000.0:
        raise CellError(f"{name}: cell lengths {values[:3]} are not between 1 and 1000 A")
    if min(values[3:]) < 10.0 or max(values[3:]) > 170.0:
        raise CellError(f"{name}: cell angles {values[3:]} are not between 10 and 170 degrees")
    cell = gemmi.UnitCell(*values)
    if not math.isfinite(cell.volume) or cell.volume < 5.0:
        raise CellError(f"{name}: the cell {values} has no volume")
    stated = _value(block, "_cell_volume")
    if stated is not None:
        volume = _number(stated, "_cell_volume", name)
        if abs(volume / cell.volume - 1.0) > 0.01:
            raise CellError(
                f"{name}: the cell has {cell.volume:.2f} cubic angstrom, the file says {volume:.2f}; "
                "one of them is damaged"
            )
    return cell


def _read_symmetry(block: gemmi.cif.Block, cell: gemmi.UnitCell, name: str) -> list[gemmi.Op]:
    triplets: list[str] = []
    for tag in (
        "_space_group_symop_operation_xyz",
        "_symmetry_equiv_pos_as_xyz",
        "_space_group_symop.operation_xyz",
    ):
        triplets = [gemmi.cif.as_string(v) for v in block.find_values(tag)]
        if triplets:
            break
    number_text = _value(block, "_space_group_IT_number", "_symmetry_Int_Tables_number")
    label = _value(
        block, "_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_ref"
    )
    named = None
    if label:
        named = gemmi.find_spacegroup_by_name(label, cell.alpha, cell.gamma)
        if named is None:
            named = gemmi.find_spacegroup_by_name(re.sub(r"[\s_()]", "", label), cell.alpha, cell.gamma)
        if named is None and not triplets:
            raise CellError(f"{name}: {label!r} is no space group gemmi knows, and no operations are given")
    number = None
    if number_text is not None:
        number = _number(number_text, "space-group number", name)
        if number != int(number) or not 1 <= number <= 230:
            raise CellError(f"{name}: {number_text} is no space-group number")
        if named is not None and named.number != number:
            raise CellError(
                f"{name}: the space group is called {label!r} (number {named.number}) and {int(number)}"
            )
    if triplets:
        operations = _group(triplets, name)
        found = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(operations))
        reference_number = named.number if named is not None else number
        if found is not None and reference_number is not None and found.number != reference_number:
            raise CellError(
                f"{name}: the operations are those of space group {found.number}, the file says "
                f"{int(reference_number)}; operations or name are damaged"
            )
        group: gemmi.SpaceGroup | None = found
    else:
        group = named or (gemmi.find_spacegroup_by_number(int(number)) if number is not None else None)
        if group is None:
            raise CellError(f"{name} states no symmetry; add the space group (P 1 if there is none)")
        operations = list(group.operations())
    if group is not None and not cell.is_compatible_with_spacegroup(group):
        raise CellError(
            f"{name}: the cell {[round(v, 4) for v in cell.parameters]} does not fit the space group "
            f"{group.xhm()}"
        )
    return operations


def _group(triplets: Sequence[str], name: str) -> list[gemmi.Op]:
    operations = []
    for text in triplets:
        try:
            operations.append(gemmi.Op(text).wrap())
        except (ValueError, RuntimeError):
            raise CellError(f"{name}: {text[:40]!r} is no symmetry operation") from None
    unique = {operation.triplet(): operation for operation in operations}
    if len(unique) != len(operations):
        raise CellError(f"{name} lists a symmetry operation twice; the list is damaged")
    if "x,y,z" not in unique:
        raise CellError(f"{name}: the symmetry operations lack x,y,z; the list is damaged")
    for first in operations:
        for second in operations:
            if (first * second).wrap().triplet() not in unique:
                raise CellError(
                    f"{name}: the {len(operations)} symmetry operations are no group; some are lost"
                )
    return operations


_CHARGE = re.compile(r"(\d*)([+-])(\d*)")


def _element(symbol: str | None, label: str, name: str) -> tuple[str, int | None]:
    for text in (symbol, label):
        if not text:
            continue
        match = re.match(r"[A-Za-z]+", text)
        letters = match.group() if match else ""
        for length in (2, 1):
            candidate = letters[:length].capitalize()
            if len(candidate) == length and (candidate == "D" or Element.is_valid_symbol(candidate)):
                if text is label and length == 2 and letters[1:2].isupper() and symbol is None:
                    continue
                charge = _CHARGE.search(text) if text is symbol else None
                state = int(charge.group(2) + (charge.group(1) or charge.group(3) or "1")) if charge else None
                return ("H" if candidate == "D" else candidate), state
        if text is symbol:
            break
    raise CellError(f"{name}: {(symbol or label)[:20]!r} names no element")


@dataclass(frozen=True)
class _Atom:
    label: str
    has_label: bool
    element: str
    charge: int | None
    occupancy: float
    points: NDArray[np.float64]


def _read_atoms(
    block: gemmi.cif.Block, operations: list[gemmi.Op], vectors: NDArray[np.float64], name: str
) -> list[_Atom]:
    tags = ["fract_x", "fract_y", "fract_z", "?label", "?type_symbol", "?occupancy", "?symmetry_multiplicity",
            "?site_symmetry_multiplicity"]  # fmt: skip
    table = block.find("_atom_site_", tags)
    if not len(table):
        raise CellError(f"{name} holds no complete atom coordinates (_atom_site_fract_x, _y, _z)")
    if len(table) * len(operations) > 20 * _MAX_ATOMS:
        raise CellError(
            f"{name} holds {len(table)} atom rows and {len(operations)} operations; it is too large"
        )
    atoms = []
    for row_number, row in enumerate(table, start=1):

        def text(column: int, row: Any = row) -> str | None:
            if not row.has(column):
                return None
            raw = row[column]
            return None if gemmi.cif.is_null(raw) else str(gemmi.cif.as_string(raw)).strip()

        label = text(3) or text(4) or f"row {row_number}"
        where = f"site {label}"
        element, charge = _element(text(4), text(3) or "", name)
        xyz = [_number(text(i), f"coordinate {'xyz'[i]} of {where}", name) for i in range(3)]
        if max(abs(v) for v in xyz) > 10.0:
            raise CellError(
                f"{name}: {where} lies at {xyz}, far outside the cell; coordinates are fractional"
            )
        occupancy = 1.0 if text(5) is None else _number(text(5), f"occupancy of {where}", name)
        if not 0.0 <= occupancy <= 1.0 + 1e-3:
            raise CellError(f"{name}: the occupancy of {where} is {occupancy:g}, it must lie between 0 and 1")
        if occupancy == 0.0:
            continue
        points = orbit(operations, xyz, vectors)
        stated = text(6) or text(7)
        if stated is not None:
            count = _number(stated, f"multiplicity of {where}", name)
            # some programs write the order of the site symmetry under this tag
            if count not in (len(points), len(operations) / len(points)):
                raise CellError(
                    f"{name}: {where} has multiplicity {len(points)}, the file says {stated}; coordinates or "
                    "symmetry are damaged"
                )
        atoms.append(_Atom(label, text(3) is not None, element, charge, min(occupancy, 1.0), points))
        if sum(len(a.points) for a in atoms) > _MAX_ATOMS:
            raise CellError(f"{name} makes more than {_MAX_ATOMS} atoms in the cell; it is too large")
    if not atoms:
        raise CellError(f"{name} holds no occupied atom site")
    return atoms


def _read_block(block: gemmi.cif.Block, name: str, check_formula: bool) -> Structure:
    cell = _read_cell(block, name)
    lattice = Lattice.from_parameters(*cell.parameters)
    vectors = np.array(lattice.matrix)
    atoms = _read_atoms(block, _read_symmetry(block, cell, name), vectors, name)
    structure = _merge(atoms, lattice, name)
    if check_formula:
        _compare_formula(block, structure, name)
    return structure


def _merge(atoms: Sequence[_Atom], lattice: Lattice, name: str) -> Structure:
    """Join rows at the same position, and refuse atoms that overlap."""
    vectors = np.array(lattice.matrix)
    charged = all(atom.charge is not None for atom in atoms)
    frac: list[NDArray[np.float64]] = []
    contents: list[dict[Any, float]] = []
    labels: list[list[str]] = []
    for atom in atoms:
        species: Any = Species(atom.element, atom.charge) if charged else Element(atom.element)
        known = np.array(frac) if frac else np.empty((0, 3))
        for point in atom.points:
            spot: int | None = None
            if len(known):
                delta = known - point
                distance = np.linalg.norm((delta - np.round(delta)) @ vectors, axis=1)
                nearest = int(distance.argmin())
                spot = nearest if distance[nearest] < 0.02 else None
            if spot is None:
                frac.append(point)
                contents.append({species: atom.occupancy})
                labels.append([atom.label])
                continue
            # Programs that write P1 repeat a label for every position; at one position it is a row too many.
            if atom.has_label and species in contents[spot] and atom.label in labels[spot]:
                raise CellError(f"{name} lists site {atom.label} twice; rows are doubled")
            contents[spot][species] = contents[spot].get(species, 0.0) + atom.occupancy
            labels[spot].append(atom.label)
    for content, names in zip(contents, labels, strict=True):
        total = sum(content.values())
        if total > 1.0 + 5e-3:
            raise CellError(f"{name}: {' and '.join(names)} share one position and fill it {total:.3f} times")
        if total > 1.0:
            for species in content:
                content[species] /= total
    structure = Structure(lattice, contents, frac, site_properties={"label": [n[0] for n in labels]})
    centres, neighbours, _, distances = structure.get_neighbor_list(0.6)
    for i, j, d in zip(centres, neighbours, distances, strict=True):
        if structure[i].species.num_atoms + structure[j].species.num_atoms > 1.0 + 1e-2:
            raise CellError(
                f"{name}: {labels[i][0]} and {labels[j][0]} are {d:.2f} A apart and both occupied; "
                "coordinates, cell or symmetry are damaged"
            )
    return structure


def _compare_formula(block: gemmi.cif.Block, structure: Structure, name: str) -> None:
    stated = _value(block, "_chemical_formula_sum")
    if stated is None:
        return
    try:
        formula = Composition(stated.replace(",", " "))
    except (ValueError, KeyError):
        raise CellError(f"{name}: {stated[:60]!r} is no chemical formula") from None
    found = structure.composition.element_composition
    names = {e.symbol for e in found}
    if names != {e.symbol for e in formula.element_composition}:
        raise CellError(
            f"{name}: the atoms are {found.reduced_formula}, the file says {stated!r}; "
            "atoms are lost or added"
        )
    ratio = found.num_atoms / formula.num_atoms
    for element, amount in found.items():
        expected = formula.element_composition[element] * ratio
        if abs(amount - expected) > 0.03 * expected + 0.01 * ratio:
            raise CellError(
                f"{name}: the cell holds {amount:.3f} {element.symbol}, {expected:.3f} follow from "
                f"{stated!r}; rows are lost or damaged (check_formula=False reads it all the same)"
            )

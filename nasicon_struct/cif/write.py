"""Write CIFs that Rietveld and drawing programs read."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gemmi
from pymatgen.core.periodic_table import Element

from nasicon_struct.parents import space_group

CELL_TAGS: Final = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_ASCII: Final = str.maketrans(
    {
        **{"Å": "A", "\u212b": "A", "°": " deg", "×": "x", "·": ".", "±": "+-", "→": "->", "\xa0": " "},
        **{"–": "-", "—": "-", "−": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "≥": ">=", "≤": "<="},
        **{"α": "alpha", "β": "beta", "γ": "gamma", "σ": "sigma", "δ": "delta", "²": "2", "³": "3"},
    }
)


@dataclass(frozen=True, kw_only=True)
class CifAtom:
    """One row of the atom-site loop; numbers are text, as they shall stand in the file.

    Attributes
    ----------
    label, element, wyckoff : str
        Unique label, element symbol, Wyckoff letter.
    charge : float
        Formal charge, elementary charges; a whole number becomes part of the type symbol.
    multiplicity : int
        Positions in the cell.
    x, y, z, occupancy : str
    u_iso_ang2, b_iso_ang2 : str
        Displacement parameter in square angstrom; empty for none (B is converted to U by the reader).
    """

    label: str
    element: str
    wyckoff: str
    charge: float
    multiplicity: int
    x: str
    y: str
    z: str
    occupancy: str
    u_iso_ang2: str = ""
    b_iso_ang2: str = ""


def to_ascii(text: str) -> str:
    """Return text in plain ASCII: known signs are spelt out, others become ``?``."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def _type_symbol(element: str, charge: float) -> str:
    if not charge or charge != int(charge):
        return element
    return f"{element}{abs(int(charge))}{'+' if charge > 0 else '-'}"


def _wrap(line: str) -> str:
    return "\n ".join(textwrap.wrap(line, 78, break_long_words=False, break_on_hyphens=False))


def _formula(atoms: Sequence[CifAtom], z: int) -> tuple[str, float]:
    """Return (formula sum in Hill-like order per formula unit, its weight in g/mol)."""
    amounts: dict[str, float] = {}
    for atom in atoms:
        occupancy = gemmi.cif.as_number(atom.occupancy)
        amounts[atom.element] = amounts.get(atom.element, 0.0) + atom.multiplicity * occupancy / z
    text = " ".join(f"{e}{amounts[e]:.6f}".rstrip("0").rstrip(".") for e in sorted(amounts))
    return text, sum(float(Element(e).atomic_mass) * n for e, n in amounts.items())


def format_cif(
    name: str,
    *,
    group: str,
    cell: Sequence[str],
    atoms: Sequence[CifAtom],
    z: int,
    items: Iterable[tuple[str, str]] = (),
    header: Iterable[str] = (),
) -> str:
    """Return the text of a CIF.

    Parameters
    ----------
    name : str
        Name of the data block.
    group : str
        Hermann-Mauguin name, for example ``"C 1 2/c 1"``.
    cell : sequence of six str
        a, b, c (angstrom), alpha, beta, gamma (degree), with esds where there are any.
    atoms : sequence of CifAtom
    z : int
        Formula units per cell.
    items : iterable of (tag, value)
        Further data items.
    header : iterable of str
        Comment lines at the top.

    Returns
    -------
    str
        ASCII, lines of at most 80 characters except where one value is longer.
    """
    sg = space_group(group)
    document = gemmi.cif.Document()
    block = document.add_new_block(re.sub(r"[^A-Za-z0-9_.+-]", "_", to_ascii(name))[:70])

    def put(tag: str, value: str) -> None:
        value = to_ascii(value)
        if len(value) > 40 or "\n" in value:
            value = "\n".join(_wrap(line) for line in value.splitlines())
            if "\n" not in value and len(value) > 44:
                value = "\n" + value  # a text field: the line would be longer than 80 characters
        block.set_pair(tag, value if value == "?" else gemmi.cif.quote(value))

    formula, weight = _formula(atoms, z)
    for tag, value in items:
        put(tag, value)
    put("_chemical_formula_sum", formula)
    put("_chemical_formula_weight", f"{weight:.3f}")
    for tag, text in zip(CELL_TAGS, cell, strict=True):
        put(f"_cell_{tag}", text)
    numbers = [gemmi.cif.as_number(text) for text in cell]
    put("_cell_volume", f"{gemmi.UnitCell(*numbers).volume:.3f}")
    put("_cell_formula_units_Z", str(z))
    put("_space_group_IT_number", str(sg.number))
    put("_symmetry_Int_Tables_number", str(sg.number))
    put("_space_group_name_H-M_alt", sg.hm + (f" :{sg.ext}" if sg.ext != "\x00" else ""))
    put("_symmetry_space_group_name_H-M", sg.hm)  # the older tag, without setting: hexagonal is meant
    put("_space_group_name_Hall", sg.hall)

    loop = block.init_loop("_space_group_symop_", ["id", "operation_xyz"])
    for number, operation in enumerate(sg.operations(), start=1):
        loop.add_row([str(number), gemmi.cif.quote(operation.triplet())])

    charges = dict(sorted({_type_symbol(a.element, a.charge): a.charge for a in atoms}.items()))
    loop = block.init_loop("_atom_type_", ["symbol", "oxidation_number"])
    for symbol, charge in charges.items():
        loop.add_row([symbol, f"{charge:g}"])

    displacement = (
        "B" if any(a.b_iso_ang2 for a in atoms) else "U" if any(a.u_iso_ang2 for a in atoms) else ""
    )
    tags = [
        "label",
        "type_symbol",
        "symmetry_multiplicity",
        "Wyckoff_symbol",
        "fract_x",
        "fract_y",
        "fract_z",
    ]
    tags += ["occupancy"] + ([f"{displacement}_iso_or_equiv", "adp_type"] if displacement else [])
    loop = block.init_loop("_atom_site_", tags)
    for a in atoms:
        row = [a.label, _type_symbol(a.element, a.charge), str(a.multiplicity), a.wyckoff[-1], a.x, a.y, a.z]
        row.append(a.occupancy)
        if displacement:
            value = a.b_iso_ang2 if displacement == "B" else a.u_iso_ang2
            row += [value or "?", f"{displacement}iso" if value else "?"]
        loop.add_row(row)

    comments = ["#\\#CIF_1.1"]
    for line in header:
        wrapped = textwrap.wrap(to_ascii(line), 76, break_long_words=False, break_on_hyphens=False) or [""]
        comments += [f"# {wrapped[0]}", *(f"#   {part}" for part in wrapped[1:])]
    options = gemmi.cif.WriteOptions()
    options.align_loops = 30
    options.align_pairs = 34
    return "\n".join(comments) + "\n\n" + document.as_string(options)


def exact_decimals(values: Sequence[Any], digits: int = 8) -> list[str]:
    """Round numbers that share a site so that the decimals add up to their rounded sum.

    Parameters
    ----------
    values : sequence of Fraction or float
        Occupancies, each between 0 and 1.
    digits : int
        Decimals to write.

    Returns
    -------
    list of str
        Decimals; a full site adds up to exactly 1.
    """
    scale = 10**digits
    target = round(sum(values) * scale)
    floors = [math.floor(v * scale) for v in values]
    order = sorted(range(len(values)), key=lambda i: floors[i] - values[i] * scale)
    for i in order[: target - sum(floors)]:
        floors[i] += 1
    texts = []
    for units in floors:
        whole, part = divmod(units, scale)
        texts.append(f"{whole}.{part:0{digits}d}".rstrip("0").rstrip("."))
    return texts

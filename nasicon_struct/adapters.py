"""Structures for other programs: ASE Atoms, CIF, POSCAR, extended XYZ, JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pymatgen.core.structure import Structure

from nasicon_struct.cif import CifAtom, as_structure, format_cif
from nasicon_struct.composition import element_sites
from nasicon_struct.errors import CellError

if TYPE_CHECKING:
    from ase import Atoms

#: Formats of :func:`write_structure` and the suffix of each.
FORMATS: Final = {"cif": ".cif", "poscar": ".vasp", "extxyz": ".extxyz", "json": ".json"}
_SUFFIXES: Final = {
    ".cif": "cif",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
    ".json": "json",
}
#: Results that say something of the structure: attribute -> key in ASE's info and in file headers.
_NOTES: Final = (
    "formula_units",
    "energy_ev_per_fu",
    "hit_rate",
    "exact",
    "shortest_na_na_ang",
    "parent",
    "coordinates",
    "converged",
    "volume_change_percent",
)


def _whole(cell: Any) -> Structure:
    structure = as_structure(cell)
    if not structure.is_ordered:
        raise CellError(
            f"{structure.composition.reduced_formula} has partly occupied sites and this format needs whole "
            "atoms; make them with order_cell"
        )
    return structure


def _notes(cell: Any) -> dict[str, Any]:
    notes = {}
    for name in _NOTES:
        value: Any = getattr(cell, name, None)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool | int | float | str):
            notes[name] = value
    return notes


def _labels(structure: Structure) -> list[str]:
    labels = structure.site_properties.get("label") or [None] * len(structure)
    return [str(label or site.specie.symbol) for site, label in zip(structure, labels, strict=True)]


def _states(structure: Structure) -> list[float] | None:
    states = [getattr(site.specie, "oxi_state", None) for site in structure]
    return None if None in states else [float(state) for state in states if state is not None]


def _usual_states(structure: Structure) -> list[float]:
    """Return the charges of the table of oxidation states, 0 for an element that is not in it."""
    known = element_sites()
    symbols = [site.specie.symbol for site in structure]
    return [-2.0 if s == "O" else float(known[s].oxidation_state) if s in known else 0.0 for s in symbols]


def to_ase(cell: Any) -> Atoms:
    """Return an ordered cell as ASE Atoms.

    Parameters
    ----------
    cell : OrderedCell, RelaxedCell, pymatgen Structure, ASE Atoms or path of a CIF

    Returns
    -------
    ase.Atoms
        Arrays ``label`` (site label, such as ``Na2``) and, where every atom has one, ``oxidation_state``
        (elementary charges); the scalars of an ordered or relaxed cell are in ``info``. Initial charges are
        left at zero, for calculators read them.

    Raises
    ------
    CellError
        When a site is partly occupied.
    """
    from ase import Atoms

    structure = _whole(cell)
    atoms = Atoms(
        symbols=[site.specie.symbol for site in structure],
        scaled_positions=structure.frac_coords,
        cell=structure.lattice.matrix,
        pbc=True,
        info=_notes(cell),
    )
    atoms.set_array("label", np.array(_labels(structure)))
    states = _states(structure)
    if states is not None:
        atoms.set_array("oxidation_state", np.array(states))
    return atoms


def write_structure(cell: Any, path: str | Path, format: str | None = None, *, force: bool = False) -> Path:
    """Write an ordered cell to a file.

    Parameters
    ----------
    cell : OrderedCell, RelaxedCell, pymatgen Structure, ASE Atoms or path of a CIF
    path : str or Path
    format : str, optional
        ``cif`` (P1, formal charges, a label that names element and site), ``poscar`` (grouped by element;
        labels do not fit into it), ``extxyz`` (ASE, labels and formal charges as columns) or ``json``
        (everything; MSONable). When left out, the suffix or the name POSCAR or CONTCAR tells.
    force : bool
        Replace an existing file.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    CellError
        When the format is unknown, a site is partly occupied, or the file exists and ``force`` is not set.

    Examples
    --------
    >>> write_structure(ordered, "ordered.cif")  # doctest: +SKIP
    """
    file = Path(path)
    kind = format_of(file, format)
    if file.exists() and not force:
        raise CellError(f"{file} exists; choose another name or set force to replace it")
    text = _WRITERS[kind](cell)
    file.write_text(text, encoding="utf-8")
    return file


def format_of(file: str | Path, given: str | None = None) -> str:
    """Return the format in which :func:`write_structure` writes a file.

    Parameters
    ----------
    file : str or Path
    given : str, optional
        The format asked for; otherwise the suffix or the name tells.

    Returns
    -------
    str
        One of ``FORMATS``.

    Raises
    ------
    CellError
        When the format is unknown.
    """
    file = Path(file)
    if given is not None:
        if given.lower() not in FORMATS:
            raise CellError(f"format is one of {', '.join(FORMATS)}, got {given[:40]!r}")
        return given.lower()
    if re.match(r"(POSCAR|CONTCAR)", file.name):
        return "poscar"
    if file.suffix.lower() not in _SUFFIXES:
        raise CellError(
            f"the name {file.name!r} does not tell the format; give format={' or '.join(map(repr, FORMATS))}"
        )
    return _SUFFIXES[file.suffix.lower()]


def _title(cell: Any, structure: Structure) -> str:
    notes = ", ".join(f"{k} {v:.6f}" if isinstance(v, float) else f"{k} {v}" for k, v in _notes(cell).items())
    return structure.composition.element_composition.formula + (f"; {notes}" if notes else "")


def _provenance(cell: Any) -> list[str]:
    lines = [str(line) for line in getattr(cell, "provenance", ()) or ()]
    lines += [f"WARNING: {line}" for line in getattr(cell, "warnings", ()) or ()]
    return lines + [f"FLAG: {line}" for line in getattr(cell, "flags", ()) or ()]


def _cif(cell: Any) -> str:
    structure = _whole(cell)
    states = _states(structure) or _usual_states(structure)
    seen: dict[str, int] = {}
    atoms = []
    for site, label, state in zip(structure, _labels(structure), states, strict=True):
        # "Si1_3": the third Si on a site numbered 1; the element stays readable for every program
        number = label.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        stem = f"{site.specie.symbol}{number}"
        seen[stem] = seen.get(stem, 0) + 1
        x, y, z = (f"{value:.10f}" for value in site.frac_coords)
        atoms.append(
            CifAtom(
                label=f"{stem}_{seen[stem]}",
                element=site.specie.symbol,
                wyckoff="a",
                charge=state,
                multiplicity=1,
                x=x,
                y=y,
                z=z,
                occupancy="1",
            )
        )
    units = structure.composition.get_el_amt_dict().get("O", 0.0) / 12.0
    comments = "\n".join(_provenance(cell))
    return format_cif(
        structure.composition.element_composition.reduced_formula,
        group="P 1",
        cell=[f"{value:.10f}" for value in structure.lattice.parameters],
        atoms=atoms,
        z=round(units) if units >= 1 and abs(units - round(units)) < 1e-9 else 1,
        items=[("_publ_section_comment", comments)] if comments else [],
        header=[_title(cell, structure)],
    )


def _poscar(cell: Any) -> str:
    from pymatgen.io.vasp.inputs import Poscar

    structure = _whole(cell)
    order = list(dict.fromkeys(site.specie.symbol for site in structure))
    grouped = Structure.from_sites(sorted(structure, key=lambda site: order.index(site.specie.symbol)))
    grouped.remove_oxidation_states()
    return str(Poscar(grouped, comment=_title(cell, structure)).get_str(significant_figures=12))


def _extxyz(cell: Any) -> str:
    import io

    from ase.io import write

    buffer = io.StringIO()
    write(buffer, to_ase(cell), format="extxyz")
    return buffer.getvalue()


def _json(cell: Any) -> str:
    value = cell if hasattr(cell, "as_dict") else _whole(cell)
    from monty.json import MontyEncoder

    return json.dumps(value.as_dict(), cls=MontyEncoder, indent=1) + "\n"


_WRITERS: Final[dict[str, Callable[[Any], str]]] = {
    "cif": _cif,
    "poscar": _poscar,
    "extxyz": _extxyz,
    "json": _json,
}

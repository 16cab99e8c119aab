"""Parent cells: published NASICON structures, as printed, with esds, misprints and warnings.

The numbers live in ``structures/tables/refined_cells.csv`` and ``refined_sites.csv`` as they stand in
print (``0.893(3)``, ``1/4``); a correction is a column of its own, never an edit of the printed value.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import gemmi
import numpy as np
from monty.json import MSONable
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure

from nasicon_struct import reference
from nasicon_struct.composition import element_sites
from nasicon_struct.errors import CellError
from nasicon_struct.metric import MonoclinicDistortion, monoclinic_distortion

#: Setting names by space-group number; only these two phases are parents.
_SETTINGS: Final = {15: "C2/c", 167: "R-3c"}
_SU = re.compile(r"^(-?\d*\.?\d+)(?:\((\d+)\))?$")
_MISPRINT_PLACES: Final = {
    "xun2025_s2": ("xun2025", r"Tables? S2\b"),
    "xun2025_s3": ("xun2025", r"Tables? S3\b|Tables S2 and S3"),
    "subramanian1985": ("subramanian1985", r"Table VI\b"),
}


def parse_su(text: str) -> tuple[Fraction, float | None]:
    """Read a printed number such as ``0.893(3)``, ``1/4`` or ``-0.0281``.

    Returns
    -------
    value : Fraction
        Exactly what is printed.
    su : float or None
        Standard uncertainty in the same unit, None where none is printed.
    """
    if "/" in text:
        return Fraction(text), None
    match = _SU.match(text.strip())
    if match is None:
        raise CellError(f"{text!r} is no printed number; numbers look like 0.893(3) or 1/4")
    number, su = match.groups()
    decimals = len(number.partition(".")[2])
    return Fraction(number), None if su is None else int(su) * 10.0**-decimals


@functools.cache
def space_group(name: str) -> gemmi.SpaceGroup:
    """Return gemmi's space group of a Hermann-Mauguin name such as ``"C 1 2/c 1"`` or ``"R -3 c :H"``."""
    found = gemmi.find_spacegroup_by_name(name)
    if found is None:
        raise CellError(f"{name!r} is no space group; names look like 'C 1 2/c 1' or 'R -3 c :H'")
    return found


def orbit(
    operations: Sequence[gemmi.Op], xyz: ArrayLike, vectors: NDArray[np.float64], *, tol_ang: float = 0.08
) -> NDArray[np.float64]:
    """Return all positions in the cell that symmetry makes of one.

    Parameters
    ----------
    operations : sequence of gemmi.Op
        Every operation of the group, centring included.
    xyz : array-like, shape (3,)
        Fractional coordinates.
    vectors : ndarray, shape (3, 3)
        Cell vectors as rows, angstrom.
    tol_ang : float
        Images nearer than this are the same atom on a special position, angstrom.

    Returns
    -------
    ndarray, shape (n, 3)
        Fractional coordinates in [0, 1); the first is the given position.
    """
    points: list[NDArray[np.float64]] = []
    start = [float(v) for v in np.asarray(xyz, dtype=float)]
    for operation in operations:
        point = np.array(operation.apply_to_xyz(start), dtype=float)
        point -= np.floor(point + 1e-9)
        if points:
            delta = np.array(points) - point
            if np.linalg.norm((delta - np.round(delta)) @ vectors, axis=1).min() < tol_ang:
                continue
        points.append(point)
    return np.array(points)


@dataclass(frozen=True, kw_only=True)
class ParentSite(MSONable):
    """One crystallographic site of a parent cell.

    Attributes
    ----------
    label : str
        ``Na1``, ``Na2``, ``Na3``, ``Zr1`` (the M site), ``T1``, ``T2``, ``O1`` ...
    role : str
        ``Na1``, ``Na2``, ``Na3``, ``M``, ``T1``, ``T2`` or ``O``.
    wyckoff : str
        Multiplicity and letter, for example ``8f``.
    multiplicity : int
        Positions in the conventional cell.
    per_o12 : int
        Positions per O12 formula unit.
    xyz, xyz_su : tuple of float
        Fractional coordinates and their standard uncertainties (0 where none is printed).
    species : dict of str to float
        Occupancy of each element, after corrections.
    species_su : dict of str to float
        Standard uncertainties of the occupancies that have one.
    u_iso_ang2 : float or None
        Isotropic displacement parameter, square angstrom.
    corrections : tuple of str
        What was read otherwise than printed.
    """

    label: str
    role: str
    wyckoff: str
    multiplicity: int
    per_o12: int
    xyz: tuple[float, ...]
    xyz_su: tuple[float, ...]
    species: dict[str, float]
    species_su: dict[str, float]
    u_iso_ang2: float | None
    corrections: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("xyz", "xyz_su", "corrections"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def occupancy(self) -> float:
        """Total occupancy of the site, 0 to 1."""
        return float(sum(self.species.values()))


@dataclass(frozen=True, kw_only=True)
class ParentCell(MSONable):
    """A published NASICON structure from which average cells are built.

    Attributes
    ----------
    key : str
        Name in the reference data, for example ``xun2025_s2``.
    nominal_formula : str
        Composition the authors give.
    kind : str
        ``refined`` (the laboratory refinements of the project's home compositions) or ``prototype``
        (sane published coordinates).
    space_group : str
        Hermann-Mauguin name with setting.
    space_group_number : int
    setting : str
        ``C2/c`` (unique axis b, cell choice 1) or ``R-3c`` (hexagonal axes, obverse).
    a_ang, b_ang, c_ang, alpha_deg, beta_deg, gamma_deg : float
        Cell, angstrom and degree.
    lattice_esds : dict of str to float
        Standard uncertainties of the cell parameters that have one.
    volume_printed : str
        Cell volume as printed (cubic angstrom), empty where none is.
    z : int
        Formula units (O12) per cell.
    sites : tuple of ParentSite
    temperature_k : float or None
        Temperature of the measurement; None where the source does not state it.
    method, source, doi : str
    warnings : tuple of str
        What a user of this cell must know.
    misprints : tuple of str
        Errors of the printed source and how they were handled.
    """

    key: str
    nominal_formula: str
    kind: str
    space_group: str
    space_group_number: int
    setting: str
    a_ang: float
    b_ang: float
    c_ang: float
    alpha_deg: float
    beta_deg: float
    gamma_deg: float
    lattice_esds: dict[str, float]
    volume_printed: str
    z: int
    sites: tuple[ParentSite, ...]
    temperature_k: float | None
    method: str
    source: str
    doi: str
    warnings: tuple[str, ...]
    misprints: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("sites", "warnings", "misprints"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def lattice(self) -> Lattice:
        """The conventional cell as a pymatgen Lattice."""
        return Lattice.from_parameters(
            self.a_ang, self.b_ang, self.c_ang, self.alpha_deg, self.beta_deg, self.gamma_deg
        )

    @property
    def amounts(self) -> dict[str, float]:
        """Composition per O12 from the printed occupancies (as corrected)."""
        total: dict[str, float] = {}
        for site in self.sites:
            for element, occupancy in site.species.items():
                total[element] = total.get(element, 0.0) + site.per_o12 * occupancy
        return {element: round(amount, 9) for element, amount in total.items()}

    @property
    def net_charge(self) -> float:
        """Net formal charge per O12 of the printed occupancies, in elementary charges."""
        known = element_sites()
        return round(sum(known[e].oxidation_state * n for e, n in self.amounts.items()), 9) + 0.0

    @property
    def structure(self) -> Structure:
        """The disordered structure, conventional cell, formal charges, labels as site property."""
        known = element_sites()
        species = [
            {Species(e, known[e].oxidation_state): n for e, n in site.species.items()} for site in self.sites
        ]
        return build_structure(self.space_group, self.lattice, self.sites, species)

    @property
    def distortion(self) -> MonoclinicDistortion:
        """Distance of the cell from rhombohedral metric, with uncertainties where esds are printed."""
        return monoclinic_distortion(self.lattice, esds=self.lattice_esds or None)

    def site(self, label: str) -> ParentSite:
        """Return one site by its label.

        Raises
        ------
        CellError
            If there is no such label.
        """
        for site in self.sites:
            if site.label == label:
                return site
        raise CellError(
            f"the parent {self.key} has no site {label!r}; its sites are "
            + ", ".join(s.label for s in self.sites)
        )


def build_structure(
    group: str,
    lattice: Lattice,
    sites: Sequence[ParentSite],
    species: Sequence[Mapping[Any, float]],
    *,
    xyz: Sequence[ArrayLike] | None = None,
) -> Structure:
    """Expand sites by the operations of a space group.

    Parameters
    ----------
    group : str
        Hermann-Mauguin name.
    lattice : Lattice
    sites : sequence of ParentSite
        Label, Wyckoff letter and multiplicity of each site.
    species : sequence of mapping
        Species and occupancies to put on each site; a site with none is left out.
    xyz : sequence of array-like, optional
        Coordinates that replace those of the sites.

    Returns
    -------
    Structure
        With site properties ``label`` and ``wyckoff``.

    Raises
    ------
    CellError
        When a position does not have the multiplicity of its Wyckoff letter.
    """
    operations = list(space_group(group).operations())
    vectors = np.array(lattice.matrix)
    frac: list[NDArray[np.float64]] = []
    content: list[Any] = []
    labels: list[str] = []
    letters: list[str] = []
    for number, site in enumerate(sites):
        points = orbit(operations, site.xyz if xyz is None else xyz[number], vectors)
        if len(points) != site.multiplicity:
            raise CellError(
                f"the position of {site.label} has multiplicity {len(points)}, but {site.wyckoff} has "
                f"{site.multiplicity}; the coordinates are wrong"
            )
        if not sum(species[number].values()):
            continue
        frac.extend(points)
        content.extend([species[number]] * len(points))
        labels.extend([site.label] * len(points))
        letters.extend([site.wyckoff] * len(points))
    return Structure(lattice, content, frac, site_properties={"label": labels, "wyckoff": letters})


def _site(rows: list[dict[str, str]], z: int) -> ParentSite:
    first = rows[0]
    corrections = []
    species, species_su = {}, {}
    fixed: dict[str, str] = {}
    for row in rows:
        for part in filter(None, (p.strip() for p in row["correction"].split(";"))):
            name, _, value = part.partition("=")
            if value and name in ("x", "y", "z"):
                fixed[name] = value
            if value:
                part = f"{name} of {row['label']} printed {row[name]}, read as {value}"
            if part not in corrections:
                corrections.append(part)
            if name == "occupancy" and value:
                row = {**row, "occupancy": value}
        value_, su = parse_su(row["occupancy"])
        species[row["element"]] = float(value_)
        if su is not None:
            species_su[row["element"]] = su
    coordinates = [parse_su(fixed.get(axis, first[axis])) for axis in "xyz"]
    multiplicity = int(re.match(r"\d+", first["wyckoff"]).group())  # type: ignore[union-attr]
    return ParentSite(
        label=first["site"],
        role=first["role"],
        wyckoff=first["wyckoff"],
        multiplicity=multiplicity,
        per_o12=multiplicity // z,
        xyz=tuple(float(value) for value, _ in coordinates),
        xyz_su=tuple(su or 0.0 for _, su in coordinates),
        species=species,
        species_su=species_su,
        u_iso_ang2=float(first["u_iso_ang2"]) if first["u_iso_ang2"] else None,
        corrections=tuple(corrections),
    )


def list_parents() -> list[str]:
    """Return the keys of the parent cells that average cells can be built from.

    Returns
    -------
    list of str
        Keys for :func:`load_parent`, in the order of ``structures/tables/refined_cells.csv``.

    Examples
    --------
    >>> list_parents()[:2]
    ['xun2025_s2', 'xun2025_s3']
    """
    return [
        row["key"]
        for row in reference.read_rows("refined_cells")
        if space_group(row["space_group"]).number in _SETTINGS
    ]


@functools.cache
def load_parent(key: str) -> ParentCell:
    """Load a published NASICON structure by its key, for example ``"xun2025_s2"``.

    Raises
    ------
    CellError
        If there is no such parent; the sentence lists those there are.

    Examples
    --------
    >>> load_parent("xun2025_s2").amounts["Na"]
    3.01
    """
    if key not in list_parents():
        raise CellError(
            f"there is no parent cell {str(key)[:60]!r}; choose one of {', '.join(list_parents())}"
        )
    cell = next(row for row in reference.read_rows("refined_cells") if row["key"] == key)
    z = int(cell["z"])
    grouped: dict[str, list[dict[str, str]]] = {}
    for row in reference.read_rows("refined_sites"):
        if row["key"] == key:
            grouped.setdefault(row["site"], []).append(row)
    parameters = {name: parse_su(cell[name]) for name in ("a", "b", "c", "alpha", "beta", "gamma")}
    group = space_group(cell["space_group"])
    hexagonal = group.number == 167
    bare = ParentCell(
        key=key,
        nominal_formula=cell["nominal_formula"],
        kind=cell["kind"],
        space_group=cell["space_group"],
        space_group_number=group.number,
        setting=_SETTINGS[group.number],
        a_ang=float(parameters["a"][0]),
        b_ang=float(parameters["b"][0]),
        c_ang=float(parameters["c"][0]),
        alpha_deg=float(parameters["alpha"][0]),
        beta_deg=float(parameters["beta"][0]),
        gamma_deg=float(parameters["gamma"][0]),
        lattice_esds={
            name: su
            for name, (_, su) in parameters.items()
            if su is not None and not (hexagonal and name == "b")
        },
        volume_printed=cell["volume_printed"],
        z=z,
        sites=tuple(_site(rows, z) for rows in grouped.values()),
        temperature_k=float(cell["temperature_k"]) if cell["temperature_k"] else None,
        method=cell["method"],
        source=cell["source"],
        doi=cell["doi"],
        warnings=(),
        misprints=_misprints(key),
    )
    fields = {name: getattr(bare, name) for name in bare.__dataclass_fields__}
    return ParentCell(**{**fields, "warnings": _warnings(bare, cell["warning"])})


def _misprints(key: str) -> tuple[str, ...]:
    if key not in _MISPRINT_PLACES:
        return ()
    source_key, pattern = _MISPRINT_PLACES[key]
    return tuple(
        f"{row['place']}: printed {row['printed']!r}, meant {row['meant']!r}; {row['handling']}"
        for row in reference.read_rows("misprints")
        if row["source_key"] == source_key and re.search(pattern, row["place"])
    )


def _warnings(parent: ParentCell, printed: str) -> tuple[str, ...]:
    warnings = [printed] if printed else []
    if parent.net_charge:
        warnings.append(f"The printed occupancies give a net charge of {parent.net_charge:+.3f} per O12.")
    if parent.setting == "C2/c":
        distortion = parent.distortion
        if distortion.delta2 > -0.004:
            warnings.append(
                f"Labelled C2/c, rhombohedral by metric: {distortion}; genuine C2/c cells have delta2 from "
                "-0.0196 to -0.0110."
            )
    return tuple(warnings)

"""The doped average cell: a composition put on the sites of a published parent cell, exactly.

Occupancies are exact fractions that add up to the composition on every site. M and T are mixed evenly (all
parents have the same Si share on T1 and T2); sodium keeps the parent's distribution over Na1, Na2, Na3,
scaled to the Na content, where a site that would be more than full stays full and the others take the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monty.json import MSONable
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure

from nasicon_struct.cif import CifAtom, exact_decimals, format_cif
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.errors import CellError
from nasicon_struct.formula import exact, format_amount
from nasicon_struct.geometry import GeometryReport, check_geometry
from nasicon_struct.lattice_model import LatticePrediction, predict_lattice
from nasicon_struct.metric import MonoclinicDistortion, monoclinic_distortion
from nasicon_struct.parents import ParentCell, ParentSite, build_structure, load_parent

if TYPE_CHECKING:
    import pandas as pd

#: Which parent lends its coordinates when sane ones are asked for, by setting.
PROTOTYPES: Final = {"C2/c": "subramanian1985", "R-3c": "boilot1988_x235"}
_COORDINATES: Final = ("refined", "prototype")
_LATTICES: Final = ("refined", "predicted")
#: Metric of a C2/c cell is called rhombohedral above this delta2 (genuine cells: -0.0196 to -0.0110).
_MONOCLINIC_DELTA2: Final = -0.004


@dataclass(frozen=True, kw_only=True)
class AverageSite(MSONable):
    """One site of an average cell.

    Attributes
    ----------
    label : str
        ``Na1``, ``Na2``, ``Na3``, ``Zr1`` (the M site), ``T1``, ``T2``, ``O1`` ...
    role, wyckoff : str
        Kind of site, and its Wyckoff multiplicity and letter.
    multiplicity, per_o12 : int
        Positions in the conventional cell and per O12 formula unit.
    xyz : tuple of float
        Fractional coordinates.
    occupancies : dict of str to Fraction
        Exact occupancy of each element.
    u_iso_ang2 : float or None
        Isotropic displacement parameter of the parent, square angstrom.
    """

    label: str
    role: str
    wyckoff: str
    multiplicity: int
    per_o12: int
    xyz: tuple[float, ...]
    occupancies: dict[str, Fraction]
    u_iso_ang2: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyz", tuple(self.xyz))
        object.__setattr__(self, "occupancies", {e: Fraction(n) for e, n in self.occupancies.items()})

    @property
    def occupancy(self) -> Fraction:
        """Total occupancy, exact."""
        return sum(self.occupancies.values(), Fraction(0))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON; occupancies as exact fractions in text."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields |= {"xyz": list(self.xyz), "occupancies": {e: str(n) for e, n in self.occupancies.items()}}
        return {"@module": type(self).__module__, "@class": type(self).__name__, **fields}


@dataclass(frozen=True, kw_only=True)
class AverageCell(MSONable):
    """A disordered NASICON cell at one composition.

    Attributes
    ----------
    composition : NasiconComposition
    parent : str
        Key of the parent cell.
    coordinates, lattice_source : str
        ``refined`` or ``prototype``; ``refined`` or ``predicted``.
    space_group, setting : str
        Hermann-Mauguin name; ``C2/c`` or ``R-3c``.
    space_group_number, z : int
        Number; O12 formula units per cell.
    sites : tuple of AverageSite
    structure : Structure
        Conventional cell with formal charges and occupancies; site properties ``label`` and ``wyckoff``.
    lattice_prediction : LatticePrediction
        What the lattice model says of this composition, whichever lattice the cell has.
    provenance, warnings : tuple of str
        Where each part comes from; what to know before using it.
    """

    composition: NasiconComposition
    parent: str
    coordinates: str
    lattice_source: str
    space_group: str
    setting: str
    space_group_number: int
    z: int
    sites: tuple[AverageSite, ...]
    structure: Structure
    lattice_prediction: LatticePrediction
    provenance: tuple[str, ...]
    warnings: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("sites", "provenance", "warnings"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def amounts(self) -> dict[str, Fraction]:
        """Composition per O12 from the occupancies, exact."""
        total: dict[str, Fraction] = {}
        for site in self.sites:
            for element, occupancy in site.occupancies.items():
                total[element] = total.get(element, Fraction(0)) + site.per_o12 * occupancy
        return total

    @property
    def net_charge(self) -> Fraction:
        """Net charge per O12 from the occupancies, in elementary charges; exactly 0."""
        states = self.composition.oxidation_states
        return sum((exact(states[e]) * n for e, n in self.amounts.items()), Fraction(0))

    @property
    def distortion(self) -> MonoclinicDistortion:
        """Distance of the cell from rhombohedral metric."""
        return monoclinic_distortion(self.structure.lattice)

    @property
    def geometry(self) -> GeometryReport:
        """Bond lengths and bond valence sums."""
        return check_geometry(self.structure)

    def site(self, label: str) -> AverageSite:
        """Return one site by its label.

        Parameters
        ----------
        label : str
            Such as ``Na1``, ``T2`` or ``O6``.

        Raises
        ------
        CellError
            If there is no such label.
        """
        for site in self.sites:
            if site.label == label:
                return site
        raise CellError(f"there is no site {label!r}; the sites are {', '.join(s.label for s in self.sites)}")

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row per site and element: label, Wyckoff letter, occupancy, exact occupancy, x, y, z."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "label": site.label,
                    "wyckoff": site.wyckoff,
                    "element": element,
                    "occupancy": float(occupancy),
                    "occupancy_exact": str(occupancy),
                    **dict(zip("xyz", site.xyz, strict=True)),
                }
                for site in self.sites
                for element, occupancy in site.occupancies.items()
            ]
        )

    def to_cif(self, path: str | Path | None = None) -> str:
        """Return the cell as a CIF, and write it when a path is given.

        The file keeps the symmetry (name, number, operations), site labels and Wyckoff letters; elements that
        share a position are rows at the same coordinates. The header has the exact composition, provenance
        and warnings.

        Parameters
        ----------
        path : str or Path, optional
            File to write; an existing one is replaced.
        """
        warnings = [f"WARNING: {warning}" for warning in self.warnings]
        text = format_cif(
            f"{self.composition.formula}_{self.parent}",
            group=self.space_group,
            cell=[_plain(value) for value in self.structure.lattice.parameters],
            atoms=_cif_atoms(self),
            z=self.z,
            items=[
                ("_audit_creation_method", f"nasicon_struct {_version()}"),
                ("_chemical_name_common", f"average cell of {self.composition.formula}"),
                ("_publ_section_comment", "\n".join([*self.provenance, *warnings])),
            ],
            header=[
                f"Average cell of {self.composition.formula}, {self.space_group}",
                "Composition per O12, exact: "
                + ", ".join(f"{e} {n}" for e, n in self.composition.amounts.items()),
                "Occupancies, exact: "
                + "; ".join(
                    f"{site.label} " + " ".join(f"{e} {n}" for e, n in site.occupancies.items())
                    for site in self.sites
                ),
                *self.provenance,
                *warnings,
            ],
        )
        if path is not None:
            Path(path).write_text(text, encoding="ascii")
        return text


def _version() -> str:
    try:
        return metadata.version("nasicon-struct")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _cif_atoms(cell: AverageCell) -> list[CifAtom]:
    atoms, used = [], set()
    for site in cell.sites:
        elements = list(site.occupancies)
        texts = exact_decimals([site.occupancies[e] for e in elements])
        suffix = site.label.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") or "1"
        for element, text in zip(elements, texts, strict=True):
            label = f"{element}{suffix}"
            if label in used:
                raise CellError(f"two rows would be called {label}; {element} sits on two kinds of site")
            used.add(label)
            x, y, z = (_plain(value) for value in site.xyz)
            atoms.append(
                CifAtom(
                    label=label,
                    element=element,
                    wyckoff=site.wyckoff,
                    charge=float(cell.composition.oxidation_states[element]),
                    multiplicity=site.multiplicity,
                    x=x,
                    y=y,
                    z=z,
                    occupancy=text,
                    u_iso_ang2="" if site.u_iso_ang2 is None else _plain(site.u_iso_ang2),
                )
            )
    return atoms


def distribute_sodium(na: Fraction, sites: Sequence[tuple[str, int, Fraction]]) -> dict[str, Fraction]:
    """Share out sodium over its sites in fixed proportion, none more than full.

    Parameters
    ----------
    na : Fraction
        Na per O12.
    sites : sequence of (label, positions per O12, weight)
        Occupancies are proportional to the weights until a site is full; the rest goes to the others in the
        same proportion.

    Returns
    -------
    dict of str to Fraction
        Occupancy of each site; they sum exactly to ``na`` when multiplied by the positions.

    Raises
    ------
    CellError
        When the sites with weight hold less than ``na``.
    """
    if na > sum(count for _, count, weight in sites if weight):
        held = sum(count for _, count, weight in sites if weight)
        raise CellError(
            f"Na {format_amount(na)} per O12 does not fit on "
            f"{', '.join(s[0] for s in sites if s[2]) or 'no site'} of this parent, which hold {held}; "
            "take one with more sodium sites, such as boilot1988_x235"
        )
    full: set[str] = set()
    while True:
        rest = na - sum(count for label, count, _ in sites if label in full)
        weight = sum((count * w for label, count, w in sites if label not in full), Fraction(0))
        factor = rest / weight if weight else Fraction(0)
        over = {label for label, _, w in sites if label not in full and factor * w > 1}
        if not over:
            return {label: Fraction(1) if label in full else factor * w for label, _, w in sites}
        full |= over


def _sodium(
    parent: ParentCell, comp: NasiconComposition, rule: str | Mapping[str, Any]
) -> tuple[dict[str, Fraction], str]:
    """Return occupancies of the Na sites and one sentence on the rule."""
    na_sites = [site for site in parent.sites if site.role.startswith("Na")]
    labels = [site.label for site in na_sites]
    if isinstance(rule, Mapping):
        unknown = [str(label) for label in rule if label not in labels]
        if unknown:
            raise CellError(
                f"the sodium sites of {parent.key} are {', '.join(labels)}, not {', '.join(unknown)}"
            )
        given = {label: exact(rule.get(label, 0), what=f"occupancy of {label}") for label in labels}
        for label, value in given.items():
            if not 0 <= value <= 1:
                raise CellError(f"the occupancy of {label} must lie between 0 and 1, got {float(value):g}")
        total = sum((site.per_o12 * given[site.label] for site in na_sites), Fraction(0))
        if total != comp.na_exact:
            raise CellError(
                f"the sodium occupancies sum to Na {float(total):.6g} per O12, the composition has "
                f"{float(comp.na_exact):.6g}; change one of them"
            )
        return given, "Sodium: occupancies as given by the user."
    if rule == "refined":
        weights = [exact(round(site.occupancy, 9)) for site in na_sites]
        text = (
            f"Sodium: distribution of {parent.key} ("
            + ", ".join(f"{s.label} {s.occupancy:g}" for s in na_sites)
            + ") scaled to the Na content; a full site stays full."
        )
    elif rule == "uniform":
        weights = [Fraction(1)] * len(na_sites)
        text = f"Sodium: the same occupancy on {', '.join(labels)}."
    else:
        raise CellError(
            f"na_distribution is 'refined', 'uniform' or a mapping of occupancies such as {{'Na1': 0.9}}, "
            f"got {str(rule)[:40]!r}"
        )
    spots = [(s.label, s.per_o12, w) for s, w in zip(na_sites, weights, strict=True)]
    return distribute_sodium(comp.na_exact, spots), text


def _occupancies(
    parent: ParentCell, comp: NasiconComposition, sodium: Mapping[str, Fraction]
) -> list[dict[str, Fraction]]:
    shares = {"M": (comp.m_site, 2), "T": (comp.t_site, 3)}
    content = []
    for site in parent.sites:
        if site.role.startswith("Na"):
            content.append({"Na": sodium[site.label]} if sodium[site.label] else {})
        elif site.role == "O":
            content.append({"O": Fraction(1)})
        else:
            amounts, total = shares[site.role[0]]
            content.append({e: n / total for e, n in amounts.items() if n})
    return content


def build_average_cell(
    composition: Any,
    *,
    parent: str = "xun2025_s2",
    coordinates: str = "refined",
    lattice: str = "refined",
    na_distribution: str | Mapping[str, Any] = "refined",
    oxidation_states: Mapping[str, Any] | None = None,
) -> AverageCell:
    """Build the disordered average cell of a neutral composition.

    Parameters
    ----------
    composition
        Formula, pymatgen Composition, NasiconComposition, or anything :class:`NasiconComposition` reads.
    parent : str
        Key of the parent cell; see :func:`nasicon_struct.parents.list_parents`.
    coordinates : str
        ``"refined"``: the parent's own, as printed. ``"prototype"``: those of a sane published structure in
        the same setting (Subramanian et al. 1985 in C2/c, Boilot et al. 1988 in R-3c), site by site.
    lattice : str
        ``"refined"``: the parent's own. ``"predicted"``: from the lattice model, in the parent's phase.
    na_distribution : str or mapping
        ``"refined"``: the parent's shares of Na1, Na2, Na3, scaled, full sites staying full. ``"uniform"``:
        the same occupancy on all sodium sites. A mapping gives the occupancies themselves, and must sum to
        the composition exactly.
    oxidation_states : mapping, optional
        Formal charges that replace the table's, for example ``{"V": 3}``.

    Returns
    -------
    AverageCell

    Raises
    ------
    CompositionError
        When the composition cannot be read or is not neutral.
    CellError
        When an option is unknown or the sodium does not fit on the parent's sites.
    """
    comp = NasiconComposition.from_any(composition, oxidation_states=oxidation_states)
    if coordinates not in _COORDINATES:
        raise CellError(f"coordinates is 'refined' or 'prototype', got {str(coordinates)[:40]!r}")
    if lattice not in _LATTICES:
        raise CellError(f"lattice is 'refined' or 'predicted', got {str(lattice)[:40]!r}")
    base = load_parent(parent)
    prediction = predict_lattice(comp, phase=base.setting)
    box = base.lattice if lattice == "refined" else Lattice.from_parameters(*_cell(prediction))
    sodium, sodium_rule = _sodium(base, comp, na_distribution)
    content = _occupancies(base, comp, sodium)
    lender = base if coordinates == "refined" else load_parent(PROTOTYPES[base.setting])
    positions = [_position(lender, site, base) for site in base.sites]
    species = [
        {Species(e, comp.oxidation_states[e]): float(n) for e, n in occupancies.items()}
        for occupancies in content
    ]
    structure = build_structure(base.space_group, box, base.sites, species, xyz=positions)
    sites = tuple(
        AverageSite(
            label=site.label,
            role=site.role,
            wyckoff=site.wyckoff,
            multiplicity=site.multiplicity,
            per_o12=site.per_o12,
            xyz=xyz,
            occupancies=occupancies,
            u_iso_ang2=site.u_iso_ang2 if coordinates == "refined" else None,
        )
        for site, xyz, occupancies in zip(base.sites, positions, content, strict=True)
        if occupancies
    )
    cell = AverageCell(
        composition=comp,
        parent=base.key,
        coordinates=coordinates,
        lattice_source=lattice,
        space_group=base.space_group,
        setting=base.setting,
        space_group_number=base.space_group_number,
        z=base.z,
        sites=sites,
        structure=structure,
        lattice_prediction=prediction,
        provenance=(
            f"Parent: {base.key}, {base.nominal_formula}, {base.space_group} ({base.source}).",
            _coordinate_note(base, lender, coordinates),
            f"Lattice: of the parent, as {'refined' if base.kind == 'refined' else 'published'}; "
            f"predicted for this composition: {prediction}."
            if lattice == "refined"
            else f"Lattice: predicted, {prediction}.",
            "M and T: elements mixed evenly over the positions.",
            sodium_rule,
        ),
        warnings=(),
    )
    if cell.amounts != comp.amounts:
        raise CellError(
            f"the occupancies sum to {cell.amounts}, not to {comp.formula}; the parent {base.key} is damaged"
        )
    fields = {name: getattr(cell, name) for name in cell.__dataclass_fields__}
    return AverageCell(**{**fields, "warnings": _warnings(cell, base, lender)})


def _cell(prediction: LatticePrediction) -> tuple[float, ...]:
    if prediction.cell is None:
        raise CellError("the lattice prediction has no phase")
    return prediction.cell


def _position(lender: ParentCell, site: ParentSite, base: ParentCell) -> tuple[float, ...]:
    for other in lender.sites:
        if (other.label, other.wyckoff) == (site.label, site.wyckoff):
            return other.xyz
    raise CellError(f"{lender.key} has no site {site.label} on {site.wyckoff}, which {base.key} has")


def _coordinate_note(base: ParentCell, lender: ParentCell, coordinates: str) -> str:
    if coordinates == "prototype" and lender.key != base.key:
        return (
            f"Coordinates: all from the prototype {lender.key}, {lender.nominal_formula} ({lender.source})."
        )
    corrections = sorted({c for site in base.sites for c in site.corrections})
    return "Coordinates: of the parent, as printed" + (
        f" ({'; '.join(corrections)})." if corrections else "."
    )


def _warnings(cell: AverageCell, base: ParentCell, lender: ParentCell) -> tuple[str, ...]:
    warnings = []
    problems = cell.geometry.problems
    if problems:
        remedy = (
            "; take coordinates='prototype' for anything that depends on oxygen positions"
            if cell.coordinates == "refined" and base.key != PROTOTYPES[base.setting]
            else ""
        )
        warnings.append(
            f"Bond lengths with the coordinates of {lender.key} are unphysical: "
            f"{'; '.join(problems)}{remedy}."
        )
    if cell.setting == "C2/c" and cell.lattice_source == "refined":
        distortion = cell.distortion
        if distortion.delta2 > _MONOCLINIC_DELTA2:
            warnings.append(
                f"The lattice of {base.key} is labelled C2/c but rhombohedral by metric: {distortion}."
            )
    prediction = cell.lattice_prediction
    if cell.lattice_source == "refined":
        distortion = cell.distortion
        far = [
            f"{name} {have:.3f} A against {want:.3f} +- {error:.3f} A"
            for name, have, want, error in (
                ("a_h", distortion.nearest_a_h_ang, prediction.a_h_ang, prediction.a_h_error_ang),
                ("c_h", distortion.nearest_c_h_ang, prediction.c_h_ang, prediction.c_h_error_ang),
            )
            if abs(have - want) > 2.0 * error
        ]
        if far:
            warnings.append(
                f"The lattice of {base.key} is far from that predicted for this composition "
                f"({', '.join(far)}); lattice='predicted' takes the prediction."
            )
    elif prediction.extrapolation:
        warnings.append(f"The lattice is extrapolated: {'; '.join(prediction.extrapolation)}.")
    return tuple(warnings)

"""What the ordering functions return."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monty.json import MSONable
from pymatgen.core.structure import Structure

Matrix = tuple[tuple[float, ...], ...]


def _matrix(rows: Any) -> Matrix:
    return tuple(tuple(row) for row in rows)


@dataclass(frozen=True, kw_only=True)
class CandidateSupercell(MSONable):
    """One size of ordered cell for a composition, in its most compact shape.

    Attributes
    ----------
    formula_units : int
        O12 formula units in the cell.
    supercell_matrix : tuple of tuple of float
        Rows: cell vectors in the basis of the parent's conventional cell (fractions for primitive shapes).
    composition : dict of str to int
        Atoms of each element in the cell; exactly neutral.
    formula : str
        The same, as a formula.
    difference : dict of str to float
        Amount minus target, per formula unit, of each element that is not exact.
    composition_error : float
        Largest of these differences (absolute), atoms per formula unit; 0 when exact.
    exact : bool
        True when every element has exactly its target amount.
    nearest_image_distance_ang : float
        Distance between an atom and its nearest periodic image, angstrom.
    n_atoms, n_shapes : int
        Atoms in the cell; supercell shapes of this size that symmetry does not relate.
    warnings : tuple of str
        Elements dropped or more than a quarter off their target.
    """

    formula_units: int
    supercell_matrix: Matrix
    composition: dict[str, int]
    formula: str
    difference: dict[str, float]
    composition_error: float
    exact: bool
    nearest_image_distance_ang: float
    n_atoms: int
    n_shapes: int
    warnings: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "supercell_matrix", _matrix(self.supercell_matrix))
        object.__setattr__(self, "warnings", tuple(self.warnings))


@dataclass(frozen=True, kw_only=True)
class OrderedCell(MSONable):
    """An ordered cell: whole atoms on the sites of an average cell.

    Attributes
    ----------
    structure : Structure
        Ordered, with formal charges; site property ``label`` names the parent site of each atom.
    energy_ev_per_fu : float
        Ewald energy with formal charges, eV per formula unit. Formal charges overstate differences of energy.
    formula_units : int
        Formula units in the cell.
    supercell_matrix : tuple of tuple of float
        Rows: cell vectors in the basis of the average cell that was given.
    nearest_image_distance_ang : float
        Distance between an atom and its nearest periodic image, angstrom.
    composition : dict of str to int
        Atoms of each element.
    difference : dict of str to float
        Amount minus target, per formula unit, of each element that is not exact.
    composition_error : float
        Largest of these (absolute), atoms per formula unit; 0 when exact.
    objective : str
        What was minimised.
    objective_value : float
        Its value (eV per formula unit for electrostatics).
    exact : bool
        True when every arrangement of this supercell was compared, so the minimum is proven.
    n_arrangements : int or None
        Arrangements compared when exact.
    n_anneals : int
        Independent anneals of this supercell shape; 0 when exact.
    hit_rate : float or None
        Share of them that ended at the lowest energy found; 1 when exact, None where it means nothing.
    n_shapes : int
        Supercell shapes that were searched.
    degeneracy : int
        Arrangements that symmetry makes of this one, in this supercell.
    site_statistics : dict of str to dict
        Atoms (and vacancies) on each parent site.
    refined_statistics : dict of str to dict
        What the average cell's occupancies give on the same sites.
    cost_of_refined_ev_per_fu : float or None
        Energy above the lowest found without keeping the refined numbers per site, eV per formula unit; None
        unless they are kept.
    shortest_na_na_ang : float or None
        Shortest Na-Na distance, angstrom; None with fewer than two Na per cell.
    sqs_error : float or None
        Root mean square difference of the pair correlations on M and T from a random alloy, where asked for.
    temperature_k : float or None
        Temperature of a Boltzmann sample.
    seed : int
    provenance, warnings : tuple of str
    """

    structure: Structure
    energy_ev_per_fu: float
    formula_units: int
    supercell_matrix: Matrix
    nearest_image_distance_ang: float
    composition: dict[str, int]
    difference: dict[str, float]
    composition_error: float
    objective: str
    objective_value: float
    exact: bool
    n_arrangements: int | None
    n_anneals: int
    hit_rate: float | None
    n_shapes: int
    degeneracy: int
    site_statistics: dict[str, dict[str, int]]
    refined_statistics: dict[str, dict[str, float]]
    cost_of_refined_ev_per_fu: float | None
    shortest_na_na_ang: float | None
    sqs_error: float | None
    temperature_k: float | None
    seed: int
    provenance: tuple[str, ...]
    warnings: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "supercell_matrix", _matrix(self.supercell_matrix))
        for name in ("provenance", "warnings"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def n_atoms(self) -> int:
        """Atoms in the cell."""
        return len(self.structure)

    @property
    def net_charge(self) -> float:
        """Sum of the formal charges, elementary charges; 0."""
        return float(sum(float(site.specie.oxi_state or 0) for site in self.structure))

    @property
    def formula(self) -> str:
        """Atoms of the cell as a formula."""
        return cell_formula(self.composition)

    def to_cif(self, path: str | Path | None = None) -> str:
        """Return the cell as a CIF in P1, provenance in the header, and write it when a path is given.

        Parameters
        ----------
        path : str or Path, optional
            File to write; an existing one is replaced.
        """
        from pymatgen.io.cif import CifWriter

        header = [
            f"{self.formula}, {self.formula_units} formula units",
            f"Ewald energy with formal charges: {self.energy_ev_per_fu:.6f} eV per formula unit",
            *self.provenance,
            *(f"WARNING: {warning}" for warning in self.warnings),
        ]
        body = str(CifWriter(self.structure)).split("\n", 1)[-1]
        comments = "\n".join(f"# {line}" for text in header for line in text.split("\n"))
        text = f"{comments}\n{body}".encode("ascii", "replace").decode("ascii")
        if path is not None:
            Path(path).write_text(text, encoding="ascii")
        return text


@dataclass(frozen=True, kw_only=True)
class ArrangementCount(MSONable):
    """How many ordered arrangements a supercell has; both numbers exact.

    Attributes
    ----------
    total : int
        Arrangements that keep the composition and the rules.
    distinct : int
        Arrangements that no symmetry operation or translation of the parent maps on each other.
    operations : int
        Operations of the supercell (space group and translations).
    formula_units : int
    supercell_matrix : tuple of tuple of float
        Rows: cell vectors in the basis of the average cell that was given.
    composition : dict of str to int
    """

    total: int
    distinct: int
    operations: int
    formula_units: int
    supercell_matrix: Matrix
    composition: dict[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "supercell_matrix", _matrix(self.supercell_matrix))

    def __str__(self) -> str:
        return (
            f"{self.distinct:,} distinct of {self.total:,} arrangements of {cell_formula(self.composition)} "
            f"under {self.operations} operations"
        )


def cell_formula(composition: dict[str, int]) -> str:
    """Write the atoms of a cell as a formula, such as ``Na13Zr7ScSi8P4O48``."""
    return "".join(f"{e}{n if n > 1 else ''}" for e, n in composition.items() if n)

"""How far the metric of a cell is from rhombohedral, whatever the setting it is given in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monty.json import MSONable
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from nasicon_struct.errors import CellError
from nasicon_struct.metric.basis import HEX_TO_MONO, rhombohedron_to_hexagonal
from nasicon_struct.metric.lattices import (
    SHORT_COMBINATIONS,
    FloatArray,
    as_cell,
    cell_vectors,
    overlattices,
    short_basis,
)

#: Volume of the primitive lattice (two formula units), cubic angstrom, from likely to barely possible.
#: Oxide NASICONs have 412 (NaGe2(PO4)3) to 545 (Na3.4Zr2Si2.4P0.6O12), see the literature table.
_PRIMITIVE_VOLUMES_ANG3: Final = ((400.0, 600.0), (300.0, 720.0), (200.0, 1000.0))
#: Only lattices this close to rhombohedral are taken for a NASICON cell.
_MAX_STRAIN: Final = 0.06
#: c_h / a_h of NASICONs: 2.42 (Na4Zr2Si3O12) to 2.65 (NaSn2P3O12), with margin.
_AXIAL_RATIO: Final = (2.0, 3.1)
#: Largest supercell (in primitive lattices) of a structure, and largest safe one of a bare lattice.
_MAX_INDEX: Final = 64
_SAFE_INDEX: Final = 4


@dataclass(frozen=True, kw_only=True)
class MonoclinicDistortion(MSONable):
    """Distance of a NASICON cell from rhombohedral metric.

    Attributes
    ----------
    delta1, delta2 : float
        ``a / (sqrt(3) b) - 1`` and ``-3 c cos(beta) / a - 1`` of the C2/c description; dimensionless,
        both 0 in a rhombohedral lattice. Genuine C2/c cells in the literature have delta2 from
        -0.0196 to -0.0110.
    strain_norm : float
        Frobenius norm of the Lagrangian strain to the nearest rhombohedral metric; dimensionless.
    nearest_a_h_ang, nearest_c_h_ang : float
        That nearest metric, hexagonal axes, angstrom.
    delta1_se, delta2_se : float or None
        Standard uncertainties, propagated from uncorrelated esds of the cell parameters; None when
        no esds were given.
    a_ang, b_ang, c_ang, beta_deg : float
        The cell in the C2/c description that was found (angstrom, degree).
    off_monoclinic_deg : float
        Largest deviation of alpha and gamma of that description from 90 degrees; 0 in a monoclinic lattice.
    lattice_points : int
        Primitive lattices (two formula units each) in the cell that was given.
    transformation : tuple of tuple of float
        3x3; rows are the C2/c axes in the basis of the cell that was given.

    Notes
    -----
    delta1 and delta2 are the modes of Jolley et al., J. Am. Ceram. Soc. 98 (2015) 2902.
    """

    delta1: float
    delta2: float
    strain_norm: float
    nearest_a_h_ang: float
    nearest_c_h_ang: float
    delta1_se: float | None = None
    delta2_se: float | None = None
    a_ang: float
    b_ang: float
    c_ang: float
    beta_deg: float
    off_monoclinic_deg: float
    lattice_points: int
    transformation: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "transformation", tuple(tuple(map(float, row)) for row in self.transformation)
        )

    def __str__(self) -> str:
        def pm(value: float, se: float | None) -> str:
            return f"{value:+.4f}" + (f" +- {se:.4f}" if se is not None else "")

        return (
            f"delta1 {pm(self.delta1, self.delta1_se)}, delta2 {pm(self.delta2, self.delta2_se)}, "
            f"strain {self.strain_norm:.4f} from "
            f"a_h {self.nearest_a_h_ang:.4f}, c_h {self.nearest_c_h_ang:.4f} A"
        )


def _metric_strain(vectors_h: FloatArray) -> tuple[float, float, float]:
    """Return (strain norm, a_h, c_h) of the nearest hexagonal metric to three row vectors.

    With u = 1/a^2 and v = 1/c^2 the squared norm of the Lagrangian strain is quadratic in (u, v), so
    the minimum is the solution of two linear equations.
    """
    unit = np.array([[1.0, 0.0, 0.0], [-0.5, math.sqrt(0.75), 0.0], [0.0, 0.0, 1.0]])
    inverse = np.linalg.inv(unit)
    k = inverse @ (vectors_h @ vectors_h.T) @ inverse.T
    in_plane = k[0, 0] ** 2 + k[1, 1] ** 2 + 2.0 * k[0, 1] ** 2
    shear = k[0, 2] ** 2 + k[1, 2] ** 2
    u, v = np.linalg.solve(
        np.array([[in_plane, shear], [shear, k[2, 2] ** 2]]), np.array([k[0, 0] + k[1, 1], k[2, 2]])
    )
    if not (u > 0.0 and v > 0.0):
        return math.inf, math.nan, math.nan
    scale = np.diag([math.sqrt(u), math.sqrt(u), math.sqrt(v)])
    strain = 0.5 * (scale @ k @ scale - np.eye(3))
    return float(np.linalg.norm(strain)), 1.0 / math.sqrt(u), 1.0 / math.sqrt(v)


def _deltas(vectors_m: FloatArray) -> tuple[float, float]:
    a, b = (float(np.linalg.norm(v)) for v in vectors_m[:2])
    return a / (math.sqrt(3.0) * b) - 1.0, -3.0 * float(vectors_m[0] @ vectors_m[2]) / a**2 - 1.0


def _rhombohedral_triples(primitive: FloatArray) -> Iterator[tuple[FloatArray, float]]:
    """Yield right-handed near-rhombohedral bases (rows) of a primitive lattice, with their strain norm."""
    basis = short_basis(primitive)
    volume = abs(float(np.linalg.det(basis)))
    edge = (volume * math.sqrt(2.0)) ** (1.0 / 3.0)  # a rhombohedron near 60 degrees
    vectors = SHORT_COMBINATIONS @ basis
    lengths = np.linalg.norm(vectors, axis=1)
    near = vectors[np.abs(lengths / edge - 1.0) < 0.13]
    if len(near) < 3 or len(near) > 24:
        return
    for i, j, k in itertools.combinations(range(len(near)), 3):
        # signs: make all three angles acute
        r1, r2, r3 = near[i], near[j], near[k]
        r2 = r2 if r1 @ r2 > 0 else -r2
        r3 = r3 if r1 @ r3 > 0 else -r3
        if r2 @ r3 <= 0:
            continue
        det = float(np.linalg.det(np.array([r1, r2, r3])))
        if abs(abs(det) / volume - 1.0) > 1e-3:
            continue
        rhombohedron = np.array([r1, r2, r3]) if det > 0 else np.array([r2, r1, r3])
        hexagonal = rhombohedron_to_hexagonal(rhombohedron)
        strain, a_h, c_h = _metric_strain(hexagonal)
        if strain < _MAX_STRAIN and _AXIAL_RATIO[0] < c_h / a_h < _AXIAL_RATIO[1]:
            yield rhombohedron, strain


def _best_description(rhombohedron: FloatArray, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (hexagonal, monoclinic) row vectors; the monoclinic b axis is the most nearly unique one.

    Descriptions of equal merit are told apart by how simple they are in the basis that was given.
    """
    candidates = []
    for turn in range(3):
        for sign in (1.0, -1.0):
            rolled = np.roll(rhombohedron, turn, axis=0)
            # the second orientation is turned by 180 degrees about the b axis: (r1 r2 r3) -> (-r2 -r1 -r3)
            rolled = rolled if sign > 0 else -rolled[[1, 0, 2]]
            hexagonal = rhombohedron_to_hexagonal(rolled)
            mono = HEX_TO_MONO.T @ hexagonal
            a, b, c = (axis / np.linalg.norm(axis) for axis in mono)
            off = float(a @ b) ** 2 + float(b @ c) ** 2
            change = mono @ np.linalg.inv(vectors)
            merit = (round(off, 11), round(float(np.abs(change - np.eye(3)).sum()), 6))
            candidates.append((merit, hexagonal, mono))
    _, hexagonal, mono = min(candidates, key=lambda item: item[0])
    return hexagonal, mono


def _translations_keep_framework(lattice: FloatArray, primitive: FloatArray, frac: FloatArray) -> bool:
    """Whether the translations of ``primitive`` map the framework cations (fractional) onto themselves."""
    if len(frac) == 0:
        return True
    for vector in primitive:
        shifted = frac + vector @ np.linalg.inv(lattice)
        delta = shifted[:, None, :] - frac[None, :, :]
        delta -= np.round(delta)
        nearest = np.linalg.norm(delta @ lattice, axis=2).min(axis=1)
        if nearest.max() > 1.2:
            return False
    return True


_CATIONS_NOT_FRAMEWORK: Final = frozenset(
    {"Li", "Na", "K", "Rb", "Cs", "H", "O", "F", "Cl", "Br", "I", "S", "X"}
)


def _framework(structure: Structure) -> tuple[FloatArray, float]:
    """Return fractional coordinates of the framework cation sites, one row per position, and the O amount."""
    rows, oxygen = [], 0.0
    for site in structure:
        symbols = {getattr(sp, "symbol", str(sp)) for sp in site.species}
        oxygen += sum(amt for sp, amt in site.species.items() if getattr(sp, "symbol", str(sp)) == "O")
        if symbols and not symbols & _CATIONS_NOT_FRAMEWORK:
            rows.append(site.frac_coords)
    return np.array(rows, dtype=float).reshape(-1, 3), oxygen


def _index_candidates(volume: float, oxygen: float | None) -> list[list[int]]:
    """Return numbers of primitive lattices to try, the most plausible list first."""
    if oxygen is not None and oxygen > 1:
        index = round(oxygen / 24.0)
        if index >= 1 and abs(oxygen / 24.0 - index) < 0.02 * index:
            return [[index]]

    tried: list[int] = []
    lists = []
    for low, high in _PRIMITIVE_VOLUMES_ANG3:
        numbers = range(max(math.ceil(volume / high), 1), math.floor(volume / low) + 1)
        lists.append([n for n in numbers if n not in tried])
        tried.extend(lists[-1])
    return lists


def _search(
    vectors: FloatArray, indices: list[int], frac: FloatArray
) -> tuple[FloatArray, FloatArray, int] | None:
    """Return (hexagonal axes, C2/c axes, number of primitive lattices) nearest to rhombohedral, or None."""
    found: list[tuple[float, int, int, FloatArray]] = []  # strain, index, number of the overlattice, axes
    for index in indices:
        for number, overlattice in enumerate(overlattices(vectors, index)):
            found.extend(
                (strain, index, number, triple) for triple, strain in _rhombohedral_triples(overlattice)
            )
    found.sort(key=lambda item: item[0])
    if len(frac):
        found = [item for item in found if _translations_keep_framework(vectors, item[3], frac)]
    if not found:
        return None
    least = found[0][0]
    if not len(frac) and indices[0] > _SAFE_INDEX:
        rivals = [item[0] for item in found if item[1:3] != found[0][1:3]]
        if rivals and rivals[0] < least + 0.02:
            raise CellError(
                f"a bare lattice of about {indices[0]} primitive cells can be taken apart in more than one "
                "way; give the structure, or the conventional C2/c or R-3c cell"
            )
    descriptions = []
    for strain, index, _, triple in found:
        if strain > least + 1e-9:
            break
        hexagonal, mono = _best_description(triple, vectors)
        unlike = round(float(np.abs(mono @ np.linalg.inv(vectors) - np.eye(3)).sum()), 6)
        descriptions.append((unlike, hexagonal, mono, index))
    _, hexagonal, mono, index = min(descriptions, key=lambda item: item[0])
    return hexagonal, mono, index


def monoclinic_distortion(
    lattice_or_structure_or_cell_params: Any, *, esds: Mapping[str, float] | Sequence[float] | None = None
) -> MonoclinicDistortion:
    """Measure how far the metric of a NASICON cell is from rhombohedral.

    Parameters
    ----------
    lattice_or_structure_or_cell_params
        pymatgen Lattice or Structure, ASE Atoms, anything with ``.structure`` or ``.lattice``, or cell
        parameters in angstrom and degree: ``(a_h, c_h)``, ``(a, b, c, beta)``, six numbers, a mapping,
        or a 3x3 matrix of row vectors. Any setting is found: C2/c, A2/a, I2/a and their unique axes,
        primitive and reduced cells, hexagonal and rhombohedral R-3c cells, and supercells.
    esds : mapping or sequence, optional
        Standard uncertainties of the cell parameters that were given, as a mapping over ``a, b, c,
        alpha, beta, gamma`` or in the order of the parameters (two, four or six numbers). When absent,
        an ``esds`` attribute of a lattice holder (``lattice_esds``) is used if there is one.

    Returns
    -------
    MonoclinicDistortion

    Raises
    ------
    CellError
        When no C-centred monoclinic description of the lattice is near a NASICON cell.

    Notes
    -----
    A structure tells its formula units and its framework, so any supercell is found. A bare lattice is
    taken apart by its volume (100-500 cubic angstrom per O12 unit, likely values first) and then by
    the nearest rhombohedral metric; beyond four primitive cells it is refused when two ways come close.

    Each rhombohedral lattice has three C2/c descriptions. In a monoclinic lattice the twofold axis tells
    which is meant; in a triclinic one (a relaxed ordered cell) it is the one whose b axis is most nearly
    normal to a and c, which is a choice when strains of both kinds are alike. strain_norm has no such choice.
    """
    vectors, structure = as_cell(lattice_or_structure_or_cell_params)
    if not np.all(np.isfinite(vectors)):
        raise CellError("the cell holds numbers that are not finite")
    volume = abs(float(np.linalg.det(vectors)))
    if volume < 1e-3:
        raise CellError(f"the cell has no volume ({volume:.3g} cubic angstrom)")
    frac, oxygen = _framework(structure) if structure is not None else (np.empty((0, 3)), None)
    plausible = _index_candidates(volume, oxygen)
    largest = max((n for indices in plausible for n in indices), default=0)
    if largest > _MAX_INDEX:
        raise CellError(
            f"the cell holds about {largest} primitive NASICON cells, more than {_MAX_INDEX}; "
            "give the conventional cell"
        )
    found = next(filter(None, (_search(vectors, indices, frac) for indices in plausible)), None)
    if found is None:
        a, b, c, alpha, beta, gamma = Lattice(vectors).parameters
        raise CellError(
            f"the cell {a:.4f} {b:.4f} {c:.4f} {alpha:.3f} {beta:.3f} {gamma:.3f} is not near any setting of "
            "a NASICON cell; give the conventional C2/c or R-3c cell"
        )
    hexagonal, mono, index = found
    change = (
        np.round(mono @ np.linalg.inv(vectors) * index) / index + 0.0
    )  # exact: lattice points are rational
    strain, a_h, c_h = _metric_strain(hexagonal)
    delta1, delta2 = _deltas(mono)
    if esds is None:
        esds = getattr(lattice_or_structure_or_cell_params, "lattice_esds", None)
    se1, se2 = _propagate(vectors, change, esds) if esds is not None else (None, None)
    conventional = Lattice(mono)
    return MonoclinicDistortion(
        delta1=delta1,
        delta2=delta2,
        strain_norm=strain,
        nearest_a_h_ang=a_h,
        nearest_c_h_ang=c_h,
        delta1_se=se1,
        delta2_se=se2,
        a_ang=conventional.a,
        b_ang=conventional.b,
        c_ang=conventional.c,
        beta_deg=conventional.beta,
        off_monoclinic_deg=max(abs(conventional.alpha - 90.0), abs(conventional.gamma - 90.0)),
        lattice_points=index,
        transformation=tuple(tuple(float(x) for x in row) for row in change),
    )


def conventional_distortion(a: float, b: float, c: float, beta: float) -> MonoclinicDistortion:
    """Return the distortion of a cell known to be in the C2/c setting, without a search for another one.

    Where c_h is near sqrt(6) a_h the lattice is nearly face-centred cubic, and :func:`monoclinic_distortion` may
    find a threefold axis other than the one meant.

    Parameters
    ----------
    a, b, c, beta : float
        Angstrom and degree, axes as in :data:`HEX_TO_MONO`.
    """
    vectors = cell_vectors((a, b, c, beta))
    strain, a_h, c_h = _metric_strain(np.linalg.inv(HEX_TO_MONO.T) @ vectors)
    delta1, delta2 = _deltas(vectors)
    return MonoclinicDistortion(
        delta1=delta1,
        delta2=delta2,
        strain_norm=strain,
        nearest_a_h_ang=a_h,
        nearest_c_h_ang=c_h,
        a_ang=a,
        b_ang=b,
        c_ang=c,
        beta_deg=beta,
        off_monoclinic_deg=0.0,
        lattice_points=2,
        transformation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    )


def _propagate(
    vectors: FloatArray, change: FloatArray, esds: Mapping[str, float] | Sequence[float]
) -> tuple[float, float]:
    """Return standard uncertainties of (delta1, delta2) from uncorrelated esds of the given cell."""
    parameters = np.array(Lattice(vectors).parameters)
    sigma = np.zeros(6)
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    hexagonal = abs(parameters[0] - parameters[1]) < 1e-9 and abs(parameters[5] - 120.0) < 1e-9
    tied = False
    if isinstance(esds, Mapping):
        unknown = {str(k).lower() for k in esds} - set(names)
        if unknown:
            raise CellError(f"esds are named {', '.join(names)}, got {sorted(unknown)}")
        given = {str(k).lower(): float(v or 0.0) for k, v in esds.items()}
        sigma = np.array([given.get(name, 0.0) for name in names])
        tied = hexagonal and "b" not in given
    else:
        values = np.asarray(esds, dtype=float)
        if values.shape == (2,):
            sigma[[0, 2]] = values
            tied = True
        elif values.shape == (4,):
            sigma[[0, 1, 2, 4]] = values
        elif values.shape == (6,):
            sigma = values
        else:
            raise CellError(f"esds are two, four or six numbers, or a mapping, got shape {values.shape}")
    if not np.all(np.isfinite(sigma)) or sigma.min() < 0:
        raise CellError(f"esds must be finite and not negative, got {sigma.tolist()}")
    variance = np.zeros(2)
    for axis in range(6):
        if sigma[axis] == 0.0:
            continue
        step = max(sigma[axis] * 0.1, 1e-5)
        shift = np.zeros(6)
        shift[axis] = step
        if tied and axis == 0:
            shift[1] = step
        plus, minus = (
            np.array(_deltas(change @ Lattice.from_parameters(*(parameters + sign * shift)).matrix))
            for sign in (1.0, -1.0)
        )
        variance += ((plus - minus) / (2.0 * step) * sigma[axis]) ** 2
    return float(math.sqrt(variance[0])), float(math.sqrt(variance[1]))

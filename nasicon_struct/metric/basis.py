"""The change of basis between R-3c (hexagonal axes) and C2/c, for cells, structures and Miller indices."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from nasicon_struct.errors import CellError
from nasicon_struct.metric.lattices import FloatArray, as_cell

#: Columns are the monoclinic (C2/c) axes in the hexagonal (R-3c, obverse) basis.
HEX_TO_MONO: Final[FloatArray] = np.array(
    [[1.0, -1.0, -1.0 / 3.0], [2.0, 0.0, -2.0 / 3.0], [0.0, 0.0, 1.0 / 3.0]]
)
#: Origin shift of the same change: x_h = HEX_TO_MONO x_m + ORIGIN_SHIFT.
ORIGIN_SHIFT: Final[FloatArray] = np.array([0.5, 0.5, 0.0])

_MONO_TO_HEX: Final[FloatArray] = np.array([[0.0, 0.5, 1.0], [-1.0, 0.5, 0.0], [0.0, 0.0, 3.0]])
_RHOMB_TO_HEX: Final[FloatArray] = np.array([[2.0, -1.0, -1.0], [1.0, 1.0, -2.0], [1.0, 1.0, 1.0]]) / 3.0
_R_OBVERSE: Final[FloatArray] = np.array([2.0, 1.0, 1.0]) / 3.0
_R_REVERSE: Final[FloatArray] = np.array([1.0, 2.0, 1.0]) / 3.0
_C_CENTRING: Final[FloatArray] = np.array([0.5, 0.5, 0.0])


def hexagonal_to_monoclinic_cell(a_h_ang: float, c_h_ang: float) -> tuple[float, float, float, float]:
    """Return ``(a, b, c, beta)`` (angstrom, degree) of an undistorted R-3c lattice described as C2/c."""
    return (
        math.sqrt(3.0) * a_h_ang,
        float(a_h_ang),
        math.sqrt(a_h_ang**2 / 3.0 + c_h_ang**2 / 9.0),
        90.0 + math.degrees(math.atan2(math.sqrt(3.0) * a_h_ang, c_h_ang)),
    )


def monoclinic_cell_from_distortion(
    a_h_ang: float, c_h_ang: float, delta1: float = 0.0, delta2: float = 0.0
) -> tuple[float, float, float, float]:
    """Return ``(a, b, c, beta)`` (angstrom, degree) of a C2/c cell from a hexagonal one and its distortion.

    The volume and the layer spacing ``c sin(beta) = c_h / 3`` of the hexagonal cell are kept, so
    ``a b = sqrt(3) a_h^2``; then ``a = sqrt(3) b (1 + delta1)`` and
    ``c cos(beta) = -(1 + delta2) a / 3``.
    """
    b = a_h_ang / math.sqrt(1.0 + delta1)
    a = math.sqrt(3.0) * b * (1.0 + delta1)
    along, across = (1.0 + delta2) * a / 3.0, c_h_ang / 3.0
    return a, b, math.hypot(along, across), 90.0 + math.degrees(math.atan2(along, across))


def rhombohedron_to_hexagonal(vectors_r: FloatArray) -> FloatArray:
    """Return hexagonal (obverse) axes of a rhombohedral cell; row vectors."""
    r1, r2, r3 = vectors_r
    return np.array([r1 - r2, r2 - r3, r1 + r2 + r3])


def _is_hexagonal_lattice(vectors: FloatArray) -> bool:
    a, b, _, alpha, beta, gamma = Lattice(vectors).parameters
    return abs(a - b) < 0.05 * a and max(abs(alpha - 90), abs(beta - 90), abs(gamma - 120)) < 3.0


def _is_rhombohedral_lattice(vectors: FloatArray) -> bool:
    a, b, c, alpha, beta, gamma = Lattice(vectors).parameters
    lengths, angles = np.array([a, b, c]), np.array([alpha, beta, gamma])
    return bool(np.ptp(lengths) < 0.05 * a and np.ptp(angles) < 3.0 and 50.0 < angles.mean() < 70.0)


def _has_translation(structure: Structure, shift: FloatArray, tol_ang: float) -> bool:
    frac, lattice = structure.frac_coords, structure.lattice.matrix
    species = [site.species for site in structure]
    delta = (frac + shift)[:, None, :] - frac[None, :, :]
    delta -= np.round(delta)
    distance = np.linalg.norm(delta @ lattice, axis=2)
    return all(
        any(distance[i, j] < tol_ang and species[i].almost_equals(species[j]) for j in np.flatnonzero(row))
        for i, row in enumerate(distance < tol_ang)
    )


def _rebuild(
    structure: Structure,
    vectors: FloatArray,
    change: FloatArray,
    origin: FloatArray,
    copies: FloatArray,
    ratio: float,
    tol_ang: float,
) -> Structure:
    """Describe a structure on new axes (rows of ``vectors``).

    ``change`` takes old fractional coordinates, less ``origin``, to new ones; ``copies`` (old fractional
    coordinates) are the lattice translations that fill the new cell; ``ratio`` is new to old volume.
    """
    points: dict[Any, list[FloatArray]] = {}
    frac: list[FloatArray] = []
    source: list[int] = []
    for number, site in enumerate(structure):
        known = points.setdefault(site.species, [])
        for copy in copies:
            point = change @ (site.frac_coords + copy - origin)
            point = point - np.floor(point + 1e-9)
            if known:
                delta = np.array(known) - point
                if np.linalg.norm((delta - np.round(delta)) @ vectors, axis=1).min() < tol_ang:
                    continue
            known.append(point)
            frac.append(point)
            source.append(number)
    if abs(len(frac) - ratio * len(structure)) > 1e-6:
        raise CellError(
            f"the change of axes gives {len(frac)} sites where {ratio * len(structure):g} were expected: the "
            "structure lacks the centring translations of its space group; transform the average cell instead"
        )
    properties = {
        key: [values[i] for i in source]
        for key, values in structure.site_properties.items()
        if values is not None
    }
    return Structure(
        Lattice(vectors), [structure[i].species for i in source], frac, site_properties=properties
    )


def _transform_hkl(hkl: ArrayLike, matrix: FloatArray) -> NDArray[Any]:
    given = np.asarray(hkl)
    if given.ndim == 0 or given.shape[-1] != 3 or not np.issubdtype(given.dtype, np.number):
        raise CellError(f"Miller indices have three numbers each, got an array of shape {given.shape}")
    out = given.astype(float) @ matrix
    rounded = np.round(out)
    if np.issubdtype(given.dtype, np.integer) and np.allclose(out, rounded, atol=1e-9, rtol=0):
        return rounded.astype(np.int64)
    return out


def to_monoclinic(obj: Any, *, tol_ang: float = 0.05) -> Any:
    """Describe an R-3c lattice, structure or set of Miller indices on the axes of C2/c.

    Parameters
    ----------
    obj
        pymatgen Lattice (hexagonal, obverse, or rhombohedral primitive), Structure on such a lattice, or
        Miller indices of the hexagonal lattice, shape (3,) or (n, 3).
    tol_ang : float
        Distance below which two sites of a structure are the same site, angstrom.

    Returns
    -------
    Lattice, Structure or ndarray
        Same kind as given. Four formula units per cell, Na1 of R-3c (6b) on 4d. Indices stay integers
        when -h + k + l is a multiple of 3, else they come back as fractions.

    Raises
    ------
    CellError
        When the lattice is neither hexagonal nor rhombohedral, or a structure lacks the R centring.

    See Also
    --------
    to_rhombohedral : the exact inverse.
    """
    if not isinstance(obj, Lattice | Structure) and not hasattr(obj, "structure"):
        return _transform_hkl(obj, HEX_TO_MONO)
    vectors, structure = as_cell(obj)
    if _is_rhombohedral_lattice(vectors):
        hexagonal = rhombohedron_to_hexagonal(vectors)
        if structure is not None:
            translations = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], dtype=float)
            structure = _rebuild(structure, hexagonal, _RHOMB_TO_HEX, np.zeros(3), translations, 3.0, tol_ang)
        vectors = hexagonal
    if not _is_hexagonal_lattice(vectors):
        raise CellError(
            "only a hexagonal or rhombohedral lattice can be described on C2/c axes, got "
            + " ".join(f"{x:.4f}" for x in Lattice(vectors).parameters)
        )
    if structure is None:
        return Lattice(HEX_TO_MONO.T @ vectors)
    if not _has_translation(structure, _R_OBVERSE, tol_ang):
        if not _has_translation(structure, _R_REVERSE, tol_ang):
            raise CellError(
                "the structure lacks the R centring of R-3c (ordered or supercell?); transform the "
                "disordered average cell, or only its lattice"
            )
        turn = np.diag([-1.0, -1.0, 1.0])  # reverse setting: 180 degrees about c makes it obverse
        vectors = np.array(turn @ vectors, dtype=np.float64)
        structure = Structure(
            Lattice(vectors),
            [s.species for s in structure],
            structure.frac_coords @ turn,
            site_properties=structure.site_properties,
        )
    return _rebuild(
        structure,
        HEX_TO_MONO.T @ vectors,
        _MONO_TO_HEX,
        ORIGIN_SHIFT,
        np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        2.0 / 3.0,
        tol_ang,
    )


def to_rhombohedral(obj: Any, *, tol_ang: float = 0.05) -> Any:
    """Describe a C2/c lattice, structure or set of Miller indices on the hexagonal axes of R-3c.

    Parameters
    ----------
    obj
        pymatgen Lattice or Structure in the C2/c setting of :mod:`nasicon_struct.metric`, or Miller
        indices of that lattice, shape (3,) or (n, 3).
    tol_ang : float
        Distance below which two sites of a structure are the same site, angstrom.

    Returns
    -------
    Lattice, Structure or ndarray
        Same kind as given; six formula units per cell. A distorted cell stays distorted: the result is
        pseudo-hexagonal, and :func:`monoclinic_distortion` has the nearest hexagonal one.

    Raises
    ------
    CellError
        When a structure lacks the C centring.

    See Also
    --------
    to_monoclinic : the exact inverse.
    """
    if not isinstance(obj, Lattice | Structure) and not hasattr(obj, "structure"):
        return _transform_hkl(obj, _MONO_TO_HEX)
    vectors, structure = as_cell(obj)
    hexagonal = _MONO_TO_HEX.T @ vectors
    if not _is_hexagonal_lattice(hexagonal):
        raise CellError(
            "the cell is not in the C2/c setting used here (a about sqrt(3) b, beta about 124 degrees), got "
            + " ".join(f"{x:.4f}" for x in Lattice(vectors).parameters)
        )
    if structure is None:
        return Lattice(hexagonal)
    if not _has_translation(structure, _C_CENTRING, tol_ang):
        raise CellError(
            "the structure lacks the C centring of C2/c (ordered or supercell?); transform the disordered "
            "average cell, or only its lattice"
        )
    return _rebuild(
        structure,
        hexagonal,
        HEX_TO_MONO,
        -_MONO_TO_HEX @ ORIGIN_SHIFT,
        np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0]]),
        1.5,
        tol_ang,
    )

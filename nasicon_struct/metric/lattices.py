"""Lattices as arrays of row vectors: reading a cell from anything, sublattices, short bases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from nasicon_struct.errors import CellError

FloatArray = NDArray[np.float64]


def cell_vectors(parameters: ArrayLike | Mapping[str, float]) -> FloatArray:
    """Return row vectors (angstrom) of cell parameters (two, four, six or a mapping) or of a 3x3 matrix."""
    if isinstance(parameters, Mapping):
        keys = {str(k).lower(): float(v) for k, v in parameters.items()}
        unknown = set(keys) - {"a", "b", "c", "alpha", "beta", "gamma"}
        if unknown or "a" not in keys or "c" not in keys:
            raise CellError(f"cell parameters need a and c (and b, alpha, beta, gamma), got {sorted(keys)}")
        hexagonal = "b" not in keys
        values = np.array(
            [
                keys["a"],
                keys.get("b", keys["a"]),
                keys["c"],
                keys.get("alpha", 90.0),
                keys.get("beta", 90.0),
                keys.get("gamma", 120.0 if hexagonal else 90.0),
            ]
        )
    else:
        values = np.asarray(parameters, dtype=float)
        if values.shape == (3, 3):
            return values
        if values.shape == (2,):
            values = np.array([values[0], values[0], values[1], 90.0, 90.0, 120.0])
        elif values.shape == (4,):
            values = np.array([values[0], values[1], values[2], 90.0, values[3], 90.0])
        elif values.shape != (6,):
            raise CellError(
                "cell parameters are (a, c) hexagonal, (a, b, c, beta) monoclinic, six numbers or a 3x3 "
                f"matrix, got an array of shape {values.shape}"
            )
    if (
        not np.all(np.isfinite(values))
        or values[:3].min() <= 0
        or values[3:].min() <= 0
        or values[3:].max() >= 180
    ):
        raise CellError(
            f"cell lengths must be positive and angles between 0 and 180 degrees, got {values.tolist()}"
        )
    return np.array(Lattice.from_parameters(*values).matrix)


def as_cell(obj: Any) -> tuple[FloatArray, Structure | None]:
    """Return (row vectors, structure or None) of anything that has a cell."""
    obj = getattr(obj, "structure", obj)
    if isinstance(obj, Structure):
        return np.array(obj.lattice.matrix), obj
    if isinstance(obj, Lattice):
        return np.array(obj.matrix), None
    if hasattr(obj, "get_chemical_symbols") and hasattr(obj, "cell"):  # ASE Atoms
        structure = Structure(np.array(obj.cell), obj.get_chemical_symbols(), obj.get_scaled_positions())
        return np.array(structure.lattice.matrix), structure
    lattice = getattr(obj, "lattice", None)
    if isinstance(lattice, Lattice):
        return np.array(lattice.matrix), None
    if isinstance(obj, Mapping | Sequence | np.ndarray) and not isinstance(obj, str):
        return cell_vectors(obj), None
    raise CellError(
        f"a cell is a Lattice, a Structure, ASE Atoms or cell parameters, got {type(obj).__name__}"
    )


@lru_cache(maxsize=128)
def _sublattices(index: int) -> NDArray[np.int64]:
    """Return all 3x3 Hermite normal forms of this determinant, shape (n, 3, 3), in fixed order."""
    forms = [
        [[p, 0, 0], [x, q, 0], [y, z, r]]
        for p in range(1, index + 1)
        if index % p == 0
        for q in range(1, index // p + 1)
        if (index // p) % q == 0
        for r in [index // (p * q)]
        for x in range(p)
        for y in range(p)
        for z in range(q)
    ]
    return np.array(forms, dtype=np.int64)


def overlattices(vectors: FloatArray, index: int) -> Iterator[FloatArray]:
    """Yield every lattice that holds the given one as a sublattice of ``index`` (row vectors)."""
    # sublattices of the dual lattice, brought back: rows D^-T of the dual basis rows D
    dual = np.linalg.inv(vectors).T
    for form in _sublattices(index):
        yield np.linalg.inv(form @ dual).T


SHORT_COMBINATIONS: Final[NDArray[np.int64]] = np.array(
    [c for c in itertools.product(range(-2, 3), repeat=3) if c > (0, 0, 0)], dtype=np.int64
)


def short_basis(vectors: FloatArray) -> FloatArray:
    """Return a basis of the same lattice made of short vectors (pairwise reduction, then Minkowski-like)."""
    basis = np.array(vectors, dtype=float)
    for _ in range(200):
        basis = basis[np.argsort(np.einsum("ij,ij->i", basis, basis), kind="stable")]
        before = float(np.einsum("ij,ij->", basis, basis))
        for i, j in ((1, 0), (2, 0), (2, 1)):
            basis[i] -= round(float(basis[i] @ basis[j] / (basis[j] @ basis[j]))) * basis[j]
        trial = min(
            (basis[2] + p * basis[0] + q * basis[1] for p in (-1, 0, 1) for q in (-1, 0, 1)),
            key=lambda v: float(v @ v),
        )
        if trial @ trial < (1.0 - 1e-12) * (basis[2] @ basis[2]):
            basis[2] = trial
        if float(np.einsum("ij,ij->", basis, basis)) > (1.0 - 1e-12) * before:
            break
    return basis

r"""Ewald interactions of every pair of sites of a supercell, from sums over the primitive cell.

The energy of charges q_i on a periodic lattice is E = 1/2 sum_ij q_i q_j A_ij with

.. math::

    A_{ij} = k_e \Big[ \sum_L{}' \frac{\mathrm{erfc}(\alpha r_{ijL})}{r_{ijL}}
             + \frac{4\pi}{V} \sum_{G \ne 0} \frac{e^{-G^2/4\alpha^2}}{G^2} \cos G\cdot r_{ij}
             - \frac{\pi}{\alpha^2 V} - \frac{2\alpha}{\sqrt\pi}\,\delta_{ij} \Big]

A_ij depends on the primitive sites i, j and on the translation between their cells only. The real-space sum
therefore runs once over the primitive lattice and is folded onto the translations of the supercell; the
reciprocal sum is folded onto the wave vectors that differ modulo the primitive reciprocal lattice (as many as
there are cells), followed by a small Fourier sum. The cost is linear in the supercell's volume, and the
result holds for every arrangement.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nasicon_struct.ordering._compiled import compiled, cos_sin_turns, erfc, exp_minus
from nasicon_struct.ordering.lattice import FloatArray, HermiteForm, cell_index, cell_vectors, form_matrix

#: e^2 / (4 pi epsilon_0) in eV angstrom (CODATA 2022: epsilon_0 = 8.8541878188e-12 F/m).
COULOMB_EV_ANG: Final = 1.602176634e-19 / (4.0 * math.pi * 8.8541878188e-12) * 1e10
#: Terms below exp(-_CUT^2) are left out of both sums.
_CUT: Final = 6.0
#: Splitting parameter, 1/angstrom; any value gives the same energies (tested).
ALPHA_PER_ANG: Final = 0.27


@compiled
def _real_sum(frac, lattice, reach, cut2, alpha, h, n_cells, out):  # type: ignore[no-untyped-def]
    """Add erfc(alpha r)/r over the primitive lattice, folded onto cell numbers."""
    a, b, c, d, e, f = h
    n = frac.shape[0]
    for i in range(n):
        for j in range(n):
            fx = frac[j, 0] - frac[i, 0]
            fy = frac[j, 1] - frac[i, 1]
            fz = frac[j, 2] - frac[i, 2]
            bx, by, bz = math.floor(fx), math.floor(fy), math.floor(fz)
            for u in range(-reach[0] - 1, reach[0] + 1):
                for v in range(-reach[1] - 1, reach[1] + 1):
                    for w in range(-reach[2] - 1, reach[2] + 1):
                        px, py, pz = fx - bx + u, fy - by + v, fz - bz + w
                        x = px * lattice[0, 0] + py * lattice[1, 0] + pz * lattice[2, 0]
                        y = px * lattice[0, 1] + py * lattice[1, 1] + pz * lattice[2, 1]
                        z = px * lattice[0, 2] + py * lattice[1, 2] + pz * lattice[2, 2]
                        r2 = x * x + y * y + z * z
                        if r2 > cut2 or r2 < 1e-12:
                            continue
                        tx, ty, tz = int(u - bx), int(v - by), int(w - bz)
                        k = tz // f
                        tx, ty, tz = tx - k * d, ty - k * e, tz - k * f
                        k = ty // c
                        tx, ty = tx - k * b, ty - k * c
                        cell = ((tx % a) * c + ty) * f + tz
                        r = math.sqrt(r2)
                        out[i, j, cell] += erfc(alpha * r) / r


@compiled
def _reciprocal_sum(frac, recip, reach, gcut2, alpha, volume, h, cells, n_cells, out):  # type: ignore[no-untyped-def]
    """Add the reciprocal sum; ``recip`` rows are the supercell's reciprocal vectors without 2 pi."""
    a, b, c, d, e, f = h
    n = frac.shape[0]
    re = np.zeros((n_cells, n, n))
    im = np.zeros((n_cells, n, n))
    cos_i = np.empty(n)
    sin_i = np.empty(n)
    four_pi2 = 4.0 * math.pi * math.pi
    for gx in range(0, reach[0] + 1):
        for gy in range(-reach[1], reach[1] + 1):
            if gx == 0 and gy < 0:
                continue
            for gz in range(-reach[2], reach[2] + 1):
                if gx == 0 and gy == 0 and gz <= 0:
                    continue
                kx = gx * recip[0, 0] + gy * recip[1, 0] + gz * recip[2, 0]
                ky = gx * recip[0, 1] + gy * recip[1, 1] + gz * recip[2, 1]
                kz = gx * recip[0, 2] + gy * recip[1, 2] + gz * recip[2, 2]
                g2 = four_pi2 * (kx * kx + ky * ky + kz * kz)
                if g2 > gcut2:
                    continue
                weight = 2.0 * 4.0 * math.pi / volume * exp_minus(g2 / (4.0 * alpha * alpha)) / g2
                # class modulo the primitive reciprocal lattice: rows (a,b,d), (0,c,e), (0,0,f)
                k = gx // a
                nx, ny, nz = gx - k * a, gy - k * b, gz - k * d
                k = ny // c
                ny, nz = ny - k * c, nz - k * e
                kappa = (nx * c + ny) * f + nz % f
                for i in range(n):  # phases in turns: G.r with r in the primitive basis
                    turns = 0.0
                    for m in range(3):
                        turns += frac[i, m] * (gx * cells[0, m] + gy * cells[1, m] + gz * cells[2, m])
                    cos_i[i], sin_i[i] = cos_sin_turns(turns)
                for i in range(n):
                    ci, si = weight * cos_i[i], weight * sin_i[i]
                    for j in range(n):  # exp(i G.(r_j - r_i))
                        re[kappa, i, j] += ci * cos_i[j] + si * sin_i[j]
                        im[kappa, i, j] += ci * sin_i[j] - si * cos_i[j]
    for kappa in range(n_cells):
        nx = kappa // (c * f)
        ny = (kappa // f) % c
        nz = kappa % f
        for cell in range(n_cells):
            tx = cell // (c * f)
            ty = (cell // f) % c
            tz = cell % f
            turns = 0.0
            tau = (tx, ty, tz)
            for m in range(3):
                turns += tau[m] * (nx * cells[0, m] + ny * cells[1, m] + nz * cells[2, m])
            cosine, sine = cos_sin_turns(turns)
            for i in range(n):
                for j in range(n):
                    out[i, j, cell] += re[kappa, i, j] * cosine - im[kappa, i, j] * sine


def ewald_table(
    lattice: FloatArray, frac: FloatArray, form: HermiteForm, *, alpha_per_ang: float = ALPHA_PER_ANG
) -> FloatArray:
    """Return the interaction of each pair of primitive sites for each translation between their cells.

    Parameters
    ----------
    lattice : (3, 3) floats
        Primitive vectors as rows, angstrom.
    frac : (n, 3) floats
        Sites in the primitive basis.
    form : HermiteForm
        The supercell.
    alpha_per_ang : float
        Splitting parameter; the result does not depend on it.

    Returns
    -------
    (n, n, index) floats
        Element (i, j, t): interaction in eV per elementary charge squared of site i in one cell with site j
        in the cell displaced by translation number t (:func:`~nasicon_struct.ordering.lattice.cell_vectors`).
        The energy of a supercell is half the sum over all ordered pairs, a site with itself included. For
        charges that do not sum to zero, a uniform background is implied.
    """
    lattice = np.ascontiguousarray(lattice, dtype=np.float64)
    frac = np.ascontiguousarray(frac, dtype=np.float64)
    matrix = form_matrix(form)
    index = form[0] * form[2] * form[5]
    volume = abs(_det3(lattice)) * index
    table = np.zeros((len(frac), len(frac), index))

    radius = _CUT / alpha_per_ang
    heights = 1.0 / np.sqrt((np.linalg.inv(lattice) ** 2).sum(axis=0))
    reach = np.ceil(radius / heights + 1e-9).astype(np.int64)
    _real_sum(frac, lattice, reach, radius**2, alpha_per_ang, form, index, table)

    inverse = _inverse_rows(matrix)  # supercell vectors to primitive basis, exact multiples of 1/index
    gmax = 2.0 * alpha_per_ang * _CUT
    supercell = _product(matrix, lattice)
    recip = _reciprocal(supercell)
    reach = np.floor(gmax / (2.0 * math.pi) * np.sqrt((supercell**2).sum(axis=1)) + 1e-9).astype(np.int64)
    _reciprocal_sum(frac, recip, reach, gmax**2, alpha_per_ang, volume, form, inverse, index, table)
    table -= math.pi / (alpha_per_ang**2 * volume)
    diagonal = np.arange(len(frac))
    table[diagonal, diagonal, 0] -= 2.0 * alpha_per_ang / math.sqrt(math.pi)
    return table * COULOMB_EV_ANG


def _product(integers: np.ndarray, rows: FloatArray) -> FloatArray:
    """Multiply 3x3 matrices in plain order (a BLAS product may fuse operations)."""
    return np.array(
        [[sum(int(r[k]) * float(rows[k, j]) for k in range(3)) for j in range(3)] for r in integers]
    )


def _det3(m: FloatArray) -> float:
    return float(
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


def _reciprocal(rows: FloatArray) -> FloatArray:
    """Return reciprocal vectors as rows, without the factor 2 pi."""
    a, b, c = rows
    return np.array([np.cross(b, c), np.cross(c, a), np.cross(a, b)]) / _det3(rows)


def _inverse_rows(matrix: FloatArray | np.ndarray) -> FloatArray:
    """Return R with G.r = n @ R @ x for reciprocal indices n and primitive coordinates x."""
    index = round(float(np.linalg.det(matrix)))
    adjugate = np.rint(np.linalg.inv(matrix) * index)
    return np.ascontiguousarray((adjugate / index).T)


def pair_matrix(table: FloatArray, form: HermiteForm) -> FloatArray:
    """Return the symmetric interaction matrix of all copies of the table's sites in the supercell.

    Parameters
    ----------
    table : (n, n, index) floats
        From :func:`ewald_table`.

    Returns
    -------
    (n * index, n * index) floats
        Site s in cell t is row ``s * index + t``; eV per elementary charge squared.
    """
    vectors = cell_vectors(form)
    between = cell_index(vectors[None, :, :] - vectors[:, None, :], form)  # from cell (row) to cell (column)
    n, index = len(table), len(vectors)
    matrix = table[:, :, between].transpose(0, 2, 1, 3).reshape(n * index, n * index)
    return np.ascontiguousarray(0.5 * (matrix + matrix.T))

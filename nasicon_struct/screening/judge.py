"""Charge balance, site sums and radii of many compositions, exact in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasicon_struct.composition import MAX_NA, SITE_SUMS, element_sites
from nasicon_struct.screening.amounts import Amounts


@dataclass
class Judgement:
    """What :func:`nasicon_struct.charge_balance` says of each row.

    Attributes
    ----------
    judged : ndarray of bool, shape (M,)
        Rows with a number in every other array; the others go to the code for single candidates.
    possible : ndarray of bool, shape (M,)
        Neutral, with full sites and at most 4 Na.
    neutral : ndarray of bool, shape (M,)
    net_charge, na_needed : ndarray, shape (M,)
        Elementary charges and Na per O12.
    m_sum, t_sum : ndarray, shape (M,)
        Amounts on the M and T sites per O12.
    amounts : Amounts
        Per O12.
    floats : ndarray, shape (M, E)
        The same as floats.
    charges : list of int
        Formal charge of each column.
    """

    judged: np.ndarray
    possible: np.ndarray
    neutral: np.ndarray
    net_charge: np.ndarray
    na_needed: np.ndarray
    m_sum: np.ndarray
    t_sum: np.ndarray
    amounts: Amounts
    floats: np.ndarray
    charges: list[int]

    def on_site(self, site: str) -> list[int]:
        """Return the columns of the elements of a site."""
        known = element_sites()
        return [j for j, s in enumerate(self.amounts.elements) if s in known and known[s].site == site]


def judge(amounts: Amounts) -> Judgement:
    """Judge amounts as given (any multiple of O12), with the formal charges of the table."""
    known = element_sites()
    scaled = amounts.per_o12()
    elements = scaled.elements
    site = [known[s].site if s in known else "" for s in elements]
    stray = [j for j, name in enumerate(site) if not name]
    m_columns = [j for j, name in enumerate(site) if name == "M"]
    t_columns = [j for j, name in enumerate(site) if name == "T"]
    numerators, denominators = scaled.numerators, scaled.denominators
    m_sum, t_sum = numerators[:, m_columns].sum(axis=1), numerators[:, t_columns].sum(axis=1)
    judged = scaled.read & (numerators[:, stray] == 0).all(axis=1) & (m_sum > 0) & (t_sum > 0)
    charges = [known[s].oxidation_state if s in known and known[s].site else 0 for s in elements]
    net = numerators @ np.array(charges, dtype=np.int64)
    sodium = scaled.column("Na")
    neutral = net == 0
    possible = (
        judged
        & neutral
        & (m_sum == SITE_SUMS["M"] * denominators)
        & (t_sum == SITE_SUMS["T"] * denominators)
        & (sodium <= MAX_NA * denominators)
    )
    judged &= numerators.sum(axis=1) < 2**53
    return Judgement(
        judged=judged,
        possible=possible & judged,
        neutral=neutral & judged,
        net_charge=net / denominators,
        na_needed=(sodium - net) / denominators,
        m_sum=m_sum / denominators,
        t_sum=t_sum / denominators,
        amounts=scaled,
        floats=scaled.floats(),
        charges=charges,
    )


def m_radii(judgement: Judgement) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the Shannon radius on M, angstrom, for sites of two atoms."""
    known = element_sites()
    columns = judgement.on_site("M")
    radii = [known[judgement.amounts.elements[j]].radius_ang or float("nan") for j in columns]
    mean = np.zeros(len(judgement.judged))
    for j, radius in zip(columns, radii, strict=True):
        mean += judgement.floats[:, j] * radius
    mean /= 2
    variance = np.zeros(len(mean))
    for j, radius in zip(columns, radii, strict=True):
        step = radius - mean
        variance += judgement.floats[:, j] * (step * step)
    return mean, np.sqrt(variance / 2)

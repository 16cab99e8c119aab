"""Ideal entropy of mixing on the sites of an average cell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from nasicon_struct.cell import AverageCell
from nasicon_struct.errors import StabilityError
from nasicon_struct.units import BOLTZMANN_EV_PER_K

#: Kinds of site that may mix.
MIXING_SITES: Final = ("Na", "M", "T")


def mixing_entropy_ev_per_k_per_atom(cell: AverageCell, *, sites: Iterable[str] = MIXING_SITES) -> float:
    """Return the ideal entropy of mixing of an average cell.

    ``S = -k sum_sites sum_species x ln x`` with vacancies as a species: every site of a kind is filled at random
    with the average occupancy. Order of any kind lowers it, so it is an upper bound.

    Parameters
    ----------
    cell : AverageCell
    sites : iterable of str, keyword-only
        Kinds of site that mix: any of ``Na``, ``M``, ``T``.

    Returns
    -------
    float
        eV per kelvin per atom.

    Raises
    ------
    StabilityError
        If a kind of site is unknown.
    """
    wanted = set(sites)
    if not wanted <= set(MIXING_SITES):
        raise StabilityError(f"sites that mix are any of {', '.join(MIXING_SITES)}, got {sorted(wanted)}")
    total = 0.0
    for site in cell.sites:
        if site.role.rstrip("0123456789") not in wanted:
            continue
        shares = [float(n) for n in site.occupancies.values()]
        shares.append(1.0 - sum(shares))
        total -= site.per_o12 * sum(x * math.log(x) for x in shares if x > 1e-12)
    return BOLTZMANN_EV_PER_K * total / float(sum(cell.amounts.values()))

"""Driving force of an interface against mixing ratio and voltage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from monty.json import MSONable

from nasicon_struct.errors import StabilityError
from nasicon_struct.interface.reactions import Pair
from nasicon_struct.stability import simplex
from nasicon_struct.stability.inputs import element_symbol, ion_charge
from nasicon_struct.stability.profile import envelope


@dataclass(frozen=True, kw_only=True)
class InterfaceMap(MSONable):
    """Energies of an interface open to an element, on a grid of mixing fraction and voltage.

    Each value is exact at its grid point: it comes from the plateaus of that mixture, not from its
    neighbours.

    Attributes
    ----------
    a, b, source, open_element : str
    fractions_b : ndarray, shape (X,)
        Share of the atoms that come from ``b``.
    voltages_v : ndarray, shape (V,)
        V against the open element's metal.
    energy_ev_per_atom : ndarray, shape (V, X)
        Reaction energy from the two materials as they are, eV per atom of both.
    mutual_energy_ev_per_atom : ndarray, shape (V, X)
        The part that needs both materials.
    assemblage : ndarray of int, shape (V, X)
        Index of the products in ``products``.
    products : tuple of str
        Assemblages, phases joined by " + ".
    """

    a: str
    b: str
    source: str
    open_element: str
    fractions_b: np.ndarray
    voltages_v: np.ndarray
    energy_ev_per_atom: np.ndarray
    mutual_energy_ev_per_atom: np.ndarray
    assemblage: np.ndarray
    products: tuple[str, ...]

    def __post_init__(self) -> None:
        names = "fractions_b voltages_v energy_ev_per_atom mutual_energy_ev_per_atom assemblage"
        for name in names.split():
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        object.__setattr__(self, "products", tuple(self.products))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        result: dict[str, Any] = {"@module": type(self).__module__, "@class": type(self).__name__}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            result[name] = value.tolist() if isinstance(value, np.ndarray) else value
        result["products"] = list(self.products)
        return result


def interface_map(
    a: Any,
    b: Any,
    entries: Any = None,
    *,
    voltages_v: Any = None,
    fractions_b: Any = None,
    open_element: str = "Na",
    reservoirs: Any = None,
) -> InterfaceMap:
    """Return the reaction energy of an interface at every mixing fraction and voltage of a grid.

    Parameters
    ----------
    a, b, entries, open_element, reservoirs
        As for :func:`interface_reactions`.
    voltages_v : array-like, optional, keyword-only
        Voltages, V, 0 or more; by default 0 to 5 V in steps of 25 mV.
    fractions_b : array-like, optional, keyword-only
        Shares of the atoms from ``b``, 0 to 1; by default 101 of them.

    Returns
    -------
    InterfaceMap

    Raises
    ------
    StabilityError
        If a voltage is negative or a fraction outside 0 to 1.
    """
    voltages = _numbers(np.linspace(0.0, 5.0, 201) if voltages_v is None else voltages_v, "voltages")
    fractions = _numbers(
        np.linspace(0.0, 1.0, 101) if fractions_b is None else fractions_b, "mixing fractions"
    )
    if voltages.ndim != 1 or not len(voltages) or not (np.isfinite(voltages) & (voltages >= 0)).all():
        raise StabilityError("the voltages must be a list of numbers, 0 V or more")
    if fractions.ndim != 1 or not len(fractions) or not ((fractions >= 0) & (fractions <= 1)).all():
        raise StabilityError("the mixing fractions must be a list of numbers between 0 and 1")
    open_element = element_symbol(open_element)
    charge = ion_charge(open_element)
    # The pair is closed, with the open element in its system; the grid opens it.
    pair = Pair(
        a,
        b,
        entries,
        voltage_v=None,
        open_element=open_element,
        reservoirs=reservoirs,
        include=(open_element,),
    )
    mu = -charge * voltages
    column = pair.system.column(open_element)
    rows = [_against_voltage(pair, fraction, column, mu) for fraction in fractions]
    names: dict[str, int] = {}
    assemblage = np.empty((len(voltages), len(fractions)), dtype=int)
    hull = np.empty((len(voltages), len(fractions)))
    for x, (energy, labels) in enumerate(rows):
        hull[:, x] = energy
        assemblage[:, x] = [names.setdefault(label, len(names)) for label in labels]
    ends = [_against_voltage(pair, end, column, mu)[0] for end in (0.0, 1.0)]
    own = [pair.grand[k] / pair.atoms[k] - pair.vectors[k][column] / pair.atoms[k] * mu for k in (0, 1)]
    weight = fractions[None, :]
    reactants = (1 - weight) * own[0][:, None] + weight * own[1][:, None]
    alone = (1 - weight) * ends[0][:, None] + weight * ends[1][:, None]
    return InterfaceMap(
        a=pair.formulas[0],
        b=pair.formulas[1],
        source=pair.entries.source,
        open_element=open_element,
        fractions_b=fractions,
        voltages_v=voltages,
        energy_ev_per_atom=_clean(hull - reactants),
        mutual_energy_ev_per_atom=_clean(hull - alone),
        assemblage=assemblage,
        products=tuple(names),
    )


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise StabilityError(f"the {what} must be a list of numbers, got {type(values).__name__}") from None


def _clean(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) < 1e-10, 0.0, values)


def _against_voltage(
    pair: Pair, fraction: float, column: int, mu: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Return the grand potential per atom of a mixture at each potential, and the names of its products."""
    vector = (1 - fraction) * pair.vectors[0] / pair.atoms[0] + fraction * pair.vectors[1] / pair.atoms[1]
    base = vector.copy()
    base[column] = 0.0
    if base.sum() <= 1e-14:
        # Nothing but the open element: it leaves.
        return np.zeros(len(mu)), [pair.system.free[column]] * len(mu)
    unit = np.zeros(len(base))
    unit[column] = 1.0
    hull = pair.system.hull
    _, starts = envelope(hull, base, unit)
    solved = simplex.solve(hull.x, hull.e, base + starts[:, None] * unit, hull.elements_at)
    energies = solved.energies_ev[None, :] - starts[None, :] * mu[:, None]
    best = np.argmin(energies, axis=1)
    labels = []
    for k in range(len(starts)):
        present = solved.amounts[k] > 1e-10 * solved.amounts[k].sum()
        labels.append(" + ".join(sorted(hull.labels[i] for i in solved.basis[k][present])))
    return energies[np.arange(len(mu)), best], [labels[k] for k in best]

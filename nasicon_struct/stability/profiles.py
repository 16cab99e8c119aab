"""Profiles of many compositions at once: what each exchanges at every voltage, exact, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct.errors import StabilityError
from nasicon_struct.stability.batch import aligned, amounts_table, system_of
from nasicon_struct.stability.envelopes import envelopes
from nasicon_struct.stability.inputs import element_symbol, ion_charge
from nasicon_struct.units import FARADAY_MAH_PER_MOL

if TYPE_CHECKING:
    import pandas as pd

_ARRAYS: Final = ("offsets", "v_low", "v_high", "exchanged", "capacity_mah_per_g")


@dataclass(frozen=True, kw_only=True)
class ProfileTable(MSONable):
    """Steps of many profiles, one after the other: those of composition i are ``offsets[i]:offsets[i + 1]``.

    Attributes
    ----------
    open_element, source : str
    charge : int
        Charge of the open element's ion.
    offsets : ndarray of int, shape (M + 1,)
    v_low, v_high : ndarray, shape (K,)
        Range of each step, V against the open element's metal, rising from 0 within a profile; ``v_high`` of
        the last step is inf.
    exchanged : ndarray, shape (K,)
        Atoms of the open element taken up per unit of the composition as given; negative where given up.
    capacity_mah_per_g : ndarray, shape (K,)
        The same as charge per mass of the composition, mAh/g.
    """

    open_element: str
    source: str
    charge: int
    offsets: np.ndarray
    v_low: np.ndarray
    v_high: np.ndarray
    exchanged: np.ndarray
    capacity_mah_per_g: np.ndarray

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            object.__setattr__(self, name, np.asarray(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def steps(self, row: int) -> dict[str, np.ndarray]:
        """Return the steps of one composition: arrays by name.

        Raises
        ------
        StabilityError
            If there is no such row.
        """
        if not 0 <= row < len(self):
            raise StabilityError(f"there is no row {row}; the table holds rows 0 to {len(self) - 1}")
        part = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        return {name: getattr(self, name)[part] for name in _ARRAYS[1:]}

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas DataFrame: one line per step, the composition in column ``row``."""
        import pandas as pd

        rows = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        return pd.DataFrame({"row": rows, **{name: getattr(self, name) for name in _ARRAYS[1:]}})

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types; inf as Python writes it."""
        result: dict[str, Any] = {"@module": type(self).__module__, "@class": type(self).__name__}
        for name in ("open_element", "source", "charge"):
            result[name] = getattr(self, name)
        return {**result, **{name: getattr(self, name).tolist() for name in _ARRAYS}}


def voltage_profiles(
    compositions: Any,
    entries: Any = None,
    *,
    open_element: str = "Na",
    elements: Sequence[str] | None = None,
    reservoirs: Any = None,
) -> ProfileTable:
    """Return what each of many compositions exchanges at every voltage.

    Parameters
    ----------
    compositions : sequence of composition-like, ndarray of shape (M, E), or DataFrame with element columns
    entries : anything that :func:`nasicon_struct.as_entry_set` takes
    open_element : str, keyword-only
        Element exchanged with the electrode.
    elements : sequence of str, keyword-only
        Columns of an array.
    reservoirs : Reservoir or sequence of Reservoir, optional, keyword-only

    Returns
    -------
    ProfileTable
        The same voltages and amounts as the steps of :func:`stability_window`, without its reactions.

    Raises
    ------
    CompositionError, EntriesError, StabilityError
        If a composition cannot be read, holds nothing but exchanged elements, or the entries do not cover it.
    """
    open_element = element_symbol(open_element)
    charge = ion_charge(open_element)
    from pymatgen.core.periodic_table import Element

    table, symbols = amounts_table(compositions, elements)
    system, found = system_of(table, symbols, entries, reservoirs, open_element)
    base = aligned(table, symbols, system.free)
    column = system.column(open_element)
    own = base[:, column].copy()
    base[:, column] = 0.0
    empty = np.flatnonzero(base.sum(axis=1) <= 0)
    if len(empty):
        raise StabilityError(
            f"row {int(empty[0])} holds nothing but exchanged elements; give compounds of others"
        )
    unit = np.zeros(len(system.free))
    unit[column] = 1.0
    paths = envelopes(system.hull, base, unit)
    # Each path rises in potential; a profile rises in voltage.
    order = np.arange(len(paths.slopes))
    path = paths.path
    order = paths.offsets[path] + paths.offsets[path + 1] - 1 - order
    first = np.zeros(len(order), dtype=bool)
    first[paths.offsets[:-1]] = True
    below = np.where(first, -np.inf, np.concatenate([[-np.inf], paths.slopes[:-1]]))
    exchanged = (paths.starts - own[path])[order]
    scale = table.sum(axis=1)[path]
    exchanged[np.abs(exchanged) < 1e-9 * scale] = 0.0
    mass = table @ np.array([float(Element(symbol).atomic_mass) for symbol in symbols])
    return ProfileTable(
        open_element=open_element,
        source=found.source,
        charge=charge,
        offsets=paths.offsets,
        v_low=np.abs(np.minimum(paths.slopes, 0.0))[order] / charge,
        v_high=np.abs(below)[order] / charge,
        exchanged=exchanged,
        capacity_mah_per_g=exchanged * charge * FARADAY_MAH_PER_MOL / mass[path],
    )

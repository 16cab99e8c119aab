"""Driving forces of many interfaces at once: every electrolyte against every electrode, exact, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct.entries import EntrySet, formula_of
from nasicon_struct.errors import StabilityError
from nasicon_struct.interface.reactions import electrode_reservoir
from nasicon_struct.stability.batch import aligned, amounts_table, own_energies, system_of
from nasicon_struct.stability.envelopes import envelopes
from nasicon_struct.stability.inputs import element_symbol
from nasicon_struct.stability.reservoirs import Reservoir, as_reservoirs
from nasicon_struct.stability.system import System

if TYPE_CHECKING:
    import pandas as pd

_ARRAYS: Final = (
    "driving_force_ev_per_atom",
    "fraction_b",
    "mutual_driving_force_ev_per_atom",
    "mutual_fraction_b",
)
_NOISE_EV: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class InterfaceTable(MSONable):
    """Driving forces of A electrolytes against B electrodes.

    Attributes
    ----------
    electrolytes, electrodes : tuple of str
        Formulas; the rows and columns of the arrays.
    source : str
    voltage_v : float or None
        Voltage against the open element's metal; None for closed interfaces.
    open_element : str
    driving_force_ev_per_atom : ndarray, shape (A, B)
        Largest energy that a mixture of the two gives off, eV per atom of both.
    fraction_b : ndarray, shape (A, B)
        Share of the atoms from the electrode in that mixture.
    mutual_driving_force_ev_per_atom, mutual_fraction_b : ndarray, shape (A, B)
        The same for the part that needs both materials: beyond what each gives off alone.
    """

    electrolytes: tuple[str, ...]
    electrodes: tuple[str, ...]
    source: str
    voltage_v: float | None
    open_element: str
    driving_force_ev_per_atom: np.ndarray
    fraction_b: np.ndarray
    mutual_driving_force_ev_per_atom: np.ndarray
    mutual_fraction_b: np.ndarray

    def __post_init__(self) -> None:
        for name in ("electrolytes", "electrodes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in _ARRAYS:
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas DataFrame: one line per pair, electrolyte and electrode first."""
        import pandas as pd

        n = len(self.electrodes)
        columns: dict[str, Any] = {
            "electrolyte": [name for name in self.electrolytes for _ in range(n)],
            "electrode": list(self.electrodes) * len(self.electrolytes),
        }
        columns.update({name: getattr(self, name).ravel() for name in _ARRAYS})
        return pd.DataFrame(columns)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        result: dict[str, Any] = {"@module": type(self).__module__, "@class": type(self).__name__}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            result[name] = value.tolist() if isinstance(value, np.ndarray) else value
        result["electrolytes"], result["electrodes"] = list(self.electrolytes), list(self.electrodes)
        return result


def interface_table(
    electrolytes: Sequence[Any],
    electrodes: Sequence[Any],
    entries: Any = None,
    *,
    voltage_v: float | None = None,
    open_element: str = "Na",
    reservoirs: Any = None,
) -> InterfaceTable:
    """Return the driving force of every electrolyte against every electrode.

    Parameters
    ----------
    electrolytes, electrodes : sequence of composition-like
        A material without an energy among the entries is taken to lie on the closed hull.
    entries : anything that :func:`nasicon_struct.as_entry_set` takes
    voltage_v : float, optional, keyword-only
        Voltage at which the open element is exchanged with outside, V against its metal; None for closed
        interfaces.
    open_element : str, keyword-only
    reservoirs : Reservoir or sequence of Reservoir, optional, keyword-only

    Returns
    -------
    InterfaceTable
        The same driving forces as :func:`interface_reactions`, which gives the reactions of a pair.

    Raises
    ------
    CompositionError, EntriesError, StabilityError
        If a material cannot be read, holds nothing but exchanged elements, or the entries do not cover it.
    """
    for given in (electrolytes, electrodes):
        if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
            raise StabilityError(
                f"expected a list of materials, got {type(given).__name__}; put a single material into a list"
            )
    open_element = element_symbol(open_element)
    first, second = list(electrolytes), list(electrodes)
    if not first or not second:
        raise StabilityError("there is nothing to mix; give at least one electrolyte and one electrode")
    held: list[Reservoir] = list(as_reservoirs(reservoirs))
    if voltage_v is not None:
        held.append(electrode_reservoir(voltage_v, open_element, held))
    names = [formula_of(item) for item in (*first, *second)]
    table, symbols = amounts_table([*first, *second], None)
    system, found = system_of(table, symbols, entries, held, None)
    vectors = aligned(table, symbols, system.free)
    empty = np.flatnonzero(vectors.sum(axis=1) <= 0)
    if len(empty):
        raise StabilityError(
            f"{names[empty[0]]} holds nothing but elements that are exchanged or held by a "
            "reservoir; leave the voltage or the reservoir out to let it react as a material"
        )
    atoms = table.sum(axis=1)
    grand = _grand_energies(found, table, symbols, held)
    hull = system.hull.energies(vectors)
    n = len(first)
    # Every electrolyte (row) with every electrode: pair k holds a[k] and b[k].
    a, b = (index.ravel() for index in np.meshgrid(np.arange(n), np.arange(n, len(table)), indexing="ij"))
    paths = envelopes(system.hull, vectors[a], vectors[b])
    pair, t, energy = paths.path, paths.starts, paths.energies_ev
    # Pure b ends the path.
    pair = np.concatenate([pair, np.arange(len(a))])
    share_a = np.concatenate([np.ones(len(t)), np.zeros(len(a))])
    share_b = np.concatenate([t, np.ones(len(a))])
    energy = np.concatenate([energy, hull[b]])
    size = share_a * atoms[a[pair]] + share_b * atoms[b[pair]]
    fraction = share_b * atoms[b[pair]] / size
    shape = (n, len(second))
    columns = []
    for own in (grand, hull):
        given_off = (share_a * own[a[pair]] + share_b * own[b[pair]] - energy) / size
        given_off[np.abs(given_off) < _NOISE_EV] = 0.0
        # Rounded, so that of equal energies the smaller fraction counts, as in interface_reactions.
        order = np.lexsort((fraction, -np.round(given_off, 12), pair))
        best = order[np.searchsorted(pair[order], np.arange(len(a)))]
        columns += [given_off[best].reshape(shape), fraction[best].reshape(shape)]
    return InterfaceTable(
        electrolytes=tuple(names[:n]),
        electrodes=tuple(names[n:]),
        source=found.source,
        voltage_v=voltage_v,
        open_element=open_element,
        **dict(zip(_ARRAYS, columns, strict=True)),
    )


def _grand_energies(
    found: EntrySet, table: np.ndarray, symbols: Sequence[str], held: Sequence[Reservoir]
) -> np.ndarray:
    """Return the grand potential of each material, eV per unit of its amounts."""
    atoms = table.sum(axis=1)
    energies = own_energies(found, table / atoms[:, None], symbols, None) * atoms
    unknown = np.isnan(energies)
    if unknown.any():
        closed: System = system_of(table, symbols, found, None, None)[0]
        energies[unknown] = closed.hull.energies(aligned(table[unknown], symbols, closed.free))
    mu = {item.element: item.mu_relative_ev for item in held}
    return energies - table @ np.array([mu.get(symbol, 0.0) for symbol in symbols])

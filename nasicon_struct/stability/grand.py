"""The pymatgen object: a GrandPotentialPhaseDiagram whose chemical potentials are rightly referenced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nasicon_struct.entries import as_entry_set, chemical_system
from nasicon_struct.errors import StabilityError
from nasicon_struct.stability.inputs import element_symbol, finite_number, ion_charge
from nasicon_struct.stability.reservoirs import as_reservoirs

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import GrandPotentialPhaseDiagram
    from pymatgen.core.periodic_table import Element


def chemical_potentials_absolute_ev(
    entries: Any,
    *,
    voltage_v: float | None = None,
    open_element: str = "Na",
    reservoirs: Any = None,
    system: Any = None,
) -> dict[Element, float]:
    """Return the absolute chemical potentials that pymatgen's grand potentials need, eV per atom.

    Parameters
    ----------
    entries : anything that :func:`nasicon_struct.as_entry_set` takes
    voltage_v : float, optional, keyword-only
        Voltage against the open element's metal, V: ``mu = E(metal) - z V``.
    open_element : str, keyword-only
    reservoirs : Reservoir or sequence of Reservoir, optional, keyword-only
        Further elements, by potentials relative to the element: ``mu = E(element) + mu_relative``.
    system : optional, keyword-only
        What an embedded set is cut down to.

    Returns
    -------
    dict of pymatgen Element to float
        On the scale of the entries: that of formation energies where they are such, else absolute.

    Raises
    ------
    StabilityError
        If nothing is given, or an element has no reference in the entries.
    """
    from pymatgen.core.periodic_table import Element

    open_element = element_symbol(open_element)
    found = as_entry_set(entries, system=system, open_element=open_element)
    references = found.reference_ev_per_atom
    relative: dict[str, float] = {}
    if voltage_v is not None:
        charge = ion_charge(open_element)
        relative[open_element] = -charge * finite_number(voltage_v, "voltage", "V")
    for item in as_reservoirs(reservoirs):
        if item.element in relative:
            raise StabilityError(
                f"{item.element} is given twice, by the voltage and by a reservoir; give one"
            )
        relative[item.element] = item.mu_relative_ev
    if not relative:
        raise StabilityError("no element is open; give voltage_v or reservoirs")
    missing = [symbol for symbol in relative if symbol not in references]
    if missing:
        raise StabilityError(
            f"the entries hold no element {missing[0]}, so its potential has no reference; add it"
        )
    return {Element(symbol): references[symbol] + value for symbol, value in relative.items()}


def grand_potential_diagram(
    entries: Any,
    *,
    voltage_v: float | None = None,
    open_element: str = "Na",
    reservoirs: Any = None,
    system: Any = None,
) -> GrandPotentialPhaseDiagram:
    """Return pymatgen's grand potential phase diagram at a voltage, with its potentials rightly referenced.

    Parameters
    ----------
    entries, voltage_v, open_element, reservoirs, system
        As for :func:`chemical_potentials_absolute_ev`. Potentials enter as a voltage or as
        :class:`Reservoir`, both relative to the element of the same entry set, so a relative value cannot be
        taken for an absolute one.

    Returns
    -------
    GrandPotentialPhaseDiagram

    Raises
    ------
    StabilityError
        If the voltage is below 0 V, or the entries hold nothing but open elements.
    EntriesError
        If there are no entries for an element.

    Notes
    -----
    Below 0 V the metal itself would be unstable; pymatgen does not notice, so it is refused here.
    """
    from pymatgen.analysis.phase_diagram import GrandPotentialPhaseDiagram

    open_element = element_symbol(open_element)
    found = as_entry_set(entries, system=system, open_element=open_element)
    if system is not None:
        held = {item.element for item in as_reservoirs(reservoirs)}
        if voltage_v is not None:
            held.add(open_element)
        found = found.subset({*chemical_system(system), *held})
    potentials = chemical_potentials_absolute_ev(
        found, voltage_v=voltage_v, open_element=open_element, reservoirs=reservoirs
    )
    if voltage_v is not None and voltage_v < 0:
        raise StabilityError(
            f"below 0 V against {open_element} metal plates without limit, got {voltage_v} V; use 0 V or more"
        )
    if {element.symbol for element in potentials} >= set(found.elements):
        raise StabilityError(
            f"the entries hold nothing but open elements ({', '.join(found.elements)}); give a compound of others"
        )
    return GrandPotentialPhaseDiagram(found.pdentries(), potentials)

"""Interfaces: what two materials form with each other, closed or at a voltage, and whether it passivates."""

from __future__ import annotations

from nasicon_struct.interface.maps import InterfaceMap, interface_map
from nasicon_struct.interface.passivation import (
    ElectronicCharacter,
    Interphase,
    electronic_character,
    interphase,
    judge,
)
from nasicon_struct.interface.reactions import InterfaceKink, InterfaceReactions, interface_reactions
from nasicon_struct.interface.table import InterfaceTable, interface_table
from nasicon_struct.interface.uncertainty import InterfaceUncertainty, interface_uncertainty

__all__ = [
    "ElectronicCharacter",
    "InterfaceKink",
    "InterfaceMap",
    "InterfaceReactions",
    "InterfaceTable",
    "InterfaceUncertainty",
    "Interphase",
    "electronic_character",
    "interface_map",
    "interface_reactions",
    "interface_table",
    "interface_uncertainty",
    "interphase",
    "judge",
]

"""Write the table of docs/interphases.md: predicted products beside reported ones.

    python scripts/interphase_report.py

Run it after changing a file of structures/entries/ or structures/tables/interphase_products.csv.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from nasicon_struct import interface_reactions, interphase, reference
from nasicon_struct.entries import chemical_system
from nasicon_struct.errors import NasiconError
from nasicon_struct.interface import interface_uncertainty

DOC = Path(__file__).resolve().parent.parent / "docs" / "interphases.md"
LEVELS = ("chgnet-r2scan", "mp2019-gga")


@dataclass(frozen=True)
class Contact:
    """One contact: what is in touch, as computed, and under which names the tables report it."""

    electrolyte: str
    partner: str
    reported_electrolytes: tuple[str, ...]
    reported_partners: tuple[str, ...]
    note: str = ""


CONTACTS = (
    Contact("Na3SbS4", "Na15Sn4", ("Na3SbS4",), ("Na15Sn4",)),
    Contact("Na3PS4", "Na15Sn4", ("Na3PS4",), ("Na15Sn4",)),
    Contact("Na3SbS4", "S", ("Na3SbS4",), ("S + C",), "the cathode composite, milled"),
    Contact(
        "Na3Zr2Si2PO12",
        "Na",
        ("Na3Zr2Si2PO12", "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12", "Na3.2Zr1.8Sc0.2Si2PO12"),
        ("Na", "Na (melt, 380 C)", "Na (pressed, 30 MPa)"),
    ),
    Contact("Na3Zr2Si2PO12", "Na3V2(PO4)3", ("Na3Zr2Si2PO12",), ("Na3V2(PO4)3, 920-1000 C",)),
    Contact("Na3Zr2Si2PO12", "C", ("Na3Zr2Si2PO12",), (), "hard carbon as graphite; gases (CO) are left out"),
    Contact(
        "Na3Zr2Si2PO12",
        "Na4B2O5",
        ("Na3Zr2Si2PO12", "Na3.4Zr1.95Al0.05Si2.35P0.65O12"),
        ("10 wt% 2Na2CO3 + B2O3, 900 C",),
        "the melt of 2 Na2CO3 + B2O3 without its CO2",
    ),
    Contact(
        "Na3Zr2Si2PO12",
        "La2O3",
        ("La-doped Na3Zr2Si2PO12", "Na3.4Zr2Si2.4P0.6O12 + 2.5 mol% Na3LaP2O8"),
        ("no additive", "1260 C"),
        "Na3LaP2O8 has no energy at any level here",
    ),
)


def reported(contact: Contact) -> str:
    """Return what papers report for a contact."""
    found: dict[str, list[str]] = {}
    for row in reference.read_rows("interphase_products"):
        if (
            row["electrolyte"] in contact.reported_electrolytes
            and row["partner"] in contact.reported_partners
        ):
            source = re.split(r",? Fig\.|, section|, introduction|, text|, Supporting", row["source"])[0]
            found.setdefault(f"{row['product']} ({row['status']})", []).append(source)
    if not found:
        return "nothing in the tables"
    sources = sorted({source for items in found.values() for source in items})
    return "; ".join(found) + " [" + "; ".join(sources) + "]"


def predicted(contact: Contact, level: str) -> tuple[str, str, str]:
    """Return products and driving force of the strongest reaction, and products in an excess of the partner."""
    system = chemical_system([contact.electrolyte, contact.partner])
    try:
        pair = interface_reactions(contact.electrolyte, contact.partner, level)
    except NasiconError:
        return f"{'-'.join(system)}: not covered", "", ""
    kink = pair.strongest_mutual
    if kink is None or abs(kink.mutual_energy_ev_per_atom) < 5e-4:
        return "no reaction", "0", ""
    products = " + ".join(part.formula for part in kink.products)
    inner = [item for item in pair.kinks if 0 < item.fraction_b < 1]
    last = max(inner, key=lambda item: item.fraction_b)
    excess = " + ".join(part.formula for part in last.products)
    spread = interface_uncertainty(contact.electrolyte, contact.partner, level)
    low, high = (1000 * value for value in spread.interval_ev_per_atom)
    return products, f"{-1000 * kink.mutual_energy_ev_per_atom:.0f} ({low:.0f} to {high:.0f})", excess


def at_the_metal(electrolyte: str, level: str) -> str:
    """Return the products at 0 V."""
    try:
        layer = interphase(electrolyte, level)
    except NasiconError:
        return "not covered"
    return " + ".join(part.formula for part in layer.products) + f" ({layer.verdict})"


def contacts_table() -> str:
    """Predicted beside reported."""
    rows = []
    for contact in CONTACTS:
        for number, level in enumerate(LEVELS):
            products, energy, excess = predicted(contact, level)
            name = f"{contact.electrolyte}, {contact.partner}"
            told = reported(contact) + (f". {contact.note}" if contact.note else "")
            rows.append([*(("", "") if number else (name, told)), f"`{level}`", products, energy, excess])
    heads = [
        "contact",
        "reported",
        "level",
        "predicted at the strongest reaction",
        "meV/atom",
        "with most of the partner",
    ]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def metal_table() -> str:
    """What each electrolyte becomes in an excess of sodium."""
    rows = []
    for electrolyte in ("Na3SbS4", "Na3PS4", "Na3Zr2Si2PO12", "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12"):
        for number, level in enumerate(LEVELS):
            rows.append(["" if number else electrolyte, f"`{level}`", at_the_metal(electrolyte, level)])
    heads = ["electrolyte", "level", "in an excess of sodium (0 V)"]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def main() -> None:
    """Fill in the tables."""
    text = DOC.read_text(encoding="utf-8")
    for name, make in (("contacts", contacts_table), ("metal", metal_table)):
        pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        table = make()
        text = pattern.sub(lambda match, table=table: f"{match[1]}\n{table}\n\n{match[2]}", text)
    DOC.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

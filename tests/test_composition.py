"""Charge balance and site sums: laws, published formulas, damage."""

from __future__ import annotations

import json
import random
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

import nasicon_struct as ns
from nasicon_struct import reference
from nasicon_struct.composition import element_sites
from nasicon_struct.formula import ELEMENTS, exact, format_formula, parse_formula

DOPANTS = [
    "Sc",
    "Zn",
    "Al",
    "Mg",
    "Ca",
    "Y",
    "La",
    "Yb",
    "Hf",
    "Ti",
    "Ge",
    "Nb",
    "Ta",
    "Sn",
    "Fe",
    "Cr",
    "V",
    "Ga",
    "In",
]
percent = st.integers(0, 60).map(lambda n: Fraction(n, 100))


@st.composite
def neutral(draw: st.DrawFn) -> ns.NasiconComposition:
    names = draw(st.lists(st.sampled_from(DOPANTS), max_size=3, unique=True))
    dopants = {name: draw(st.integers(1, 20).map(lambda n: Fraction(n, 60))) for name in names}
    x_si = Fraction(draw(st.integers(0, 20)), 10)
    needed = 1 + x_si + sum((4 - element_sites()[s].oxidation_state) * n for s, n in dopants.items())
    assume(0 <= needed <= 4)
    return ns.NasiconComposition.from_dopants(dopants, x_si=x_si)


@given(neutral())
@settings(deadline=None, max_examples=150)
def test_laws_of_a_neutral_composition(c: ns.NasiconComposition) -> None:
    assert c.net_charge == 0
    assert sum(c.m_site.values()) == 2
    assert sum(c.t_site.values()) == 3
    assert 0 <= c.na <= 4
    assert ns.NasiconComposition.from_formula(c.formula) == c
    assert ns.NasiconComposition.from_dict(json.loads(json.dumps(c.as_dict()))) == c
    assert hash(ns.NasiconComposition.from_any(c.composition)) == hash(c)
    balance = ns.charge_balance(c)
    assert balance.neutral
    assert balance.na_needed == c.na
    assert not balance.problems


@given(neutral(), st.integers(1, 12), st.randoms())
@settings(deadline=None, max_examples=60)
def test_invariant_under_order_and_multiple(c: ns.NasiconComposition, z: int, rng: random.Random) -> None:
    items = [(symbol, amount * z) for symbol, amount in c.amounts.items()]
    rng.shuffle(items)
    assert ns.NasiconComposition.from_formula(format_formula(items)) == c


@given(neutral(), st.integers(-30, 30).filter(bool))
@settings(deadline=None, max_examples=60)
def test_charge_off_by_sodium(c: ns.NasiconComposition, hundredths: int) -> None:
    amounts = dict(c.amounts)
    amounts["Na"] = c.na_exact + Fraction(hundredths, 100)
    if amounts["Na"] <= 0:
        return
    with pytest.raises(ns.ChargeBalanceError) as caught:
        ns.NasiconComposition.from_any(amounts)
    assert caught.value.net_charge == pytest.approx(hundredths / 100, abs=1e-15)
    assert caught.value.na_needed == c.na


@given(st.lists(st.tuples(st.sampled_from(ELEMENTS), st.integers(1, 500)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=200)
def test_parser_agrees_with_pymatgen(items: list[tuple[str, int]]) -> None:
    text = "".join(f"{symbol}{number / 100:g}" for symbol, number in items)
    theirs = Composition(text)
    ours = parse_formula(text)
    assert {s: float(n) for s, n in ours.items()} == pytest.approx(theirs.get_el_amt_dict())


@pytest.mark.parametrize("mark", ["\ufeff", "\u200b", "\u00ad", "\u2060"])
def test_invisible_characters_of_web_pages_do_not_count(mark: str) -> None:
    assert parse_formula(f"{mark}Na3{mark}Zr2Si2PO12{mark}") == parse_formula("Na3Zr2Si2PO12")


def test_brackets_and_subscripts() -> None:
    assert (
        ns.NasiconComposition.from_formula("Na3.4Sc0.4Zr1.6(SiO4)2(PO4)").formula == "Na3.4Zr1.6Sc0.4Si2PO12"
    )
    assert ns.NasiconComposition.from_formula("Na₃Zr₂Si₂PO₁₂").formula == "Na3Zr2Si2PO12"
    assert parse_formula("Na3Zr2/3Fe4/3P3O12")["Zr"] == Fraction(2, 3)


def test_all_formulas_of_xun_table_s1_are_neutral() -> None:
    """Xun et al. 2025, SI Table S1: 26 rows."""
    rows = [
        row
        for row in reference.read_rows("conductivity")
        if "S1" in row["source"] or "Table S1" in row["source"]
    ]
    formulas = [row["formula"] for row in rows]
    assert len(formulas) == 26
    for formula in formulas:
        assert ns.charge_balance(formula).neutral, formula
        assert not ns.charge_balance(formula).problems, formula


@pytest.mark.parametrize(
    ("formula", "charge", "needed"),
    [("Na3.4Zr2Si2.35P0.65O12", 0.05, 3.35), ("Na3Zr2Si2P3O12", 10, -7)],
)
def test_misprinted_formulas_of_xun_si(formula: str, charge: float, needed: float) -> None:
    """Xun et al. 2025, SI, experimental section: two formulas printed with a net charge."""
    balance = ns.charge_balance(formula)
    assert not balance.neutral
    assert (balance.net_charge, balance.na_needed) == (charge, needed)
    with pytest.raises(ns.ChargeBalanceError) as caught:
        ns.NasiconComposition.from_formula(formula)
    assert caught.value.na_needed == needed


def test_series_of_li_2025() -> None:
    """Li et al. 2025: Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12, x = 0 to 0.20."""
    series = ns.composition_series("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", x=[0, 0.05, 0.1, 0.15, 0.2])
    assert [c.na for c in series] == [3.2, 3.3, 3.4, 3.5, 3.6]
    assert series[2] == ns.NasiconComposition.from_dopants({"Sc": 0.2, "Zn": 0.1})
    assert series[0].dopants == {"Sc": 0.2}
    grid = ns.composition_series("Na1+x+yZr2-yScySixP3-xO12", x=[1, 2], y=[0, 0.5])
    assert [(c.x_si, c.dopants.get("Sc", 0)) for c in grid] == [(1, 0), (1, 0.5), (2, 0), (2, 0.5)]


@pytest.mark.parametrize(
    ("template", "values", "rule"),
    [
        ("Na3Zr2Si2PO12", {"x": [1]}, "does not hold the variable"),
        ("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", {"x": [2]}, "negative"),
        ("Na3.2+xZr1.8-xSc0.2ZnxSi2PO12", {"x": [0.1]}, "net charge"),
        ("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", {"x": [float("nan")]}, "finite"),
        ("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", {"x": 0.1}, "list of numbers"),
        ("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", {}, "needs the values"),
    ],
)
def test_series_errors(template: str, values: dict, rule: str) -> None:
    with pytest.raises(ns.CompositionError, match=rule):
        ns.composition_series(template, **values)


def test_overrides() -> None:
    assert ns.charge_balance("Na3V2(PO4)3", oxidation_states={"V": 3}).neutral
    assert ns.charge_balance("Na3V2(PO4)3", oxidation_states={"V": 4}).net_charge == 2
    for bad in ({"Qq": 3}, {"V": 12}, {"V": "x"}, {"O": 2}):
        with pytest.raises(ns.CompositionError):
            ns.charge_balance("Na3V2(PO4)3", oxidation_states=bad)


def test_dopants_named_by_the_package() -> None:
    for symbol in DOPANTS:
        assert element_sites()[symbol].site == "M"
        assert element_sites()[symbol].radius_ang


def test_off_site_elements_are_named() -> None:
    with pytest.raises(ns.CompositionError, match="B sits on no NASICON site"):
        ns.charge_balance("Na3Zr2Si2PB0.1O12")
    with pytest.raises(ns.CompositionError, match="additive"):
        ns.charge_balance("Na3Zr2Si2PO12-5 wt% Na2SiO3")


def test_inputs() -> None:
    structure = Structure(Lattice.cubic(5), ["Na", "Na", "Na"], [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0]])
    with pytest.raises(ns.CompositionError, match="no oxygen"):
        ns.charge_balance(structure)
    assert ns.charge_balance(Composition("Na12Zr8Si8P4O48")).formula == "Na3Zr2Si2PO12"
    assert exact(0.1 + 0.2) == Fraction(3, 10)
    for bad in (None, 3, ["Na"], float("nan")):
        with pytest.raises(ns.CompositionError):
            ns.charge_balance(bad)


def test_site_sums_are_judged() -> None:
    assert "M (Zr" in ns.charge_balance("Na3Zr1.9Si2PO12").problems[0]
    with pytest.raises(ns.CompositionError, match="outside 0 to 4"):
        ns.NasiconComposition.from_dopants({"Zn": 1}, x_si=2)
    with pytest.raises(ns.CompositionError, match="the M site holds 2"):
        ns.NasiconComposition.from_dopants({"Zn": 2.5}, x_si=0)
    with pytest.raises(ns.CompositionError, match="no dopant"):
        ns.NasiconComposition.from_dopants({"Si": 0.5})


def malformed(count: int = 200) -> list[str]:
    """Formulas damaged in every way that comes to mind, from one seed."""
    rng = random.Random(20251121)
    fixed = [
        "", " ", "\x00", "Na", "NaCl", "Xx3Zr2Si2PO12", "na3zr2si2po12", "Na3Zr2Si2PO", "(Na3Zr2", "Na3Zr2)Si2PO12",
        "Na3..4Zr2Si2PO12", "Na3,4Zr2Si2PO12", "Na-3Zr2Si2PO12", "Na3Zr2Si2PO12+", "=Na3Zr2Si2PO12", "Na3Zr2Si2PO12/0",
        "Na1/0Zr2Si2PO12", "Na3Zr2Si2PO12·H2O", "Na3Zr2Si2PO12 5 wt% NaF", "nan", "inf", "1e400", "Na1e5Zr2Si2PO12",
        "Na3Zr2Si2PO12" * 10_000, "((((((((((Na))))))))))", "Na3Zr2Si2PO0", "Na0Zr0O0", "()", "Na3()Zr2", "🧂3Zr2Si2PO12",
        "Na3Zr2Si2PO12; DROP TABLE", "Na3xZr2Si2PO12", "Na99999999Zr2Si2PO12", "3Na", "Na3Zr2Si2PO12\nNa3Zr2", "D2O",
    ]  # fmt: skip
    while len(fixed) < count:
        text = list("Na3.4Zr1.7Sc0.2Zn0.1Si2PO12")
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(text))
            action = rng.randrange(3)
            if action == 0:
                text[place] = rng.choice("!?@#$%^&*()[]{}<>~|\\;:'\"qxjéß∑ -+/.,")
            elif action == 1:
                text.insert(place, rng.choice("Qq(){}[]..--++%%$$"))
            else:
                del text[place]
        fixed.append("".join(text))
    return fixed


def test_two_hundred_malformed_formulas() -> None:
    messages: list[str] = []
    for text in malformed():
        try:
            c = ns.NasiconComposition.from_formula(text)
        except ns.CompositionError as error:
            messages.append(str(error))
        else:  # what is read must be right: pymatgen reads the same
            assert c.composition.almost_equals(
                Composition(text.replace(" ", "")) / (Composition(text.replace(" ", ""))["O"] / 12)
            )
    assert len(messages) >= 190
    assert all(len(text) < 600 and "\n" not in text for text in messages)

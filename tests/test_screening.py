"""Screening: every row equals the functions for one candidate; bad candidates keep their row and a reason."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nasicon_struct as ns
from nasicon_struct.errors import CompositionError, ScreeningError
from nasicon_struct.formula import format_amount, parse_formula
from nasicon_struct.screening import (
    COLUMNS,
    DesignSpace,
    ScreenSettings,
    candidate_row,
    measured_conductivities,
    nearest_conductivity,
    screen,
    series,
)
from nasicon_struct.screening.amounts import read_formulas, write_formulas

pa = pytest.importorskip("pyarrow")

DOPANTS = ("Sc", "Zn", "Al", "Mg", "Y", "Ca", "Nb", "Hf", "Ti", "Fe", "La", "Ge", "V")
#: Candidates that no run may stumble over, each with a word of its reason.
MALFORMED = {
    "": "empty",
    "   ": "empty",
    "=SUM(A1:A9)": "expected",
    "+1+1": "expected",
    "@cmd": "expected",
    "-2": "expected",
    "Na-3Zr2Si2PO12": "no place",
    "NaN": "holds no oxygen",
    "nan": "no element",
    "inf": "no element",
    "Na3Zr2Si2PO12" * 8000: "at most 400",
    "Na1e5Zr2Si2PO12": "no element",
    "Na3Zr2Si2PO12·H2O": "additive",
    "Na３Zr２Si２P１O１２?": "expected",
    "натрий": "no element",
    "\x00\x01": "expected",
    "Na3Zr2(Si2P": "bracket",
    "Na1/0Zr2Si2PO12": "zero",
    "Na9999999Zr2Si2PO12": "exceeds",
    "Cu3Zr2Si2PO12": "Na",
    "Na3Zr2Si2P": "no oxygen",
    "NaCl": "no oxygen",
    "O12": "nothing sits",
    "Na0Zr0O0": "zero",
    "Na3Zr2Si2PO12 + 5 wt% Na2SiO3": "additive",
}


def same(ours: Any, theirs: Any) -> bool:
    """Equal to the last digit; None and NaN are one."""
    empty = [value is None or value != value for value in (ours, theirs)]
    return all(empty) if any(empty) else ours == theirs


def error_of(function: Any, *arguments: Any, **options: Any) -> tuple[Any, str]:
    """Return the result of a call and "", or None and the sentence of its error."""
    try:
        return function(*arguments, **options), ""
    except ns.NasiconError as error:
        return None, str(error)


def random_formulas(count: int, seed: int) -> list[str]:
    """Neutral, off-balance, overfull and multiplied formulas."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        chosen = rng.choice(DOPANTS, rng.integers(0, 4), replace=False).tolist()
        dopants = {symbol: Fraction(int(rng.integers(1, 60)), 100) for symbol in chosen}
        si = Fraction(int(rng.integers(0, 301)), 100)
        try:
            amounts = dict(ns.NasiconComposition.from_dopants(dopants, x_si=si).amounts)
        except CompositionError:
            amounts = {
                "Na": Fraction(9, 2),
                "Zr": Fraction(2),
                "Si": si,
                "P": 3 - si,
                "O": Fraction(12),
                **dopants,
            }
        kind = rng.integers(0, 10)
        if kind == 0:
            amounts["Na"] = amounts.get("Na", Fraction(0)) + Fraction(int(rng.integers(1, 9)), 20)
        if kind == 1:
            amounts = {symbol: amount * int(rng.integers(2, 5)) for symbol, amount in amounts.items()}
        if kind == 2:
            amounts["O"] -= Fraction(1, 7)
        symbols = [s for s in amounts if amounts[s]]
        rng.shuffle(symbols)
        found.append("".join(symbol + format_amount(amounts[symbol]) for symbol in symbols))
    return found


@pytest.mark.slow
def test_a_thousand_rows_equal_the_functions_for_one() -> None:
    formulas = random_formulas(1000, 6)
    table = screen(formulas, chunk_rows=300)
    assert len(table) == 1000
    assert table["status"].value_counts().to_dict().keys() == {"possible", "rejected"}
    assert (table["status"] == "possible").sum() > 500
    for number, formula in enumerate(formulas):
        row = table.iloc[number]
        balance = ns.charge_balance(formula)
        assert (row["formula"], row["neutral"]) == (balance.formula, balance.neutral)
        assert (row["net_charge"], row["na_needed"]) == (balance.net_charge, balance.na_needed)
        composition, why = error_of(ns.NasiconComposition.from_formula, formula)
        if composition is None:
            assert row["status"] == "rejected"
            assert sorted(row["reason"]) == sorted(why)  # the same, with elements in canonical order
            continue
        assert (row["status"], row["reason"]) == ("possible", "")
        assert (row["na"], row["si"], row["p"]) == (composition.na, composition.x_si, composition.x_p)
        assert parse_formula(row["m_site"]) == composition.m_site
        assert parse_formula(row["t_site"]) == composition.t_site
        assert row["m_radius_mean_ang"] == composition.m_radius_mean_ang
        assert row["m_radius_spread_ang"] == composition.m_radius_spread_ang
        phase = ns.assign_phase(composition)
        assert (row["phase"], row["probability_monoclinic"]) == (phase.phase, phase.probability_monoclinic)
        assert row["transition_temperature_k"] == phase.transition_temperature_k
        assert row["transition_temperature_se_k"] == phase.transition_temperature_se_k
        near = nearest_conductivity(composition)
        assert row["literature_distance"] == near.distance
        assert row["literature_sigma_s_per_cm"] == near.measured.sigma_s_per_cm
        window, why = error_of(ns.stability_window, composition, uncertainty=False)
        if window is None:
            assert row["stability_note"] == why
            assert math.isnan(row["hull_energy_ev_per_atom"])
            continue
        assert row["hull_energy_ev_per_atom"] == window.hull_energy_ev_per_atom
        assert row["energy_source"] == window.source
        assert row["assemblage_reduction_v"] == window.assemblage_reduction_v
        assert row["assemblage_oxidation_v"] == window.assemblage_oxidation_v
        assert row["competing_phases"] == " + ".join(sorted(part.formula for part in window.decomposition))
        assert same(row["e_above_hull_ev_per_atom"], window.e_above_hull_ev_per_atom)
        assert same(row["reduction_v"], window.reduction_v)


def test_rows_with_an_energy_of_their_own_have_intervals() -> None:
    formulas = [
        "Na3Zr2Si2PO12",
        "NaZr2P3O12",
        "Na4Zr2Si3O12",
        "Na6Zr4Si4P2O24",
        "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12",
    ]
    table = screen(formulas, predicted_cell=True)
    options = ScreenSettings(predicted_cell=True)
    for number, formula in enumerate(formulas):
        one = candidate_row(formula, options)
        for name in one:
            if name not in ("candidate", "input"):
                assert same(table.iloc[number][name], one[name]), (formula, name)
        window = ns.stability_window(one["formula"])
        known = window.uncertainty
        row = table.iloc[number]
        if window.e_above_hull_ev_per_atom is None:
            assert "no energy of this composition" in row["stability_note"]
            assert math.isnan(row["e_above_hull_low_ev_per_atom"])
            continue
        assert known is not None
        assert known.e_above_hull_interval_ev_per_atom == (
            row["e_above_hull_low_ev_per_atom"],
            row["e_above_hull_high_ev_per_atom"],
        )
        assert row["probability_stable"] == known.probability_stable
        assert row["stability_note"] == window.reason
    cell = ns.predict_lattice("Na3Zr2Si2PO12", phase="monoclinic")
    assert cell.cell is not None
    assert table.iloc[0]["a_h_ang"] == cell.a_h_ang
    assert table.iloc[0]["cell_beta_deg"] == cell.cell[4]


def test_malformed_candidates_keep_their_row_and_a_reason() -> None:
    table = screen([*MALFORMED, "Na3Zr2Si2PO12", None, 3.5, b"Na3Zr2Si2PO12", ["x"]])
    assert table["candidate"].tolist() == list(range(len(table)))
    for number, (text, word) in enumerate(MALFORMED.items()):
        row = table.iloc[number]
        assert row["status"] in ("unreadable", "rejected"), text[:40]
        assert word in row["reason"], (text[:40], row["reason"])
        assert row["input"] == (text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)")
        one = candidate_row(text)
        assert (one["status"], one["reason"]) == (row["status"], row["reason"])
    assert table.iloc[len(MALFORMED)]["status"] == "possible"
    assert (table["status"].iloc[len(MALFORMED) + 1 :] == "unreadable").all()


def test_candidates_in_other_clothes() -> None:
    from pymatgen.core.composition import Composition

    plain = screen(["Na3Zr2Si2PO12"]).drop(columns="input")
    others: list[Any] = [
        "Na₃Zr₂Si₂PO₁₂",
        "Na3Zr2(SiO4)2PO4",
        " Na3 Zr2 Si2 P O12 ",
        "Na6Zr4Si4P2O24",
        Composition("Na3Zr2Si2PO12"),
        ns.NasiconComposition.from_dopants(),
    ]
    for other in others:
        pd.testing.assert_frame_equal(screen([other]).drop(columns="input"), plain)


@given(st.lists(st.text(max_size=30), max_size=8))
@settings(deadline=None, max_examples=60)
def test_any_text_is_a_row(texts: list[str]) -> None:
    table = screen(texts, entries="mp2019-gga")
    assert len(table) == len(texts)
    assert table["status"].notna().all()
    assert (table["reason"].str.len() > 0).equals(table["status"].astype(str) != "possible")


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(("Na", "Zr", "Sc", "Si", "P", "O", "Co", "C", "U")),
                st.decimals(0, 2000, places=3, allow_nan=False, allow_infinity=False),
            ),
            min_size=1,
            max_size=8,
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(deadline=None, max_examples=200)
def test_fast_reader_agrees_with_the_exact_parser(rows: list[list[tuple[str, Any]]]) -> None:
    texts = ["".join(f"{symbol}{amount:f}" for symbol, amount in row) for row in rows]
    amounts = read_formulas(pa.array(texts))
    written = write_formulas(amounts).to_pylist()
    for i, text in enumerate(texts):
        try:
            expected = parse_formula(text)
        except CompositionError:
            expected = {}
        if not amounts.read[i]:
            continue  # left to the exact parser
        found = {
            symbol: Fraction(int(n), int(amounts.denominators[i]))
            for symbol, n in zip(amounts.elements, amounts.numerators[i], strict=True)
            if n
        }
        assert found == expected
        assert (parse_formula(written[i]) if written[i] else {}) == expected


def test_other_settings_reach_the_rows() -> None:
    formula = "Na3Zr2Si2PO12"
    hot = screen([formula], temperature_k=600.0).iloc[0]
    assert (
        hot["probability_monoclinic"] == ns.assign_phase(formula, temperature_k=600.0).probability_monoclinic
    )
    entries = ns.load_entries("Na-Zr-Si-P-O").without("NaZr2P3O12")
    own = screen([formula], entries=entries, n_samples=50, seed=3).iloc[0]
    window = ns.stability_window(formula, entries, n_samples=50, seed=3)
    assert same(own["reduction_v"], window.reduction_v)
    assert same(own["e_above_hull_ev_per_atom"], window.e_above_hull_ev_per_atom)
    lithium = screen(["Na3Zr2Si2PO12"], open_element="Zn").iloc[0]
    assert (
        lithium["assemblage_reduction_v"]
        == ns.stability_window(formula, open_element="Zn").assemblage_reduction_v
    )


def test_elements_without_energies_say_so() -> None:
    entries = ns.load_entries("Na-Zr-Si-P-O")
    row = screen(["Na3.2Zr1.8Sc0.2Si2PO12"], entries=entries).iloc[0]
    assert row["status"] == "possible"
    assert "does not cover Sc" in row["stability_note"]
    assert math.isnan(row["assemblage_oxidation_v"])
    assert row["probability_monoclinic"] > 0


# ---- design spaces and series


def space() -> DesignSpace:
    return DesignSpace.from_ranges(
        ["Sc", "Zn", "Nb"], stop="0.3", step="0.1", at_most=2, si=("1.8", "2.2", "0.2")
    )


def test_design_space_counts_every_combination_once() -> None:
    made = space()
    assert len(made) == 3 * (
        1 + 3 * 3 + 3 * 9
    )  # Si times no, one, or two of three dopants with three amounts
    table = screen(made)
    assert len(table) == len(made)
    assert table["formula"].dropna().is_unique
    for number in range(0, len(made), 7):
        row = table.iloc[number]
        try:
            expected = made.composition(number)
        except CompositionError:
            assert row["status"] == "rejected"
        else:
            assert (row["formula"], row["status"]) == (expected.formula, "possible")


def test_design_space_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text(
        '[dopants]\nelements = ["Sc", "Zn"]\nfrom = 0\nto = 0.2\nstep = 0.1\nat_most = 1\n'
        "[dopants.ranges.Zn]\nto = 0.1\nstep = 0.05\n[si]\nfrom = 1.6\nto = 2.6\nstep = 0.1\n"
    )
    made = DesignSpace.from_toml(file)
    assert made.dopants == {"Sc": ("1/10", "1/5"), "Zn": ("1/20", "1/10")}
    assert len(made) == 11 * 5
    assert DesignSpace.from_dict(made.as_dict()) == made
    assert len(screen(file)) == 55


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[dopants", "TOML"),
        ('[dopants]\nelements = ["Xx"]\nto = 1\nstep = 1', "Xx"),
        ('[dopants]\nelements = ["Sc"]\nto = 1', "step"),
        ('[dopants]\nelements = ["Sc"]\nto = 1\nstep = 0', "positive"),
        ('[dopants]\nelements = ["Sc"]\nto = 3\nstep = 1', "at most 2"),
        ('[dopants]\nelements = "Sc"\nto = 3\nstep = 1', "list"),
        ('[dopants]\nelements = ["Sc"]\nto = 1\nstep = 0.1\nat_most = -1', "at_most"),
        ("[silicon]\nto = 1", "silicon"),
        ("[si]\nfrom = 1\nto = 4\nstep = 1", "Si"),
        ('[dopants]\nelements = ["Sc", "Y", "Al", "Zn"]\nto = 2\nstep = 0.0001', "larger"),
    ],
)
def test_bad_design_spaces_are_refused(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(ScreeningError, match=word):
        DesignSpace.from_toml(file)


def test_series_equals_composition_series() -> None:
    template = "Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12"
    table = screen(series(template, x="0:0.2:0.05"))
    expected = ns.composition_series(template, x=[0, 0.05, 0.1, 0.15, 0.2])
    assert table["formula"].tolist() == [item.formula for item in expected]
    assert table["x"].tolist() == [0.0, 0.05, 0.1, 0.15, 0.2]
    two = screen(series("Na1+x+2yZr2-yZnySixP3-xO12", x="0:3:0.5", y=[0, "1/10"]))
    assert len(two) == 14
    assert two["na"].tolist() == pytest.approx((1 + two["x"] + 2 * two["y"]).tolist())
    below = screen(series("Na3-xZr2Si2PO12", x=[0, 4]))
    assert below["status"].tolist() == ["possible", "rejected"]
    assert "negative" in below["reason"].iloc[1]


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("Na3Zr2", {}),
        ("Na3xx", {"x": "0:1:0.1"}),
        ("Na3+x", {"xy": [1]}),
        ("Na3+x", {"x": "0:1"}),
        ("x", {"x": []}),
    ],
)
def test_bad_series_are_refused(template: str, values: dict[str, Any]) -> None:
    with pytest.raises(ScreeningError):
        series(template, **values)


# ---- literature


def test_measured_conductivities_come_from_the_table() -> None:
    rows = {item.formula: item for item in measured_conductivities()}
    # B. Xun et al. 2025, SI Table S1: Na3.4Zr1.9Zn0.1Si2.2P0.8O12, 5.3e-3 S/cm
    assert rows["Na3.4Zr1.9Zn0.1Si2.2P0.8O12"].sigma_s_per_cm == 5.3e-3
    for item in rows.values():
        assert item.sigma_low_s_per_cm <= item.sigma_s_per_cm <= item.sigma_high_s_per_cm
        assert item.sources
        assert nearest_conductivity(item.formula).distance == 0.0
        assert type(item).from_dict(item.as_dict()) == item
    near = nearest_conductivity("Na3.5Zr1.8Zn0.2Si2.1P0.9O12")
    assert type(near).from_dict(near.as_dict()) == near


def test_every_column_says_what_it_is() -> None:
    table = screen(["Na3Zr2Si2PO12"])
    assert list(table.columns) == list(COLUMNS)
    assert all(column.meaning for column in COLUMNS.values())

"""Batch sheets: conservation laws, cases worked out by hand, and weighings printed in papers."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nasicon_struct.batch import (
    BatchSheet,
    SinteringAid,
    batch_masses,
    default_precursor,
    parse_precursor,
)
from nasicon_struct.cli.batch import command
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.errors import ChargeBalanceError, CompositionError

# Atomic masses (IUPAC 2005, g/mol) for the cases by hand.
NA, ZR, SI, P, O = 22.98976928, 91.224, 28.0855, 30.973762, 15.9994  # noqa: E741
H, C, N, B, SC, ZN, AL = 1.00794, 12.0107, 14.0067, 10.811, 44.955912, 65.409, 26.9815386


def test_plain_case_by_hand() -> None:
    # 1.5 Na2CO3 + 2 ZrO2 + 2 SiO2 + NH4H2PO4 -> Na3Zr2Si2PO12 + 1.5 CO2 + NH3 + 1.5 H2O
    # M = 3*22.98976928 + 2*91.224 + 2*28.0855 + 30.973762 + 12*15.9994 = 530.5548698
    # n = 10 / 530.5548698 = 0.018848192 mol
    # Na2CO3 1.5 n * 105.98843856 = 2.99653; ZrO2 2 n * 123.2228 = 4.64507; SiO2 2 n * 60.0843 = 2.26497
    # NH4H2PO4 n * 115.025702 = 2.16803
    sheet = batch_masses("Na3Zr2Si2PO12", mass_g=10)
    molar = 3 * NA + 2 * ZR + 2 * SI + P + 12 * O
    n = 10 / molar
    assert sheet.molar_mass_g_per_mol == pytest.approx(molar, rel=1e-9)
    assert sheet.masses_g == pytest.approx(
        {
            "Na2CO3": 1.5 * n * (2 * NA + C + 3 * O),
            "ZrO2": 2 * n * (ZR + 2 * O),
            "SiO2": 2 * n * (SI + 2 * O),
            "NH4H2PO4": n * (N + 6 * H + P + 4 * O),
        },
        rel=1e-9,
    )
    assert sheet.masses_g == pytest.approx(
        {"Na2CO3": 2.99653, "ZrO2": 4.64507, "SiO2": 2.26497, "NH4H2PO4": 2.16803}, abs=2e-5
    )
    assert sheet.equation == (
        "1.5 Na2CO3 + 2 ZrO2 + 2 SiO2 + NH4H2PO4 -> Na3Zr2Si2PO12 + 1.5 CO2 + NH3 + 1.5 H2O"
    )
    # gas per formula unit 1.5*44.0095 + 17.03052 + 1.5*18.01528 = 110.06769; weighed 640.62256; 17.1814 %
    assert sheet.loss_percent == pytest.approx(17.1814, abs=1e-4)


def test_excess_of_the_scandium_zinc_series() -> None:
    # Z. Li et al., EES Batteries 1 (2025) 1740: Na2CO3, ZrO2, SiO2, Sc2O3, ZnO (99 %), NH4H2PO4 (99 %),
    # 5 mol% excess of Na and P. Per formula unit Na3.4Zr1.7Sc0.2Zn0.1Si2PO12:
    # Na2CO3 3.4/2*1.05 = 1.785, ZrO2 1.7, Sc2O3 0.1, ZnO 0.1, SiO2 2, NH4H2PO4 1.05
    sheet = batch_masses(
        "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12",
        precursors={"Na": "Na2CO3", "P": "NH4H2PO4"},
        mass_g=10,
        excess={"Na": 0.05, "P": 0.05},
        purity={"ZnO": 0.99, "NH4H2PO4": 0.99},
    )
    molar = 3.4 * NA + 1.7 * ZR + 0.2 * SC + 0.1 * ZN + 2 * SI + P + 12 * O
    n = 10 / molar
    assert {line.precursor: line.moles_exact for line in sheet.lines} == {
        "Na2CO3": "357/200",
        "ZrO2": "17/10",
        "Sc2O3": "1/10",
        "ZnO": "1/10",
        "SiO2": "2",
        "NH4H2PO4": "21/20",
    }
    assert sheet.masses_g == pytest.approx(
        {
            "Na2CO3": 1.785 * n * (2 * NA + C + 3 * O),
            "ZrO2": 1.7 * n * (ZR + 2 * O),
            "Sc2O3": 0.1 * n * (2 * SC + 3 * O),
            "ZnO": 0.1 * n * (ZN + O) / 0.99,
            "SiO2": 2 * n * (SI + 2 * O),
            "NH4H2PO4": 1.05 * n * (N + 6 * H + P + 4 * O) / 0.99,
        },
        rel=1e-9,
    )
    # the excess stays as 0.085 Na2O and 0.025 P2O5 until it evaporates
    oxides = n * (0.085 * (2 * NA + O) + 0.025 * (2 * P + 5 * O))
    assert sheet.excess_oxides_g == pytest.approx(oxides, rel=1e-9)
    assert "0.085 Na2O + 0.025 P2O5" in sheet.equation


def test_weighing_printed_by_liu_2024() -> None:
    # L. Liu et al., J. Power Sources (2024) 235773, section 4: 0.025 mol Na3.4Zr2Si2.4P0.6O12 from 7.224 g
    # NaNO3, 52.43 g of a solution with 11.75 wt% ZrO2, 12.500 g Si(OCH2CH3)4 and 1.725 g NH4H2PO4.
    sheet = batch_masses(
        "Na3.4Zr2Si2.4P0.6O12",
        precursors=["NaNO3", "ZrO2", "Si(OCH2CH3)4", "NH4H2PO4"],
        amount_mol=0.025,
        purity={"ZrO2": 0.1175},
    )
    printed = {"NaNO3": 7.224, "ZrO2": 52.43, "Si(OCH2CH3)4": 12.500, "NH4H2PO4": 1.725}
    for name, mass in printed.items():
        assert sheet.masses_g[name] == pytest.approx(mass, rel=3e-4)
    # ... and 2.5 mol% Na3LaP2O8 from 0.159 g NaNO3, 0.271 g La(NO3)3 6H2O, 0.144 g NH4H2PO4
    extra = batch_masses(
        "Na3LaP2O8",
        precursors=["NaNO3", "La(NO3)3·6H2O", "NH4H2PO4"],
        amount_mol=0.025 * 0.025,
    )
    printed = {"NaNO3": 0.159, "La(NO3)3·6H2O": 0.271, "NH4H2PO4": 0.144}
    for name, mass in printed.items():
        assert extra.masses_g[name] == pytest.approx(mass, abs=6e-4)
    assert "not a formula on the NASICON sites" in extra.notes[0]


def test_mixed_sources_of_xun_2025() -> None:
    # B. Xun et al. 2025, Supporting Information: Na3PO4, Na2CO3, ZrO2, SiO2, Al2O3. All P comes with 0.65
    # Na3PO4, which brings 1.95 Na; 3.4 - 1.95 = 1.45 Na remain for 0.725 Na2CO3. One solution.
    sheet = batch_masses(
        "Na3.4Zr1.95Al0.05Si2.35P0.65O12",
        precursors="Na3PO4, ZrO2, SiO2, Na2CO3, Al2O3",
        sintering_aid="10N2B",
    )
    assert [line.moles_exact for line in sheet.lines] == ["13/20", "39/20", "47/20", "29/40", "1/40"]
    # 10N2B on 10 g: 1 g of 2 Na2CO3 + B2O3: 211.97687712 and 69.6202 of 281.59707712
    aid = {line.precursor: line.mass_g for line in sheet.aid_lines}
    assert aid == pytest.approx({"Na2CO3": 211.97687712 / 281.59707712, "B2O3": 69.6202 / 281.59707712})
    assert sum(aid.values()) == pytest.approx(1.0, rel=1e-12)
    # CO2: 2 * 44.0095 / 281.59707712 g
    assert sheet.aid_gas_g == pytest.approx(88.019 / 281.59707712)


@pytest.mark.parametrize(
    ("name", "moles"),
    [
        ("10NB3", {"Na2CO3": 1, "B2O3": 3}),
        ("10NB2", {"Na2CO3": 1, "B2O3": 2}),
        ("10NB", {"Na2CO3": 1, "B2O3": 1}),
        ("10N2B", {"Na2CO3": 2, "B2O3": 1}),
        ("10N3B", {"Na2CO3": 3, "B2O3": 1}),
        ("10 wt% (2Na2CO3 + B2O3)", {"Na2CO3": 2, "B2O3": 1}),
        ("10 wt% Na2B4O7", {"Na2B4O7": 1}),
        ({"wt_percent": 10, "moles": {"Na2SiO3": 1}}, {"Na2SiO3": 1}),
    ],
)
def test_names_of_sintering_aids(name: object, moles: dict[str, float]) -> None:
    aid = SinteringAid.from_any(name)
    assert aid.moles == moles
    assert aid.wt_percent == 10
    assert SinteringAid.from_any(aid) is aid


def test_hydrates() -> None:
    for text in ("Na3PO4.12H2O", "Na3PO4·12H2O", "Na3PO4 · 12 H2O", "Na3PO4*12H2O"):
        assert parse_precursor(text).amounts == {"Na": 3, "P": 1, "O": 16, "H": 24}
    assert parse_precursor("Na2CO3.H2O").amounts["H"] == 2
    assert parse_precursor("ZrO2·0.5H2O").amounts["O"] == Fraction(5, 2)
    # Na3PO4 12 H2O has M = 163.940669... + 12 * 18.01528 = 380.1241 against 163.9407
    wet = batch_masses("Na3Zr2Si2PO12", precursors=["Na3PO4.12H2O", "ZrO2", "SiO2"])
    dry = batch_masses("Na3Zr2Si2PO12", precursors=["Na3PO4", "ZrO2", "SiO2"])
    assert dry.gases_g == {}
    ratio = wet.masses_g["Na3PO4.12H2O"] / dry.masses_g["Na3PO4"]
    assert ratio == pytest.approx(380.124 / 163.941, rel=1e-5)
    assert wet.gases_g["H2O"] == pytest.approx(12 * wet.amount_mol * (2 * H + O))


def test_oxygen_from_the_air() -> None:
    # Fe3O4 for Fe3+: per Fe 4/3 O are brought and 3/2 kept, so Fe takes 1/12 O2 from the air
    sheet = batch_masses("Na3Fe2P3O12", precursors=["Na2CO3", "Fe3O4", "NH4H2PO4"])
    assert sheet.gases_g["O2"] == pytest.approx(-2 / 12 * sheet.amount_mol * 2 * O)
    assert any("from the air" in note for note in sheet.notes)
    assert "0.166667" not in sheet.equation
    assert "1/6 O2" in sheet.equation


def test_order_and_shares_decide() -> None:
    rest = ["NH4H2PO4", "ZrO2", "SiO2"]
    soda = batch_masses("Na3Zr2Si2PO12", precursors=["Na2CO3", "Na3PO4", *rest])
    phosphate = batch_masses("Na3Zr2Si2PO12", precursors=["Na3PO4", "Na2CO3", *rest])
    assert soda.masses_g["Na3PO4"] == 0
    assert any(note.startswith("Na3PO4 is not needed") for note in soda.notes)
    assert phosphate.masses_g["Na2CO3"] == phosphate.masses_g["NH4H2PO4"] == 0
    half = batch_masses("Na3Zr2Si2PO12", precursors={"Na": {"Na2CO3": 0.5, "Na3PO4": 0.5}})
    amounts = {line.precursor: Fraction(line.moles_exact) for line in half.lines}
    # half of 3 Na as 0.75 Na2CO3 and 0.5 Na3PO4, which brings 0.5 P; 0.5 NH4H2PO4 for the rest
    assert amounts == {
        "Na2CO3": Fraction(3, 4),
        "Na3PO4": Fraction(1, 2),
        "ZrO2": 2,
        "SiO2": 2,
        "NH4H2PO4": Fraction(1, 2),
    }
    same = batch_masses(
        "Na3Zr2Si2PO12", precursors=["Na3PO4", "Na2CO3", *rest], shares={"Na": {"Na2CO3": "1/2"}}
    )
    assert same.masses_g == pytest.approx(half.masses_g)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precursors": ["ZrO2", "SiO2"]}, "no precursor brings Na, P; add one, such as Na2CO3, NH4H2PO4"),
        ({"precursors": ["NaCl", "ZrO2", "SiO2", "NH4H2PO4"]}, "brings Cl"),
        ({"precursors": ["NaH2PO4", "ZrO2", "SiO2"]}, "tie Na and P together"),
        ({"precursors": ["Na4SiO4", "Na3PO4", "ZrO2", "SiO2"], "excess": {"P": 0.5}}, "would be needed"),
        ({"precursors": {"Na2CO3": 1}}, "are elements of the target"),
        ({"precursors": []}, "no precursor is given"),
        ({"precursors": 3}, "must be a list"),
        ({"precursors": ["CO2", "Na2CO3"]}, "nothing of CO2 stays"),
        ({"precursors": [7]}, "must be a formula"),
        ({"precursors": ["NH4PO4", "Na2CO3", "ZrO2", "SiO2"], "purity": {"MgO": 1}}, "not weighed"),
        ({"mass_g": -1}, "greater than 0"),
        ({"mass_g": 1, "amount_mol": 1}, "not both"),
        ({"excess": {"Na": 5}}, "between 0 and 1"),
        ({"excess": {"K": 0.1}}, "does not hold"),
        ({"purity": {"ZrO2": 99}}, "write 0.99"),
        ({"purity": {"MgO": 0.9}}, "which is not weighed"),
        ({"shares": {"Na": {"Na2CO3": 0.5}}}, "no other precursor brings it"),
        ({"shares": {"Na": {"ZrO2": 0.5}}}, "is no source of it"),
        ({"shares": {"K": {"K2CO3": 0.5}}}, "does not hold"),
        ({"shares": {"Na": {"Na2CO3": 1.5}}}, "sum to at most 1"),
        ({"sintering_aid": "N2B"}, "weight percentage in front, as in '10N2B'"),
        ({"sintering_aid": "some glass"}, "cannot read the sintering aid"),
        ({"sintering_aid": "120N2B"}, "between 0 and 100"),
        ({"sintering_aid": {"Na2CO3": 2}}, "is written as"),
    ],
)
def test_errors_are_one_clear_sentence(options: dict, words: str) -> None:
    with pytest.raises(CompositionError, match=None) as caught:
        batch_masses("Na3Zr2Si2PO12", **options)
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert len(message) < 400


def test_targets_that_cannot_be_made() -> None:
    with pytest.raises(ChargeBalanceError, match="excess=") as caught:
        batch_masses("Na3.4Zr2Si2.35P0.65O12")
    assert caught.value.na_needed == pytest.approx(3.35)
    with pytest.raises(CompositionError, match="leaves on calcination"):
        batch_masses("Na3MgP3O9N")
    with pytest.raises(CompositionError, match="no oxide"):
        batch_masses("Na3PS4")


def test_usual_precursors() -> None:
    usual = {
        e: default_precursor(e)
        for e in ("Na", "Zr", "Si", "P", "Al", "Sc", "Zn", "Y", "Nb", "Mg", "La", "Ca")
    }
    assert usual == {
        "Na": "Na2CO3",
        "Zr": "ZrO2",
        "Si": "SiO2",
        "P": "NH4H2PO4",
        "Al": "Al2O3",
        "Sc": "Sc2O3",
        "Zn": "ZnO",
        "Y": "Y2O3",
        "Nb": "Nb2O5",
        "Mg": "MgO",
        "La": "La2O3",
        "Ca": "CaCO3",
    }


@settings(deadline=None, max_examples=60)
@given(
    sc=st.integers(0, 40),
    zn=st.integers(0, 20),
    si=st.integers(100, 200),
    na=st.integers(0, 20),
    p=st.integers(0, 20),
    source=st.sampled_from(["Na2CO3", "NaHCO3", "NaOH", "NaNO3", "Na2CO3·10H2O", "CH3COONa"]),
)
def test_mass_and_every_element_are_conserved(
    sc: int, zn: int, si: int, na: int, p: int, source: str
) -> None:
    x_si = Fraction(si, 100)
    target = NasiconComposition.from_dopants({"Sc": Fraction(sc, 100), "Zn": Fraction(zn, 100)}, x_si=x_si)
    sheet = batch_masses(
        target, precursors={"Na": source}, excess={"Na": Fraction(na, 100), "P": Fraction(p, 100)}
    )
    gas = sum(sheet.gases_g.values())
    assert sheet.weighed_g == pytest.approx(10 + sheet.excess_oxides_g + gas, rel=1e-9)
    assert sheet.loss_percent == pytest.approx(100 * (1 - sheet.calcined_g / sheet.weighed_g), rel=1e-9)
    brought: dict[str, Fraction] = {}
    for line in sheet.lines:
        for symbol, n in parse_precursor(line.precursor).fixed.items():
            brought[symbol] = brought.get(symbol, Fraction(0)) + n * Fraction(line.moles_exact)
    factors = {"Na": 1 + Fraction(na, 100), "P": 1 + Fraction(p, 100)}
    assert brought == {s: n * factors.get(s, 1) for s, n in target.amounts.items() if s != "O"}


def test_round_trip_and_scaling() -> None:
    sheet = batch_masses("Na3.4Zr1.7Sc0.2Zn0.1Si2PO12", excess={"Na": 0.05}, sintering_aid="5NB")
    assert BatchSheet.from_dict(json.loads(sheet.to_json())) == sheet
    double = batch_masses("Na6.8Zr3.4Sc0.4Zn0.2Si4P2O24", mass_g=20, excess={"Na": 0.05})
    assert double.masses_g == pytest.approx({k: 2 * v for k, v in sheet.masses_g.items()})
    frame = sheet.to_dataframe()
    assert list(frame["purpose"]) == ["electrolyte"] * 6 + ["sintering aid"] * 2
    assert frame["mass_g"].sum() == pytest.approx(sheet.weighed_g + 0.5)


def test_command(tmp_path: Path) -> None:
    runner = CliRunner()
    csv_file = tmp_path / "sheet.csv"
    assert runner.invoke(command, ["Na3Zr2Si2PO12", "--csv", str(csv_file)]).exit_code == 0
    assert len(csv_file.read_text().splitlines()) == 5
    assert runner.invoke(command, ["Na3Zr2Si2PO12", "--csv", str(csv_file)]).exit_code == 0
    other = tmp_path / "candidates.csv"
    other.write_text("formula\nNa3Zr2Si2PO12\n")
    refused = runner.invoke(command, ["Na3Zr2Si2PO12", "--csv", str(other)])
    assert refused.exit_code == 2
    assert "is no batch sheet" in refused.output
    assert other.read_text() == "formula\nNa3Zr2Si2PO12\n"
    shown = runner.invoke(
        command,
        ["Na3.4Zr1.7Sc0.2Zn0.1Si2PO12", "--excess", "Na=5%", "--excess", "P=0.05", "--aid", "10N2B"],
    )
    assert shown.exit_code == 0
    assert "3.5837" in shown.output
    assert "0.7528" in shown.output
    options = "--precursors Na3PO4,Na2CO3,NH4H2PO4,ZrO2,SiO2 --share Na:Na2CO3=50% --purity Na3PO4=98% --json"
    found = runner.invoke(command, ["Na3Zr2Si2PO12", *options.split()])
    data = json.loads(found.output)
    assert data["lines"][0]["moles_exact"] == "1/2"
    assert data["lines"][0]["purity"] == 0.98
    assert runner.invoke(command, ["Na3Zr2Si2PO12", "--excess", "Na"]).exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        ("--excess", "Na=5%", "--excess", "Na=6%"),
        ("--purity", "ZrO2=0.9", "--purity", "ZrO2=0.8"),
        ("--share", "Na:Na2CO3=0.5", "--share", "Na:Na2CO3=0.4"),
    ],
)
def test_no_number_replaces_another_in_silence(options: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(command, ["Na3Zr2Si2PO12", *options])
    assert shown.exit_code == 2
    assert "twice; give one number" in shown.output

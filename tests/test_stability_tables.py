"""Profiles and interfaces as arrays: the same answers as one at a time, by either route to the hull."""

from __future__ import annotations

import json

import numpy as np
import pytest
from monty.json import MontyDecoder

from nasicon_struct.entries import Entry, EntrySet, load_entries
from nasicon_struct.errors import StabilityError
from nasicon_struct.interface import InterfaceTable, interface_reactions, interface_table
from nasicon_struct.stability import ProfileTable, parse_reservoir, stability_window, voltage_profiles
from nasicon_struct.stability import hull as hull_module
from nasicon_struct.stability.envelopes import envelopes
from nasicon_struct.stability.profile import upper_envelope


def random_entries(seed: int, elements: str, n: int) -> EntrySet:
    rng = np.random.default_rng(seed)
    symbols = elements.split("-")
    made = [Entry(formula=symbol, energy_ev_per_atom=0.0) for symbol in symbols]
    while len(made) < n:
        amounts = rng.integers(0, 4, len(symbols))
        if (amounts > 0).sum() < 2:
            continue
        formula = "".join(f"{s}{a}" for s, a in zip(symbols, amounts, strict=True) if a)
        # Rounded energies make ties and coplanar phases.
        made.append(Entry(formula=formula, energy_ev_per_atom=round(float(-rng.gamma(2.0, 0.4)), 1)))
    return EntrySet(entries=tuple(made), source=f"random-{seed}")


@pytest.fixture(params=[True, False], ids=["full hull", "facet cache"])
def route(request, monkeypatch):
    monkeypatch.setattr(hull_module, "MAX_ELEMENTS_OF_FULL_HULL", 6 if request.param else 1)
    return request.param


def compare_with_windows(entries: EntrySet, compositions: list[dict[str, int]], **options) -> None:
    table = voltage_profiles(compositions, entries, **options)
    for row, amounts in enumerate(compositions):
        window = stability_window(amounts, entries, uncertainty=False, **options)
        divisor = np.gcd.reduce(list(amounts.values()))
        found = table.steps(row)
        assert found["v_low"] == pytest.approx([s.v_low for s in window.steps], abs=1e-8)
        assert found["v_high"] == pytest.approx([s.v_high for s in window.steps], abs=1e-8)
        assert found["exchanged"] / divisor == pytest.approx([s.exchanged for s in window.steps], abs=1e-8)
        capacities = [s.capacity_mah_per_g for s in window.steps]
        assert found["capacity_mah_per_g"] == pytest.approx(capacities, abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_profiles_are_those_of_single_windows(seed, route):
    elements = ["Na-P-S", "Na-Sb-P-S", "Na-Zr-Si-P-O"][seed % 3]
    entries = random_entries(seed, elements, 40 + 30 * seed)
    rng = np.random.default_rng(100 + seed)
    symbols = elements.split("-")
    compositions = []
    while len(compositions) < 25:
        amounts = {s: int(a) for s, a in zip(symbols, rng.integers(0, 7, len(symbols)), strict=True) if a}
        if set(amounts) - {"Na"}:
            compositions.append(amounts)
    compare_with_windows(entries, compositions)


def test_profiles_with_a_reservoir():
    oxygen = parse_reservoir("O2:298.15K:0.21bar")
    compare_with_windows(
        load_entries("Na-Zr-Si-P-O"), [{"Na": 3, "Zr": 2, "Si": 2, "P": 1, "O": 12}], reservoirs=[oxygen]
    )


def test_profile_of_na3ps4():
    # Formation energies of the embedded set: Bartel et al., npj Comput. Mater. 6 (2020) 97.
    table = voltage_profiles(["Na3PS4"], "mp2019-gga")
    steps = table.steps(0)
    assert steps["v_low"] == pytest.approx(
        [0, 0.295, 0.639, 0.999, 1.146, 1.246, 2.130, 2.221, 2.223, 3.399], abs=1e-3
    )
    assert steps["exchanged"][0] == pytest.approx(8)
    assert steps["exchanged"][-1] == pytest.approx(-3)
    assert list(table.to_dataframe().columns) == ["row", "v_low", "v_high", "exchanged", "capacity_mah_per_g"]


def test_profile_table_round_trip():
    table = voltage_profiles(["Na3PS4", "Na2S"])
    again = MontyDecoder().process_decoded(json.loads(json.dumps(table.as_dict())))
    assert isinstance(again, ProfileTable)
    assert np.array_equal(again.v_high, table.v_high)
    assert len(again) == 2


def test_profiles_refuse():
    with pytest.raises(StabilityError, match="row 1 holds nothing but"):
        voltage_profiles(["Na3PS4", "Na"])
    with pytest.raises(StabilityError, match="ion of known charge"):
        voltage_profiles(["Na3PS4"], open_element="S")
    with pytest.raises(StabilityError, match="no row 5"):
        voltage_profiles(["Na3PS4"]).steps(5)


@pytest.mark.parametrize("seed", range(4))
def test_envelopes_are_those_of_single_paths(seed):
    entries = random_entries(seed, "Na-Sb-P-S", 120)
    order = [entries.elements.index(symbol) for symbol in entries.elements]
    hull = hull_module.Hull(
        entries.elements,
        entries.fractions[:, order],
        entries.formation_energies_ev_per_atom,
        [entry.formula for entry in entries],
    )
    rng = np.random.default_rng(seed)
    bases, directions = rng.integers(0, 5, (60, 4)) + 0.0, rng.integers(0, 5, (60, 4)) + 0.0
    bases[bases.sum(axis=1) == 0, 0] = directions[directions.sum(axis=1) == 0, 1] = 1.0
    found = envelopes(hull, bases, directions)
    for k in range(60):
        part = slice(found.offsets[k], found.offsets[k + 1])
        slopes, starts = upper_envelope(
            hull.planes_ev @ directions[k], hull.planes_ev @ bases[k], bases[k].sum() + directions[k].sum()
        )
        assert found.slopes[part] == pytest.approx(slopes, abs=1e-9)
        assert found.starts[part] == pytest.approx(starts, abs=1e-7)
        corners = bases[k] + found.starts[part, None] * directions[k]
        assert found.energies_ev[part] == pytest.approx(hull.energies(corners), abs=1e-9)


@pytest.mark.parametrize("voltage_v", [None, 0.0, 1.8])
def test_interface_table_is_that_of_single_pairs(voltage_v, route):
    entries = load_entries("Na-Sb-P-S")
    electrolytes = ["Na3SbS4", "Na3PS4", "Na3P0.5Sb0.5S4", "Na3SbS3"]
    electrodes = ["S", "Na2S", "NaPS3", "Sb2S3"] + (["Na", "NaSb"] if voltage_v is None else [])
    table = interface_table(electrolytes, electrodes, entries, voltage_v=voltage_v)
    for i, a in enumerate(electrolytes):
        for j, b in enumerate(electrodes):
            single = interface_reactions(a, b, entries, voltage_v=voltage_v)
            force, mutual = single.driving_force_ev_per_atom, single.mutual_driving_force_ev_per_atom
            assert table.driving_force_ev_per_atom[i, j] == pytest.approx(force, abs=1e-8)
            assert table.mutual_driving_force_ev_per_atom[i, j] == pytest.approx(mutual, abs=1e-8)
            assert table.fraction_b[i, j] == pytest.approx(single.strongest.fraction_b, abs=1e-7)


def test_interface_table_round_trip_and_frame():
    table = interface_table(["Na3SbS4", "Na3PS4"], ["Na", "S", "Na2S"])
    again = MontyDecoder().process_decoded(json.loads(json.dumps(table.as_dict())))
    assert isinstance(again, InterfaceTable)
    assert np.array_equal(again.driving_force_ev_per_atom, table.driving_force_ev_per_atom)
    frame = table.to_dataframe()
    assert len(frame) == 6
    assert frame.loc[0, "electrode"] == "Na"


def test_interface_table_refuses():
    with pytest.raises(StabilityError, match="nothing to mix"):
        interface_table([], ["Na"])
    with pytest.raises(StabilityError, match="holds nothing but elements that are exchanged"):
        interface_table(["Na3PS4"], ["Na"], voltage_v=0.5)

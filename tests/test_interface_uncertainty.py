"""Intervals of driving forces: laws, and what they must agree with."""

from __future__ import annotations

import pytest

from nasicon_struct import stability_window
from nasicon_struct.errors import NasiconError
from nasicon_struct.interface import InterfaceUncertainty, interface_reactions, interface_uncertainty


@pytest.mark.parametrize(
    ("a", "b", "voltage_v"),
    [("Na3SbS4", "Na", None), ("Na3PS4", "S", None), ("Na3SbS4", "Na3PS4", 1.0), ("Na3PS4", "Na2S", 0.5)],
)
def test_the_interval_holds_the_median_and_is_never_negative(a, b, voltage_v):
    nominal = interface_reactions(a, b, voltage_v=voltage_v)
    found = interface_uncertainty(a, b, voltage_v=voltage_v, n_samples=200)
    low, high = found.interval_ev_per_atom
    assert 0 <= low <= found.median_ev_per_atom <= high
    assert 0 <= found.probability_reacts <= 1
    assert found.mutual_driving_force_ev_per_atom == nominal.mutual_driving_force_ev_per_atom
    assert found.fraction_b == nominal.strongest_mutual.fraction_b
    assert found.source == nominal.source
    assert InterfaceUncertainty.from_dict(found.as_dict()) == found


def test_the_same_seed_gives_the_same_interval():
    first = interface_uncertainty("Na3SbS4", "Na", n_samples=50, seed=3)
    assert first == interface_uncertainty("Na3SbS4", "Na", n_samples=50, seed=3)
    assert first != interface_uncertainty("Na3SbS4", "Na", n_samples=50, seed=4)


def test_a_strong_reaction_stays_one():
    """Na3SbS4 with Na gives off 0.6 eV per atom: no error of tens of meV undoes it."""
    found = interface_uncertainty("Na3SbS4", "Na", n_samples=200)
    assert found.probability_reacts == 1.0
    low, high = found.interval_ev_per_atom
    assert low > 0.3
    assert high - low < 0.2


def test_a_compound_on_its_own_tie_line_does_not_react():
    """Na2S lies between Na and NaS by composition alone; where nothing forms the interval starts at zero."""
    window = stability_window("Na3PS4", uncertainty=False)
    assert window.is_stable
    found = interface_uncertainty("Na3PS4", "Na2S", n_samples=200)
    assert found.interval_ev_per_atom[0] == 0.0


@pytest.mark.parametrize("options", [{"n_samples": 0}, {"n_samples": 1.5}, {"seed": -1}, {"seed": True}])
def test_wrong_numbers_are_refused(options):
    with pytest.raises(NasiconError, match="whole number"):
        interface_uncertainty("Na3PS4", "Na", **options)

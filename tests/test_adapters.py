"""Files for other programs: written by us, read back by gemmi, pymatgen and ASE."""

from __future__ import annotations

import json
import random

import ase.io
import gemmi
import numpy as np
import pytest
from monty.json import MontyDecoder
from pymatgen.core import Species, Structure
from pymatgen.io.vasp.inputs import Poscar

import nasicon_struct as ns
from nasicon_struct.adapters import FORMATS, to_ase, write_structure
from nasicon_struct.cif import read_structure
from nasicon_struct.errors import CellError


def random_order(seed: int, formula: str = "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12") -> Structure:
    """Some whole atoms on the sites of an average cell, in shuffled order."""
    rng = random.Random(seed)
    average = ns.build_average_cell(formula, coordinates="prototype").structure
    kept = []
    for site in average:
        species = sorted(site.species.items(), key=str)
        vacancy = 1.0 - sum(amount for _, amount in species)
        choice = rng.choices([*(s for s, _ in species), None], [*(a for _, a in species), max(vacancy, 0)])[0]
        if choice is not None:
            kept.append(
                (Species(choice.symbol, choice.oxi_state), site.frac_coords, site.properties["label"])
            )
    rng.shuffle(kept)
    lattice = average.lattice
    return Structure(
        lattice, [k[0] for k in kept], [k[1] for k in kept], site_properties={"label": [k[2] for k in kept]}
    )


@pytest.fixture(params=[0, 1, 2])
def cell(request) -> Structure:
    return random_order(request.param)


def same(a: Structure, b: Structure, tolerance: float = 1e-7) -> bool:
    """The same atoms at the same places, in any order."""
    if len(a) != len(b) or max(abs(np.subtract(a.lattice.parameters, b.lattice.parameters))) > 1e-6:
        return False
    gap = a.frac_coords[:, None] - b.frac_coords[None]
    gap -= np.round(gap)
    near = np.abs(gap).max(axis=2) < tolerance
    symbols = [site.specie.symbol for site in a], [site.specie.symbol for site in b]
    return bool((near.sum(axis=1) == 1).all()) and all(
        symbols[0][i] == symbols[1][j] for i, j in zip(*np.nonzero(near), strict=True)
    )


def test_ase_keeps_labels_and_charges(cell):
    atoms = to_ase(cell)
    assert atoms.pbc.all()
    assert list(atoms.arrays["label"]) == cell.site_properties["label"]
    assert list(atoms.arrays["oxidation_state"]) == [site.specie.oxi_state for site in cell]
    assert not atoms.get_initial_charges().any()
    assert np.abs(atoms.positions - cell.cart_coords).max() < 1e-9
    assert list(atoms.symbols) == [site.specie.symbol for site in cell]
    assert to_ase(atoms).get_chemical_formula() == atoms.get_chemical_formula()  # Atoms are taken too


def test_cif_is_read_by_all(cell, tmp_path):
    path = write_structure(cell, tmp_path / "cell.cif")
    assert same(cell, read_structure(path))
    assert same(cell, Structure.from_file(path))
    small = gemmi.make_small_structure_from_block(gemmi.cif.read(str(path)).sole_block())
    assert small.spacegroup.hm == "P 1"
    assert len(small.sites) == len(cell)
    assert [s.charge for s in small.sites] == [site.specie.oxi_state for site in cell]
    atoms = ase.io.read(path)
    assert sorted(atoms.get_chemical_symbols()) == sorted(site.specie.symbol for site in cell)
    labels = [s.label for s in small.sites]
    assert len(set(labels)) == len(labels)
    for site, label, own in zip(cell, labels, cell.site_properties["label"], strict=True):
        assert label.startswith(site.specie.symbol)
        assert label.partition("_")[0].removeprefix(site.specie.symbol) == own.lstrip("NaZrTO")
    again = read_structure(path)
    assert [site.specie.oxi_state for site in again] == [site.specie.oxi_state for site in cell]
    assert path.read_text(encoding="ascii")


def test_poscar_is_grouped_by_element(cell, tmp_path):
    for name in ("POSCAR", "cell.vasp", "POSCAR_1"):
        path = write_structure(cell, tmp_path / name)
        poscar = Poscar.from_file(path)
        assert same(cell, poscar.structure, 1e-9)
        assert len(poscar.site_symbols) == len(set(poscar.site_symbols))
        assert same(cell, Structure.from_ase_atoms(ase.io.read(path, format="vasp")), 1e-9)


def test_extxyz_keeps_labels_and_charges(cell, tmp_path):
    atoms = ase.io.read(write_structure(cell, tmp_path / "cell.extxyz"))
    assert list(atoms.arrays["label"]) == cell.site_properties["label"]
    assert list(atoms.arrays["oxidation_state"]) == [site.specie.oxi_state for site in cell]
    assert same(cell, Structure.from_ase_atoms(atoms), 1e-6)


def test_json_keeps_all(cell, tmp_path):
    path = write_structure(cell, tmp_path / "cell.json")
    again = json.loads(path.read_text(), cls=MontyDecoder)
    assert again == cell
    assert again.site_properties["label"] == cell.site_properties["label"]


def test_scalars_travel_along(cell, tmp_path):
    class Ordered:
        structure = cell
        energy_ev_per_fu = np.float64(-861.5)
        formula_units = 4
        exact = False
        hit_rate = None
        provenance = ("Parent: a cell.",)
        warnings = ("Bond lengths are unphysical.",)

    assert to_ase(Ordered()).info == {"formula_units": 4, "energy_ev_per_fu": -861.5, "exact": False}
    text = write_structure(Ordered(), tmp_path / "a.cif").read_text()
    assert "-861.500000" in text
    assert "Parent: a cell." in text
    assert "WARNING: Bond lengths are unphysical." in text
    assert same(cell, read_structure(tmp_path / "a.cif"))
    assert "-861.500000" in write_structure(Ordered(), tmp_path / "POSCAR").read_text().splitlines()[0]
    info = ase.io.read(write_structure(Ordered(), tmp_path / "a.extxyz")).info
    assert info["energy_ev_per_fu"] == -861.5
    assert not info["exact"]


def test_cells_without_charges_get_those_of_the_table(cell, tmp_path):
    bare = cell.copy()
    bare.remove_oxidation_states()
    assert "oxidation_state" not in to_ase(bare).arrays
    again = read_structure(write_structure(bare, tmp_path / "bare.cif"))
    assert [site.specie.oxi_state for site in again] == [site.specie.oxi_state for site in cell]


def test_files_are_never_replaced_unasked(cell, tmp_path):
    path = tmp_path / "cell.cif"
    path.write_text("mine\n")
    with pytest.raises(CellError, match="exists"):
        write_structure(cell, path)
    assert path.read_text() == "mine\n"
    write_structure(cell, path, force=True)
    assert same(cell, read_structure(path))


@pytest.mark.parametrize("name", ["cell.doc", "cell"])
def test_unknown_names_and_formats_are_one_sentence(cell, tmp_path, name):
    with pytest.raises(CellError, match="does not tell the format"):
        write_structure(cell, tmp_path / name)
    with pytest.raises(CellError, match="format is one of cif"):
        write_structure(cell, tmp_path / name, "docx")
    assert write_structure(cell, tmp_path / name, "CIF").exists()


@pytest.mark.parametrize("format_", sorted(set(FORMATS) - {"json"}))
def test_partial_occupancies_are_refused(tmp_path, format_):
    with pytest.raises(CellError, match="order_cell"):
        write_structure(ns.build_average_cell("Na3Zr2Si2PO12"), tmp_path / "x", format_)
    assert not (tmp_path / "x").exists()

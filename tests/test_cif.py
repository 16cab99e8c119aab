"""CIF in and out: other programs read what is written, and damaged files are refused in one sentence."""

from __future__ import annotations

import gzip
import importlib.util
import random
import re
import warnings
from fractions import Fraction
from pathlib import Path

import gemmi
import numpy as np
import pytest
from ase.io import read as ase_read
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser

import nasicon_struct as ns
from nasicon_struct import reference
from nasicon_struct.cif import as_structure, exact_decimals, read_structure, to_ascii
from nasicon_struct.entries import amounts_of
from nasicon_struct.errors import CellError
from nasicon_struct.parents import list_parents, load_parent

KEYS = [row["key"] for row in reference.read_rows("refined_cells")]
ROOT = Path(__file__).resolve().parent.parent


def text_of(key: str) -> str:
    return reference.cif_path(key).read_text(encoding="ascii")


def amounts(composition) -> dict[str, float]:
    return {e.symbol: n for e, n in composition.element_composition.items()}


# -- the files of the reference data -------------------------------------------------------------------


@pytest.mark.skipif(not (ROOT / "scripts" / "write_reference_cifs.py").is_file(), reason="needs the checkout")
def test_reference_cifs_are_what_the_script_writes():
    spec = importlib.util.spec_from_file_location("writer", ROOT / "scripts" / "write_reference_cifs.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    for cell in reference.read_rows("refined_cells"):
        assert writer.cif_text(cell) == text_of(cell["key"])


@pytest.mark.parametrize("key", KEYS)
def test_reference_cifs_are_plain_cif(key):
    text = text_of(key)
    assert text.startswith("#\\#CIF_1.1\n")
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 100
    block = gemmi.cif.read_string(text).sole_block()
    assert block.find_value("_space_group_IT_number") in ("15", "167", "114")
    assert len(block.find_loop("_space_group_symop_operation_xyz")) in (8, 36)
    for tag in ("label", "Wyckoff_symbol", "symmetry_multiplicity", "occupancy"):
        assert len(block.find_loop(f"_atom_site_{tag}")) >= 4


def test_esds_and_sources_are_in_the_files():
    block = gemmi.cif.read_string(text_of("xun2025_s2")).sole_block()
    assert block.find_value("_cell_length_a") == "15.6972(8)"
    assert "0.893(3)" in list(block.find_loop("_atom_site_fract_y"))
    assert "Table S2" in block.find_value("_publ_section_references")
    comment = gemmi.cif.read_string(text_of("xun2025_s3")).sole_block().find_value("_publ_section_comment")
    joined = " ".join(comment.split())
    for said in (
        "label lost in print",
        "printed 0.975, read as 0.025",
        "rhombohedral by metric",
        "net charge of -0.009",
    ):
        assert said in joined


@pytest.mark.parametrize("key", KEYS)
def test_four_readers_agree(key):
    """pymatgen, ASE, gemmi and our reader see the same cell and the same occupancies."""
    path = reference.cif_path(key)
    mine = read_structure(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (pmg,) = CifParser(path, occupancy_tolerance=1.0 + 1e-6).parse_structures(primitive=False)
        atoms = ase_read(path)
    small = gemmi.read_small_structure(str(path))
    expected = amounts(mine.composition)
    assert amounts(pmg.composition) == pytest.approx(expected, abs=1e-6)
    assert len(pmg) == len(mine)
    assert np.allclose(pmg.lattice.parameters, mine.lattice.parameters)
    seen: dict[str, float] = {}
    for site in small.get_all_unit_cell_sites():
        seen[site.element.name] = seen.get(site.element.name, 0.0) + site.occ
    assert seen == pytest.approx(expected, abs=1e-5)
    occupancies = atoms.info["occupancy"]
    kinds = atoms.arrays["spacegroup_kinds"]
    seen = {}
    for kind in kinds:
        for element, amount in occupancies[str(kind)].items():
            seen[element] = seen.get(element, 0.0) + amount
    assert seen == pytest.approx(expected, abs=1e-5)
    assert np.allclose(atoms.cell.cellpar(), mine.lattice.parameters)


@pytest.mark.parametrize("key", list_parents())
def test_the_reader_returns_the_parent(key):
    parent, mine = load_parent(key), read_structure(reference.cif_path(key))
    assert amounts(mine.composition / parent.z) == pytest.approx(parent.amounts, abs=1e-6)
    assert len(mine) == len(parent.structure)
    assert mine.matches(parent.structure)
    assert mine.composition.oxi_state_guesses is not None
    charge = sum(s.oxi_state * n for s, n in mine.composition.items())
    assert charge / parent.z == pytest.approx(parent.net_charge, abs=1e-6)


# -- 50 and more damaged files: a clear error or the right answer --------------------------------------


def _cut(fraction):
    return lambda t: t[: int(len(t) * fraction)]


def _sub(pattern, new, count=1):
    def change(text):
        out, n = re.subn(pattern, new, text, count=count, flags=re.MULTILINE)
        assert n, f"the damage {pattern!r} did not happen"
        return out

    return change


def _drop(pattern):
    return _sub(pattern + r".*\n", "")


ATOM = r"^(Zr1 .*)$"
OPERATIONS = r"(?s)loop_\n_space_group_symop_id\n.*?\n\n"
GROUP_TAGS = r"^_(space_group|symmetry)_(name|IT|Int|crystal|space)\S* +.*\n"
ERRORS = {
    "empty": lambda t: "",
    "blank": lambda t: " \n\n\t\n",
    "prose": lambda t: "This is a letter, not a structure.\n",
    "html": lambda t: "<html><body>404 not found</body></html>\n",
    "json": lambda t: '{"lattice": [1, 2, 3]}\n',
    "poscar": lambda t: "Na Cl\n1.0\n5 0 0\n0 5 0\n0 0 5\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n",
    "data block only": lambda t: "data_x\n",
    "header only": lambda t: t[: t.index("_cell_length_a")],
    "cut at 10 %": _cut(0.10),
    "cut at 50 %": _cut(0.50),
    "cut before the atoms": lambda t: t[: t.index("_atom_site_label")],
    "cut in the atom tags": lambda t: t[: t.index("_atom_site_fract_y")],
    "cut in the atom rows": lambda t: t[: t.index("O3 ") + 20],
    "cut between atom rows": lambda t: t[: t.index("\nO3 ") + 1],
    "cut in a text field": lambda t: t[: t.index("_publ_section_comment") + 60],
    "atoms lost at the end": lambda t: "\n".join(t.rstrip().split("\n")[:-2]) + "\n",
    "one oxygen lost": _drop(r"^O4 "),
    "one silicon lost": _drop(r"^Si2 "),
    "all sodium lost": lambda t: re.sub(r"^Na\d .*\n", "", t, flags=re.MULTILINE),
    "a number lost in a row": _sub(r"^(Zr1 \S+ \S+ \S+) \S+", r"\1"),
    "a number too many": _sub(ATOM, r"\1 0.5"),
    "a column lost": _drop(r"^_atom_site_fract_z"),
    "no coordinates": lambda t: t.replace("_atom_site_fract_", "_atom_site_wrong_"),
    "x not a number": _sub(r"0\.1017\(3\)", "abc"),
    "x is nan": _sub(r"0\.1017\(3\)", "nan"),
    "x is infinite": _sub(r"0\.1017\(3\)", "inf"),
    "x unknown": _sub(r"0\.1017\(3\)", "?"),
    "x absent": _sub(r"0\.1017\(3\)", "."),
    "comma decimals": _sub(r"0\.1017\(3\)", "0,1017"),
    "letter O for zero": _sub(r"0\.1017\(3\)", "O.1017"),
    "x far away": _sub(r"0\.1017\(3\)", "1017"),
    "cell length missing": _drop(r"^_cell_length_a"),
    "cell angle missing": _drop(r"^_cell_angle_beta"),
    "cell length zero": _sub(r"15\.6972\(8\)", "0"),
    "cell length negative": _sub(r"15\.6972\(8\)", "-15.6972"),
    "cell length nan": _sub(r"15\.6972\(8\)", "NaN"),
    "cell length shifted": _sub(r"15\.6972\(8\)", "156.972"),
    "cell length with a wrong digit": _sub(r"15\.6972\(8\)", "16.6972"),
    "cell length unknown": _sub(r"15\.6972\(8\)", "?"),
    "cell angle zero": _sub(r"124\.090\(3\)", "0"),
    "cell angle 180": _sub(r"124\.090\(3\)", "180"),
    "cell angle 360": _sub(r"124\.090\(3\)", "360"),
    "flat cell": lambda t: _sub(r"124\.090\(3\)", "170")(_sub(r"^(_cell_angle_alpha +)90", r"\g<1>20")(t)),
    "cell volume wrong": _sub(r"^(_cell_volume +)\S+", r"\g<1>999.0"),
    "angle not of the space group": lambda t: _drop(r"^_cell_volume")(
        _sub(r"^(_cell_angle_gamma +)90", r"\g<1>95")(t)
    ),
    "cell in nanometres": lambda t: _sub(r"15\.6972\(8\)", "1.56972")(
        _sub(r"9\.0762\(5\)", "0.90762")(_sub(r"9\.2167\(4\)", "0.92167")(t))
    ),
    "occupancy negative": _sub(r"0\.81 ", "-0.81 "),
    "occupancy above one": _sub(r"0\.81 ", "1.81 "),
    "occupancy in percent": _sub(r"0\.81 ", "81 "),
    "occupancy not a number": _sub(r"0\.81 ", "full "),
    "occupancies of one site above one": _sub(r"0\.33 ", "0.66 ", count=2),
    "element unknown": lambda t: t.replace("Zr4+", "Qq4+").replace("Zr1 ", "Qq1 "),
    "element empty": lambda t: re.sub(r"^Zr1 Zr4\+", "1 ?", t, flags=re.MULTILINE),
    "row doubled": _sub(ATOM, r"\1\n\1"),
    "row doubled under a new name": _sub(ATOM, r"\1\nZr2" + " Zr4+ 8 f 0.1017 0.2486 0.0556 1 0.002 Uiso"),
    "rows all doubled": lambda t: t.rstrip() + "\n" + t[t.index("\nNa1 ") + 1 :],
    "atom loop doubled": lambda t: t + "\n" + t[t.index("loop_\n_atom_site_label") :],
    "tag doubled": _sub(r"^(_cell_length_b .*)$", r"\1\n\1"),
    "file twice in one": lambda t: t + t,
    "two structures": lambda t: t + t.replace("data_xun2025_s2", "data_other"),
    "space group and number disagree": _sub(r"^(_space_group_IT_number +)15", r"\g<1>14"),
    "space-group name wrong": lambda t: t.replace("'C 1 2/c 1'", "'P 1 21/c 1'"),
    "number impossible": lambda t: re.sub(r"(_IT_number +|Tables_number +)15", r"\g<1>1500", t),
    "no symmetry at all": lambda t: re.sub(GROUP_TAGS, "", re.sub(OPERATIONS, "", t), flags=re.MULTILINE),
    "one operation lost": _drop(r"^2 -x,y,-z\+1/2"),
    "half of the operations lost": _sub(r"^5 x\+1/2(?:.*\n){4}", ""),
    "an operation garbled": _sub(r"^2 -x,y,-z\+1/2", "2 -x,q,-z+1/2"),
    "an operation changed": _sub(r"^2 -x,y,-z\+1/2", "2 -x,y,-z"),
    "an operation doubled": _sub(r"^(2 -x,y,-z\+1/2)$", r"\1\n9 -x,y,-z+1/2"),
    "multiplicity wrong": _sub(r"^(Zr1 \S+ )8", r"\g<1>3"),
    "special position left": _sub(r"^(Na1 \S+ 4 d) 0.25 ", r"\1 0.21 "),
    "atoms on top of each other": _sub(r"^(O1 .*8 f) \S+ +\S+ +\S+", r"\1 0.1018 0.2487 0.0557"),
    "formula of another compound": _sub(r"^_chemical_formula_sum .*$", "_chemical_formula_sum 'Na1 Cl1'"),
    "formula nonsense": _sub(r"^_chemical_formula_sum .*$", "_chemical_formula_sum '???!'"),
    "quote left open": _sub(r"^(_chemical_formula_sum) .*$", r"\1 'Na3 O12"),
    "text field left open": lambda t: t.replace("\n;\n", "\n", 1),
    "loop of the wrong length": lambda t: t + "\nloop_\n_a\n_b\n1 2 3\n",
    "value without tag": _sub(r"^(_cell_formula_units_Z.*)$", r"\1\nstray"),
    "tag without value": _sub(r"^(_cell_formula_units_Z).*$", r"\1"),
}  # fmt: skip
RIGHT = {
    "windows line ends": lambda t: t.replace("\n", "\r\n"),
    "old mac line ends": lambda t: t.replace("\n", "\r"),
    "no comments": lambda t: re.sub(r"^#.*\n", "", t, flags=re.MULTILINE),
    "tabs": lambda t: t.replace("  ", "\t"),
    "no type symbols": lambda t: (
        re.sub(r"^(\w+) +\S+[+-] ", r"\1 ", t[: t.index("loop_\n_atom_type")], flags=re.MULTILINE)
        + re.sub(
            r"^(\w+) +\w+[+-] ", r"\1 ", t[t.index("loop_\n_atom_site_label") :], flags=re.MULTILINE
        ).replace("_atom_site_type_symbol\n", "")
    ),
    "no operations, name kept": lambda t: re.sub(OPERATIONS, "", t),
    "operations only": lambda t: re.sub(GROUP_TAGS, "", t, flags=re.MULTILINE),
    "loop without values": lambda t: t + "\nloop_\n_a\n_b\n",
    "no multiplicities": lambda t: t.replace("_atom_site_symmetry_multiplicity", "_atom_site_other"),
    "coordinates outside 0..1": _sub(r"0\.1017\(3\)", "1.1017(3)"),
    "capital letters in tags": lambda t: t.replace("_cell_length_a", "_CELL_LENGTH_A"),
    "an empty block first": lambda t: "data_empty\n_audit_creation_method x\n" + t,
    "accents in a comment": lambda t: "# Ünïcödé µ Å °\n" + t,
}


@pytest.mark.parametrize("name", ERRORS)
def test_damaged_files_are_refused_in_one_sentence(name, tmp_path):
    path = tmp_path / "damaged.cif"
    path.write_text(ERRORS[name](text_of("xun2025_s2")), encoding="ascii")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CellError) as info:
            read_structure(path)
    message = str(info.value)
    assert "\n" not in message
    assert "damaged.cif" in message
    assert len(message) < 300


@pytest.mark.parametrize("name", RIGHT)
def test_unusual_files_are_read_right(name, tmp_path):
    path = tmp_path / "unusual.cif"
    path.write_bytes(RIGHT[name](text_of("xun2025_s2")).encode("utf-8"))
    structure = read_structure(path)
    parent = load_parent("xun2025_s2")
    assert len(structure) == 84
    assert amounts(structure.composition / 4) == pytest.approx(parent.amounts, abs=1e-6)
    assert structure.volume == pytest.approx(1087.464, abs=1e-3)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_encodings(encoding, tmp_path):
    path = tmp_path / "encoded.cif"
    path.write_bytes(("# \u00e4\n" + text_of("xun2025_s2")).encode(encoding))
    if encoding == "utf-16-le":  # no byte-order mark: not to be told from binary
        with pytest.raises(CellError, match="not a text file"):
            read_structure(path)
    else:
        assert len(read_structure(path)) == 84


def test_packed_with_gzip(tmp_path):
    text = text_of("xun2025_s2").encode()
    path = tmp_path / "cell.cif.gz"
    path.write_bytes(gzip.compress(text))
    assert len(read_structure(path)) == 84
    assert amounts_of(str(path)) == amounts_of(read_structure(path))
    assert ns.assign_phase(str(path)).phase == ns.assign_phase(path).phase == "monoclinic"
    for damaged, words in (
        (gzip.compress(text)[:300], "breaks off"),
        (b"\x1f\x8bxyz", "damaged gzip"),
        (gzip.compress(bytes(30_000_000)), "unpacks to more than"),
        (gzip.compress(b""), "is empty"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(CellError, match=words):
            read_structure(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_the_phase_of_a_cif_does_not_depend_on_how_it_is_written(encoding, ends, tmp_path):
    text = reference.cif_path("subramanian1985").read_text()
    plain, path = tmp_path / "plain.cif", tmp_path / "other.cif"
    plain.write_text(text)
    path.write_bytes(text.replace("\n", ends).encode(encoding))
    found, expected = ns.assign_phase(path), ns.assign_phase(plain)
    assert found.probability_monoclinic == expected.probability_monoclinic
    assert [vote.kind for vote in found.votes] == [vote.kind for vote in expected.votes]


def test_labels_repeated_in_p1_but_not_at_one_position(tmp_path):
    # pymatgen writes one row per position, all with the label of the site they come from.
    cell = Structure.from_file(reference.cif_path("xun2025_s2"))
    path = tmp_path / "p1.cif"
    cell.to(filename=str(path))
    found = read_structure(path)
    assert len(found) == len(cell)
    assert amounts(found.composition) == pytest.approx(amounts(cell.composition), abs=1e-4)
    lines = path.read_text().splitlines(keepends=True)
    row = next(n for n, line in enumerate(lines) if "  Na3  " in line)
    path.write_text("".join([*lines[: row + 1], *lines[row:]]))
    with pytest.raises(CellError, match="lists site Na3 twice"):
        read_structure(path, check_formula=False)


def test_binary_huge_missing_and_folder(tmp_path):
    garbage = tmp_path / "garbage.cif"
    garbage.write_bytes(bytes(random.Random(0).randrange(256) for _ in range(5000)))
    huge = tmp_path / "huge.cif"
    with huge.open("wb") as handle:
        handle.truncate(30_000_000)
    many = tmp_path / "many.cif"
    head = text_of("hong1976_nzp").split("\nNa1 ")[0]
    many.write_text(head + "\n" + "".join(f"X{i} O2- 36 f 0.1 0.2 {i / 1e5:.5f} 1\n" for i in range(30_000)))
    marked = tmp_path / "marked.cif"
    marked.write_bytes(b"\xff\xfe\x00")
    for path in (garbage, huge, many, marked, tmp_path / "absent.cif", tmp_path):
        with pytest.raises(CellError) as info:
            read_structure(path)
        assert "\n" not in str(info.value)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_random_damage_never_ends_in_a_traceback(tmp_path_factory, data):
    text = text_of(data.draw(st.sampled_from(["xun2025_s3", "boilot1988_x235"])))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start, min(start + 400, len(text))))
    middle = data.draw(st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=20))
    path = tmp_path_factory.mktemp("fuzz") / "fuzz.cif"
    path.write_bytes((text[:start] + middle + text[end:]).encode("utf-8", "surrogatepass"))
    try:
        structure = read_structure(path)
    except CellError as error:
        message = str(error)
    else:
        message = ""
        assert np.all(np.isfinite(structure.frac_coords))
        assert all(0 < site.species.num_atoms <= 1 + 1e-6 for site in structure)
    assert "\n" not in message


# -- other entrances ------------------------------------------------------------------------------------


def test_block_can_be_named(tmp_path):
    path = tmp_path / "two.cif"
    path.write_text(text_of("xun2025_s2") + text_of("hong1976_nzp"))
    assert len(read_structure(path, block="hong1976_nzp")) == 108
    with pytest.raises(CellError, match="xun2025_s2, hong1976_nzp"):
        read_structure(path)
    with pytest.raises(CellError, match="no block"):
        read_structure(path, block="other")


def test_formula_check_can_be_waived(tmp_path):
    path = tmp_path / "lost.cif"
    path.write_text(_drop(r"^O4 ")(text_of("xun2025_s2")))
    assert len(read_structure(path, check_formula=False)) == 76


def test_files_of_other_programs(tmp_path):
    """What pymatgen and ASE write is read back the same."""
    rng = np.random.default_rng(3)
    for n in range(5):
        structure = Structure(
            Lattice.from_parameters(*(rng.uniform(8, 12, 3)), *(rng.uniform(80, 100, 3))),
            ["Na", "Zr", "O", "O"],
            np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.75], [0.7, 0.2, 0.3]])
            + rng.uniform(-0.05, 0.05, (4, 3)),
        )
        path = tmp_path / f"pymatgen{n}.cif"
        structure.to(filename=str(path))
        assert read_structure(path).matches(structure)
        path = tmp_path / f"ase{n}.cif"
        structure.to_ase_atoms().write(path)
        assert read_structure(path).matches(structure)
    symmetric = load_parent("hong1976_nzp").structure
    path = tmp_path / "symmetric.cif"
    symmetric.to(filename=str(path), symprec=0.01)
    assert read_structure(path).matches(symmetric)


def test_as_structure(tmp_path):
    parent = load_parent("hong1976_nzp")
    assert as_structure(parent).matches(parent.structure)
    assert as_structure(parent.structure) is not None
    assert len(as_structure(str(reference.cif_path("hong1976_nzp")))) == 108
    assert len(as_structure(parent.structure.to_ase_atoms())) == 108
    with pytest.raises(CellError):
        as_structure(5)
    from ase import Atoms

    with pytest.raises(CellError):
        as_structure(Atoms("O2", positions=[[0, 0, 0], [0, 0, 1]]))


@given(st.lists(st.fractions(0, 1, max_denominator=10_000), min_size=1, max_size=5))
def test_decimals_of_a_site_add_up(values):
    total = sum(values)
    if total > 1:
        values = [v / total for v in values]
    texts = exact_decimals(values)
    assert sum(map(Fraction, texts)) == Fraction(round(sum(values) * 10**8), 10**8)
    assert all(abs(Fraction(t) - v) <= Fraction(1, 10**8) for t, v in zip(texts, values, strict=True))


def test_ascii():
    assert to_ascii("9.1 Å, 90°, α → β") == "9.1 A, 90 deg, alpha -> beta"
    assert to_ascii("漢").isascii()

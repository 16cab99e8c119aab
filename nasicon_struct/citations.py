"""What to cite: the package, the software it rests on, and the data behind each kind of answer."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Final

from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.entries import entry_source, list_entry_sources
from nasicon_struct.errors import ReferenceDataError

#: Folder of the energies: behind an answer stand those of one level, not all that the folder holds.
_ENERGIES: Final = "entries/"
#: Task (named as its subcommand) -> patterns of the data files behind its answers.
USES: Final[dict[str, tuple[str, ...]]] = {
    "check": ("tables/oxidation_states.csv",),
    "build": (
        "tables/oxidation_states.csv",
        "tables/refined_*.csv",
        "tables/bond_valence.csv",
        "tables/lattice_model.json",
        "cif/xun2025_*.cif",
        "cif/subramanian1985.cif",
        "cif/boilot1988*.cif",
        "cif/hong1976*.cif",
    ),
    "order": ("tables/oxidation_states.csv", "tables/refined_*.csv", "tables/bond_valence.csv", "cif/*.cif"),
    "phase": (
        "tables/phase_model.json",
        "tables/literature_phases.csv",
        "tables/transition_temperatures.csv",
    ),
    "pattern": ("tables/lattice_model.json", "cif/*.cif"),
    "window": (
        "entries/*",
        "tables/published_windows.csv",
        "tables/expected_phases.csv",
        "tables/experimental_enthalpies.csv",
    ),
    "interface": (
        "entries/*",
        "tables/interphase_products.csv",
        "tables/electronic_character.csv",
        "tables/experimental_enthalpies.csv",
        "tables/expected_phases.csv",
    ),
    "batch": ("tables/oxidation_states.csv",),
    "screen": ("entries/*", "tables/*"),
    "design": ("*",),
}
_PYMATGEN = (
    "pymatgen",
    "S. P. Ong et al., Comput. Mater. Sci. 68 (2013) 314",
    "10.1016/j.commatsci.2012.10.028",
    "materials analysis library: compositions, structures, phase diagrams, atomic masses (IUPAC 2005)",
)
_SOFTWARE: Final = (
    (_PYMATGEN, ("build", "order", "pattern", "batch", "window", "interface", "design", "screen")),
    (
        (
            "gemmi",
            "M. Wojdyr, J. Open Source Softw. 7 (2022) 4200",
            "10.21105/joss.04200",
            "reading and writing of CIF files, crystallographic tables",
        ),
        ("build", "phase", "pattern", "design"),
    ),
    (
        (
            "spglib",
            "A. Togo, K. Shinohara, I. Tanaka, Sci. Technol. Adv. Mater. Methods 4 (2024) 2384822",
            "10.1080/27660400.2024.2384822",
            "space-group search",
        ),
        ("build", "order", "phase", "design"),
    ),
    (
        (
            "ase",
            "A. H. Larsen et al., J. Phys.: Condens. Matter 29 (2017) 273002",
            "10.1088/1361-648X/aa680e",
            "atoms objects and relaxation",
        ),
        ("order",),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Citation(MSONable):
    """One thing to cite.

    Attributes
    ----------
    key : str
        Short name; for data the key in ``structures/SOURCES.toml``.
    kind : str
        ``package``, ``data`` or ``software``.
    citation : str
        Printable citation.
    doi : tuple of str
        Without the resolver's address; empty where none is known.
    what : str
        What it stands for in the answer.
    licence : str
        Terms of use of data; empty for software.
    papers : tuple of str
        For compiled tables: the sources that the rows name.
    """

    key: str
    kind: str
    citation: str
    doi: tuple[str, ...] = ()
    what: str = ""
    licence: str = ""
    papers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "doi", tuple(self.doi))
        object.__setattr__(self, "papers", tuple(self.papers))

    def to_bibtex(self) -> str:
        """Return one BibTeX entry; the printable citation stands in its note."""
        fields = {"title": f"{{{self.what or self.key}}}", "note": self.citation}
        if self.doi:
            fields["doi"] = self.doi[0]
        if self.kind == "package":
            fields = {"title": "{nasicon_struct}", "author": "{The nasicon_struct developers}"}
            fields["version"] = _version()
        body = ",\n".join(f"  {name} = {{{_tex(value)}}}" for name, value in fields.items())
        return f"@{'software' if self.kind == 'package' else 'misc'}{{{_bibkey(self.key)},\n{body}\n}}"


def cite(*what: str, source: str | None = None) -> list[Citation]:
    """List what to cite for an answer: the package, the data behind it, the software.

    Parameters
    ----------
    *what : str
        Tasks, named as the subcommands (``"phase"``, ``"window"``, ...), keys of
        ``structures/SOURCES.toml`` (``"xun2025_s2"``), or levels of energy (``"chgnet-r2scan"``); without any,
        everything.
    source : str, optional, keyword-only
        Level of the energies behind the tasks, see :func:`nasicon_struct.list_entry_sources`; without one, those
        that are used when none is named.

    Returns
    -------
    list of Citation
        The package first, then the data in the order of ``SOURCES.toml``, then the software.

    Raises
    ------
    ReferenceDataError
        If a name is neither a task nor a key nor a level.
    EntriesError
        If there is no such level.

    Examples
    --------
    >>> [c.key for c in cite("check")]
    ['nasicon_struct', 'oxidation_states']
    >>> [c.key for c in cite("window", source="mp2019-gga") if "gga" in c.key]
    ['mp2019-gga']
    """
    sources = reference.list_sources()
    keys = {entry.key for entry in sources}
    described = list_entry_sources()
    levels = {level.name for level in described}
    default = [level.name for level in described if level.default_for]
    energies = _energy_files(*(default if source is None else [source]))
    wanted: set[str] = set()
    tasks: set[str] = set()
    if not what:
        tasks, wanted = set(USES), keys
        if source is not None:
            wanted = {s.key for s in sources if not s.file.startswith(_ENERGIES) or s.file in energies}
    for name in what:
        if name in USES:
            tasks.add(name)
            used = (s for s in sources if not s.file.startswith(_ENERGIES) or s.file in energies)
            wanted |= {s.key for s in used if any(fnmatch(s.file, pattern) for pattern in USES[name])}
        elif name in keys:
            wanted.add(name)
        elif name in levels:
            files = _energy_files(name)
            wanted |= {s.key for s in sources if s.file in files}
        else:
            known = [*USES, *sorted(keys | levels)]
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or list(USES)
            raise ReferenceDataError(
                f"nothing to cite is called {name!r}; give a task, a level of energy or a key of SOURCES.toml, "
                "such as " + ", ".join(near)
            )
    found = [
        Citation(
            key="nasicon_struct",
            kind="package",
            citation=f"nasicon_struct {_version()}, The nasicon_struct developers",
            what="this package",
            licence="MIT",
        )
    ]
    for entry in sources:
        if entry.key in wanted:
            found.append(
                Citation(
                    key=entry.key,
                    kind="data",
                    citation=entry.citation,
                    doi=tuple(part.strip() for part in entry.doi.split(";") if part.strip()),
                    what=entry.what,
                    licence=entry.licence,
                    papers=_papers(entry.file),
                )
            )
    for (key, citation, doi, purpose), used_by in _SOFTWARE:
        if tasks & set(used_by):
            found.append(Citation(key=key, kind="software", citation=citation, doi=(doi,), what=purpose))
    return found


def to_bibtex(citations: Iterable[Citation]) -> str:
    """Return BibTeX entries, separated by blank lines."""
    return "\n\n".join(citation.to_bibtex() for citation in citations)


def _energy_files(*names: str) -> set[str]:
    """Return the files of some levels, and of those that their errors are judged by."""
    found: set[str] = set()
    for name in names:
        level = entry_source(name)
        found |= {f"{_ENERGIES}{file}" for file in level.files}
        if level.held_against:
            found |= {f"{_ENERGIES}{file}" for file in entry_source(level.held_against).files}
    return found


def _papers(file: str) -> tuple[str, ...]:
    """Distinct sources that the rows of a table name."""
    if not (file.startswith("tables/") and file.endswith(".csv")):
        return ()
    rows = reference.read_rows(file.removeprefix("tables/").removesuffix(".csv"))
    return tuple(dict.fromkeys(row["source"].strip() for row in rows if row.get("source", "").strip()))


def _version() -> str:
    from importlib.metadata import version

    return version("nasicon-struct")


def _bibkey(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", key)


def _tex(text: str) -> str:
    return re.sub(r"([&%$#_])", r"\\\1", text)

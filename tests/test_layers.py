"""The order of the house: a module imports only from layers before its own, inside functions too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nasicon_struct

PACKAGE = Path(nasicon_struct.__file__).parent
LAYERS = [
    "errors",
    "plain",
    "units",
    "reference",
    "formula",
    "composition",
    "series",
    "metric",
    "parents",
    "cif",
    "geometry",
    "lattice_model",
    "cell",
    "ordering",
    "relaxation",
    "diffraction",
    "pattern_io",
    "pattern_fit",
    "phase_model",
    "phase",
    "entries",
    "citations",
    "stability",
    "doped",
    "interface",
    "batch",
    "screening",
    "plotting",
    "adapters",
    "design",
    "cli",
]
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_layers(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            if node.module == "nasicon_struct":
                names = [f"nasicon_struct.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "nasicon_struct":
                assert len(parts) > 1, f"{path} imports the whole package"
                found.add(parts[1])
    return found


def test_every_module_has_a_layer() -> None:
    assert len(MODULES) > 30
    assert {layer_of(path) for path in MODULES} <= set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_layers_before(path: Path) -> None:
    rank = {name: number for number, name in enumerate(LAYERS)}
    own = layer_of(path)
    later = {name for name in imported_layers(path) if rank[name] > rank[own]}
    assert not later, f"{own} imports {later}, which come after it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_compute_does_not_draw(path: Path) -> None:
    if layer_of(path) in ("plotting", "design", "cli"):
        return
    roots = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.partition(".")[0])
    assert not roots & {"matplotlib", "plotly"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 560

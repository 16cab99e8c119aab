"""Documentation that runs, links that lead somewhere, docstrings that say what a reader needs."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import pytest

import nasicon_struct as ns

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [
    path
    for path in (ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((DOCS / "howto").glob("*.md")))
    if path.is_file()
]
RUNNING = [path for path in PAGES if "```python\n" in path.read_text(encoding="utf-8")]
FUNCTIONS = [name for name in sorted(ns.__all__) if inspect.isfunction(getattr(ns, name))]
RESULTS = [
    name
    for name in sorted(ns.__all__)
    if inspect.isclass(getattr(ns, name)) and hasattr(getattr(ns, name), "__dataclass_fields__")
]


def has_section(text: str, title: str) -> bool:
    return re.search(rf"^\s*{title}\n\s*-{{{len(title)}}}\s*$", text, re.MULTILINE) is not None


@pytest.mark.parametrize("path", RUNNING, ids=lambda path: path.stem)
def test_python_in_the_pages_runs(
    path: Path, example_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("refined.cif", "scan.xy"):
        shutil.copy(example_folder / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, path.name, "exec"), namespace)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if (
            "://" in target
            or target.startswith("mailto:")
            or (target.endswith(".md") and path.name != "README.md")
        ):
            continue  # links between pages are checked when the site is built
        assert (path.parent / target).exists(), f"{path.name} links to {target}, which is not there"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_say_what_goes_in_and_out(name: str) -> None:
    function = getattr(ns, name)
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    if len(signature.parameters) > 0:
        assert has_section(text, "Parameters"), f"{name}: no section Parameters"
        for parameter in signature.parameters.values():
            bare = parameter.name
            assert re.search(rf"^\s*(\w+, )*\*{{0,2}}{bare}(, \w+)* *(:|$)", text, re.MULTILINE), (
                f"{name}: the parameter {bare} is not described"
            )
    assert has_section(text, "Returns"), f"{name}: no section Returns"


@pytest.mark.parametrize("name", RESULTS)
def test_results_describe_every_field(name: str) -> None:
    text = inspect.getdoc(getattr(ns, name)) or ""
    assert has_section(text, "Attributes"), f"{name}: no section Attributes"
    described = set()
    for line in re.findall(r"^(\w+(?:, \w+)*) *:", text, re.MULTILINE):
        described |= {part.strip() for part in line.split(",")}
    fields = {field for field in getattr(ns, name).__dataclass_fields__ if not field.startswith("_")}
    assert fields <= described, f"{name}: {sorted(fields - described)} not described"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_raise_say_what(name: str) -> None:
    function = getattr(ns, name)
    if re.search(r"^\s+raise \w+", inspect.getsource(function), re.MULTILINE):
        assert has_section(inspect.getdoc(function) or "", "Raises"), f"{name}: no section Raises"

"""What a screening run computes with, and a checksum of it."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import platform
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from nasicon_struct import reference
from nasicon_struct.entries import EntrySet, as_entry_set
from nasicon_struct.entries.sources import entry_source
from nasicon_struct.errors import ScreeningError
from nasicon_struct.stability.inputs import ION_CHARGES
from nasicon_struct.units import ROOM_TEMPERATURE_K

#: Packages whose version may change a number.
_PACKAGES: Final = ("numpy", "scipy", "numba", "pyarrow")
#: Parts of the package that a row is computed by; a change elsewhere changes no row.
_LAYERS: Final = (
    "units",
    "reference",
    "formula",
    "composition",
    "metric",
    "lattice_model",
    "phase_model",
    "phase",
    "entries",
    "stability",
    "screening",
)
_ENTRY_FILES: Final = (".csv", ".json", ".gz")


@dataclass(frozen=True, kw_only=True)
class ScreenSettings:
    """What every candidate is judged with.

    Attributes
    ----------
    entries : EntrySet, str or None
        Energies; a string names an embedded set, None takes for each candidate the one nearest to measurement
        for its elements.
    open_element : str
        Element of the metal that voltages are given against.
    temperature_k : float
        Temperature of the phase assignment, K.
    predicted_cell : bool
        Whether to add the predicted lattice.
    n_samples, seed : int
        Samples of the error model of the energies, for a composition that has an energy of its own.
    """

    entries: EntrySet | str | None = None
    open_element: str = "Na"
    temperature_k: float = ROOM_TEMPERATURE_K
    predicted_cell: bool = False
    n_samples: int = 1000
    seed: int = 0
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.open_element not in ION_CHARGES:
            raise ScreeningError(
                f"a voltage needs an ion of known charge, got {self.open_element!r}; use one of "
                f"{', '.join(ION_CHARGES)}"
            )
        if not (math.isfinite(self.temperature_k) and self.temperature_k > 0):
            raise ScreeningError(f"the temperature must be positive and in kelvin, got {self.temperature_k}")
        if not (isinstance(self.n_samples, int) and self.n_samples > 1):
            raise ScreeningError(f"n_samples must be a whole number above 1, got {self.n_samples!r}")
        given: Any = self.entries
        embedded = given is None or (
            isinstance(given, str) and Path(given).suffix.lower() not in _ENTRY_FILES
        )
        if embedded and given is not None:
            object.__setattr__(self, "entries", entry_source(given).name)
        elif not embedded:
            object.__setattr__(self, "entries", as_entry_set(given))
        if not self.key:
            text = json.dumps(self.describe(), sort_keys=True)
            object.__setattr__(self, "key", hashlib.sha256(text.encode()).hexdigest())

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain JSON, own entries as their checksum."""
        entries: Any = self.entries
        if isinstance(entries, EntrySet):
            text = json.dumps(entries.as_dict(), sort_keys=True, default=str)
            entries = {"source": entries.source, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        return {
            "entries": entries,
            "open_element": self.open_element,
            "temperature_k": self.temperature_k,
            "predicted_cell": self.predicted_cell,
            "n_samples": self.n_samples,
            "seed": self.seed,
        }


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of what computes a row: packages, Python, and checksums of our code and data."""
    found = {name: metadata.version(name) for name in _PACKAGES}
    found["python"] = ".".join(platform.python_version_tuple()[:2])
    try:
        found["nasicon-struct"] = metadata.version("nasicon-struct")
    except metadata.PackageNotFoundError:
        found["nasicon-struct"] = "not installed"
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package)
        if part.parts[0].removesuffix(".py") in _LAYERS:
            digest.update(part.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    found["code"] = digest.hexdigest()[:16]
    data = reference.structures_dir()
    digest = hashlib.sha256()
    for path in sorted(p for p in data.rglob("*") if p.is_file() and p.suffix in (".csv", ".json", ".toml")):
        digest.update(path.relative_to(data).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    found["data"] = digest.hexdigest()[:16]
    return found

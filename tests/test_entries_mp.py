"""The Materials Project client path, against a loopback server that answers in the API's form."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from nasicon_struct.entries import entries_from_mp
from nasicon_struct.errors import EntriesError, MissingDependencyError

KEY = "0123456789abcdef0123456789abcdef"
#: Formula, energy per atom (eV, invented), chemical system.
PHASES = [("Na", -1.3), ("S", -4.1), ("Na2S", -3.9), ("NaS", -4.2), ("NaS2", -4.3)]


class Api:
    """State of the loopback server: what it returns and what it was asked."""

    def __init__(self) -> None:
        self.run_type = "GGA"
        self.phases = list(PHASES)
        self.requests: list[tuple[str, dict[str, list[str]], str | None]] = []
        self.fail = False
        self.url = ""

    def documents(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        systems = {"-".join(sorted(s.split("-"))) for s in ",".join(query.get("chemsys", [])).split(",")}
        thermo = ",".join(query.get("thermo_types", [])).split(",")[0]
        documents = []
        for number, (formula, energy) in enumerate(self.phases):
            entry = computed(formula, energy, self.run_type, f"mp-{number + 1}")
            system = "-".join(sorted(e.symbol for e in entry.composition.elements))
            if system in systems:
                documents.append(
                    {
                        "material_id": f"mp-{number + 1}",
                        "thermo_type": thermo,
                        "entries": {self.run_type: json.loads(json.dumps(entry.as_dict()))},
                    }
                )
        return documents


def computed(formula: str, energy: float, run_type: str, material_id: str) -> ComputedStructureEntry:
    """Return an entry in the form that the API keeps: a structure, a total energy and its parameters."""
    from pymatgen.core import Composition

    amounts = Composition(formula).get_el_amt_dict()
    species = [symbol for symbol, amount in amounts.items() for _ in range(int(amount))]
    points = [[i / len(species), 0.0, 0.0] for i in range(len(species))]
    structure = Structure(Lattice.cubic(4.0 * len(species)), species, points)
    return ComputedStructureEntry(
        structure,
        energy * len(species),
        parameters={"run_type": run_type, "potcar_spec": [], "is_hubbard": False, "hubbards": {}},
        data={
            "oxide_type": "None",
            "aspherical": True,
            "last_updated": "2026-01-01",
            "material_id": material_id,
        },
        entry_id=f"{material_id}-{run_type}",
    )


@pytest.fixture
def api() -> Iterator[Api]:
    pytest.importorskip("mp_api", reason="the optional Materials Project client (extra mp) is not installed")
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            return

        def do_GET(self) -> None:
            parts = urlparse(self.path)
            query = parse_qs(parts.query)
            state.requests.append((parts.path, query, self.headers.get("x-api-key")))
            if state.fail and parts.path != "/heartbeat":
                self.answer(500, {"detail": "broken"})
            elif parts.path.rstrip("/") == "/heartbeat":
                beat = {"status": "OK", "db_version": "2026.01.01", "version": "0.87.3"}
                self.answer(200, {**beat, "access_controlled_batch_ids": []})
            elif parts.path.rstrip("/") == "/materials/thermo":
                documents = state.documents(query)
                skip, limit = int(query.get("_skip", ["0"])[0]), int(query.get("_limit", ["1000"])[0])
                body = {"data": documents[skip : skip + limit], "meta": {"total_doc": len(documents)}}
                self.answer(200, body)
            else:
                self.answer(404, {"detail": f"no {parts.path}"})

        def answer(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MP_API_KEY", "PMG_MAPI_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.filterwarnings("ignore")
def test_entries_come_through_the_client_and_are_cached(api, tmp_path):
    found = entries_from_mp("Na-S", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)
    assert {entry.formula for entry in found} == {"Na", "S", "Na2S", "NaS", "NaS2"}
    assert found.reference_ev_per_atom == {"Na": -1.3, "S": -4.1}
    assert found.formation_energy_ev_per_atom("Na2S") == pytest.approx(-3.9 - (2 * -1.3 - 4.1) / 3)
    assert found.source == "materials-project-GGA_GGA+U"
    assert "CC BY 4.0" in found.licence
    assert {key for path, _, key in api.requests if path.startswith("/materials")} == {KEY}
    asked = [query for path, query, _ in api.requests if path.startswith("/materials")]
    assert all(query["thermo_types"] == ["GGA_GGA+U"] for query in asked)
    before = len(api.requests)
    again = entries_from_mp("S-Na", cache_dir=tmp_path)
    assert len(api.requests) == before, "the cache was not used"
    assert again == found
    files = [path.name for path in tmp_path.iterdir()]
    assert files == ["Na-S_GGA_GGApU.json"]
    assert KEY not in (tmp_path / files[0]).read_text()


@pytest.mark.filterwarnings("ignore")
def test_the_cache_is_keyed_by_thermo_type_and_can_be_refreshed(api, tmp_path):
    entries_from_mp("Na-S", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)
    api.run_type = "R2SCAN"
    found = entries_from_mp("Na-S", thermo_type="R2SCAN", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)
    assert found.level == "r2SCAN"
    assert len(list(tmp_path.iterdir())) == 2
    api.phases = [*PHASES, ("Na2S5", -4.35)]
    assert len(entries_from_mp("Na-S", thermo_type="R2SCAN", cache_dir=tmp_path)) == 5
    options = {"thermo_type": "R2SCAN", "api_key": KEY, "endpoint": api.url, "cache_dir": tmp_path}
    assert len(entries_from_mp("Na-S", refresh=True, **options)) == 6


@pytest.mark.filterwarnings("ignore")
def test_another_level_of_theory_is_an_error_and_not_cached(api, tmp_path):
    api.run_type = "R2SCAN"
    with pytest.raises(EntriesError, match="run type R2SCAN for the thermo type GGA"):
        entries_from_mp("Na-S", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore")
def test_a_missing_element_and_a_failing_server_are_clear_errors(api, tmp_path):
    api.phases = [phase for phase in PHASES if phase[0] != "S"]
    with pytest.raises(EntriesError, match="no GGA_GGA\\+U entry of the element S"):
        entries_from_mp("Na-S", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)
    api.phases = []
    with pytest.raises(EntriesError, match="holds no GGA_GGA"):
        entries_from_mp("Na-S", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)
    api.phases, api.fail = list(PHASES), True
    with pytest.raises(EntriesError, match="did not answer as expected"):
        entries_from_mp("Na-S", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_the_key_comes_from_the_environment_in_order(api, tmp_path, monkeypatch):
    monkeypatch.setenv("PMG_MAPI_KEY", "f" * 32)
    entries_from_mp("Na-S", endpoint=api.url, cache_dir=tmp_path)
    assert api.requests[-1][2] == "f" * 32
    monkeypatch.setenv("MP_API_KEY", KEY)
    entries_from_mp("Na-S", endpoint=api.url, cache_dir=tmp_path, refresh=True)
    assert api.requests[-1][2] == KEY


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_cache_is_asked_again(api, tmp_path):
    entries_from_mp("Na-S", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text("{broken")
    assert len(entries_from_mp("Na-S", api_key=KEY, endpoint=api.url, cache_dir=tmp_path)) == 5


def test_without_a_key_the_error_says_where_it_comes_from(tmp_path):
    with pytest.raises((EntriesError, MissingDependencyError), match="MP_API_KEY"):
        entries_from_mp("Na-S", cache_dir=tmp_path)


def test_an_unknown_thermo_type_is_refused(tmp_path):
    with pytest.raises(EntriesError, match="GGA_GGA\\+U, R2SCAN"):
        entries_from_mp("Na-S", thermo_type="PBE", cache_dir=tmp_path)


def test_a_missing_client_names_the_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "mp_api", None)
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(MissingDependencyError, match=r"nasicon-struct\[mp\]"):
        entries_from_mp("Na-S", api_key=KEY, cache_dir=tmp_path)

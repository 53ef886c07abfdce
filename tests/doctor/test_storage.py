"""The storage is read, and never created or changed."""

from __future__ import annotations

import hashlib
import shutil
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from ddsweep.backends import Definition, Point, connect
from ddsweep.doctor import Place, State, storage
from ddsweep.doctor.storage import Silent, Storage
from tests.backends.conftest import postgresql, postgresql_server  # noqa: F401  (fixtures)
from tests.test_security import SECRET, STORAGES

POINTS = [Point(f"{index:016x}", {"alpha": float(index)}, f"{index:016x}", f"α {index}") for index in range(3)]


def seen(url: str) -> Storage:
    return storage.inspect(Place(Path("runs"), url, Path("cache")))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("queue") / "ddsweep.db"
    store = connect(path)
    backend = store.sweep("x@demo")
    backend.register(Definition("x@demo", POINTS))
    assert backend.claim("host:7") is not None
    store.close()
    return path


@pytest.fixture
def file(made: Path, isolated: Path) -> Path:
    """A storage with a sweep of three cells, one of which an agent has just claimed."""
    path = isolated / "runs" / "ddsweep.db"
    path.parent.mkdir()
    shutil.copy(made, path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = current_timestamp")
    return path


def state(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def test_a_file_that_works_is_left_as_it_was(file: Path) -> None:
    before = state(file.parent)
    found = seen(str(file))
    assert (found.error, found.sweeps, found.running, found.silent) == ("", 1, 1, ())
    assert [one.state for one in storage.reachable(found)] == [State.OK]
    assert state(file.parent) == before


def test_a_file_that_somebody_writes(file: Path) -> None:
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM trials")
        assert (seen(str(file)).error, seen(str(file)).running) == ("", 1)


def test_nothing_is_created(isolated: Path) -> None:
    found = seen(str(isolated / "nowhere" / "ddsweep.db"))
    assert not found.exists
    assert storage.reachable(found)[0].state is State.OK
    assert not (isolated / "nowhere").exists()


def test_the_leases_of_a_dead_agent(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-2 hours')")
    (silent,) = seen(str(file)).silent
    assert (silent.sweep, silent.agent, silent.cells) == ("x@demo", "host:7", 1)
    (found,) = storage.leases(replace(Storage("here", True), silent=(silent,)))
    assert found.state is State.WARNING
    assert found.message == "1 cell of x@demo held by host:7, no heartbeat for 2 h"
    assert found.fix == "running agents take them over: ddsweep agents x@demo"


def test_a_file_that_is_no_database(isolated: Path) -> None:
    path = isolated / "ddsweep.db"
    path.write_bytes(b"nothing that SQLite wrote, and long enough to be looked at" * 20)
    (found,) = storage.reachable(seen(str(path)))
    assert (found.state, "file is not a database" in found.message) == (State.ERROR, True)
    assert found.fix.startswith(f"mv {path} {path}.damaged")


def test_a_file_with_a_torn_page(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[8192:40960] = bytes(40960 - 8192)
    file.write_bytes(body)
    assert storage.reachable(seen(str(file)))[0].state is State.ERROR


def test_an_empty_file_is_as_good_as_none(isolated: Path) -> None:
    (isolated / "ddsweep.db").touch()
    assert storage.reachable(seen(str(isolated / "ddsweep.db")))[0].state is State.OK


def test_tables_of_another_optuna(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'v9.0.0'")
    (found,) = storage.reachable(seen(str(file)))
    assert (found.state, "another version of Optuna (tables v9.0.0" in found.message) == (State.ERROR, True)


def test_sqlite_on_a_network_disk() -> None:
    found = storage.reachable(Storage("/nfs/ddsweep.db", True, network="nfs4", schema=("a", "a")))
    assert [one.state for one in found] == [State.OK, State.WARNING]
    assert "local disks only" in found[1].message


@pytest.mark.parametrize("url", STORAGES)
def test_what_cannot_be_reached_keeps_its_password(url: str) -> None:
    (found,) = storage.reachable(seen(url))
    assert found.state is State.ERROR
    assert found.fix
    assert SECRET not in found.message + found.fix


@pytest.mark.slow
def test_a_server_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SECONDS", 2)  # the least that PostgreSQL's client takes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = seen(f"postgresql://me:s3cret@127.0.0.1:{silent.getsockname()[1]}/none")
    assert "timeout" in found.error


def test_several_dead_agents_are_told_apart() -> None:
    silent = tuple(Silent("x@demo", f"host:{pid}", 2, 600.0) for pid in (1, 2))
    assert len(storage.leases(Storage("here", True, silent=silent))) == 2


@pytest.mark.postgres
def test_a_server(postgresql: str) -> None:  # noqa: F811
    empty = seen(postgresql)
    assert (empty.exists, empty.error) == (False, "")
    assert not seen(postgresql).exists  # inspecting it created no tables
    store = connect(postgresql)
    backend = store.sweep("x@demo")
    backend.register(Definition("x@demo", POINTS))
    assert backend.claim("host:7") is not None
    with store.database.transaction() as session:
        session.execute(sa.text("UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '2 hours'"))
    store.close()
    found = seen(postgresql)
    assert (found.error, found.sweeps, found.running) == ("", 1, 1)
    (silent,) = found.silent
    assert (silent.agent, silent.seconds >= 7200) == ("host:7", True)
    assert [one.state for one in storage.reachable(found)] == [State.OK]

"""Reading an SQLite storage without Optuna; ``test_contract.py`` compares it with Optuna in every state."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from ddsweep import backends
from ddsweep.backends import Definition, Lease, Point, State
from ddsweep.backends.optuna import reading
from ddsweep.backends.optuna.backend import OptunaStore
from ddsweep.backends.optuna.database import parse
from ddsweep.backends.optuna.reading import ReadingStore, sqlite_path
from ddsweep.errors import UserError
from tests.backends.conftest import Opener

NAME = "mine@demo"
LEASE = Lease(30, 180)


def sweep(name: str = NAME) -> Definition:
    return Definition(name, [Point(f"k{i}", {"alpha": float(i)}, f"k{i}", f"cell {i}") for i in range(3)])


@pytest.fixture
def path(tmp_path: Path, open_store: Opener) -> Path:
    store = open_store(tmp_path / "sweeps.db", LEASE)
    store.sweep(NAME).register(sweep())
    return tmp_path / "sweeps.db"


@pytest.fixture
def asked(path: Path, open_store: Opener) -> Iterator[tuple[ReadingStore, list[OptunaStore]]]:
    """A reader, and how often it has opened the file with Optuna."""
    opened: list[OptunaStore] = []

    def slow() -> OptunaStore:
        opened.append(open_store(path, LEASE))
        return opened[-1]

    reader = ReadingStore(path, LEASE, slow)
    yield reader, opened
    reader.close()


def test_the_schema_is_that_of_the_installed_optuna(path: Path) -> None:
    assert RDBStorage(f"sqlite:///{path}")._version_manager.get_head_version() == reading.SCHEMA


def test_optuna_and_sqlalchemy_are_not_imported(path: Path) -> None:
    code = (
        "import sys; from ddsweep import backends; "
        f"store = backends.connect_to_read({str(path)!r}); "
        f"print(store.names(), len(store.sweep({NAME!r}).status().rows), {{'optuna', 'sqlalchemy'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['{NAME}'] 3 set()"


def test_a_reader_sees_what_is_written_meanwhile(
    path: Path, asked: tuple[ReadingStore, list[OptunaStore]], open_store: Opener
) -> None:
    reader, opened = asked
    backend, writer = reader.sweep(NAME), open_store(path, LEASE).sweep(NAME)
    assert backend.status().count(State.WAITING) == 3
    claim = writer.claim("host:1")
    assert claim is not None
    claim.complete(0.5, {"accuracy_std": 0.1})
    assert [row.state for row in backend.status().rows] == [State.COMPLETE, State.WAITING, State.WAITING]
    assert opened == []


def test_a_writer_in_the_middle_of_a_transaction_does_not_keep_readers_waiting(
    path: Path, asked: tuple[ReadingStore, list[OptunaStore]]
) -> None:
    reader, opened = asked
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM trials")
    try:
        assert reader.sweep(NAME).status().size == 3
    finally:
        writer.execute("ROLLBACK")
        writer.close()
    assert opened == []


@pytest.mark.parametrize("journal", [False, True])
def test_a_folder_that_cannot_be_written_is_read(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: bool
) -> None:
    """Such as a copy of finished runs; with a journal, of runs whose machine has failed, or that go on elsewhere."""
    writer = sqlite3.connect(path)
    if journal:
        writer.execute("UPDATE studies SET study_name = 'renamed@demo'")
        writer.commit()
        assert path.with_name(f"{path.name}-wal").stat().st_size
    else:
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writer.close()
    before = sorted(tmp_path.iterdir())
    tmp_path.chmod(0o555)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    reader = ReadingStore(path, LEASE, pytest.fail)
    try:
        (name,) = reader.names()
        assert name == ("renamed@demo" if journal else NAME)
        assert [row.state for row in reader.sweep(name).status().rows] == [State.WAITING] * 3
        assert sorted(tmp_path.iterdir()) == before
    finally:
        reader.close()
        tmp_path.chmod(0o755)
        writer.close()


def test_what_writes_is_done_by_optuna(asked: tuple[ReadingStore, list[OptunaStore]]) -> None:
    reader, opened = asked
    backend = reader.sweep(NAME)
    backend.ask_to_stop("drain")
    assert len(opened) == 1
    assert backend.stop_asked() == "drain"
    backend.reconcile()
    assert len(opened) == 1, "it is opened once"


def test_an_unknown_sweep_has_the_usual_message(asked: tuple[ReadingStore, list[OptunaStore]]) -> None:
    reader, opened = asked
    for ask in (lambda: reader.load_definition("other@demo"), lambda: reader.sweep("other@demo").status()):
        with pytest.raises(UserError, match=f"no registered sweep 'other@demo'; .*{NAME}"):
            ask()
    assert len(opened) == 1


def test_another_schema_is_left_to_optuna(path: Path, asked: tuple[ReadingStore, list[OptunaStore]]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    connection.close()
    reader, opened = asked
    with pytest.raises(UserError, match="was made by another version of Optuna"):
        reader.names()
    assert opened == []


@pytest.mark.parametrize("content", [b"", b"no database, but longer than a header of SQLite" * 20])
def test_other_files_have_the_usual_outcome(content: bytes, tmp_path: Path, open_store: Opener) -> None:
    """An empty file becomes a storage without sweeps, as with Optuna; anything else is an error in one line."""
    path = tmp_path / "other.db"
    path.write_bytes(content)
    reader = ReadingStore(path, LEASE, lambda: open_store(path, LEASE))
    if content:
        with pytest.raises(UserError, match=f"storage {path}: "):
            reader.names()
    else:
        assert reader.names() == []
    reader.close()


def test_a_network_file_system_is_left_to_optuna(
    asked: tuple[ReadingStore, list[OptunaStore]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "network_filesystem", lambda path: "nfs4")
    reader, opened = asked
    assert reader.names() == [NAME]
    assert len(opened) == 1


@pytest.mark.parametrize(
    "storage",
    ["runs/a b.db", "~/x.db", "sqlite:///runs/ä .db", "sqlite:////tmp/a@b:c.db", "sqlite:///~/x.db", "C:x", "a.db?x"],
)
def test_a_path_is_the_one_that_sqlalchemy_finds(storage: str) -> None:
    assert str(sqlite_path(storage)) == parse(storage).database


@pytest.mark.parametrize(
    "storage",
    [
        "postgresql://me@host/db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "", "sqlite:///a%20b.db",
        "me:secret@host/db", "postgresql:/me@host/db", "sqlite+pysqlite:///a.db",
    ],
)  # fmt: skip
def test_anything_else_is_left_to_sqlalchemy(storage: str) -> None:
    assert sqlite_path(storage) is None


def test_a_server_is_read_with_optuna() -> None:
    with pytest.raises(UserError, match="storage"):
        backends.connect_to_read("postgresql://me@127.0.0.1:1/db")

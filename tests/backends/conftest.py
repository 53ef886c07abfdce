"""A PostgreSQL server of our own for the tests that are marked ``postgres``, and a short way to open stores."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ddsweep.backends import Lease, connect
from ddsweep.backends.optuna.backend import OptunaStore
from ddsweep.backends.optuna.reading import ReadingStore

Opener = Callable[..., OptunaStore]


@pytest.fixture
def open_store() -> Iterator[Opener]:
    """``open_store(url, lease)``; what it opened is closed after the test."""
    opened = []

    def one(url: str | Path, lease: Lease | None = None, artifacts: Path | None = None) -> OptunaStore:
        opened.append(connect(url, lease, artifacts))
        return opened[-1]

    yield one
    for store in opened:
        store.close()


def assert_read_alike(path: Path, store: OptunaStore, lease: Lease) -> None:
    """The reader without Optuna answers as Optuna's store does; ages may differ by the time between two questions."""

    def never() -> OptunaStore:
        raise AssertionError("it asked Optuna")

    reader = ReadingStore(path, lease, never)
    try:
        assert reader.names() == store.names()
        for name in store.names():
            ours, theirs = reader.sweep(name), store.sweep(name)
            assert reader.load_definition(name) == store.load_definition(name)
            assert ours.status() == theirs.status()
            assert ours.drained() == theirs.drained()
            assert ours.stop_asked() == theirs.stop_asked()
            for mine, other in zip(ours.held(), theirs.held(), strict=True):
                assert abs(mine.silent - other.silent) <= 1
                assert replace(mine, silent=0.0) == replace(other, silent=0.0)
            for seen, expected in zip(ours.agents(), theirs.agents(), strict=True):
                assert (seen.status, pytest.approx(expected.age, abs=1)) == (expected.status, seen.age)
            keys = [point.key for point in store.load_definition(name).points]
            assert reader.kept(keys) == store.kept(keys)
            assert [reader.load(key) for key in keys[:5]] == [store.load(key) for key in keys[:5]]
    finally:
        reader.close()


class Server:
    """A PostgreSQL server on a port of its own."""

    def __init__(self) -> None:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        if not programs:
            pytest.fail("PostgreSQL is not installed (no /usr/lib/postgresql/*/bin); on Debian: apt install postgresql")
        self._folder = Path(
            tempfile.mkdtemp(prefix="ddsweep-pg-")
        )  # pytest's own folders are closed to the user postgres
        self._control, self.port, self._prefix = programs[-1], _free_port(), list[str]()
        if os.geteuid() == 0:  # initdb refuses root
            shutil.chown(self._folder, "postgres")
            self._prefix = ["runuser", "-u", "postgres", "--"]
        self._run("initdb", "-o", "-A trust -U postgres -E UTF8 --no-locale -N")

    @property
    def url(self) -> str:
        """Where it is, without a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        self._run("start", "-l", self._folder / "log", "-w", "-o", options)

    def stop(self) -> None:
        """End it as a power cut would."""
        self._run("stop", "-m", "immediate")

    def remove(self) -> None:
        """Remove its files."""
        shutil.rmtree(self._folder)

    def trust(self, method: str) -> None:
        """How clients prove who they are from now on: ``trust`` or ``scram-sha-256``."""
        (self._folder / "data" / "pg_hba.conf").write_text(f"host all all 127.0.0.1/32 {method}\n")
        self._run("reload")

    def database(self) -> str:
        """URL of a new, empty database."""
        import psycopg

        name = f"test_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{self.url}/{name}"

    def _run(self, *words: str | Path) -> None:
        command = [*self._prefix, str(self._control), *map(str, words), "-D", str(self._folder / "data")]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"


@contextlib.contextmanager
def _served() -> Iterator[Server]:
    server = Server()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.remove()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL, without a database, of a server that lives as long as the session."""
    with _served() as server:
        yield server.url


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may stop."""
    with _served() as server:
        yield server


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """URL of an empty database."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{postgresql_server}/{name}"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

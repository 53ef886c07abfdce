"""A PostgreSQL server of our own for the tests that are marked ``postgres``, and a short way to open stores."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ddsweep.backends import Lease, connect
from ddsweep.backends.optuna import OptunaStore

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


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL, without a database, of a server that lives as long as the session."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not programs:
        pytest.fail("PostgreSQL is not installed (no /usr/lib/postgresql/*/bin); on Debian: apt install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="ddsweep-pg-"))  # pytest's own folders are closed to the user postgres
    data, port = folder / "data", _free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    prefix: list[str] = []
    if os.geteuid() == 0:  # initdb refuses root
        shutil.chown(folder, "postgres")
        prefix = ["runuser", "-u", "postgres", "--"]

    def run(*command: str | Path) -> None:
        done = subprocess.run([*prefix, *map(str, command)], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"

    control = programs[-1]
    run(control, "initdb", "-D", data, "-o", "-A trust -U postgres -E UTF8 --no-locale -N")
    run(control, "start", "-D", data, "-l", folder / "log", "-w", "-o", options)
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        run(control, "stop", "-D", data, "-m", "immediate")
        shutil.rmtree(folder)


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

"""The storage: whether it is reachable and of a supported version, where its file is, and which leases are stale.

It is opened read-only: opening it as a launch does would create the file, the schema and an index.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ddsweep import again, text
from ddsweep.doctor.check import Finding, Place, error, ok, warning
from ddsweep.errors import UserError

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy import orm

SECONDS = 8  # limit for connecting and for each statement; the limit of the whole check is longer
STEPS = 10_000  # instructions of SQLite's virtual machine between two calls of the progress handler
DRIVER = "pip install 'ddsweep[postgres]'"


@dataclass(frozen=True)
class Silent:
    """An agent that holds cells and has sent no heartbeat for longer than a lease lasts."""

    sweep: str
    agent: str
    cells: int
    seconds: float


@dataclass(frozen=True)
class Storage:
    """Facts about a storage.

    Attributes:
        address: URL or path as shown to people, without a password.
        is_file: whether it is an SQLite file.
        exists: whether the file and the tables exist; a launch creates them.
        network: the type of network file system that the file is on; empty: a local disk.
        error: why it cannot be used; empty if it can.
        fix: suggested fix for ``error``.
        schema: the version of its tables, and the version that the installed Optuna writes.
        sweeps: number of registered sweeps.
        running: number of cells that agents hold.
        silent: those agents whose lease has expired.
        partly_checked: whether the time limit ended the integrity check of the file.
    """

    address: str
    is_file: bool
    exists: bool = True
    network: str = ""
    error: str = ""
    fix: str = ""
    schema: tuple[str, str] = ("", "")
    sweeps: int = 0
    running: int = 0
    silent: tuple[Silent, ...] = ()
    partly_checked: bool = False


def inspect(place: Place) -> Storage:
    """Connect read-only and count."""
    from ddsweep.backends.optuna import database

    try:
        address = database.parse(place.storage)
    except UserError as problem:
        message = str(problem).removeprefix("storage: ")
        return Storage("", False, error=message, fix="correct --storage or $DDSWEEP_STORAGE")
    is_file = address.get_backend_name() == "sqlite"
    return (_file if is_file else _server)(address, Storage(database.shown(address), is_file))


def reachable(facts: Storage) -> list[Finding]:
    """Whether a launch could use it."""
    name, address = "storage", f"{facts.address}: " if facts.address else ""
    if facts.error:
        return [error(name, f"{address}{facts.error}", facts.fix)]
    if not facts.exists:
        return [ok(name, f"{address}does not exist yet; the first launch creates it"), *_on_network(facts)]
    version, installed = facts.schema
    if version != installed:
        message = f"{address}created by another version of Optuna (tables {version or 'unknown'}, need {installed})"
        return [error(name, message, "use a new one, or optuna storage upgrade --storage URL")]
    rest = " (too large to check completely)" if facts.partly_checked else ""
    counts = f"{text.plural(facts.sweeps, 'sweep')}, {text.plural(facts.running, 'running cell')}"
    return [ok(name, f"{address}{counts}{rest}"), *_on_network(facts)]


def leases(facts: Storage) -> list[Finding]:
    """Cells of dead agents; the next agent that asks for work takes them over."""
    return [
        warning(
            "lease",
            f"{text.plural(agent.cells, 'cell')} of {agent.sweep} held by {agent.agent or 'an agent'}, "
            f"no heartbeat for {text.duration(agent.seconds)}",
            f"running agents take them over: {again.other('agents', agent.sweep)}",
        )
        for agent in facts.silent
    ]


def _on_network(facts: Storage) -> list[Finding]:
    if not facts.network:
        return []
    message = f"{facts.address} is on {facts.network}: SQLite is safe on local disks only"
    return [warning("storage", message, "--runs on a local disk, or for several machines --storage postgresql://…")]


def _file(address: sa.URL, known: Storage) -> Storage:
    from ddsweep.backends.optuna.mounts import network_filesystem

    path = Path(address.database or "")
    known = replace(known, network=network_filesystem(path) or "")
    try:
        if not path.exists():
            return replace(known, exists=False)
        with closing(sqlite3.connect(f"file:{quote(str(path))}?{_mode(path)}", uri=True, timeout=SECONDS)) as file:
            file.set_progress_handler(_until(SECONDS), STEPS)
            try:
                verdict = file.execute("PRAGMA quick_check(1)").fetchone()[0]
            except sqlite3.OperationalError as problem:
                if str(problem) != "interrupted":
                    raise
                known, verdict = replace(known, partly_checked=True), "ok"
        if verdict != "ok":
            raise sqlite3.DatabaseError(" ".join(verdict.split()))
        return _read(f"sqlite:///file:{quote(str(path))}?{_mode(path)}&uri=true", {"timeout": SECONDS}, known)
    except (sqlite3.DatabaseError, OSError, UserError) as problem:
        fix = f"mv {path} {path}.damaged; launching again reads finished cells from their run folders"
        if isinstance(problem, OSError) or "unable to open" in str(problem) or not os.access(path, os.R_OK):
            fix = f"make {path} and its folder readable: chown, chmod"
        return replace(known, error=str(problem), fix=fix)


def _mode(path: Path) -> str:
    """URL parameters that create no file beside the database; one in use has its write-ahead log there already."""
    return "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"


def _until(seconds: float) -> Callable[[], int]:
    """A progress handler for SQLite that ends a statement after this many seconds."""
    import time

    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _server(address: sa.URL, known: Storage) -> Storage:
    if importlib.util.find_spec("psycopg") is None:
        return replace(known, error="the driver for PostgreSQL is not installed", fix=DRIVER)
    options = f"-c default_transaction_read_only=on -c statement_timeout={SECONDS * 1000} -c TimeZone=UTC"
    try:
        return _read(address, {"connect_timeout": SECONDS, "options": options}, known)
    except UserError as problem:
        fix = "start the server; check host, user and password; docs/clusters.md"
        return replace(known, error=str(problem), fix=fix)


def _read(address: str | sa.URL, options: dict[str, object], known: Storage) -> Storage:
    """Read the tables.

    Raises:
        UserError: the storage cannot be reached or read; the message does not contain the password.
    """
    import sqlalchemy as sa

    with _session(address, options) as session:
        if not sa.inspect(session.connection()).has_table("studies"):
            return replace(known, exists=False)
        schema = _schema(session)
        if schema[0] != schema[1]:
            return replace(known, schema=schema)
        return _counted(session, replace(known, schema=schema))


@contextmanager
def _session(address: str | sa.URL, options: dict[str, object]) -> Iterator[orm.Session]:
    import sqlalchemy as sa
    from sqlalchemy import orm

    from ddsweep.backends.optuna import database

    parsed = sa.make_url(address)
    engine = sa.create_engine(parsed, poolclass=sa.NullPool, connect_args=options)
    try:
        with orm.Session(engine) as session:
            yield session
    except (sa.exc.DBAPIError, OSError) as problem:
        raise UserError(database.reason(problem, parsed)) from None


def _schema(session: orm.Session) -> tuple[str, str]:
    import optuna.storages._rdb as rdb
    import sqlalchemy as sa
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(rdb.__file__).parent / "alembic"))
    installed = ScriptDirectory.from_config(config).get_current_head() or ""
    exists = sa.inspect(session.connection()).has_table("alembic_version")
    version = session.scalar(sa.text("SELECT version_num FROM alembic_version")) if exists else None
    return str(version or ""), installed


def _counted(session: orm.Session, known: Storage) -> Storage:
    from ddsweep.backends import Lease
    from ddsweep.backends.optuna import grid
    from ddsweep.backends.optuna.leases import running

    lease = Lease.parse(os.environ.get("DDSWEEP_LEASE", ""))
    claimed = running(session, lease)
    late: dict[tuple[str, str], list[float]] = defaultdict(list)
    for cell in claimed:
        if cell.silent > lease.grace:
            late[cell.sweep, cell.agent].append(cell.silent)
    silent = tuple(Silent(sweep, agent, len(ages), max(ages)) for (sweep, agent), ages in late.items())
    return replace(known, sweeps=len(grid.names(session)), running=len(claimed), silent=silent)

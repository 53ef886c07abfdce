"""The storage: whether it can be reached and understood, where its file lies, and who holds cells in it.

It is opened for reading only. Opening it as a launch does would make the file, the schema and an index.
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

from ddsweep.doctor.check import Finding, Place, broken, ok, warning
from ddsweep.errors import UserError

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy import orm

SECONDS = 8  # to connect, and for one statement; the check as a whole ends later
STEPS = 10_000  # of SQLite's machine between two looks at whether it is time
DRIVER = "pip install 'ddsweep[postgres]'"


@dataclass(frozen=True)
class Silent:
    """An agent that holds cells and was not heard of for longer than a lease lasts."""

    sweep: str
    agent: str
    cells: int
    seconds: float


@dataclass(frozen=True)
class Storage:
    """What a storage says of itself.

    Attributes:
        where: for people; without its password.
        file: whether it is an SQLite file.
        there: whether there is one: a launch makes the file, and the tables in an empty database.
        network: the kind of network file system that the file lies on; empty: a local disk.
        error: why it cannot be used; empty: it can.
        cure: what to do about ``error``.
        schema: the version of its tables, and the one that the installed Optuna writes.
        sweeps: how many are registered.
        running: how many cells are in some agent's hands.
        silent: the agents among these that are dead or cut off.
        cut_short: whether there was no time to read all of the file.
    """

    where: str
    file: bool
    there: bool = True
    network: str = ""
    error: str = ""
    cure: str = ""
    schema: tuple[str, str] = ("", "")
    sweeps: int = 0
    running: int = 0
    silent: tuple[Silent, ...] = ()
    cut_short: bool = False


def look(place: Place) -> Storage:
    """Connect and read."""
    from ddsweep.backends.optuna import database

    try:
        address = database.parse(place.storage)
    except UserError as error:
        said = str(error).removeprefix("storage: ")
        return Storage("", False, error=said, cure="write --storage or $DDSWEEP_STORAGE like that")
    file = address.get_backend_name() == "sqlite"
    return (_file if file else _server)(address, Storage(database.shown(address), file))


def reachable(facts: Storage) -> list[Finding]:
    """Whether a launch could use it."""
    name, where = "storage", f"{facts.where}: " if facts.where else ""
    if facts.error:
        return [broken(name, f"{where}{facts.error}", facts.cure)]
    if not facts.there:
        return [ok(name, f"{where}nothing yet; the first launch makes it"), *_slow(facts)]
    found, ours = facts.schema
    if found != ours:
        said = f"{where}was made by another version of Optuna (tables {found or 'unknown'}, here {ours})"
        return [broken(name, said, "use a new one, or optuna storage upgrade --storage URL")]
    rest = " (too large to check all of it here)" if facts.cut_short else ""
    counts = f"{facts.sweeps} sweep{'s' * (facts.sweeps != 1)}, {facts.running} cells at work"
    return [ok(name, f"{where}{counts}{rest}"), *_slow(facts)]


def leases(facts: Storage) -> list[Finding]:
    """Cells of agents that died: they go to whoever asks next, and until somebody asks to nobody."""
    return [
        warning(
            "lease",
            f"{one.cells} cell{'s' * (one.cells != 1)} of {one.sweep} held by {one.agent or 'an agent'}, "
            f"silent for {one.seconds / 60:.0f} min",
            f"ddsweep agents {one.sweep}: agents that are at work take them over",
        )
        for one in facts.silent
    ]


def _slow(facts: Storage) -> list[Finding]:
    if not facts.network:
        return []
    said = f"{facts.where} lies on {facts.network}: SQLite is safe on local disks only"
    return [warning("storage", said, "--runs on a local disk, or for several machines --storage postgresql://…")]


def _file(address: sa.URL, known: Storage) -> Storage:
    from ddsweep.backends.optuna.database import network_filesystem

    path = Path(address.database or "")
    known = replace(known, network=network_filesystem(path) or "")
    try:
        if not path.exists():
            return replace(known, there=False)
        with closing(sqlite3.connect(f"file:{quote(str(path))}?{_mode(path)}", uri=True, timeout=SECONDS)) as file:
            file.set_progress_handler(_until(SECONDS), STEPS)
            try:
                said = file.execute("PRAGMA quick_check(1)").fetchone()[0]
            except sqlite3.OperationalError as error:
                if str(error) != "interrupted":
                    raise
                known, said = replace(known, cut_short=True), "ok"
        if said != "ok":
            raise sqlite3.DatabaseError(" ".join(said.split()))
        return _read(f"sqlite:///file:{quote(str(path))}?{_mode(path)}&uri=true", {"timeout": SECONDS}, known)
    except (sqlite3.DatabaseError, OSError, UserError) as error:
        cure = f"mv {path} {path}.damaged; launching again reads finished cells from their run folders"
        if isinstance(error, OSError) or "unable to open" in str(error) or not os.access(path, os.R_OK):
            cure = f"let {path} and its folder be read: chown, chmod"
        return replace(known, error=str(error), cure=cure)


def _mode(path: Path) -> str:
    """Reading a file that nobody writes leaves nothing beside it; one that somebody writes has its log there."""
    return "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"


def _until(seconds: float) -> Callable[[], int]:
    """What SQLite asks again and again: whether to give up."""
    import time

    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _server(address: sa.URL, known: Storage) -> Storage:
    if importlib.util.find_spec("psycopg") is None:
        return replace(known, error="PostgreSQL needs a driver, which is not installed", cure=DRIVER)
    options = f"-c default_transaction_read_only=on -c statement_timeout={SECONDS * 1000} -c TimeZone=UTC"
    try:
        return _read(address, {"connect_timeout": SECONDS, "options": options}, known)
    except UserError as error:
        cure = "start the server; check host, user and password; docs/clusters.md"
        return replace(known, error=str(error), cure=cure)


def _read(address: str | sa.URL, options: dict[str, object], known: Storage) -> Storage:
    """What the tables say.

    Raises:
        UserError: it cannot be reached or read; without the password.
    """
    import sqlalchemy as sa

    with _session(address, options) as session:
        if not sa.inspect(session.connection()).has_table("studies"):
            return replace(known, there=False)
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
    except (sa.exc.DBAPIError, OSError) as error:
        raise UserError(database.reason(error, parsed)) from None


def _schema(session: orm.Session) -> tuple[str, str]:
    import optuna.storages._rdb as rdb
    import sqlalchemy as sa
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(rdb.__file__).parent / "alembic"))
    ours = ScriptDirectory.from_config(config).get_current_head() or ""
    there = sa.inspect(session.connection()).has_table("alembic_version")
    found = session.scalar(sa.text("SELECT version_num FROM alembic_version")) if there else None
    return str(found or ""), ours


def _counted(session: orm.Session, known: Storage) -> Storage:
    from ddsweep.backends import Lease
    from ddsweep.backends.optuna import grid
    from ddsweep.backends.optuna.claims import running

    held, grace = running(session), Lease.parse(os.environ.get("DDSWEEP_LEASE", "")).grace
    late: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in held:
        if one.silent > grace:
            late[one.sweep, one.agent].append(one.silent)
    silent = tuple(Silent(*who, len(ages), max(ages)) for who, ages in late.items())
    return replace(known, sweeps=len(grid.names(session)), running=len(held), silent=silent)

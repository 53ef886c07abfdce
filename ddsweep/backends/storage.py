"""Opening the storage: an SQLite file on a local disk, or PostgreSQL for several machines. Every error is one line."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from sqlalchemy import orm

from ddsweep import files
from ddsweep.errors import UserError

logger = logging.getLogger(__name__)

ALLOWED = "a file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
NETWORK_FILESYSTEMS = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "smb3", "smbfs",
}  # fmt: skip
BUSY_SECONDS = 60
CONNECT_SECONDS = 10
READ = {"ddsweep_read": True}  # an execution option: the transaction will not write


@dataclass(frozen=True)
class Database:
    """An open storage.

    Attributes:
        url: where it is.
        rdb: Optuna's storage object over the same engine; what the dashboard and the studies use.
    """

    url: sa.URL
    rdb: RDBStorage

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a server."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None

    @contextlib.contextmanager
    def transaction(self, mode: Literal["read", "write"] = "write") -> Iterator[orm.Session]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        On SQLite a writing one has the database to itself; on PostgreSQL lock the rows that you decide upon.

        Raises:
            UserError: the storage cannot be reached or is locked for too long.
        """
        engine = self.rdb.engine.execution_options(**READ) if mode == "read" else self.rdb.engine
        with one_line(self.url), orm.Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def mutex(self, name: str) -> Iterator[None]:
        """Hold a lock by that name among all who use this storage; its holder's death frees it."""
        with _mutex(self.url, name):
            yield

    def close(self) -> None:
        """Let go of all connections."""
        self.rdb.remove_session()
        self.rdb.engine.dispose()


def open_database(storage: str, *, read_only: bool = False) -> Database:
    """Open ``storage``, creating its schema if it has none; any number of processes may do so at once.

    ``read_only`` is a promise: Optuna's own reads then do not queue up with the writers of an SQLite file.

    Raises:
        UserError: a bad URL, a missing driver, a storage that cannot be reached, written or understood.
    """
    url = parse(storage)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with one_line(url):
        database = _open_sqlite(url) if url.get_backend_name() == "sqlite" else _open_postgresql(url)
    if read_only:
        database.rdb.scoped_session.configure(bind=database.rdb.engine.execution_options(**READ))
    return database


def parse(storage: str) -> sa.URL:
    """The URL of ``storage``: a path is an SQLite file, ``postgresql://`` means the driver psycopg.

    Raises:
        UserError: neither of the two.
    """
    if "://" not in storage:
        return sa.URL.create("sqlite", database=str(Path(storage).expanduser().absolute()))
    try:
        url = sa.make_url(storage)
    except (sa.exc.ArgumentError, ValueError):  # its text may hold the password: say nothing of it
        raise UserError(f"storage: not a URL; {ALLOWED}") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.drivername == "sqlite" and url.database and url.database != ":memory:":
        if url.query:
            raise UserError(f"storage: {shown(url)}: SQLite takes no ?options here; {ALLOWED}")
        return url.set(database=str(Path(url.database).expanduser().absolute()))
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"storage: cannot use {url.drivername}://; {ALLOWED}")


def shown(url: sa.URL) -> str:
    """The URL for people: no password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    hidden = {key: "***" if "pass" in key.lower() else value for key, value in url.query.items()}
    return url.set(query=hidden).render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


@contextlib.contextmanager
def one_line(url: sa.URL) -> Iterator[None]:
    """Turn what a database, Optuna and the system raise about a storage into one line, without the password."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise  # never the storage's fault
    except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
        raise UserError(f"storage {shown(url)}: {_reason(error, url)}") from error
    except optuna.exceptions.StorageInternalError as error:
        raise UserError(f"storage {shown(url)}: {_reason(error.__cause__ or error, url)}") from error
    except RuntimeError as error:
        if "table schema" not in str(error):
            raise
        advice = "use a new one, or `optuna storage upgrade --storage URL`"
        raise UserError(f"storage {shown(url)}: was made by another version of Optuna; {advice}") from error


def _reason(error: BaseException, url: sa.URL) -> str:
    text = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
    secrets = [value for key, value in url.query.items() if "pass" in key.lower()]
    for secret in (url.password, *secrets):
        if secret:
            text = text.replace(str(secret), "***")
    return text if len(text) <= 300 else f"{text[:300]} …"


def _open_sqlite(url: sa.URL) -> Database:
    path = Path(url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    network = network_filesystem(path)
    if network:
        advice = "SQLite is safe on local disks only; for several machines use --storage postgresql://…"
        logger.warning("%s lies on %s: %s", path, network, advice)
    journal = "DELETE" if network else "WAL"  # WAL's index is shared memory, which no network file system shares
    with _mutex(url, "schema"):
        rdb = RDBStorage(url.render_as_string(), engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})
        rdb.remove_session()
        # the mode stays with the file, and nobody else may be writing while it changes: here, not per connection
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute(f"PRAGMA journal_mode={journal}")

    @sa.event.listens_for(rdb.engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin as the next listener says
        for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(rdb.engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # SQLite ignores SELECT … FOR UPDATE: unless a transaction that writes has the file to itself from its first
        # read on, two agents take one trial and both believe it is theirs
        read = connection.get_execution_options().get("ddsweep_read")
        connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")

    rdb.engine.dispose()  # connections from before the listeners
    return Database(url, rdb)


def _open_postgresql(url: sa.URL) -> Database:
    if importlib.util.find_spec("psycopg") is None:
        raise UserError("storage: PostgreSQL needs a driver: pip install 'ddsweep[postgres]'")
    with _mutex(url, "schema"):
        # pre-ping: a restart of the server costs a connection, not an agent
        kwargs = {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_SECONDS}}
        rdb = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=kwargs)

    @sa.event.listens_for(rdb.engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        # heartbeats are stored without a time zone: a $PGTZ of one agent must not make its beats look hours old
        connection.execute("SET TIME ZONE 'UTC'")
        # an agent that is frozen in the middle of a transaction may not keep the others waiting for ever
        connection.execute(f"SET idle_in_transaction_session_timeout = '{BUSY_SECONDS}s'")
        connection.commit()

    rdb.remove_session()
    rdb.engine.dispose()
    return Database(url, rdb)


@contextlib.contextmanager
def _mutex(url: sa.URL, name: str) -> Iterator[None]:
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        with files.lock(path.with_name(f".{path.name}.{name}.lock")):
            yield
        return
    number = int.from_bytes(hashlib.blake2b(f"ddsweep:{name}".encode(), digest_size=8).digest(), signed=True)
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(number)))
        yield  # the lock belongs to the session: closing the connection frees it, and so does dying


def network_filesystem(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The type of the network file system that ``path`` lies on; None on a local disk, or if nothing lists mounts."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    best: tuple[int, str] = (-1, "")
    for line in lines:
        _, folder, kind, *_ = line.split(" ")
        folder = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), folder)  # a space is \040 there
        if path.resolve().is_relative_to(folder) and len(folder) >= best[0]:  # a later mount covers an earlier one
            best = (len(folder), kind)
    return best[1] if best[1] in NETWORK_FILESYSTEMS else None

"""Opening the storage: an SQLite file on a local disk, or PostgreSQL for several machines. Every error is one line."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import math
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, quote_plus

import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import orm

from ddsweep import files
from ddsweep.backends.optuna import tables
from ddsweep.errors import UserError

logger = logging.getLogger(__name__)
T = TypeVar("T")
Mode = Literal["read", "write"]

NETWORK_FILESYSTEMS = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "smb3", "smbfs",
}  # fmt: skip
BUSY_SECONDS = 60
CONNECT_SECONDS = 10
# A link that is cut says nothing. Left to itself, a transaction waits a quarter of an hour for the answer, and the
# server keeps what a vanished host has locked for over two hours; so both ends ask, and give up in SILENT_SECONDS.
SILENT_SECONDS = 30
CLIENT = {
    "connect_timeout": CONNECT_SECONDS, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4,
    "tcp_user_timeout": SILENT_SECONDS * 1000,
}  # fmt: skip
SERVER = (
    "SET tcp_keepalives_idle = 10", "SET tcp_keepalives_interval = 5", "SET tcp_keepalives_count = 4",
    f"SET tcp_user_timeout = '{SILENT_SECONDS}s'",
)  # fmt: skip
READ = {"ddsweep_read": True}  # an execution option: the transaction will not write

SECONDS = 300.0  # how long a storage may be away before whoever needs it gives up
PAUSES = (0.1, 5.0)  # seconds before the second try, doubled with every further one up to the longest
SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")  # held by another process, or a full disk
# 08: connection, 40: deadlock, 53: no disk or connection left, 57P: shutdown and start, 25P03: frozen for too long
POSTGRESQL = ("08", "40", "53", "57P", "25P03")
ALLOWED = "a file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
HIDDEN = "***"
# what may be shown of ?options: a mistyped ?pasword= is as secret as the right one
HARMLESS = {"application_name", "client_encoding", "connect_timeout", "host", "port", "sslmode", "target_session_attrs"}


@dataclass
class Database:
    """An open storage.

    Attributes:
        url: where it is.
        rdb: Optuna's storage object over the same engine; what the dashboard and the studies use.
        held_up: when (``time.monotonic``) the last transaction ended that took ``long`` seconds or more, because the
            storage was away or somebody kept it locked: so it was for everybody.
        long: see ``held_up``.
    """

    url: sa.URL
    rdb: RDBStorage
    held_up: float = -math.inf
    long: float = math.inf

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a server."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None

    def run(self, work: Callable[[orm.Session], T], mode: Mode = "write") -> T:
        """What ``work`` returns, done in one transaction; done again while the storage is away (``patience``).

        A commit whose confirmation got lost is done again as well: ``work`` must know what was its own doing.

        Raises:
            UserError: the storage was away for too long, or refuses.
        """

        def once() -> T:
            with self._session(mode) as session:
                return work(session)

        began = time.monotonic()
        try:
            with one_line(self.url):
                return insist(once, shown(self.url))
        finally:
            ended = time.monotonic()
            if ended - began > self.long:
                self.held_up = ended

    @contextlib.contextmanager
    def transaction(self, mode: Mode = "write") -> Iterator[orm.Session]:
        """One transaction: committed at the end of the block, rolled back when it raises. It is tried once.

        On SQLite a writing one has the database to itself; on PostgreSQL lock the rows that you decide upon.

        Raises:
            UserError: the storage cannot be reached or is locked for too long.
        """
        with one_line(self.url), self._session(mode) as session:
            yield session

    @contextlib.contextmanager
    def _session(self, mode: Mode) -> Iterator[orm.Session]:
        engine = self.rdb.engine.execution_options(**READ) if mode == "read" else self.rdb.engine
        with orm.Session(engine, expire_on_commit=False) as session, session.begin():
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


def open_database(storage: str, *, read_only: bool = False, patient: bool = False) -> Database:
    """Open ``storage``, creating its schema if it has none; any number of processes may do so at once.

    ``read_only`` is a promise: Optuna's own reads then do not queue up with the writers of an SQLite file. ``patient``
    waits for a storage that is away, as an agent does that starts while the server restarts; a person asks again.

    Raises:
        UserError: a bad URL, a missing driver, a storage that cannot be reached, written or understood.
    """
    url = parse(storage)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opener = partial(_open_sqlite if url.get_backend_name() == "sqlite" else _open_postgresql, url)
    with one_line(url):
        database = insist(opener, shown(url)) if patient else opener()
    if read_only:
        database.rdb.scoped_session.configure(bind=database.rdb.engine.execution_options(**READ))
    return database


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
    with _mutex(url, "schema"):
        tables.create_index(rdb.engine)
    return Database(url, rdb)


def _open_postgresql(url: sa.URL) -> Database:
    if importlib.util.find_spec("psycopg") is None:
        raise UserError("storage: PostgreSQL needs a driver: pip install 'ddsweep[postgres]'")
    with _mutex(url, "schema"):
        # pre-ping: a restart of the server costs a connection, not an agent
        kwargs = {"pool_pre_ping": True, "connect_args": CLIENT}
        rdb = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=kwargs)
        tables.create_index(rdb.engine)

    @sa.event.listens_for(rdb.engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        # heartbeats are stored without a time zone: a $PGTZ of one agent must not make its beats look hours old
        connection.execute("SET TIME ZONE 'UTC'")
        # an agent that is frozen in the middle of a transaction may not keep the others waiting for ever
        connection.execute(f"SET idle_in_transaction_session_timeout = '{BUSY_SECONDS}s'")
        for setting in SERVER:
            connection.execute(setting)
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
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=CLIENT)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for setting in SERVER:
            connection.execute(sa.text(setting))
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


def insist(work: Callable[[], T], where: str) -> T:
    """``work()``, again and again while its errors are of the passing kind; the last one after ``SECONDS``."""
    since, pause = time.monotonic(), PAUSES[0]
    while True:
        try:
            return work()
        except (sa.exc.DBAPIError, StorageInternalError) as error:  # Optuna's own calls wrap what the database said
            cause = error.__cause__ if isinstance(error, StorageInternalError) else error
            if not isinstance(cause, sa.exc.DBAPIError) or not passing(cause) or time.monotonic() - since > SECONDS:
                raise
        if pause == PAUSES[0]:
            logger.warning("storage %s is away or busy; trying again for %.0f s", where, SECONDS)
        time.sleep(pause)
        pause = min(2 * pause, PAUSES[1])


def passing(error: sa.exc.DBAPIError) -> bool:
    """Whether the same may succeed later: a lost connection, a restart, a lock; not a wrong statement or password."""
    if isinstance(error.orig, sqlite3.Error):
        return str(getattr(error.orig, "sqlite_errorname", "")).startswith(SQLITE)
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return str(state).startswith(POSTGRESQL)
    # a connection that broke, or could not be made, has no state: nobody was there to give one
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)


def parse(storage: str) -> sa.URL:
    """The URL of ``storage``: a path is an SQLite file, ``postgresql://`` means the driver psycopg.

    Raises:
        UserError: neither of the two. What was given is not repeated: it may hold a password.
    """
    if "://" not in storage:
        if re.match(r"[\w+.-]{2,}:", storage):  # user:password@host, or postgresql:/…: nobody means a file by that
            raise UserError(f"storage: not a URL; {ALLOWED}")
        return sa.URL.create("sqlite", database=str(Path(storage).expanduser().absolute()))
    try:
        url = sa.make_url(storage)
    except (sa.exc.ArgumentError, ValueError):
        raise UserError(f"storage: not a URL; {ALLOWED}") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.drivername == "sqlite" and url.database and url.database != ":memory:":
        if url.query:
            raise UserError(f"storage: {shown(url)}: SQLite takes no ?options here; {ALLOWED}")
        return url.set(database=str(Path(url.database).expanduser().absolute()))
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        if "@" in f"{url.host}{url.database}":  # a password with a / or @ in it that was not written %2F or %40
            raise UserError(f"storage: not a URL; in a password write / as %2F and @ as %40; {ALLOWED}")
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"storage: cannot use {url.drivername}://; {ALLOWED}")


def shown(url: sa.URL) -> str:
    """The URL for people: no password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    hidden = {key: value if key in HARMLESS else HIDDEN for key, value in url.query.items()}
    return url.set(query=hidden).render_as_string(hide_password=True).replace("%2A%2A%2A", HIDDEN)


@contextlib.contextmanager
def one_line(url: sa.URL) -> Iterator[None]:
    """Turn what a database, Optuna and the system raise about a storage into one line, without the password.

    The original is not chained to it: a traceback in some log would show what the line hides.
    """
    try:
        yield
    except sa.exc.IntegrityError:
        raise  # never the storage's fault
    except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
        raise UserError(f"storage {shown(url)}: {reason(error, url)}") from None
    except optuna.exceptions.StorageInternalError as error:
        raise UserError(f"storage {shown(url)}: {reason(error.__cause__ or error, url)}") from None
    except RuntimeError as error:
        if "table schema" not in str(error):
            raise
        advice = "use a new one, or `optuna storage upgrade --storage URL`"
        raise UserError(f"storage {shown(url)}: was made by another version of Optuna; {advice}") from None


def reason(error: BaseException, url: sa.URL) -> str:
    """What an error says, in one line of bounded length, without the password in any spelling."""
    text = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
    for secret in _secrets(url):
        text = text.replace(secret, HIDDEN)
    return text if len(text) <= 300 else f"{text[:300]} …"


def _secrets(url: sa.URL) -> list[str]:
    """What the URL hides, as it is and as URLs spell it, longest first."""
    values = [value for key, value in url.normalized_query.items() if key not in HARMLESS]
    plain = [str(url.password or ""), *(one for value in values for one in value)]
    spelled = {form for one in plain if len(one) > 1 for form in (one, quote(one, safe=""), quote_plus(one))}
    return sorted(spelled, key=len, reverse=True)

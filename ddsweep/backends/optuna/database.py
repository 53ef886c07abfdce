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
from ddsweep.backends.optuna.current import CurrentStorage, is_current
from ddsweep.backends.optuna.mounts import network_filesystem
from ddsweep.errors import UserError

logger = logging.getLogger(__name__)
T = TypeVar("T")
Mode = Literal["read", "write"]

BUSY_SECONDS = 60
CONNECT_SECONDS = 10
# A broken network link is not reported. By default, a transaction waits 15 minutes for a reply, and the server keeps
# the locks of a host that has disappeared for over two hours; so both ends probe, and give up after SILENT_SECONDS.
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

SECONDS = 300.0  # how long to retry while a storage is unavailable
PAUSES = (0.1, 5.0)  # seconds before the second attempt, doubled for every further one, up to the second number
SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")  # locked by another process, or a full disk
# 08: connection, 40: deadlock, 53: no disk space or connection left, 57P: shutdown and start, 25P03: idle too long
POSTGRESQL = ("08", "40", "53", "57P", "25P03")
ALLOWED = "a file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
HIDDEN = "***"
# the ?options that may be shown: a misspelled ?pasword= is as secret as the right spelling
HARMLESS = {"application_name", "client_encoding", "connect_timeout", "host", "port", "sslmode", "target_session_attrs"}


@dataclass
class Database:
    """An open storage.

    Attributes:
        url: its URL.
        rdb: Optuna's storage object over the same engine; what the dashboard and the studies use.
        last_outage: when (``time.monotonic``) the last transaction ended that took ``outage_seconds`` or more, because
            the storage was unavailable or locked: such an outage affects all agents.
        outage_seconds: see ``last_outage``.
    """

    url: sa.URL
    rdb: RDBStorage
    last_outage: float = -math.inf
    outage_seconds: float = math.inf

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a server."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None

    def run(self, work: Callable[[orm.Session], T], mode: Mode = "write") -> T:
        """Run ``work`` in one transaction and return its result; retry while the storage is unavailable (``retry``).

        A commit whose confirmation was lost is retried too: ``work`` must recognize its own earlier commit.

        Raises:
            UserError: the storage was unavailable for too long, or reports an error.
        """

        def once() -> T:
            with self._session(mode) as session:
                return work(session)

        began = time.monotonic()
        try:
            with one_line(self.url):
                return retry(once, shown(self.url))
        finally:
            ended = time.monotonic()
            if ended - began > self.outage_seconds:
                self.last_outage = ended

    @contextlib.contextmanager
    def transaction(self, mode: Mode = "write") -> Iterator[orm.Session]:
        """One transaction: committed at the end of the block, rolled back if it raises; it is not retried.

        On SQLite a writing transaction is exclusive; on PostgreSQL, lock the rows that the decision depends on.

        Raises:
            UserError: the storage cannot be reached, or is locked for too long.
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
        """Hold a named lock among all users of this storage; it is released if its holder dies."""
        with _mutex(self.url, name):
            yield

    def close(self) -> None:
        """Close all connections."""
        self.rdb.remove_session()
        self.rdb.engine.dispose()


def open_database(storage: str, *, read_only: bool = False, patient: bool = False) -> Database:
    """Open ``storage``, creating its schema if it has none; any number of processes may do so at once.

    ``read_only`` is a promise: Optuna's own reads then do not wait for the writers of an SQLite file. ``patient``
    retries while the storage is unavailable, as an agent does that starts while the server restarts.

    Raises:
        UserError: a bad URL, a missing driver, or a storage that cannot be reached, written or read.
    """
    url = parse(storage)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opener = partial(_open_sqlite if url.get_backend_name() == "sqlite" else _open_postgresql, url)
    with one_line(url):
        database = retry(opener, shown(url)) if patient else opener()
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
        known = is_current(path)
        if known:
            rdb: RDBStorage = CurrentStorage(url, BUSY_SECONDS)
        else:
            rdb = RDBStorage(url.render_as_string(), engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})
            rdb.remove_session()
        # the mode is stored in the file and must not change while others write: set it here, not per connection
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute(f"PRAGMA journal_mode={journal}")

    @sa.event.listens_for(rdb.engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the next listener begins the transactions
        for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(rdb.engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # SQLite ignores SELECT … FOR UPDATE: unless a writing transaction locks the file from its first read on, two
        # agents claim the same trial
        read = connection.get_execution_options().get("ddsweep_read")
        connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")

    rdb.engine.dispose()  # close connections opened before the listeners
    if not known:
        with _mutex(url, "schema"):
            tables.create_index(rdb.engine)
    return Database(url, rdb)


def _open_postgresql(url: sa.URL) -> Database:
    if importlib.util.find_spec("psycopg") is None:
        raise UserError("storage: PostgreSQL needs a driver: pip install 'ddsweep[postgres]'")
    with _mutex(url, "schema"):
        # pre-ping: a restart of the server breaks a connection, not an agent
        kwargs = {"pool_pre_ping": True, "connect_args": CLIENT}
        rdb = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=kwargs)
        tables.create_index(rdb.engine)

    @sa.event.listens_for(rdb.engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        # heartbeats are stored without a time zone: an agent's $PGTZ must not make its heartbeats look hours old
        connection.execute("SET TIME ZONE 'UTC'")
        # an agent that is frozen in a transaction must not block the others forever
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
        yield  # the lock belongs to the session: it is released when the connection closes or the process dies


def retry(work: Callable[[], T], where: str) -> T:
    """The result of ``work()``, retried on temporary errors for up to ``SECONDS``; then the last error is raised."""
    since, pause = time.monotonic(), PAUSES[0]
    while True:
        try:
            return work()
        except (sa.exc.DBAPIError, StorageInternalError) as error:  # Optuna's own calls wrap the error of the database
            cause = error.__cause__ if isinstance(error, StorageInternalError) else error
            if (
                not isinstance(cause, sa.exc.DBAPIError)
                or not is_temporary(cause)
                or time.monotonic() - since > SECONDS
            ):
                raise
        if pause == PAUSES[0]:
            logger.warning("storage %s is unavailable or busy; retrying for up to %.0f s", where, SECONDS)
        time.sleep(pause)
        pause = min(2 * pause, PAUSES[1])


def is_temporary(error: sa.exc.DBAPIError) -> bool:
    """Whether an error is temporary: a lost connection, a restart, a lock; not a wrong statement or password."""
    if isinstance(error.orig, sqlite3.Error):
        return str(getattr(error.orig, "sqlite_errorname", "")).startswith(SQLITE)
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return str(state).startswith(POSTGRESQL)
    # a connection that broke or could not be made has no state
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)


def parse(storage: str) -> sa.URL:
    """The URL of ``storage``: a path is an SQLite file, ``postgresql://`` means the driver psycopg.

    Raises:
        UserError: neither of the two. The message does not repeat the text: it may contain a password.
    """
    if "://" not in storage:
        if re.match(r"[\w+.-]{2,}:", storage):  # user:password@host or postgresql:/…, hardly a file name
            raise UserError(f"storage: not a URL; {ALLOWED}")
        return sa.URL.create("sqlite", database=str(files.expanded(storage).absolute()))
    try:
        url = sa.make_url(storage)
    except (sa.exc.ArgumentError, ValueError):
        raise UserError(f"storage: not a URL; {ALLOWED}") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.drivername == "sqlite" and url.database and url.database != ":memory:":
        if url.query:
            raise UserError(f"storage: {shown(url)}: SQLite takes no ?options here; {ALLOWED}")
        return url.set(database=str(files.expanded(url.database).absolute()))
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        if "@" in f"{url.host}{url.database}":  # a password with an unescaped / or @
            raise UserError(f"storage: not a URL; in a password write / as %2F and @ as %40; {ALLOWED}")
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"storage: cannot use {url.drivername}://; {ALLOWED}")


def shown(url: sa.URL) -> str:
    """The URL without its password, for messages."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    hidden = {key: value if key in HARMLESS else HIDDEN for key, value in url.query.items()}
    return url.set(query=hidden).render_as_string(hide_password=True).replace("%2A%2A%2A", HIDDEN)


@contextlib.contextmanager
def one_line(url: sa.URL) -> Iterator[None]:
    """Turn errors of the database, Optuna and the system about a storage into one line without the password.

    The original error is not chained: a traceback in a log would show the password.
    """
    try:
        yield
    except sa.exc.IntegrityError:
        raise  # a bug, not a problem of the storage
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

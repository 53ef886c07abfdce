"""Read an SQLite storage without importing Optuna and SQLAlchemy, which takes longer than most commands.

``ReadingStore`` answers like ``OptunaStore``, and passes on to one whatever it does not do itself: everything that
writes, and files that it cannot read, whose error messages are then the usual ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from ddsweep import files
from ddsweep.backends import Definition, Held, Lease, Registered, Seen, Status, rules
from ddsweep.backends.optuna import attributes
from ddsweep.backends.optuna.attributes import AGENT, DEFINITION, POINT, STOP, Trial
from ddsweep.backends.optuna.mounts import network_filesystem
from ddsweep.backends.rules import Attempt

if TYPE_CHECKING:
    from ddsweep.backends.optuna.backend import OptunaBackend, OptunaStore
    from ddsweep.backends.optuna.claims import OptunaClaim

T = TypeVar("T")
SCHEMA = "v3.2.0.a"  # of Optuna's tables, as alembic names it: the one that the queries below are for
BUSY_SECONDS = 60


def sqlite_path(storage: str) -> Path | None:
    """The file of a storage that is certainly an SQLite file; None: ``database.parse`` knows."""
    rest = storage.removeprefix("sqlite:///")
    if "://" in rest or rest in ("", ":memory:") or (rest != storage and re.search("[?%]", rest)):
        return None
    if rest == storage and re.match(r"[\w+.-]{2,}:", storage):
        return None
    return files.expanded(rest).absolute()


class ReadingStore:
    """The sweeps in an SQLite file (protocol ``backends.Store``), which only readers open.

    Args:
        path: the file.
        lease: heartbeat and grace.
        slow: opens it with Optuna.
    """

    def __init__(self, path: Path, lease: Lease, slow: Callable[[], OptunaStore]) -> None:
        self._path, self._lease, self._open_slow = path, lease, slow
        self._connection: sqlite3.Connection | None = None
        self._slow: OptunaStore | None = None

    def names(self) -> list[str]:
        """The registered sweeps."""
        return self.read(_names, lambda store: store.names())

    def load_definition(self, name: str) -> Definition:
        """A registered sweep."""

        def work(connection: sqlite3.Connection) -> Definition:
            return _definition(connection, _study(connection, name))

        return self.read(work, lambda store: store.load_definition(name))

    def sweep(self, name: str) -> ReadingBackend:
        """One sweep."""
        return ReadingBackend(self, name, self._lease)

    def kept(self, keys: Collection[str]) -> set[str]:
        """The keys, among these, whose results are stored."""
        return self.read(lambda connection: _kept(connection, keys), lambda store: store.kept(keys))

    def load(self, key: str) -> dict[str, bytes]:
        """The files of a stored result."""
        return self.read(lambda connection: _load(connection, key), lambda store: store.load(key))

    def close(self) -> None:
        """Close the connections."""
        if self._connection:
            self._connection.close()
        if self._slow:
            self._slow.close()
        self._connection = self._slow = None

    @property
    def slow(self) -> OptunaStore:
        """The same storage, opened with Optuna."""
        if self._slow is None:
            self._slow = self._open_slow()
        return self._slow

    def read(self, work: Callable[[sqlite3.Connection], T], instead: Callable[[OptunaStore], T]) -> T:
        """The result of ``work`` in one transaction, or of ``instead`` if the file cannot be read here."""
        try:
            with self._transaction() as connection:
                return work(connection)
        except (sqlite3.Error, _Unknown):
            return instead(self.slow)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            self._connection = _connect(self._path)
        self._connection.execute("BEGIN")
        try:
            yield self._connection
        finally:
            self._connection.execute("ROLLBACK")


class ReadingBackend:
    """The queue of one sweep (protocol ``backends.Queue``); what it does not read itself, Optuna's backend does."""

    def __init__(self, store: ReadingStore, name: str, lease: Lease) -> None:
        self._store, self.name, self._lease = store, name, lease

    def status(self) -> Status:
        """Every point and its state."""

        def work(connection: sqlite3.Connection) -> Status:
            study = _study(connection, self.name)
            definition = _definition(connection, study)
            return Status(self.name, rules.rows(definition, _attempts(connection, study)), definition.to_draw)

        return self._read(work, lambda backend: backend.status())

    def drained(self) -> bool:
        """Whether every point is complete or given up."""
        return self.status().drained

    def held(self) -> list[Held]:
        """The points that agents hold."""
        return self._read(
            lambda connection: _held(connection, _study(connection, self.name), self._lease),
            lambda backend: backend.held(),
        )

    def agents(self) -> list[Seen]:
        """Every agent that has reported and not been forgotten."""
        return self._read(
            lambda connection: _agents(connection, _study(connection, self.name)), lambda backend: backend.agents()
        )

    def stop_asked(self) -> str:
        """``drain``, ``now`` or ``""``."""
        return self._read(
            lambda connection: json.loads(_attribute(connection, _study(connection, self.name), STOP) or '""'),
            lambda backend: backend.stop_asked(),
        )

    def register(self, definition: Definition, *, alone: bool = False) -> Registered:
        """Add the points of a launch."""
        return self._slow.register(definition, alone=alone)

    def requeue(self, keys: Collection[str], reason: str) -> int:
        """Queue ended points again."""
        return self._slow.requeue(keys, reason)

    def claim(self, agent: str) -> OptunaClaim | None:
        """Claim the next waiting point."""
        return self._slow.claim(agent)

    def reconcile(self) -> None:
        """Fail attempts whose agent is dead, and queue failed points that have attempts left."""
        self._slow.reconcile()

    def retry(self) -> int:
        """Try every point again that was given up, unless that is in vain; return their number."""
        return self._slow.retry()

    def report(self, agent: str, status: Mapping[str, Any]) -> str:
        """Record what an agent is doing; return what ``stop_asked`` returns."""
        return self._slow.report(agent, status)

    def forget(self, agent: str) -> None:
        """Remove an agent from the list."""
        self._slow.forget(agent)

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to stop; an empty ``mode`` withdraws the request."""
        self._slow.ask_to_stop(mode)

    @property
    def _slow(self) -> OptunaBackend:
        return self._store.slow.sweep(self.name)

    def _read(self, work: Callable[[sqlite3.Connection], T], instead: Callable[[OptunaBackend], T]) -> T:
        return self._store.read(work, lambda store: instead(store.sweep(self.name)))


class _Unknown(Exception):
    """The file has another schema, lacks the sweep, or lies where Optuna's store has something to say."""


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing file. The journal stays as it is: readers of a WAL never wait for writers."""
    if network_filesystem(path):
        raise _Unknown
    uri = f"file:{quote(str(path))}?{_mode(path)}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        if connection.execute("SELECT version_num FROM alembic_version").fetchone() != (SCHEMA,):
            raise _Unknown
    except BaseException:
        connection.close()
        raise
    return connection


def _mode(path: Path) -> str:
    """How to open a file: in a folder that cannot be written, SQLite can only read one of which it knows that.

    Its WAL, if it has one, is then read as well, which SQLite refuses for a file that is said to be immutable.
    """
    if not files.is_read_only(path.parent):
        return "mode=rw"
    wal = path.with_name(f"{path.name}-wal")
    return "mode=ro" if wal.is_file() and wal.stat().st_size else "mode=ro&immutable=1"


def _names(connection: sqlite3.Connection) -> list[str]:
    query = (
        "SELECT study_name FROM studies JOIN study_system_attributes USING (study_id) WHERE key = ? ORDER BY study_name"
    )
    return [name for (name,) in connection.execute(query, (DEFINITION,))]


def _study(connection: sqlite3.Connection, name: str) -> int:
    query = (
        "SELECT study_id FROM studies JOIN study_system_attributes USING (study_id) WHERE study_name = ? AND key = ?"
    )
    found = connection.execute(query, (name, DEFINITION)).fetchone()
    if found is None:
        raise _Unknown
    return int(found[0])


def _attribute(connection: sqlite3.Connection, study: int, key: str) -> str | None:
    query = "SELECT value_json FROM study_system_attributes WHERE study_id = ? AND key = ?"
    found = connection.execute(query, (study, key)).fetchone()
    return found[0] if found else None


def _definition(connection: sqlite3.Connection, study: int) -> Definition:
    return Definition.from_json(json.loads(_attribute(connection, study, DEFINITION) or "{}"))


def _attempts(connection: sqlite3.Connection, study: int) -> list[Attempt]:
    """All attempts of a study, like ``grid.attempts``."""
    query = """
        SELECT p.value_json, t.trial_id, t.number, t.state, t.datetime_start, t.datetime_complete, v.value
        FROM trials t
        JOIN trial_system_attributes p ON p.trial_id = t.trial_id AND p.key = ?
        LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0
        WHERE t.study_id = ?
    """
    rows = connection.execute(query, (POINT, study)).fetchall()
    points = attributes.loads(row[0] for row in rows)
    user, reported = _user_attributes(connection, study), _intermediate_values(connection, study)
    return [
        attributes.attempt(
            Trial(one, number, state, _time(started), _time(finished), value),
            point,
            user.get(one, {}),
            reported.get(one, {}),
        )
        for point, (_, one, number, state, started, finished, value) in zip(points, rows, strict=True)
    ]


def _user_attributes(connection: sqlite3.Connection, study: int) -> dict[int, dict[str, Any]]:
    query = f"""
        SELECT a.trial_id, a.key, a.value_json FROM trial_user_attributes a JOIN trials t USING (trial_id)
        WHERE t.study_id = ? AND a.key NOT IN ({", ".join("?" * len(attributes.REPEATED))})
    """
    rows = connection.execute(query, (study, *attributes.REPEATED)).fetchall()
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for (trial, key, _), value in zip(rows, attributes.loads(row[2] for row in rows), strict=True):
        found[trial][key] = value
    return found


def _intermediate_values(connection: sqlite3.Connection, study: int) -> dict[int, dict[int, float]]:
    query = """
        SELECT i.trial_id, i.step, i.intermediate_value FROM trial_intermediate_values i
        JOIN trials t USING (trial_id) WHERE t.study_id = ?
    """
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for trial, step, value in connection.execute(query, (study,)):
        found[trial][step] = value
    return found


def _held(connection: sqlite3.Connection, study: int, lease: Lease) -> list[Held]:
    """The cells that are held in a sweep, like ``leases.running``."""
    query = """
        SELECT s.study_name, p.value_json, a.value_json, h.heartbeat, CURRENT_TIMESTAMP
        FROM trials t
        JOIN studies s USING (study_id)
        JOIN trial_system_attributes p ON p.trial_id = t.trial_id AND p.key = ?
        LEFT JOIN trial_user_attributes a ON a.trial_id = t.trial_id AND a.key = 'agent'
        LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id
        WHERE t.state = 'RUNNING' AND t.study_id = ? ORDER BY t.number
    """
    found = []
    for name, where, who, beat, now in connection.execute(query, (POINT, study)):
        silent = (datetime.fromisoformat(now) - datetime.fromisoformat(beat)).total_seconds() if beat else 0.0
        point, agent = attributes.point_of(json.loads(where)), json.loads(who) if who else ""
        found.append(Held(name, point, agent, max(0.0, silent), lease))
    return found


def _agents(connection: sqlite3.Connection, study: int) -> list[Seen]:
    query = """
        SELECT value_json, (julianday('now') - 2440587.5) * 86400.0 FROM study_system_attributes
        WHERE study_id = ? AND substr(key, 1, ?) = ? ORDER BY key
    """
    rows = [(json.loads(text), now) for text, now in connection.execute(query, (study, len(AGENT), AGENT))]
    return [Seen(row["status"], max(0.0, now - row["at"])) for row, now in rows]


def _kept(connection: sqlite3.Connection, keys: Collection[str]) -> set[str]:
    found: set[str] = set()
    for some in attributes.chunks(keys):
        query = f"SELECT DISTINCT owner FROM ddsweep_artifacts WHERE owner IN ({', '.join('?' * len(some))})"
        found.update(owner for (owner,) in connection.execute(query, some))
    return found


def _load(connection: sqlite3.Connection, key: str) -> dict[str, bytes]:
    """The files of a result; damaged ones are left to ``artifacts.load``, which raises the error."""
    heads = "SELECT artifact_id, size, sha256 FROM ddsweep_artifacts WHERE owner = ?"
    parts = "SELECT body FROM ddsweep_artifact_parts WHERE artifact_id = ? ORDER BY part"
    found = {}
    for identifier, size, digest in connection.execute(heads, (key,)).fetchall():
        body = b"".join(part for (part,) in connection.execute(parts, (identifier,)))
        if (len(body), hashlib.sha256(body).hexdigest()) != (size, digest):
            raise _Unknown
        found[identifier.removeprefix(f"{key}/")] = body
    return found


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

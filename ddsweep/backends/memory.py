"""The null backend: a queue in this process, for tests, for debugging, and as the shortest statement of the rules."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ddsweep.backends import Definition, Lease, Point, Registered, Seen, Status, rules, sampler
from ddsweep.backends.claim import LeasedClaim
from ddsweep.backends.rules import Attempt, Phase
from ddsweep.backends.sampler import Space
from ddsweep.errors import UserError, closest


@dataclass
class Book:
    """What the store keeps of one sweep."""

    definition: Definition
    attempts: dict[int, Attempt] = field(default_factory=dict)
    beats: dict[int, float] = field(default_factory=dict)
    holders: dict[int, object] = field(default_factory=dict)
    files: dict[int, dict[str, bytes]] = field(default_factory=dict)
    notes: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    agents: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)
    stop: str = ""


class MemoryStore:
    """Sweeps in this process (protocol ``backends.Store``); threads may share it."""

    def __init__(self, lease: Lease | None = None) -> None:
        self.lease, self.lock = lease or Lease(), threading.RLock()
        self.books: dict[str, Book] = {}
        self.results: dict[str, dict[str, bytes]] = {}

    def names(self) -> list[str]:
        """The registered sweeps."""
        return sorted(self.books)

    def book(self, name: str) -> Book:
        """What is kept of a sweep. Raises UserError when it is not registered."""
        if name not in self.books:
            raise UserError(f"no registered sweep {name!r}; {closest(name, self.books)}")
        return self.books[name]

    def load_definition(self, name: str) -> Definition:
        """A registered sweep."""
        return self.book(name).definition

    def sweep(self, name: str) -> MemoryBackend:
        """The queue of one sweep."""
        return MemoryBackend(self, name)

    def kept(self, keys: Collection[str]) -> set[str]:
        """Those of these keys whose results were kept."""
        return set(keys) & set(self.results)

    def load(self, key: str) -> dict[str, bytes]:
        """The files of a result that was kept."""
        return dict(self.results.get(key, {}))

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryBackend:
    """The queue of one sweep (protocol ``backends.Backend``)."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store, self.name = store, name

    def register(self, definition: Definition) -> Registered:
        """Make the grid what ``definition`` says."""
        with self._store.lock:
            book = self._store.books.setdefault(self.name, Book(definition))
            book.definition = definition = sampler.continued(definition, book.definition)
            stale = rules.obsolete(definition, book.attempts.values())
            for attempt in stale:
                book.attempts[attempt.identifier] = replace(attempt, phase=Phase.WITHDRAWN, reason=rules.WITHDRAWN)
            kept = rules.known(definition, book.attempts.values())
            _queue(book)
            return Registered(definition.size - kept, kept, len(stale))

    def claim(self, agent: str) -> LeasedClaim | None:
        """Take the next waiting point, or None."""
        with self._store.lock:
            book = self._store.book(self.name)
            attempt = _first_waiting(book) or (_first_waiting(book) if _draw(book) else None)
            if attempt is None:
                return None
            number = 1 + sum(
                one.phase is Phase.FAILED and one.point.identity == attempt.point.identity
                for one in book.attempts.values()
            )
            desk = MemoryDesk(self._store, book, attempt.identifier)
            running = replace(attempt, phase=Phase.RUNNING, agent=agent, started=datetime.now(UTC))
            book.attempts[attempt.identifier] = running
            book.beats[attempt.identifier] = time.monotonic()
            book.holders[attempt.identifier] = desk
            note = book.notes.get(attempt.identifier)
            return LeasedClaim(desk, attempt.point, number, self._store.lease.beat, note)

    def reconcile(self) -> None:
        """Fail leases whose holder is not heard of, queue failed points that have attempts left."""
        with self._store.lock:
            book, grace = self._store.book(self.name), self._store.lease.grace
            for one in list(book.attempts.values()):
                if one.phase is Phase.RUNNING and time.monotonic() - book.beats[one.identifier] > grace:
                    reason = f"lost: {one.agent} was not heard of for {grace:g} s"
                    book.attempts[one.identifier] = replace(
                        one, phase=Phase.FAILED, reason=reason, finished=datetime.now(UTC)
                    )
            _queue(book)

    def report(self, agent: str, status: Mapping[str, Any]) -> str:
        """Note what an agent does; what ``stop_asked`` says."""
        with self._store.lock:
            book = self._store.book(self.name)
            book.agents[agent] = dict(status), time.monotonic()
            return book.stop

    def forget(self, agent: str) -> None:
        """An agent leaves."""
        with self._store.lock:
            self._store.book(self.name).agents.pop(agent, None)

    def agents(self) -> list[Seen]:
        """Every agent that reported and did not leave."""
        with self._store.lock:
            reported, now = self._store.book(self.name).agents, time.monotonic()
            return [Seen(status, now - when) for _, (status, when) in sorted(reported.items())]

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to stop, or to go on."""
        with self._store.lock:
            self._store.book(self.name).stop = mode

    def stop_asked(self) -> str:
        """``drain``, ``now`` or ``""``."""
        return self._store.book(self.name).stop

    def status(self) -> Status:
        """Every point and how it fares."""
        with self._store.lock:
            book = self._store.book(self.name)
            return Status(self.name, rules.rows(book.definition, book.attempts.values()), book.definition.to_draw)

    def drained(self) -> bool:
        """Whether every point is complete or given up."""
        return self.status().drained


class MemoryDesk:
    """Where one claim is answered (protocol ``lease.Desk``)."""

    def __init__(self, store: MemoryStore, book: Book, identifier: int) -> None:
        self._store, self._book, self._identifier = store, book, identifier

    def beat(self) -> bool:
        """Note that the holder lives."""
        with self._store.lock:
            if self._ours():
                self._book.beats[self._identifier] = time.monotonic()
            return self._ours()

    def complete(self, value: float, attributes: Mapping[str, Any]) -> bool:
        """Running → complete."""
        return self._settle(phase=Phase.COMPLETE, value=value, attributes=dict(attributes), finished=datetime.now(UTC))

    def fail(self, reason: str, final: bool) -> bool:
        """Running → failed."""
        return self._settle(phase=Phase.FAILED, reason=reason, final=final, finished=datetime.now(UTC))

    def look(self, step: int, accuracy: float) -> bool:
        """Keep an accuracy on the way; False if the trial is to be pruned."""
        with self._store.lock:
            attempts, mine = self._book.attempts, self._identifier
            if not self._settle(looks={**attempts[mine].looks, step: accuracy}):
                return True
            early = Space.of(self._book.definition.definition).search.early
            return early is None or sampler.goes_on(early, attempts.values(), mine, step)

    def prune(self, step: int, accuracy: float) -> bool:
        """Running → pruned."""
        return self._settle(phase=Phase.PRUNED, reason=rules.pruned(step, accuracy), finished=datetime.now(UTC))

    def release(self, note: Mapping[str, Any]) -> bool:
        """Running → waiting."""
        with self._store.lock:
            ours = self._settle(phase=Phase.WAITING, agent="", started=None)
            if ours:
                self._book.notes[self._identifier] = note
            return ours

    def attach(self, path: Path, name: str) -> None:
        """Keep a file."""
        with self._store.lock:
            self._book.files.setdefault(self._identifier, {})[name] = path.read_bytes()

    def keep(self, key: str, contents: Mapping[str, bytes]) -> bool:
        """Keep the files of a result."""
        with self._store.lock:
            ours = self._ours()
            if ours:
                self._store.results[key] = dict(contents)
            return ours

    def _ours(self) -> bool:
        running = self._book.attempts[self._identifier].phase is Phase.RUNNING
        return running and self._book.holders[self._identifier] is self

    def _settle(self, **changes: Any) -> bool:
        with self._store.lock:
            ours = self._ours()
            if ours:
                self._book.attempts[self._identifier] = replace(self._book.attempts[self._identifier], **changes)
            return ours


def _queue(book: Book) -> None:
    for point, _ in rules.missing(book.definition, book.attempts.values()):
        _enqueue(book, point)


def _enqueue(book: Book, point: Point) -> None:
    number = len(book.attempts)
    book.attempts[number] = Attempt(number, number, point, Phase.WAITING)


def _first_waiting(book: Book) -> Attempt | None:
    waiting = (one for one in book.attempts.values() if one.phase is Phase.WAITING)
    return min(waiting, key=lambda one: one.number, default=None)


def _draw(book: Book) -> bool:
    """Queue the next point of a search; False when it has no further one."""
    if not book.definition.to_draw:
        return False
    point = sampler.draw(book.definition, list(book.attempts.values()))
    known = book.definition.points
    if point is None:
        book.definition = replace(book.definition, cap=len(known))
        return False
    book.definition = replace(book.definition, points=[*known, point])
    _enqueue(book, point)
    return True

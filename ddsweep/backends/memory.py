"""The in-memory backend: a queue in this process, for tests and debugging, and the shortest statement of the rules."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ddsweep.backends import Definition, Held, Lease, Point, Registered, Seen, Status, bands, rules, sampler
from ddsweep.backends.claim import Claim
from ddsweep.backends.relaunch import relaunch
from ddsweep.backends.rules import Attempt, Phase
from ddsweep.errors import UserError, closest


@dataclass
class Registration:
    """What the store keeps of one sweep."""

    definition: Definition
    attempts: dict[int, Attempt] = field(default_factory=dict)
    heartbeats: dict[int, float] = field(default_factory=dict)
    holders: dict[int, Claim] = field(default_factory=dict)
    files: dict[int, dict[str, bytes]] = field(default_factory=dict)
    notes: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    agents: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)
    stop: str = ""


class MemoryStore:
    """Sweeps in this process (protocol ``backends.Store``); threads may share it."""

    def __init__(self, lease: Lease | None = None) -> None:
        self.lease, self.lock = lease or Lease(), threading.RLock()
        self.sweeps: dict[str, Registration] = {}
        self.results: dict[str, dict[str, bytes]] = {}

    def names(self) -> list[str]:
        """The registered sweeps."""
        return sorted(self.sweeps)

    def registration(self, name: str) -> Registration:
        """What is kept of a sweep. Raises UserError if it is not registered."""
        if name not in self.sweeps:
            raise UserError(f"no registered sweep {name!r}; {closest(name, self.sweeps)}")
        return self.sweeps[name]

    def load_definition(self, name: str) -> Definition:
        """A registered sweep."""
        return self.registration(name).definition

    def sweep(self, name: str) -> MemoryBackend:
        """The queue of one sweep."""
        return MemoryBackend(self, name)

    def kept(self, keys: Collection[str]) -> set[str]:
        """The keys, among these, whose results are stored."""
        return set(keys) & set(self.results)

    def load(self, key: str) -> dict[str, bytes]:
        """The files of a stored result."""
        return dict(self.results.get(key, {}))

    def close(self) -> None:
        """Do nothing: there are no connections."""


class MemoryBackend:
    """The queue of one sweep (protocol ``backends.Queue``)."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store, self.name = store, name

    def register(self, definition: Definition, *, alone: bool = False) -> Registered:
        """Add the points of a launch."""
        with self._store.lock:
            before = self._store.sweeps.get(self.name)
            sweep = self._store.sweeps.setdefault(self.name, Registration(definition))
            rows = rules.rows(before.definition, sweep.attempts.values()) if before else []
            known = before.definition if before else None
            joined = relaunch(definition, known, rows, working=self._working(sweep), alone=alone)
            sweep.definition = definition = joined.definition
            for attempt in rules.obsolete(definition, sweep.attempts.values()):
                sweep.attempts[attempt.identifier] = replace(attempt, phase=Phase.WITHDRAWN, reason=rules.WITHDRAWN)
            had_attempts = rules.known(definition, sweep.attempts.values())
            _enqueue_missing(sweep)
            return joined.registered(had_attempts)

    def _working(self, sweep: Registration) -> bool:
        """Whether an agent holds a point, or has reported lately."""
        now, grace = time.monotonic(), self._store.lease.grace
        held = (one.identifier for one in sweep.attempts.values() if one.phase is Phase.RUNNING)
        last = [*(sweep.heartbeats[one] for one in held), *(when for _, when in sweep.agents.values())]
        return any(now - when <= grace for when in last)

    def requeue(self, keys: Collection[str], reason: str) -> int:
        """Queue ended points again."""
        with self._store.lock:
            sweep = self._store.registration(self.name)
            obsolete = rules.ended(sweep.definition, sweep.attempts.values(), keys)
            for attempt in obsolete:
                sweep.attempts[attempt.identifier] = replace(attempt, phase=Phase.WITHDRAWN, reason=reason)
            _enqueue_missing(sweep)
            return len(rules.grouped(obsolete))

    def claim(self, agent: str) -> MemoryClaim | None:
        """Claim the next waiting point, or None."""
        with self._store.lock:
            sweep = self._store.registration(self.name)
            attempt = _first_waiting(sweep) or (_first_waiting(sweep) if _draw(sweep) else None)
            return MemoryClaim(self._store, sweep, attempt, agent) if attempt is not None else None

    def claim_among(self, agent: str, keys: Collection[str]) -> MemoryClaim | None:
        """Claim the next waiting point with one of these keys, or None."""
        with self._store.lock:
            sweep = self._store.registration(self.name)
            attempt = _first_waiting(sweep, keys)
            return MemoryClaim(self._store, sweep, attempt, agent) if attempt is not None else None

    def waiting(self) -> int:
        """The number of points that wait for an agent."""
        with self._store.lock:
            attempts = self._store.registration(self.name).attempts.values()
            return sum(attempt.phase is Phase.WAITING for attempt in attempts)

    def reconcile(self) -> None:
        """Fail attempts whose lease has expired, queue failed points that have attempts left."""
        with self._store.lock:
            sweep, grace = self._store.registration(self.name), self._store.lease.grace
            for attempt in list(sweep.attempts.values()):
                if attempt.phase is not Phase.RUNNING:
                    continue
                if time.monotonic() - sweep.heartbeats[attempt.identifier] > grace:
                    reason = rules.expired(attempt.agent, grace)
                    sweep.attempts[attempt.identifier] = replace(
                        attempt, phase=Phase.FAILED, reason=reason, finished=datetime.now(UTC), lost=True
                    )
            _enqueue_missing(sweep)

    def retry(self) -> int:
        """Try every point again that was given up, unless that is in vain; return their number."""
        with self._store.lock:
            sweep = self._store.registration(self.name)
            forgiven = rules.retried(sweep.definition, sweep.attempts.values())
            for attempt in forgiven:
                sweep.attempts[attempt.identifier] = replace(attempt, forgiven=True)
            _enqueue_missing(sweep)
            return len({attempt.point.identity for attempt in forgiven})

    def held(self) -> list[Held]:
        """The points that agents hold."""
        with self._store.lock:
            sweep, now = self._store.registration(self.name), time.monotonic()
            return [
                Held(self.name, attempt.point, attempt.agent, now - sweep.heartbeats[attempt.identifier],
                     self._store.lease)
                for attempt in sweep.attempts.values() if attempt.phase is Phase.RUNNING
            ]  # fmt: skip

    def report(self, agent: str, status: Mapping[str, Any]) -> str:
        """Record what an agent is doing; return what ``stop_asked`` returns."""
        with self._store.lock:
            sweep = self._store.registration(self.name)
            sweep.agents[agent] = dict(status), time.monotonic()
            return sweep.stop

    def forget(self, agent: str) -> None:
        """Remove an agent from the list."""
        with self._store.lock:
            self._store.registration(self.name).agents.pop(agent, None)

    def agents(self) -> list[Seen]:
        """Every agent that has reported and not been forgotten."""
        with self._store.lock:
            reported, now = self._store.registration(self.name).agents, time.monotonic()
            return [Seen(status, now - when) for _, (status, when) in sorted(reported.items())]

    def ask_to_stop(self, mode: str) -> None:
        """Ask every agent to stop; an empty ``mode`` withdraws the request."""
        with self._store.lock:
            self._store.registration(self.name).stop = mode

    def stop_asked(self) -> str:
        """``drain``, ``now`` or ``""``."""
        return self._store.registration(self.name).stop

    def status(self) -> Status:
        """Every point and its state."""
        with self._store.lock:
            sweep = self._store.registration(self.name)
            rows = rules.rows(sweep.definition, sweep.attempts.values())
            return Status(self.name, rows, sweep.definition.to_draw)

    def drained(self) -> bool:
        """Whether every point is complete, pruned or given up."""
        return self.status().drained


class MemoryClaim(Claim):
    """A running attempt of the in-memory queue (see ``Claim``)."""

    def __init__(self, store: MemoryStore, sweep: Registration, attempt: Attempt, agent: str) -> None:
        """Waiting → running; the caller holds the lock."""
        identity, identifier = attempt.point.identity, attempt.identifier
        tried = [other for other in sweep.attempts.values() if other.point.identity == identity]
        super().__init__(attempt.point, rules.number(tried), sweep.notes.get(identifier), store.lease.beat)
        self._store, self._sweep, self._identifier = store, sweep, identifier
        sweep.attempts[identifier] = replace(attempt, phase=Phase.RUNNING, agent=agent, started=datetime.now(UTC))
        sweep.heartbeats[identifier] = time.monotonic()
        sweep.holders[identifier] = self

    def heartbeat(self) -> bool:
        """Renew the lease."""
        with self._store.lock:
            held = self._update(progress=True) if self.progressed else self._holds_lease()
            if held:
                self._sweep.heartbeats[self._identifier] = time.monotonic()
            return held

    def report(self, step: int, accuracy: float) -> bool:
        """Record an intermediate accuracy; return whether the trial passes its band."""
        with self._store.lock:
            attempts = self._sweep.attempts
            values = {**attempts[self._identifier].intermediate_values, step: float(accuracy)}
            if not self._update(intermediate_values=values):
                return True
            return bands.passes(self._sweep.definition, attempts.values(), self._identifier, step)

    def attach(self, path: Path, name: str) -> None:
        """Store a copy of a file."""
        with self._store.lock:
            self._sweep.files.setdefault(self._identifier, {})[name] = path.read_bytes()

    def keep(self, contents: Mapping[str, bytes]) -> bool:
        """Store the files of the point's result."""
        with self._store.lock:
            held = self._holds_lease()
            if held:
                self._store.results[self.point.key] = dict(contents)
            return held

    def _complete(self, value: float, attributes: Mapping[str, Any]) -> bool:
        return self._update(phase=Phase.COMPLETE, value=value, attributes=dict(attributes), finished=datetime.now(UTC))

    def _fail(self, reason: str, final: bool) -> bool:
        return self._update(phase=Phase.FAILED, reason=reason, final=final, finished=datetime.now(UTC))

    def _prune(self, step: int, accuracy: float) -> bool:
        return self._update(phase=Phase.PRUNED, reason=rules.pruned(step, accuracy), finished=datetime.now(UTC))

    def _release(self, note: Mapping[str, Any]) -> bool:
        with self._store.lock:
            held = self._update(phase=Phase.WAITING, agent="", started=None)
            if held:
                self._sweep.notes[self._identifier] = note
            return held

    def _holds_lease(self) -> bool:
        running = self._sweep.attempts[self._identifier].phase is Phase.RUNNING
        return running and self._sweep.holders[self._identifier] is self

    def _update(self, **changes: Any) -> bool:
        """Change the attempt; False, and nothing is changed, if the lease was lost."""
        with self._store.lock:
            held = self._holds_lease()
            if held:
                self._sweep.attempts[self._identifier] = replace(self._sweep.attempts[self._identifier], **changes)
            return held


def _enqueue_missing(sweep: Registration) -> None:
    for point, _ in rules.missing(sweep.definition, sweep.attempts.values()):
        _enqueue(sweep, point)


def _enqueue(sweep: Registration, point: Point) -> None:
    number = len(sweep.attempts)
    sweep.attempts[number] = Attempt(number, number, point, Phase.WAITING)


def _first_waiting(sweep: Registration, keys: Collection[str] | None = None) -> Attempt | None:
    waiting = (
        attempt
        for attempt in sweep.attempts.values()
        if attempt.phase is Phase.WAITING and (keys is None or attempt.point.key in keys)
    )
    return min(waiting, key=lambda attempt: attempt.number, default=None)


def _draw(sweep: Registration) -> bool:
    """Queue the next point of a search; False if it has no further one."""
    if not sweep.definition.to_draw:
        return False
    sweep.definition, cells = sampler.extended(sweep.definition, list(sweep.attempts.values()))
    for point in cells:
        _enqueue(sweep, point)
    return bool(cells)

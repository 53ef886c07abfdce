"""The contract of a queue, wherever it stores its points, as a pytest class: see ``QueueContract``."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection
from typing import Protocol, cast

import pytest

from ddsweep.backends import Backend, Claim, Definition, Point, Queue, Registered, Scalar, State
from ddsweep.errors import UserError
from ddsweep.testing.backend import NAME, BackendContract, Body, Grid, Worker, in_threads
from ddsweep.testing.losses import LEASE, PATIENCE, Age, LossContract, expire, take
from ddsweep.testing.losses import grid as grid
from ddsweep.testing.relaunch import RelaunchContract
from ddsweep.testing.search import SearchContract


class QueueStore(Protocol):
    """A store whose sweeps are queues."""

    def names(self) -> list[str]: ...

    def load_definition(self, name: str) -> Definition: ...

    def sweep(self, name: str) -> Queue: ...

    def kept(self, keys: Collection[str]) -> set[str]: ...

    def load(self, key: str) -> dict[str, bytes]: ...


def work(backend: Backend, body: Body, agents: int = 1, limit: int | None = None) -> None:
    """Does points as ``agent.Agent`` does: claims, answers, and looks after those that failed."""
    queue = cast(Queue, backend)

    def agent(name: str) -> None:
        done, deadline = 0, time.monotonic() + PATIENCE
        while done != limit:
            claim = queue.claim(name)
            if claim is None:
                queue.reconcile()
                if queue.drained():
                    return
                assert time.monotonic() < deadline, "nothing can be claimed, and the queue is not drained"
                continue
            deadline = time.monotonic() + PATIENCE
            with contextlib.suppress(RuntimeError), claim:
                claim.complete(body(float(claim.point.params["alpha"] or 0)))
            done += 1

    in_threads(agent, agents)


class QueueContract(LossContract, RelaunchContract, SearchContract, BackendContract):
    """What every ``ddsweep.backends.Queue`` does, searches included.

    Subclass it in a test module, with two fixtures: ``store``, a new, empty store with the lease ``LEASE``; and
    ``age``, a function that makes every heartbeat so far look that many seconds older::

        class TestMyQueue(QueueContract):
            @pytest.fixture
            def store(self):
                return MyStore(LEASE)

            @pytest.fixture
            def age(self, store):
                return store.make_older
    """

    @pytest.fixture
    def backend(self, store: QueueStore) -> Queue:
        return store.sweep(NAME)

    @pytest.fixture
    def grid(self) -> Grid:
        def build(*alphas: float, name: str = NAME, scale: int = 1, max_attempts: int = 3) -> Definition:
            plain = grid(*alphas, max_attempts=max_attempts)
            points = [
                dataclasses.replace(one, id=f"{one.id}×{scale}", key=f"{one.key}×{scale}") for one in plain.points
            ]
            return dataclasses.replace(plain, name=name, points=points)

        return build

    @pytest.fixture
    def worker(self) -> Worker:
        return work

    def test_registering_twice_is_registering_once(self, backend: Queue) -> None:
        assert backend.register(grid(0, 1, 2)) == Registered(added=3, kept=0, withdrawn=0)
        assert backend.register(grid(0, 1, 2)) == Registered(added=0, kept=3, withdrawn=0)
        assert [take(backend).point.id for _ in range(3)] == ["alpha=0", "alpha=1", "alpha=2"]
        assert backend.claim("gpu0") is None

    def test_requeued_points_run_again_with_all_their_attempts(self, backend: Queue) -> None:
        backend.register(grid(0, 1, 2, max_attempts=2))
        take(backend).complete(0.5)
        take(backend).fail("diverged", final=True)
        take(backend).complete(0.7)
        assert backend.drained()
        assert backend.requeue({"key0", "key1", "unknown"}, "damaged") == 2
        assert not backend.drained()
        rows = backend.status().rows
        assert [(row.state, row.value, row.attempts) for row in rows] == [
            (State.WAITING, None, 0),
            (State.WAITING, None, 0),
            (State.COMPLETE, 0.7, 1),
        ]
        assert backend.requeue({"key0"}, "damaged") == 0, "a waiting point stays as it is"
        claims = [take(backend), take(backend)]
        assert sorted((claim.point.id, claim.attempt) for claim in claims) == [("alpha=0", 1), ("alpha=1", 1)]
        assert backend.claim("gpu0") is None
        assert all(claim.complete(0.6) for claim in claims)
        assert backend.drained()
        assert [row.value for row in backend.status().rows] == [0.6, 0.6, 0.7]

    def test_a_point_arrives_as_it_was_registered(self, backend: Queue) -> None:
        params: dict[str, Scalar] = {"flag": True, "count": 1, "rate": 1.0, "word": "a+b", "nothing": None, "empty": ""}
        backend.register(Definition(NAME, [Point("odd × name", dict(params), "k", "τitle")]))
        point = take(backend).point
        assert (point, [type(value) for value in point.params.values()]) == (
            Point("odd × name", dict(params), "k", "τitle"),
            [type(value) for value in params.values()],
        )

    def test_points_are_claimed_by_key_once_each(self, backend: Queue) -> None:
        backend.register(grid(0, 1, 2, 3))
        keys = [row.point.key for row in backend.status().rows]
        assert backend.waiting() == 4
        assert backend.claim_among("a", ["unknown"]) is None and backend.claim_among("a", []) is None
        taken = [backend.claim_among(f"agent {number}", {keys[3], keys[1]}) for number in range(3)]
        assert [claim and claim.point.key for claim in taken] == [keys[1], keys[3], None], "in their order"
        assert backend.waiting() == 2
        first = taken[0]
        assert first is not None
        with first:
            first.release({"left": "for the next"})
        assert backend.waiting() == 3
        again = backend.claim_among("b", [keys[1]])
        assert again is not None and again.note == {"left": "for the next"}
        held = [row.point.key for row in backend.status().rows if row.state is State.RUNNING]
        assert held == [keys[1], keys[3]]

    def test_a_raising_point_is_retried_and_does_not_stop_the_rest(self, backend: Queue) -> None:
        backend.register(grid(0, 1, 2, max_attempts=3))
        attempts, deadline = [], time.monotonic() + PATIENCE
        while not backend.drained():
            assert time.monotonic() < deadline
            claim = backend.claim("gpu0")
            if claim is None:
                backend.reconcile()
                continue
            try:
                with claim:
                    attempts.append((claim.point.id, claim.attempt))
                    if claim.point.id == "alpha=1":
                        raise RuntimeError(f"loss is nan in attempt {claim.attempt}")
                    claim.complete(0.5, {"accuracy_std": 0.01})
            except RuntimeError:
                continue
        assert attempts == [("alpha=0", 1), ("alpha=1", 1), ("alpha=2", 1), ("alpha=1", 2), ("alpha=1", 3)]
        good, bad, _ = backend.status().rows
        assert (bad.state, bad.attempts, bad.value) == (State.FAILED, 3, None)
        assert bad.reason == "RuntimeError: loss is nan in attempt 3"
        assert (good.state, good.attempts, good.reason, good.attributes) == ("complete", 1, "", {"accuracy_std": 0.01})
        assert backend.register(grid(0, 1, 2, max_attempts=4)) == Registered(added=0, kept=3, withdrawn=0)
        assert take(backend).attempt == 4

    def test_a_failure_followed_by_success_keeps_its_reason(self, backend: Queue) -> None:
        backend.register(grid(0))
        assert take(backend).fail("the disk was full")
        assert backend.status().rows[0].state is State.WAITING  # its next attempt comes with the next reconcile
        backend.reconcile()
        take(backend, "gpu7").complete(0.7)
        row = backend.status().rows[0]
        assert (row.state, row.attempts, row.reason, row.value) == ("complete", 2, "the disk was full", 0.7)
        assert (row.agent, row.number) == ("gpu7", 1)
        assert row.started is not None and row.finished is not None and row.started <= row.finished

    def test_the_point_of_a_dead_agent_is_run_again(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0))
        take(backend, "gpu3")
        backend.reconcile()
        assert backend.claim("gpu1") is None, "its lease has not run out"
        age(LEASE.grace + 2)
        expire(backend)
        backend.reconcile()
        again = take(backend, "gpu1")
        assert again.attempt == 1, "the cell has not failed"
        assert backend.claim("gpu2") is None
        row = backend.status().rows[0]
        assert (row.state, row.agent, row.attempts, row.lost) == ("running", "gpu1", 1, 1)
        assert (row.reason, row.reasons) == ("lost: no heartbeat from gpu3 for 100 s", ())

    def test_a_beating_heart_keeps_the_lease(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0))
        with take(backend) as claim:
            age(LEASE.grace + 2)
            time.sleep(6 * LEASE.beat)
            backend.reconcile()
            assert not claim.lost
            assert claim.complete(0.5)

    @pytest.mark.parametrize("answer", [lambda c: c.complete(0.1), lambda c: c.fail("late"), lambda c: c.release()])
    def test_an_answer_after_the_lease_is_dropped(
        self, backend: Queue, age: Age, answer: Callable[[Claim], bool]
    ) -> None:
        backend.register(grid(0))
        late = take(backend)
        age(LEASE.grace + 2)
        expire(backend)
        assert answer(late) is False
        take(backend).complete(0.9)
        assert answer(late) is False
        row = backend.status().rows[0]
        assert (row.state, row.value, row.attempts, row.lost) == ("complete", 0.9, 1, 1)

    def test_results_are_kept_by_key_for_every_sweep(self, store: QueueStore, backend: Queue) -> None:
        backend.register(grid(0, 1))
        claim = take(backend)
        assert claim.keep({"result.json": b"half"})
        assert claim.keep({"result.json": b"whole", "synthetic.png": bytes(3_000_000)})
        claim.complete(0.5)
        assert store.kept(["key0", "key1"]) == {"key0"}
        assert store.load("key0") == {"result.json": b"whole", "synthetic.png": bytes(3_000_000)}
        assert store.load("key1") == {}

    def test_results_after_the_lease_are_not_kept(self, store: QueueStore, backend: Queue, age: Age) -> None:
        backend.register(grid(0))
        late = take(backend)
        age(LEASE.grace + 2)
        expire(backend)
        assert late.keep({"result.json": b"late"}) is False
        again = take(backend)
        assert late.keep({"result.json": b"late"}) is False
        assert again.keep({"result.json": b"in time"})
        again.complete(0.5)
        assert late.keep({"result.json": b"late"}) is False
        assert store.load("key0") == {"result.json": b"in time"}

    def test_a_heart_notices_that_the_lease_is_gone(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0))
        claim = take(backend)
        age(LEASE.grace + 2)
        expire(backend)
        with claim:
            deadline = time.monotonic() + PATIENCE
            while not claim.lost and time.monotonic() < deadline:
                time.sleep(LEASE.beat)
            assert claim.lost

    def test_release_spends_no_attempt(self, backend: Queue) -> None:
        backend.register(grid(0, max_attempts=1))
        first = take(backend, "gpu0")
        assert first.release()
        row = backend.status().rows[0]
        assert (row.state, row.attempts, row.agent, row.started) == ("waiting", 0, "", None)
        again = take(backend, "gpu1")
        assert again.attempt == 1
        assert first.complete(0.1) is False, "the point is gpu1's now"
        assert first.release() is False
        assert again.complete(0.5)

    def test_a_note_goes_with_the_point_to_whoever_takes_it_next(self, backend: Queue) -> None:
        backend.register(grid(0, 1, max_attempts=2))
        first = take(backend, "gpu0")
        assert first.note == {}
        assert first.release({"out of memory": "20 GiB"})
        again = take(backend, "gpu1")
        assert (again.point.id, again.attempt, again.note) == ("alpha=0", 1, {"out of memory": "20 GiB"})
        assert take(backend).note == {}
        again.release()
        assert take(backend).note == {}, "a note is for the next one only"

    def test_what_would_fail_again_is_given_up_at_once(self, backend: Queue) -> None:
        backend.register(grid(0, 1, max_attempts=3))
        assert take(backend).fail("no luck")
        assert take(backend).fail("the loss is nan", final=True)
        backend.reconcile()
        first, second = backend.status().rows
        assert (first.state, first.reasons) == (State.WAITING, ("no luck",))
        assert (second.state, second.attempts, second.reason) == (State.FAILED, 1, "the loss is nan")
        take(backend).complete(0.5)
        assert backend.claim("gpu0") is None
        assert backend.drained()
        assert backend.register(grid(0, 1, max_attempts=9)) == Registered(added=0, kept=2, withdrawn=0)
        assert backend.claim("gpu0") is None, "a larger max_attempts changes nothing about it"

    def test_every_reason_is_kept(self, backend: Queue) -> None:
        backend.register(grid(0, max_attempts=3))
        for reason in ("first", "second", "third"):
            assert take(backend).fail(reason)
            backend.reconcile()
        assert backend.status().rows[0].reasons == ("first", "second", "third")

    @pytest.mark.parametrize("max_attempts", [1, 2, 3])
    def test_after_the_last_failure_nothing_is_left_to_claim(self, backend: Queue, max_attempts: int) -> None:
        backend.register(grid(0, max_attempts=max_attempts))
        for attempt in range(1, max_attempts + 1):
            assert not backend.drained()
            claim = take(backend)
            assert claim.attempt == attempt
            assert claim.fail(f"failure {attempt}")
            assert backend.claim("gpu1") is None, "the next attempt comes with the next reconcile"
            backend.reconcile()
        self.given_up(backend, max_attempts)
        assert backend.register(grid(0, max_attempts=max_attempts)) == Registered(added=0, kept=1, withdrawn=0)
        self.given_up(backend, max_attempts)

    def given_up(self, backend: Queue, attempts: int) -> None:
        """The one point has failed as often as it may: however often anybody asks, it is not tried again."""
        for _ in range(2):
            assert backend.claim("gpu0") is None
            assert backend.drained()
            row = backend.status().rows[0]
            assert (row.state, row.attempts, len(row.reasons)) == (State.FAILED, attempts, attempts)
            backend.reconcile()

    def test_agents_are_listed_from_their_first_report_until_they_leave(self, backend: Queue) -> None:
        backend.register(grid(0))
        assert backend.agents() == []
        for agent, step in (("b:2", 1), ("a:1", 5), ("b:2", 7)):
            assert backend.report(agent, {"agent": agent, "done": step}) == ""
        seen = backend.agents()
        assert [one.status for one in seen] == [{"agent": "a:1", "done": 5}, {"agent": "b:2", "done": 7}]
        assert all(0 <= one.age < 60 for one in seen)
        backend.forget("a:1")
        backend.forget("never there")
        assert [one.status["agent"] for one in backend.agents()] == ["b:2"]
        assert backend.status().rows[0].state is State.WAITING

    def test_the_age_of_a_report_is_the_storages_to_tell(self, backend: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        """A host whose clock is a day ahead reports; nobody takes it for young or old because of that."""
        backend.register(grid(0))
        real = time.time
        with monkeypatch.context() as skewed:
            skewed.setattr(time, "time", lambda: real() + 86400)
            backend.report("ahead:1", {"agent": "ahead:1"})
        backend.report("here:1", {"agent": "here:1"})
        assert all(0 <= one.age < 60 for one in backend.agents())

    def test_a_host_with_a_wrong_clock_keeps_its_lease_and_takes_nobodys(
        self, backend: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backend.register(grid(0, 1))
        real, held = time.time, []
        for agent, skew in (("ahead", 86400), ("behind", -86400)):
            with monkeypatch.context() as skewed:
                skewed.setattr(time, "time", lambda skew=skew: real() + skew)
                held.append(take(backend, agent))
                backend.reconcile()
            backend.reconcile()
        assert [row.state for row in backend.status().rows] == [State.RUNNING] * 2
        assert all(claim.complete(0.5) for claim in held)

    def test_being_asked_to_stop(self, store: QueueStore, backend: Queue) -> None:
        backend.register(grid(0))
        store.sweep("other").register(Definition("other", [Point("a", {"alpha": 1}, "k")]))
        assert backend.stop_asked() == ""
        for mode in ("drain", "now", ""):
            backend.ask_to_stop(mode)
            assert (backend.stop_asked(), backend.report("a:1", {})) == (mode, mode)
            assert store.sweep("other").stop_asked() == "", "that was for one sweep"

    def test_leaving_the_block_without_an_answer(self, backend: Queue) -> None:
        backend.register(grid(0, 1))
        with take(backend):
            pass
        assert backend.status().rows[0].attempts == 0
        with pytest.raises(KeyboardInterrupt), take(backend):
            raise KeyboardInterrupt
        assert backend.status().rows[0].attempts == 0
        with pytest.raises(ZeroDivisionError), take(backend):
            _ = 1 / 0
        assert backend.status().rows[0].reason == "ZeroDivisionError: division by zero"

    def test_only_a_finite_number_is_a_result(self, backend: Queue) -> None:
        backend.register(grid(0))
        with pytest.raises(ValueError, match="must be finite, is nan"):
            take(backend).complete(float("nan"))

    @pytest.mark.parametrize("method", ["status", "drained", "reconcile", "agents", "stop_asked"])
    def test_an_unknown_sweep_is_one_line_for_agents_too(self, store: QueueStore, backend: Queue, method: str) -> None:
        backend.register(grid(0))
        expected = f"no registered sweep 'ablation-alpha'; did you mean {NAME}? (allowed: {NAME})"
        unknown = store.sweep("ablation-alpha")
        for ask in (
            getattr(unknown, method),
            lambda: unknown.claim("gpu0"),
            lambda: store.load_definition(unknown.name),
        ):
            with pytest.raises(UserError) as caught:
                ask()
            assert str(caught.value) == expected

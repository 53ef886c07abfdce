"""What every backend must do, whatever keeps its books. A backend proves itself by giving the two fixtures.

``store``: an empty store with the lease ``LEASE``. ``age``: makes every heartbeat so far look that many seconds older.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import pytest

from ddsweep.backends import Claim, Definition, Lease, Point, Queue, Registered, Scalar, State
from ddsweep.errors import UserError

LEASE = Lease(beat=0.05, grace=100)
NAME = "ablation-alpha@demo"
Age = Callable[[float], None]


class QueueStore(Protocol):
    """A store whose sweeps are queues."""

    def names(self) -> list[str]: ...

    def load_definition(self, name: str) -> Definition: ...

    def sweep(self, name: str) -> Queue: ...


def grid(*alphas: float, key: str = "", **changes: int) -> Definition:
    points = [Point(f"alpha={a:g}", {"alpha": a, "arch": "convnet3"}, key or f"key{a:g}", f"α {a:g}") for a in alphas]
    return Definition(NAME, points, {"axis": ["alpha"], "baseline": {"alpha": 0}}, title="How strong?", **changes)


def take(backend: Queue, agent: str = "gpu0") -> Claim:
    claim = backend.claim(agent)
    assert claim is not None
    return claim


class BackendContract:
    @pytest.fixture
    def backend(self, store: QueueStore) -> Queue:
        return store.sweep(NAME)

    def test_registering_twice_is_registering_once(self, backend: Queue) -> None:
        assert backend.register(grid(0, 1, 2)) == Registered(added=3, kept=0, withdrawn=0)
        assert backend.register(grid(0, 1, 2)) == Registered(added=0, kept=3, withdrawn=0)
        assert [take(backend).point.id for _ in range(3)] == ["alpha=0", "alpha=1", "alpha=2"]
        assert backend.claim("gpu0") is None

    def test_a_larger_grid_adds_only_what_is_new(self, backend: Queue) -> None:
        backend.register(grid(0, 1))
        take(backend).complete(0.5)
        assert backend.register(grid(0, 0.5, 1)) == Registered(added=1, kept=2, withdrawn=0)
        states = [(row.point.id, row.state) for row in backend.status().rows]
        assert states == [("alpha=0", "complete"), ("alpha=0.5", "waiting"), ("alpha=1", "waiting")]

    def test_a_smaller_grid_withdraws_what_waits_and_nothing_else(self, backend: Queue) -> None:
        backend.register(grid(0, 1, 2))
        take(backend).complete(0.5)
        running = take(backend)
        assert backend.register(grid(0)) == Registered(added=0, kept=1, withdrawn=1)
        assert backend.claim("gpu1") is None
        assert running.complete(0.6)
        assert backend.drained()
        assert backend.register(grid(0, 1, 2)) == Registered(added=1, kept=2, withdrawn=0)
        assert [row.value for row in backend.status().rows] == [0.5, 0.6, None]

    def test_another_key_is_another_experiment(self, backend: Queue) -> None:
        backend.register(grid(0, key="old"))
        take(backend).complete(0.5)
        assert backend.register(grid(0, key="new")) == Registered(added=1, kept=0, withdrawn=0)
        assert take(backend).point.key == "new"

    def test_a_point_arrives_as_it_was_registered(self, backend: Queue) -> None:
        params: dict[str, Scalar] = {"flag": True, "count": 1, "rate": 1.0, "word": "a+b", "nothing": None, "empty": ""}
        backend.register(Definition(NAME, [Point("odd × name", dict(params), "k", "τitle")]))
        point = take(backend).point
        assert (point, [type(value) for value in point.params.values()]) == (
            Point("odd × name", dict(params), "k", "τitle"),
            [type(value) for value in params.values()],
        )

    def test_many_agents_run_each_point_exactly_once(self, backend: Queue) -> None:
        backend.register(grid(*range(40)))
        ran: list[str] = []

        def agent(name: str) -> None:
            while claim := backend.claim(name):
                with claim:
                    ran.append(claim.point.id)
                    assert claim.complete(float(claim.point.params["alpha"] or 0) / 100)

        threads = [threading.Thread(target=agent, args=(f"gpu{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(ran) == {f"alpha={i}": 1 for i in range(40)}
        assert [row.value for row in backend.status().rows] == [i / 100 for i in range(40)]
        assert backend.drained()

    def test_a_raising_point_is_retried_and_does_not_stop_the_rest(self, backend: Queue) -> None:
        backend.register(grid(0, 1, 2, max_attempts=3))
        attempts = []
        while not backend.drained():
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
        backend.reconcile()
        backend.reconcile()
        again = take(backend, "gpu1")
        assert again.attempt == 2
        assert backend.claim("gpu2") is None
        row = backend.status().rows[0]
        assert (row.state, row.agent, row.attempts) == ("running", "gpu1", 2)
        assert row.reason == "lost: gpu3 was not heard of for 100 s"

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
        backend.reconcile()
        assert answer(late) is False
        take(backend).complete(0.9)
        assert answer(late) is False
        row = backend.status().rows[0]
        assert (row.state, row.value, row.attempts) == ("complete", 0.9, 2)

    def test_a_heart_notices_that_the_lease_is_gone(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0))
        claim = take(backend)
        age(LEASE.grace + 2)
        backend.reconcile()
        with claim:
            time.sleep(6 * LEASE.beat)
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

    def test_a_definition_comes_back(self, store: QueueStore, backend: Queue) -> None:
        definition = grid(0, 1, max_attempts=7)
        backend.register(grid(0))
        backend.register(definition)
        assert store.load_definition(NAME) == definition
        assert store.names() == [NAME]

    def test_sweeps_of_one_store_do_not_meet(self, store: QueueStore, backend: Queue) -> None:
        other = Definition("other", [Point("a", {"alpha": "strong"}, "k")])
        backend.register(grid(0))
        store.sweep("other").register(other)
        take(store.sweep("other")).complete(0.25)
        assert store.names() == [NAME, "other"]
        assert [store.sweep("other").drained(), backend.drained()] == [True, False]

    @pytest.mark.parametrize("method", ["status", "drained", "reconcile"])
    def test_an_unknown_sweep_names_those_there_are(self, store: QueueStore, backend: Queue, method: str) -> None:
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

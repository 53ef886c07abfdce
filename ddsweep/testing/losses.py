"""What every queue does with points whose agents are killed: that is no failure of the point."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from ddsweep.backends import Claim, Definition, Lease, Point, Queue, Registered, State, rules
from ddsweep.testing.backend import NAME
from ddsweep.testing.search import BAYES, Sweeps, peak, run, searched

LEASE = Lease(beat=0.05, grace=100)
PATIENCE = 30.0  # seconds that a busy machine has for what takes a tenth of one
Age = Callable[[float], None]


def grid(*alphas: float, key: str = "", **changes: int) -> Definition:
    points = [Point(f"alpha={a:g}", {"alpha": a, "arch": "convnet3"}, key or f"key{a:g}", f"α {a:g}") for a in alphas]
    return Definition(NAME, points, {"axis": ["alpha"], "baseline": {"alpha": 0}}, title="How strong?", **changes)


def take(backend: Queue, agent: str = "gpu0") -> Claim:
    claim = backend.claim(agent)
    assert claim is not None
    return claim


def expire(backend: Queue) -> None:
    """Reconcile until the point that runs has lost its lease: who was held up itself lets others live for a while."""
    deadline = time.monotonic() + PATIENCE
    while backend.status().rows[0].state is State.RUNNING and time.monotonic() < deadline:
        backend.reconcile()
        time.sleep(LEASE.beat)


class LossContract:
    """Part of ``QueueContract``: agents that are killed while they hold a point."""

    def lose(self, backend: Queue, age: Age, agent: str = "gpu0", saving: bool = False) -> None:
        """Claim the one point, and never be heard of again; with a checkpoint before if ``saving``."""
        claim = take(backend, agent)
        if saving:
            claim.progress()
            assert claim.heartbeat()
        age(LEASE.grace + 2)
        expire(backend)
        backend.reconcile()

    def test_an_agent_that_is_killed_spends_no_attempt(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0, max_attempts=1))
        for lost in range(1, 6):
            self.lose(backend, age)
            row = backend.status().rows[0]
            assert (row.state, row.attempts, row.lost, row.reasons) == (State.WAITING, 0, lost, ())
        claim = take(backend)
        assert claim.attempt == 1
        assert claim.complete(0.5)
        row = backend.status().rows[0]
        assert (row.state, row.attempts, row.lost) == (State.COMPLETE, 1, 5)

    def test_a_point_that_keeps_killing_its_agents_is_given_up(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0, max_attempts=2))
        for lost in range(rules.MAX_LOSSES):
            assert not backend.drained(), lost
            self.lose(backend, age, f"node{lost}:17")
        assert backend.drained()
        assert backend.claim("gpu0") is None
        row = backend.status().rows[0]
        assert (row.state, row.attempts, row.lost, row.final) == (State.FAILED, 0, rules.MAX_LOSSES, False)
        assert row.reason.startswith(
            "its agent was killed 10 times without a new checkpoint in between (last on node9 "
        )
        assert row.reasons == (row.reason,)
        backend.reconcile()
        assert backend.register(grid(0, max_attempts=9)) == Registered(added=0, kept=1, withdrawn=0)
        assert backend.claim("gpu0") is None, "more attempts are not more agents to kill"

    def test_a_point_that_moves_forward_is_never_given_up(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0, max_attempts=1))
        for lost in range(2 * rules.MAX_LOSSES + 1):
            self.lose(backend, age, saving=lost % (rules.MAX_LOSSES - 1) == 0)
            assert backend.status().rows[0].state is State.WAITING, lost
        take(backend).complete(0.5)
        assert backend.drained()

    def test_progress_before_a_release_counts_too(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0, max_attempts=1))
        for _ in range(rules.MAX_LOSSES - 1):
            self.lose(backend, age)
        claim = take(backend)
        claim.progress()
        assert claim.heartbeat()
        assert claim.release()
        self.lose(backend, age)
        assert backend.status().rows[0].state is State.WAITING

    def test_progress_is_recorded_while_the_trial_goes_on(self, backend: Queue, age: Age) -> None:
        """The agent does not wait for it, and the heartbeat does not wait for its turn."""
        backend.register(grid(0, max_attempts=1))
        for _ in range(rules.MAX_LOSSES - 1):
            self.lose(backend, age)
        claim = take(backend)
        claim._interval = 3600.0
        with claim:
            claim.progress()
            age(LEASE.grace + 2)
            deadline = time.monotonic() + PATIENCE
            while backend.held()[0].silent > LEASE.grace and time.monotonic() < deadline:
                time.sleep(LEASE.beat)
            claim._stop_heartbeats()
            age(LEASE.grace + 2)
            expire(backend)
        backend.reconcile()
        assert backend.status().rows[0].state is State.WAITING

    def test_failures_and_kills_are_counted_apart(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0, max_attempts=2))
        self.lose(backend, age)
        assert take(backend).fail("first")
        backend.reconcile()
        self.lose(backend, age)
        claim = take(backend)
        assert claim.attempt == 2
        assert claim.fail("second")
        backend.reconcile()
        row = backend.status().rows[0]
        assert (row.state, row.attempts, row.lost, row.reason) == (State.FAILED, 2, 2, "second")
        assert row.reasons == ("first", "second")

    def test_what_was_given_up_is_tried_again_on_request(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0, 1, 2, max_attempts=1))
        assert backend.retry() == 0, "nothing was given up"
        for claim in [take(backend) for _ in range(3)]:
            claim.fail("no such disk", final=claim.point.id == "alpha=1")
        backend.reconcile()
        assert backend.drained()
        assert [row.point.id for row in backend.status().retryable] == ["alpha=0", "alpha=2"]
        assert backend.retry() == 2
        assert backend.retry() == 0, "they wait already"
        assert [row.state for row in backend.status().rows] == [State.WAITING, State.FAILED, State.WAITING]
        again = take(backend)
        assert (again.point.id, again.attempt) == ("alpha=0", 2)
        assert again.fail("still no such disk")
        backend.reconcile()
        row = backend.status().rows[0]
        assert (row.state, row.attempts, row.reason) == (State.FAILED, 2, "still no such disk")
        take(backend).complete(0.5)
        assert backend.drained()

    def test_a_point_that_killed_its_agents_is_tried_again_on_request(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0))
        for _ in range(rules.MAX_LOSSES):
            self.lose(backend, age)
        assert backend.retry() == 1
        for _ in range(rules.MAX_LOSSES - 1):
            self.lose(backend, age)
        assert take(backend).complete(0.5)

    def test_a_point_in_hand_is_listed_with_the_silence_of_its_agent(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0, 1))
        assert backend.held() == []
        claim = take(backend, "node7:17")
        (held,) = backend.held()
        assert (held.point.id, held.agent, held.sweep) == ("alpha=0", "node7:17", NAME)
        assert held.silent < 60
        age(61)
        assert backend.held()[0].silent >= 60
        claim.complete(0.5)
        assert backend.held() == []

    def test_a_search_draws_the_same_points_if_agents_are_killed(self, store: Sweeps, age: Age) -> None:
        definition = Definition.of(searched(**BAYES))
        calm, struck = (store.sweep(name) for name in ("calm@demo", "struck@demo"))
        for queue in (calm, struck):
            queue.register(dataclasses.replace(definition, name=queue.name, max_attempts=1))
        undisturbed, order = run(calm), []
        while (claim := struck.claim("node7:1")) is not None:
            age(LEASE.grace + 2)
            deadline = time.monotonic() + PATIENCE
            while struck.held() and time.monotonic() < deadline:
                struck.reconcile()
            claim = take(struck)
            alpha = float(claim.point.params["alpha"] or 0)
            order.append(alpha)
            claim.complete(peak(alpha), {"accuracy": peak(alpha)})
        assert order == undisturbed
        assert {(row.state, row.attempts, row.lost) for row in struck.status().rows} == {(State.COMPLETE, 1, 1)}

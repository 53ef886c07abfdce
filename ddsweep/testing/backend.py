"""The contract of a backend, whoever assigns its points, as a pytest class: see ``BackendContract``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import pytest

from ddsweep.backends import Backend, Definition, Registered, State
from ddsweep.errors import UserError

NAME = "ablation-alpha@demo"
Body = Callable[[float], float]


class Store(Protocol):
    """What the contract needs of a store."""

    def names(self) -> list[str]: ...

    def load_definition(self, name: str) -> Definition: ...

    def sweep(self, name: str) -> Backend: ...


class Grid(Protocol):
    """Makes the definition of a sweep: a point per alpha; ``scale`` makes the same points other experiments."""

    def __call__(self, *alphas: float, name: str = NAME, scale: int = 1, max_attempts: int = 3) -> Definition: ...


class Worker(Protocol):
    """Does the points that a backend deals until it deals no more: ``body`` gets alpha, and gives accuracy or raises.

    ``limit``: points, not attempts, after which an agent leaves.
    """

    def __call__(self, backend: Backend, body: Body, agents: int = 1, limit: int | None = None) -> None: ...


def states(backend: Backend) -> list[tuple[float, State]]:
    return [(float(row.point.params["alpha"] or 0), row.state) for row in backend.status().rows]


def half(alpha: float) -> float:
    return 0.5


def recording(dealt: list[float], accuracy: float) -> Body:
    """A body that notes what it was given."""

    def body(alpha: float) -> float:
        dealt.append(alpha)
        return accuracy

    return body


class BackendContract:
    """What every ``ddsweep.backends.Backend`` does.

    Subclass it in a test module, with three fixtures: ``store``, a new, empty store; ``grid``, which makes definitions
    that the backend can register (``Grid``); and ``worker``, which runs points in the backend's own way (``Worker``).
    A backend that cannot keep a rule overrides its test with what it does instead, and says why. A backend from which
    ddsweep's own agents take points proves more with ``QueueContract``.
    """

    @pytest.fixture
    def backend(self, store: Store) -> Backend:
        return store.sweep(NAME)

    def test_points_are_dealt_in_order_however_often_they_are_registered(
        self, backend: Backend, grid: Grid, worker: Worker
    ) -> None:
        assert backend.register(grid(0, 1, 2)) == Registered(added=3, kept=0, withdrawn=0)
        assert backend.register(grid(0, 1, 2)) == Registered(added=0, kept=3, withdrawn=0)
        dealt: list[float] = []
        worker(backend, recording(dealt, 0.25))
        assert dealt == [0, 1, 2]
        assert backend.drained()
        assert backend.register(grid(0, 1, 2)) == Registered(added=0, kept=3, withdrawn=0)
        worker(backend, recording(dealt, 0.75))
        assert dealt == [0, 1, 2]
        assert [row.value for row in backend.status().rows] == [0.25] * 3

    def test_nothing_is_done_at_first(self, backend: Backend, grid: Grid) -> None:
        backend.register(grid(0, 1))
        for row in backend.status().rows:
            assert (row.state, row.attempts, row.value, row.reason, row.started) == ("waiting", 0, None, "", None)
        assert not backend.drained()

    def test_a_larger_grid_adds_only_what_is_new(self, backend: Backend, grid: Grid, worker: Worker) -> None:
        backend.register(grid(0, 1))
        worker(backend, half, limit=1)
        assert backend.register(grid(0, 0.5, 1)) == Registered(added=1, kept=2, withdrawn=0)
        assert states(backend) == [(0, State.COMPLETE), (0.5, State.WAITING), (1, State.WAITING)]
        dealt: list[float] = []
        worker(backend, recording(dealt, 0.75))
        assert sorted(dealt) == [0.5, 1]
        assert [row.value for row in backend.status().rows] == [0.5, 0.75, 0.75]

    def test_a_smaller_grid_withdraws_what_waits_and_keeps_what_is_done(
        self, backend: Backend, grid: Grid, worker: Worker
    ) -> None:
        backend.register(grid(0, 1, 2, 3))
        worker(backend, half, limit=2)
        assert backend.register(grid(1)) == Registered(added=0, kept=1, withdrawn=2, earlier=1)
        assert states(backend) == [(1, State.COMPLETE), (0, State.COMPLETE)]
        assert backend.drained()
        assert backend.register(grid(0, 1, 2)) == Registered(added=1, kept=2, withdrawn=0)
        assert [row.value for row in backend.status().rows] == [0.5, 0.5, None]

    def test_what_is_replaced_leaves_the_sweep(self, backend: Backend, grid: Grid, worker: Worker) -> None:
        backend.register(grid(0, 1, 2))
        worker(backend, half, limit=2)
        assert backend.register(grid(1), alone=True) == Registered(added=0, kept=1, withdrawn=1, finished=1)
        assert states(backend) == [(1, State.COMPLETE)]
        assert backend.drained()

    def test_another_key_is_another_experiment(self, backend: Backend, grid: Grid, worker: Worker) -> None:
        backend.register(grid(0))
        worker(backend, half)
        assert backend.register(grid(0, scale=2)) == Registered(added=1, kept=0, withdrawn=0, earlier=1)
        assert states(backend) == [(0, State.WAITING), (0, State.COMPLETE)]
        worker(backend, lambda alpha: 0.75)
        assert [row.value for row in backend.status().rows] == [0.75, 0.5]

    def test_many_agents_run_each_point_exactly_once(self, backend: Backend, grid: Grid, worker: Worker) -> None:
        count = 24
        backend.register(grid(*range(count)))
        ran: list[float] = []

        def body(alpha: float) -> float:
            ran.append(alpha)
            return alpha / 100

        worker(backend, body, agents=6)
        assert Counter(ran) == {float(alpha): 1 for alpha in range(count)}
        assert [row.value for row in backend.status().rows] == [alpha / 100 for alpha in range(count)]
        assert backend.drained()

    def test_a_raising_point_does_not_stop_the_rest(self, backend: Backend, grid: Grid, worker: Worker) -> None:
        dealt: list[float] = []

        def body(alpha: float) -> float:
            dealt.append(alpha)
            return faulty(alpha)

        backend.register(grid(0, 1, 2, max_attempts=3))
        worker(backend, body)
        assert states(backend) == [(0, State.COMPLETE), (1, State.FAILED), (2, State.COMPLETE)]
        good, bad, _ = backend.status().rows
        assert dealt.count(1) == bad.attempts <= 3
        worker(backend, body)
        assert len(dealt) == 2 + bad.attempts, "a point that is given up is not dealt again"
        assert "loss is nan" in bad.reason
        assert (bad.value, good.value, good.attempts, good.reason) == (None, 0.5, 1, "")
        assert backend.drained()

    def test_a_row_says_when_its_point_ran(self, backend: Backend, grid: Grid, worker: Worker) -> None:
        backend.register(grid(0))
        worker(backend, half)
        row = backend.status().rows[0]
        assert row.started is not None and row.finished is not None
        assert row.started <= row.finished
        assert row.started.tzinfo is not None

    def test_anybody_may_ask_how_far_it_is(self, store: Store, backend: Backend, grid: Grid, worker: Worker) -> None:
        backend.register(grid(0, 1))
        observer = store.sweep(NAME)
        assert not observer.drained()
        worker(backend, half)
        assert observer.drained()

    def test_a_definition_comes_back(self, store: Store, backend: Backend, grid: Grid) -> None:
        definition = grid(0, 1, max_attempts=7)
        backend.register(grid(0))
        backend.register(definition)
        assert store.load_definition(NAME) == definition
        assert store.names() == [NAME]

    def test_sweeps_of_one_store_do_not_meet(self, store: Store, backend: Backend, grid: Grid, worker: Worker) -> None:
        backend.register(grid(0))
        other = store.sweep("other@demo")
        other.register(grid(0, name="other@demo"))
        worker(other, half)
        assert store.names() == [NAME, "other@demo"]
        assert [other.drained(), backend.drained()] == [True, False]

    @pytest.mark.parametrize("method", ["status", "drained"])
    def test_an_unknown_sweep_names_those_there_are(
        self, store: Store, backend: Backend, grid: Grid, method: str
    ) -> None:
        backend.register(grid(0))
        unknown = store.sweep("ablation-alpha")
        for ask in (getattr(unknown, method), lambda: store.load_definition(unknown.name)):
            with pytest.raises(UserError) as caught:
                ask()
            assert str(caught.value) == f"no registered sweep 'ablation-alpha'; did you mean {NAME}? (allowed: {NAME})"


def faulty(alpha: float) -> float:
    if alpha == 1:
        raise RuntimeError("loss is nan")
    return 0.5


def in_threads(agent: Callable[[str], None], agents: int) -> None:
    """Agents at work at the same time, until all have left."""
    threads = [threading.Thread(target=agent, args=(f"gpu{index}",)) for index in range(agents)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

"""What every queue does when a sweep is launched again under its name: no outcome leaves it unless asked to."""

from __future__ import annotations

from ddsweep.backends import Queue, Registered, State
from ddsweep.testing.losses import LEASE, Age, grid, take


class RelaunchContract:
    """Part of ``QueueContract``."""

    def test_a_smaller_grid_takes_no_number_and_no_running_point_away(self, backend: Queue) -> None:
        backend.register(grid(0, 1, 2, 3))
        take(backend).fail("diverged", final=True)
        take(backend).complete(0.5)
        running = take(backend)
        assert backend.register(grid(3)) == Registered(added=0, kept=1, withdrawn=0, earlier=3)
        assert [(row.point.id, row.state) for row in backend.status().rows] == [
            ("alpha=3", State.WAITING),
            ("alpha=0", State.FAILED),
            ("alpha=1", State.COMPLETE),
            ("alpha=2", State.RUNNING),
        ]
        assert running.complete(0.6)
        take(backend).complete(0.7)
        assert backend.drained()
        assert backend.register(grid(0, 1, 2, 3)) == Registered(added=0, kept=4, withdrawn=0)
        assert [row.value for row in backend.status().rows] == [None, 0.5, 0.6, 0.7]

    def test_points_wait_on_while_agents_of_another_launch_are_alive(self, backend: Queue, age: Age) -> None:
        backend.register(grid(0, 1, 2))
        backend.report("a:1", {"agent": "a:1"})  # it is idle, and may claim a point the next moment
        assert backend.register(grid(3)) == Registered(added=1, kept=0, withdrawn=0, earlier=3)
        backend.forget("a:1")
        held = take(backend, "b:1")
        assert backend.register(grid(4)) == Registered(added=1, kept=0, withdrawn=0, earlier=4)
        age(LEASE.grace + 2)
        assert backend.register(grid(4)) == Registered(added=0, kept=1, withdrawn=3, earlier=1), "its agent is dead"
        assert [row.point.id for row in backend.status().rows] == ["alpha=4", "alpha=0"]
        held.complete(0.5)

    def test_a_third_launch_keeps_what_the_first_two_have_measured(self, backend: Queue) -> None:
        for alphas in ((0, 1), (1, 2), (5,)):
            backend.register(grid(*alphas))
            while (claim := backend.claim("gpu0")) is not None:
                claim.complete(0.1)
        rows = backend.status().rows
        assert {row.point.id: row.value for row in rows} == dict.fromkeys(
            ("alpha=5", "alpha=1", "alpha=2", "alpha=0"), 0.1
        )
        assert backend.register(grid(5)) == Registered(added=0, kept=1, withdrawn=0, earlier=3)

    def test_replacing_makes_the_sweep_exactly_the_new_grid(self, backend: Queue) -> None:
        backend.register(grid(0, 1, 2, 3))
        take(backend).fail("diverged", final=True)
        take(backend).complete(0.5)
        running = take(backend)
        changed = backend.register(grid(1, 9), alone=True)
        assert changed == Registered(added=1, kept=1, withdrawn=1, finished=1, running=1)
        assert [(row.point.id, row.state) for row in backend.status().rows] == [
            ("alpha=1", State.COMPLETE),
            ("alpha=9", State.WAITING),
        ]
        assert running.complete(0.6), "it ends normally"
        take(backend).complete(0.7)
        assert backend.drained()
        assert backend.register(grid(1, 2, 9)) == Registered(added=0, kept=3, withdrawn=0), "its result is not lost"
        assert [row.value for row in backend.status().rows] == [0.5, 0.6, 0.7]

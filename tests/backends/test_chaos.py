"""Agents that are killed and frozen while they work: every point is completed exactly once all the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from ddsweep.backends import Definition, Point, State, connect
from ddsweep.backends.ledger import Phase
from tests.backends import agents

LONGEST = 10.0  # seconds that anybody stays frozen; a lease is lost after two or three


class Crew:
    """Agent processes, and the harm that is done to them."""

    def __init__(self, orders: agents.Orders, size: int) -> None:
        self._orders, self._size = orders, size
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.backends.agents", "ddsweep.backends.optuna"])
        self.processes: list[ForkServerProcess] = []
        self.harmed: Counter[str] = Counter()
        self._frozen: dict[ForkServerProcess, tuple[str, float]] = {}
        for _ in range(size):
            self._hire()

    def _hire(self) -> None:
        name = f"gpu{len(self.processes)}"
        process = self._context.Process(target=agents.work, args=(self._orders, name), daemon=True)
        process.start()
        self.processes.append(process)

    @property
    def alive(self) -> list[ForkServerProcess]:
        return [one for one in self.processes if one.is_alive()]

    def harm(self, dice: random.Random) -> None:
        """Kill an agent in the middle of a point and hire another, or freeze one until its lease is lost."""
        busy = _busy(self._orders.log)
        points = {pid: point for point, pid in busy.items()}
        victims = [one for one in self.alive if one.pid in points and one not in self._frozen]
        if not victims:
            return
        victim = dice.choice(victims)
        assert victim.pid is not None
        if sum(self.harmed.values()) % 3 == 2:
            self.harmed["frozen"] += 1
            self._frozen[victim] = points[victim.pid], time.monotonic()
            os.kill(victim.pid, signal.SIGSTOP)
        else:
            self.harmed["killed"] += 1
            victim.kill()
            self._hire()

    def wake(self) -> None:
        """Wake those whose point has become somebody else's: their results come too late.

        After a while wake the others too: one that was frozen in the middle of a write keeps SQLite from everybody.
        """
        busy = _busy(self._orders.log)
        for process, (point, since) in list(self._frozen.items()):
            assert process.pid is not None
            if busy.get(point) != process.pid or time.monotonic() - since > LONGEST:
                del self._frozen[process]
                os.kill(process.pid, signal.SIGCONT)

    def dismiss(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


def survive(url: str, log: Path, crew_size: int, points: int, harms: int, pause: float) -> None:
    store = connect(url, agents.LEASE)
    backend = store.sweep(agents.NAME)
    grid = [Point(f"p{n}", {"n": n}, f"key{n}") for n in range(points)]
    backend.register(Definition(agents.NAME, grid, max_attempts=100))
    dice, begin = random.Random(0), time.monotonic()
    log.touch()
    crew = Crew(agents.Orders(url, log, pause), crew_size)
    try:
        while not _executed(log):
            assert crew.alive, "no agent ever started"
            time.sleep(0.05)
        gap = points * pause / crew_size / (harms + 1)
        while crew.alive:
            if sum(crew.harmed.values()) < harms:
                crew.harm(dice)
            crew.wake()
            time.sleep(gap)
            assert time.monotonic() - begin < 120, f"not drained: {backend.status().counts}"
    finally:
        crew.dismiss()
    seconds = time.monotonic() - begin
    completions = Counter(one.point.id for one in backend.attempts() if one.phase is Phase.COMPLETE)
    executions = _executed(log)
    print(
        f"\n{store.database.url.get_backend_name()}: {crew_size} agents, {points} points, {dict(crew.harmed)}: "
        f"{executions} executions, {len(completions)} points with {set(completions.values())} completions, "
        f"{_dropped(log)} late results dropped, {seconds:.1f} s"
    )
    rows = backend.status().rows
    store.close()
    assert completions == {point.id: 1 for point in grid}
    assert [row.value for row in rows] == [n / 1000 for n in range(points)]
    assert all(row.state is State.COMPLETE for row in rows)
    assert sum(crew.harmed.values()) == harms, "the chaos came too late"
    assert {process.exitcode for process in crew.processes} <= {0, -signal.SIGKILL}, "an agent crashed by itself"
    assert executions > points, "no point was ever lost, so nothing was tested"
    assert _dropped(log) > 0, "nobody ever woke up too late, so nothing was tested"


def _executed(log: Path) -> int:
    return sum(line.split()[1].isdigit() for line in _lines(log))


def _busy(log: Path) -> dict[str, int]:
    """The points begun and not ended, and the process that began them last."""
    doing: dict[str, int] = {}
    for line in _lines(log):
        point, what = line.split()
        if what.isdigit():
            doing[point] = int(what)
        else:
            doing.pop(point, None)
    return doing


def _dropped(log: Path) -> int:
    return sum(line.split()[1] == "dropped" for line in _lines(log))


def _lines(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if " " in line]


def test_four_agents_on_sqlite(tmp_path: Path) -> None:
    survive(str(tmp_path / "sweeps.db"), tmp_path / "log", crew_size=4, points=40, harms=6, pause=0.2)


@pytest.mark.slow
def test_eight_agents_on_sqlite(tmp_path: Path) -> None:
    survive(str(tmp_path / "sweeps.db"), tmp_path / "log", crew_size=8, points=200, harms=18, pause=0.2)


@pytest.mark.postgres
def test_eight_agents_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    survive(postgresql, tmp_path / "log", crew_size=8, points=200, harms=18, pause=0.2)

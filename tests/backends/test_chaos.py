"""Agents that are killed and frozen while they work: every point is completed exactly once all the same."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from ddsweep.backends import Definition, Point, State, connect
from ddsweep.backends.rules import Phase
from tests.backends import agents
from tests.backends.conftest import Server

pytestmark = pytest.mark.xdist_group("chaos")  # not at the same time: eight agents are enough for two cores

# Seconds that anybody stays frozen. A lease is lost after two or three, but on a busy machine later: whoever waited for
# the storage himself blames nobody. One that is frozen in the middle of a write keeps SQLite from everybody.
LONGEST = {"sqlite": 10.0, "postgresql": 40.0}


class Crew:
    """Agent processes, and the harm that is done to them."""

    def __init__(self, orders: agents.Orders, size: int) -> None:
        self._orders, self._size = orders, size
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.backends.agents", "ddsweep.backends.optuna.backend"])
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

        After a while wake the others too.
        """
        busy, longest = _busy(self._orders.log), LONGEST["postgresql" if "://" in self._orders.url else "sqlite"]
        for process, (point, since) in list(self._frozen.items()):
            assert process.pid is not None
            if busy.get(point) != process.pid or time.monotonic() - since > longest:
                del self._frozen[process]
                with contextlib.suppress(ProcessLookupError):  # it had told its result and left as it was to be frozen
                    os.kill(process.pid, signal.SIGCONT)

    def dismiss(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


@dataclass(frozen=True)
class Disaster:
    """What befalls the storage itself, so many times, spread over the sweep; every agent has to sit it out."""

    strike: Callable[[], object]
    times: int


CALM = Disaster(lambda: None, 0)


@dataclass(frozen=True)
class Toll:
    """What it cost: executions beyond one per point, and results that came too late."""

    repeated: int
    dropped: int


def survive(orders: agents.Orders, crew_size: int, points: int, harms: int = 0, disaster: Disaster = CALM) -> Toll:
    """Run a sweep through all of it; every point is complete exactly once, and no agent has left by itself."""
    store = connect(orders.url, agents.LEASE)
    backend = store.sweep(agents.NAME)
    grid = [Point(f"p{n}", {"n": n}, f"key{n}") for n in range(points)]
    backend.register(Definition(agents.NAME, grid, max_attempts=100))
    begin = time.monotonic()
    orders.log.touch()
    crew = Crew(orders, crew_size)
    try:
        while not _executed(orders.log):
            assert crew.alive, "no agent ever started"
            time.sleep(0.05)
        struck = _through(crew, orders, points, harms, disaster)
    finally:
        crew.dismiss()
    completions = Counter(one.point.id for one in backend.attempts() if one.phase is Phase.COMPLETE)
    toll = Toll(_executed(orders.log) - points, _dropped(orders.log))
    print(
        f"\n{store.database.url.get_backend_name()}: {crew_size} agents, {points} points, {dict(crew.harmed)}, storage "
        f"struck {struck} times: {points + toll.repeated} executions, {len(completions)} points with "
        f"{set(completions.values())} completions, {toll.dropped} late results dropped, "
        f"{time.monotonic() - begin:.1f} s"
    )
    rows = backend.status().rows
    store.close()
    assert completions == {point.id: 1 for point in grid}
    assert [row.value for row in rows] == [n / 1000 for n in range(points)]
    assert all(row.state is State.COMPLETE for row in rows)
    assert (sum(crew.harmed.values()), struck) == (harms, disaster.times), "the chaos came too late"
    assert {process.exitcode for process in crew.processes} <= {0, -signal.SIGKILL}, "an agent crashed by itself"
    return toll


def _through(crew: Crew, orders: agents.Orders, points: int, harms: int, disaster: Disaster) -> int:
    """Harm and strike until everybody has left; how often the storage was struck."""
    dice, begin, struck = random.Random(0), time.monotonic(), 0
    gap = points * orders.pause / len(crew.processes) / (harms + 1)
    while crew.alive:
        if sum(crew.harmed.values()) < harms:
            crew.harm(dice)
        if struck < disaster.times and _executed(orders.log) > points * (struck + 1) // (disaster.times + 2):
            disaster.strike()
            struck += 1
        crew.wake()
        time.sleep(min(gap, 0.5))
        assert time.monotonic() - begin < 180, f"not drained: {len(crew.alive)} agents are at it"
    return struck


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


@pytest.mark.slow
def test_four_agents_on_sqlite(tmp_path: Path) -> None:
    orders = agents.Orders(str(tmp_path / "sweeps.db"), tmp_path / "log", pause=0.2)
    toll = survive(orders, crew_size=4, points=40, harms=6)
    assert toll.repeated > 0, "no point was ever lost, so nothing was tested"
    assert toll.dropped > 0, "nobody ever woke up too late, so nothing was tested"


@pytest.mark.slow
def test_eight_agents_on_sqlite(tmp_path: Path) -> None:
    orders = agents.Orders(str(tmp_path / "sweeps.db"), tmp_path / "log", pause=0.2)
    toll = survive(orders, crew_size=8, points=200, harms=18)
    # on a busy machine all six may freeze in the middle of a write, which keeps everybody from taking their points:
    # that a late result is dropped is asked of the four agents above and of PostgreSQL
    assert toll.repeated > 0


@pytest.mark.postgres
def test_eight_agents_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    toll = survive(agents.Orders(postgresql, tmp_path / "log", pause=0.2), crew_size=8, points=200, harms=18)
    assert toll.repeated > 0 and toll.dropped > 0


@pytest.mark.slow
def test_a_frozen_writer_keeps_an_sqlite_file_for_longer_than_leases_last(tmp_path: Path) -> None:
    path = tmp_path / "sweeps.db"

    def freeze() -> None:
        """What an agent does that is stopped in the middle of a write, and woken much later."""
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            time.sleep(3 * agents.LEASE.grace)
            writer.execute("ROLLBACK")

    orders = agents.Orders(str(path), tmp_path / "log", pause=0.2, busy=1)
    toll = survive(orders, crew_size=4, points=60, disaster=Disaster(freeze, 2))
    assert toll == Toll(0, 0), "nobody died, and nobody was taken for dead"


@pytest.mark.postgres
def test_a_server_that_is_away_for_longer_than_leases_last(own_server: Server, tmp_path: Path) -> None:
    def outage() -> None:
        own_server.stop()
        time.sleep(3 * agents.LEASE.grace)
        own_server.start()

    orders = agents.Orders(own_server.database(), tmp_path / "log", pause=0.2)
    toll = survive(orders, crew_size=6, points=90, disaster=Disaster(outage, 2))
    assert toll == Toll(0, 0), "nobody died, and nobody was taken for dead"


@pytest.mark.postgres
def test_a_server_that_is_restarted_while_agents_die(own_server: Server, tmp_path: Path) -> None:
    def restart() -> None:
        own_server.stop()
        own_server.start()

    orders = agents.Orders(own_server.database(), tmp_path / "log", pause=0.2)
    toll = survive(orders, crew_size=8, points=200, harms=12, disaster=Disaster(restart, 4))
    assert toll.repeated > 0 and toll.dropped > 0

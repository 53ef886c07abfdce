"""Simulation of a launch: cells in queue order, each claimed by the first free agent."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Ptm = Any  # any hashable value that identifies a training


@dataclass(frozen=True)
class Job:
    """A cell as the simulated agents process it.

    Attributes:
        before: seconds until it needs its PTMs.
        ptms: the PTMs that it needs, in the order of their use.
        after: seconds from its last PTM to its end.
    """

    before: float
    ptms: tuple[Ptm, ...]
    after: float


def wall_clock(jobs: Sequence[Job], trainings: Mapping[Ptm, float], agents: int) -> float:
    """Return the seconds until the last agent finishes.

    The first agent that needs a PTM trains it; agents that need it during the training wait.

    Args:
        jobs: the cells, in the order of the queue.
        trainings: seconds of each training still to be done; all other PTMs are in the pool.
        agents: number of parallel agents.
    """
    queue, ready = iter(jobs), dict[Ptm, float]()
    crew = [_agent(queue, trainings, ready) for _ in range(agents)]
    waking = [(next(agent), number) for number, agent in enumerate(crew)]
    end = 0.0
    while waking:
        now, number = heapq.heappop(waking)
        end = max(end, now)
        try:
            heapq.heappush(waking, (crew[number].send(now), number))
        except StopIteration:
            continue
    return end


def _agent(
    queue: Iterator[Job], trainings: Mapping[Ptm, float], ready: dict[Ptm, float]
) -> Generator[float, float, None]:
    """Simulate one agent: yield the time until which it is busy, and receive the time at which it continues."""
    now = yield 0.0
    for job in queue:
        now = yield now + job.before
        for ptm in job.ptms:
            if ptm in trainings:
                ready.setdefault(ptm, now + trainings[ptm])
                now = yield max(now, ready[ptm])
        now = yield now + job.after

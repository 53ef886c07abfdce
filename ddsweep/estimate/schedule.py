"""When the agents of a launch will be done: cells in their order, each to the first agent that is free."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Ptm = Any  # whatever tells one training from another


@dataclass(frozen=True)
class Job:
    """A cell as the agents see it.

    Attributes:
        before: seconds until it needs its PTMs.
        ptms: those that it needs, in the order in which it asks for them.
        after: seconds from there to its end.
    """

    before: float
    ptms: tuple[Ptm, ...]
    after: float


def wall_clock(jobs: Sequence[Job], trainings: Mapping[Ptm, float], agents: int) -> float:
    """Seconds until the last agent is done.

    A PTM is trained by the first agent that asks for it; those that ask meanwhile wait.

    Args:
        jobs: the cells, in the order of the queue.
        trainings: seconds of every training that is still to be done; other PTMs are there.
        agents: how many work beside each other.
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
    """One agent: says until when it is busy, and is told when that is."""
    now = yield 0.0
    for job in queue:
        now = yield now + job.before
        for ptm in job.ptms:
            if ptm in trainings:
                ready.setdefault(ptm, now + trainings[ptm])
                now = yield max(now, ready[ptm])
        now = yield now + job.after

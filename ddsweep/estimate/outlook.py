"""What is said of a sweep: the estimate, and who it is for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Crew:
    """The agents of a launch.

    Attributes:
        devices: GPUs, or 1: the CPU.
        per_device: agents on each.
    """

    devices: int
    per_device: int

    @property
    def agents(self) -> int:
        """How many there are."""
        return self.devices * self.per_device


@dataclass(frozen=True)
class Saving:
    """Seconds of agents that are not needed, because something is kept.

    Attributes:
        done: cells that were computed before, by this sweep or by another that shares them.
        ptms: PTMs that are in the pool, or will be trained for one cell and used by all.
        features: of real images, which CCLoM's PTMs look at once.
    """

    done: float
    ptms: float
    features: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.done + self.ptms + self.features


@dataclass(frozen=True)
class Share:
    """One kind of work.

    Attributes:
        title: for people.
        step: seconds of a step: an iteration of a distillation, a pass of an evaluation, a batch of a training; of
            data, of the whole reading.
        unit: what a step is.
        seconds: of all cells together.
    """

    title: str
    step: float
    unit: str
    seconds: float


@dataclass(frozen=True)
class Outlook:
    """What is left of a sweep, and what it will take.

    Attributes:
        cells: seconds of each cell that is left, without the training of PTMs, by key.
        ended: cells that have a result already.
        shared: of those that are left, how many also stand in other sweeps of this profile.
        trainings: seconds of each PTM that is to be trained, by title.
        shares: the kinds of work.
        device_seconds: of a GPU, or of the whole CPU.
        wall: seconds from the launch to its table.
        disk: bytes, in the runs folder and in the cache.
        saving: what is not computed again.
        lacking: data and PTMs that have to be got first, which takes an unknown time.
    """

    cells: dict[str, float]
    ended: int
    shared: int
    trainings: dict[str, float]
    shares: list[Share]
    device_seconds: float
    wall: float
    disk: float
    saving: Saving
    lacking: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)

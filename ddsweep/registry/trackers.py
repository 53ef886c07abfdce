"""The table of trackers that ``--track`` names; ``trackers.register.tracker`` adds one, for a plugin.

A tracker cannot change a number, so that it is in no recipe and in no key.
"""

from __future__ import annotations

from dataclasses import dataclass

from ddsweep.plugins import Registry, Source

GIVEN = ("runs", "sweep")
"""What the class of a plugin's tracker may take: the folder of all runs, and ``NAME@PROFILE``."""


@dataclass(frozen=True)
class TrackerInfo:
    """A tracker that ``--track`` names.

    Attributes:
        name: as in ``--track``.
        source: its class, a ``trackers.Tracker``.
        takes: what its class is made with.
        about: what it does, in a line.
    """

    name: str
    source: Source
    takes: tuple[str, ...] = ()
    about: str = ""


TRACKERS: Registry[TrackerInfo] = Registry("tracker")
_WANDB = TrackerInfo(
    "wandb", "ddsweep.trackers.wandb:WandbTracker", ("sweep", "runs", "project", "entity"), "logs trials to W&B"
)
TRACKERS.add(_WANDB.name, _WANDB, _WANDB.source)

"""The trackers that ``--track`` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ddsweep.errors import UserError, closest
from ddsweep.trackers import Tracker

NAMES = ("wandb",)


def further(track: Sequence[str], sweep: str, runs: Path, project: str, entity: str) -> list[Tracker]:
    """The trackers of trials beside the queue and the run folder.

    Args:
        track: names, of ``NAMES``.
        sweep: ``NAME@PROFILE``.
        runs: the folder of all runs.
        project: W&B project; empty: ``ddsweep``.
        entity: its owner; empty: the account's default.

    Raises:
        UserError: an unknown name.
    """
    for name in track:
        if name not in NAMES:
            raise UserError(f"track: unknown tracker {name!r}; {closest(name, NAMES)}")
    if not track:
        return []
    from ddsweep.trackers.wandb import WandbTracker

    return [WandbTracker(sweep, runs, project, entity)]

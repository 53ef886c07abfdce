"""The trackers that ``--track`` names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ddsweep.plugins import resolve
from ddsweep.registry.trackers import TRACKERS
from ddsweep.trackers import Tracker


def names(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the trackers of ``--track A,B --track C``, each once.

    Raises:
        UserError: an unknown name, or a plugin that cannot be imported.
    """
    found = [name.strip() for text in given or () for name in text.split(",")]
    for name in found:
        TRACKERS.take(name, "track")
    return tuple(dict.fromkeys(found))


def further(track: Sequence[str], sweep: str, runs: Path, project: str, entity: str) -> list[Tracker]:
    """The trackers of trials beside the queue and the run folder.

    Args:
        track: names, as of ``names``.
        sweep: ``NAME@PROFILE``.
        runs: the folder of all runs.
        project: W&B project; empty: ``ddsweep``.
        entity: its owner; empty: the account's default.

    Raises:
        UserError: an unknown name.
    """
    available = {"sweep": sweep, "runs": runs, "project": project, "entity": entity}
    made: list[Tracker] = []
    for name in names(track):
        row = TRACKERS[name]
        make = partial(_made, name, {one: available[one] for one in row.takes})
        if TRACKERS.code(name) is None:
            made.append(make())
        else:
            from ddsweep.trackers.own import OwnTracker

            made.append(OwnTracker(name, make))
    return made


def _made(name: str, given: dict[str, object]) -> Tracker:
    tracker: Tracker = resolve(TRACKERS[name].source)(**given)
    return tracker

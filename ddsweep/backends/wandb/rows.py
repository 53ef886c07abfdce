"""How the points of a sweep fare, from the runs that W&B has: which point a run is, and what its runs say together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from ddsweep.backends import Point, Row, State
from ddsweep.backends.wandb.client import Trial
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make
from ddsweep.sweep import wandb as configurations

RUNNING, WAITING = ("running", "preempting"), ("preempted", "pending")
REASONS = {
    "crashed": "lost: W&B heard nothing of its run for minutes",
    "killed": "stopped on W&B",
    "failed": "failed; the log of its run on W&B says why",
    "finished": "its run ended without a result",
}
OURS = {configurations.METRIC, "state", "reason"}  # of a run's summary: the row has them by other names
PRUNED = "pruned"  # the state in a run's summary
KNOWN = {*Recipe.model_fields, configurations.CELL}


class Book:
    """Finds the point of a run by its config; remembers, since a sweep is asked for its status every few seconds."""

    def __init__(self) -> None:
        self._recipes: dict[str, Recipe] = {}

    def rows(self, points: Iterable[Point], trials: Iterable[Trial], current: str) -> dict[str, Row]:
        """A row per point, by its key and in the order of the points.

        Args:
            points: the points.
            trials: their runs in this sweep and those before it, oldest first; other runs do no harm.
            current: the sweep that W&B deals now.
        """
        found: dict[str, list[Trial]] = defaultdict(list)
        for trial in trials:
            recipe = self.recipe(trial)
            found[recipe.key() if recipe else ""].append(trial)
        return {point.key: row(point, found[point.key], current) for point in points}

    def recipe(self, trial: Trial) -> Recipe | None:
        """The recipe of a run; None while its config has not arrived, or if it is none."""
        if trial.id not in self._recipes:
            fields = {name: value for name, value in trial.config.items() if name in KNOWN}
            try:
                if not fields:
                    return None
                self._recipes[trial.id] = make(configurations.choices(fields))
            except UserError:
                return None
        return self._recipes[trial.id]


def row(point: Point, trials: list[Trial], current: str) -> Row:
    """A point from its runs, oldest first: complete if one is; what failed in an earlier sweep waits in this one."""
    ended = {trial.id: _reason(trial) for trial in trials if trial.state not in (*RUNNING, *WAITING)}
    pruned = [trial for trial in trials if trial.id in ended and trial.summary.get("state") == PRUNED]
    complete = [trial for trial in trials if ended.get(trial.id) == ""]
    running = [trial for trial in trials if trial.state in RUNNING]
    failed = [trial for trial in trials if ended.get(trial.id) and trial not in pruned]
    reasons = tuple(ended[trial.id] for trial in failed)
    begun = len(complete) + len(running) + len(failed) + len(pruned)
    waiting = Row(point, State.WAITING, begun, reasons[-1] if reasons else "", reasons=reasons)
    if complete:
        return _told(replace(waiting, state=State.COMPLETE), complete[-1])
    if running:
        return _told(replace(waiting, state=State.RUNNING), running[-1])
    if pruned:
        return _told(replace(waiting, state=State.PRUNED, reason=ended[pruned[-1].id]), pruned[-1])
    if failed and failed[-1].sweep == current:
        return _told(replace(waiting, state=State.FAILED), failed[-1])
    return waiting


def _told(found: Row, trial: Trial) -> Row:
    """The row with what its run says about itself."""
    done, runs = found.state is State.COMPLETE, found.state is State.RUNNING
    said = {
        name: value for name, value in trial.summary.items()
        if not name.startswith("_") and name not in OURS and isinstance(value, bool | int | float | str)
    }  # fmt: skip
    return replace(
        found, value=float(trial.summary[configurations.METRIC]) if done else None, attributes=said if done else {},
        started=_time(trial.created), finished=None if runs else _time(trial.heard),
    )  # fmt: skip


def _reason(trial: Trial) -> str:
    """Why an ended run has no result; empty if it has one. One that was pruned has an accuracy, but of its way."""
    if trial.summary.get("state") == PRUNED:
        return str(trial.summary.get("reason") or PRUNED)
    if trial.state == "finished" and isinstance(trial.summary.get(configurations.METRIC), int | float):
        return ""
    return str(trial.summary.get("reason") or REASONS.get(trial.state) or f"W&B says: {trial.state}")


def _time(text: str) -> datetime | None:
    """A moment as W&B writes it, in UTC where it says nothing."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

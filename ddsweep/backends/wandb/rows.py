"""Rows of a status table from W&B runs: which point a run belongs to, and the state of a point from all its runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ddsweep.backends import Point, Row, State
from ddsweep.backends.wandb.client import Trial
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, by_name, make
from ddsweep.sweep import made
from ddsweep.sweep import wandb as configurations

RUNNING, WAITING = ("running", "preempting"), ("preempted", "pending")
REASONS = {
    "crashed": "lost: its run sent no heartbeat to W&B for minutes",
    "killed": "stopped on W&B",
    "failed": "failed; see the log of its run on W&B",
    "finished": "its run ended without a result",
}
OURS = {
    configurations.METRIC,
    "state",
    "reason",
}  # summary entries that are fields of a row
PRUNED = "pruned"  # state in the summary of a run
KNOWN = {*Recipe.model_fields, configurations.CELL}


class Book:
    """Finds the point of a run by its config, with a cache: launch asks for the status every few seconds."""

    def __init__(self) -> None:
        self._recipes: dict[str, Recipe] = {}

    def rows(self, points: Iterable[Point], trials: Iterable[Trial], current: str) -> dict[str, Row]:
        """A row for each point, by key and in the order of the points.

        Args:
            points: the points.
            trials: their runs in this sweep and earlier ones, oldest first; other runs are ignored.
            current: id of the current sweep.
        """
        points = list(points)
        keys = {point.key for point in points}
        by_key: dict[str, list[Trial]] = defaultdict(list)
        for trial in trials:
            recipe = self.recipe(trial, keys)
            by_key[recipe.key() if recipe else ""].append(trial)
        return {point.key: row(point, by_key[point.key], current) for point in points}

    def recipe(self, trial: Trial, keys: Collection[str] = ()) -> Recipe | None:
        """The recipe of a run; None if its config has not arrived yet, or is not a valid recipe.

        Args:
            trial: the run.
            keys: the cells of its sweep: if a plugin has changed since, its recipe is the one that is one of them.
        """
        if trial.id not in self._recipes:
            own = {name for name in trial.config if name not in Recipe.model_fields and by_name.is_option(name)}
            fields = {name: value for name, value in trial.config.items() if name in KNOWN | own}
            found = _recipes(fields) if fields else []
            if not found:
                return None
            self._recipes[trial.id] = next((recipe for recipe in found if recipe.key() in keys), found[0])
        return self._recipes[trial.id]


def _recipes(config: Mapping[str, Any]) -> list[Recipe]:
    """A run's recipe as it was written when it began, if a plugin is part of it, and as it would be made today."""
    found: list[Recipe] = []
    try:
        choices = configurations.choices(config)
    except UserError:
        return found
    if choices.get("plugins"):
        fields = {name: one for name, one in choices.items() if name in Recipe.model_fields}
        for plugins in (fields["plugins"], ""):  # W&B gives those of the sweep to every run
            with suppress(UserError):
                found.append(made.restated({**fields, "plugins": plugins}))
    with suppress(UserError):
        found.append(make(choices, by_name.every()))
    return found


def row(point: Point, trials: list[Trial], current: str) -> Row:
    """The row of a point from its runs, oldest first: complete if any is; failures of earlier sweeps do not count."""
    ended = {trial.id: _reason(trial) for trial in trials if trial.state not in (*RUNNING, *WAITING)}
    pruned = [trial for trial in trials if trial.id in ended and trial.summary.get("state") == PRUNED]
    complete = [trial for trial in trials if ended.get(trial.id) == ""]
    running = [trial for trial in trials if trial.state in RUNNING]
    failed = [trial for trial in trials if ended.get(trial.id) and trial not in pruned]
    reasons = tuple(ended[trial.id] for trial in failed)
    begun = len(complete) + len(running) + len(failed) + len(pruned)
    waiting = Row(point, State.WAITING, begun, reasons[-1] if reasons else "", reasons=reasons)
    if complete:
        return _with_run(replace(waiting, state=State.COMPLETE), complete[-1])
    if running:
        return _with_run(replace(waiting, state=State.RUNNING), running[-1])
    if pruned:
        return _with_run(replace(waiting, state=State.PRUNED, reason=ended[pruned[-1].id]), pruned[-1])
    if failed and failed[-1].sweep == current:
        return _with_run(replace(waiting, state=State.FAILED), failed[-1])
    return waiting


def _with_run(row: Row, trial: Trial) -> Row:
    """The row with the value, the attributes and the times of its run."""
    complete, running = row.state is State.COMPLETE, row.state is State.RUNNING
    attributes = {
        name: value
        for name, value in trial.summary.items()
        if not name.startswith("_") and name not in OURS and isinstance(value, bool | int | float | str)
    }
    return replace(
        row,
        value=float(trial.summary[configurations.METRIC]) if complete else None,
        attributes=attributes if complete else {},
        started=_time(trial.created),
        finished=None if running else _time(trial.heartbeat),
    )


def _reason(trial: Trial) -> str:
    """Why an ended run has no result; empty if it has one. The accuracy of a pruned run is only intermediate."""
    if trial.summary.get("state") == PRUNED:
        return str(trial.summary.get("reason") or PRUNED)
    if trial.state == "finished" and isinstance(trial.summary.get(configurations.METRIC), int | float):
        return ""
    return str(trial.summary.get("reason") or REASONS.get(trial.state) or f"state on W&B: {trial.state}")


def _time(text: str) -> datetime | None:
    """Parse a time of W&B; without a time zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

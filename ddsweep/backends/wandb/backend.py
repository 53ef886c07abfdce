"""Sweeps whose points W&B assigns to its own agents: registration and status.

NAME@PROFILE is the name of a sweep of the project; its configuration contains the definition, so that any machine can
read it. W&B never repeats a point of a grid and cannot change a grid that has started. Launching again therefore
continues the sweep as long as it is open (pending, running, paused) and has points left. If the cells have changed, or
W&B will assign none of the remaining ones (all failed, or the sweep was stopped or canceled), a new sweep of the same
name is registered with the cells that are neither complete nor running, and the open one is stopped. All sweeps of a
name form a *family* and count together: a cell that one of them completed is complete, and stays (``relaunch``).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ddsweep import again, text
from ddsweep.backends import Definition, Point, Registered, Row, State, Status
from ddsweep.backends.relaunch import Relaunch, relaunch
from ddsweep.backends.wandb.client import Registration, Service
from ddsweep.backends.wandb.rows import Book
from ddsweep.errors import UserError, closest
from ddsweep.sweep import Sweep, naming
from ddsweep.sweep import wandb as configurations

if TYPE_CHECKING:
    from ddsweep.backends.wandb.client import Trial

logger = logging.getLogger(__name__)
OPEN = ("PENDING", "RUNNING", "PAUSED")
VERSIONS = "cells: some were registered by another version of ddsweep, whose recipes differ"
SEEDS = "W&B chooses a seed for each trial; without --backend wandb, every point is run with each seed"
BASELINE = "W&B samples from the ranges only; run the baseline with: {command}"


class WandbStore:
    """The sweeps of a W&B project that ddsweep registered (protocol ``backends.Store``).

    Args:
        project: default ``ddsweep``.
        entity: the project's owner; default: the account's own.
    """

    def __init__(self, project: str = "", entity: str = "") -> None:
        self.service = Service(project, entity)
        self._plans: dict[str, Sweep | None] = {}

    def available(self) -> str:
        """Why W&B is unavailable (not logged in, offline, unreachable), in one line; empty if it is available."""
        return self.service.available()

    def names(self) -> list[str]:
        """The registered sweeps."""
        return sorted(self._all())

    def load_definition(self, name: str) -> Definition:
        """A registered sweep. Raises UserError, with the names of all registered sweeps, if it is not registered."""
        return wandb_definition(self.family(name)[0].plan)

    def sweep(self, name: str) -> WandbBackend:
        """One sweep, whether or not it is registered yet."""
        return WandbBackend(self, name)

    def kept(self, keys: Collection[str]) -> set[str]:
        """Always empty: results of W&B trials are in the runs folders of the machines that ran them."""
        return set()

    def load(self, key: str) -> dict[str, bytes]:
        """Always empty, see ``kept``."""
        return {}

    def close(self) -> None:
        """There is nothing to close."""

    def family(self, name: str) -> list[Member]:
        """The sweeps of a name, newest first, at least one.

        Raises:
            UserError: no sweep has this name; the message lists the registered names.
        """
        families = self._all()
        if name not in families:
            raise UserError(f"no registered sweep {name!r}; {closest(name, families)}")
        return families[name]

    def relatives(self, name: str) -> list[Member]:
        """The sweeps of a name, newest first; may be empty."""
        return self._all().get(name, [])

    def _all(self) -> dict[str, list[Member]]:
        families: dict[str, list[Member]] = defaultdict(list)
        for registration in self.service.sweeps():
            plan = self._plan(registration)
            if plan is not None:
                families[plan.full_name].append(Member(registration, plan))
        return families

    def _plan(self, registration: Registration) -> Sweep | None:
        """The sweep that a W&B sweep was registered from; None if not by this version of ddsweep. It never changes."""
        if registration.id not in self._plans:
            try:
                self._plans[registration.id] = configurations.restore(registration.config)
            except UserError as error:
                logger.warning("W&B sweep %s: %s", registration.id, error)
                self._plans[registration.id] = None
        return self._plans[registration.id]


@dataclass(frozen=True)
class Member:
    """One W&B sweep of a family, and the sweep that it was registered from."""

    registration: Registration
    plan: Sweep

    @property
    def points(self) -> list[Point]:
        """Every cell of the sweep, even if only the remaining ones are registered on W&B."""
        return Definition.of(self.plan).points

    @property
    def open(self) -> bool:
        """Whether W&B assigns its points, now or after it is resumed."""
        return self.registration.state in OPEN


class WandbBackend:
    """One sweep (protocol ``backends.Backend``)."""

    def __init__(self, store: WandbStore, name: str) -> None:
        self.name, self._store, self._service = name, store, store.service
        self._changes: list[str] = []
        self._notices: list[str] = []
        self._book = Book()
        self._last: Status | None = None

    @property
    def path(self) -> str:
        """``ENTITY/PROJECT/ID``, the argument of ``wandb agent``."""
        return f"{self._service.path}/{self._current.id}"

    @property
    def url(self) -> str:
        """The sweep's page."""
        return self._service.url(self._current.id)

    def changes(self) -> list[str]:
        """The changes that the last ``register`` found, a line per parameter: ``alpha: 0, 1, 10 → 0, 1, 100``."""
        return self._changes

    def notices(self) -> list[str]:
        """Messages of the last ``register`` beyond its counts: the sweep is paused, or was replaced."""
        return self._notices

    def register(self, definition: Definition, *, alone: bool = False) -> Registered:
        """Find the sweep, register it, or register its remaining cells; see the module."""
        plan = configurations.with_sampled_seeds(Sweep.from_definition(definition.definition))
        family = self._store.relatives(self.name)
        self._changes, self._notices = [], []
        if plan.search:
            return self._register_search(plan, family, alone)
        if not family:
            self._create(plan)
            return Registered(len(definition.points), 0, 0)
        newest, known = family[0], self._registered(family)
        joined = _joined(definition, newest.plan, known, alone)
        plan, points = Sweep.from_definition(joined.definition.definition), joined.definition.points
        before, after = ({point.key for point in some} for some in ([row.point for row in known], points))
        rows = self._rows(points, family)
        remaining = {key for key in after if rows[key].state in (State.WAITING, State.FAILED)}
        if before != after:
            self._changes = configurations.changes(newest.plan, plan)
        if joined.counts.unreadable:
            self._changes.append(VERSIONS)
        exhausted = bool(remaining) and all(rows[key].state is State.FAILED for key in remaining)
        if before != after or exhausted or (remaining and not newest.open):
            self._replace(newest, plan, remaining)
        elif newest.registration.state == "PAUSED":
            resume = f"wandb sweep --resume {self._service.path}/{newest.registration.id}"
            self._notices.append(f"paused on W&B: agents wait until you resume it ({resume})")
        return joined.registered(len(after & before))

    def status(self) -> Status:
        """The status of every point.

        If W&B becomes unreachable after the first read, this logs a warning and returns the last known status, since
        trials continue without W&B.
        """
        try:
            family = self._store.family(self.name)
            if family[0].plan.search:
                self._last = self._search_runs(family).status
                return self._last
            self._last = Status(self.name, [*self._rows(family[0].points, family).values()])
        except UserError as error:
            if self._last is None:
                raise
            logger.warning("%s; showing the last known status", error)
        return self._last

    def drained(self) -> bool:
        """Whether every point is complete or has failed for good."""
        return self.status().drained

    @property
    def _current(self) -> Registration:
        return self._store.family(self.name)[0].registration

    def _register_search(self, plan: Sweep, family: list[Member], alone: bool) -> Registered:
        """Find the search, register it, or register its remaining number of points."""
        assert plan.search is not None
        run_cap = plan.search.run_cap
        self._notices += filter(None, [advice(plan), SEEDS if len(plan.parameters.get("seed", ())) > 1 else ""])
        if not family:
            self._create(plan)
            return Registered(run_cap, 0, 0)
        newest = family[0]
        self._changes = configurations.changes(newest.plan, plan)
        known = self._registered(family)
        # what W&B has sampled from the same ranges belongs to this search
        earlier = known if self._changes else [row for row in known if row.point.key in newest.plan.kept_choices]
        joined = _joined(wandb_definition(plan), newest.plan, earlier, alone)
        counts, plan = joined.counts, Sweep.from_definition(joined.definition.definition)
        if self._changes:
            self._replace(newest, plan, run_cap)
            return replace(counts, added=run_cap)
        sampled = self._search_runs(family)
        remaining = replace(sampled, cap=run_cap + len(sampled.kept)).remaining
        if plan.kept != newest.plan.kept or (remaining and (newest.plan.search != plan.search or not newest.open)):
            self._replace(newest, plan, remaining)
        added = max(0, run_cap - newest.plan.search.run_cap) if newest.plan.search else 0
        return replace(counts, added=added, kept=len(sampled.rows) - len(sampled.kept))

    def _registered(self, family: list[Member]) -> list[Row]:
        """Every cell that is registered, with its state."""
        if family[0].plan.search:
            return self._search_runs(family).rows
        return [*self._rows(family[0].points, family).values()]

    def _search_runs(self, family: list[Member]) -> SearchRuns:
        trials = self._service.trials(member.registration.id for member in family)
        return SearchRuns.of(self.name, family, trials, self._book)

    def _replace(self, old: Member, plan: Sweep, remaining: set[str] | int) -> None:
        """Register the remaining cells; if none remain, all, so that the new definition can be read."""
        if old.open:
            self._service.stop(old.registration)
        new = self._create(plan, remaining or None)
        ended = "stopped" if old.open else old.registration.state.lower()
        number = remaining if isinstance(remaining, int) else len(remaining)
        count = f"{text.plural(number, 'cell')} left" if number else "no cell left to run"
        self._notices.append(f"W&B sweep {old.registration.id} is {ended}; with {count}, it continues as {new}")

    def _create(self, plan: Sweep, remaining: set[str] | int | None = None) -> str:
        keys, run_cap = (None, remaining) if isinstance(remaining, int) else (remaining, None)
        return self._service.create(configurations.text(configurations.configuration(plan, keys, run_cap)))

    def _rows(self, points: Iterable[Point], family: list[Member]) -> dict[str, Row]:
        """The rows of points, by the key of the recipe."""
        trials = self._service.trials(member.registration.id for member in family)
        return self._book.rows(points, trials, family[0].registration.id)


def _joined(new: Definition, registered: Sweep, rows: Sequence[Row], alone: bool) -> Relaunch:
    """A launch with the cells of earlier ones. None of them counts as sampled by a search: W&B starts again."""
    before = Definition(new.name, [row.point for row in rows], registered.definition())
    return relaunch(new, before, rows, working=any(row.state is State.RUNNING for row in rows), alone=alone)


def wandb_definition(sweep: Sweep) -> Definition:
    """The definition as W&B has it: a search without its baselines, which are outside its ranges."""
    whole = Definition.of(sweep)
    if sweep.search is None:
        return whole
    baselines = {cell.key for cell in sweep.cells if sweep.is_baseline(cell.recipe)} - sweep.kept_choices.keys()
    points = [point for point in whole.points if point.key not in baselines]
    return replace(whole, points=points, cap=sweep.search.run_cap + len(sweep.kept))


def advice(sweep: Sweep) -> str:
    """How to run the baseline; empty if the sweep has none."""
    choices = [f"{name}={naming.written(name, value)}" for name, value in sweep.baseline.items()]
    return BASELINE.format(command=again.other("run", sweep.full_name, *choices)) if choices else ""


def same_search(family: Sequence[Member]) -> list[Member]:
    """The members, newest first, whose search is that of the newest."""
    newest = family[0].plan
    return [member for member in family if not configurations.changes(member.plan, newest)]


@dataclass(frozen=True)
class SearchRuns:
    """The points of a search on W&B.

    Attributes:
        name: the sweep.
        rows: the rows of the cells of earlier launches, then of the points that W&B has sampled.
        cap: how many points the search has in total, with the cells of earlier launches.
        kept: the keys of the cells of earlier launches.
    """

    name: str
    rows: list[Row]
    cap: int
    kept: Collection[str] = ()

    @classmethod
    def of(cls, name: str, family: Sequence[Member], trials: Iterable[Trial], book: Book) -> SearchRuns:
        """Read the runs of a family of searches, newest first."""
        plan, runs = family[0].plan, list(trials)
        assert plan.search is not None
        same = {member.registration.id for member in same_search(family)}
        points = {point.key: point for point in wandb_definition(plan).points}
        for point in points_of(plan, (one for one in runs if one.sweep in same), book):
            points.setdefault(point.key, point)
        rows = book.rows(points.values(), runs, family[0].registration.id)
        return cls(name, list(rows.values()), plan.search.run_cap + len(plan.kept), plan.kept_choices.keys())

    @property
    def remaining(self) -> int:
        """Number of points to sample that neither have a result nor are running."""
        done = (State.COMPLETE, State.PRUNED, State.RUNNING)
        own = sum(row.state in done for row in self.rows if row.point.key not in self.kept)
        return max(0, self.cap - len(self.kept) - own)

    @property
    def status(self) -> Status:
        """The status of the search."""
        return Status(self.name, self.rows, max(0, self.cap - len(self.rows)))


def points_of(plan: Sweep, trials: Iterable[Trial], book: Book) -> list[Point]:
    """The points of runs, in the order in which W&B sampled them."""
    points: dict[str, Point] = {}
    for trial in trials:
        recipe = book.recipe(trial)
        if recipe is not None and not plan.is_baseline(recipe):
            params = {name: recipe.value(name) for name in plan.varied}
            fields = plan.drawn_fields(recipe)
            point = Point(recipe.key(), params, recipe.key(), plan.cell_title(recipe), fields)
            points.setdefault(recipe.key(), point)
    return list(points.values())

"""A sweep whose points W&B deals to its own agents: what is registered there, and how far it is.

NAME@PROFILE is the name of a sweep of the project; its configuration holds the definition, so any machine reads it.
W&B never repeats a point of a grid and cannot change a grid that has begun. So launching again continues the sweep
while it is open (pending, running, paused) and has points to deal. Where the cells have changed, or W&B will deal none
of those that are left (all failed, or the sweep was stopped or cancelled), a new one of the same name is registered,
with the cells that are neither complete nor running, and the open one is stopped. All sweeps of a name count together:
a cell that one of them completed is complete.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ddsweep.backends import Definition, Point, Registered, Row, State, Status
from ddsweep.backends.wandb.client import Registration, Service
from ddsweep.backends.wandb.rows import Book
from ddsweep.errors import UserError, closest
from ddsweep.sweep import Sweep
from ddsweep.sweep import wandb as configurations

if TYPE_CHECKING:
    from ddsweep.backends.wandb.client import Trial

logger = logging.getLogger(__name__)
OPEN = ("PENDING", "RUNNING", "PAUSED")
VERSIONS = "the cells: another version of ddsweep registered them, and they are other experiments now"
BASELINE = "W&B draws from the ranges only; the baseline is run with: ddsweep run {reference} {choices}"


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
        """Why W&B cannot be used right now (not logged in, offline, unreachable), in one line; empty if it can."""
        return self.service.available()

    def names(self) -> list[str]:
        """The registered sweeps."""
        return sorted(self._all())

    def load_definition(self, name: str) -> Definition:
        """A registered sweep. Raises UserError, naming the sweeps there are, when it is not registered."""
        return dealt(self.family(name)[0].plan)

    def sweep(self, name: str) -> WandbBackend:
        """One sweep, registered or about to be."""
        return WandbBackend(self, name)

    def kept(self, keys: Collection[str]) -> set[str]:
        """None: results of W&B's trials lie in the runs folders of the machines that ran them."""
        return set()

    def load(self, key: str) -> dict[str, bytes]:
        """Nothing, see ``kept``."""
        return {}

    def close(self) -> None:
        """Nothing to let go of."""

    def family(self, name: str) -> list[Member]:
        """The sweeps of a name, newest first, at least one.

        Raises:
            UserError: there is none; the line names those there are.
        """
        found = self._all()
        if name not in found:
            raise UserError(f"no registered sweep {name!r}; {closest(name, found)}")
        return found[name]

    def relatives(self, name: str) -> list[Member]:
        """The sweeps of a name, newest first; maybe none."""
        return self._all().get(name, [])

    def _all(self) -> dict[str, list[Member]]:
        found: dict[str, list[Member]] = defaultdict(list)
        for registration in self.service.sweeps():
            plan = self._plan(registration)
            if plan is not None:
                found[plan.full_name].append(Member(registration, plan))
        return found

    def _plan(self, registration: Registration) -> Sweep | None:
        """What a W&B sweep was made from, if ddsweep, and this version of it, made it; W&B never changes it."""
        if registration.id not in self._plans:
            try:
                self._plans[registration.id] = configurations.restore(registration.config)
            except UserError as error:
                logger.warning("W&B sweep %s: %s", registration.id, error)
                self._plans[registration.id] = None
        return self._plans[registration.id]


@dataclass(frozen=True)
class Member:
    """One W&B sweep of a name, and what it was made from."""

    registration: Registration
    plan: Sweep

    @property
    def points(self) -> list[Point]:
        """Every cell of the sweep, also where W&B has only those that were left."""
        return Definition.of(self.plan).points

    @property
    def open(self) -> bool:
        """Whether W&B deals its points, now or when somebody resumes it."""
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
        """``ENTITY/PROJECT/ID``: what ``wandb agent`` is given."""
        return f"{self._service.path}/{self._current.id}"

    @property
    def url(self) -> str:
        """The sweep's page."""
        return self._service.url(self._current.id)

    def changes(self) -> list[str]:
        """What the last ``register`` found changed, a line per parameter: ``alpha: 0, 1, 10 → 0, 1, 100``."""
        return self._changes

    def notices(self) -> list[str]:
        """What the last ``register`` has to say beyond its counts: the sweep is paused, or had ended."""
        return self._notices

    def register(self, definition: Definition) -> Registered:
        """Find the sweep, or register it, or register what is left of it; see the module."""
        plan = Sweep.from_definition(definition.definition)
        family = self._store.relatives(self.name)
        self._changes, self._notices = [], []
        if plan.search:
            return self._register_search(plan, family)
        if not family:
            self._create(plan)
            return Registered(len(definition.points), 0, 0)
        newest = family[0]
        before, after = ({point.key: point for point in points} for points in (newest.points, definition.points))
        rows = self._rows((before | after).values(), family)
        left = {key for key in after if rows[key].state in (State.WAITING, State.FAILED)}
        if before.keys() != after.keys():
            self._changes = configurations.changes(newest.plan, plan) or [VERSIONS]
        dealt = bool(left) and all(rows[key].state is State.FAILED for key in left)
        if self._changes or dealt or (left and not newest.open):
            self._replace(newest, plan, left)
        elif newest.registration.state == "PAUSED":
            resume = f"wandb sweep --resume {self._service.path}/{newest.registration.id}"
            self._notices.append(f"paused on W&B: agents wait until it is resumed ({resume})")
        withdrawn = sum(rows[key].state is State.WAITING for key in before.keys() - after.keys())
        return Registered(len(after.keys() - before.keys()), len(after.keys() & before.keys()), withdrawn)

    def status(self) -> Status:
        """Every point and how it fares.

        Once it was read, a W&B that cannot be reached for a while costs nothing but a warning: what was last known is
        returned, since trials go on without it.
        """
        try:
            family = self._store.family(self.name)
            if family[0].plan.search:
                self._last = self._searched(same(family)).status
                return self._last
            self._last = Status(self.name, [*self._rows(family[0].points, family).values()])
        except UserError as error:
            if self._last is None:
                raise
            logger.warning("%s; this is what was known before", error)
        return self._last

    def drained(self) -> bool:
        """Whether every point is complete or given up."""
        return self.status().drained

    @property
    def _current(self) -> Registration:
        return self._store.family(self.name)[0].registration

    def _register_search(self, plan: Sweep, family: list[Member]) -> Registered:
        """Find the search, or register it, or register as many points as are left of it."""
        assert plan.search is not None
        self._notices += filter(None, [advice(plan)])
        if not family:
            self._create(plan)
            return Registered(plan.search.run_cap, 0, 0)
        newest = family[0]
        self._changes = configurations.changes(newest.plan, plan)
        if self._changes:
            self._replace(newest, plan, plan.search.run_cap)
            return Registered(plan.search.run_cap, 0, 0)
        known = self._searched(same(family))
        left = replace(known, cap=plan.search.run_cap).left
        if left and (newest.plan.search != plan.search or not newest.open):
            self._replace(newest, plan, left)
        return Registered(max(0, plan.search.run_cap - known.cap), len(known.rows), 0)

    def _searched(self, family: list[Member]) -> Count:
        trials = self._service.trials(member.registration.id for member in family)
        return Count.of(self.name, family, trials, self._book)

    def _replace(self, old: Member, plan: Sweep, left: set[str] | int) -> None:
        """Register what is left; where nothing is, the whole, so that the new definition can be read."""
        if old.open:
            self._service.stop(old.registration)
        new = self._create(plan, left or None)
        ended = "stopped" if old.open else old.registration.state.lower()
        number = left if isinstance(left, int) else len(left)
        count = f"{number} cell{'s' * (number != 1)} left" if left else "no cell left to run"
        self._notices.append(f"W&B sweep {old.registration.id} is {ended}; with {count}, it goes on as {new}")

    def _create(self, plan: Sweep, left: set[str] | int | None = None) -> str:
        keys, run_cap = (None, left) if isinstance(left, int) else (left, None)
        return self._service.create(configurations.text(configurations.configuration(plan, keys, run_cap)))

    def _rows(self, points: Iterable[Point], family: list[Member]) -> dict[str, Row]:
        """How points fare, by the recipe's key."""
        trials = self._service.trials(member.registration.id for member in family)
        return self._book.rows(points, trials, family[0].registration.id)


def dealt(sweep: Sweep) -> Definition:
    """A search as W&B has it: without the baselines, which lie in none of its ranges."""
    whole = Definition.of(sweep)
    if sweep.search is None:
        return whole
    baselines = {cell.key for cell in sweep.cells if sweep.is_baseline(cell.recipe)}
    return replace(
        whole, points=[one for one in whole.points if one.key not in baselines], cap=sweep.search.run_cap
    )  # fmt: skip


def advice(sweep: Sweep) -> str:
    """How the baseline is run; empty where there is none."""
    choices = " ".join(f"{name}={value}" for name, value in sweep.baseline.items())
    return BASELINE.format(reference=sweep.full_name, choices=choices) if choices else ""


def same(family: Sequence[Member]) -> list[Member]:
    """The members, newest first, that search as the newest does."""
    newest = family[0].plan
    return [one for one in family if not configurations.changes(one.plan, newest)]


@dataclass(frozen=True)
class Count:
    """What of a search there is on W&B.

    Attributes:
        name: the sweep.
        rows: of the points that were dealt.
        cap: how many points it has.
    """

    name: str
    rows: list[Row]
    cap: int

    @classmethod
    def of(cls, name: str, family: Sequence[Member], trials: Iterable[Trial], book: Book) -> Count:
        """Read the runs of a family of searches; ``same``."""
        plan, found = family[0].plan, list(trials)
        assert plan.search is not None
        points = points_of(plan, found, book)
        rows = book.rows(points, found, family[0].registration.id)
        return cls(name, list(rows.values()), plan.search.run_cap)

    @property
    def left(self) -> int:
        """Points that neither have a result nor run."""
        return max(0, self.cap - sum(row.state in (State.COMPLETE, State.PRUNED, State.RUNNING) for row in self.rows))

    @property
    def status(self) -> Status:
        """How far it is."""
        return Status(self.name, self.rows, max(0, self.cap - len(self.rows)))


def points_of(plan: Sweep, trials: Iterable[Trial], book: Book) -> list[Point]:
    """The points of runs, in the order in which they were dealt."""
    found: dict[str, Point] = {}
    for trial in trials:
        recipe = book.recipe(trial)
        if recipe is not None and not plan.is_baseline(recipe):
            params = {name: getattr(recipe, name) for name in plan.swept}
            found.setdefault(recipe.key(), Point(recipe.key(), params, recipe.key(), recipe.title()))
    return list(found.values())

"""A search whose points W&B draws: what of it has been dealt, and how many points are left.

W&B counts runs against ``run_cap``, failed ones included, and never changes it; a larger one, and what is left of a
sweep that was stopped, is a new sweep of the same name. What earlier ones found counts, as long as nothing but
``run_cap`` has changed; W&B's own optimiser begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ddsweep.backends import Definition, Point, Row, State, Status
from ddsweep.backends.wandb_rows import Book
from ddsweep.sweep import Sweep
from ddsweep.sweep import wandb as configurations

if TYPE_CHECKING:
    from ddsweep.backends.wandb import Member
    from ddsweep.backends.wandb_service import Trial

BASELINE = "W&B draws from the ranges only; the baseline is run with: ddsweep run {reference} {choices}"


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

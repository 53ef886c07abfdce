"""What a sweep consists of after it is launched again under its name (docs/names.md), without storage or clock.

A launch adds its own cells. Those of earlier launches stay if they have ended or an agent works on them, and while
agents are at work also those that wait. They become part of the new definition, with all the choices that were made for
them (``Sweep.kept``), so that whoever reads it has their recipes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ddsweep.backends import sampler
from ddsweep.backends.space import is_invalid
from ddsweep.backends.values import Definition, Point, Registered, Row, State
from ddsweep.errors import UserError
from ddsweep.recipe import make
from ddsweep.sweep import Sweep
from ddsweep.sweep.made import found as found_in
from ddsweep.sweep.made import identity

ENDED = (State.COMPLETE, State.FAILED, State.PRUNED)


@dataclass(frozen=True)
class Relaunch:
    """A sweep as it is to be registered.

    Attributes:
        definition: the cells of this launch, and those of earlier ones that stay.
        counts: what happened to the cells of earlier launches; ``added`` and ``kept`` are not counted yet.
    """

    definition: Definition
    counts: Registered

    def registered(self, known: int) -> Registered:
        """What was registered; ``known`` is the number of points in ``definition`` that had an attempt before."""
        kept = known - self.counts.earlier
        return replace(self.counts, added=self.definition.size - known, kept=kept)


def relaunch(
    new: Definition, before: Definition | None, rows: Sequence[Row], *, working: bool, alone: bool = False
) -> Relaunch:
    """Join a launch with what was launched before under its name.

    Args:
        new: the sweep as it is launched.
        before: the sweep as it is registered; None: it is not, or another version of ddsweep registered it.
        rows: the state of every registered point.
        working: whether agents of another launch are alive, which will run the waiting points.
        alone: leave out every cell that this launch does not have.
    """
    wanted = sampler.continued(new, before)
    own = {point.id for point in wanted.points}
    others = [row for row in rows if row.point.id not in own]
    if alone:
        return Relaunch(wanted, _counts(removed=others))
    stay = [row for row in others if row.state is not State.WAITING or working]
    waiting = [row for row in others if row.state is State.WAITING and not working]
    if stay and "parameters" in new.definition:
        return _joined(wanted, before, stay, waiting)
    points = [*wanted.points, *(row.point for row in stay)]
    return Relaunch(replace(wanted, points=points), _counts(stay, waiting))


def _joined(wanted: Definition, before: Definition | None, stay: Sequence[Row], waiting: Sequence[Row]) -> Relaunch:
    """The definition with the points that stay; those without a recipe in this version of ddsweep are left out."""
    try:
        earlier = Sweep.from_definition(before.definition if before else {}).knowing(before.points if before else ())
    except UserError:
        return Relaunch(wanted, _counts(waiting=waiting, unreadable=stay))
    sweep = Sweep.from_definition(wanted.definition)
    found = ((row.point.key, earlier.choices_of(row.point.params, row.point.key)) for row in stay)
    choices = {key: one for key, one in found if one is not None}
    replaced = set(_other_plugins(sweep, wanted.points, choices))
    kept = [row for row in stay if row.point.key in choices.keys() - replaced]
    unreadable = [row for row in stay if row.point.key not in choices and not is_invalid(row.point)]
    newer = [row for row in stay if row.point.key in replaced]
    data = {**earlier.data, **sweep.data}
    stay_as = [choices[row.point.key] for row in kept]
    made = {identity(one): recipe for one in stay_as if (recipe := found_in(earlier.made, one))}
    union = replace(sweep, kept=(*sweep.kept, *stay_as), data=data, made={**made, **sweep.made})
    whole = Definition.of(union)
    known = {point.id for point in whole.points}
    drawn = [point for point in wanted.points if point.id not in known]
    return Relaunch(
        replace(whole, points=[*whole.points, *drawn]), _counts(kept, waiting, unreadable=unreadable, newer=newer)
    )


def _other_plugins(sweep: Sweep, points: Sequence[Point], choices: dict[str, Any]) -> Iterator[str]:
    """The keys of cells that differ from one of these points only in the version of a plugin."""
    own = sweep.fixed.get("plugins", "")
    others = {key: one for key, one in choices.items() if one.get("plugins", "") != own}
    if others:
        present = {point.key for point in points}
        for key, one in others.items():
            without = {name: value for name, value in one.items() if name != "plugins"}
            try:
                if make(without | ({"plugins": own} if own else {}), sweep.parts).key() in present:
                    yield key
            except UserError:
                continue


def _counts(
    stay: Sequence[Row] = (), waiting: Sequence[Row] = (), *, removed: Sequence[Row] = (),
    unreadable: Sequence[Row] = (), newer: Sequence[Row] = (),
) -> Registered:  # fmt: skip
    withdrawn = [*waiting, *(row for row in (*removed, *unreadable, *newer) if row.state is State.WAITING)]
    return Registered(
        added=0,
        kept=0,
        withdrawn=len(withdrawn),
        earlier=len(stay),
        newer=sum(row.state is not State.WAITING for row in newer),
        unreadable=sum(row.state is not State.WAITING for row in unreadable),
        finished=sum(row.state in ENDED for row in removed),
        running=sum(row.state is State.RUNNING for row in removed),
    )

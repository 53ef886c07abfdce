"""Where the values of a loaded sweep come from, and what a user should know about it before it is launched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep.errors import UserError
from ddsweep.recipe.defaults import NEUTRAL
from ddsweep.sweep.document import Scalar
from ddsweep.sweep.naming import derived, written

if TYPE_CHECKING:
    from ddsweep.sweep.grid import Sweep
    from ddsweep.sweep.search import Search

Values = Mapping[str, tuple[Scalar, ...]]


@dataclass(frozen=True)
class Origin:
    """The layers that a sweep was merged from.

    Attributes:
        path: its file.
        file: what the file says, without its ``x-ddsweep.profiles``.
        profile: what the profile says, as far as it has an effect: it replaces the file's values, or adds to them.
        settings: what ``--set`` says.
        question: those settings that ask another question than the file, and so are part of the name.
        search: the search of the file with its profile, without the settings; None: a grid.
        shipped: whether the file ships with ddsweep.
    """

    path: Path
    file: Values
    profile: Values
    settings: Values
    question: Values
    search: Search | None = None
    shipped: bool = False

    @property
    def source(self) -> dict[str, Any]:
        """What a registered sweep keeps of this: the file (of a shipped one, its name), and the question's settings."""
        file = self.base if self.shipped else str(self.path.resolve())
        return {"file": file, "question": {field: list(values) for field, values in self.question.items()}}

    @property
    def base(self) -> str:
        """The name of the file."""
        return self.path.stem


def remarks(sweep: Sweep, before: Sweep | None = None) -> Iterator[str]:
    """What ``show`` and ``launch`` say about the name and the values of a sweep, line by line.

    Args:
        sweep: the sweep to launch.
        before: the sweep as it is registered; None: it is not.
    """
    origin = sweep.origin
    if origin is None:
        return
    if origin.question:
        own = sweep.name == derived(origin.base, origin.question)
        hint = " (launch --as NAME gives it another name)" if own else f", not that of {origin.base}@{sweep.profile}"
        yield f"these settings ask another question: {sweep.full_name}{hint}"
    if line := profile_line(sweep, origin):
        yield line
    yield from left_out(sweep, before)


def profile_line(sweep: Sweep, origin: Origin) -> str:
    """``profile demo: target digits (not cifar10), ipc 5 (not 50)``; empty if the profile changes nothing."""
    fields = [field for field in origin.profile if field not in origin.settings]
    without = without_profile(sweep, origin, fields)
    changes = []
    for field in fields:
        used = _used(sweep, field)
        before = origin.file.get(field) or _used(without, field)
        if used and before != (origin.profile[field] if field in origin.file else used):
            instead = f" (not {_listed(field, before)})" if before else ""
            changes.append(f"{field} {_listed(field, origin.profile[field])}{instead}")
    return f"profile {sweep.profile}: {', '.join(changes)}" if changes else ""


def without_profile(sweep: Sweep, origin: Origin, fields: Collection[str]) -> Sweep:
    """The sweep as its file and the settings say, without these values of the profile."""
    kept = {field: values for field, values in sweep.parameters.items() if field not in fields}
    file = {field: values for field, values in origin.file.items() if field in fields}
    return replace(sweep, parameters=kept | file, origin=None)


def _used(sweep: Sweep, field: str) -> tuple[Scalar, ...]:
    """The values of a field in the cells for which it means something; none if there is no valid cell."""
    try:
        found = (recipe.value(field) for recipe in sweep.recipes)
        values = dict.fromkeys(value for value in found if value is not None)
    except UserError:
        return ()
    if field in NEUTRAL:
        values.pop(NEUTRAL[field], None)
    return tuple(values)


def _listed(field: str, values: tuple[Scalar, ...]) -> str:
    return ", ".join(written(field, value) for value in values)


def left_out(sweep: Sweep, before: Sweep | None) -> Iterator[str]:
    """Which parts of the question the settings leave out: the baseline, or values that only excluded cells have."""
    cells = (*sweep.cells, *(before.cells if before else ()))
    if sweep.search is None and sweep.baseline and not any(sweep.is_baseline(cell.recipe) for cell in cells):
        choices = ", ".join(f"{field} {written(field, value)}" for field, value in sweep.baseline.items())
        yield f"these settings leave out the baseline ({choices}), so nothing is compared"
    for field, value in sweep.unused():
        yield f"these settings leave no cell with {field} {written(field, value)}, because of exclude"

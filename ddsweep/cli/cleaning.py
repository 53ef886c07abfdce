"""The work behind ``ddsweep clean``: list what uses disk space, delete it, and print both."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import again, files, text
from ddsweep.cli import console
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ddsweep.backends.optuna.backend import OptunaStore
    from ddsweep.housekeeping import Item, Kind, Survey, Uses, Work
    from ddsweep.recipe import Recipe

TARGET_OF = {
    "USED": "runs",
    "FREE": "runs",
    "OPEN": "runs",
    "REPLACED": "runs",
    "ORPHAN": "temporaries",
    "PTM": "pool",
    "TRAINED": "pool",
    "SHARED": "shared",
    "DATASET": "data",
    "ARCHIVE": "data",
    "COMPILED": "compiled",
    "CHECKED": "checked",
    "LEFTOVER": "temporaries",
}
CONSEQUENCES = {
    "USED": "results and plots of their sweeps lose them, and launching again does not compute them",
    "FREE": "no launched sweep contains them; a sweep that does will compute them again",
    "OPEN": "their sweeps resume from the checkpoints in them; without these, the cells start over",
    "PTM": "a sweep that needs one trains or downloads it again",
    "TRAINED": "a cell that needs one trains it again",
    "SHARED": "a cell that needs them computes them again, with the same bits",
    "DATASET": "decoded again from their archives or image folders when a trial needs them",
    "ARCHIVE": "downloaded again when a dataset has to be decoded, except those that need a login",
    "CHECKED": "the next launch checks these plugins again",
    "COMPILED": "compiled again when a trial needs them, which takes 6 to 20 s per step",
}
MOST = 8  # items that a confirmation lists


def show(survey: Survey, items: Sequence[Item], cleaning: Cleaning) -> None:
    """Print the table of disk usage, and remarks on what it leaves out."""
    from ddsweep.cli import display

    rows = list(_rows(items)) + [
        {"kind": f"other files in {root.name}", "count": "", "size": text.data_size(size), "age": "", "target": "–"}
        for root, size in survey.other.items()
        if size
    ]
    out = display.stdout()
    out.say(f"runs   {cleaning.runs}")
    out.say(f"cache  {cleaning.cache}")
    out.print()
    if rows:
        display.table(rows, heads=("WHAT", "COUNT", "SIZE", "LAST WRITTEN", "DELETE WITH"))
    else:
        out.print("no files yet")
    out.print()
    for line in _notes(survey, items, cleaning):
        out.say(line)
    out.print("nothing was deleted; * asks for confirmation; --dry-run lists what would be deleted")


def _rows(items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    for kind, group in _by_kind(items).items():
        yield {
            "kind": f"{kind.value} *" if kind.asks else kind.value,
            "count": len(group),
            "size": text.data_size(sum(item.disk for item in group)),
            "age": _ages(group),
            "target": again.other("clean", TARGET_OF[kind.name]),
        }


def _notes(survey: Survey, items: Sequence[Item], cleaning: Cleaning) -> Iterator[str]:
    if in_use := [item for item in items if item.held]:
        yield f"in use, and never deleted: {_reasons(in_use)}"
    for link in survey.links:
        yield f"{link} is a symbolic link, which is not followed"
    if cleaning.unavailable:
        yield f"the storage cannot be read, so that nothing would be deleted: {cleaning.unavailable}"
    elif survey.strangers:
        names = ", ".join(survey.strangers[:3]) + (" …" if len(survey.strangers) > 3 else "")
        yield f"{names}: launched with another storage; pass it as --storage to see which runs are theirs"


def print_plan(free: Sequence[Item], in_use: Sequence[Item]) -> None:
    """Print what would be deleted, one item per line."""
    for item in free:
        console.echo(f"would delete  {_line(item)}{'   (asks for confirmation)' if item.kind.asks else ''}")
    _print_kept([(item, item.held) for item in in_use])
    size = f"{text.data_size(sum(item.disk for item in free))} would be freed" if free else "nothing to delete"
    console.echo(f"{size}; nothing was deleted")


def print_outcome(outcome: Outcome, in_use: Sequence[Item]) -> None:
    """Print what was deleted, kept, and could not be deleted."""
    for group in _by_kind(outcome.gone).values():
        console.echo(f"deleted  {summary(group)}")
    _print_kept([*((item, item.held) for item in in_use), *outcome.kept])
    for _, reason in outcome.failed:
        console.note(f"failed   {reason}")
    if not outcome.gone:
        console.echo("nothing was deleted")


def question(kind: Kind, items: Sequence[Item]) -> Iterator[str]:
    """What the user should know before confirming: the items, and what deleting them means."""
    yield f"{summary(items)}; {CONSEQUENCES[kind.name]}"
    for item in items[:MOST]:
        yield f"  {_line(item)}"
    if len(items) > MOST:
        yield f"  and {len(items) - MOST} more (--dry-run lists them all)"


def summary(items: Sequence[Item]) -> str:
    """``PTMs: 3, 12 MB``, for items of one kind."""
    return f"{items[0].kind.value}: {len(items):,}, {text.data_size(sum(item.disk for item in items))}"


def _reasons(items: Sequence[Item]) -> str:
    """``2 (an agent is running it), 1 (…)``."""
    reasons = dict.fromkeys(item.held for item in items)
    return ", ".join(f"{sum(item.held == reason for item in items)} ({reason})" for reason in reasons)


def record(survey: Survey, items: Sequence[Item]) -> dict[str, Any]:
    """The disk usage as JSON."""
    return {
        "items": [item_record(item) for item in items],
        "other_bytes": {str(root): size for root, size in survey.other.items()},
        "links": [str(link) for link in survey.links],
        "unknown_sweeps": survey.strangers,
    }


def item_record(item: Item) -> dict[str, Any]:
    """An item as JSON."""
    return {
        "kind": item.kind.name.lower(),
        "path": str(item.path),
        "title": item.title,
        "bytes": item.disk,
        "age_seconds": max(0.0, time.time() - item.touched),
        "asks": item.kind.asks,
        "held": item.held,
    }


def _print_kept(kept: Sequence[tuple[Item, str]]) -> None:
    for item, reason in kept:
        console.echo(f"kept     {item.path}: {reason}")


def _by_kind(items: Sequence[Item]) -> dict[Kind, list[Item]]:
    from ddsweep.housekeeping import Kind

    return {kind: group for kind in Kind if (group := [item for item in items if item.kind is kind])}


def _line(item: Item) -> str:
    return f"{item.path}   {text.data_size(item.disk)}   {text.age(time.time() - item.touched)}   {item.title}"


def _ages(items: Sequence[Item]) -> str:
    now = time.time()
    youngest, oldest = (text.age(now - pick(item.touched for item in items)) for pick in (max, min))
    return youngest if youngest == oldest else f"{youngest.removesuffix(' ago')} – {oldest}"


@dataclass
class Outcome:
    """The items that were deleted; those that were kept and those that could not be deleted, with the reasons."""

    gone: list[Item] = field(default_factory=list)
    kept: list[tuple[Item, str]] = field(default_factory=list)
    failed: list[tuple[Item, str]] = field(default_factory=list)

    def record(self, in_use: Sequence[Item]) -> dict[str, Any]:
        """The outcome as JSON; ``in_use`` are the items that were not tried."""
        kept = [*((item, item.held) for item in in_use), *self.kept]
        return {
            "freed_bytes": sum(item.disk for item in self.gone),
            "removed": [item_record(item) for item in self.gone],
            "kept": [item_record(item) | {"held": reason} for item, reason in kept],
            "failed": [item_record(item) | {"reason": reason} for item, reason in self.failed],
        }


class Cleaning:
    """One call of ``clean``.

    Attributes:
        runs: the folder that holds all runs.
        cache: the folder of datasets and PTMs.
        unavailable: why the storage cannot be read; empty if it can, or if there is none.
    """

    def __init__(self, runs: Path, storage: str | None) -> None:
        self.runs, self._storage = runs.absolute(), storage
        self.cache, self.unavailable = files.cache_dir().absolute(), ""
        self._uses = self._read_uses()

    def survey(self) -> Survey:
        """List everything that uses disk space in the two folders."""
        from ddsweep import housekeeping

        return housekeeping.survey(self.runs, self.cache, self._uses, self._work())

    def require_storage(self) -> None:
        """Raise UserError if the storage, which says what agents are using, cannot be read."""
        if self.unavailable:
            raise UserError(f"clean: nothing is deleted while the storage cannot be read; {self.unavailable}")

    def remove(self, items: Sequence[Item]) -> Outcome:
        """Delete items, except those that an agent has started to use since they were listed."""
        from ddsweep import housekeeping

        outcome, work = Outcome(), self._fresh()
        for item in items:
            root = self.runs if item.path.is_relative_to(self.runs) else self.cache
            try:
                reason = work.holds(item) or housekeeping.remove(item, root, self._fresh)
            except UserError as error:
                outcome.failed.append((item, str(error)))
                continue
            if reason:
                outcome.kept.append((item, reason))
            else:
                outcome.gone.append(item)
        return outcome

    def _work(self) -> Work:
        from ddsweep import housekeeping

        return housekeeping.at_work(self.runs, self._uses)

    def _fresh(self) -> Work:
        """What agents are using now, with the leases read again."""
        self._uses = self._read_uses()
        self.require_storage()
        return self._work()

    def _read_uses(self) -> Uses:
        """The launched sweeps that the runs folder and the storage know, and the leases that have not expired."""
        from ddsweep import launches
        from ddsweep.backends.local import FolderStore
        from ddsweep.housekeeping import Uses

        folder = FolderStore(self.runs)
        sweeps: dict[str, set[str]] = defaultdict(set)
        names, leased = set(folder.names()), dict[str, "Recipe | None"]()
        try:
            for name in folder.names():
                _add(sweeps, name, folder)
            if self._storage is not None or (self.runs / "ddsweep.db").is_file():
                store = launches.connect(self.runs, self._storage)
                try:
                    names |= set(store.names())
                    for name in store.names():
                        _add(sweeps, name, store)
                    leased = _leased(store)
                finally:
                    store.close()
        except UserError as error:
            self.unavailable = str(error)
        return Uses({key: tuple(sorted(users)) for key, users in sweeps.items()}, frozenset(names), leased)


def _add(sweeps: dict[str, set[str]], name: str, store: Any) -> None:
    for point in store.load_definition(name).points:
        sweeps[point.key].add(name)


def _leased(store: OptunaStore) -> dict[str, Recipe | None]:
    """The cells whose agents sent a heartbeat lately, with their recipes."""
    from ddsweep.backends.optuna import leases
    from ddsweep.sweep import Sweep

    leased: dict[str, Recipe | None] = {}
    for claim in store.database.run(lambda session: leases.running(session, store.lease), "read"):
        if claim.silent <= store.lease.grace:
            try:
                sweep = Sweep.from_definition(store.load_definition(claim.sweep).definition)
                leased[claim.point.key] = sweep.recipe(claim.point.params)
            except UserError:  # launched by another version
                leased[claim.point.key] = None
    return leased

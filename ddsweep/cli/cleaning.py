"""What ``clean`` says."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ddsweep import files
from ddsweep.cli.data import amount
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ddsweep.backends.optuna.backend import OptunaStore
    from ddsweep.housekeeping import Item, Kind, Survey, Uses, Work
    from ddsweep.recipe import Recipe

FREES = {"USED": "runs", "FREE": "runs", "OPEN": "runs", "ORPHAN": "temporaries", "PTM": "pool", "DATASET": "data",
         "ARCHIVE": "data", "COMPILED": "compiled", "LEFTOVER": "temporaries"}  # fmt: skip
MISSED = {
    "USED": "complete for their sweeps: results and plots lose them, and launching again does not compute them",
    "FREE": "no launched sweep has them; a sweep that does computes them again",
    "OPEN": "their sweeps go on from the checkpoints in them; without, these cells begin anew",
    "PTM": "a sweep that needs one trains or downloads it again",
    "DATASET": "decoded again from their archives, or folders of images, when a trial needs them",
    "ARCHIVE": "downloaded again when a dataset has to be decoded, those aside that need a login",
    "COMPILED": "compiled again when a trial needs them: 6 to 20 s a step",
}
MOST = 8  # names in a question


def show(found: Survey, items: Sequence[Item], cleaning: Cleaning) -> None:
    """The table, and what else there is to know."""
    from ddsweep.cli import display

    rows = list(_rows(items)) + [
        {"kind": f"other files in {root.name}", "count": "", "size": amount(size), "age": "", "frees": "–"}
        for root, size in found.other.items()
        if size
    ]
    out = display.stdout()
    out.print(f"runs   {cleaning.runs}\ncache  {cleaning.cache}\n", soft_wrap=True)
    if rows:
        display.table(rows, heads=("WHAT", "COUNT", "SIZE", "LAST WRITTEN", "FREED BY"))
    else:
        out.print("nothing is here yet")
    out.print()
    for line in _notes(found, items, cleaning):
        out.print(line, soft_wrap=True)
    out.print("nothing was removed; * asks first; --dry-run lists what would go")


def _rows(items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    for kind, some in _by_kind(items).items():
        word = f"ddsweep clean {FREES[kind.name]}{' *' if kind.asks else ''}"
        yield {
            "kind": kind.value, "count": len(some), "size": amount(sum(one.disk for one in some)),
            "age": _ages(some), "frees": word,
        }  # fmt: skip


def _notes(found: Survey, items: Sequence[Item], cleaning: Cleaning) -> Iterator[str]:
    if held := [one for one in items if one.held]:
        yield f"held now, and never removed: {counted_by_reason(held)}"
    for link in found.links:
        yield f"{link} is a link: not looked into, not followed"
    if cleaning.why:
        yield f"the launched sweeps are not known, so that nothing would be removed: {cleaning.why}"
    elif found.strangers:
        names = ", ".join(found.strangers[:3]) + (" …" if len(found.strangers) > 3 else "")
        yield f"{names}: launched with another storage; name it with --storage, and their runs are told apart"


def plan(free: Sequence[Item], held: Sequence[Item]) -> None:
    """What would go, a line each."""
    for one in free:
        typer.echo(f"would remove  {_line(one)}{'   (asks first)' if one.kind.asks else ''}")
    _tell_held([(one, one.held) for one in held])
    size = f"{amount(sum(one.disk for one in free))} would be freed" if free else "nothing would go"
    typer.echo(f"{size}; nothing was removed")


def tell(outcome: Outcome, held: Sequence[Item]) -> None:
    """What became of it."""
    for some in _by_kind(outcome.gone).values():
        typer.echo(f"removed  {counted(some)}")
    _tell_held([*((one, one.held) for one in held), *outcome.kept])
    for _, why in outcome.failed:
        typer.echo(f"failed   {why}", err=True)
    if not outcome.gone:
        typer.echo("nothing was removed")


def question(kind: Kind, items: Sequence[Item]) -> Iterator[str]:
    """What somebody should know before the answer."""
    yield f"{counted(items)}; {MISSED[kind.name]}"
    for one in items[:MOST]:
        yield f"  {_line(one)}"
    if len(items) > MOST:
        yield f"  and {len(items) - MOST} more (--dry-run lists all)"


def counted(items: Sequence[Item]) -> str:
    """``PTMs: 3, 12 MB``, of one kind."""
    return f"{items[0].kind.value}: {len(items)}, {amount(sum(one.disk for one in items))}"


def counted_by_reason(items: Sequence[Item]) -> str:
    """``2 (an agent runs it), 1 (…)``."""
    reasons = dict.fromkeys(one.held for one in items)
    return ", ".join(f"{sum(one.held == reason for one in items)} ({reason})" for reason in reasons)


def record(found: Survey, items: Sequence[Item]) -> dict[str, Any]:
    """All of it for scripts."""
    return {
        "items": [of(one) for one in items],
        "other_bytes": {str(root): size for root, size in found.other.items()},
        "links": [str(link) for link in found.links],
        "unknown_sweeps": found.strangers,
    }


def of(one: Item) -> dict[str, Any]:
    """One item for scripts."""
    return {
        "kind": one.kind.name.lower(), "path": str(one.path), "title": one.title, "bytes": one.disk,
        "age_seconds": max(0.0, time.time() - one.touched), "asks": one.kind.asks, "held": one.held,
    }  # fmt: skip


def _tell_held(kept: Sequence[tuple[Item, str]]) -> None:
    for one, why in kept:
        typer.echo(f"kept     {one.path}: {why}")


def _by_kind(items: Sequence[Item]) -> dict[Kind, list[Item]]:
    from ddsweep.housekeeping import Kind

    return {kind: some for kind in Kind if (some := [one for one in items if one.kind is kind])}


def _line(one: Item) -> str:
    return f"{one.path}   {amount(one.disk)}   {_age(one.touched)}   {one.title}"


def _ages(items: Sequence[Item]) -> str:
    youngest, oldest = _age(max(one.touched for one in items)), _age(min(one.touched for one in items))
    return youngest if youngest == oldest else f"{youngest.removesuffix(' ago')} – {oldest}"


def _age(touched: float) -> str:
    seconds = max(0.0, time.time() - touched)
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


@dataclass
class Outcome:
    """What became of the items: gone; kept, with the reason; not to be removed, with the system's reason."""

    gone: list[Item] = field(default_factory=list)
    kept: list[tuple[Item, str]] = field(default_factory=list)
    failed: list[tuple[Item, str]] = field(default_factory=list)

    def record(self, held: Sequence[Item]) -> dict[str, Any]:
        """For scripts; ``held`` were never tried."""

        kept = [*((one, one.held) for one in held), *self.kept]
        return {
            "freed_bytes": sum(one.disk for one in self.gone),
            "removed": [of(one) for one in self.gone],
            "kept": [of(one) | {"held": why} for one, why in kept],
            "failed": [of(one) | {"reason": why} for one, why in self.failed],
        }


class Cleaning:
    """One call of ``clean``.

    Attributes:
        why: why the storage cannot be asked; empty: it can, or there is none.
    """

    def __init__(self, runs: Path, storage: str | None) -> None:
        self.runs, self._storage = runs.absolute(), storage
        self.cache, self.why = files.cache_dir().absolute(), ""
        self._uses = self._asked()

    def survey(self) -> Survey:
        """What lies here."""
        from ddsweep import housekeeping

        return housekeeping.survey(self.runs, self.cache, self._uses, self._work())

    def insist(self) -> None:
        """Raise UserError if it cannot be known what agents have in their hands."""
        if self.why:
            raise UserError(f"clean: nothing is removed while agents cannot be asked; {self.why}")

    def remove(self, items: Sequence[Item]) -> Outcome:
        """Remove items, except what an agent has turned to since they were listed."""
        from ddsweep import housekeeping

        outcome, work = Outcome(), self._fresh()
        for item in items:
            root = self.runs if item.path.is_relative_to(self.runs) else self.cache
            try:
                why = work.holds(item) or housekeeping.remove(item, root, self._fresh)
            except UserError as error:
                outcome.failed.append((item, str(error)))
                continue
            if why:
                outcome.kept.append((item, why))
            else:
                outcome.gone.append(item)
        return outcome

    def _work(self) -> Work:
        from ddsweep import housekeeping

        return housekeeping.at_work(self.runs, self._uses)

    def _fresh(self) -> Work:
        """What agents have in their hands now; the leases too."""
        self._uses = self._asked()
        self.insist()
        return self._work()

    def _asked(self) -> Uses:
        """The launched sweeps that this folder remembers and those in the storage, and the leases that live."""
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
            self.why = str(error)
        return Uses({key: tuple(sorted(found)) for key, found in sweeps.items()}, frozenset(names), leased)


def _add(sweeps: dict[str, set[str]], name: str, store: Any) -> None:
    for point in store.load_definition(name).points:
        sweeps[point.key].add(name)


def _leased(store: OptunaStore) -> dict[str, Recipe | None]:
    """The cells of agents that were heard of lately, with their recipes."""
    from ddsweep.backends.optuna import claims
    from ddsweep.sweep import Sweep

    found: dict[str, Recipe | None] = {}
    for one in store.database.run(claims.running, "read"):
        if one.silent <= store.lease.grace:
            try:
                sweep = Sweep.from_definition(store.load_definition(one.sweep).definition)
                found[one.point.key] = sweep.recipe(one.point.params)
            except UserError:  # of another version
                found[one.point.key] = None
    return found

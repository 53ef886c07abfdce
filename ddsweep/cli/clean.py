"""``ddsweep clean``: what takes room in the runs folder and the cache, and freeing it."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli.options import RUNS, Json, Runs, Storage
from ddsweep.errors import UserError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ddsweep.housekeeping import Item, Kind

WORDS = {
    "runs": "USED FREE OPEN ORPHAN",
    "pool": "PTM",
    "data": "DATASET ARCHIVE",
    "compiled": "COMPILED",
    "temporaries": "LEFTOVER ORPHAN",
    "all": "LEFTOVER ORPHAN OPEN FREE USED PTM DATASET ARCHIVE COMPILED",
}
UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
Word = Annotated[
    str | None, typer.Argument(metavar="[runs|pool|data|compiled|temporaries|all]", help="What to free.",
                               autocompletion=lambda incomplete: [one for one in WORDS if one.startswith(incomplete)])
]  # fmt: skip
Older = Annotated[
    str, typer.Option("--older-than", metavar="AGE", help="Only what was last written so long ago: 12h, 30d, 4w.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with yes.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would go, and remove nothing.")]


def clean(
    what: Word = None,
    older_than: Older = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    runs: Runs = RUNS,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """What takes room, and what frees it. With a word: free that.

    Unfinished runs of no launched sweep and temporaries go without a question; finished runs, PTMs and datasets only
    after one. What an agent works on stays. Without a word nothing is removed.
    """
    from ddsweep.cli.cleaning import Cleaning, record, show, tell

    if what is not None and what not in WORDS:
        raise UserError(f"clean: nothing is called {what!r}; {closest(what, WORDS)}")
    oldest = time.time() - age(older_than) if older_than else None
    cleaning = Cleaning(runs, storage)
    found = cleaning.survey()
    items = [one for one in found.items if oldest is None or one.touched <= oldest]
    if what is None:
        if as_json:
            typer.echo(json.dumps(record(found, items), indent=2, ensure_ascii=False))
        else:
            show(found, items, cleaning)
        return
    cleaning.insist()
    kinds = chosen(what)
    wanted = [one for one in items if one.kind in kinds]
    free, held = [one for one in wanted if not one.held], [one for one in wanted if one.held]
    if dry_run:
        _plan(free, held, as_json)
        return
    agreed = _agreed(free, kinds, yes, as_json)
    outcome = cleaning.remove(agreed)
    if as_json:
        typer.echo(json.dumps(outcome.record(held), indent=2, ensure_ascii=False))
    else:
        tell(outcome, held)
    raise typer.Exit(1 if outcome.failed else 0)


def chosen(what: str) -> list[Kind]:
    """The kinds that a word stands for, in the order in which they are removed."""
    from ddsweep.housekeeping import Kind

    return [Kind[name] for name in WORDS[what].split()]


def age(text: str) -> float:
    """Seconds of ``30d``.

    Raises:
        UserError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text)
    if match is None:
        raise UserError(f"older-than: {text!r} is no age (allowed: hours, days, weeks: 12h, 30d, 4w)")
    return float(match[1]) * UNITS[match[2]]


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def _plan(free: Sequence[Item], held: Sequence[Item], as_json: bool) -> None:
    from ddsweep.cli import cleaning

    if as_json:
        records = [cleaning.of(one) for one in (*free, *held)]
        typer.echo(json.dumps({"would_remove": records}, indent=2, ensure_ascii=False))
    else:
        cleaning.plan(free, held)


def _agreed(free: Sequence[Item], kinds: Sequence[Kind], yes: bool, as_json: bool) -> list[Item]:
    """What may go: without a question, or because somebody says so, kind by kind.

    Raises:
        UserError: there is something to ask, and nobody to ask it; nothing was removed.
    """
    from ddsweep.cli import cleaning

    groups = {kind: [one for one in free if one.kind is kind] for kind in kinds}
    asking = [kind for kind in kinds if kind.asks and groups[kind]]
    if asking and not yes and (as_json or not can_ask()):
        what = "; ".join(cleaning.counted(groups[kind]) for kind in asking)
        raise UserError(f"clean: {what}: removed only after a question, and nobody can answer here; add --yes")
    agreed: list[Item] = []
    for kind in kinds:
        if not kind.asks or yes or (groups[kind] and _asked(kind, groups[kind])):
            agreed += groups[kind]
    return agreed


def _asked(kind: Kind, items: Sequence[Item]) -> bool:
    from ddsweep.cli import cleaning

    for line in cleaning.question(kind, items):
        typer.echo(line)
    return typer.confirm("remove?", default=False)

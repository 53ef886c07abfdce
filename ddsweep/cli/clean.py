"""``ddsweep clean``: show the disk usage of the runs folder and the cache, and delete what you choose."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Json, Runs, Storage
from ddsweep.errors import UserError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ddsweep.housekeeping import Item, Kind

TARGETS = {
    "runs": "USED FREE OPEN REPLACED ORPHAN",
    "pool": "PTM TRAINED",
    "shared": "SHARED",
    "data": "DATASET ARCHIVE",
    "compiled": "COMPILED",
    "checked": "CHECKED",
    "temporaries": "LEFTOVER ORPHAN",
    "all": "LEFTOVER ORPHAN OPEN REPLACED FREE USED PTM TRAINED SHARED DATASET ARCHIVE COMPILED CHECKED",
}
UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def complete_target(incomplete: str) -> list[str]:
    """Complete what to delete."""
    return [target for target in TARGETS if target.startswith(incomplete)]


Target = Annotated[
    str | None,
    typer.Argument(
        metavar="[runs|pool|shared|data|compiled|checked|temporaries|all]",
        help="What to delete (default: nothing).",
        autocompletion=complete_target,
    ),
]
Older = Annotated[
    str,
    typer.Option(
        "--older-than", metavar="AGE", help="Only include what was last written at least this long ago: 12h, 30d, 4w."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking for confirmation.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="List what would be deleted, and delete nothing.")]


def clean(
    what: Target = None,
    older_than: Older = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    runs: Runs = RUNS,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Show disk usage, or delete cached files and runs.

    Temporary files and unfinished runs that belong to no launched sweep are deleted without confirmation. Everything
    else (other runs, PTMs, shared results, datasets, compiled code) is deleted only after you confirm. What an agent is
    using is never deleted.
    """
    from ddsweep.cli import cleaning

    if what is not None and what not in TARGETS:
        raise UserError(f"clean: unknown target {what!r}; {closest(what, TARGETS)}")
    oldest = time.time() - age(older_than) if older_than else None
    job = cleaning.Cleaning(runs, storage)
    survey = job.survey()
    items = [item for item in survey.items if oldest is None or item.touched <= oldest]
    if what is None:
        if as_json:
            _print_json(cleaning.record(survey, items))
        else:
            cleaning.show(survey, items, job)
        return
    job.require_storage()
    kinds = kinds_of(what)
    wanted = [item for item in items if item.kind in kinds]
    free, in_use = [item for item in wanted if not item.held], [item for item in wanted if item.held]
    if dry_run:
        _plan(free, in_use, as_json)
        return
    outcome = job.remove(_confirmed(free, kinds, yes, as_json))
    if as_json:
        _print_json(outcome.record(in_use))
    else:
        cleaning.print_outcome(outcome, in_use)
    raise typer.Exit(1 if outcome.failed else 0)


def kinds_of(what: str) -> list[Kind]:
    """The kinds of items that a target includes, in the order in which they are deleted."""
    from ddsweep.housekeeping import Kind

    return [Kind[name] for name in TARGETS[what].split()]


def age(text: str) -> float:
    """Parse an age such as ``30d`` into seconds.

    Raises:
        UserError: the text is not an age.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text)
    if match is None:
        raise UserError(f"older-than: invalid age {text!r}; give hours, days or weeks, such as 12h, 30d or 4w")
    return float(match[1]) * UNITS[match[2]]


def can_ask() -> bool:
    """Whether standard input is a terminal, so that a user can answer."""
    return sys.stdin.isatty()


def _print_json(record: dict[str, Any]) -> None:
    console.write_json(record)


def _plan(free: Sequence[Item], in_use: Sequence[Item], as_json: bool) -> None:
    from ddsweep.cli import cleaning

    if as_json:
        _print_json({"would_remove": [cleaning.item_record(item) for item in (*free, *in_use)]})
    else:
        cleaning.print_plan(free, in_use)


def _confirmed(free: Sequence[Item], kinds: Sequence[Kind], yes: bool, as_json: bool) -> list[Item]:
    """The items to delete: those that need no confirmation, and those of each kind that the user confirms.

    Raises:
        UserError: confirmation is needed and cannot be asked for; nothing was deleted.
    """
    from ddsweep.cli import cleaning

    groups = {kind: [item for item in free if item.kind is kind] for kind in kinds}
    asking = [kind for kind in kinds if kind.asks and groups[kind]]
    if asking and not yes and (as_json or not can_ask()):
        what = "; ".join(cleaning.summary(groups[kind]) for kind in asking)
        raise UserError(f"clean: {what}: deleting needs confirmation; run it in a terminal, or add --yes")
    confirmed: list[Item] = []
    for kind in kinds:
        if not kind.asks or yes or (groups[kind] and _confirm(kind, groups[kind])):
            confirmed += groups[kind]
    return confirmed


def _confirm(kind: Kind, items: Sequence[Item]) -> bool:
    from ddsweep.cli import cleaning

    for line in cleaning.question(kind, items):
        console.echo(line)
    return typer.confirm("delete them?", default=False)

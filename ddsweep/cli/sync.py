"""``ddsweep sync``: upload W&B runs that were recorded offline."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Profile, Runs, complete_sweep
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ddsweep.trackers.wandb_offline import Piece

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME[@PROFILE]]",
        help="Upload only the runs of this sweep (default: all).",
        autocompletion=complete_sweep,
    ),
]


def sync(name: Name = None, profile: Profile = None, runs: Runs = RUNS) -> None:
    """Upload W&B runs that were recorded offline or interrupted. Safe to repeat.

    The project is the one that the runs were recorded for; the account is that of `wandb login`.
    """
    from filelock import FileLock, Timeout

    from ddsweep.trackers import wandb_offline

    sweep = f"{name}@{profile}" if name and profile and "@" not in name else name or ""
    if not wandb_offline.unsynced(runs, sweep):
        console.echo("nothing to sync")
        return
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(FileLock(wandb_offline.folder(runs) / "sync.lock", timeout=0))
        except Timeout:
            raise UserError(f"another `ddsweep sync` is running in {runs}") from None
        done = Uploads()
        for pieces in _by_run(wandb_offline.unsynced(runs, sweep)):
            done.upload(pieces)
    raise typer.Exit(1 if done.failed else 0)


def _by_run(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """The pieces of each run together; runs and pieces in the order in which they were started."""
    runs: dict[str, list[Piece]] = {}
    for piece in pieces:
        runs.setdefault(piece.id, []).append(piece)
    yield from runs.values()


@dataclass
class Uploads:
    """Uploads runs and prints a line for each.

    Attributes:
        failed: how many could not be uploaded.
        unreachable: why no further run can be uploaded either; empty as long as the service responds.
    """

    failed: int = 0
    unreachable: str = ""

    def upload(self, pieces: list[Piece]) -> None:
        """Upload one run, unless a process is still writing it."""
        title = pieces[-1].note.title
        with contextlib.ExitStack() as stack:
            if all(stack.enter_context(piece.lock_if_idle()) for piece in pieces):
                self._upload(title, pieces)
            else:
                console.echo(f"running  {title}: still being written")

    def _upload(self, title: str, pieces: list[Piece]) -> None:
        from ddsweep.trackers import wandb_offline

        try:
            if self.unreachable:
                raise UserError(self.unreachable)
            console.echo(f"synced   {title}   {wandb_offline.upload(pieces)}".rstrip())
        except UserError as error:
            if isinstance(error, wandb_offline.Unreachable):
                self.unreachable = str(error)
            self.failed += 1
            console.note(f"failed   {title}: {error}")

"""What W&B's client has written into the runs folder: a folder per run, or per piece of a run that was interrupted.

The client keeps all that it is told in ``runs/wandb/[offline-]run-TIME-ID`` and a mark beside it once that is uploaded.
A note of ours in the folder says which cell it is, and how far it was told.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.trackers import wandb_service

if TYPE_CHECKING:
    from filelock import BaseFileLock

NOTE, LOCK = "ddsweep.json", "ddsweep.lock"
LIMIT = 1800.0  # seconds for one run: `wandb sync` asks a service that went away again for hours
ADDRESS = re.compile(r"https?://\S+/runs/\S+")
COMPLAINT = re.compile(r"^(?:Error:|wandb: (?:ERROR|WARNING)) (?!Find detailed)(.*)", re.MULTILINE)


@dataclass(frozen=True)
class Note:
    """Which cell a piece is of.

    Attributes:
        sweep: ``NAME@PROFILE``.
        title: the cell in a few words.
        key: its recipe's key.
        began: when, seconds since the epoch.
        step: the last distillation step that was told; -1: none.
    """

    sweep: str
    title: str
    key: str
    began: float = 0.0
    step: int = -1


@dataclass(frozen=True)
class Piece:
    """One folder of W&B's client."""

    folder: Path

    @property
    def id(self) -> str:
        """The run's id on W&B; the pieces of one run share it. (The folder's name may have a number after it.)"""
        return next(path.stem.removeprefix("run-") for path in self.folder.glob("run-*.wandb"))

    @property
    def began(self) -> str:
        """When it was begun, in a form that sorts; whole seconds."""
        return self.folder.name.partition("run-")[2].partition("-")[0]

    @property
    def offline(self) -> bool:
        """Whether it was begun without the service."""
        return self.folder.name.startswith("offline-")

    @property
    def synced(self) -> bool:
        """Whether the service has all of it. The mark is the client's own, which ``wandb clean`` heeds."""
        return self._mark.exists()

    @property
    def _mark(self) -> Path:
        return self.folder / f"run-{self.id}.wandb.synced"

    def mark_synced(self) -> None:
        """The service has it."""
        self._mark.touch()

    @property
    def note(self) -> Note:
        """What it is; its id where nobody noted it."""
        try:
            return Note(**files.read_json(self.folder / NOTE))
        except (UserError, TypeError):
            return Note("", self.id, "")

    def write(self, note: Note) -> None:
        """Note which cell it is and how far it was told. Not forced to the disk: it is written a hundred times."""
        (self.folder / NOTE).write_text(json.dumps(asdict(note), ensure_ascii=False), encoding="utf-8")

    def hold(self) -> BaseFileLock:
        """Take the lock of whoever writes it. Raises filelock.Timeout when somebody has it."""
        from filelock import FileLock

        held = FileLock(self.folder / LOCK)
        held.acquire(timeout=0)
        return held

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[bool]:
        """Whether nobody writes it; and inside the block nobody begins to."""
        from filelock import Timeout

        try:
            held = self.hold()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            held.release()


def folder(runs: Path) -> Path:
    """Where the client's folders are."""
    return runs / "wandb"


def all_of(runs: Path, run: str = "") -> list[Piece]:
    """The pieces in a runs folder, of one run or of all, in the order in which they were begun.

    A folder without a note belongs to a run that could not be opened: nothing was told in it.
    """
    found = [
        Piece(path)
        for pattern in ("run-*", "offline-run-*")
        for path in folder(runs).glob(pattern)
        if path.is_dir() and not path.is_symlink()
    ]
    begun = [piece for piece in found if (piece.folder / NOTE).is_file() and any(piece.folder.glob("run-*.wandb"))]
    chosen = [piece for piece in begun if not run or piece.id == run]
    return sorted(chosen, key=lambda piece: (piece.began, piece.note.began, piece.folder.name))


def waiting(runs: Path, sweep: str = "") -> list[Piece]:
    """Those that the service does not have, of ``NAME@PROFILE`` or of every profile of ``NAME``."""
    pieces = [piece for piece in all_of(runs) if not piece.synced]
    return [piece for piece in pieces if not sweep or sweep in (piece.note.sweep, piece.note.sweep.partition("@")[0])]


class Away(UserError):
    """The service does not answer: no other run can be uploaded either."""


def upload(pieces: Sequence[Piece]) -> str:
    """Upload the pieces of one run, in their order.

    Returns:
        The run's address, as far as the client printed it.

    Raises:
        Away: the service does not answer.
        UserError: the key is missing or refused, or the client complained. What was not uploaded stays, and can be
            tried again.
    """
    url = wandb_service.base_url()
    if not wandb_service.is_healthy(url):
        raise Away(f"{url} does not answer")
    address = ""
    for piece in pieces:
        said = _sync(piece)
        found = ADDRESS.search(said)
        address = found[0] if found else address
    return address


def _sync(piece: Piece) -> str:
    """What ``wandb sync`` printed. Its exit status is 0 whether or not it uploaded anything: the mark counts."""
    switches = {"WANDB_MODE", "WANDB_SILENT", "WANDB_QUIET", "WANDB_RUN_ID", "WANDB_SWEEP_ID"}
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", str(piece.folder.absolute())]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"not uploaded within {LIMIT / 60:g} minutes") from None
    said = done.stdout + done.stderr
    if not piece.synced:
        raise UserError(_complaint(said))
    return said


def _complaint(said: str) -> str:
    """What the client complained of, without the key."""
    complaints = COMPLAINT.findall(said) or [line for line in said.splitlines() if line.strip()] or ["no reason given"]
    return wandb_service.without_key(str(complaints[-1]).removeprefix("wandb: "))

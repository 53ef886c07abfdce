"""W&B runs on disk, and their upload (``ddsweep sync``).

W&B's client writes everything that it logs to ``runs/wandb/[offline-]run-TIME-ID``, and adds a marker file once this is
uploaded. An interrupted run has several such folders, its *pieces*. ddsweep adds a note to each: which cell it belongs
to, and the last step that was logged.
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
LIMIT = 1800.0  # seconds for one piece: `wandb sync` retries for hours if the service becomes unreachable
ADDRESS = re.compile(r"https?://\S+/runs/\S+")
ERROR = re.compile(r"^(?:Error:|wandb: (?:ERROR|WARNING)) (?!Find detailed)(.*)", re.MULTILINE)


@dataclass(frozen=True)
class Note:
    """Which cell a piece belongs to.

    Attributes:
        sweep: ``NAME@PROFILE``.
        title: title of the cell.
        key: key of its recipe.
        began: when the piece was started, seconds since the epoch.
        step: the last distillation step that was logged; -1: none.
    """

    sweep: str
    title: str
    key: str
    began: float = 0.0
    step: int = -1


@dataclass(frozen=True)
class Piece:
    """A folder in which W&B's client wrote a run, or a part of one."""

    folder: Path

    @property
    def id(self) -> str:
        """The id of the run on W&B, which its pieces share. (The folder's name may add a number.)"""
        return next(path.stem.removeprefix("run-") for path in self.folder.glob("run-*.wandb"))

    @property
    def began(self) -> str:
        """When it was started, as text that sorts; the resolution is 1 s."""
        return self.folder.name.partition("run-")[2].partition("-")[0]

    @property
    def offline(self) -> bool:
        """Whether it was recorded offline."""
        return self.folder.name.startswith("offline-")

    @property
    def synced(self) -> bool:
        """Whether it is completely uploaded. The marker file is the client's own, which ``wandb sync --clean`` uses."""
        return self._marker.exists()

    @property
    def _marker(self) -> Path:
        return self.folder / f"run-{self.id}.wandb.synced"

    def mark_synced(self) -> None:
        """Create the marker file: the piece is uploaded."""
        self._marker.touch()

    @property
    def note(self) -> Note:
        """Its note; without a note, one with the run's id as title."""
        try:
            return Note(**files.read_json(self.folder / NOTE))
        except (UserError, TypeError):
            return Note("", self.id, "")

    def write(self, note: Note) -> None:
        """Write the note. It is not synced to disk, because a run writes it hundreds of times."""
        (self.folder / NOTE).write_text(json.dumps(asdict(note), ensure_ascii=False), encoding="utf-8")

    def lock(self) -> BaseFileLock:
        """Take the lock of its writer. Raises filelock.Timeout if another process holds it."""
        from filelock import FileLock

        lock = FileLock(self.folder / LOCK)
        lock.acquire(timeout=0)
        return lock

    @contextlib.contextmanager
    def lock_if_idle(self) -> Iterator[bool]:
        """Lock the piece for the block if no process is writing it; the value is whether that worked."""
        from filelock import Timeout

        try:
            lock = self.lock()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def folder(runs: Path) -> Path:
    """The folder in which the client writes runs."""
    return runs / "wandb"


def all_of(runs: Path, run: str = "") -> list[Piece]:
    """The pieces of one run, or of all runs, in the order in which they were started.

    A folder without a note belongs to a run that could not be opened; nothing was logged in it.
    """
    pieces = [
        Piece(path)
        for pattern in ("run-*", "offline-run-*")
        for path in folder(runs).glob(pattern)
        if path.is_dir() and not path.is_symlink()
    ]
    opened = [piece for piece in pieces if (piece.folder / NOTE).is_file() and any(piece.folder.glob("run-*.wandb"))]
    chosen = [piece for piece in opened if not run or piece.id == run]
    return sorted(chosen, key=lambda piece: (piece.began, piece.note.began, piece.folder.name))


def unsynced(runs: Path, sweep: str = "") -> list[Piece]:
    """The pieces that are not uploaded yet: of all sweeps, of ``NAME@PROFILE``, or of every profile of ``NAME``."""
    pieces = [piece for piece in all_of(runs) if not piece.synced]
    return [piece for piece in pieces if not sweep or sweep in (piece.note.sweep, piece.note.sweep.partition("@")[0])]


class Unreachable(UserError):
    """The service does not respond, so that no other run can be uploaded either."""


def upload(pieces: Sequence[Piece]) -> str:
    """Upload the pieces of one run, in their order.

    Returns:
        The run's address; empty if the client did not print it.

    Raises:
        Unreachable: the service does not respond.
        UserError: the API key is missing or rejected, or the client reported another error. Pieces that were not
            uploaded are kept, so that the upload can be repeated.
    """
    url = wandb_service.base_url()
    if not wandb_service.is_healthy(url):
        raise Unreachable(f"{url} does not answer")
    address = ""
    for piece in pieces:
        match = ADDRESS.search(_sync(piece))
        address = match[0] if match else address
    return address


def _sync(piece: Piece) -> str:
    """Run ``wandb sync`` and return its output. Its exit status is always 0, so that the marker file decides."""
    switches = {"WANDB_MODE", "WANDB_SILENT", "WANDB_QUIET", "WANDB_RUN_ID", "WANDB_SWEEP_ID"}
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", str(piece.folder.absolute())]
    try:
        process = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"not uploaded within {LIMIT / 60:g} minutes") from None
    output = process.stdout + process.stderr
    if not piece.synced:
        raise UserError(_last_error(output))
    return output


def _last_error(output: str) -> str:
    """The last error that the client printed, without the API key."""
    errors = ERROR.findall(output) or [line for line in output.splitlines() if line.strip()] or ["no reason given"]
    return wandb_service.without_key(str(errors[-1]).removeprefix("wandb: "))

"""Consecutive failures on one device: they distinguish a bad GPU, or a host without the data, from a bad cell."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from ddsweep import files
from ddsweep.errors import UserError

MAX_FAILURES = 3  # different cells that fail one after the other before an agent's device counts as bad


@dataclass
class ConsecutiveFailures:
    """The cells that failed on a device since the last one that ended there, with their reasons.

    Several attempts at one cell count once: a cell that cannot run says nothing about the device. A cell whose loss
    diverged has ended like any other.

    Attributes:
        path: a file by which the failures outlive the agent's process, for its launcher and its successor.
        failed: cell → why it failed last.
        ended: how many cells have ended here.
        claimed: how many cells were claimed here.
        saved: how many checkpoints were saved here.
    """

    path: Path | None = None
    failed: dict[str, str] = field(default_factory=dict)
    ended: int = 0
    claimed: int = 0
    saved: int = 0

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """What an earlier process has recorded; no failures if there was none."""
        try:
            return cls(path, **files.read_json(path)) if path else cls()
        except (UserError, TypeError):
            return cls(path)

    @property
    def limit_reached(self) -> bool:
        """Whether the device counts as bad."""
        return len(self.failed) >= MAX_FAILURES

    def claim(self) -> None:
        """Record that a cell was claimed here: whatever ends the agent from now on, it had started."""
        self.claimed += 1
        self._write()

    def save(self) -> None:
        """Record that a checkpoint was saved here."""
        self.saved += 1
        self._write()

    def reset(self) -> None:
        """Record that a cell ended here."""
        self.failed, self.ended = {}, self.ended + 1
        self._write()

    def add(self, cell: str, reason: str) -> None:
        """Record that an attempt at a cell failed here."""
        self.failed[cell] = reason
        self._write()

    def discard(self, cell: str) -> None:
        """Do not count a cell: its attempt was interrupted for a reason unrelated to the device."""
        if self.failed.pop(cell, None) is not None:
            self._write()

    def _write(self) -> None:
        if self.path is not None:
            values = asdict(self)
            del values["path"]
            with contextlib.suppress(UserError):  # a full disk: the launcher then counts dead processes only
                files.write_json(self.path, values)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, is the GPU running out of memory."""
    import torch

    while error is not None:
        if isinstance(error, torch.cuda.OutOfMemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_device_error(error: BaseException) -> bool:
    """Whether an error is from CUDA or exhausted GPU memory: its process must not be used any further."""
    return out_of_memory(error) or "CUDA error" in str(error)

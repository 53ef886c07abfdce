"""Failures in a row on one slot: what tells a bad GPU, or a host without the data, from a bad cell."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from ddsweep import files
from ddsweep.errors import UserError

MOST = 3  # different cells that fail in a row before the slot is closed


@dataclass
class Streak:
    """The cells that failed since the last one that ended here, with their reasons.

    Attempts of one and the same cell count once: a cell that cannot be run says nothing about the slot. A cell that
    diverged is an end like any other.

    Attributes:
        path: a file that lets the streak outlive the agent's process, for its launcher and its successor.
        failed: cell → why it failed last.
        ended: how many cells ended here.
    """

    path: Path | None = None
    failed: dict[str, str] = field(default_factory=dict)
    ended: int = 0

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """What a process before this one left; nothing if there was none."""
        try:
            return cls(path, **files.read_json(path)) if path else cls()
        except (UserError, TypeError):
            return cls(path)

    @property
    def bad(self) -> bool:
        """Whether the slot has to be closed."""
        return len(self.failed) >= MOST

    def end(self) -> None:
        """A cell ended here."""
        self.failed, self.ended = {}, self.ended + 1
        self._write()

    def fail(self, cell: str, reason: str) -> None:
        """An attempt at a cell failed here."""
        self.failed[cell] = reason
        self._write()

    def forget(self, cell: str) -> None:
        """An attempt at a cell was broken off, for no fault of the slot's."""
        if self.failed.pop(cell, None) is not None:
            self._write()

    def _write(self) -> None:
        if self.path is not None:
            values = asdict(self)
            del values["path"]
            with contextlib.suppress(UserError):  # a full disk: the launcher then counts deaths only
                files.write_json(self.path, values)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether the device's memory was too small for what was on it, behind whatever error."""
    import torch

    while error is not None:
        if isinstance(error, torch.cuda.OutOfMemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_device_error(error: BaseException) -> bool:
    """CUDA errors and exhausted device memory: their process may not be used again."""
    return out_of_memory(error) or "CUDA error" in str(error)

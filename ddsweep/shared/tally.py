"""How many shared tensors a trial has read and computed, over all its attempts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import checked_files
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.shared.sharing import Sharing

Counts = dict[str, dict[str, int]]


class Tally:
    """The counts of a trial, including those before an interruption, as far as they were saved with a checkpoint.

    Args:
        path: the file that keeps them until the trial has finished.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._before = path, _read(path)
        self._of: list[Sharing] = []

    def add(self, shared: Sharing) -> Sharing:
        """Count what ``shared`` reads and computes, and return it."""
        self._of.append(shared)
        return shared

    @property
    def counts(self) -> Counts:
        """Tensors that were ``read`` and ``computed``, by kind."""
        total: Counts = {}
        for counts in (self._before, *(one.counts() for one in self._of)):
            for kind, found in counts.items():
                sums = total.setdefault(kind, {"read": 0, "computed": 0})
                for name in sums:
                    sums[name] += found[name]
        return total

    def write(self) -> None:
        """Save the counts so far, together with a checkpoint."""
        checked_files.write_json(self._path, self.counts)


def _read(path: Path) -> Counts:
    try:
        found = checked_files.read_json(path)
        return {kind: {name: int(one[name]) for name in ("read", "computed")} for kind, one in found.items()}
    except (UserError, TypeError, ValueError, KeyError):  # no file yet, or a damaged one
        return {}

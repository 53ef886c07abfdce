"""Inside the agents of a test: power cuts, checkpoints twice a second, and a diary.

Python imports this before ``ddsweep agent`` begins, because its folder is in PYTHONPATH. ``$DDSWEEP_HAVOC`` is a
folder with the diary, and with a file ``cut`` while the power is about to fail: it holds a pattern, and the first agent
that has written a file and would now give it such a name loses half of it and dies. While there is a file ``striking``
a cell takes its time, however fast the machine is: otherwise the sweep is over before all blows have been struck.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

HERE = os.environ.get("DDSWEEP_HAVOC", "")
EVERY = 0.5  # seconds between two checkpoints, so that seconds of work have some
PACE = 0.03  # seconds between two boundaries while blows are struck: a cell has about 500 of them


def note(*words: object) -> None:
    with Path(HERE, "diary").open("a", encoding="utf-8") as diary:
        diary.write(" ".join(map(str, (os.getpid(), *words))) + "\n")


def fail_before_renaming() -> None:
    order, rename = Path(HERE, "cut"), Path.replace

    def replace(self: Path, target: Any) -> Path:
        with contextlib.suppress(FileNotFoundError):  # nothing is to fail, or it failed for another agent
            if ".tmp" in self.name and fnmatch(Path(target).name, order.read_text(encoding="utf-8")):
                order.unlink()
                note("torn", target)
                os.truncate(self, self.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    Path.replace = replace  # type: ignore[assignment, method-assign]


def save_often() -> None:
    from ddsweep.checkpoints.slot import Checkpoints, FileSlot

    _, *others = Checkpoints.__init__.__defaults__ or ()
    Checkpoints.__init__.__defaults__ = (EVERY, *others)
    resume = FileSlot.resume

    def resumed(self: FileSlot, restore: Callable[..., Any]) -> Any:
        found = resume(self, restore)
        note("began" if found is None else "resumed", self.path)
        return found

    FileSlot.resume = resumed  # type: ignore[method-assign]


def take_time() -> None:
    from ddsweep.checkpoints.slot import FileSlot

    offer = FileSlot.offer

    def offered(self: FileSlot, state: Callable[[], Any]) -> None:
        if Path(HERE, "striking").exists():
            time.sleep(PACE)
        offer(self, state)

    FileSlot.offer = offered  # type: ignore[method-assign]


def note_full_disks() -> None:
    from ddsweep import files

    is_full = files.is_full

    def noted(error: BaseException | None) -> bool:
        full = is_full(error)
        if full:
            note("full")
        return full

    files.is_full = noted


if HERE and "agent" in sys.orig_argv:
    fail_before_renaming()
    save_often()
    take_time()
    note_full_disks()

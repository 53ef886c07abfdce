"""Handle Ctrl-C in a command that computes in its own process."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

import typer

from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.cli import console

STATUS = 128 + signal.SIGINT  # as in a shell


@contextlib.contextmanager
def saving() -> Iterator[Checkpoints]:
    """Yield checkpoints that the first Ctrl-C saves at the end of the step; the second ends the process at once.

    Raises:
        typer.Exit: the checkpoint was saved.
    """
    interrupted = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        console.note("saving at the end of this step; press Ctrl-C again to quit without saving")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield Checkpoints(leave=lambda: interrupted)
    except Interrupted:
        console.note("saved; run the same command to resume")
        raise typer.Exit(STATUS) from None
    finally:
        signal.signal(signal.SIGINT, before)

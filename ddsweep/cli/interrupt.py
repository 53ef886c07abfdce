"""Ctrl-C in a command that computes in its own process."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

import typer

from ddsweep.checkpoints import Checkpoints, Interrupted

STATUS = 128 + signal.SIGINT  # as a shell has it


@contextlib.contextmanager
def saving() -> Iterator[Checkpoints]:
    """Inside, the first Ctrl-C saves at the next boundary of whoever has these checkpoints; the second ends at once.

    Raises:
        typer.Exit: it was saved.
    """
    asked = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        typer.echo("saving at the end of this step; Ctrl-C again ends without", err=True)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield Checkpoints(leave=lambda: asked)
    except Interrupted:
        typer.echo("saved; the same command goes on from here", err=True)
        raise typer.Exit(STATUS) from None
    finally:
        signal.signal(signal.SIGINT, before)

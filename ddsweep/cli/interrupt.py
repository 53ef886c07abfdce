"""Ctrl-C and SIGTERM: a command saves what it can, says how to go on, and ends with the status 130 or 143.

These are 128 + the number of the signal, as in a shell.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import typer

from ddsweep import again
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.cli import console
from ddsweep.processes import Terminated


def status(error: KeyboardInterrupt) -> int:
    """The exit status of a command that an exception has ended."""
    return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Within the block, the first SIGTERM raises Terminated. Later ones must not cut off what it has started."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        raise Terminated

    if threading.current_thread() is not threading.main_thread() or _handled():
        yield
        return
    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _handled() -> bool:
    """Whether SIGTERM is handled or ignored already, for instance by the program that has started this command."""
    return signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL


@contextlib.contextmanager
def saving() -> Iterator[Checkpoints]:
    """Yield checkpoints that the first Ctrl-C or SIGTERM saves at the end of the step.

    A second Ctrl-C ends the process at once; a second SIGTERM does not, because schedulers may send several.

    Raises:
        typer.Exit: the checkpoint was saved.
    """
    received = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal received
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not received:
            hint = "; press Ctrl-C again to quit without saving" if number == signal.SIGINT else ""
            console.note(f"saving at the end of this step{hint}")
        received = received or number

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield Checkpoints(leave=lambda: bool(received))
    except Interrupted:
        console.note(f"saved; {again.to_resume()}")
        raise typer.Exit(128 + (received or signal.SIGINT)) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""The progress of reading datasets: downloads in bytes, decoding in images; bars on a terminal, else plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ddsweep import text
from ddsweep.cli import console
from ddsweep.cli.progress import PLAIN

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ddsweep.cli.screen import Console

Show = Callable[[str, int, int | None, str], None]
"""Receives what is read, how much of it is done, the total, and both in words."""


@contextmanager
def shown() -> Iterator[None]:
    """Show the progress of downloads and of decoding on stderr: a bar each, or a line every ten seconds."""
    from ddsweep.data.progress import Listener, reported_to

    out = console.stderr()
    with _bars(out) if out.is_terminal else _lines(out) as show:

        def downloaded(name: str, done: int, total: int | None) -> None:
            known = f" of {text.data_size(total)}" if total else ""
            show(f"downloading {name}", done, total, f"{text.data_size(done)}{known}")

        def decoded(name: str, done: int, total: int | None) -> None:
            known = f" of {total:,}" if total else ""
            show(f"decoding {name}", done, total, f"{done:,}{known} images")

        with reported_to(Listener(downloaded, decoded)):
            yield


@contextmanager
def _bars(out: Console) -> Iterator[Show]:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    from ddsweep.cli import screen

    amount = TextColumn("{task.fields[amount]}", markup=False)
    with screen.bars(out, BarColumn(), amount, TimeRemainingColumn()) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int | None, words: str) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total, amount=words)
            bars.update(tasks[name], completed=done, total=total, amount=words)

        yield show


@contextmanager
def _lines(out: Console) -> Iterator[Show]:
    last = time.monotonic()

    def show(name: str, done: int, total: int | None, words: str) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN:
            last = time.monotonic()
            out.say(f"{name}: {words}")

    yield show

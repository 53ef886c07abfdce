"""What commands write to standard output and error: lines, data, and log messages.

Everything that a command prints goes through here or through the console of ``screen``, because most of it contains
names and reasons from users' files: control characters in them are shown instead of sent to the terminal.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from ddsweep import characters

if TYPE_CHECKING:
    from ddsweep.cli.screen import Console

WIDTH_WITHOUT_TERMINAL = 100
LOG_FORMAT = "%(asctime)s %(name)s %(message)s"
LOG_DATES = "%Y-%m-%d %H:%M:%S UTC"


_output: TextIO | None = None  # standard output, while ``sys.stdout`` is what code of plugins prints to


@contextmanager
def only_ours() -> Iterator[None]:
    """Keep what the code of plugins prints out of the output of a command, which a program may read (CSV, JSON).

    It goes to standard error. On a terminal, where nothing is read by a program, it stays where it is.
    """
    global _output
    if sys.stdout.isatty():
        yield
        return
    before, _output = _output, sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _output = before


def stdout() -> Console:
    """The console for data: plain and 100 columns wide if there is no terminal."""
    from ddsweep.cli.screen import Console

    console = Console(file=_output)
    return console if console.is_terminal else Console(file=_output, width=WIDTH_WITHOUT_TERMINAL)


def stderr() -> Console:
    """The console for progress and remarks."""
    from ddsweep.cli.screen import Console

    return Console(stderr=True)


def echo(text: str) -> None:
    """Print a text of one or several lines on standard output."""
    print(characters.printable(text), file=_output)


def note(text: str) -> None:
    """Print a remark of one or several lines on standard error."""
    print(characters.printable(text), file=sys.stderr)  # noqa: T201


def write(text: str) -> None:
    """Print a text in a format of its own (CSV, LaTeX, YAML) on standard output, unchanged."""
    print(text, file=_output)


def write_json(value: Any, indent: int | None = 2) -> None:
    r"""Print JSON on standard output, with letters as they are where the encoding has them, otherwise as ``\u4e2d``."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    try:
        text.encode((_output or sys.stdout).encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent, default=str)
    print(text, file=_output)


def as_help(text: str) -> str:
    """A text as help of a completion, which Typer reads as markup."""
    from rich.markup import escape

    return escape(characters.one_line(text))


def prepare() -> None:
    """Let this process write to a terminal of any encoding, and warnings without control characters."""
    characters.tolerate_encodings()
    if logging.lastResort is not None:  # prints warnings where nothing else is set up
        logging.lastResort.setFormatter(_Formatter("%(message)s"))


def log_to_stderr() -> None:
    """Send log messages to standard error, with the time, without control characters."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(LOG_FORMAT, LOG_DATES))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Formatter(logging.Formatter):
    """A formatter whose messages and tracebacks cannot control the terminal on which somebody reads the log.

    Times are in UTC, as everywhere: the logs of agents on several hosts are compared.
    """

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return characters.printable(super().format(record))

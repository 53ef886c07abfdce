"""Make a command from a function: its help is the docstring, and nothing but its own output is on standard output."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from ddsweep.cli import console


def register(
    group: typer.Typer, function: Callable[..., None], name: str, panel: str | None = None, hidden: bool = False
) -> None:
    """Add a command whose help is the function's docstring, with paragraphs that wrap at the terminal's width.

    Typer keeps the line breaks of the source in every paragraph but the first.
    """
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        with console.only_ours():
            function(*args, **kwargs)

    group.command(name, help=text, rich_help_panel=panel, hidden=hidden)(command)

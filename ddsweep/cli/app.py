"""The Typer application, the registration of commands, and the place where errors become exit codes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ddsweep import again
from ddsweep.cli import console, interrupt
from ddsweep.errors import UserError


class Commands(TyperGroup):
    """A command group in which no error that the user can fix, and no signal, ends in a traceback.

    A UserError is one line on stderr and exit status 2. Ctrl-C and SIGTERM are one line too, unless the command handles
    them itself (``interrupt``).
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what was typed, for messages that say how to go on."""
        again.remember(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with interrupt.terminable():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            console.note(f"stopped; run it again with:  {again.command()}")
            raise typer.Exit(interrupt.status(error)) from None
        except UserError as error:
            console.note(f"error: {error}")
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


def _version(show: bool) -> None:
    if show:
        from ddsweep import __version__

        console.echo(f"ddsweep {__version__}")
        raise typer.Exit


@app.callback()
def ddsweep(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run and track sweeps of dataset distillation guided by pre-trained models (CLoM, CCLoM).

    Start with: [bold]ddsweep launch ablation-alpha --profile demo[/bold]
    """

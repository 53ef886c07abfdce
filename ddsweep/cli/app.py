"""The Typer application, and the place where errors become exit codes."""

from __future__ import annotations

import copy
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ddsweep import again
from ddsweep.cli import commands, console, interrupt
from ddsweep.errors import UserError


class Commands(TyperGroup):
    """A command group in which no error that the user can fix, and no signal, ends in a traceback.

    A UserError is one line on stderr and exit status 2. Ctrl-C and SIGTERM are one line too, unless the command handles
    them itself (``interrupt``). Commands are imported when they are used.
    """

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = commands.Modules()  # type: ignore[assignment]  # a Mapping is enough: nothing is added

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the summaries of the commands, without importing them."""
        super(Commands, self._summarized()).format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the name of a command or of an option, likewise."""
        ctx.command = summarized = self._summarized()
        return super(Commands, summarized).shell_complete(ctx, incomplete)

    def _summarized(self) -> Commands:
        summarized = copy.copy(self)
        summarized.commands = commands.summaries()
        return summarized

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

"""The Typer application, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ddsweep.errors import UserError


class Commands(TyperGroup):
    """Turns a UserError into its line on stderr and exit status 2: never a traceback for what the user can mend."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201 (plain: a path may look like Rich markup)
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

        typer.echo(f"ddsweep {__version__}")
        raise typer.Exit


@app.callback()
def ddsweep(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Sweeps for dataset distillation guided by pre-trained models (CLoM, CCLoM).

    Start with  [bold]ddsweep launch ablation-alpha --profile demo[/bold]
    """

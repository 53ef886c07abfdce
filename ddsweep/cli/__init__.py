"""The command line: one file per command, which parses its options, calls the library and prints the result.

Nothing imports this package. ``commands`` lists the commands, ``app`` is the program, ``register`` makes a command.
"""

from __future__ import annotations

from ddsweep.cli import console
from ddsweep.cli.app import app


def main() -> None:
    """Entry point of the console script."""
    console.prepare()
    app()

"""``ddsweep dashboard``: show all launched sweeps in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from ddsweep.cli.options import RUNS, Runs, Storage


def dashboard(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 picks a free one.")] = 8080,
    allow_edit: Annotated[
        bool, typer.Option("--allow-edit", help="Allow changing and deleting studies in the browser.")
    ] = False,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Serve the Optuna dashboard on this machine, with studies, notes, image grids, and plots.

    It is read-only unless you pass --allow-edit.
    """
    from ddsweep import launches
    from ddsweep.backends.optuna import dashboard as server
    from ddsweep.cli import display

    launches.connect(runs, storage).close()
    mode = "" if not allow_edit else " (editable)"
    out = display.stdout()
    try:
        server.serve(
            launches.url(runs, storage),
            runs / "artifacts",
            port=port,
            allow_edit=allow_edit,
            ready=lambda url: out.say(f"dashboard  {url}{mode}    press Ctrl-C to stop"),
        )
    except KeyboardInterrupt:
        out.print("stopped")

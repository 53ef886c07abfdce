"""The command line: one file per command, which parses its options, calls the library and prints the result.

Nothing imports this package.
"""

from __future__ import annotations

from ddsweep.cli import (
    agent,
    agents,
    clean,
    console,
    copy,
    dashboard,
    data,
    doctor,
    estimate,
    evaluate,
    export,
    launch,
    list,
    plot,
    plugins,
    pool,
    pretrain,
    report,
    results,
    run,
    show,
    status,
    stop,
    sync,
    trial,
)
from ddsweep.cli.app import app, register

# Panels of the help screen, and in each the commands, the most used first.
PANELS = {
    "Run": (launch.launch, agents.agents, stop.stop, run.run, estimate.estimate, copy.copy),
    "Inspect": (
        list.list_,
        show.show,
        status.status,
        results.results,
        plot.plot,
        report.report,
        dashboard.dashboard,
    ),
    "Data and PTMs": (pretrain.pretrain, pool.pool, evaluate.evaluate, export.export),
    "W&B": (sync.sync,),
    "Maintenance": (doctor.doctor, clean.clean, plugins.plugins),
}
for panel, functions in PANELS.items():
    for function in functions:
        register(app, function, function.__name__.rstrip("_"), panel)
app.add_typer(data.data, name="data", rich_help_panel="Data and PTMs")
register(app, agent.agent, "agent", hidden=True)  # launchers start it
register(app, trial.trial, "trial", hidden=True)  # W&B's agents start it


def main() -> None:
    """Entry point of the console script."""
    console.prepare()
    app()

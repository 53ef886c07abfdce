"""The command line: one file a command; each parses, calls, prints. Nothing imports this package."""

from __future__ import annotations

from ddsweep.cli import (
    agent,
    agents,
    clean,
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
from ddsweep.cli.app import app

# the order of the help screen: what one does first comes first
for command in (
    doctor.doctor, list.list_, show.show, copy.copy, estimate.estimate, launch.launch, status.status, agents.agents,
    stop.stop, results.results, plot.plot, report.report, dashboard.dashboard, run.run,
):  # fmt: skip
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(data.data, name="data")
app.command("pretrain")(pretrain.pretrain)
app.command("pool")(pool.pool)
app.command("clean")(clean.clean)
app.command("plugins")(plugins.plugins)
app.command("agent", context_settings={"allow_extra_args": False})(agent.agent)
app.command("sync")(sync.sync)
app.command("export")(export.export)
app.command("evaluate")(evaluate.evaluate)
app.command("trial")(trial.trial)


def main() -> None:
    """Entry point of the console script."""
    app()

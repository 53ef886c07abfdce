"""``ddsweep doctor``: check that ddsweep works on this machine, and how to fix what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ddsweep import again, text
from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Json, Runs, Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.table import Table

    from ddsweep.doctor import Finding, Place

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(runs: Runs = RUNS, storage: Storage = None, as_json: Json = False) -> None:
    """Check libraries, GPUs, disks, storage, W&B, and the cache on this machine; each problem has a suggested fix.

    Nothing is changed. The exit status is 0 if ddsweep works, even with warnings, and 1 if a check failed.
    """
    from dataclasses import asdict

    from ddsweep import files, launches
    from ddsweep.cli import display
    from ddsweep.doctor import Place, State

    place = Place(runs, launches.url(runs, storage), files.cache_dir())
    findings = list(_findings(place))
    counts = {state: sum(finding.state is state for finding in findings) for state in State}
    if as_json:
        console.write_json([asdict(finding) for finding in findings])
    else:
        out = display.stdout()
        out.print(screen(findings))
        out.say(summary(counts[State.ERROR], counts[State.WARNING]))
    raise typer.Exit(1 if counts[State.ERROR] else 0)


def screen(findings: Iterable[Finding]) -> Table:
    """One line per check, with the suggested fix below it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        state = finding.state.value
        table.add_row(Text(state, STYLES[state]), Text(finding.name, "bold"), Text(finding.message))
        if finding.fix:
            table.add_row("", "", Text(f"→ {finding.fix}"))
    return table


def summary(errors: int, warnings: int) -> str:
    """The last line of the screen."""
    if errors or warnings:
        counts = [(errors, "error"), (warnings, "warning")]
        return ", ".join(text.plural(count, noun) for count, noun in counts if count)
    return f"ready: {again.other('launch', 'ablation-alpha', '--profile', 'demo')}"


def _findings(place: Place) -> Iterator[Finding]:
    """Examine this machine; a terminal shows which check is running."""
    from rich.text import Text

    from ddsweep.doctor import examine

    terminal = console.stderr()
    if not terminal.is_terminal:
        yield from examine(place)
        return
    with terminal.status("starting") as status:
        yield from examine(place, lambda name: status.update(Text(f"checking {name}")))

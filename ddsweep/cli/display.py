"""Tables and live screens; nothing is wider than the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ddsweep import characters, text
from ddsweep.backends import State
from ddsweep.cli.console import stdout as stdout

if TYPE_CHECKING:
    from rich.console import Group

    from ddsweep.backends import Status
    from ddsweep.trackers.status import AgentStatus

BAR = 52
MOST_NAME = 30  # characters of an agent's host and device
SILENT = 60  # seconds without a report after which an agent may have died; it reports every ten


def table(rows: Sequence[dict[str, Any]], heads: Sequence[str]) -> None:
    """Print records as columns; numbers are right-aligned."""
    from rich.table import Table

    screen = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head, value in zip(heads, (rows[0] if rows else {}).values(), strict=False):
        right = isinstance(value, int | float)
        screen.add_column(head, justify="right" if right else "left", overflow="fold", header_style="bold")
    for row in rows:
        screen.add_row(*(str(value) for value in row.values()))
    stdout().print(screen)


def counts(status: Status) -> str:
    """``done 4/9   running 1   failed 0``, and how many cells wait for another attempt after one that failed."""
    done, failed = status.count(State.COMPLETE), status.count(State.FAILED)
    pruned = f"pruned {status.count(State.PRUNED)}   " if status.count(State.PRUNED) else ""
    waiting = f"   failed, to be retried {len(status.retrying)}" if status.retrying else ""
    return f"done {done}/{status.size}   {pruned}running {status.count(State.RUNNING)}   failed {failed}{waiting}"


def time_left(status: Status, began: float, done_before: int) -> str:
    """An estimate from the pace since the launch; empty until the first cell of this launch has ended."""
    ended, rest = status.ended - done_before, status.size - status.ended
    if ended < 1 or not rest:
        return ""
    return f" · about {text.duration((time.monotonic() - began) / ended * rest)} left"


def agent_lines(agents: Sequence[AgentStatus], width: int = 100, *, cells: bool = False) -> list[str]:
    """One line per agent, with its host if there are several; with ``cells``, also one per cell of a group."""
    hosts = {agent.host for agent in agents} if len({agent.host for agent in agents}) > 1 else set()
    names = [f"{agent.host} {agent.device}" if hosts else agent.device for agent in agents]
    names = [f"{name} · {agent.job}" if agent.job else name for agent, name in zip(agents, names, strict=True)]
    columns = min(MOST_NAME, max(map(len, names), default=0))
    lines = []
    for agent, name in zip(agents, names, strict=True):
        lines.append(agent_line(agent, fitted(name, columns), width))
        lines += [cell_line(one, columns, width) for one in agent.group if cells]
    return lines


def cell_line(cell: Mapping[str, Any], indent: int = 0, width: int = 100) -> str:
    """The line of one cell of a group, under that of its agent: ``· dm · ipc 10 · α 5…   distill 62/100``."""
    work = f"{cell['phase']} {cell['done']}/{cell['total']}" if cell["total"] else str(cell["phase"])
    columns = width - indent - len(work) - 10
    return f"  {'':{indent}}   · {fitted(cell['cell'], min(columns, len(cell['cell'])))}   {work}"


def agent_line(agent: AgentStatus, name: str = "", width: int = 100) -> str:
    """``gpu 3   dm · ipc 10 · α 5…   distill 62/100 · 14.2 steps/s · 9100 img/s · 3.1 GB · 12 s ago``."""
    name = name or agent.device
    work = agent.phase
    if agent.total:
        work += f" {agent.done}/{agent.total}"
    if agent.rate:
        work += f" · {text.pace(1 / agent.rate, 'step')}"
    if agent.images_per_second and agent.phase == "distill":
        work += f" · {agent.images_per_second:.0f} img/s"
    if agent.gpu_memory_gb:
        work += f" · {agent.gpu_memory_gb:.1f} GB"
    if agent.age >= SILENT:
        work += f" · no report for {text.duration(agent.age)}"
    elif agent.age >= 1:
        work += f" · {agent.age:.0f} s ago"
    work = fitted(work, width - len(name) - 5).rstrip()
    columns = width - len(work) - len(name) - 8
    cell = text.plural(len(agent.group), "cell") if agent.group else agent.cell
    cell = fitted(cell, min(columns, len(cell)))
    return f"  {name}   {cell}   {work}" if cell and columns > 3 else f"  {name}   {work}"


def fitted(line: str, columns: int) -> str:
    """The line, padded or cut to a number of characters."""
    return line.ljust(columns) if len(line) <= columns else f"{line[: max(0, columns - 1)]}…"


def screen(
    head: str, status: Status, agents: Sequence[AgentStatus], since: str, width: int, notes: Sequence[str] = (),
    *, whole: bool = False,
) -> Group:  # fmt: skip
    """The live screen of a sweep: its progress, its agents, its failures, and notes that may wrap.

    The reasons of failures are cut to one line each, and the cells of a group are not shown, unless ``whole``.
    """
    from rich.console import Group
    from rich.text import Text

    done = status.ended
    filled = round(BAR * done / max(1, status.size))
    lines = [Text(head, style="bold", no_wrap=True, overflow="ellipsis")]
    lines.append(Text(f"agents {len(agents)}   {counts(status)}   {since}", no_wrap=True, overflow="ellipsis"))
    lines += [Text(line, no_wrap=True, overflow="ellipsis") for line in agent_lines(agents, width, cells=whole)]
    bar = Text("  ").append("█" * filled, style="green").append("░" * (BAR - filled), style="dim")
    lines.append(bar.append(f"  {done}/{status.size}"))
    failures = [(row, "failed", row.reason, "red") for row in status.rows if row.state is State.FAILED]
    failures += [(row, "failed, to be retried", row.reasons[-1], "yellow") for row in status.retrying]
    for row, state, reason, color in failures:
        failed = characters.one_line(f"  {state}: {row.point.title}: {reason}")
        lines.append(Text(failed, color, no_wrap=not whole, overflow="fold" if whole else "ellipsis"))
    return Group(*lines, *(Text(characters.one_line(f"  {note}")) for note in notes))

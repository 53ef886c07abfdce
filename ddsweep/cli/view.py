"""What a sweep looks like while it runs: one screen, from the storage and the agents' status files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ddsweep.backends import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group

    from ddsweep.backends import Status
    from ddsweep.trackers.status import AgentStatus

BAR = 52


def counts(status: Status) -> str:
    """``done 4/9   running 1   failed 0``."""
    done, failed = status.count(State.COMPLETE), status.count(State.FAILED)
    return f"done {done}/{len(status.rows)}   running {status.count(State.RUNNING)}   failed {failed}"


def clock(seconds: float) -> str:
    """``1:02:03`` or ``0:41``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def time_left(status: Status, began: float, done_before: int) -> str:
    """From the pace since the launch; nothing before the first cell of this launch is done."""
    fresh, rest = status.ended - done_before, len(status.rows) - status.ended
    if fresh < 1 or not rest:
        return ""
    return f" · about {clock((time.monotonic() - began) / fresh * rest)} left"


def agent_line(agent: AgentStatus, width: int = 100) -> str:
    """``cpu   dm · ipc 10 · α 500 …   distill 62/100 · 14.2 steps/s``."""
    work = agent.phase
    if agent.total:
        work += f" {agent.done}/{agent.total}"
    if agent.rate:
        work += f" · {agent.rate:.1f} steps/s"
    room = width - len(work) - len(agent.slot) - 8
    cell = agent.cell if len(agent.cell) <= room else agent.cell[: room - 1] + "…"
    return f"  {agent.slot}   {cell}   {work}" if cell else f"  {agent.slot}   {work}"


def screen(head: str, status: Status, agents: Sequence[AgentStatus], since: str, width: int) -> Group:
    """The whole view as Rich draws it."""
    from rich.console import Group
    from rich.text import Text

    done = status.ended
    filled = round(BAR * done / max(1, len(status.rows)))
    lines = [Text(head, style="bold", no_wrap=True, overflow="ellipsis")]
    lines.append(Text(f"agents {len(agents)}   {counts(status)}   {since}", no_wrap=True, overflow="ellipsis"))
    lines += [Text(agent_line(agent, width), no_wrap=True, overflow="ellipsis") for agent in agents]
    bar = Text("  ").append("█" * filled, style="green").append("░" * (BAR - filled), style="dim")
    lines.append(bar.append(f"  {done}/{len(status.rows)}"))
    lines += [Text(f"  failed: {row.point.title}: {row.reason}", style="red", no_wrap=True, overflow="ellipsis")
              for row in status.rows if row.state is State.FAILED]  # fmt: skip
    return Group(*lines)

"""The state of a cell as tables show it: from its result in the runs folder, and from what the queue says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ddsweep.errors import NO_REASON
from ddsweep.results.stored import Stored
from ddsweep.sweep import Cell, Sweep


class State(StrEnum):
    """The state of a cell.

    ``FAILED``: its loss diverged, or its attempts are used up. ``LEFT_OUT``: its result must not be used
    (``stored.Fault``). ``MISSING``: complete, with its files on another host.
    """

    DONE = "done"
    FAILED = "failed"
    RUNNING = "running"
    PRUNED = "pruned"
    WAITING = "waiting"
    LEFT_OUT = "left out"
    MISSING = "missing"


@dataclass(frozen=True)
class CellState:
    """The state of a cell, and the reason if it is not one of the usual ones.

    Attributes:
        state: the state.
        reason: why it failed, was pruned, or is left out; else empty.
    """

    state: State
    reason: str = ""


def of(cell: Cell, sweep: Sweep, stored: Stored) -> CellState:
    """The state of a cell of ``sweep``. What the runs folder has counts more than what the queue says."""
    if result := stored.results.get(cell.key):
        failed = result.state == "failed"
        return CellState(State.FAILED, result.reason or NO_REASON) if failed else CellState(State.DONE)
    if left_out := stored.left_out.get(cell.key):
        return CellState(State.LEFT_OUT, left_out.reason)
    progress = sweep.progress.get(cell.key)
    if progress is None:
        return CellState(State.WAITING)
    if progress.state == "complete":
        return CellState(State.MISSING)
    return CellState(State(progress.state), progress.reason)

"""Ended cells whose results cannot be used: a launch computes them again, or says what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ddsweep import again, text
from ddsweep.backends import State
from ddsweep.results import stored, transfer
from ddsweep.results.stored import Fault
from ddsweep.sweep import naming

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ddsweep.backends import Backend, Queue, Store
    from ddsweep.sweep import Sweep


def requeue(store: Store, backend: Backend, sweep: Sweep, runs: Path, recompute: bool) -> list[str]:
    """Queue ended cells again.

    Cells whose results are missing or damaged are always computed again, unless the storage has an intact copy. With
    ``recompute``, so are those from other images, and those whose other files are damaged.

    Returns:
        What was queued, and what is left out of the table and why, line by line.

    Raises:
        UserError: the storage cannot be reached, or the runs folder cannot be written.
    """
    states = {row.point.key: row.state for row in backend.status().rows}
    ended = {key for key, state in states.items() if state in (State.COMPLETE, State.FAILED)}
    complete = {key for key in ended if states[key] is State.COMPLETE}
    files = stored.check_files(ended, runs) if recompute else {}
    for key in files if repeats(backend) else ():  # the storage may have an intact copy
        stored.set_aside(runs / key)
    if isinstance(store, transfer.Shelf):
        transfer.bring(store, ended, runs)
    found = stored.collect(sweep, runs)
    usable = found.results.keys() if repeats(backend) else set()
    gone = complete - found.results.keys() - found.left_out.keys() if repeats(backend) else set()
    other = set(found.keys(Fault.OTHER_IMAGES)) & ended
    reasons = {
        "damaged": set(found.keys(Fault.DAMAGED)) & ended | (files.keys() - usable - found.left_out.keys()),
        "without files here or in the storage": gone - files.keys(),
        "from other images": other if recompute else set(),
    }
    lines = [_queued(backend, sweep, keys, reason) for reason, keys in reasons.items() if keys]
    if other and not recompute:
        lines += [line for line in found.lines() if Fault.OTHER_IMAGES.value in line]
        lines.append(f"to compute these cells again, type:  {again.command('--recompute')}")
    return lines


def repeats(backend: Backend) -> bool:
    """Whether cells can be queued again. W&B never repeats a point; its results stay on the machines that ran them."""
    return hasattr(backend, "requeue")


def _queued(backend: Backend, sweep: Sweep, keys: Collection[str], reason: str) -> str:
    cells = text.plural(len(keys), "finished cell")
    if not repeats(backend):
        command = again.other("run", sweep.full_name, *_settings(sweep, keys), "--recompute")
        return f"{cells} {reason}: W&B does not repeat them; compute each on this machine, for example: {command}"
    cast("Queue", backend).requeue(keys, f"computed again: its result was {reason}")
    return f"computed again: {cells} {reason}"


def _settings(sweep: Sweep, keys: Collection[str]) -> list[str]:
    """The settings of the first of these cells, for ``ddsweep run``."""
    cell = next(cell for cell in sweep.cells if cell.key in keys)
    return [f"{name}={naming.written(name, value)}" for name, value in cell.point.items()]

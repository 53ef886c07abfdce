"""What became of the cells of earlier and of simultaneous launches of a sweep, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddsweep import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ddsweep.backends import Registered
    from ddsweep.sweep import Sweep


def summary(registered: Registered) -> str:
    """``launched before: 2 cells kept, 1 added; 7 of earlier launches stay in the table``; empty for a first launch."""
    parts = list(_outcomes(registered))
    if not registered.kept and not parts:
        return ""
    own = f"{text.plural(registered.kept, 'cell')} kept, {registered.added} added"
    return "launched before: " + "; ".join([own, *parts])


def _outcomes(registered: Registered) -> Iterator[str]:
    """What became of the cells that this launch does not have."""
    if registered.earlier:
        yield f"{registered.earlier} of earlier launches {_stay(registered.earlier)} in the table"
    if registered.withdrawn:
        yield f"{registered.withdrawn} waiting withdrawn"
    if registered.newer:
        yield f"{registered.newer} replaced by cells that differ from them only in the version of a plugin"
    if registered.finished or registered.running:
        taken = [f"{registered.finished} finished"] * bool(registered.finished)
        taken += [f"{registered.running} running"] * bool(registered.running)
        yield f"{' and '.join(taken)} left the table (--replace)"
    if registered.unreadable:
        reason = "another version of ddsweep, a missing plugin or image folder"
        yield f"{registered.unreadable} left the table, because their recipes cannot be read ({reason})"


def _stay(count: int) -> str:
    return "stays" if count == 1 else "stay"


def difference(before: Sweep, now: Sweep) -> str:
    """What another launch has changed meanwhile: ``another launch added 2 cells, withdrew 1``; empty: nothing."""
    if before.definition() == now.definition():
        return ""
    if now.search or before.search:  # which of its points are new is not known: it draws them as agents ask
        added, gone = max(0, now.size - before.size), max(0, before.size - now.size)
    else:
        old, new = ({cell.key for cell in one.cells} for one in (before, now))
        added, gone = len(new - old), len(old - new)
    parts = [f"added {text.plural(added, 'cell')}"] * bool(added)
    parts += [f"withdrew {gone}" if added else f"withdrew {text.plural(gone, 'cell')}"] * bool(gone)
    return f"another launch {', '.join(parts)}" if parts else ""

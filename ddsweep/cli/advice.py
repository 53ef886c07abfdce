"""What to do about cells that were given up, and whom the others wait for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ddsweep import text
from ddsweep.backends import State

if TYPE_CHECKING:
    from ddsweep.backends import Backend, Held, Row, Status

RETRY = "--retry-failed"


@runtime_checkable
class HasLeases(Protocol):
    """The methods of ``backends.Queue`` that concern dead agents and failed points."""

    def reconcile(self) -> None:
        """Fail attempts whose agent is dead, and queue failed points that have attempts left."""

    def retry(self) -> int:
        """Try every point again that was given up, unless that is in vain."""

    def held(self) -> list[Held]:
        """The points that agents hold."""


def failure(row: Row) -> str:
    """``TITLE: why it failed (3 attempts)``, for a cell that was given up."""
    attempts = f" ({text.plural(row.attempts, 'attempt')})" if row.attempts else ""
    return f"{row.point.title}: {row.reason}{attempts}"


def on_failures(status: Status, command: str) -> list[str]:
    """How to retry the cells that were given up, and which cannot be retried.

    Args:
        status: the status of the sweep.
        command: the command that retries them.
    """
    again, lines = len(status.retryable), []
    if again:
        lines.append(f"given up: {text.plural(again, 'cell')}; to retry, type:  {command}")
    if final := status.count(State.FAILED) - again:
        cells = "it is not retried, because it" if final == 1 else "they are not retried, because they"
        lines.append(f"failed for good: {text.plural(final, 'cell')}; {cells} would fail the same way again")
    return lines


def on_leases(backend: Backend) -> list[str]:
    """Which cells wait until the lease of an agent expires that may be dead, and until when."""
    if not isinstance(backend, HasLeases):
        return []
    return [waiting(held) for held in backend.held() if held.overdue]


def waiting(held: Held) -> str:
    """``waiting for …``, for a cell whose holder has not been heard from."""
    until = datetime.now(UTC) + timedelta(seconds=max(0.0, held.expires_in))
    return (
        f"waiting for the lease of {held.agent} on {held.point.title}: no heartbeat for {text.duration(held.silent)}, "
        f"expires at {until:%H:%M:%S} UTC"
    )

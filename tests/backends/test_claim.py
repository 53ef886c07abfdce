"""The heartbeat thread of a claim: what leaving the block guarantees."""

from __future__ import annotations

import threading
import time

from ddsweep.backends import Definition, Lease, Point
from ddsweep.backends.memory import MemoryClaim, MemoryStore
from ddsweep.backends.rules import Attempt, Phase

INTERVAL = 0.5


class SlowClaim(MemoryClaim):
    """A claim whose heartbeats take as long as they are let."""

    def __init__(self) -> None:
        store = MemoryStore(Lease(beat=INTERVAL, grace=60))
        point = Point("alpha=0", {"alpha": 0}, "key0")
        store.sweep("sweep").register(Definition("sweep", [point]))
        super().__init__(store, store.registration("sweep"), Attempt(0, 0, point, Phase.WAITING), "gpu0")
        self.begun, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.count = 0

    def heartbeat(self) -> bool:
        self.count += 1
        self.begun.set()
        self.go.wait(30)
        self.ended.set()
        return True


def test_a_heartbeat_in_progress_is_awaited() -> None:
    """Otherwise it could arrive after the outcome, when the claim belongs to another agent."""
    with SlowClaim() as claim:
        assert claim.begun.wait(30)
        threading.Timer(INTERVAL / 10, claim.go.set).start()
    assert claim.ended.is_set()
    assert claim.count == 1


def test_a_heartbeat_that_hangs_is_not_awaited_for_long() -> None:
    with SlowClaim() as claim:
        assert claim.begun.wait(30)
        began = time.monotonic()
    waited = time.monotonic() - began
    assert not claim.ended.is_set()
    assert INTERVAL / 2 < waited < 10
    claim.go.set()
    assert claim.ended.wait(30)
    time.sleep(2 * INTERVAL)
    assert claim.count == 1, "it was the last"

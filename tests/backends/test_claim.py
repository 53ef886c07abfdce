"""The heart of a claim: what leaving the block may count on."""

from __future__ import annotations

import threading
import time

from ddsweep.backends.claim import Heart

INTERVAL = 0.5


class Beats:
    """A desk whose beats take as long as they are let."""

    def __init__(self) -> None:
        self.begun, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.count = 0

    def beat(self) -> bool:
        self.count += 1
        self.begun.set()
        self.go.wait(30)
        self.ended.set()
        return True


def started(desk: Beats) -> Heart:
    heart = Heart(desk, INTERVAL, "alpha=0")  # type: ignore[arg-type]
    heart.start()
    assert desk.begun.wait(30)
    return heart


def test_a_beat_on_its_way_is_awaited() -> None:
    """Or it could arrive after the answer, and at a claim that is another's by then."""
    desk = Beats()
    heart = started(desk)
    threading.Timer(INTERVAL / 10, desk.go.set).start()
    heart.stop()
    assert desk.ended.is_set()
    assert desk.count == 1


def test_a_beat_that_hangs_is_not_awaited_for_long() -> None:
    desk = Beats()
    heart = started(desk)
    began = time.monotonic()
    heart.stop()
    waited = time.monotonic() - began
    assert not desk.ended.is_set()
    assert INTERVAL / 2 < waited < 10
    desk.go.set()
    assert desk.ended.wait(30)
    time.sleep(2 * INTERVAL)
    assert desk.count == 1, "it was the last"

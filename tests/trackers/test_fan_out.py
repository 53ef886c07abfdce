"""A tracker that fails costs neither the trial nor the other trackers."""

from __future__ import annotations

import errno
import logging

import pytest

from ddsweep.trackers import FanOut, Tracker


def test_a_full_disk_pauses_the_agent() -> None:
    """Any other error stops only the tracker; this one reaches the agent, which resumes from the checkpoint."""

    class Full(Tracker):
        def log(self, metrics: dict[str, float], step: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        FanOut(Full()).log({}, 1)


def test_a_tracker_that_raises_gets_no_further_calls_and_the_others_do(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Tracker):
        calls = 0

        def log(self, metrics: dict[str, float], step: int) -> None:
            Broken.calls += 1
            raise OSError("no space left")

    class Counting(Tracker):
        calls = 0

        def log(self, metrics: dict[str, float], step: int) -> None:
            Counting.calls += 1

    tracker = FanOut(Broken(), Counting())
    with caplog.at_level(logging.WARNING):
        for step in range(3):
            tracker.log({}, step)
    assert (Broken.calls, Counting.calls) == (1, 3)
    assert "Broken stopped: no space left" in caplog.text

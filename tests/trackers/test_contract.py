"""What every tracker keeps to: the whole story may be told, twice, and a finished trial with it; nothing raises."""

from __future__ import annotations

import json
import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ddsweep.backends import Definition, Lease, Point, attach_image
from ddsweep.backends.memory import MemoryStore
from ddsweep.recipe import make
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker, status
from ddsweep.trackers.disk import DiskTracker
from ddsweep.trackers.fan_out import FanOut
from ddsweep.trackers.null import NullTracker
from ddsweep.trackers.queue import QueueTracker
from ddsweep.trackers.status import AgentStatus, StatusTracker

RECIPE = make({"target": "digits", "ipc": 1, "iterations": 4})
RESULT = Result(RECIPE, {"convnet3": [0.5, 0.6]}, {"convnet3": [0.1] * 10}, {"distill": 2.0})


def claim() -> Any:
    backend = MemoryStore(Lease(1, 10)).sweep("one")
    backend.register(Definition("one", [Point("a", {"alpha": 1.0}, RECIPE.key(), "one")]))
    return backend.claim("me")


MAKERS = {
    "null": lambda place: NullTracker(),
    "disk": lambda place: DiskTracker(place),
    "status": lambda place: StatusTracker(place, AgentStatus("host:1", "cpu", "one@demo")),
    "queue": lambda place: QueueTracker(partial(attach_image, claim())),
    "fan-out": lambda place: FanOut(DiskTracker(place), NullTracker()),
}


def tell(tracker: Tracker) -> None:
    tracker.start(RECIPE)
    tracker.progress("pretrain convnet3 0", 0, 2)
    tracker.progress("distill", 1, 4)
    tracker.log({"loss/match": 1.5}, 1)
    tracker.image("synthetic", Image.new("RGB", (4, 4)), 0)
    tracker.image("synthetic", Image.new("RGB", (4, 4), "red"), 4)
    tracker.finish(RESULT)


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
class TestContract:
    def test_the_whole_story_twice(self, maker: Any, tmp_path: Path) -> None:
        tracker = maker(tmp_path / "run")
        tell(tracker)
        tell(tracker)

    def test_a_failed_trial(self, maker: Any, tmp_path: Path) -> None:
        tracker = maker(tmp_path / "run")
        tracker.start(RECIPE)
        tracker.finish(Result(RECIPE, state="failed", reason="diverged"))


def test_the_disk_keeps_one_run(tmp_path: Path) -> None:
    tracker = DiskTracker(tmp_path)
    tell(tracker)
    tell(tracker)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == {"step": 1, "loss/match": 1.5}
    assert lines[1]["accuracy"] == pytest.approx(0.55)
    assert len(lines) == 2
    with Image.open(tmp_path / "synthetic.png") as picture:
        assert picture.getpixel((0, 0)) == (255, 0, 0)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "synthetic_000000.png", "synthetic_000004.png",
    ]  # fmt: skip


def test_others_see_what_an_agent_does(tmp_path: Path) -> None:
    tracker = StatusTracker(tmp_path, AgentStatus("host:1", "cuda:0", "one@demo"))
    tracker.start(RECIPE)
    tracker.progress("distill", 0, 4)
    (seen,) = status.read_all(tmp_path)
    assert (seen.cell, seen.phase, seen.done, seen.total) == (RECIPE.title(), "distill", 0, 4)
    time.sleep(status.INTERVAL + 0.05)
    tracker.progress("distill", 2, 4)
    (seen,) = status.read_all(tmp_path)
    assert seen.done == 2
    assert 0 < seen.rate < 2 / status.INTERVAL
    tracker.idle()
    assert status.read_all(tmp_path)[0].cell == ""
    tracker.close()
    assert status.read_all(tmp_path) == []


def test_a_silent_agent_and_a_foreign_file_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps({"agent": "a:1", "slot": "cpu", "sweep": "s", "updated": 5.0}))
    (tmp_path / "foreign.json").write_text('{"colour": "red"}')
    (tmp_path / "half.json").write_text("{")
    fresh = {"agent": "a:2", "slot": "cpu", "sweep": "s", "updated": time.time()}
    (tmp_path / ".a-2.json.0123.tmp.json").write_text(json.dumps(fresh))
    assert status.read_all(tmp_path) == []


def test_a_tracker_that_fails_is_left_out_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(NullTracker):
        calls = 0

        def log(self, metrics: dict[str, float], step: int) -> None:
            Broken.calls += 1
            raise OSError("no space left")

    class Counting(NullTracker):
        calls = 0

        def log(self, metrics: dict[str, float], step: int) -> None:
            Counting.calls += 1

    tracker = FanOut(Broken(), Counting())
    with caplog.at_level(logging.WARNING):
        for step in range(3):
            tracker.log({}, step)
    assert (Broken.calls, Counting.calls) == (1, 3)
    assert "Broken stopped: no space left" in caplog.text

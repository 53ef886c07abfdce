"""What every tracker keeps to: the whole story may be told, twice, and a finished trial with it; nothing raises."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import wandb
from PIL import Image

from ddsweep.backends import Definition, Lease, Point, attach_image
from ddsweep.backends.memory import MemoryStore
from ddsweep.errors import UserError
from ddsweep.recipe import make
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker, status
from ddsweep.trackers.basic import FanOut, NullTracker, QueueTracker
from ddsweep.trackers.disk import DiskTracker
from ddsweep.trackers.status import AgentStatus, StatusTracker
from ddsweep.trackers.wandb import WandbTracker

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
    "wandb": lambda place: WandbTracker("one@demo", place, "", ""),
    "fan-out": lambda place: FanOut(DiskTracker(place), NullTracker()),
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    wandb.teardown()  # the client reads its environment once
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    yield
    wandb.teardown()


def tell(tracker: Tracker) -> None:
    tracker.start(RECIPE)
    tracker.progress("pretrain convnet3 0", 0, 2)
    tracker.rewind(0)
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

    def test_a_trial_without_an_answer_comes_again(self, maker: Any, tmp_path: Path) -> None:
        tracker = maker(tmp_path / "run")
        tracker.leave()
        tracker.start(RECIPE)
        tracker.leave("out of memory")
        tell(tracker)


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


def test_the_disk_goes_on_after_the_step_that_is_named(tmp_path: Path) -> None:
    """Lines and pictures of later steps go, and so do the final metrics and the half line of a killed process."""
    tracker = DiskTracker(tmp_path)
    tell(tracker)
    for step in (2, 3):
        tracker.log({"loss/match": float(step)}, step)
        tracker.image("synthetic", Image.new("RGB", (4, 4)), step)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "loss/ma')
    tracker.start(RECIPE)
    tracker.rewind(2)
    tracker.log({"loss/match": 5.0}, 3)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss/match"]) for line in lines] == [(1, 1.5), (2, 2.0), (3, 5.0)]
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "synthetic_000000.png", "synthetic_000002.png",
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


def test_what_killed_agents_of_this_host_have_left_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    host = socket.gethostname()
    left = [f"{host}-{dead.pid}.json", f".{host}-{dead.pid}.json.0123abcd.tmp.json"]
    others = [f"{host}-{os.getpid()}.json", f"far-{dead.pid}.json", "agent-0.log", f".far-{dead.pid}.json.0.tmp.json"]
    (tmp_path / "agents").mkdir()
    for name in (*left, *others):
        (tmp_path / "agents" / name).write_text("{}")
    status.clear(tmp_path / "agents")
    assert sorted(path.name for path in (tmp_path / "agents").iterdir()) == sorted(others)


def test_images_and_memory_are_shown_as_they_are_logged(tmp_path: Path) -> None:
    tracker = StatusTracker(tmp_path, AgentStatus("host:1", "gpu 0", "one@demo"))
    tracker.start(RECIPE)
    tracker.log({"loss/match": 1.0, "images_per_second": 9100.0, "gpu_memory_gb": 3.1}, 1)
    tracker.progress("distill", 1, 4)
    (seen,) = status.read_all(tmp_path)
    assert (seen.images_per_second, seen.gpu_memory_gb) == (9100.0, 3.1)


def test_a_full_disk_does_not_end_an_agent_that_only_says_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: Any) -> None:
        raise UserError("cannot write: No space left on device")

    monkeypatch.setattr(status.files, "write_json", full)
    tracker = StatusTracker(tmp_path, AgentStatus("host:1", "gpu 0", "one@demo"))
    tracker.show("paused: disk full at runs")
    tracker.close()
    assert tracker.status.phase == "paused: disk full at runs"


def test_a_host_with_a_wrong_clock_is_seen_like_any_other(tmp_path: Path) -> None:
    """Whether an agent is there, the storage's clock says; its file, where there is one, says what it does."""
    here = asdict(AgentStatus("here:1", "gpu 0", "s", updated=time.time()))
    hours = {"behind": -7200, "ahead": 7200}
    others = {
        name: asdict(AgentStatus(f"{name}:1", "gpu 0", "s", phase="pretrain", updated=time.time() + skew, host=name))
        for name, skew in hours.items()
    }
    for values in (here, *({**other, "phase": "distill"} for other in others.values())):
        (tmp_path / f"{values['agent']}.json").write_text(json.dumps(values))
    reported = [(here, 9.0), *((other, 12.0) for other in others.values())]
    seen = {one.agent: one for one in status.merged(reported, status.read_all(tmp_path))}
    assert set(seen) == {"here:1", "behind:1", "ahead:1"}
    assert seen["behind:1"].phase == seen["ahead:1"].phase == "distill"
    assert (seen["behind:1"].age, seen["ahead:1"].age) == (12.0, 12.0)
    assert seen["here:1"].age < 9, "its own file is newer than what the storage has"
    gone = [(other, status.SILENT + 1.0) for other in others.values()]
    assert status.merged(gone, status.read_all(tmp_path)) == [], "files of dead agents keep nobody alive"
    strange = {**others["ahead"], "mood": "of a later version"}
    assert status.merged([(strange, 1.0)], [])[0].phase == "pretrain"


def test_a_full_disk_is_not_a_trackers_own_affair() -> None:
    """Everything else costs the tracker; this pauses the agent, and the trial is run again from what it kept."""

    class Full(NullTracker):
        def log(self, metrics: dict[str, float], step: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        FanOut(Full()).log({}, 1)


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

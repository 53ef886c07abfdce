"""Other processes and hosts see what an agent is doing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ddsweep.errors import UserError
from ddsweep.testing.tracker import RECIPE
from ddsweep.trackers import status
from ddsweep.trackers.status import AgentStatus, StatusTracker


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


def test_a_silent_agent_and_an_unknown_file_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps({"agent": "a:1", "device": "cpu", "sweep": "s", "updated": 5.0}))
    (tmp_path / "foreign.json").write_text('{"colour": "red"}')
    (tmp_path / "half.json").write_text("{")
    fresh = {"agent": "a:2", "device": "cpu", "sweep": "s", "updated": time.time()}
    (tmp_path / ".a-2.json.0123.tmp.json").write_text(json.dumps(fresh))
    assert status.read_all(tmp_path) == []


def test_files_of_killed_agents_of_this_host_are_removed(tmp_path: Path) -> None:
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


def test_a_full_disk_does_not_stop_an_agent_from_reporting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

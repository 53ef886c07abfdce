"""The run folder contains one run, however often it was interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from ddsweep import files
from ddsweep.results.result import Result
from ddsweep.testing.tracker import RECIPE, png, track_trial
from ddsweep.trackers.disk import DiskTracker


def test_the_disk_keeps_one_run(tmp_path: Path) -> None:
    tracker = DiskTracker(tmp_path)
    track_trial(tracker)
    track_trial(tracker)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == {"step": 1, "loss/match": 1.5}
    assert lines[1]["accuracy"] == pytest.approx(0.55)
    assert len(lines) == 2
    with Image.open(tmp_path / "synthetic.png") as picture:
        assert picture.getpixel((0, 0)) == (255, 0, 0)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "synthetic_000000.png", "synthetic_000004.png",
    ]  # fmt: skip


def test_the_final_metrics_have_the_class_names_of_the_set(tmp_path: Path) -> None:
    """Not those that the dataset has elsewhere or later: the labels of the set are what the accuracies are of."""
    tracker = DiskTracker(tmp_path)
    tracker.start(RECIPE)
    files.write_tensors(tmp_path / "synthetic.safetensors", {"images": torch.zeros(1)}, {"classes": "owl\njay"})
    tracker.finish(Result(RECIPE, accuracies={"convnet3": [0.4]}, class_accuracy={"convnet3": [0.1, 0.7]}))
    metrics = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert (metrics["class_accuracy/owl"], metrics["class_accuracy/jay"]) == (0.1, 0.7)


def test_the_disk_resumes_after_the_given_step(tmp_path: Path) -> None:
    """Lines and pictures of later steps go, and so do the final metrics and the half line of a killed process."""
    tracker = DiskTracker(tmp_path)
    track_trial(tracker)
    for step in (2, 3):
        tracker.log({"loss/match": float(step)}, step)
        tracker.image("synthetic", png(), step)
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

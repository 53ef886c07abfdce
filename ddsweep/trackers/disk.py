"""The run folder: ``metrics.jsonl`` and the images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import files
from ddsweep.data import class_names
from ddsweep.trackers import Tracker

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result


class DiskTracker(Tracker):
    """Writes to ``folder``: a line of JSON per logged step, ``images/NAME_STEP.png``, and the latest as ``NAME.png``.

    The files describe one run, however often it was interrupted: no step is missing, and none is written twice.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, recipe: Recipe) -> None:
        """Write nothing yet: the files of an interrupted attempt may still be valid."""

    def rewind(self, step: int) -> None:
        """Remove the lines and images of later steps, and the final metrics."""
        path = self._folder / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        files.write_text(path, "".join(f"{line}\n" for line in lines if _is_up_to(line, step)))
        for path in (self._folder / "images").glob("*_*.png"):
            number = path.stem.rpartition("_")[2]
            if not number.isdecimal() or int(number) > step:
                path.unlink(missing_ok=True)

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Append one line."""
        with (self._folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    def image(self, name: str, png: bytes, step: int) -> None:
        """Write the image of this step, and overwrite the latest image of this name."""
        for path in (self._folder / "images" / f"{name}_{step:06d}.png", self._folder / f"{name}.png"):
            files.write_bytes(path, png)

    def finish(self, result: Result) -> None:
        """Append the final metrics."""
        summary = result.summary(class_names.of_run(self._folder, result.recipe.target))
        if summary:
            self.log(summary, result.recipe.iterations)


def _is_up_to(line: str, step: int) -> bool:
    """Whether a line has the metrics of a step up to ``step``; a killed process may have written half a line."""
    try:
        metrics = json.loads(line)
        return metrics["step"] <= step and "accuracy" not in metrics
    except (ValueError, KeyError, TypeError):
        return False


def replay(folder: Path, recipe: Recipe, tracker: Tracker) -> None:
    """Log the scalars and images of a finished run folder to a tracker, in the order of the steps.

    A run folder that was copied from another host has only the last image of each name.
    """
    images = [(_step(path), path.stem.rpartition("_")[0], path) for path in (folder / "images").glob("*_*.png")]
    if not images:
        last = (("real", 0), ("synthetic", recipe.iterations))
        images = [(step, name, path) for name, step in last if (path := folder / f"{name}.png").is_file()]
    remaining = sorted(images)
    for metrics in _metrics(folder / "metrics.jsonl"):
        step = metrics.pop("step")
        while remaining and remaining[0][0] < step:
            _log_image(tracker, *remaining.pop(0))
        tracker.log(metrics, step)
    for image in remaining:
        _log_image(tracker, *image)


def _log_image(tracker: Tracker, step: int, name: str, path: Path) -> None:
    tracker.image(name, path.read_bytes(), step)


def _step(path: Path) -> int:
    number = path.stem.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


def _metrics(path: Path) -> list[dict[str, Any]]:
    """The metrics of the distillation steps, without the final ones."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if _is_up_to(line, sys.maxsize)]

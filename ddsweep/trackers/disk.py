"""The run folder: ``metrics.jsonl`` and the pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import data, files
from ddsweep.trackers import Tracker

if TYPE_CHECKING:
    from PIL.Image import Image

    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result


class DiskTracker(Tracker):
    """Writes into ``folder``: a line of JSON per logged step, ``images/NAME_STEP.png``, and above the last of each.

    What is there belongs to one run, however often that was cut off: no step is there twice, and none is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, recipe: Recipe) -> None:
        """Nothing is written yet: what an attempt that was cut off has left may still count."""
        self._classes = data.info(recipe.target).classes

    def rewind(self, step: int) -> None:
        """Remove what belongs to later steps, and to the end."""
        path = self._folder / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        files.write_text(path, "".join(f"{line}\n" for line in lines if _is_of(line, step)))
        for picture in (self._folder / "images").glob("*_*.png"):
            number = picture.stem.rpartition("_")[2]
            if not number.isdecimal() or int(number) > step:
                picture.unlink(missing_ok=True)

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Append one line."""
        with (self._folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    def image(self, name: str, image: Image, step: int) -> None:
        """Keep the picture of this step, and the latest under the plain name."""
        for path in (self._folder / "images" / f"{name}_{step:06d}.png", self._folder / f"{name}.png"):
            with files.atomic(path) as temporary:
                image.save(temporary)

    def finish(self, result: Result) -> None:
        """Append the final metrics."""
        summary = result.summary(self._classes)
        if summary:
            self.log(summary, result.recipe.iterations)


def _is_of(line: str, step: int) -> bool:
    """Whether a line of metrics tells of a step up to ``step``; the last line of a killed process may be half a one."""
    try:
        metrics = json.loads(line)
        return metrics["step"] <= step and "accuracy" not in metrics
    except (ValueError, KeyError, TypeError):
        return False


def retell(folder: Path, recipe: Recipe, tracker: Tracker) -> None:
    """Tell a tracker what a run that was computed before had told: scalars and pictures, in the order of the steps.

    A run that came from another host has only the last picture of each kind.
    """
    pictures = [(_step(path), path.stem.rpartition("_")[0], path) for path in (folder / "images").glob("*_*.png")]
    if not pictures:
        last = (("real", 0), ("synthetic", recipe.iterations))
        pictures = [(step, name, path) for name, step in last if (path := folder / f"{name}.png").is_file()]
    waiting = sorted(pictures)
    for metrics in _metrics(folder / "metrics.jsonl"):
        step = metrics.pop("step")
        while waiting and waiting[0][0] < step:
            _show(tracker, *waiting.pop(0))
        tracker.log(metrics, step)
    for picture in waiting:
        _show(tracker, *picture)


def _show(tracker: Tracker, step: int, name: str, path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        tracker.image(name, picture, step)


def _step(picture: Path) -> int:
    number = picture.stem.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


def _metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a distillation, without those of its end."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if _is_of(line, sys.maxsize)]

"""The run folder: ``metrics.jsonl`` and the pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import data, files
from ddsweep.trackers.null import NullTracker

if TYPE_CHECKING:
    from PIL.Image import Image

    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result


class DiskTracker(NullTracker):
    """Writes into ``folder``: a line of JSON per logged step, ``images/NAME_STEP.png``, and above the last of each.

    A trial that starts again starts its files again: what is there belongs to one run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, recipe: Recipe) -> None:
        """Empty the metrics of an attempt that did not finish."""
        self._classes = data.info(recipe.target).classes
        files.write_text(self._folder / "metrics.jsonl", "")

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Append one line."""
        with (self._folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    def image(self, name: str, picture: Image, step: int) -> None:
        """Keep the picture of this step, and the latest under the plain name."""
        for path in (self._folder / "images" / f"{name}_{step:06d}.png", self._folder / f"{name}.png"):
            with files.atomic(path) as temporary:
                picture.save(temporary)

    def finish(self, result: Result) -> None:
        """Append the final metrics."""
        summary = result.summary(self._classes)
        if summary:
            self.log(summary, result.recipe.iterations)

"""The tracker that forgets."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import files

if TYPE_CHECKING:
    from PIL.Image import Image

    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result
    from ddsweep.trackers import Tracker

logger = logging.getLogger(__name__)


class NullTracker:
    """Does nothing; the base for trackers that want only some of the calls."""

    def start(self, recipe: Recipe) -> None:
        """Nothing."""

    def progress(self, phase: str, done: int, total: int) -> None:
        """Nothing."""

    def rewind(self, step: int) -> None:
        """Nothing."""

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Nothing."""

    def image(self, name: str, picture: Image, step: int) -> None:
        """Nothing."""

    def finish(self, result: Result) -> None:
        """Nothing."""

    def leave(self, reason: str = "") -> None:
        """Nothing."""


class FanOut:
    """Passes every call to each tracker; one that raises is reported once and left out from then on.

    But for a full disk: the agent pauses until there is room, and nothing is missing from what was told.
    """

    def __init__(self, *trackers: Tracker) -> None:
        self._trackers = list(trackers)

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for tracker in tuple(self._trackers):
            try:
                call(tracker)
            except Exception as error:
                if files.is_full(error):
                    raise
                logger.warning("%s stopped: %s", type(tracker).__name__, error)
                self._trackers.remove(tracker)

    def start(self, recipe: Recipe) -> None:
        """Pass on."""
        self._tell(lambda tracker: tracker.start(recipe))

    def progress(self, phase: str, done: int, total: int) -> None:
        """Pass on."""
        self._tell(lambda tracker: tracker.progress(phase, done, total))

    def rewind(self, step: int) -> None:
        """Pass on."""
        self._tell(lambda tracker: tracker.rewind(step))

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Pass on."""
        self._tell(lambda tracker: tracker.log(metrics, step))

    def image(self, name: str, picture: Image, step: int) -> None:
        """Pass on."""
        self._tell(lambda tracker: tracker.image(name, picture, step))

    def finish(self, result: Result) -> None:
        """Pass on."""
        self._tell(lambda tracker: tracker.finish(result))

    def leave(self, reason: str = "") -> None:
        """Pass on."""
        self._tell(lambda tracker: tracker.leave(reason))


class QueueTracker(NullTracker):
    """Attaches every picture to the point's page. The names sort by step.

    ``attach`` takes a file and its name there; an agent gives ``backends.attach_image`` for its claim.
    """

    def __init__(self, attach: Callable[[Path, str], None]) -> None:
        self._attach = attach

    def image(self, name: str, picture: Image, step: int) -> None:
        """Hand the picture over as a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.png"
            picture.save(path)
            self._attach(path, f"{name}_{step:06d}.png")

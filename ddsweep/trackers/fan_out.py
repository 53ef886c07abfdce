"""One tracker that tells many."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ddsweep import files

if TYPE_CHECKING:
    from PIL.Image import Image

    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result
    from ddsweep.trackers import Tracker

logger = logging.getLogger(__name__)


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

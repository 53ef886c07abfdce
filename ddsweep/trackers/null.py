"""The tracker that forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result


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

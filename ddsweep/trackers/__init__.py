"""Trackers watch a trial and never steer it: one protocol, one file per destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result


class Tracker(Protocol):
    """Where a trial tells what it does. The calls come in this order; progress, log and image repeat.

    A tracker may lose what it is told, but it may not raise: a full disk at a dashboard must not end a distillation.
    """

    def start(self, recipe: Recipe) -> None:
        """The trial begins."""

    def progress(self, phase: str, done: int, total: int) -> None:
        """``phase`` (``pretrain convnet3 0``, ``distill``, ``evaluate``) has done ``done`` of ``total`` steps."""

    def rewind(self, step: int) -> None:
        """Distillation begins (0) or goes on after ``step``: what an earlier attempt told of later ones comes again."""

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Scalars at a distillation step, under the names that are the same everywhere (``loss/match``, …)."""

    def image(self, name: str, picture: Image, step: int) -> None:
        """A picture at a distillation step: ``synthetic`` or ``real``."""

    def finish(self, result: Result) -> None:
        """The trial ended, well or badly."""

    def leave(self, reason: str = "") -> None:
        """The trial ended without an answer and may come again: ``reason`` was raised, or (none) it was interrupted."""

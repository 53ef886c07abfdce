"""Trackers record what a trial does, and never influence it: ``Tracker``, and one module per destination.

``disk`` writes the run folder, ``status`` the progress that ``ddsweep status`` shows, ``queue`` attaches images to the
dashboard, and ``wandb`` logs to W&B. ``FanOut`` passes a trial on to several of them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ddsweep import files

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result

logger = logging.getLogger(__name__)


class Tracker:
    """Base class of all trackers. Every method does nothing; a subclass overrides those it needs.

    An agent may call ``describe``. A trial calls ``start``, then ``progress``, ``rewind``, ``log`` and ``image`` as
    often as needed, then ``finish`` or ``abort``. A tracker may lose what is logged, but it must not raise: an
    unreachable dashboard must not end a distillation. The exception is a full disk, which pauses the agent.
    """

    def describe(self, recipe: Recipe, title: str) -> None:
        """The title of a cell within its sweep, from an agent that is about to start its trial."""

    def start(self, recipe: Recipe) -> None:
        """A trial starts."""

    def progress(self, phase: str, done: int, total: int) -> None:
        """``phase`` (``pretrain convnet3 0``, ``distill``, ``evaluate``) has completed ``done`` of ``total`` steps."""

    def rewind(self, step: int) -> None:
        """Distillation starts (``step`` 0) or resumes after ``step``.

        Whatever an earlier attempt logged for later steps is logged again.
        """

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Scalars at a distillation step; every tracker gets the same names (``loss/match``, …)."""

    def image(self, name: str, png: bytes, step: int) -> None:
        """A grid of images at a distillation step, as a PNG file. ``name`` is ``synthetic`` or ``real``."""

    def finish(self, result: Result) -> None:
        """The trial ended with a result, which may be that it diverged."""

    def abort(self, reason: str = "") -> None:
        """The trial ended without a result and may be repeated; ``reason`` is empty if it was interrupted."""


C = TypeVar("C", bound=type[Tracker])


def forwarding(forward: Callable[[str], Callable[..., None]]) -> Callable[[C], C]:
    """Decorate a tracker that passes every call on: each method of ``Tracker`` becomes ``forward(NAME)``."""

    def decorate(kind: C) -> C:
        for name, method in vars(Tracker).items():
            if not name.startswith("_"):
                setattr(kind, name, functools.wraps(method)(forward(name)))
        return kind

    return decorate


def _to_each(name: str) -> Callable[..., None]:
    """A method of ``FanOut`` that calls the method of this name on each of its trackers."""

    def call_each(self: FanOut, *args: Any, **kwargs: Any) -> None:
        for tracker in tuple(self._trackers):
            try:
                getattr(tracker, name)(*args, **kwargs)
            except Exception as error:
                if files.is_full(error):
                    raise
                logger.warning("%s stopped: %s", type(tracker).__name__, error)
                self._trackers.remove(tracker)

    return call_each


@forwarding(_to_each)
class FanOut(Tracker):
    """Passes every call on to several trackers. One that raises is reported once and gets no further calls.

    Only a full disk raises here too: the agent pauses until there is disk space, so that nothing logged is lost.
    """

    def __init__(self, *trackers: Tracker) -> None:
        self._trackers = list(trackers)

"""Where a measurement looks into a trial: the boundaries of its loops, its tracker, and the folder of a PTM."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ddsweep.checkpoints import Interrupted, Slot, State
from ddsweep.estimate.watch import Watch
from ddsweep.pretrained.spec import Spec
from ddsweep.trackers.disk import DiskTracker

if TYPE_CHECKING:
    from PIL.Image import Image


class Boundaries(Slot):
    """Tells the watch of the boundaries of a loop, and ends the loop when that is enough.

    Attributes:
        images: the synthetic set at the end; None: there was none.
    """

    images: Tensor | None = None

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def offer(self, state: Callable[[], State]) -> None:
        """A boundary. Raises Interrupted."""
        if self._watch.tick():
            self._look(state())
            raise Interrupted

    def save(self, state: State) -> None:
        """The end, which is the last boundary."""
        self._watch.tick()
        self._watch.flush()
        self._look(state)

    def _look(self, state: State) -> None:
        self.images = state.tensors["images"].detach()


class PassBoundaries(Boundaries):
    """The same for a network of an evaluation."""

    def resume(self, restore: Callable[[State], object]) -> None:
        """The network is built, and its first pass begins."""
        self._watch.start()

    def _look(self, state: State) -> None:
        pass


@dataclass(frozen=True)
class Opening:
    """What a distillation does beside its steps.

    Attributes:
        start: seconds before the first step.
        picture: seconds to draw and write a picture.
        first: bytes of the picture before the first step.
        later: bytes of one after some steps.
    """

    start: float
    picture: float
    first: float
    later: float

    def times(self, factor: float) -> Opening:
        """That of a set so many times larger."""
        return Opening(*(factor * value for value in astuple(self)))


class Beginning(DiskTracker):
    """Writes as a trial does, into a folder that does not stay, and times what comes before the first step."""

    def __init__(self, folder: Path, watch: Watch) -> None:
        super().__init__(folder)
        self._watch, self._began = watch, time.perf_counter()
        self._start = self._picture = self._first = 0.0

    def rewind(self, step: int) -> None:
        """The distillation begins."""
        super().rewind(step)
        self._start = time.perf_counter() - self._began
        self._watch.start()

    def image(self, name: str, picture: Image, step: int) -> None:
        """A picture; after the first of them the steps begin."""
        super().image(name, picture, step)
        if not self._first:
            self._picture = time.perf_counter() - self._began - self._start
            self._first = _bytes(picture)
            self._watch.start()

    def opening(self, later: Image | None) -> Opening:
        """What was seen; ``later`` is a picture after some steps, if there is one."""
        return Opening(self._start, self._picture, self._first, _bytes(later) if later else self._first)


def _bytes(picture: Image) -> int:
    file = io.BytesIO()
    picture.save(file, "png")
    return len(file.getvalue())


def aside(one: Spec, batch: int, folder: Path) -> Spec:
    """The same training with another batch, and with its files outside the pool."""
    place = folder

    class Aside(Spec):
        @property
        def folder(self) -> Path:
            return place

    return Aside(**(asdict(one) | {"batch": batch}))

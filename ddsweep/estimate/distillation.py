"""A distillation that is measured: its steps, and what it costs before the first one."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ddsweep import pictures, rng
from ddsweep.checkpoints import Interrupted
from ddsweep.distill.loop import Diverged, distill
from ddsweep.estimate import fixtures
from ddsweep.estimate.boundaries import Boundaries
from ddsweep.estimate.timing import Pace, Watch, affordable
from ddsweep.registry.methods import METHODS
from ddsweep.trackers.disk import DiskTracker

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.numerics import Numerics
    from ddsweep.recipe import Recipe

FEWEST = 2  # classes (or images) of the smallest measurement
LOOKS = 512  # maximum number of images whose features are computed


@dataclass
class Distillation:
    """A distillation of one kind, to be measured.

    Attributes:
        recipe: the recipe with at most two outer loops, because all loops after the first cost the same; in DREAM with
            three, of which the first and the third choose real images.
        data: the dataset that is distilled.
        source: the dataset on which its PTM would have been trained; None: it has no PTM, or a foundation model.
        sync: waits until the device has finished its work.
        limit: seconds after which a run takes no step that is not needed.
        opening: the cost of the last run in addition to its steps.
    """

    recipe: Recipe
    data: Dataset
    source: Dataset | None
    sync: Callable[[], object]
    limit: float = float("inf")
    opening: Opening = field(default_factory=lambda: Opening(0.0, 0.0, 0.0, 0.0))

    @classmethod
    def of(cls, recipe: Recipe, data: Dataset, source: Dataset | None, sync: Callable[[], object]) -> Distillation:
        """Return the distillation of a recipe."""
        if recipe.cclom_batch:  # fewer images: all have features after one or two steps, as in most of a run
            data = fixtures.part(data, len(data.classes), max(recipe.batch_real, recipe.decoded_ipc))
        chooses = recipe.select_every > 0
        changed = {"outer_loops": min(3 if chooses else 2, recipe.outer_loops), "select_every": 2 if chooses else 0}
        return cls(recipe.model_copy(update=changed), data, source, sync)

    def loops(self, pace: Pace) -> list[float]:
        """Return the seconds of each outer loop, which is one step or, in IDC and DREAM, one step per class."""
        each = len(pace.steps) // self.recipe.outer_loops
        return [sum(pace.steps[first : first + each]) for first in range(0, len(pace.steps), each)]

    def run(self, numerics: Numerics, classes: int, seconds: float) -> Pace:
        """Return the pace with the first classes: seconds of each step of an iteration.

        The real images that train the network are in proportion to the classes, so that all parts of a step are.
        """
        some, share, recipe = fixtures.part(self.data, classes), classes / len(self.data.classes), self.recipe
        recipe = recipe.model_copy(update={"net_images": math.ceil(recipe.net_images * share)})
        if METHODS[recipe.method].mixed:
            recipe = recipe.model_copy(update={"batch_real": math.ceil(recipe.batch_real * share)})
        guide = fixtures.guide(recipe, self.data, self.source)
        watch = Watch(seconds, self.sync, METHODS[recipe.method].steps(recipe.outer_loops, classes), self.limit)
        while not watch.enough:
            with tempfile.TemporaryDirectory() as folder:
                tracker, slot = Beginning(Path(folder), watch), Boundaries(watch)
                try:
                    trained = fixtures.trained(recipe, some)
                    distill(recipe, some, guide, rng.Streams(0), tracker, slot, numerics, trained)
                except Diverged:  # the trial will diverge as well; its steps take as long as others
                    watch.tick()
                    watch.flush()
                except Interrupted:
                    break
        drawn = None
        if (end := slot.synthetic) is not None:
            drawn = pictures.grid(pictures.by_class(some.denormalize(end.images), end.ipc), some.classes).png
        self.opening = tracker.opening(drawn).times(len(self.data.classes) / classes)
        return watch.pace

    def look(self, timed: Callable[[Callable[[], object]], float], seconds: float) -> tuple[float, float]:
        """Return the seconds in which a PTM computes the features of one real image, and the bytes of the features.

        Args:
            timed: returns the seconds that a function takes.
            seconds: measuring time.
        """
        if not self.recipe.cclom_batch:
            return 0.0, 0.0
        whole, size = min(LOOKS, len(self.data.labels)), 0

        def run(count: int, seconds: float) -> Pace:
            nonlocal size
            pool = fixtures.guide(self.recipe, self.data, self.source)
            assert pool is not None
            model, chosen = pool.models[0][0], torch.arange(count)
            model.embed(self.data.images[:1])
            with torch.no_grad():  # not by ``features``, which computes whole blocks
                took = timed(lambda: model.embed(self.data.images[chosen]))
                size = model.embed(self.data.images[:1]).nbytes
            return Pace((took,))

        return affordable(run, whole, min(FEWEST, whole), seconds).steps[0] / whole, float(size)


@dataclass(frozen=True)
class Opening:
    """The cost of a distillation in addition to its steps.

    Attributes:
        start: seconds before the first step.
        picture: seconds to render and write a picture.
        first_picture: bytes of the picture before the first step.
        later_picture: bytes of a picture after some steps.
    """

    start: float
    picture: float
    first_picture: float
    later_picture: float

    def times(self, factor: float) -> Opening:
        """Return the cost for a set that is ``factor`` times as large."""
        return Opening(*(factor * value for value in astuple(self)))


class Beginning(DiskTracker):
    """A disk tracker on a temporary folder, which writes as in a trial and times the work before the first step."""

    def __init__(self, folder: Path, watch: Watch) -> None:
        super().__init__(folder)
        self._watch, self._began = watch, time.perf_counter()
        self._start = self._picture = self._first = 0.0

    def rewind(self, step: int) -> None:
        """Record that the distillation starts."""
        super().rewind(step)
        self._start = time.perf_counter() - self._began
        self._watch.start()

    def image(self, name: str, png: bytes, step: int) -> None:
        """Record an image; the steps start after the first."""
        super().image(name, png, step)
        if not self._first:
            self._picture = time.perf_counter() - self._began - self._start
            self._first = len(png)
            self._watch.start()

    def opening(self, later: bytes | None) -> Opening:
        """Return the recorded cost; ``later`` is a picture after some steps, or None."""
        return Opening(self._start, self._picture, self._first, len(later) if later else self._first)

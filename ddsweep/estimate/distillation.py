"""A distillation, to be measured for a few steps at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ddsweep import pictures, rng
from ddsweep.checkpoints import Interrupted
from ddsweep.distill.loop import Diverged, distill
from ddsweep.estimate import stage
from ddsweep.estimate.seams import Beginning, Boundaries, Opening
from ddsweep.estimate.watch import Pace, Watch, affordable

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.numerics import Numerics
    from ddsweep.recipe import Recipe

FEWEST = 2  # classes of the smallest piece of work
LOOKS = 512  # images that a PTM looks at


@dataclass
class Distillation:
    """One kind of distillation.

    Attributes:
        recipe: which; its loops are shortened, because the later ones are all alike.
        data: what is distilled.
        source: what its PTM would have been trained on; None: it has none, or a published one.
        sync: waits until the device has done what it was given.
        opening: what the last run did beside its steps.
    """

    recipe: Recipe
    data: Dataset
    source: Dataset | None
    sync: Callable[[], object]
    opening: Opening = field(default_factory=lambda: Opening(0.0, 0.0, 0.0, 0.0))

    @classmethod
    def of(cls, recipe: Recipe, data: Dataset, source: Dataset | None, sync: Callable[[], object]) -> Distillation:
        """That of a recipe."""
        if recipe.regularizer == "cclom":  # fewer images: all are known after a step or two, as in most of a real run
            data = stage.part(data, len(data.classes), max(recipe.batch_real, recipe.ipc))
        loops = min(2, recipe.outer_loops)
        return cls(recipe.model_copy(update={"outer_loops": loops}), data, source, sync)

    def run(self, numerics: Numerics, classes: int, seconds: float) -> Pace:
        """The pace of its steps with some of the classes: the first of an iteration, and the later ones."""
        recipe, some = self.recipe, stage.part(self.data, classes)
        guide = stage.guide(recipe, self.data, self.source)
        watch = Watch(seconds, self.sync, recipe.outer_loops)
        while not watch.enough:
            with tempfile.TemporaryDirectory() as folder:
                tracker, slot = Beginning(Path(folder), watch), Boundaries(watch)
                try:
                    distill(recipe, some, guide, rng.Streams(0), tracker, slot, numerics)
                except Diverged:  # the trial will find that too; its steps take as long as others
                    watch.tick()
                    watch.flush()
                except Interrupted:
                    break
        drawn = None
        if slot.images is not None:
            drawn = pictures.grid(pictures.by_class(some.denormalise(slot.images), recipe.ipc), some.classes)
        self.opening = tracker.opening(drawn).times(len(self.data.classes) / classes)
        return watch.pace

    def look(self, timed: Callable[[Callable[[], object]], float], seconds: float) -> tuple[float, float]:
        """Seconds in which the PTM looks at an image for the first time (CCLoM), and bytes of what it remembers.

        Args:
            timed: the seconds that something takes.
            seconds: to measure for.
        """
        if self.recipe.regularizer != "cclom":
            return 0.0, 0.0
        whole, size = min(LOOKS, len(self.data.labels)), 0

        def run(count: int, seconds: float) -> Pace:
            nonlocal size
            pool = stage.guide(self.recipe, self.data, self.source)
            assert pool is not None
            model, chosen = pool.models[0][0], torch.arange(count)
            model.embed(self.data.images[:1])
            took = timed(lambda: model.features(self.data, chosen))
            size = model.features(self.data, chosen[:1]).nbytes
            return Pace((took,))

        return affordable(run, whole, min(FEWEST, whole), seconds).steps[0] / whole, float(size)

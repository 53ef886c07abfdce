"""Measurement of each kind of work through the functions that a trial calls."""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from ddsweep import flops, nn, pictures, rng, trial
from ddsweep.checkpoints import Checkpoints, Interrupted, Slot, State
from ddsweep.distill.loop import Diverged, distill
from ddsweep.distill.state import Snapshot
from ddsweep.distill.synthetic import Synthetic
from ddsweep.estimate import fixtures, work
from ddsweep.estimate.timing import Pace, Watch, affordable
from ddsweep.estimate.work import Distilled, Evaluated, Finding, Read, Trained
from ddsweep.evaluate import Rule, evaluate, networks_at_once
from ddsweep.nn.measure import class_accuracy
from ddsweep.numerics import Choice, Numerics, Precision, compile_choice
from ddsweep.pretrained import gan, spec, training
from ddsweep.pretrained.pool import FEATURE_BYTES
from ddsweep.pretrained.spec import Spec
from ddsweep.registry.methods import METHODS
from ddsweep.trackers.disk import DiskTracker

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.numerics import Numerics
    from ddsweep.recipe import Recipe

SMALL_BATCH = 16
FEW_TESTS = 64
# Measures steps of a given size for a number of seconds; 0: as few steps as possible.
Run = Callable[[Numerics, int, float], Pace]
EXPERT_EPOCHS = 50  # of an expert, whose length is not part of its spec; they decide whether compilation pays off
SHORTEST = 20  # minimum epochs of an evaluation: of fewer, none would remain between the warm-up and the final test
FEWEST = 2  # classes (or images) of the smallest measurement
LOOKS = 512  # maximum number of images whose features are computed


class Bench:
    """Measures kinds of work on one device.

    Args:
        device: torch name of the device.
        seconds: measuring time per kind.
        per_class: number of images per class that a step needs, generated if a dataset is not decoded.
    """

    def __init__(self, device: str, seconds: float, per_class: int) -> None:
        self._device, self._seconds, self._per_class = device, seconds, per_class
        self._stages: dict[tuple[str, int], fixtures.Stage] = {}

    def measure(self, kind: work.Kind) -> Finding:
        """Return the measurement of ``kind`` on this device. Raises UserError for data that cannot be read."""
        match kind:
            case work.Loading():
                found = self._stage(kind.name, kind.size)
                return Read(found.seconds, found.images, found.test_images, found.size)
            case work.Training():
                return self._training(kind.spec)
            case work.Distilling():
                return self._distilling(kind.recipe)
            case work.Evaluating():
                return self._evaluating(kind.recipe)

    def _stage(self, name: str, size: int) -> fixtures.Stage:
        if (name, size) not in self._stages:
            self._stages[name, size] = fixtures.Stage.of(name, size, self._device, self._per_class)
        return self._stages[name, size]

    def _numerics(self, precision: str, operations: float) -> Numerics:
        """Choose the numerics as a trial does, for the operations of the whole work rather than the measured part."""
        choice = Choice(cast(Precision, precision), self._device, compile_choice())
        choice.set_up()
        return choice.of(operations)

    def _sync(self) -> None:
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
        elif self._device == "mps":
            torch.mps.synchronize()

    def _timed(self, work: Callable[[], object]) -> float:
        self._sync()
        began = time.perf_counter()
        work()
        self._sync()
        return time.perf_counter() - began

    def _pace(self, run: Run, numerics: Numerics, whole: int, least: int) -> Pace:
        """Return the pace of steps; for compiled steps, separate the warm-up of each trial from that of the first."""

        def once(size: int, seconds: float) -> Pace:
            if not seconds:
                return run(replace(numerics, compile=False), size, 0.0)
            if not numerics.compile:
                pace = run(numerics, size, seconds)
                return Pace(pace.steps, 0.0, pace.warm_up)
            torch.compiler.reset()
            cold = run(numerics, size, 0.0)
            torch.compiler.reset()  # as in a new process: compiled kernels are loaded from disk
            warm = run(numerics, size, seconds)
            return replace(warm, cold=max(0.0, cold.warm_up - warm.warm_up))

        return affordable(once, whole, min(least, whole), self._seconds)

    def _training(self, one: Spec) -> Trained:
        found = self._stage(one.source, one.size)
        data = fixtures.part(found.dataset, len(found.dataset.classes), tests=1)
        planned = flops.training(one, one.epochs or EXPERT_EPOCHS, data) * found.images / len(data.labels)
        numerics = self._numerics(one.precision, planned)
        pace = self._pace(partial(self._train, one, data), numerics, one.batch, SMALL_BATCH)
        if one.is_gan:  # it is not tested
            stored = float(gan.stored_bytes(one, found.dataset))
            return Trained(pace.steps[0], pace.warm_up, pace.cold, 0.0, stored)
        _, test, weights = self._network(one.arch, one.width, found)
        return Trained(pace.steps[0], pace.warm_up, pace.cold, test, weights)

    def _train(self, one: Spec, data: Dataset, numerics: Numerics, batch: int, seconds: float) -> Pace:
        watch = Watch(seconds, self._sync)
        asked = Checkpoints(every=float("inf"), leave=watch.tick)
        while not watch.enough:
            with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Interrupted):
                watch.start()
                ensure, last = gan.ensure if one.is_gan else training.ensure, one.epochs or EXPERT_EPOCHS
                ensure(aside(one, batch, Path(folder)), {last}, data, lambda done, total: None, asked, numerics)
                watch.flush()
        return watch.pace

    def _distilling(self, recipe: Recipe) -> Distilled:
        found = self._stage(recipe.dataset, recipe.size).dataset
        numerics = self._numerics(recipe.precision, flops.distillation(recipe, found))
        distillation = Distillation.of(recipe, found, self._source(recipe), self._sync)
        # TM: a step takes a batch of the set, not all of it
        whole = min(len(found.classes), math.ceil(recipe.batch_syn / recipe.ipc) or len(found.classes))
        pace = self._pace(distillation.run, numerics, whole, FEWEST)
        look, features = distillation.look(self._timed, self._seconds)
        first, *later = distillation.loops(pace)
        return Distilled(
            first,
            later[0] if later else first,
            pace.warm_up,
            pace.cold,
            look,
            features,
            FEATURE_BYTES,
            **asdict(distillation.opening),
            selecting=max(0.0, later[1] - later[0]) if len(later) > 1 else 0.0,
        )

    def _source(self, recipe: Recipe) -> Dataset | None:
        one = next((seeds[0] for seeds in spec.of(recipe)), None)
        return None if one is None or one.foundation else self._stage(one.source, one.size).dataset

    def _evaluating(self, recipe: Recipe) -> Evaluated:
        found = self._stage(recipe.dataset, recipe.size)
        rule = trial.rule_for(recipe, recipe.arch)
        numerics = self._numerics(recipe.precision, flops.evaluation(recipe, recipe.arch, rule, found.dataset))
        run = partial(self._evaluate, recipe, replace(rule, epochs=max(SHORTEST, rule.epochs), checks=1), found.dataset)
        pace = self._pace(run, numerics, len(found.dataset.classes), FEWEST)
        batch, size = min(rule.batch, len(found.dataset.classes) * recipe.decoded_ipc), found.dataset.size
        together = networks_at_once(recipe.eval_nets, batch, size, found.dataset.labels.device, numerics)
        pace = pace.times(1 / together)  # an epoch trains this many networks at once
        build, test, _ = self._network(recipe.arch, recipe.width, found)
        return Evaluated(pace.steps[0], pace.warm_up, pace.cold, build, test)

    def _evaluate(
        self, recipe: Recipe, rule: Rule, data: Dataset, numerics: Numerics, classes: int, seconds: float
    ) -> Pace:
        some = fixtures.part(data, classes, tests=1)
        learned, watch = fixtures.synthetic(some, recipe), Watch(seconds, self._sync)
        while not watch.enough:
            with contextlib.suppress(Interrupted):
                evaluate(
                    learned,
                    some,
                    recipe.arch,
                    recipe.eval_nets,
                    rng.generator(0, "estimate"),
                    rule,
                    width=recipe.width,
                    slots=lambda index: PassBoundaries(watch),
                    numerics=numerics,
                )
        return watch.pace

    def _network(self, arch: str, width: int, found: fixtures.Stage) -> tuple[float, float, float]:
        """Return the seconds to build a network, the seconds of a test on all test images, the bytes of its weights."""
        data, nets = found.dataset, list[nn.Network]()

        def build() -> None:
            shape = {"channels": data.channels, "classes": len(data.classes), "size": data.size, "width": width}
            nets.append(nn.build(arch, **shape, generator=rng.generator(0, "estimate")).to(self._device))

        def test(count: int, seconds: float) -> Pace:
            images, labels = data.test_images[:count], data.test_labels[:count]
            return Pace((self._timed(lambda: class_accuracy(nets[0], images, labels, len(data.classes))),))

        seconds, there = self._timed(build), len(data.test_labels)
        whole = affordable(test, there, min(FEW_TESTS, there), self._seconds)
        weights = sum(tensor.nbytes for tensor in nets[0].state_dict().values())
        return seconds, whole.steps[0] * found.test_images / there, weights


@dataclass
class Distillation:
    """A distillation of one kind, to be measured.

    Attributes:
        recipe: the recipe with at most two outer loops, because all loops after the first cost the same; in DREAM with
            three, of which the first and the third choose real images.
        data: the dataset that is distilled.
        source: the dataset on which its PTM would have been trained; None: it has no PTM, or a foundation model.
        sync: waits until the device has finished its work.
        opening: the cost of the last run in addition to its steps.
    """

    recipe: Recipe
    data: Dataset
    source: Dataset | None
    sync: Callable[[], object]
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
        watch = Watch(seconds, self.sync, METHODS[recipe.method].steps(recipe.outer_loops, classes))
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
            took = timed(lambda: model.features(self.data, chosen))
            size = model.features(self.data, chosen[:1]).nbytes
            return Pace((took,))

        return affordable(run, whole, min(FEWEST, whole), seconds).steps[0] / whole, float(size)


class Boundaries(Slot):
    """Reports the boundaries of a loop to a ``Watch``, and ends the loop once enough was measured.

    Attributes:
        synthetic: the synthetic set at the end; None before.
    """

    synthetic: Synthetic | None = None

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def offer(self, state: Callable[[], State]) -> None:
        """Record a boundary. Raises Interrupted once enough was measured."""
        if self._watch.tick():
            self._look(state())
            raise Interrupted

    def save(self, state: State) -> None:
        """Record the end of the loop, its last boundary."""
        self._watch.tick()
        self._watch.flush()
        self._look(state)

    def _look(self, state: State) -> None:
        if isinstance(state, Snapshot):
            self.synthetic = state.decode()


class PassBoundaries(Boundaries):
    """``Boundaries`` for a network of an evaluation, which has no images to keep."""

    def resume(self, restore: Callable[[State], object]) -> None:
        """Start the clock: the network is built, and its first epoch begins."""
        self._watch.start()

    def _look(self, state: State) -> None:
        pass


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


def aside(one: Spec, batch: int, folder: Path) -> Spec:
    """Return the same training with another batch size, and with its files outside the pool."""
    place = folder

    class Aside(Spec):
        @property
        def folder(self) -> Path:
            return place

    return Aside(**(asdict(one) | {"batch": batch}))

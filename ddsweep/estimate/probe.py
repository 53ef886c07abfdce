"""The measurement of each kind of work, through the functions that a trial calls."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from ddsweep import evaluate, flops, nn, rng, trial
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.estimate import kinds, stage
from ddsweep.estimate.distillation import FEWEST, Distillation
from ddsweep.estimate.findings import Distilled, Evaluated, Finding, Read, Trained
from ddsweep.estimate.seams import PassBoundaries, aside
from ddsweep.estimate.watch import Pace, Watch, affordable
from ddsweep.nn.measure import class_accuracy
from ddsweep.numerics import Choice, Numerics, Precision, wanted
from ddsweep.pretrained import spec, training
from ddsweep.pretrained.pool import KEPT
from ddsweep.pretrained.spec import Spec

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.recipe import Recipe

SMALL_BATCH = 16
FEW_TESTS = 64
Run = Callable[[Numerics, int, float], Pace]  # measures steps of some size for so many seconds; 0: as few as it can
SHORTEST = 20  # passes of an evaluation: of fewer, none would be left between the warm-up and the test at the end


class Bench:
    """Measures kinds of work on one device.

    Args:
        on: the device, as torch spells it.
        seconds: for each kind.
        per_class: images of a class that are generated where a dataset is not decoded; a step needs so many.
    """

    def __init__(self, on: str, seconds: float, per_class: int) -> None:
        self._on, self._seconds, self._per_class = on, seconds, per_class
        self._stages: dict[tuple[str, int], stage.Stage] = {}

    def measure(self, kind: kinds.Kind) -> Finding:
        """What ``kind`` costs here. Raises UserError for data that cannot be read."""
        match kind:
            case kinds.Loading():
                found = self._stage(kind.name, kind.size)
                return Read(found.seconds, found.images, found.test_images, found.size)
            case kinds.Training():
                return self._training(kind.spec)
            case kinds.Distilling():
                return self._distilling(kind.recipe)
            case kinds.Evaluating():
                return self._evaluating(kind.recipe)

    def _stage(self, name: str, size: int) -> stage.Stage:
        if (name, size) not in self._stages:
            self._stages[name, size] = stage.Stage.of(name, size, self._on, self._per_class)
        return self._stages[name, size]

    def _numerics(self, precision: str, operations: float) -> Numerics:
        """As a trial chooses them, for as much work as there really is."""
        choice = Choice(cast(Precision, precision), self._on, wanted())
        choice.set_up()
        return choice.of(operations)

    def _sync(self) -> None:
        if self._on.startswith("cuda"):
            torch.cuda.synchronize(self._on)
        elif self._on == "mps":
            torch.mps.synchronize()

    def _timed(self, work: Callable[[], object]) -> float:
        self._sync()
        began = time.perf_counter()
        work()
        self._sync()
        return time.perf_counter() - began

    def _pace(self, run: Run, numerics: Numerics, whole: int, least: int) -> Pace:
        """The pace of steps: of compiled ones what every trial waits for, and what only the first one does."""

        def once(size: int, seconds: float) -> Pace:
            if not seconds:
                return run(replace(numerics, compile=False), size, 0.0)
            if not numerics.compile:
                pace = run(numerics, size, seconds)
                return Pace(pace.steps, 0.0, pace.warm_up)
            torch.compiler.reset()
            cold = run(numerics, size, 0.0)
            torch.compiler.reset()  # as in another process: what was compiled comes from the disk
            warm = run(numerics, size, seconds)
            return replace(warm, cold=max(0.0, cold.warm_up - warm.warm_up))

        return affordable(once, whole, min(least, whole), self._seconds)

    def _training(self, one: Spec) -> Trained:
        found = self._stage(one.source, one.size)
        data = stage.part(found.dataset, len(found.dataset.classes), tests=1)
        planned = flops.training(one, one.epochs, data) * found.images / len(data.labels)
        numerics = self._numerics(one.precision, planned)
        pace = self._pace(partial(self._train, one, data), numerics, one.batch, SMALL_BATCH)
        _, test, weights = self._network(one.arch, one.width, found)
        return Trained(pace.steps[0], pace.warm_up, pace.cold, test, weights)

    def _train(self, one: Spec, data: Dataset, numerics: Numerics, batch: int, seconds: float) -> Pace:
        watch = Watch(seconds, self._sync)
        asked = Checkpoints(every=float("inf"), leave=watch.tick)
        while not watch.enough:
            with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Interrupted):
                watch.start()
                training.ensure(
                    aside(one, batch, Path(folder)), {one.epochs}, data, lambda done, total: None, asked, numerics
                )
                watch.flush()
        return watch.pace

    def _distilling(self, recipe: Recipe) -> Distilled:
        found = self._stage(recipe.target, recipe.size).dataset
        numerics = self._numerics(recipe.precision, flops.distillation(recipe, found))
        work = Distillation.of(recipe, found, self._source(recipe), self._sync)
        pace = self._pace(work.run, numerics, len(found.classes), FEWEST)
        look, features = work.look(self._timed, self._seconds)
        return Distilled(
            pace.steps[0], pace.steps[-1], pace.warm_up, pace.cold, look, features, KEPT, *astuple(work.opening)
        )

    def _source(self, recipe: Recipe) -> Dataset | None:
        one = next((seeds[0] for seeds in spec.of(recipe)), None)
        return None if one is None or one.foundation else self._stage(one.source, one.size).dataset

    def _evaluating(self, recipe: Recipe) -> Evaluated:
        found = self._stage(recipe.target, recipe.size)
        rule = trial.rule_for(recipe, recipe.arch)
        numerics = self._numerics(recipe.precision, flops.evaluation(recipe, recipe.arch, rule, found.dataset))
        run = partial(self._evaluate, recipe, replace(rule, epochs=max(SHORTEST, rule.epochs), checks=1), found.dataset)
        pace = self._pace(run, numerics, len(found.dataset.classes), FEWEST)
        batch, size = min(rule.batch, len(found.dataset.classes) * recipe.ipc), found.dataset.size
        together = evaluate.at_once(recipe.eval_nets, batch, size, found.dataset.labels.device, numerics)
        pace = pace.times(1 / together)  # a pass of so many networks
        build, test, _ = self._network(recipe.arch, recipe.width, found)
        return Evaluated(pace.steps[0], pace.warm_up, pace.cold, build, test)

    def _evaluate(
        self, recipe: Recipe, rule: evaluate.Rule, data: Dataset, numerics: Numerics, classes: int, seconds: float
    ) -> Pace:
        some = stage.part(data, classes, tests=1)
        learnt, watch = stage.synthetic(some, recipe.ipc), Watch(seconds, self._sync)
        while not watch.enough:
            with contextlib.suppress(Interrupted):
                evaluate.evaluate(
                    learnt, some, recipe.arch, recipe.eval_nets, rng.generator(0, "estimate"), rule, width=recipe.width,
                    slots=lambda index: PassBoundaries(watch), numerics=numerics,
                )  # fmt: skip
        return watch.pace

    def _network(self, arch: str, width: int, found: stage.Stage) -> tuple[float, float, float]:
        """Seconds to build a network, seconds of a test on all test images, bytes of the weights."""
        data, nets = found.dataset, list[nn.Network]()

        def build() -> None:
            shape = {"channels": data.channels, "classes": len(data.classes), "size": data.size, "width": width}
            nets.append(nn.build(arch, **shape, generator=rng.generator(0, "estimate")).to(self._on))

        def test(count: int, seconds: float) -> Pace:
            images, labels = data.test_images[:count], data.test_labels[:count]
            return Pace((self._timed(lambda: class_accuracy(nets[0], images, labels, len(data.classes))),))

        seconds, there = self._timed(build), len(data.test_labels)
        whole = affordable(test, there, min(FEW_TESTS, there), self._seconds)
        weights = sum(tensor.nbytes for tensor in nets[0].state_dict().values())
        return seconds, whole.steps[0] * found.test_images / there, weights

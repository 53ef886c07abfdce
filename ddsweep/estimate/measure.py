"""Measurement of each kind of work through the functions that a trial calls."""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from ddsweep import flops, nn, rng, trial
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.estimate import fixtures, guesses, work
from ddsweep.estimate.boundaries import PassBoundaries
from ddsweep.estimate.distillation import FEWEST, Distillation
from ddsweep.estimate.timing import Pace, Watch, affordable
from ddsweep.estimate.work import Distilled, Evaluated, Finding, Read, Trained
from ddsweep.evaluate import Rule, evaluate, networks_at_once
from ddsweep.nn.measure import class_accuracy
from ddsweep.numerics import Choice, Numerics, Precision, compile_choice
from ddsweep.pretrained import gan, spec, training
from ddsweep.pretrained.pool import FEATURE_BYTES
from ddsweep.pretrained.spec import Spec

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.numerics import Numerics
    from ddsweep.recipe import Recipe

SMALL_BATCH = 16
FEW_TESTS = 64
# Compiling takes too long for a share of the measuring time below COMPILING seconds. Compiled steps of the five methods
# took 0.67 to 0.84 of the time of others on two cores, and half of it on a GPU.
COMPILING = 60.0
COMPILED, COMPILED_DOUBT = 0.7, 0.35
WARM, COLD = 3.0, 20.0  # seconds of compiling with and without compiled kernels in the cache, where not measured
LONG = 2.0  # seconds that a measurement may take, however small its share is
PARTS = 3  # a kind is measured in up to three parts: a pilot, its steps, and a test
# Measures steps of a given size for a number of seconds; 0: as few steps as possible.
Run = Callable[[Numerics, int, float], Pace]
EXPERT_EPOCHS = 50  # of an expert, whose length is not part of its spec; they decide whether compilation pays off
SHORTEST = 20  # minimum epochs of an evaluation: of fewer, none would remain between the warm-up and the final test


class Bench:
    """Measures kinds of work on one device.

    Args:
        device: torch name of the device.
        per_class: number of images per class that a step needs, generated if a dataset is not decoded.
    """

    def __init__(self, device: str, per_class: int) -> None:
        self._device, self._per_class, self._share = device, per_class, 0.0
        self._limit, self._uncompiled = LONG, False
        self._stages: dict[tuple[str, int], fixtures.Stage] = {}

    @property
    def _seconds(self) -> float:
        return self._share / PARTS

    def measure(self, kind: work.Kind, share: float) -> Finding:
        """Return the measurement of ``kind`` on this device.

        Args:
            kind: the kind of work.
            share: seconds that it may take, as far as single steps allow.

        Raises:
            UserError: data cannot be read.
        """
        self._share, self._limit, self._uncompiled = share, max(LONG, share), False
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

    def operations(self, kind: work.Kind) -> Finding | None:
        """Return the finding of a kind with operations in place of seconds (``guesses.operations``)."""
        match kind:
            case work.Training():
                stage = self._stage(kind.spec.source, kind.spec.size)
            case work.Distilling() | work.Evaluating():
                stage = self._stage(kind.recipe.dataset, kind.recipe.size)
            case _:
                return None
        return guesses.operations(kind, stage)

    def _stage(self, name: str, size: int) -> fixtures.Stage:
        if (name, size) not in self._stages:
            self._stages[name, size] = fixtures.Stage.of(name, size, self._device, self._per_class)
        return self._stages[name, size]

    def _numerics(self, precision: str, operations: float) -> Numerics:
        """Choose the numerics as a trial does, for the operations of the whole work rather than the measured part.

        Where there is no time to compile, other steps are measured, and what compilation usually saves is deducted.
        """
        choice = Choice(cast(Precision, precision), self._device, compile_choice())
        choice.set_up()
        numerics = choice.of(operations)
        self._uncompiled = numerics.compile and self._share < COMPILING
        if numerics.compile and not self._uncompiled:
            self._limit = float("inf")
            return numerics
        return replace(numerics, compile=False)

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

        found = affordable(once, whole, min(least, whole), self._seconds, always=numerics.compile)
        if self._uncompiled:
            return replace(found.times(COMPILED), warm_up=WARM, cold=COLD, doubt=found.doubt + COMPILED_DOUBT)
        return found

    def _training(self, one: Spec) -> Trained:
        found = self._stage(one.source, one.size)
        data = fixtures.part(found.dataset, len(found.dataset.classes), tests=1)
        planned = flops.training(one, one.epochs or EXPERT_EPOCHS, data) * found.images / len(data.labels)
        numerics = self._numerics(one.precision, planned)
        pace = self._pace(partial(self._train, one, data), numerics, one.batch, SMALL_BATCH)
        if one.is_gan:  # it is not tested
            stored = float(gan.stored_bytes(one, found.dataset))
            return Trained(pace.steps[0], pace.warm_up, pace.cold, 0.0, stored, pace.doubt)
        _, test, weights = self._network(one.arch, one.width, found)
        return Trained(pace.steps[0], pace.warm_up, pace.cold, test, weights, pace.doubt)

    def _train(self, one: Spec, data: Dataset, numerics: Numerics, batch: int, seconds: float) -> Pace:
        watch = Watch(seconds, self._sync, limit=self._limit)
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
        distillation = replace(Distillation.of(recipe, found, self._source(recipe), self._sync), limit=self._limit)
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
            doubt=pace.doubt,
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
        return Evaluated(pace.steps[0], pace.warm_up, pace.cold, build, test, pace.doubt)

    def _evaluate(
        self, recipe: Recipe, rule: Rule, data: Dataset, numerics: Numerics, classes: int, seconds: float
    ) -> Pace:
        some = fixtures.part(data, classes, tests=1)
        learned, watch = fixtures.synthetic(some, recipe), Watch(seconds, self._sync, limit=self._limit)
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


def aside(one: Spec, batch: int, folder: Path) -> Spec:
    """Return the same training with another batch size, and with its files outside the pool."""
    place = folder

    class Aside(Spec):
        @property
        def folder(self) -> Path:
            return place

    return Aside(**(asdict(one) | {"batch": batch}))

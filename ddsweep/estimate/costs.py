"""What each part of a sweep costs, from what was measured of its kinds."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ddsweep import data, provenance
from ddsweep.estimate import work
from ddsweep.estimate.schedule import Job
from ddsweep.estimate.work import Distilled, Evaluated, Finding, Read, Trained
from ddsweep.pretrained import spec
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result

DESK = (
    0.15  # seconds a cell takes beside its work: claim, locks, files flushed to disk, answer; measured on two CPU cores
)
QUARTERS = 4  # pictures are drawn after each quarter of the iterations, and before the first

F = TypeVar("F", Read, Trained, Distilled, Evaluated)
HEADER = 400  # of a safetensors file: names, shapes, and what is said beside them, without the names of classes
NUMBER = "0.123456789012345678"  # as long as a number in JSON usually is
LOGGED = 100  # lines that a distillation logs, or one per iteration if there are fewer
BOOKS = 4 << 10  # of a cell in the storage: its attributes, heartbeats and notes (SQLite, measured)
NEW_BOOKS = 140 << 10  # of a storage without cells
GENERATOR = 9 << 10  # of the same: a generator's state, and the headers of both files
MOMENTA = 2  # a training keeps its last weights with as many momenta, so that a later epoch goes on from there


@dataclass(frozen=True)
class Prices:
    """The cost of everything in seconds.

    Attributes:
        found: what was measured.
    """

    found: Mapping[work.Kind, Finding]

    def _of(self, kind: work.Kind, what: type[F]) -> F:
        finding = self.found[kind]
        assert isinstance(finding, what)
        return finding

    def read(self, name: str, size: int) -> Read:
        """A dataset."""
        return self._of(work.Loading(name, size), Read)

    def trained(self, one: Spec) -> Trained:
        """A PTM in training."""
        return self._of(work.Training.of(one), Trained)

    def training(self, one: Spec, epochs: Collection[int], there: Collection[int] = ()) -> float:
        """The training of one PTM.

        Args:
            one: which.
            epochs: those that are wanted.
            there: those that are in the pool; it goes on after the last if that is before all that are missing.
        """
        missing = set(epochs) - set(there)
        if not missing:
            return 0.0
        last = max(there, default=0)
        begin = last if last < min(missing) else 0
        batches = math.ceil(self.read(one.source, one.size).images / one.batch)
        found = self.trained(one)
        return found.warm_up + (max(missing) - begin) * batches * found.step + len(missing) * found.test

    def distilling(self, recipe: Recipe) -> float:
        """A distillation, with its pictures."""
        found = self._guides(recipe)
        iteration = sum(one.first + (recipe.outer_loops - 1) * one.step for one in found) / len(found)
        drawn = sum(one.picture for one in found) / len(found) * pictures(recipe)
        return found[0].start + found[0].warm_up + recipe.iterations * iteration + drawn + self.looking(recipe)[0]

    def distilled(self, recipe: Recipe) -> Distilled:
        """What was measured of its distillation, with its first architecture of PTMs."""
        return self._guides(recipe)[0]

    def _guides(self, recipe: Recipe) -> list[Distilled]:
        return [self._of(work.Distilling.of(recipe, arch), Distilled) for arch in recipe.ptm_arch_list or [""]]

    def looking(self, recipe: Recipe) -> tuple[float, float]:
        """The PTMs' first looks at real images (CCLoM), and what it would be if they forgot each step what they saw."""
        if recipe.regularizer != "cclom":
            return 0.0, 0.0
        images = self.read(recipe.target, recipe.size).images
        draws = (
            recipe.cclom_batch * recipe.iterations * recipe.outer_loops / (recipe.n_models * recipe.n_archs)
        )  # of each PTM
        seen = -images * math.expm1(draws * math.log1p(-1 / images)) if images > 1 else images
        ours, forgetful, room = 0.0, 0.0, 0.0
        for found in self._guides(recipe):
            for _ in range(recipe.n_models):
                room += found.features * images
                ours += found.look * (seen if room <= found.room else draws)
                forgetful += found.look * draws
        return ours, forgetful

    def evaluating(self, recipe: Recipe, arch: str) -> float:
        """The evaluation with networks of one architecture."""
        from ddsweep.trial import rule_for

        found, rule = self._of(work.Evaluating.of(recipe, arch), Evaluated), rule_for(recipe, arch)
        tests = sum(rule.is_tested(done) for done in range(1, rule.total_epochs + 1))
        return found.warm_up + recipe.eval_nets * (found.build + rule.total_epochs * found.step + tests * found.test)

    def job(self, recipe: Recipe) -> Job:
        """A cell as the agents see it; without what happens only once."""
        sources = {(one.source, one.size) for one in trainings(recipe)} - {(recipe.target, recipe.size)}
        datasets = [(recipe.target, recipe.size), *sources]
        before = sum(self.read(name, size).seconds for name, size in datasets)
        judging = sum(self.evaluating(recipe, arch) for arch in recipe.eval_archs.split("+"))
        return Job(before, tuple(trainings(recipe)), DESK + self.distilling(recipe) + judging)

    def cold(self, kind: work.Kind) -> float:
        """What the very first steps of a kind take beyond those of other cells."""
        return getattr(self.found[kind], "cold", 0.0)


def trainings(recipe: Recipe) -> Iterator[Spec]:
    """The PTMs that a recipe needs and that are trained here, in the order in which a trial asks for them."""
    return (one for seeds in spec.of(recipe) for one in seeds if not one.foundation)


def pictures(recipe: Recipe) -> int:
    """How many a trial draws: the synthetic set at every quarter, and once the real images."""
    return 1 + len({math.ceil(recipe.iterations * quarter / QUARTERS) for quarter in range(QUARTERS + 1)})


def cell(recipe: Recipe, prices: Prices) -> float:
    """What one cell leaves: its run folder, and the copies of its pictures that the dashboard shows."""
    found, later = prices.distilled(recipe), pictures(recipe) - 2
    # each in the run folder and in the dashboard, the last of either kind once more; two are of images before any step
    drawn = (2 * 2 + 1) * found.first_picture + (2 * later + 1) * found.later_picture
    texts = len(json.dumps(recipe.model_dump(), indent=2)) + _metrics(recipe) + _result(recipe)
    return _synthetic(recipe) + drawn + texts + BOOKS


def _synthetic(recipe: Recipe) -> float:
    row = data.info(recipe.target)
    images = len(row.classes) * recipe.ipc
    return images * (4 * row.channels * recipe.size**2 + 8) + HEADER + sum(len(name) + 2 for name in row.classes)


def _metrics(recipe: Recipe) -> float:
    terms = ["loss/match", "loss/regularizer"] if recipe.regularizer != "none" else ["loss/match"]
    names = ["step", *terms, "steps_per_second", "images_per_second"]
    lines = math.ceil(recipe.iterations / max(1, recipe.iterations // LOGGED))
    classes = data.info(recipe.target).classes
    final = ["accuracy", "accuracy_std", *(f"class_accuracy/{name}" for name in classes)]
    return lines * _line(names) + _line(final)


def _line(names: list[str]) -> float:
    return sum(len(f'"{name}": {NUMBER}, ') for name in names)


def _result(recipe: Recipe) -> float:
    archs, classes = recipe.eval_archs.split("+"), len(data.info(recipe.target).classes)
    numbers = len(archs) * (recipe.eval_nets + classes) * (len(NUMBER) + 8)
    empty = Result(recipe, versions=provenance.versions(), git=provenance.git())
    values = {"recipe": recipe.model_dump(), "versions": empty.versions, "git": empty.git}
    return len(json.dumps(values, indent=2)) + numbers + 500


def ptm(one: Spec, epochs: Collection[int], prices: Prices) -> float:
    """What one PTM takes in the pool when these epochs are added."""
    if not epochs:
        return 0.0
    return prices.trained(one).weights * (len(epochs) + MOMENTA) + GENERATOR

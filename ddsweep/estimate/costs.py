"""The cost of each part of a sweep in seconds and bytes, computed from the measurements of its kinds of work."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ddsweep import data, provenance
from ddsweep.estimate import reads, work
from ddsweep.estimate.reads import Reads
from ddsweep.estimate.schedule import Job
from ddsweep.estimate.work import Distilled, Evaluated, Finding, Read, Trained
from ddsweep.pretrained import spec
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import Recipe
from ddsweep.recipe.real_branch import real_branch
from ddsweep.registry.methods import METHODS
from ddsweep.results.result import Result

# Seconds per cell in addition to its work: claim, locks, flushing files to disk, reporting; measured on two CPU cores.
DESK = 0.15
QUARTERS = 4  # pictures are rendered after each quarter of the iterations, and before the first

F = TypeVar("F", Read, Trained, Distilled, Evaluated)
HEADER = 400  # bytes of a safetensors header: names, shapes and metadata, without the class names
NUMBER = "0.123456789012345678"  # the usual length of a number in JSON
LOGGED = 100  # lines that a distillation logs, or one per iteration if there are fewer
BOOKS = 4 << 10  # bytes of a cell in the storage: attributes, heartbeats and notes (SQLite, measured)
NEW_BOOKS = 140 << 10  # bytes of a storage without cells
GENERATOR = 9 << 10  # bytes of a generator's state in the pool, and of the headers of both files
GENERATOR_HEADER = 5 << 10  # bytes of the names and shapes of the tensors of DiM's generator
MOMENTA = 2  # a training keeps its last weights and their momenta, so that it can resume for more epochs


@dataclass(frozen=True)
class Prices:
    """The cost of each part in seconds.

    Attributes:
        found: the measurements.
        guessed: the kinds that were not measured, whose seconds are computed from their operations.
        reads: what cells read that others compute; a cell that is not in it computes everything itself.
    """

    found: Mapping[work.Kind, Finding]
    guessed: frozenset[work.Kind] = frozenset()
    reads: Mapping[Recipe, Reads] = field(default_factory=dict)

    def bound(self, which: int) -> Prices:
        """Return the lowest (0) or the highest (1) prices that the uncertainty of the measurements allows."""
        return replace(self, found={kind: work.bounds(finding)[which] for kind, finding in self.found.items()})

    def _of(self, kind: work.Kind, what: type[F]) -> F:
        finding = self.found[kind]
        assert isinstance(finding, what)
        return finding

    def read(self, name: str, size: int) -> Read:
        """Return the measurement of a dataset."""
        return self._of(work.Loading(name, size), Read)

    def trained(self, one: Spec) -> Trained:
        """Return the measurement of the training of a PTM."""
        return self._of(work.Training.of(one), Trained)

    def training(self, one: Spec, epochs: Collection[int], there: Collection[int] = ()) -> float:
        """Return the seconds of the training of one PTM.

        Args:
            one: the training.
            epochs: the epochs whose weights are needed.
            there: the epochs in the pool; training resumes after the last if all missing epochs come later.
        """
        missing = set(epochs) - set(there)
        if not missing:
            return 0.0
        last = max(there, default=0)
        begin = last if last < min(missing) else 0
        batches = self.read(one.source, one.size).images / one.batch
        batches = max(1, math.floor(batches)) if one.is_gan else math.ceil(batches)
        found, tests = self.trained(one), 1 if one.is_expert else len(missing)
        return found.warm_up + (max(missing) - begin) * batches * found.step + tests * found.test

    def distilling(self, recipe: Recipe) -> float:
        """Return the seconds of a distillation, with its pictures."""
        found = self._guides(recipe)
        iteration = sum(one.iteration(recipe) for one in found) / len(found)
        drawn = sum(one.picture for one in found) / len(found) * pictures(recipe)
        alone = found[0].start + found[0].warm_up + recipe.iterations * iteration + drawn + self.looking(recipe)[0]
        return alone - self.spared(recipe)

    def spared(self, recipe: Recipe) -> float:
        """Return the seconds of a distillation that reading saves; reading itself is taken to cost nothing."""
        read = self.reads.get(recipe, Reads())
        steps = read.iterations * self._real_branch(recipe) if read.iterations else 0.0
        return steps + read.features * self.looking(recipe)[0]

    def _real_branch(self, recipe: Recipe) -> float:
        """Return the seconds of the real branch of one iteration: a share of a step, of the fastest that has it."""
        images = self.read(recipe.dataset, recipe.size).images / len(data.info(recipe.dataset).classes)
        branch = real_branch(work.Distilling.of(recipe, "").recipe)
        steps = {kind: found for kind, found in self.found.items() if isinstance(kind, work.Distilling)}
        return min(
            reads.real_share(kind.recipe, images) * found.first
            for kind, found in steps.items()
            if isinstance(found, Distilled) and real_branch(kind.recipe) == branch
        )

    def distilled(self, recipe: Recipe) -> Distilled:
        """Return the measurement of the distillation with the first PTM architecture."""
        return self._guides(recipe)[0]

    def _guides(self, recipe: Recipe) -> list[Distilled]:
        return [self._of(work.Distilling.of(recipe, arch), Distilled) for arch in recipe.ptm_arch_list or [""]]

    def looking(self, recipe: Recipe) -> tuple[float, float]:
        """Return the seconds of the PTMs for features of real images, with and without keeping them.

        A guidance that takes real images is assumed to read their features, as CCLoM does.
        """
        if not recipe.cclom_batch:
            return 0.0, 0.0
        images = self.read(recipe.dataset, recipe.size).images
        steps = METHODS[recipe.method].steps(recipe.outer_loops, len(data.info(recipe.dataset).classes))
        draws_in_all = recipe.cclom_batch * recipe.iterations * steps
        draws = draws_in_all / (recipe.n_models * recipe.n_archs)  # per PTM
        seen = -images * math.expm1(draws * math.log1p(-1 / images)) if images > 1 else images
        ours, forgetful, room = 0.0, 0.0, 0.0
        for found in self._guides(recipe):
            for _ in range(recipe.n_models):
                room += found.features * images
                ours += found.look * (seen if room <= found.room else draws)
                forgetful += found.look * draws
        return ours, forgetful

    def evaluating(self, recipe: Recipe, arch: str) -> float:
        """Return the seconds of the evaluation with networks of one architecture."""
        from ddsweep.trial import rule_for

        found, rule = self._of(work.Evaluating.of(recipe, arch), Evaluated), rule_for(recipe, arch)
        tests = sum(rule.is_tested(done) for done in range(1, rule.total_epochs + 1))
        return found.warm_up + recipe.eval_nets * (found.build + rule.total_epochs * found.step + tests * found.test)

    def job(self, recipe: Recipe) -> Job:
        """Return a cell as a job for the agents, without the work that is done once for all cells."""
        sources = {(one.source, one.size) for one in trainings(recipe)} - {(recipe.dataset, recipe.size)}
        datasets = [(recipe.dataset, recipe.size), *sources]
        before = sum(self.read(name, size).seconds for name, size in datasets)
        judging = sum(self.evaluating(recipe, arch) for arch in recipe.eval_archs.split("+"))
        return Job(before, tuple(trainings(recipe)), DESK + self.distilling(recipe) + judging)

    def cold(self, kind: work.Kind) -> float:
        """Return the extra seconds of the very first steps of a kind."""
        return getattr(self.found[kind], "cold", 0.0)


def trainings(recipe: Recipe) -> Iterator[Spec]:
    """Return the PTMs, experts and GAN that a recipe needs and ddsweep trains, in the order of their use."""
    return (one for one in spec.needs([recipe]) if not one.foundation)


def pictures(recipe: Recipe) -> int:
    """Return the number of pictures of a trial: the synthetic set at each quarter, and the real images once."""
    return 1 + len({math.ceil(recipe.iterations * quarter / QUARTERS) for quarter in range(QUARTERS + 1)})


def cell(recipe: Recipe, prices: Prices) -> float:
    """Return the bytes of one cell: its run folder, and the copies of its pictures for the dashboard."""
    found, later = prices.distilled(recipe), pictures(recipe) - 2
    # each is stored in the run folder and in the dashboard, and the last of both kinds (real, synthetic) once more;
    # two of them are rendered before any step
    drawn = (2 * 2 + 1) * found.first_picture + (2 * later + 1) * found.later_picture
    texts = len(json.dumps(recipe.model_dump(), indent=2)) + _metrics(recipe) + _result(recipe)
    return _synthetic(recipe) + _generator(recipe) + drawn + texts + BOOKS


def _synthetic(recipe: Recipe) -> float:
    row = data.info(recipe.target)
    # what the images were decoded from is stored too, and the pixels of whitened images
    images = len(row.classes) * (recipe.decoded_ipc * (2 if recipe.zca else 1) + recipe.ipc * (recipe.factor > 0))
    return images * (4 * row.channels * recipe.size**2 + 8) + HEADER + sum(len(name) + 2 for name in row.classes)


def _generator(recipe: Recipe) -> float:
    """Return the bytes of the generator in the file of a set of DiM, with the noise of its images."""
    if not recipe.gan_epochs:
        return 0.0
    import torch

    from ddsweep.nn import gan

    row, one = data.info(recipe.target), spec.gan(recipe)
    with torch.device("meta"):
        net = gan.Generator(len(row.classes), row.channels, one.size, one.width)
    drawn = 4 * len(row.classes) * recipe.ipc * (gan.FREE + len(row.classes))
    return sum(value.nbytes for value in net.state_dict().values()) + drawn + GENERATOR_HEADER


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
    """Return the bytes of one PTM or expert in the pool when these epochs are added."""
    if not epochs:
        return 0.0
    last = 1 if one.is_gan else MOMENTA  # the weights of a GAN are stored with their momenta anyway
    return prices.trained(one).weights * (len(epochs) + last) + GENERATOR

"""What each part of a sweep costs, from what was measured of its kinds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ddsweep.estimate import kinds
from ddsweep.estimate.findings import Distilled, Evaluated, Finding, Read, Trained
from ddsweep.estimate.schedule import Job
from ddsweep.pretrained import spec
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import Recipe

DESK = (
    0.15  # seconds a cell takes beside its work: claim, locks, files flushed to disk, answer; measured on two CPU cores
)
QUARTERS = 4  # pictures are drawn after each quarter of the iterations, and before the first

F = TypeVar("F", Read, Trained, Distilled, Evaluated)


@dataclass(frozen=True)
class Prices:
    """The cost of everything in seconds.

    Attributes:
        found: what was measured.
    """

    found: Mapping[kinds.Kind, Finding]

    def _of(self, kind: kinds.Kind, what: type[F]) -> F:
        finding = self.found[kind]
        assert isinstance(finding, what)
        return finding

    def read(self, name: str, size: int) -> Read:
        """A dataset."""
        return self._of(kinds.Loading(name, size), Read)

    def trained(self, one: Spec) -> Trained:
        """A PTM in training."""
        return self._of(kinds.Training.of(one), Trained)

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
        return [self._of(kinds.Distilling.of(recipe, arch), Distilled) for arch in recipe.ptm_archs or [""]]

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

        found, rule = self._of(kinds.Evaluating.of(recipe, arch), Evaluated), rule_for(recipe, arch)
        tests = sum(rule.tested(done) for done in range(1, rule.passes + 1))
        return found.warm_up + recipe.eval_nets * (found.build + rule.passes * found.step + tests * found.test)

    def job(self, recipe: Recipe) -> Job:
        """A cell as the agents see it; without what happens only once."""
        sources = {(one.source, one.size) for one in trainings(recipe)} - {(recipe.target, recipe.size)}
        datasets = [(recipe.target, recipe.size), *sources]
        before = sum(self.read(name, size).seconds for name, size in datasets)
        judging = sum(self.evaluating(recipe, arch) for arch in recipe.eval_archs.split("+"))
        return Job(before, tuple(trainings(recipe)), DESK + self.distilling(recipe) + judging)

    def cold(self, kind: kinds.Kind) -> float:
        """What the very first steps of a kind take beyond those of other cells."""
        return getattr(self.found[kind], "cold", 0.0)


def trainings(recipe: Recipe) -> Iterator[Spec]:
    """The PTMs that a recipe needs and that are trained here, in the order in which a trial asks for them."""
    return (one for seeds in spec.of(recipe) for one in seeds if not one.foundation)


def pictures(recipe: Recipe) -> int:
    """How many a trial draws: the synthetic set at every quarter, and once the real images."""
    return 1 + len({math.ceil(recipe.iterations * quarter / QUARTERS) for quarter in range(QUARTERS + 1)})

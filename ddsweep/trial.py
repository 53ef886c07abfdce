"""The waist: ``run(recipe) -> Result``. Above it small dicts, below it tensors."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from ddsweep import data, device, files, flops, numerics, pictures, plugins, provenance, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Slot
from ddsweep.clock import Clock
from ddsweep.data.dataset import Dataset
from ddsweep.distill.loop import Diverged, distill
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError
from ddsweep.evaluate import Evaluation, Rule, evaluate, named
from ddsweep.numerics import Choice, Compile
from ddsweep.pretrained import pool as ptm_pool
from ddsweep.pretrained import published, renormalize, spec, training
from ddsweep.pruning import Looks, WatchedSlot
from ddsweep.pruning import Pruned as Pruned
from ddsweep.recipe import Recipe, verify
from ddsweep.registry.datasets import FOLDER_PREFIX
from ddsweep.results import result as results
from ddsweep.results.result import Result
from ddsweep.trackers import FanOut, Tracker
from ddsweep.trackers.disk import DiskTracker, retell

Wanted = Mapping[spec.Spec, set[int]]
CHECKPOINT = "checkpoint"  # folder within that of a run, until the run has finished


def run(
    recipe: Recipe, tracker: Tracker, on: str, runs: Path, wanted: Wanted | None = None,
    checkpoints: Checkpoints | None = None, compile: Compile | None = None, *, looks: Looks | None = None,
) -> Result:  # fmt: skip
    """Train or load the PTMs, distill, evaluate. Given device and versions, a pure function of the recipe.

    A finished run is returned as it is, never computed again; one that was cut off goes on from its last checkpoint,
    and on the CPU ends in the same bits. When another process computes the same recipe at this moment, this one waits.

    Args:
        recipe: the experiment.
        tracker: is told what happens; cannot change it.
        on: the device, as torch spells it.
        runs: the folder of all runs; this one's is ``runs/KEY``.
        wanted: epochs that other cells need of the same PTMs, to be kept in the same training (``spec.needs``).
        checkpoints: when to save, and whether to leave; default: every five minutes, and never.
        compile: whether to compile what is computed most often; ``auto``: where the work repays it. Default:
            ``numerics.wanted``.
        looks: when the distillation is looked at on its way, and who may end it there; default: never.

    Returns:
        The result; its ``state`` is ``failed`` when the loss diverged.

    Raises:
        UserError: data, disk, a plugin of another version: something that the user can put right.
        Interrupted: asked to leave; the state is saved.
        Pruned: ended on its way by who is told of ``looks``; the state is saved.
    """
    folder = runs / recipe.key()
    with files.lock(runs / ".locks" / f"{recipe.key()}.lock"):
        if (finished := results.read(folder)) is not None:
            check_images(finished, folder)
            _clear(folder)
            tracker.start(recipe)
            retell(folder, recipe, tracker)
            tracker.finish(finished)
            return finished
        verify([recipe])
        telling = FanOut(DiskTracker(folder), tracker)
        telling.start(recipe)
        files.write_json(folder / "recipe.json", recipe.model_dump())
        choice = Choice(recipe.precision, on, compile or numerics.wanted())
        one = _Trial.of(recipe, telling, choice, folder, checkpoints or Checkpoints())
        result = replace(one, looks=looks).run(wanted or spec.needs([recipe]))
        telling.finish(result)
        result.write(folder)
        _clear(folder)
        return result


def _clear(folder: Path) -> None:
    """Remove what a finished run no longer needs: checkpoints, and what processes that were killed have left."""
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    for place in (folder, folder / "images"):
        files.clear_temporaries(place)


def check_images(finished: Result, folder: Path) -> None:
    """An image folder may have changed since a run was made from it; its path, and so the key, is the same.

    Raises:
        UserError: it has.
    """
    recipe = finished.recipe
    then = finished.data.get(recipe.target)
    if not (recipe.target.startswith(FOLDER_PREFIX) and then):
        return
    if data.load(recipe.target, recipe.size).checksum != then:
        raise UserError(f"{folder}: was made from other images of {recipe.target}; move it away")


@dataclass(frozen=True)
class _Trial:
    """A trial at work.

    Attributes:
        recipe: the experiment.
        tracker: is told what happens.
        choice: the device, and how it computes.
        folder: that of the run.
        checkpoints: when to save.
        clock: how long it has taken.
        checksums: of the data that were read so far.
        looks: at the distillation on its way.
    """

    recipe: Recipe
    tracker: Tracker
    choice: Choice
    folder: Path
    checkpoints: Checkpoints
    clock: Clock
    checksums: dict[str, str]
    looks: Looks | None = None

    @classmethod
    def of(cls, recipe: Recipe, tracker: Tracker, choice: Choice, folder: Path, checkpoints: Checkpoints) -> _Trial:
        """A trial that begins, or goes on."""
        clock = Clock(folder / CHECKPOINT / "seconds.json")

        def saved() -> None:
            files.flush(folder / "metrics.jsonl")  # the checkpoint counts on what was logged before it
            clock.write()

        return cls(recipe, tracker, choice, folder, replace(checkpoints, saved=saved), clock, {})

    def run(self, wanted: Wanted) -> Result:
        """PTMs, distillation, evaluation."""
        recipe, clock, on = self.recipe, self.clock, self.choice.device
        self.choice.set_up()
        streams = rng.Streams(recipe.seed)
        dataset = data.load(recipe.target, recipe.size, on)
        self.checksums[recipe.target] = dataset.checksum
        _show_real(dataset, recipe.ipc, self.tracker)
        with clock("pretrain"):
            pool = self._pool(dataset, wanted)
        finding = Result(
            recipe, device=device.describe(on), versions=provenance.versions() | plugins.versions(recipe.plugins),
            git=provenance.git(), data=self.checksums,
        )  # fmt: skip
        try:
            with clock("distill"):
                numbers = self.choice.of(flops.distillation(recipe, dataset))
                synthetic = distill(recipe, dataset, pool, streams, self.tracker, self._watched(dataset), numbers)
        except Diverged as reason:
            return replace(finding, seconds=clock.seconds, state="failed", reason=str(reason))
        save(synthetic, recipe, dataset, self.folder)
        with clock("evaluate"):
            found = self._evaluate(synthetic, dataset, streams.evaluation)
        return replace(
            finding, seconds=clock.seconds,
            accuracies={arch: evaluation.accuracies for arch, evaluation in found.items()},
            class_accuracy={arch: evaluation.class_accuracy for arch, evaluation in found.items()},
        )  # fmt: skip

    def _slot(self, name: str, **further: str) -> FileSlot:
        """Where a part of the trial keeps its checkpoints; they count for this recipe and these data only."""
        owner = {"key": self.recipe.key(), "data": json.dumps(self.checksums, sort_keys=True), **further}
        return FileSlot(self.folder / CHECKPOINT / f"{name}.safetensors", owner, self.checkpoints)

    def _watched(self, dataset: Dataset) -> Slot:
        """The slot of the distillation, with the looks that are wanted."""
        slot = self._slot("distill")
        if self.looks is None:
            return slot
        record = self.folder / CHECKPOINT / "looks.json"
        return WatchedSlot(slot, self.looks, partial(self._measure, dataset), record)

    def _measure(self, dataset: Dataset, images: torch.Tensor, step: int) -> float:
        """The accuracy on the set as it is after ``step``: of one network, trained by the rule of the recipe.

        With a quarter of the epochs an α of 1000 looked better than the 100 that was better in the end.
        """
        recipe, evaluated = self.recipe, self.recipe.eval_archs.split("+")
        arch = recipe.arch if recipe.arch in evaluated else evaluated[0]
        labels = torch.arange(len(dataset.classes), device=images.device).repeat_interleave(recipe.ipc)
        found = evaluate(
            Synthetic(images, labels, recipe.ipc), dataset, arch, 1, rng.generator(recipe.seed, "look", step),
            rule_for(recipe, arch), width=recipe.width, numerics=self.choice.of(0),
            progress=partial(self.tracker.progress, f"look {arch}"),
        )  # fmt: skip
        self.tracker.log({"accuracy_so_far": found.mean}, step)
        return found.mean

    def _network_slot(self, arch: str, judged: str, index: int) -> FileSlot:
        return self._slot(f"evaluate-{arch}-{index}", judged=judged)

    def _pool(self, dataset: Dataset, wanted: Wanted) -> ptm_pool.Pool | None:
        recipe, specs = self.recipe, spec.of(self.recipe)
        if not specs:
            return None
        if foundation := specs[0][0].foundation:
            self.tracker.progress(f"pretrained {foundation.name}", 0, 1)
            self.checksums[recipe.source] = published.ensure(foundation)
            self.tracker.progress(f"pretrained {foundation.name}", 1, 1)
            return published.load(foundation, dataset)
        source = dataset if recipe.source == "target" else data.load(recipe.source, device=self.choice.device)
        self.checksums[recipe.source_dataset] = source.checksum
        for one in (one for seeds in specs for one in seeds):
            tell = partial(self.tracker.progress, f"pretrain {one.arch} {one.seed}")
            tell(0, recipe.ptm_epoch)
            epochs = {recipe.ptm_epoch, *wanted.get(one, ())}
            numbers = self.choice.of(flops.training(one, max(epochs), source))
            training.ensure(one, epochs, source, tell, self.checkpoints, numbers)
        view = renormalize.restated(dataset, source) if recipe.ptm_statistics == "source" else None
        return ptm_pool.load(specs, recipe.ptm_epoch, source, view)

    def _evaluate(self, synthetic: Synthetic, dataset: Dataset, generator: torch.Generator) -> dict[str, Evaluation]:
        recipe = self.recipe
        judged = hashlib.sha256(synthetic.images.cpu().numpy().tobytes()).hexdigest()[:16]
        found = {}
        for arch in recipe.eval_archs.split("+"):
            rule = rule_for(recipe, arch)
            found[arch] = evaluate(
                synthetic, dataset, arch, recipe.eval_nets, generator, rule, width=recipe.width,
                progress=partial(self.tracker.progress, f"evaluate {arch}"),
                slots=partial(self._network_slot, arch, judged),
                numerics=self.choice.of(flops.evaluation(recipe, arch, rule, dataset)),
            )  # fmt: skip
        return found


def rule_for(recipe: Recipe, arch: str) -> Rule:
    """How ``arch`` is evaluated: the recipe's rule, with the recipe's numbers in place of the rule's own."""
    rule = named(recipe.eval_rule, recipe.eval_strategy, recipe.target, arch)
    return replace(rule, epochs=recipe.eval_epochs or rule.epochs, batch=recipe.eval_batch, lr=recipe.eval_lr)


def _show_real(dataset: Dataset, ipc: int, tracker: Tracker) -> None:
    """One picture of real images to compare with: the first of each class."""
    most = min(10, ipc, min(len(indices) for indices in dataset.per_class))
    images = torch.stack([dataset.images[indices[:most]] for indices in dataset.per_class])
    real = dataset.denormalize(images.flatten(0, 1)).unflatten(0, images.shape[:2])
    tracker.image("real", pictures.grid(real, dataset.classes), 0)


def save(synthetic: Synthetic, recipe: Recipe, dataset: Dataset, folder: Path) -> None:
    """Write ``synthetic.safetensors``: images in normalized space, labels, and what a reader needs to know of them."""
    metadata = {
        "dataset": recipe.target, "classes": "\n".join(dataset.classes), "mean": str(list(dataset.mean)),
        "std": str(list(dataset.std)), "ipc": str(recipe.ipc), "method": recipe.method, "key": recipe.key(),
    }  # fmt: skip
    tensors = {"images": synthetic.images, "labels": synthetic.labels}
    files.write_tensors(folder / "synthetic.safetensors", tensors, metadata)

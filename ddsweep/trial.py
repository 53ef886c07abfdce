"""The center of the code: ``run(recipe) -> Result``. Its callers handle small dicts of scalars, it handles tensors."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch

from ddsweep import (
    checked_files,
    device,
    files,
    flops,
    numerics,
    pictures,
    plugins,
    provenance,
    rng,
)
from ddsweep.checkpoints import Checkpoints, FileSlot, Slot
from ddsweep.clock import Clock
from ddsweep.data.dataset import Dataset
from ddsweep.data.progress import Listener, reported_to
from ddsweep.distill.loop import Distillation
from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import Damaged, Diverged, UserError
from ddsweep.evaluate import Evaluation, Rule, evaluate, named
from ddsweep.numerics import Choice, Compile, Numerics
from ddsweep.plugins.guards import keeps_settings
from ddsweep.prerequisites import Datasets, Prerequisites, PtmEpochs
from ddsweep.pretrained import spec
from ddsweep.pretrained.pool import Pool
from ddsweep.pruning import Pruned as Pruned
from ddsweep.pruning import Pruning, PruningSlot
from ddsweep.recipe import Recipe, verify
from ddsweep.recipe.real_branch import real_branch
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import TABLE as NETWORKS
from ddsweep.registry.ptms import PTMS
from ddsweep.results import image_checksums, stored
from ddsweep.results.result import Result
from ddsweep.results.run_files import SET
from ddsweep.shared.sharing import Sharing
from ddsweep.shared.tally import Tally
from ddsweep.trackers import FanOut, Tracker
from ddsweep.trackers.disk import DiskTracker, replay

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint"  # folder within that of a run, until the run has finished


@dataclass(frozen=True)
class Group:
    """What trials have in common whose distillations are advanced in lockstep.

    Attributes:
        datasets: the real images that one of them has loaded, for the others.
    """

    datasets: Datasets = field(default_factory=dict)


@keeps_settings
def run(
    recipe: Recipe,
    tracker: Tracker,
    device: str,
    runs: Path,
    ptm_epochs_needed: PtmEpochs | None = None,
    checkpoints: Checkpoints | None = None,
    compile: Compile | None = None,
    *,
    pruning: Pruning | None = None,
    recompute: bool = False,
) -> Result:
    """Train or load the PTMs, distill, evaluate. Given device and versions, a pure function of the recipe.

    A finished run is returned as it is, never computed again; an interrupted one resumes from its last checkpoint, and
    on the CPU ends in the same bits. If another process is computing the same recipe, this one waits.

    Args:
        recipe: the experiment.
        tracker: follows the trial; it cannot change it.
        device: the device, as torch spells it.
        runs: the folder of all runs; this one's is ``runs/KEY``.
        ptm_epochs_needed: epochs that other cells need of the same PTMs, saved during the same training
            (``spec.needs``).
        checkpoints: when to save, and whether to stop; default: every five minutes, and never.
        compile: whether to use torch.compile; ``auto``: only where it pays off. Default: ``numerics.compile_choice``.
        pruning: when the synthetic set is evaluated during the distillation, and who may end the trial then; default:
            never.
        recompute: also compute again what was computed from other images, or whose other files are damaged. A damaged
            result is always computed again. What is replaced is kept (``stored.set_aside``).

    Returns:
        The result; its ``state`` is ``failed`` when the loss diverged.

    Raises:
        UserError: missing data, a full disk, a plugin of another version, a finished run of other images: something
            that the user can fix.
        Interrupted: asked to stop; the state is saved.
        Pruned: ended early by ``pruning``; the state is saved.
    """
    trial = stages(
        recipe, tracker, device, runs, ptm_epochs_needed, checkpoints, compile, pruning=pruning, recompute=recompute
    )
    while True:
        try:
            next(trial)  # the distillation, which the trial takes to its end
        except StopIteration as end:
            return cast(Result, end.value)


Stages = Generator[Distillation, None, Result]


def stages(
    recipe: Recipe,
    tracker: Tracker,
    device: str,
    runs: Path,
    ptm_epochs_needed: PtmEpochs | None = None,
    checkpoints: Checkpoints | None = None,
    compile: Compile | None = None,
    *,
    pruning: Pruning | None = None,
    recompute: bool = False,
    group: Group | None = None,
) -> Stages:
    """What ``run`` does, with a stop before the distillation: it is yielded, and ends as ``Distillation.finish`` does.

    The caller can advance it first, in lockstep with those of other trials. Arguments and exceptions are those of
    ``run``.

    Args:
        group: what the trials of a group have in common; None: the trial is on its own.

    Raises:
        Locked: another process is computing the same recipe, and the trial is of a group, which does not wait.
    """
    folder = runs / recipe.key()
    with files.lock(runs / ".locks" / f"{recipe.key()}.lock", wait=group is None):
        with reported_to(Listener.of_phases(tracker.progress)):
            finished = _finished(recipe, folder, recompute)
        if finished is not None:
            _clear(folder)
            tracker.start(recipe)
            replay(folder, recipe, tracker)
            tracker.finish(finished)
            return finished
        verify([recipe])
        trackers = FanOut(DiskTracker(folder), tracker)
        trackers.start(recipe)
        files.write_json(folder / "recipe.json", recipe.model_dump())
        choice = Choice(recipe.precision, device, compile or numerics.compile_choice())
        trial = _Trial.of(recipe, trackers, choice, folder, checkpoints or Checkpoints(), group)
        result = yield from replace(trial, pruning=pruning).run(ptm_epochs_needed or spec.needs([recipe]))
        trackers.finish(result)
        result = result.write(folder)
        _clear(folder)
        return result


def _clear(folder: Path) -> None:
    """Remove what a finished run no longer needs: checkpoints, and temporary files of processes that were killed."""
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    for parent in (folder, folder / "images"):
        files.clear_temporaries(parent)


def _finished(recipe: Recipe, folder: Path, recompute: bool) -> Result | None:
    """Return the result of a finished run; None if the recipe has to be computed, for the first time or again.

    Raises:
        UserError: it was computed from other images, and ``recompute`` is False.
    """
    try:
        finished = stored.read(folder, recipe, {})
        if finished is not None:  # images are decoded only if there is a result to compare them with
            finished = stored.read(folder, recipe, image_checksums.compute([recipe]))
        if recompute and (reasons := stored.check_files([folder.name], folder.parent)):
            raise Damaged(reasons[folder.name])
    except stored.OtherImages as reason:
        if not recompute:
            raise UserError(f"{reason}; to compute it again from the present images, add --recompute") from None
        _set_aside(folder, reason)
    except Damaged as reason:
        _set_aside(folder, reason)
    else:
        return finished
    return None


def _set_aside(folder: Path, reason: UserError) -> None:
    logger.warning("%s: it is kept as %s, and computed again", reason, stored.set_aside(folder))


@dataclass(frozen=True)
class _Trial:
    """A running trial.

    Attributes:
        recipe: the experiment.
        tracker: follows the trial.
        choice: the device, and how it computes.
        folder: the run folder.
        checkpoints: when to save.
        clock: how long it has taken.
        tally: what it has read and computed of what cells share.
        needed: makes what the distillation starts from, and knows the checksums of the data read so far.
        pruning: when the synthetic set is evaluated during the distillation, and who may end the trial then.
        grouped: whether its steps are taken in lockstep with those of other trials, and their time is shared.
    """

    recipe: Recipe
    tracker: Tracker
    choice: Choice
    folder: Path
    checkpoints: Checkpoints
    clock: Clock
    tally: Tally
    needed: Prerequisites
    pruning: Pruning | None = None
    grouped: bool = False

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        tracker: Tracker,
        choice: Choice,
        folder: Path,
        checkpoints: Checkpoints,
        group: Group | None = None,
    ) -> _Trial:
        """A trial that starts or resumes."""
        clock, tally = Clock(folder / CHECKPOINT / "seconds.json"), Tally(folder / CHECKPOINT / "shared.json")
        tell = checkpoints.saved

        def saved() -> None:
            files.flush(folder / "metrics.jsonl")  # the checkpoint relies on what was logged before it
            clock.write()
            tally.write()
            tell()

        checkpoints = replace(checkpoints, saved=saved)
        needed = Prerequisites.of(recipe, tracker, checkpoints, choice, group.datasets if group else None)
        return cls(recipe, tracker, choice, folder, checkpoints, clock, tally, needed, grouped=group is not None)

    def run(self, ptm_epochs_needed: PtmEpochs) -> Stages:
        """PTMs, distillation, which is yielded before it is finished, and evaluation."""
        recipe, clock = self.recipe, self.clock
        self.choice.set_up()
        streams = rng.Streams(recipe.seed)
        dataset = self.needed.dataset()
        _show_real(dataset, recipe.ipc, self.tracker)
        with clock("pretrain"):
            pool = self.needed.pool(dataset, ptm_epochs_needed)
        result = Result(
            recipe,
            device=device.describe(self.choice.device),
            versions=provenance.versions() | plugins.versions(recipe.plugins),
            git=provenance.git(),
            data=self.needed.checksums,
            made=dataset.made,
            classes=list(dataset.classes),
        )
        try:
            with clock("pretrain"):
                trained = self.needed.of_method(dataset)
            with clock("distill"):
                numbers = self.choice.of(flops.distillation(recipe, dataset))
                slot = self._distill_slot(dataset)
            with closing(self._sharing(dataset, numbers)) as shared, closing(self._of_ptms(dataset, pool)):
                provided = {**trained, "shared": shared}
                with clock("distill"):
                    one = Distillation.start(recipe, dataset, pool, streams, self.tracker, slot, numbers, provided)
                with clock("distill", (lambda: one.seconds) if self.grouped else time.monotonic):
                    yield one
                    learned = one.finish()
        except Diverged as reason:
            return replace(result, seconds=clock.seconds, shared=self.tally.counts, state="failed", reason=str(reason))
        save(learned, recipe, dataset, self.folder)
        with clock("evaluate"):
            evaluations = self._evaluate(learned.decode().detached(), dataset, streams.evaluation)
        return replace(
            result,
            seconds=clock.seconds,
            shared=self.tally.counts,
            accuracies={arch: evaluation.accuracies for arch, evaluation in evaluations.items()},
            class_accuracy={arch: evaluation.class_accuracy for arch, evaluation in evaluations.items()},
            group_accuracy={arch: found.group_accuracy for arch, found in evaluations.items() if found.group_accuracy},
        )

    def _sharing(self, dataset: Dataset, numerics: Numerics) -> Sharing:
        """What this cell has in common with others."""
        recipe = self.recipe
        own = METHODS.code(recipe.method) or NETWORKS.code(recipe.arch)
        plugins = recipe.plugins if own else ""
        return self.tally.add(Sharing.of(dataset, numerics, real_branch(recipe), plugins))

    def _of_ptms(self, dataset: Dataset, pool: Pool | None) -> Sharing:
        """What the PTMs of this cell have in common with others: features of real images."""
        if pool is None:
            return Sharing.off()
        recipe = self.recipe
        own = PTMS.code(recipe.source) or any(map(NETWORKS.code, recipe.ptm_arch_list))
        numbers = Numerics(recipe.precision, device=self.choice.device)  # they are never compiled
        shared = self.tally.add(Sharing.of(dataset, numbers, {}, recipe.plugins if own else ""))
        pool.share(shared)
        return shared

    def _slot(self, name: str, **further: str) -> FileSlot:
        """Where a part of the trial keeps its checkpoints; they are valid for this recipe and these data only."""
        owner = {"key": self.recipe.key(), "data": json.dumps(self.needed.checksums, sort_keys=True), **further}
        return FileSlot(self.folder / CHECKPOINT / f"{name}.safetensors", owner, self.checkpoints)

    def _distill_slot(self, dataset: Dataset) -> Slot:
        """Where the distillation keeps its checkpoints, with intermediate evaluations if it can be pruned."""
        slot = self._slot("distill")
        if self.pruning is None:
            return slot
        record = self.folder / CHECKPOINT / "looks.json"
        return PruningSlot(slot, self.pruning, partial(self._measure, dataset), record)

    def _measure(self, dataset: Dataset, synthetic: Synthetic, step: int) -> float:
        """The accuracy of the synthetic set after ``step``: one network, trained by the recipe's evaluation rule.

        With a quarter of the epochs, α = 1000 ranked above α = 100, which was better at the end.
        """
        recipe, evaluated = self.recipe, self.recipe.eval_archs.split("+")
        arch = recipe.arch if recipe.arch in evaluated else evaluated[0]
        evaluation = evaluate(
            synthetic,
            dataset,
            arch,
            1,
            rng.generator(recipe.seed, "look", step),
            rule_for(recipe, arch),
            width=recipe.width,
            numerics=self.choice.of(0),
            progress=partial(self.tracker.progress, f"intermediate evaluation {arch}"),
        )
        self.tracker.log({"accuracy_so_far": evaluation.mean}, step)
        return evaluation.mean

    def _network_slot(self, arch: str, judged: str, index: int) -> FileSlot:
        return self._slot(f"evaluate-{arch}-{index}", judged=judged)

    def _evaluate(self, synthetic: Synthetic, dataset: Dataset, generator: torch.Generator) -> dict[str, Evaluation]:
        recipe = self.recipe
        judged = hashlib.sha256(synthetic.images.cpu().numpy().tobytes()).hexdigest()[:16]
        evaluations = {}
        for arch in recipe.eval_archs.split("+"):
            rule = rule_for(recipe, arch)
            evaluations[arch] = evaluate(
                synthetic, dataset, arch, recipe.eval_nets, generator, rule, width=recipe.width,
                progress=partial(self.tracker.progress, f"evaluate {arch}"),
                slots=partial(self._network_slot, arch, judged),
                numerics=self.choice.of(flops.evaluation(recipe, arch, rule, dataset)),
            )  # fmt: skip
        return evaluations


def rule_for(recipe: Recipe, arch: str) -> Rule:
    """The evaluation rule for ``arch``: the recipe's rule, with the recipe's own numbers replacing the rule's."""
    rule = named(recipe.eval_rule, recipe.eval_strategy, recipe.target, arch)
    return replace(rule, epochs=recipe.eval_epochs or rule.epochs, batch=recipe.eval_batch, lr=recipe.eval_lr)


def _show_real(dataset: Dataset, ipc: int, tracker: Tracker) -> None:
    """Log the first real images of each class, for comparison."""
    most = min(10, ipc, min(len(indices) for indices in dataset.per_class))
    images = torch.stack([dataset.images[dataset.first(label, most)] for label in range(len(dataset.classes))])
    real = dataset.denormalize(images.flatten(0, 1)).unflatten(0, images.shape[:2])
    pictures.show(tracker.image, "real", real, dataset.classes, 0)


def save(learned: LearnedSet, recipe: Recipe, dataset: Dataset, folder: Path) -> None:
    """Write ``synthetic.safetensors``: decoded images in normalized space, labels, and the metadata a reader needs.

    If the images are decoded from something else, its tensors are in the file too, as ``set.NAME``. If they are
    whitened, so are ``pixels``, the images in units of [0, 1]: the whitening itself would be far larger. What a
    plugin says of its images (``about``) is in the metadata.
    """
    synthetic = learned.decode()
    metadata = {
        "dataset": recipe.dataset, "classes": "\n".join(dataset.classes), "mean": str(list(dataset.mean)),
        "std": str(list(dataset.std)), "ipc": str(synthetic.ipc), "method": recipe.method, "key": recipe.key(),
    }  # fmt: skip
    if METHODS.origin(recipe.method) and (about := METHODS[recipe.method].about or learned.about):
        metadata |= {"about": about}
    tensors = {"images": synthetic.images, "labels": synthetic.labels}
    if dataset.whitening is not None:
        metadata |= {"zca": "true"}
        tensors |= {"pixels": dataset.whitening.invert(synthetic.images)}
    if learned.kind != "pixels":
        rate = {} if synthetic.lr is None else {"lr": repr(float(synthetic.lr))}
        metadata |= {"kind": learned.kind, **rate, **learned.facts()}
        own = {name: value for name, value in learned.state().items() if value is not synthetic.images}
        tensors |= {f"set.{name}": value for name, value in own.items()}
    checked_files.write_tensors(folder / SET, tensors, metadata)

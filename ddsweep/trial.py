"""The waist: ``run(recipe) -> Result``. Above it small dicts, below it tensors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from ddsweep import data, device, files, pictures, provenance, rng
from ddsweep.data.dataset import Dataset
from ddsweep.data.table import FOLDER_PREFIX
from ddsweep.distill.loop import Diverged, distill
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError
from ddsweep.evaluate import Evaluation, Rule, evaluate, named
from ddsweep.pretrained import lens, published, spec, training
from ddsweep.pretrained import pool as ptm_pool
from ddsweep.recipe import Recipe
from ddsweep.results import result as results
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker
from ddsweep.trackers.disk import DiskTracker
from ddsweep.trackers.fan_out import FanOut

Wanted = Mapping[spec.Spec, set[int]]


def run(recipe: Recipe, tracker: Tracker, on: str, runs: Path, wanted: Wanted | None = None) -> Result:
    """Train or load the PTMs, distil, evaluate. Given device and versions, a pure function of the recipe.

    A finished run is returned as it is, never computed again; when another process computes the same recipe at this
    moment, this one waits for it.

    Args:
        recipe: the experiment.
        tracker: is told what happens; cannot change it.
        on: the device, as torch spells it.
        runs: the folder of all runs; this one's is ``runs/KEY``.
        wanted: epochs that other cells need of the same PTMs, to be kept in the same training (``spec.needs``).

    Returns:
        The result; its ``state`` is ``failed`` when the loss diverged.

    Raises:
        UserError: data or disk: something that the user can put right.
    """
    folder = runs / recipe.key()
    with files.lock(runs / ".locks" / f"{recipe.key()}.lock"):
        if (finished := results.read(folder)) is not None:
            check_images(finished, folder)
            tracker.start(recipe)
            replay(folder, recipe, tracker)
            tracker.finish(finished)
            return finished
        telling = FanOut(DiskTracker(folder), tracker)
        telling.start(recipe)
        files.write_json(folder / "recipe.json", recipe.model_dump())
        result = _run(recipe, telling, on, folder, wanted or spec.needs([recipe]))
        telling.finish(result)
        result.write(folder)
        return result


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


def replay(folder: Path, recipe: Recipe, tracker: Tracker) -> None:
    """Show a tracker the last picture of a run that was computed before."""
    from PIL import Image

    path = folder / "synthetic.png"
    if path.is_file():
        with Image.open(path) as picture:
            tracker.image("synthetic", picture, recipe.iterations)


def _run(recipe: Recipe, tracker: Tracker, on: str, folder: Path, wanted: Wanted) -> Result:
    if on.startswith("cuda"):
        torch.backends.cudnn.allow_tf32 = False  # float32 means float32: the reference for every faster path
    streams, clock = rng.Streams(recipe.seed), _Clock()
    dataset = data.load(recipe.target, recipe.size, on)
    checksums = {recipe.target: dataset.checksum}
    _show_real(dataset, recipe.ipc, tracker)
    with clock("pretrain"):
        pool = _pool(recipe, dataset, on, wanted, tracker, checksums)
    finding = Result(
        recipe, device=device.describe(on), versions=provenance.versions(), git=provenance.git(), data=checksums
    )
    try:
        with clock("distill"):
            synthetic = distill(recipe, dataset, pool, streams, tracker)
    except Diverged as reason:
        return replace(finding, seconds=clock.seconds, state="failed", reason=str(reason))
    save(synthetic, recipe, dataset, folder)
    with clock("evaluate"):
        found = _evaluate(recipe, synthetic, dataset, streams.evaluation, tracker)
    return replace(
        finding, seconds=clock.seconds,
        accuracies={arch: evaluation.accuracies for arch, evaluation in found.items()},
        class_accuracy={arch: evaluation.class_accuracy for arch, evaluation in found.items()},
    )  # fmt: skip


def _pool(
    recipe: Recipe, dataset: Dataset, on: str, wanted: Wanted, tracker: Tracker, checksums: dict[str, str]
) -> ptm_pool.Pool | None:
    specs = spec.of(recipe)
    if not specs:
        return None
    if foundation := specs[0][0].foundation:
        tracker.progress(f"pretrained {foundation.name}", 0, 1)
        checksums[recipe.source] = published.ensure(foundation)
        tracker.progress(f"pretrained {foundation.name}", 1, 1)
        return published.load(foundation, dataset)
    source = dataset if recipe.source == "target" else data.load(recipe.source, device=on)
    checksums[recipe.source_dataset] = source.checksum
    for one in (one for seeds in specs for one in seeds):
        tell = partial(tracker.progress, f"pretrain {one.arch} {one.seed}")
        tell(0, recipe.ptm_epoch)
        training.ensure(one, {recipe.ptm_epoch, *wanted.get(one, ())}, source, tell)
    view = lens.restated(dataset, source) if recipe.ptm_statistics == "source" else None
    return ptm_pool.load(specs, recipe.ptm_epoch, source, view)


def _evaluate(
    recipe: Recipe, synthetic: Synthetic, dataset: Dataset, generator: torch.Generator, tracker: Tracker
) -> dict[str, Evaluation]:
    return {
        arch: evaluate(
            synthetic, dataset, arch, recipe.eval_nets, generator, rule_for(recipe, arch), width=recipe.width,
            progress=partial(tracker.progress, f"evaluate {arch}"),
        )
        for arch in recipe.eval_archs.split("+")
    }  # fmt: skip


def rule_for(recipe: Recipe, arch: str) -> Rule:
    """How ``arch`` is evaluated: the recipe's rule, with the recipe's numbers in place of the rule's own."""
    rule = named(recipe.eval_rule, recipe.eval_strategy, recipe.target, arch)
    return replace(rule, epochs=recipe.eval_epochs or rule.epochs, batch=recipe.eval_batch, lr=recipe.eval_lr)


def _show_real(dataset: Dataset, ipc: int, tracker: Tracker) -> None:
    """One picture of real images to compare with: the first of each class."""
    most = min(10, ipc, min(len(indices) for indices in dataset.per_class))
    images = torch.stack([dataset.images[indices[:most]] for indices in dataset.per_class])
    real = dataset.denormalise(images.flatten(0, 1)).unflatten(0, images.shape[:2])
    tracker.image("real", pictures.grid(real, dataset.classes), 0)


def save(synthetic: Synthetic, recipe: Recipe, dataset: Dataset, folder: Path) -> None:
    """Write ``synthetic.safetensors``: images in normalised space, labels, and what a reader needs to know of them."""
    metadata = {
        "dataset": recipe.target, "classes": "\n".join(dataset.classes), "mean": str(list(dataset.mean)),
        "std": str(list(dataset.std)), "ipc": str(recipe.ipc), "method": recipe.method, "key": recipe.key(),
    }  # fmt: skip
    tensors = {"images": synthetic.images, "labels": synthetic.labels}
    files.write_tensors(folder / "synthetic.safetensors", tensors, metadata)


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[phase] = round(time.monotonic() - began, 3)

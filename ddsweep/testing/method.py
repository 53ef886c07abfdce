"""The contract of a matching loss (``distill.matching.Matching``)."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddsweep import nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted, Slot
from ddsweep.data.dataset import Dataset
from ddsweep.distill.loop import distill, initial_state
from ddsweep.distill.matching import as_match, make_matching, make_set
from ddsweep.numerics import Numerics
from ddsweep.recipe import Recipe, make
from ddsweep.rng import Streams
from ddsweep.testing.judging import own_randomness, require
from ddsweep.trackers import Tracker

CLASSES, SIZE, PER_CLASS, TESTS = 2, 8, 8, 1
SMALL: dict[str, Any] = {
    "target": "shapes", "size": SIZE, "ipc": 2, "width": 2, "arch": "convnet1", "alpha": 0, "seed": 1, "iterations": 2,
    "batch_real": 4, "outer_loops": 2, "inner_epochs": 1, "batch_train": 4, "lr_net": 0.01,
}  # fmt: skip


def check_method(name: str, **choices: Any) -> None:
    """Check that a method does what the distillation loop relies on.

    - An episode yields ``outer_loops`` losses, without the first ``done``: finite scalars, with a gradient to every
      synthetic image.
    - The same recipe gives the same bits, and so does one that is interrupted after any image step and resumes.
    - The real images are not changed, and nothing is drawn from a global random generator.

    Args:
        name: the method.
        choices: recipe fields for the check, above all ``options``; default: a ConvNet-1 on noise.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown method, or choices that it does not accept.
    """
    recipe, what = make(SMALL | choices | {"method": name}), f"method {name!r}"
    dataset = _dataset(recipe.size)
    before = dataset.images.split(len(dataset.labels)), dataset.labels.clone()
    kept = [part.clone() for part in before[0]]
    for done in range(recipe.outer_loops + 1):
        _check_episode(recipe, dataset, done, what)
    with own_randomness(what):
        whole = _distilled(recipe, dataset)
    require(not torch.equal(whole, _start(recipe, dataset)), what, "leaves the synthetic images as they were")
    require(torch.equal(whole, _distilled(recipe, dataset)), what, "gives different bits when it is run again")
    _check_resuming(recipe, dataset, whole, what)
    same = all(torch.equal(ours, theirs) for ours, theirs in zip(kept, before[0], strict=True))
    require(same and torch.equal(before[1], dataset.labels), what, "changes the real images")


def _dataset(size: int) -> Dataset:
    """Each class is noise around its own pattern."""
    generator = rng.generator(0, "testing")
    patterns = torch.randn(CLASSES, 3, size, size, generator=generator)

    def split(each: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(CLASSES).repeat(each)
        return patterns[labels] + 0.7 * torch.randn(len(labels), 3, size, size, generator=generator), labels

    names = tuple(f"class {label}" for label in range(CLASSES))
    return Dataset("shapes", names, (0.5,) * 3, (0.25,) * 3, *split(PER_CLASS), *split(TESTS), checksum="noise")


def _check_episode(recipe: Recipe, dataset: Dataset, done: int, what: str) -> None:
    streams = Streams(recipe.seed)
    net = nn.build(
        recipe.arch, channels=3, classes=CLASSES, size=recipe.size, width=recipe.width, generator=streams.network
    )
    provided = {"numerics": Numerics()}
    learned = make_set(recipe, dataset, net, streams, provided)
    losses, left = 0, recipe.outer_loops - done
    for match in make_matching(recipe, net, provided).episode(learned, dataset, streams, done):
        losses += 1
        if losses > left:
            break
        loss = as_match(match).loss
        require(isinstance(loss, Tensor) and loss.ndim == 0, what, f"yields {type(loss).__name__}, not a scalar tensor")
        require(loss.requires_grad, what, "yields a loss without a gradient to the synthetic images")
        (slope,) = torch.autograd.grad(loss, list(learned.parameters().values()), allow_unused=True)
        require(slope is not None, what, "yields a loss that does not depend on the synthetic images")
        require(bool(torch.isfinite(loss) and slope.isfinite().all()), what, "yields a loss or gradient of inf or nan")
        moved = slope.flatten(1).abs().amax(1) > 0
        require(bool(moved.all()), what, f"has no gradient to image {int(moved.int().argmin())} of {len(moved)}")
    message = f"yields {losses} losses{' or more' * (losses > left)}, not {left} (outer_loops without the first {done})"
    require(losses == left, what, message)


def _start(recipe: Recipe, dataset: Dataset) -> Tensor:
    state = initial_state(recipe, dataset, Streams(recipe.seed), Tracker(), {"numerics": Numerics()})
    return state.learned.decode().images.detach()


def _distilled(recipe: Recipe, dataset: Dataset, slot: Slot | None = None) -> Tensor:
    return distill(recipe, dataset, None, Streams(recipe.seed), Tracker(), slot).decode().images


def _check_resuming(recipe: Recipe, dataset: Dataset, whole: Tensor, what: str) -> None:
    for boundary in range(1, recipe.outer_loops + 1):  # inside an iteration, and after one
        with tempfile.TemporaryDirectory() as folder:
            path, asks = Path(folder, "distill.safetensors"), iter([False] * (boundary - 1) + [True])
            try:
                _distilled(recipe, dataset, FileSlot(path, {}, Checkpoints(leave=partial(next, asks))))
            except Interrupted:
                resumed = _distilled(recipe, dataset, FileSlot(path, {}, Checkpoints()))
                message = f"gives different bits when it is interrupted after image step {boundary} and resumes"
                require(torch.equal(whole, resumed), what, message)

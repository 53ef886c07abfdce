"""The contract of a matching loss (``distill.matching.Matching``)."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddsweep import rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted, Slot
from ddsweep.data.dataset import Dataset
from ddsweep.distill.guards import Guard
from ddsweep.distill.loop import distill, initial_state
from ddsweep.distill.matching import Stateful
from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.state import DistillationState
from ddsweep.errors import PluginError
from ddsweep.numerics import Choice, Numerics
from ddsweep.plugins import resolve
from ddsweep.pretrained.preparation import Preparation
from ddsweep.recipe import Recipe, make
from ddsweep.registry.methods import METHODS
from ddsweep.rng import Streams
from ddsweep.testing.judging import own_randomness, require
from ddsweep.trackers import Tracker

CACHE = "DDSWEEP_CACHE"
CLASSES, SIZE, PER_CLASS, TESTS = 2, 8, 8, 1
SMALL: dict[str, Any] = {
    "target": "shapes", "size": SIZE, "ipc": 2, "width": 2, "arch": "convnet1", "alpha": 0, "seed": 1, "iterations": 2,
    "batch_real": 4, "outer_loops": 2, "inner_epochs": 1, "batch_train": 4, "lr_net": 0.01,
    "net_images": 8, "syn_steps": 2, "batch_syn": 0, "expert_epochs": 1, "max_start_epoch": 1, "n_experts": 2,
    "gan_epochs": 1, "gan_batch": 8,
}  # fmt: skip


def check_method(name: str, **choices: Any) -> None:
    """Check that a method does what the distillation loop relies on.

    - An episode yields ``outer_loops`` losses (each once per class, if the method's row says so), without the first
      ``done``: finite scalars, with a gradient to every synthetic image and to whatever else is learned.
    - The set that it learns is decoded to as many images of each class, in class-major order; its state is all that it
      depends on.
    - The same recipe gives the same bits, and so does one that is interrupted after any step and resumes.
    - The real images are not changed. ddsweep's own methods draw nothing from a global random generator.

    Args:
        name: the method.
        choices: recipe fields for the check, above all ``options``; default: a ConvNet-1 on noise.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown method, or choices that it does not accept.
    """
    recipe, what = make(SMALL | choices | {"method": name}), f"method {name!r}"
    dataset = noise(recipe.size)
    before = dataset.images.split(len(dataset.labels)), dataset.labels.clone()
    kept = [part.clone() for part in before[0]]
    with tempfile.TemporaryDirectory() as folder, _cache(folder):
        try:
            _check(recipe, dataset, what)
        except PluginError as violation:
            raise AssertionError(str(violation)) from violation
    same = all(torch.equal(ours, theirs) for ours, theirs in zip(kept, before[0], strict=True))
    require(same and torch.equal(before[1], dataset.labels), what, "changes the real images")


@contextmanager
def _cache(folder: str) -> Iterator[None]:
    """Put what the method trains into ``folder``, not into the user's cache."""
    before = os.environ.get(CACHE)
    os.environ[CACHE] = folder
    try:
        yield
    finally:
        os.environ.pop(CACHE)
        if before is not None:
            os.environ[CACHE] = before


def _trained(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """Train or load what the method needs before its distillation, which may change it (``Method.trains``)."""
    context = Preparation(lambda phase, done, total: None, Checkpoints(), Choice(), recipe.plugins)
    guard, trained = Guard(recipe, dataset), {}
    for name, source in METHODS[recipe.method].trains.items():
        with guard.calling("before", name):
            trained[name] = resolve(source)(recipe, dataset, context)
    return trained


def _check(recipe: Recipe, dataset: Dataset, what: str) -> None:
    for done in range(_steps(recipe) + 1):
        _check_episode(recipe, dataset, done, what)
    _check_set(recipe, dataset, what)
    with contextlib.nullcontext() if recipe.plugins else own_randomness(what):  # the loop seeds those of plugins
        whole = _distilled(recipe, dataset)
    require(not torch.equal(whole, _start(recipe, dataset)), what, "leaves the synthetic images as they were")
    require(torch.equal(whole, _distilled(recipe, dataset)), what, "gives different bits when it is run again")
    _check_resuming(recipe, dataset, whole, what)


def noise(size: int) -> Dataset:
    """A dataset of two classes, each of which is noise around its own pattern."""
    generator = rng.generator(0, "testing")
    patterns = torch.randn(CLASSES, 3, size, size, generator=generator)

    def split(each: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(CLASSES).repeat(each)
        return patterns[labels] + 0.7 * torch.randn(len(labels), 3, size, size, generator=generator), labels

    names = tuple(f"class {label}" for label in range(CLASSES))
    return Dataset("shapes", names, (0.5,) * 3, (0.25,) * 3, *split(PER_CLASS), *split(TESTS), checksum="noise")


def _steps(recipe: Recipe) -> int:
    """The steps of one iteration."""
    return METHODS[recipe.method].steps(recipe.outer_loops, CLASSES)


def _made(recipe: Recipe, dataset: Dataset, seed: int | None = None) -> tuple[DistillationState, Guard]:
    """A distillation before its first step, whose network is not drawn again, and what guards it."""
    guard = Guard(recipe, dataset)
    provided = {"numerics": Numerics(), **_trained(recipe, dataset)}
    with guard.calling("start"):
        state = initial_state(recipe, dataset, Streams(recipe.seed if seed is None else seed), Tracker(), provided)
    return state, guard


def _check_episode(recipe: Recipe, dataset: Dataset, done: int, what: str) -> None:
    state, guard = _made(recipe, dataset)
    if done and isinstance(state.matching, Stateful):  # it continues from its state only: see _check_resuming
        return
    steps, left, round_ = 0, _steps(recipe) - done, _steps(recipe) // recipe.outer_loops
    moved: list[dict[str, Tensor]] = []
    state.step = done
    for match in guard.matches(state, dataset):
        steps += 1
        if steps > left:
            break
        state.step += 1
        moved.append(_moved(match.loss, state.learned, what))
        if len(moved) == round_:  # of the methods with one class per step, all classes together
            _check_moved({name: torch.stack([one[name] for one in moved]).any(0) for name in moved[0]}, recipe, what)
            moved.clear()
    message = f"yields {steps} losses{' or more' * (steps > left)}, not {left} (outer_loops without the first {done})"
    require(steps == left, what, message)


def _moved(loss: Tensor, learned: LearnedSet, what: str) -> dict[str, Tensor]:
    """Return for each parameter which rows, such as images, have a gradient."""
    parameters = learned.parameters()
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    slopes = [
        torch.zeros_like(one) if slope is None else slope for one, slope in zip(parameters.values(), found, strict=True)
    ]
    finite = torch.isfinite(loss) and all(slope.isfinite().all() for slope in slopes)
    require(bool(finite), what, "yields a loss or gradient of inf or nan")
    rows = (slope.reshape(len(slope) if slope.ndim else 1, -1).abs().amax(1) > 0 for slope in slopes)
    return dict(zip(parameters, rows, strict=True))


def _check_moved(rows: dict[str, Tensor], recipe: Recipe, what: str) -> None:
    """Check that the losses of all classes have a gradient to every image, and to whatever else is learned.

    Of a generator only one parameter needs one: the bias before a batch norm has none.
    """
    if METHODS[recipe.method].samples:
        require(any(bool(one.any()) for one in rows.values()), what, "has no gradient to the generator")
        return
    for name, moved in rows.items():
        if name == "images":
            message = f"has no gradient to image {int(moved.int().argmin())} of {len(moved)}"
            require(bool(moved.all()), what, message)
        require(bool(moved.any()), what, f"has no gradient to {name}")


def _check_set(recipe: Recipe, dataset: Dataset, what: str) -> None:
    learned, other = (_made(recipe, dataset, seed)[0].learned for seed in (recipe.seed, recipe.seed + 1))
    with torch.no_grad():
        for parameter in learned.parameters().values():  # sets that begin with the first images are all alike
            parameter.add_(0.01)
        synthetic, twice = learned.decode(), learned.decode()
        other.restore({name: value.clone() for name, value in learned.state().items()})
        again = other.decode()
    shape, labels = [CLASSES * synthetic.ipc, 3, recipe.size, recipe.size], torch.arange(CLASSES)
    require(list(synthetic.images.shape) == shape, what, f"decodes {list(synthetic.images.shape)}, not {shape}")
    in_order = torch.equal(synthetic.labels, labels.repeat_interleave(synthetic.ipc))
    require(in_order, what, "decodes images that are not in class-major order")
    require(torch.equal(synthetic.images, twice.images), what, "decodes other images the second time")
    has_lr = synthetic.lr is not None
    stated = METHODS[recipe.method].learns_lr
    require(has_lr == stated, what, f"decodes {'a' if has_lr else 'no'} learning rate; its row says learns_lr={stated}")
    same = torch.equal(synthetic.images, again.images) and synthetic.lr == again.lr
    require(same, what, "decodes other images after the state of its set is restored")
    owned = {id(one) for group in learned.optimizer(recipe.lr_img).param_groups for one in group["params"]}
    require(owned == {id(one) for one in learned.parameters().values()}, what, "does not optimize all its parameters")


def _start(recipe: Recipe, dataset: Dataset) -> Tensor:
    return _made(recipe, dataset)[0].learned.decode().images.detach()


def _distilled(recipe: Recipe, dataset: Dataset, slot: Slot | None = None) -> Tensor:
    return (
        distill(recipe, dataset, None, Streams(recipe.seed), Tracker(), slot, trained=_trained(recipe, dataset))
        .decode()
        .images
    )


def _check_resuming(recipe: Recipe, dataset: Dataset, whole: Tensor, what: str) -> None:
    for boundary in range(1, recipe.iterations * _steps(recipe)):
        with tempfile.TemporaryDirectory() as folder:
            path, asks = Path(folder, "distill.safetensors"), iter([False] * (boundary - 1) + [True])
            try:
                _distilled(recipe, dataset, FileSlot(path, {}, Checkpoints(leave=partial(next, asks))))
            except Interrupted:
                resumed = _distilled(recipe, dataset, FileSlot(path, {}, Checkpoints()))
                interrupted = f"when it is interrupted after step {boundary} and resumes"
                unreadable = path.with_suffix(".damaged").exists()
                require(not unreadable, what, f"cannot read its checkpoint {interrupted}, and starts again")
                require(torch.equal(whole, resumed), what, f"gives different bits {interrupted}{_kept(recipe)}")


def _kept(recipe: Recipe) -> str:
    """What the cause of other bits may be."""
    maker = resolve(METHODS[recipe.method].source)
    if hasattr(maker, "restore"):
        return ": state() leaves something out, or restore() does not restore it"
    return ": it keeps something from step to step; save it in state(), restore it in restore()"

"""The contract of a guide (``distill.guidance.Guide``)."""

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
from ddsweep.distill.guidance import Guiding, Real
from ddsweep.distill.loop import distill
from ddsweep.distill.sets.pixels import initial
from ddsweep.errors import PluginError
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.registry.guidance import GUIDANCE
from ddsweep.rng import Streams
from ddsweep.testing.judging import require
from ddsweep.testing.method import SMALL, noise
from ddsweep.trackers import Tracker

MODELS = 2
GUIDED: dict[str, Any] = SMALL | {
    "method": "dm", "alpha": 1.0, "iterations": 4, "lr_img": 0.1, "n_models": MODELS, "cclom_batch": 6,
}  # fmt: skip


def check_guidance(name: str, **choices: Any) -> None:
    """Check that a guidance does what the distillation loop relies on.

    - Its guide returns a finite scalar with a gradient to the synthetic images, also if the real images lack a class.
    - It changes neither the PTMs nor the real images nor, except through its gradient, the synthetic images.
    - The same recipe gives the same bits, and so does one that is interrupted after any step and resumes; other bits
      than without guidance.

    Args:
        name: the guidance.
        choices: options, and recipe fields for the check, such as ``method`` for one that shows the guide a few of the
            images at each step; default: DM with a ConvNet-1 on noise.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown guidance, or choices that it does not accept.
    """
    recipe, what = make(GUIDED | choices | {"regularizer": name}), f"guidance {name!r}"
    dataset, kept = noise(recipe.size), noise(recipe.size).images[:].clone()
    for check in (_check_term, _check_bits):
        pool = _pool(recipe)
        before = _tensors(pool)
        try:
            check(recipe, dataset, pool, what)
        except PluginError as violation:
            raise AssertionError(str(violation)) from violation
        finally:
            require(torch.equal(kept, dataset.images[:]), what, "changes the real images")
        same = all(torch.equal(ours, theirs) for ours, theirs in zip(before, _tensors(pool), strict=True))
        frozen = not any(parameter.requires_grad for net in _nets(pool) for parameter in net.parameters())
        require(same and frozen and not any(net.training for net in _nets(pool)), what, "changes the PTMs")


def _pool(recipe: Recipe) -> Pool:
    """Untrained PTMs."""
    shape = {"channels": 3, "classes": len(noise(recipe.size).classes), "size": recipe.size, "width": 2}
    nets = [nn.build("convnet1", **shape, generator=rng.generator(seed, "testing")) for seed in range(MODELS)]
    return Pool([[PretrainedModel("convnet1", net.requires_grad_(False).eval(), InputTransform(3)) for net in nets]])


def _nets(pool: Pool) -> list[torch.nn.Module]:
    return [model.net for model in pool.models[0] if isinstance(model.net, torch.nn.Module)]


def _tensors(pool: Pool) -> list[Tensor]:
    return [value.clone() for net in _nets(pool) for value in net.state_dict().values()]


def _check_term(recipe: Recipe, dataset: Dataset, pool: Pool, what: str) -> None:
    synthetic = initial(dataset, recipe.ipc, "noise", rng.generator(0, "testing"))
    start = synthetic.images.detach().clone()
    term, _ = Guiding(recipe, pool, dataset, rng.generator(0, "testing")).term(synthetic, 0)
    (slope,) = torch.autograd.grad(term, [synthetic.images], allow_unused=True)
    require(slope is not None and bool(slope.any()), what, "returns a term that does not depend on the images")
    require(bool(term.isfinite() and slope.isfinite().all()), what, "returns a term or gradient of inf or nan")
    require(torch.equal(start, synthetic.images.detach()), what, "changes the synthetic images")
    row = GUIDANCE[recipe.regularizer]
    if not row.real:
        return
    model, first = pool.models[0][0], dataset.per_class[0]
    alone = Real(dataset, first, lambda: model.features(dataset, first))
    guide = row.make(dataset, recipe.guidance_numbers)
    with rng.seeded_globals(0, "testing"):
        term = guide(model, synthetic, real=alone)
    require(bool(term.isfinite()), what, "is inf or nan if no real image of a class was drawn; leave out the class")


def _check_bits(recipe: Recipe, dataset: Dataset, pool: Pool, what: str) -> None:
    """Each distillation has PTMs of its own, as in a process of its own."""
    whole, unguided = (_distilled(recipe, dataset, ptms) for ptms in (pool, None))
    require(not torch.equal(whole, unguided), what, "does not change what is distilled")
    again = _distilled(recipe, dataset, _pool(recipe))
    require(torch.equal(whole, again), what, "gives different bits when it is run again")
    for boundary in range(1, recipe.iterations):
        with tempfile.TemporaryDirectory() as folder:
            path, asks = Path(folder, "distill.safetensors"), iter([False] * (boundary - 1) + [True])
            try:
                _distilled(recipe, dataset, _pool(recipe), FileSlot(path, {}, Checkpoints(leave=partial(next, asks))))
            except Interrupted:
                resumed = _distilled(recipe, dataset, _pool(recipe), FileSlot(path, {}, Checkpoints()))
                message = f"gives different bits when it is interrupted after step {boundary} and resumes"
                require(torch.equal(whole, resumed), what, message)


def _distilled(recipe: Recipe, dataset: Dataset, pool: Pool | None, slot: Slot | None = None) -> Tensor:
    return distill(recipe, dataset, pool, Streams(recipe.seed), Tracker(), slot).decode().images

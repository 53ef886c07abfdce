"""The seconds of kinds of work that were not measured, from their floating-point operations.

``operations`` returns findings whose seconds are operations; ``workers.fill`` turns them into seconds, at the rate of
the kinds that were measured.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ddsweep import flops, nn, trial
from ddsweep.estimate import work
from ddsweep.estimate.work import GUESSED, Distilled, Evaluated, Finding, Trained
from ddsweep.pretrained.pool import FEATURE_BYTES

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.estimate.fixtures import Stage
    from ddsweep.recipe import Recipe

EFFICIENCY = 0.5  # of a step, relative to its convolutions alone
SIDE, MAPS, IMAGES = 16, 128, 8  # of the convolution whose rate stands for the machine's
PICTURE = 20_000  # bytes
FLOAT = 4  # bytes


def rate(device: str) -> float:
    """Return floating-point operations per second of a convolution, times ``EFFICIENCY``."""
    import torch
    from torch.nn import functional as F

    images = torch.ones(IMAGES, MAPS, SIDE, SIDE, device=device)
    kernel = torch.ones(MAPS, MAPS, 3, 3, device=device)
    took = []
    for _ in range(3):
        began = time.perf_counter()
        F.conv2d(images, kernel, padding=1).sum().item()  # waits for the device
        took.append(time.perf_counter() - began)
    return EFFICIENCY * 2 * 9 * IMAGES * SIDE**2 * MAPS**2 / min(took)


def operations(kind: work.Kind, stage: Stage) -> Finding | None:
    """Return the finding of a kind with operations in place of seconds; None for a dataset, which is always read."""
    match kind:
        case work.Training():
            return _training(kind, stage)
        case work.Distilling():
            return _distilling(kind.recipe, stage.dataset)
        case work.Evaluating():
            return _evaluating(kind.recipe, stage)
    return None


def _training(kind: work.Training, stage: Stage) -> Trained:
    one, data = kind.spec, stage.dataset
    step = flops.training(one, 1, data) / len(data.labels) * one.batch
    if one.is_gan:
        from ddsweep.pretrained import gan

        return Trained(step, 0.0, 0.0, 0.0, float(gan.stored_bytes(one, data)), GUESSED)
    forward, weights = _network(one.arch, one.width, data)
    return Trained(step, 0.0, 0.0, forward * stage.test_images, weights, GUESSED)


def _distilling(recipe: Recipe, data: Dataset) -> Distilled:
    loops = max(1, recipe.outer_loops)
    guided = flops.BACKWARD + 1 if recipe.ptm_archs else 0  # a pass of the images through the PTM and back
    images = len(data.classes) * recipe.decoded_ipc
    forward = _forward(recipe.arch, data, recipe.width)
    step = flops.distillation(recipe, data) / recipe.iterations / loops + guided * images * forward
    look = forward if recipe.cclom_batch else 0.0
    none = dict.fromkeys(("warm_up", "cold", "start", "picture"), 0.0)
    size = float(FLOAT * recipe.width * SIDE)
    seen = {"look": look, "features": size, "room": FEATURE_BYTES}
    return Distilled(step, step, first_picture=PICTURE, later_picture=PICTURE, **seen, **none, doubt=GUESSED)


def _evaluating(recipe: Recipe, stage: Stage) -> Evaluated:
    data, rule = stage.dataset, trial.rule_for(recipe, recipe.arch)
    step = flops.evaluation(recipe, recipe.arch, rule, data) / recipe.eval_nets / rule.total_epochs
    forward = _forward(recipe.arch, data, recipe.width)
    return Evaluated(step, 0.0, 0.0, 0.0, forward * stage.test_images, GUESSED)


def _forward(arch: str, data: Dataset, width: int) -> float:
    return flops.forward(arch, data.channels, len(data.classes), data.size, width)


def _network(arch: str, width: int, data: Dataset) -> tuple[float, float]:
    """Return the operations of one image, and the bytes of the weights."""
    import torch

    shape = {"channels": data.channels, "classes": len(data.classes), "size": data.size, "width": width}
    net = nn.build(arch, **shape, generator=torch.Generator())
    return _forward(arch, data, width), float(sum(value.nbytes for value in net.state_dict().values()))

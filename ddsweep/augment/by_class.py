"""The siamese augmentation of several classes at once: kernels for each kind of operation, not for each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep.augment.siamese import Params, apply
from ddsweep.rng import copy_to


def apply_by_class(
    images: Float[Tensor, "n c h w"], counts: Sequence[int], changes: Sequence[Params]
) -> Float[Tensor, "n c h w"]:
    """Each class's own operation: ``cat(apply(part, change) for part, change in zip(images.split(counts), changes))``.

    A GPU spends its time on starting kernels when every class starts its own. So the images of all classes that drew
    the same operation go through it together, each with the numbers of its class. Gradients flow to ``images``.

    Args:
        images: class by class.
        counts: images of each class.
        changes: what each class drew, one set of numbers for all its images.

    Raises:
        ValueError: as many counts as changes are needed, and one row of numbers in each change.
    """
    if len(counts) != len(changes) or any(len(change.values) != 1 for change in changes):
        raise ValueError(f"{len(counts)} classes with {[len(change.values) for change in changes]} rows of numbers")
    kinds = sorted({change.op for change in changes})
    if len(changes) == 1 or kinds == ["none"]:
        return apply(images, changes[0])
    if len(kinds) == 1:
        return _together(images, counts, changes)
    owner = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    kind = torch.tensor([kinds.index(change.op) for change in changes])[owner]
    order = torch.argsort(kind, stable=True)
    parts = []
    sorted_ = images.index_select(0, copy_to(order, images.device))
    for number, some in enumerate(sorted_.split(torch.bincount(kind, minlength=len(kinds)).tolist())):
        alike = [index for index, change in enumerate(changes) if change.op == kinds[number]]
        parts.append(_together(some, [counts[index] for index in alike], [changes[index] for index in alike]))
    return torch.cat(parts).index_select(0, copy_to(torch.argsort(order), images.device))


def _together(images: Tensor, counts: Sequence[int], changes: Sequence[Params]) -> Tensor:
    """All of one operation."""
    if changes[0].op == "crop" and images.requires_grad:  # the pad of one class has a backward of one kernel
        return torch.cat([apply(*pair) for pair in zip(images.split(list(counts)), changes, strict=True)])
    values = torch.cat([change.values for change in changes]).repeat_interleave(torch.tensor(counts), dim=0)
    return apply(images, Params(changes[0].op, values))

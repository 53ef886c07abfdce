"""The siamese augmentation of several classes at once: one set of kernels per operation, not per class."""

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
    """Apply to each class its own operation.

    ``cat(apply(part, change) for part, change in zip(images.split(counts), changes))``, in fewer kernels: if every
    class started its own, a GPU would spend its time on launching them. The images of all classes with the same
    operation are computed as one batch, each with the parameters of its class. Gradients flow to ``images``.

    Args:
        images: the images in class order.
        counts: number of images of each class.
        changes: the operation of each class, with one set of parameters for all its images.

    Raises:
        ValueError: ``counts`` and ``changes`` differ in length, or a change has not exactly one row of parameters.
    """
    if len(counts) != len(changes) or any(len(change.values) != 1 for change in changes):
        raise ValueError(f"{len(counts)} classes with {[len(change.values) for change in changes]} rows of numbers")
    kinds = sorted({change.op for change in changes})
    if len(changes) == 1 or kinds == ["none"]:
        return apply(images, changes[0])
    if len(kinds) == 1:
        return _apply_same_operation(images, counts, changes)
    owner = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    kind = torch.tensor([kinds.index(change.op) for change in changes])[owner]
    order = torch.argsort(kind, stable=True)
    parts = []
    sorted_ = images.index_select(0, copy_to(order, images.device))
    for number, some in enumerate(sorted_.split(torch.bincount(kind, minlength=len(kinds)).tolist())):
        alike = [index for index, change in enumerate(changes) if change.op == kinds[number]]
        parts.append(
            _apply_same_operation(some, [counts[index] for index in alike], [changes[index] for index in alike])
        )
    return torch.cat(parts).index_select(0, copy_to(torch.argsort(order), images.device))


def _apply_same_operation(images: Tensor, counts: Sequence[int], changes: Sequence[Params]) -> Tensor:
    """Apply changes that are all of the same operation."""
    if changes[0].op == "crop" and images.requires_grad:  # the pad of one class has a backward of one kernel
        return torch.cat([apply(*pair) for pair in zip(images.split(list(counts)), changes, strict=True)])
    values = torch.cat([change.values for change in changes]).repeat_interleave(torch.tensor(counts), dim=0)
    return apply(images, Params(changes[0].op, values))

"""The real side of gradient matching: gradients on real images, which cells share while a network is untrained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.distill.methods.batches import ClassBatches
from ddsweep.distill.methods.gradients import ClassGradients
from ddsweep.distill.synthetic import Synthetic
from ddsweep.shared.records import Following, Records

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset

# Bytes of the gradients of all classes that are shared; of a ConvNet-3 they take 13 MB for ten classes, 200 MB for 100.
MOST = 1 << 28


@dataclass(frozen=True)
class Group:
    """Classes whose gradients are computed together.

    Attributes:
        part: the draws of some consecutive classes.
        members: which of them, by position.
        stacked: whether they are one batch, [classes, n, c, h, w], instead of a single class, [n, c, h, w].
    """

    part: ClassBatches
    members: list[int]
    stacked: bool

    def real(self, dataset: Dataset) -> Float[Tensor, "*classes n c h w"]:
        """The real images, augmented."""
        return self._of(self.part.real(dataset).split(self.part.counts))

    def synthetic(self, synthetic: Synthetic) -> Float[Tensor, "*classes m c h w"]:
        """The synthetic images, augmented alike."""
        return self._of(self.part.synthetic(synthetic).split(synthetic.ipc))

    def labels(self, device: torch.device) -> Int64[Tensor, "*classes"]:
        """The classes."""
        labels = torch.arange(self.part.labels[0], self.part.labels[-1] + 1, device=device)
        return self._of(list(labels))

    def _of(self, values: Sequence[Tensor]) -> Tensor:
        return torch.stack([values[place] for place in self.members]) if self.stacked else values[self.members[0]]


def grouped(batches: ClassBatches, at_once: int, batch_real: int) -> list[Group]:
    """Return the groups of all classes.

    Args:
        batches: the draws of all classes.
        at_once: classes that are computed as one batch; 1: each by itself. Classes with different numbers of real
            images cannot be stacked.
        batch_real: real images of a class.
    """
    if at_once == 1:
        return [Group(part, [0], False) for part in batches.split(1)]
    groups = []
    for part in batches.split(at_once * batch_real):
        by_size: dict[int, list[int]] = {}
        for place, count in enumerate(part.counts):
            by_size.setdefault(count, []).append(place)
        groups += [Group(part, members, True) for members in by_size.values()]
    return groups


def target(gradients: ClassGradients, dataset: Dataset, group: Group) -> list[Tensor]:
    """Return the gradients of a group, by parameter, with the classes as the first axis if they are stacked."""
    find = gradients.targets if group.stacked else gradients.target
    return find(group.real(dataset), group.labels(dataset.labels.device))


class SharedGradients:
    """Reads or computes the gradients of a network that was drawn and not trained.

    Args:
        gradients: computes them.
        records: where they are kept, all groups of a step as one vector.
    """

    def __init__(self, gradients: ClassGradients, records: Records) -> None:
        self._gradients, self._records = gradients, records

    def get(
        self, key: bytes, groups: Sequence[Group], dataset: Dataset, ahead: Callable[[], Following] | None
    ) -> Iterator[list[Tensor]]:
        """Yield the gradients of each group.

        Args:
            key: identifies the network and the draws.
            groups: all classes.
            dataset: the real images.
            ahead: see ``Records.get``; it yields keys of ``key_of``, and what ``flat`` returns.
        """
        if 4 * len(dataset.classes) * sum(map(math.prod, self._gradients.shapes)) > MOST:
            yield from (target(self._gradients, dataset, group) for group in groups)
            return
        flat = self._records.get(key_of(key, groups), partial(self.flat, groups, dataset), ahead)
        for group in groups:
            stack = (len(group.members),) if group.stacked else ()
            shapes = [torch.Size((*stack, *shape)) for shape in self._gradients.shapes]
            sizes = [shape.numel() for shape in shapes]
            parts = flat[: sum(sizes)].split(sizes)
            # a copy: the same memory layout as that of computed gradients, for which functions are compiled
            yield [part.view(shape).clone() for part, shape in zip(parts, shapes, strict=True)]
            flat = flat[sum(sizes) :]

    def flat(self, groups: Sequence[Group], dataset: Dataset) -> Float[Tensor, " all"]:
        """Compute the gradients of all groups, as one vector."""
        every = (target(self._gradients, dataset, group) for group in groups)
        return torch.cat([part.flatten() for parts in every for part in parts])


def key_of(key: bytes, groups: Sequence[Group]) -> bytes:
    """Return a key that also tells which classes are computed together: that can change the last bits."""
    return key + repr([(group.part.labels[0], group.members, group.stacked) for group in groups]).encode()

"""What the classes compare in one step: real images and an augmentation, drawn for each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import augment
from ddsweep.distill.synthetic import Synthetic
from ddsweep.rng import Streams, copy_to

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset


@dataclass(frozen=True)
class Drawn:
    """Of some classes, in their order; nothing lies on the device yet.

    Attributes:
        labels: the classes.
        real: of each, the indices of its distinct real images, on the CPU.
        changes: of each, the augmentation that its real and its synthetic images share.
    """

    labels: list[int]
    real: list[Int64[Tensor, " _n"]]
    changes: list[augment.Params]

    @property
    def counts(self) -> list[int]:
        """Real images of each class."""
        return [len(indices) for indices in self.real]

    def portions(self, enough: int) -> Iterator[Drawn]:
        """The same in parts of consecutive classes, each as short as it can be with ``enough`` real images."""
        first = images = 0
        for index, count in enumerate(self.counts, start=1):
            images += count
            if images >= enough or index == len(self.labels):
                yield Drawn(self.labels[first:index], self.real[first:index], self.changes[first:index])
                first, images = index, 0

    def of_real(self, dataset: Dataset) -> Float[Tensor, "n c h w"]:
        """The real images, augmented, class by class."""
        indices = copy_to(torch.cat(self.real), dataset.labels.device)
        return augment.apply_by_class(dataset.images[indices], self.counts, self.changes)

    def of_synthetic(self, synthetic: Synthetic) -> Float[Tensor, "m c h w"]:
        """The synthetic images, augmented, class by class; gradients flow."""
        first, last, ipc = self.labels[0], self.labels[-1], synthetic.ipc
        images = synthetic.images[first * ipc : (last + 1) * ipc]
        return augment.apply_by_class(images, [ipc] * len(self.labels), self.changes)


def draw(dataset: Dataset, labels: Iterable[int], n: int, strategy: str, streams: Streams) -> Drawn:
    """``n`` real images of each class (all, if there are fewer) and one augmentation.

    Args:
        dataset: the real images.
        labels: consecutive classes.
        n: images of each.
        strategy: operations of the augmentation.
        streams: ``batch`` draws images, ``augment`` draws augmentations.

    Raises:
        UserError: an operation that does not exist.
    """
    labels = list(labels)
    real = [dataset.draw(label, n, streams.batch) for label in labels]
    changes = [augment.draw(streams.augment, 1, dataset.size, strategy, shared=True) for _ in labels]
    return Drawn(labels, real, changes)

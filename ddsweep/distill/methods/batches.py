"""The batches of one step: for each class, random real images and an augmentation shared with its synthetic images."""

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
class ClassBatches:
    """The random choices for some consecutive classes; images are gathered on the device on access.

    Attributes:
        labels: the classes.
        indices: for each class, the indices of its distinct real images, on the CPU.
        augmentations: for each class, the augmentation that its real and its synthetic images share.
    """

    labels: list[int]
    indices: list[Int64[Tensor, " _n"]]
    augmentations: list[augment.Params]

    @property
    def counts(self) -> list[int]:
        """Number of real images of each class."""
        return [len(indices) for indices in self.indices]

    def split(self, images: int) -> Iterator[ClassBatches]:
        """Yield parts of consecutive classes, each as short as possible with at least ``images`` real images."""
        first = total = 0
        for end, count in enumerate(self.counts, start=1):
            total += count
            if total >= images or end == len(self.labels):
                part = slice(first, end)
                yield ClassBatches(self.labels[part], self.indices[part], self.augmentations[part])
                first, total = end, 0

    def real(self, dataset: Dataset) -> Float[Tensor, "n c h w"]:
        """Return the real images, augmented, class by class."""
        indices = copy_to(torch.cat(self.indices), dataset.labels.device)
        return augment.apply_by_class(dataset.images[indices], self.counts, self.augmentations)

    def synthetic(self, synthetic: Synthetic) -> Float[Tensor, "m c h w"]:
        """Return the synthetic images, augmented, class by class; gradients flow through."""
        first, last, ipc = self.labels[0], self.labels[-1], synthetic.ipc
        images = synthetic.images[first * ipc : (last + 1) * ipc]
        return augment.apply_by_class(images, [ipc] * len(self.labels), self.augmentations)


def draw(dataset: Dataset, labels: Iterable[int], n: int, strategy: str, streams: Streams) -> ClassBatches:
    """Draw ``n`` real images (all, if there are fewer) and one augmentation for each class.

    Args:
        dataset: the real images.
        labels: consecutive classes.
        n: images per class.
        strategy: operations of the augmentation.
        streams: ``batch`` draws images, ``augment`` draws augmentations.

    Raises:
        UserError: ``strategy`` has an unknown operation.
    """
    labels = list(labels)
    indices = [dataset.draw(label, n, streams.batch) for label in labels]
    augmentations = [augment.draw(streams.augment, 1, dataset.size, strategy, shared=True) for _ in labels]
    return ClassBatches(labels, indices, augmentations)

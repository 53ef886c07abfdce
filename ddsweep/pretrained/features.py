"""The features of real images by PTMs: computed once, in blocks, and kept as long as there is room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.rng import copy_to

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.pretrained.pool import PretrainedModel


class FeatureTable:
    """The features of all training images of one dataset by one PTM.

    The last bits of an image's features depend on the other images of its batch. The images are therefore embedded in
    blocks, block b being the images b·n to (b+1)·n − 1: which images were asked for, and in which order, changes
    nothing, so that a distillation that is resumed, or another one with the same PTM, gets the same bits.

    Args:
        embed: returns the features [k, d] of the training images with these indices, which are on the CPU.
        count: the number of training images.
        block: the number of images in a block, n. Of 8 to 512 images, none was more than a tenth faster on a CPU than
            the number that goes through the network at once (``microbatch_size``).
    """

    def __init__(self, embed: Callable[[Int64[Tensor, " k"]], Tensor], count: int, block: int) -> None:
        self._embed, self._count, self.block = embed, count, block
        self._missing = torch.ones(self.blocks, dtype=torch.bool)
        self._features: Tensor | None = None

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return -(-self._count // self.block)

    @cached_property
    def row(self) -> Tensor:
        """The features of the first image alone [1, d], which tell the size of the others and their type."""
        return self._embed(torch.zeros(1, dtype=torch.long))

    @property
    def nbytes(self) -> int:
        """Bytes of the features of all images."""
        return self._count * self.row.nbytes

    def __getitem__(self, indices: Int64[Tensor, " k"]) -> Float[Tensor, "k d"]:
        """Return the features of images, after computing the blocks that are missing.

        Args:
            indices: of training images, on the CPU, because reading them from a GPU would make the host wait.
        """
        if self._features is None:
            self._features = self.row.new_empty((self._count, self.row.shape[1]))
        if self._missing.any():
            drawn = torch.zeros_like(self._missing)
            drawn[indices // self.block] = True
            for index in (drawn & self._missing).nonzero().flatten().tolist():
                self._features[index * self.block : (index + 1) * self.block] = self.compute(index)
                self._missing[index] = False
        return self._features[copy_to(indices, self._features.device)]

    def compute(self, index: int) -> Float[Tensor, "n d"]:
        """Compute the features of a block, of which the last may be shorter."""
        return self._embed(torch.arange(index * self.block, min((index + 1) * self.block, self._count)))


class FeatureBudget:
    """Which PTMs of a trial keep the features of a dataset: those that find room, in the order of the pool.

    The order in which PTMs are drawn plays no role, because features that are kept can differ in their last bits from
    features that are computed each time.

    Args:
        size: bytes for the features of all PTMs.
        models: the PTMs; empty: any that asks, on its own.
    """

    def __init__(self, size: int, models: Sequence[PretrainedModel] = ()) -> None:
        self.size, self._models = size, models
        self._kept: dict[str, set[int]] = {}

    def keeps(self, model: PretrainedModel, dataset: Dataset) -> bool:
        """Return whether a PTM keeps its features of a dataset."""
        if not self._models:
            return model.table(dataset).nbytes <= self.size
        if dataset.checksum not in self._kept:
            self._kept[dataset.checksum] = self._allot(dataset)
        return id(model) in self._kept[dataset.checksum]

    def _allot(self, dataset: Dataset) -> set[int]:
        left, kept = self.size, set[int]()
        for model in self._models:
            needed = model.table(dataset).nbytes
            if needed <= left:
                left -= needed
                kept.add(id(model))
        return kept

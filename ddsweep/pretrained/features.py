"""The features of real images by PTMs: computed once, in blocks, and kept as long as there is room.

Blocks are shared with other cells, too, as the kind ``ptm-features``: CCLoM of all seeds, methods, α and ipc, with the
same PTM and the same real images.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from ddsweep import checked_files
from ddsweep.rng import copy_to

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.pretrained.pool import PretrainedModel
    from ddsweep.shared.records import Following, Records


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
        records: opens the blocks that cells share.
    """

    def __init__(
        self,
        embed: Callable[[Int64[Tensor, " k"]], Tensor],
        count: int,
        block: int,
        records: Callable[[], Records],
    ) -> None:
        self._embed, self._count, self.block = embed, count, block
        self._open = records
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

    @cached_property
    def _records(self) -> Records:
        return self._open()

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
                part = self._features[index * self.block : (index + 1) * self.block]
                part.copy_(self._block(index)[: len(part)])
                self._missing[index] = False
        return self._features[copy_to(indices, self._features.device)]

    def _block(self, index: int) -> Float[Tensor, "n d"]:
        """Return the features of a block, read or computed."""
        return self._records.get(_key(index), partial(self._compute, index), partial(self._following, index))

    @torch.no_grad()
    def _compute(self, index: int) -> Float[Tensor, "n d"]:
        """Compute the features of a block; the last one is filled up with zeros, because all records have one size."""
        found = self._embed(torch.arange(index * self.block, min((index + 1) * self.block, self._count)))
        return F.pad(found, (0, 0, 0, self.block - len(found)))

    def _following(self, index: int) -> Following:
        """Yield the other blocks that are missing, those after ``index`` first (``Records.get``)."""
        missing = self._missing.nonzero().flatten().tolist()
        for other in sorted(missing, key=lambda one: (one < index, one)):
            if other != index:
                yield _key(other), partial(self._compute, other)


def _key(index: int) -> bytes:
    return f"block {index}".encode()


def facts(model: PretrainedModel, net: nn.Module, dataset: Dataset, block: int) -> dict[str, Any]:
    """Return what the features of a dataset by a PTM depend on, besides dataset, machine and versions of ddsweep."""
    transform = model.transform
    roots = {type(module).__module__.partition(".")[0] for module in net.modules()} - {"ddsweep", "torch"}
    return {
        "ptm": model.arch,
        "weights": checked_files.of_tensors(net.state_dict(), {}),
        "libraries": {root: str(getattr(sys.modules.get(root), "__version__", "")) for root in sorted(roots)},
        "canvas": model.canvas,
        "input": [transform.channels, transform.target, transform.source, transform.whitening is not None],
        "images": len(dataset.labels),
        "block": block,
    }


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

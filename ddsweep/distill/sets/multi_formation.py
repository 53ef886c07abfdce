"""IDC's images: each is a grid of factor² smaller ones, which are enlarged for training.

Kim et al., "Dataset condensation via efficient synthetic-data parameterization" (ICML 2022), Sec. 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ddsweep.distill.methods.representatives import choose
from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError
from ddsweep.rng import copy_to

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network
    from ddsweep.rng import Streams

PADDING = 0.5  # mid-gray, in units of [0, 1]
Init = Literal["noise", "real", "first", "mix", "kmeans"]


@dataclass(frozen=True, eq=False)
class MultiFormation(LearnedSet):
    """A synthetic set whose images are grids of factor² smaller images.

    Attributes:
        images: [classes·ipc, c, s, s] a leaf tensor of pixels in [0, 1], in class-major order; not normalized, and
            clamped at the beginning of each outer iteration only.
        ipc: learned images per class, each of which is decoded to factor² images.
        factor: cells along each side of an image.
        center: per-channel mean of the dataset's normalization, in units of [0, 1].
        spread: per-channel standard deviation of it.
    """

    kind: ClassVar[str] = "multi-formation"

    images: Float[Tensor, "n c s s"]
    ipc: int
    factor: int
    center: Float[Tensor, "c 1 1"]
    spread: Float[Tensor, "c 1 1"]

    def parameters(self) -> dict[str, Tensor]:
        """The pixels."""
        return {"images": self.images}

    def decode(self) -> Synthetic:
        """All images of all classes; see ``decode``."""
        return self._decoded(0, len(self.images) // self.ipc)

    def decode_class(self, label: int) -> Synthetic:
        """All images of one class, as ``decode`` returns them."""
        return self._decoded(label, label + 1)

    def _decoded(self, first: int, end: int) -> Synthetic:
        images = decode(self.images[first * self.ipc : end * self.ipc], self.factor)
        each = self.ipc * self.factor**2
        by_class = images.unflatten(0, (self.factor**2, end - first, self.ipc)).transpose(0, 1).flatten(0, 2)
        labels = torch.arange(first, end, device=images.device).repeat_interleave(each)
        return Synthetic((by_class - self.center) / self.spread, labels, each)

    @torch.no_grad()
    def begin_iteration(self) -> None:
        """Clamp the pixels to [0, 1]."""
        self.images.clamp_(0, 1)

    def facts(self) -> dict[str, str]:
        """The factor."""
        return {"factor": str(self.factor)}


def make(dataset: Dataset, net: Network, streams: Streams, *, ipc: int, init: Init, factor: int) -> MultiFormation:
    """Return a new set for ``registry.methods.Method.learned``.

    ``noise`` is N(0, 1)/4 + 1/2, clamped to [0, 1]. The others are grids (``tile``) of ipc · factor² real images of
    each class: random ones (``real``), the first (``mix``; without grids it is called ``first``), or those that
    represent as many clusters of the features of ``net`` (``kmeans``).

    Raises:
        UserError: a class has fewer images than are needed.
    """
    classes, device = range(len(dataset.classes)), dataset.images.device
    if init == "noise":
        shape = (len(classes) * ipc, *dataset.images.shape[1:])
        images = (torch.randn(shape, generator=streams.images) / 4 + 0.5).clamp(0, 1).to(dataset.images.dtype)
    else:
        chosen = [_chosen(init, dataset, net, label, ipc * factor**2, streams.images) for label in classes]
        real = (dataset.denormalize(dataset.images[copy_to(index, device)]) for index in chosen)
        images = torch.cat([tile(one, factor) for one in real])
    images = images.to(device)
    center, spread = (images.new_tensor(values)[:, None, None] for values in (dataset.mean, dataset.std))
    return MultiFormation(images.requires_grad_(), ipc, factor, center, spread)


def _chosen(
    init: Init, dataset: Dataset, net: Network, label: int, count: int, generator: torch.Generator
) -> Int64[Tensor, " count"]:
    """Return the indices, on the CPU, of the real images of a class from which its first grids are made."""
    members = dataset.per_class[label]
    if len(members) < count:
        raise UserError(
            f"ipc: {count} images are needed to begin (ipc · factor²), but {dataset.classes[label]} has {len(members)}"
        )
    if init == "kmeans":
        return choose(net, dataset, label, count, generator)
    return dataset.draw(label, count, generator) if init == "real" else dataset.first(label, count)


def decode(images: Float[Tensor, "n c s s"], factor: int) -> Float[Tensor, "m c s s"]:
    """Return all grid cells at full size: first cell 1 of every image, then cell 2 of every image, …, row by row.

    Cells are enlarged bilinearly (``align_corners=False``) to the size of the image; m = n · factor².

    Args:
        images: in [0, 1]; padded with mid-gray at the right and the bottom if ``factor`` does not divide the size.
        factor: cells along each side; 1: the images are returned as they are.
    """
    if factor == 1:
        return images
    size = images.shape[-1]
    side = -(-size // factor)
    missing = side * factor - size
    padded = F.pad(images, (0, missing, 0, missing), value=PADDING)
    starts = range(0, side * factor, side)
    cells = [padded[:, :, row : row + side, column : column + side] for row in starts for column in starts]
    return F.interpolate(torch.cat(cells), size=(size, size), mode="bilinear", align_corners=False)


def tile(images: Float[Tensor, "m c s s"], factor: int) -> Float[Tensor, "n c s s"]:
    """Return grids of shrunk images, the initial images of IDC: n = m / factor².

    The first n images are cell 1 of the n grids, the next n cell 2, …, row by row, so that ``decode`` returns the
    images in their order. They are shrunk by taking the nearest pixel. If ``factor`` does not divide the size, the
    first ``size % factor`` rows and columns of cells have one pixel more.

    Args:
        images: factor² images for every grid.
        factor: cells along each side.
    """
    size = images.shape[-1]
    sides = [size // factor + (place < size % factor) for place in range(factor)]
    cells = images.unflatten(0, (factor, factor, -1))
    rows = [
        torch.cat([F.interpolate(cells[row, column], (height, width)) for column, width in enumerate(sides)], dim=3)
        for row, height in enumerate(sides)
    ]
    return torch.cat(rows, dim=2)

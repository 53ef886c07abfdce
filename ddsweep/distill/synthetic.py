"""The synthetic set: the images that are learned, and their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import checked_files
from ddsweep.errors import Damaged

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset


@dataclass(frozen=True)
class Synthetic:
    """A synthetic set in class-major order: each label appears ``ipc`` times in a row.

    Attributes:
        images: [classes·ipc, c, h, w] in the normalized space of its dataset; never clamped.
        labels: [classes·ipc] hard labels.
        ipc: images per class.
    """

    images: Float[Tensor, "syn c h w"]
    labels: Int64[Tensor, " syn"]
    ipc: int

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.labels) // self.ipc

    def detached(self) -> Synthetic:
        """Return the same set without the autograd graph."""
        return Synthetic(self.images.detach(), self.labels, self.ipc)


def read(path: Path) -> tuple[Synthetic, dict[str, str]]:
    """Read ``runs/KEY/synthetic.safetensors``: the set and its metadata (``trial.save``).

    Raises:
        Damaged: the file is not one, or does not match its checksum.
        UserError: it cannot be read.
    """
    tensors, metadata = checked_files.read_tensors(path)
    try:
        return Synthetic(tensors["images"], tensors["labels"], int(metadata["ipc"])), metadata
    except (KeyError, ValueError) as error:
        raise Damaged(f"{path} is damaged: {error} is missing or invalid") from None


def statistics(metadata: Mapping[str, str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and std with which a stored set is normalized, from its metadata."""
    mean, std = (tuple(float(part) for part in metadata[name].strip("[]").split(",")) for name in ("mean", "std"))
    return mean, std


def initial(dataset: Dataset, ipc: int, init: Literal["noise", "real"], generator: torch.Generator) -> Synthetic:
    """Return a new synthetic set: N(0, 1) noise, or distinct real images of each class drawn at random.

    Raises:
        ValueError: a class has fewer than ``ipc`` images and ``init`` is ``real``.
    """
    classes, device = len(dataset.classes), dataset.images.device
    if init == "noise":
        shape = (classes * ipc, *dataset.images.shape[1:])
        images = torch.randn(shape, generator=generator).to(device)
    else:
        images = torch.cat([dataset.sample(label, ipc, generator) for label in range(classes)])
    if len(images) != classes * ipc:
        raise ValueError(f"ipc: a class of {dataset.name} has fewer than {ipc} images")
    labels = torch.arange(classes, device=device).repeat_interleave(ipc)
    return Synthetic(images.clone().requires_grad_(), labels, ipc)

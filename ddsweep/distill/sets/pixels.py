"""Plain pixels: the images themselves are learned (DC, DSA, DM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.synthetic import Synthetic

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network
    from ddsweep.rng import Streams


@dataclass(frozen=True, eq=False)
class Pixels(Synthetic, LearnedSet):
    """A synthetic set whose images are a leaf tensor; see ``Synthetic`` for the attributes."""

    kind: ClassVar[str] = "pixels"

    def parameters(self) -> dict[str, Tensor]:
        """The images."""
        return {"images": self.images}

    def decode(self) -> Synthetic:
        """The set itself."""
        return self


def make(dataset: Dataset, net: Network, streams: Streams, *, ipc: int, init: Literal["noise", "real"]) -> Pixels:
    """Return a new set for ``registry.methods.Method.learned``; see ``initial``."""
    return initial(dataset, ipc, init, streams.images)


def initial(dataset: Dataset, ipc: int, init: Literal["noise", "real"], generator: torch.Generator) -> Pixels:
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
    return Pixels(images.clone().requires_grad_(), labels, ipc)

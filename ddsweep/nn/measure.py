"""How often a network is right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.nn.passes import even, images_per_pass


@runtime_checkable
class Images(Protocol):
    """Normalized images that can be walked through in batches: a Tensor [n, c, h, w], or images kept as bytes."""

    @property
    def shape(self) -> torch.Size:
        """[n, c, h, w]."""

    def split(self, size: int, /) -> Iterable[Float[Tensor, "k c h w"]]:
        """Batches of ``size`` images, in order."""


@torch.no_grad()
def class_accuracy(
    net: torch.nn.Module, images: Images, labels: Int64[Tensor, " n"], classes: int
) -> tuple[Float[Tensor, ""], Float[Tensor, " classes"]]:
    """Accuracy on all images, and on those of each class (nan for a class without images), as fractions on the CPU.

    The network is put into eval mode and left there.
    """
    net.eval()
    chunk = even(len(labels), images_per_pass(images.shape[-1], labels.device))
    predicted = torch.cat([net(part).argmax(1) for part in images.split(chunk)])
    right, labels = (predicted == labels).cpu(), labels.cpu()
    found, total = (torch.bincount(which, minlength=classes).double() for which in (labels[right], labels))
    return found.sum() / total.sum(), found / total

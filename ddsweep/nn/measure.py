"""The loss and the accuracy of a classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ddsweep.nn.microbatches import equal_size, microbatch_size


@runtime_checkable
class Images(Protocol):
    """Normalized images that can be iterated in batches: a Tensor [n, c, h, w], or images that are kept as bytes."""

    @property
    def shape(self) -> torch.Size:
        """[n, c, h, w]."""

    def split(self, size: int, /) -> Iterable[Float[Tensor, "k c h w"]]:
        """Batches of ``size`` images, in order."""


def cross_entropy(
    net: Callable[[Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"] | Float[Tensor, "n classes"],
) -> Float[Tensor, ""]:
    """Return the mean over i of CE(net(x_i), y_i); y_i is a class, or the weight of every class."""
    return F.cross_entropy(net(images), labels)


def class_accuracy(
    net: torch.nn.Module, images: Images, labels: Int64[Tensor, " n"], classes: int
) -> tuple[Float[Tensor, ""], Float[Tensor, " classes"]]:
    """Return the accuracy on all images and on those of each class, as fractions, on the CPU.

    The accuracy of a class without images is nan. The network is put into eval mode and left in it.
    """
    return by_class(recognized(net, images, labels), labels, classes)


@torch.no_grad()
def recognized(net: torch.nn.Module, images: Images, labels: Int64[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Return whether argmax net(x_i) = y_i for each image, on the CPU.

    The network is put into eval mode and left in it.
    """
    net.eval()
    most = equal_size(len(labels), microbatch_size(images.shape[-1], labels.device))
    predicted = torch.cat([net(part).argmax(1) for part in images.split(most)])
    return (predicted == labels).cpu()


def by_class(
    correct: Bool[Tensor, " n"], labels: Int64[Tensor, " n"], classes: int
) -> tuple[Float[Tensor, ""], Float[Tensor, " classes"]]:
    """Return the share of True in all of ``correct`` and in each class (nan if it is empty), on the CPU."""
    correct, labels = correct.cpu(), labels.cpu()
    hits, total = (torch.bincount(which, minlength=classes).double() for which in (labels[correct], labels))
    return hits.sum() / total.sum(), hits / total

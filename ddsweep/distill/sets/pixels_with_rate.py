"""Pixels and the learning rate for networks on them, learned together (TM)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.distill.sets import MOMENTUM, LearnedSet, pixels
from ddsweep.distill.synthetic import Synthetic
from ddsweep.nn import optimizers

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network
    from ddsweep.rng import Streams


class PixelsWithRate(LearnedSet):
    """A synthetic set whose images and learning rate are leaf tensors.

    Args:
        images: [classes·ipc, c, h, w].
        labels: [classes·ipc] hard labels.
        ipc: images per class.
        rate: the initial learning rate.
        lr_lr: the learning rate of the learning rate.
    """

    kind: ClassVar[str] = "pixels-with-rate"

    def __init__(
        self, images: Float[Tensor, "syn c h w"], labels: Int64[Tensor, " syn"], ipc: int, rate: float, lr_lr: float
    ) -> None:
        self.images, self.labels, self.ipc = images, labels, ipc
        self.rate = torch.tensor(rate, dtype=images.dtype, device=images.device, requires_grad=True)
        self._lr_lr = lr_lr

    @property
    def lr(self) -> float:
        """The rate."""
        return float(self.rate.detach())

    def parameters(self) -> dict[str, Tensor]:
        """The images and the rate."""
        return {"images": self.images, "rate": self.rate}

    def decode(self) -> Synthetic:
        """The images themselves, with the rate as ``Synthetic.lr``."""
        return Synthetic(self.images, self.labels, self.ipc, self.lr)

    def optimizer(self, lr: float) -> torch.optim.Optimizer:
        """SGD with momentum 0.5: ``lr_img`` for the images, ``lr_lr`` for the rate."""
        groups = [{"params": [self.images], "lr": lr}, {"params": [self.rate], "lr": self._lr_lr}]
        return optimizers.SGD(groups, momentum=MOMENTUM)

    def facts(self) -> dict[str, str]:
        """The learned rate."""
        return {"lr": repr(self.lr)}


def make(
    dataset: Dataset,
    net: Network,
    streams: Streams,
    *,
    ipc: int,
    init: Literal["noise", "real"],
    lr_teacher: float,
    lr_lr: float,
) -> PixelsWithRate:
    """Return a new set for ``registry.methods.Method.learned``; images as in ``pixels.initial``."""
    start = pixels.initial(dataset, ipc, init, streams.images)
    return PixelsWithRate(start.images, start.labels, ipc, lr_teacher, lr_lr)

"""TM (MTT): a student on the synthetic set has to reach what an expert reached on real images.

Cazenavette et al., "Dataset distillation by matching training trajectories" (CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ddsweep.distill.matching import Match
from ddsweep.distill.methods import unrolled
from ddsweep.distill.methods.unrolled import Student
from ddsweep.distill.metrics import Diverged
from ddsweep.distill.sets.pixels_with_rate import PixelsWithRate

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network
    from ddsweep.numerics import Numerics
    from ddsweep.rng import Streams


@runtime_checkable
class Trajectories(Protocol):
    """The trajectories of experts (``pretrained.experts.Experts``)."""

    def __len__(self) -> int:
        """Number of experts."""

    def weights(self, index: int, epoch: int) -> dict[str, Tensor]:
        """The weights of an expert after ``epoch`` epochs, by name."""


@dataclass(frozen=True)
class Settings:
    """Settings of trajectory matching; the defaults are those of CIFAR-10 with ten images per class.

    Attributes:
        syn_steps: N, the steps of the student on the synthetic set.
        expert_epochs: M, the epochs of the expert that the student has to reach.
        max_start_epoch: the student starts from an epoch of the expert below this one.
        batch_syn: synthetic images per step; 0: all of them.
        strategy: operations of the augmentation joined by ``_``, or ``none``.
    """

    syn_steps: int = 30
    expert_epochs: int = 2
    max_start_epoch: int = 20
    batch_syn: int = 0
    strategy: str = "none"


class TrajectoryMatching:
    """The matching loss, made once per distillation; the random networks of the loop are not used.

    Args:
        net: the network of the experts and the student.
        settings: the settings of the protocol.
        experts: the trajectories.
        numerics: precision and compilation.
    """

    def __init__(
        self, net: Network, settings: Settings, experts: Trajectories, numerics: Numerics | None = None
    ) -> None:
        self._student, self._settings, self._experts = Student(net, numerics), settings, experts

    def episode(self, learned: PixelsWithRate, dataset: Dataset, streams: Streams, done: int = 0) -> Iterator[Match]:
        """Yield the one loss of an iteration: ‖θ_N − θ*_{s+M}‖² / ‖θ*_s − θ*_{s+M}‖² over all parameters.

        θ* is the trajectory of an expert, and s an epoch below ``max_start_epoch``, both drawn uniformly. The student
        starts from θ_0 = θ*_s and takes N steps of SGD with the learned rate (``Student.match``).

        Args:
            learned: the images and the rate.
            dataset: the real images, which only the experts have seen.
            streams: ``batch`` draws the expert, s, and the images of each step; ``augment`` the augmentations.
            done: steps that are done already, 0 or 1.

        Raises:
            Diverged: the step has made the rate negative.
            UserError: an expert's weights are missing.
        """
        if done:
            return
        settings, images = self._settings, learned.images
        index = int(torch.randint(len(self._experts), (), generator=streams.batch))
        start = int(torch.randint(settings.max_start_epoch, (), generator=streams.batch))
        ends = (start, start + settings.expert_epochs)
        theta, target = (self._student.flat(self._experts.weights(index, epoch), images) for epoch in ends)
        batches = unrolled.draw(
            len(images), dataset.size, settings.syn_steps, settings.batch_syn, settings.strategy, streams
        )
        found = self._student.match(theta, target, images, learned.labels, learned.rate, batches)
        yield Match(_WithGradients.apply(found.loss, found.images, found.rate, images, learned.rate))
        if learned.lr < 0:
            raise Diverged(
                f"syn_lr, the learned rate of the student, has become {learned.lr:.3g}; a smaller lr_lr may help"
            )


class _WithGradients(torch.autograd.Function):
    """A loss whose gradients to the images and the rate are given."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, to_images: Tensor, to_rate: Tensor, images: Tensor, rate: Tensor) -> Tensor:
        ctx.save_for_backward(to_images, to_rate)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[None, None, None, Tensor, Tensor]:
        to_images, to_rate = ctx.saved_tensors
        return None, None, None, upstream[0] * to_images, upstream[0] * to_rate


def make(
    net: Network,
    *,
    syn_steps: int,
    expert_epochs: int,
    max_start_epoch: int,
    batch_syn: int,
    dsa_strategy: str,
    experts: Trajectories,
    numerics: Numerics,
) -> TrajectoryMatching:
    """Return the matching loss of TM from the numbers of a recipe."""
    settings = Settings(syn_steps, expert_epochs, max_start_epoch, batch_syn, dsa_strategy)
    return TrajectoryMatching(net, settings, experts, numerics)

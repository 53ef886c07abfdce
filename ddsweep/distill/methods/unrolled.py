"""The loss of trajectory matching and its gradient, through N steps of SGD on the synthetic set.

The gradient is computed in reverse, one step at a time: only the N + 1 parameter vectors are kept, and the graph of
one micro-batch of one step is in memory at a time, instead of the graphs of all N steps. It is the same gradient up to
rounding, for one more first-order pass per step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value
from torch.nn import functional as F

from ddsweep import augment
from ddsweep.nn import microbatches, statistics
from ddsweep.numerics import Numerics
from ddsweep.rng import copy_to

if TYPE_CHECKING:
    from ddsweep.rng import Streams

SECOND_ORDER = 4  # an image that is differentiated twice takes the memory of about so many that are not


@dataclass(frozen=True)
class Batch:
    """The random choices of one step: which synthetic images (indices on the CPU), and their augmentation."""

    indices: Int64[Tensor, " b"]
    change: augment.Params


@dataclass(frozen=True)
class UnrolledLoss:
    """The loss of a trajectory, and its gradients.

    Attributes:
        loss: ‖θ_N − target‖² / ‖θ_0 − target‖².
        images: its gradient to the synthetic images.
        rate: its gradient to the learned rate.
    """

    loss: Float[Tensor, ""]
    images: Float[Tensor, "syn c h w"]
    rate: Float[Tensor, ""]


class Student:
    """SGD of one network on a synthetic set, as a function of the images and the rate.

    Parameters are one flat vector θ [P], in the order of ``net.named_parameters()``, without those that are frozen.

    Args:
        net: the network; its parameters are not used unless they are frozen. A batch norm has no running statistics
            here: it always uses those of the batch.
        numerics: precision and compilation.
    """

    def __init__(self, net: nn.Module, numerics: Numerics | None = None) -> None:
        numerics = numerics or Numerics()
        self._net = net.train()
        self._shapes = {name: value.shape for name, value in net.named_parameters() if value.requires_grad}
        statistics.forget(net)
        self._gradient = numerics.function(grad(self._loss))
        self._reverse = numerics.function(grad_and_value(self._product, argnums=(0, 1)))

    def flat(self, weights: dict[str, Tensor], like: Tensor) -> Float[Tensor, " p"]:
        """Return the parameters in ``weights`` as one vector, on the device of ``like``."""
        return torch.cat([weights[name].flatten() for name in self._shapes]).to(like)

    def match(
        self,
        start: Float[Tensor, " p"],
        target: Float[Tensor, " p"],
        images: Float[Tensor, "syn c h w"],
        labels: Int64[Tensor, " syn"],
        rate: Float[Tensor, ""],
        batches: Sequence[Batch],
    ) -> UnrolledLoss:
        """Return the loss of the trajectory from ``start`` and its gradients.

        θ_0 = start, and θ_{t+1} = θ_t − rate · g_t, with g_t the gradient at θ_t of the mean cross-entropy of the
        augmented images of batch t. With v_N = 2 (θ_N − target) / ‖start − target‖², and s_t = ⟨v_{t+1}, g_t⟩ as a
        function of θ_t and the images x: v_t = v_{t+1} − rate · ∂s_t/∂θ_t, and the gradients of the loss are
        −rate · Σ_t ∂s_t/∂x and −Σ_t s_t.

        Args:
            start: an expert's parameters.
            target: its parameters some epochs later.
            images: the synthetic images.
            labels: their labels.
            rate: the learned rate.
            batches: the batch of each step.
        """
        images, rate = images.detach(), rate.detach()
        thetas = self._train(start, images, labels, rate, batches)
        scale = (start - target).square().sum()
        loss, v = (thetas[-1] - target).square().sum() / scale, 2 * (thetas[-1] - target) / scale
        to_images, to_rate = torch.zeros_like(images), torch.zeros_like(rate)
        for theta, batch in zip(reversed(thetas[:-1]), reversed(batches), strict=True):
            with torch.enable_grad():
                leaf = images.clone().requires_grad_()
                augmented = _augmented(leaf, batch)
            product, curvature, pixels = self._reversed(theta, augmented.detach(), _of(labels, batch), v)
            to_images -= rate * torch.autograd.grad(augmented, leaf, pixels)[0]
            to_rate -= product
            v = v - rate * curvature
        return UnrolledLoss(loss, to_images, to_rate)

    @torch.no_grad()
    def _train(
        self, start: Tensor, images: Tensor, labels: Tensor, rate: Tensor, batches: Sequence[Batch]
    ) -> list[Tensor]:
        """Return θ_0 … θ_N."""
        thetas = [start]
        for batch in batches:
            theta, gradient = thetas[-1], torch.zeros_like(start)
            for part, part_labels, share in self._parts(_augmented(images, batch), _of(labels, batch), 1):
                gradient += share * self._gradient(theta, part, part_labels)
            thetas.append(theta - rate * gradient)
        return thetas

    def _reversed(self, theta: Tensor, images: Tensor, labels: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return s = ⟨v, g⟩ of one step, and its gradients to θ and to the augmented images."""
        product, curvature, pixels = theta.new_zeros(()), torch.zeros_like(theta), []
        for part, part_labels, share in self._parts(images, labels, SECOND_ORDER):
            (to_theta, to_part), value = self._reverse(theta, part, part_labels, v)
            product += share * value
            curvature += share * to_theta
            pixels.append(share * to_part)
        return product, curvature, torch.cat(pixels)

    def _parts(self, images: Tensor, labels: Tensor, weight: int) -> Iterator[tuple[Tensor, Tensor, float]]:
        """Yield micro-batches with their share of the images, which take ``weight`` times the usual memory each."""
        count, size, device = len(images), images.shape[-1], images.device
        most = microbatches.max_images_with_graph(size, device) // weight
        most = microbatches.equal_size(count, max(1, min(microbatches.microbatch_size(size, device), most)))
        if microbatches.uses_batch_statistics(self._net):
            most = count
        for part, part_labels in zip(images.split(most), labels.split(most), strict=True):
            yield part, part_labels, len(part) / count

    def _loss(self, theta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        sizes = [shape.numel() for shape in self._shapes.values()]
        parts = zip(self._shapes.items(), theta.split(sizes), strict=True)
        parameters = {name: part.view(shape) for (name, shape), part in parts}
        return F.cross_entropy(functional_call(self._net, parameters, (images,)), labels)

    def _product(self, theta: Tensor, images: Tensor, labels: Tensor, v: Tensor) -> Tensor:
        gradient: Callable[..., Tensor] = grad(self._loss)
        return (v * gradient(theta, images, labels)).sum()


def draw(count: int, size: int, steps: int, batch: int, strategy: str, streams: Streams) -> list[Batch]:
    """Draw the batches of N steps, so that they are known when the steps are computed again in reverse.

    A permutation of the images is cut into chunks of ``batch``, which are used from the last, so that a short remainder
    comes first; then a new permutation is drawn. Each step has one operation, with parameters of its own per image.

    Args:
        count: number of synthetic images.
        size: their height and width in pixels.
        steps: N.
        batch: images per step; 0: all of them.
        strategy: operations of the augmentation, or ``none``.
        streams: ``batch`` draws permutations, ``augment`` draws augmentations.
    """
    chunks: list[Tensor] = []
    batches = []
    for _ in range(steps):
        if not chunks:
            chunks = list(torch.randperm(count, generator=streams.batch).split(batch or count))
        indices = chunks.pop()
        batches.append(Batch(indices, augment.draw(streams.augment, len(indices), size, strategy, shared=False)))
    return batches


def _augmented(images: Tensor, batch: Batch) -> Tensor:
    return augment.apply(images[copy_to(batch.indices, images.device)], batch.change)


def _of(labels: Tensor, batch: Batch) -> Tensor:
    return labels[copy_to(batch.indices, labels.device)]

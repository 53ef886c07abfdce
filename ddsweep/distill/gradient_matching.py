"""DC and DSA: synthetic images whose gradients match those of real images, class by class.

DC: Zhao, Mopuri & Bilen, "Dataset condensation with gradient matching" (ICLR 2021). DSA: Zhao & Bilen, "Dataset
condensation with differentiable siamese augmentation" (ICML 2021). They differ in the strategy: ``none`` for DC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, vmap
from torch.nn import functional as F

from ddsweep import augment
from ddsweep.distill.batches import Drawn, draw
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError, closest
from ddsweep.nn import has_batch_norm, passes
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset

SECOND_ORDER = 4  # real images that keep as much memory as a synthetic one, which is differentiated twice (2.5 to 4.6)
BATCH_NORM_IMAGES = 16  # real images per class that set the running statistics
Metric = Literal["rows", "mse", "cos"]
EPSILON = 1e-6


@dataclass(frozen=True)
class Settings:
    """Choices of gradient matching; the defaults are those of IPC 10.

    Attributes:
        batch_real: distinct real images per class and step.
        strategy: operations of the siamese augmentation joined by ``_``; ``none`` is DC.
        outer_loops: image steps T with one network.
        inner_epochs: epochs of the network on the synthetic set between two image steps.
        batch_train: batch of those epochs.
        lr_net: their learning rate (plain SGD: no momentum, no weight decay).
        metric: distance of gradients, ``rows``, ``mse`` or ``cos``: see ``distance``.
    """

    batch_real: int = 256
    strategy: str = "none"
    outer_loops: int = 10
    inner_epochs: int = 50
    batch_train: int = 256
    lr_net: float = 0.01
    metric: Metric = "rows"


class GradientMatching:
    """The matching losses of one network architecture: made once per distillation, used with every network it draws.

    Args:
        net: the network, the parameters of which its owner draws anew before each episode.
        settings: the protocol's numbers.
        numerics: how it is computed.

    Raises:
        UserError: an unknown metric.
    """

    def __init__(self, net: nn.Module, settings: Settings, numerics: Numerics | None = None) -> None:
        if settings.metric not in get_args(Metric):
            raise UserError(f"metric: no distance {settings.metric!r}; {closest(settings.metric, get_args(Metric))}")
        numerics = numerics or Numerics()
        self._net, self._settings, self._batched = net, settings, numerics.batched
        match = partial(_match, net, settings.metric)
        self._real, self._match = numerics.function(partial(_loss, net)), numerics.function(match)
        self._real_of_each = numerics.function(vmap(partial(_target, net), in_dims=(None, 0, 0)))
        self._match_each = numerics.function(vmap(match, in_dims=(None, 0, 0, 0)))
        self._cross_entropy = numerics.function(partial(_cross_entropy, net))

    def episode(
        self, synthetic: Synthetic, dataset: Dataset, streams: Streams, done: int = 0
    ) -> Iterator[Float[Tensor, ""]]:
        """The matching losses of one freshly drawn network: T of them, one per image step.

        Between two yields the caller steps the images, and then the network is trained on them for ``inner_epochs``;
        not after the last. Each loss is Σ over classes c of
        distance(∇θ CE(net(A(S_c)), c), ∇θ CE(net(A(T_c)), c)), T_c being ``batch_real`` real images and A one
        augmentation, drawn per class and applied to both. Its graph reaches back to the augmented images only: their
        gradient is computed with the loss, class by class, so that no more than one class's second-order graph is
        held at a time (on a GPU that of all).

        Args:
            synthetic: the set being learned, of which ``images`` is a leaf that requires gradient.
            dataset: the real images, on the same device.
            streams: ``batch`` draws real images and shuffles, ``augment`` draws augmentations.
            done: image steps that are done already: the network, the images and the streams are as they were then.

        Raises:
            UserError: an unknown operation.
        """
        optimizer = torch.optim.SGD(self._net.parameters(), lr=self._settings.lr_net)
        self._net.train()
        for loop in range(done, self._settings.outer_loops):
            if loop:
                self._train(optimizer, synthetic.detached(), streams)
            _settle_batch_norm(self._net, dataset, streams.batch)
            yield self._loss(synthetic, dataset, streams)

    def _loss(self, synthetic: Synthetic, dataset: Dataset, streams: Streams) -> Float[Tensor, ""]:
        parameters = {name: value.detach() for name, value in self._net.named_parameters()}
        drawn = draw(dataset, range(synthetic.classes), self._settings.batch_real, self._settings.strategy, streams)
        if (at_once := self._at_once(synthetic, dataset)) == 1:
            pairs = (pair for some in drawn.portions(1) for pair in _pairs(some, synthetic, dataset))
            return torch.stack([self._one(parameters, *pair) for pair in pairs]).sum()
        portions = drawn.portions(at_once * self._settings.batch_real)
        batches = (batch for some in portions for batch in _stacked(_pairs(some, synthetic, dataset)))
        return torch.stack([self._together(parameters, *batch) for batch in batches]).sum()

    def _at_once(self, synthetic: Synthetic, dataset: Dataset) -> int:
        """How many classes go as one batch: as many as the memory has room for, in equal groups."""
        if not self._batched:
            return 1
        room = passes.images_with_graph(dataset.size, synthetic.images.device)
        most = max(1, room // (self._settings.batch_real + SECOND_ORDER * synthetic.ipc))
        return passes.in_equal_groups(synthetic.classes, most)

    def _one(self, parameters: dict[str, Tensor], ours: Tensor, real: Tensor, label: Tensor) -> Tensor:
        loss, gradient = self._match(parameters, ours.detach(), self._gradient(parameters, real, label), label)
        return _Known.apply(ours, loss, gradient)

    def _together(self, parameters: dict[str, Tensor], ours: Tensor, real: Tensor, label: Tensor) -> Tensor:
        """The sum over a batch of classes."""
        loss, gradient = self._match_each(parameters, ours.detach(), self._real_of_each(parameters, real, label), label)
        return _Known.apply(ours, loss, gradient).sum()

    def _gradient(self, parameters: dict[str, Tensor], real: Tensor, label: Tensor) -> list[Tensor]:
        """Of the loss on the real images of one class, by parameter.

        ``torch.func``, which a batch of classes needs, differentiates so that it could be done again, and that costs:
        of 256 real images 15 % not compiled, 35 % compiled (CPU).
        """
        leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            return self._real(leaves, images, labels)

        passes.backward(self._net, loss, real, label.expand(len(real)))
        return [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves.values()]

    def _train(self, optimizer: torch.optim.Optimizer, synthetic: Synthetic, streams: Streams) -> None:
        settings = self._settings
        change = partial(augment.independent, strategy=settings.strategy, generator=streams.augment)
        self._net.train()
        for _ in range(settings.inner_epochs):
            for images, labels in augment.batches(
                synthetic.images, synthetic.labels, settings.batch_train, streams.batch, change
            ):
                optimizer.zero_grad()
                passes.backward(self._net, self._cross_entropy, images, labels)
                optimizer.step()


class _Pair(NamedTuple):
    """What one class compares, augmented alike: synthetic images, real images, the label."""

    ours: Tensor
    real: Tensor
    label: Tensor


def _pairs(drawn: Drawn, synthetic: Synthetic, dataset: Dataset) -> list[_Pair]:
    real, ours = drawn.of_real(dataset).split(drawn.counts), drawn.of_synthetic(synthetic).split(synthetic.ipc)
    labels = torch.arange(drawn.labels[0], drawn.labels[-1] + 1, device=dataset.labels.device)
    return [_Pair(*one) for one in zip(ours, real, labels, strict=True)]


def _stacked(pairs: Iterable[_Pair]) -> list[_Pair]:
    """Batches of classes, [classes, n, c, h, w]: a class with few real images cannot go with one that has more."""
    by_size: dict[int, list[_Pair]] = {}
    for pair in pairs:
        by_size.setdefault(len(pair.real), []).append(pair)
    return [_Pair(*map(torch.stack, zip(*alike, strict=True))) for alike in by_size.values()]


class _Known(torch.autograd.Function):
    """A loss whose gradient to the images is known already."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return above[0].reshape(above[0].shape + (1,) * (gradient.ndim - above[0].ndim)) * gradient, None, None


def _loss(net: nn.Module, parameters: dict[str, Tensor], images: Tensor, label: Tensor) -> Float[Tensor, ""]:
    """Of images that are all of one class."""
    return F.cross_entropy(functional_call(net, parameters, (images,)), label.expand(len(images)))


def _target(net: nn.Module, parameters: dict[str, Tensor], images: Tensor, label: Tensor) -> list[Tensor]:
    """Gradient of the loss on images of one class."""
    return list(grad(partial(_loss, net))(parameters, images, label).values())


def _match(
    net: nn.Module, metric: Metric, parameters: dict[str, Tensor], ours: Tensor, target: list[Tensor], label: Tensor
) -> tuple[Float[Tensor, ""], Tensor]:
    """Distance of the gradient on one class's synthetic images to the target, and its gradient to these images."""

    def apart(images: Tensor) -> Tensor:
        return distance(_target(net, parameters, images, label), target, metric)

    gradient, value = grad_and_value(apart)(ours)
    return value, gradient


def _cross_entropy(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(net(images), labels)


def _settle_batch_norm(net: nn.Module, dataset: Dataset, generator: torch.Generator) -> None:
    """Let real images of all classes move the running statistics once, then hold them while gradients are compared.

    A class's batch would otherwise be normalized by its own statistics, which no net sees in a mixed batch.
    """
    if not has_batch_norm(net):
        return
    net.train()
    classes = range(len(dataset.classes))
    with torch.no_grad():
        net(torch.cat([dataset.sample(label, BATCH_NORM_IMAGES, generator) for label in classes]))
    for layer in net.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()


def distance(synthetic: Sequence[Tensor], real: Sequence[Tensor], metric: str = "rows") -> Float[Tensor, ""]:
    """Distance between two gradients, given as one tensor per parameter.

    ``rows`` (DC's layer-wise distance): Σ over rows a of 1 - <a, b> / (|a|·|b| + 1e-6). A parameter of two or more
    dimensions has one row per output, the rest flattened; biases and norm weights (one dimension) contribute 0, a row
    of zeros 1. ``mse``: squared L2 norm of the difference of all parameters. ``cos``: 1 - <a, b> / (|a|·|b| + 1e-6)
    of all parameters as one vector.

    Args:
        synthetic: gradient of the loss on synthetic images; the result is differentiable in it.
        real: gradient of the loss on real images, same shapes.
        metric: as above.

    Raises:
        UserError: no such metric.
    """
    if metric == "rows":
        pairs = [(a.flatten(1), b.flatten(1)) for a, b in zip(synthetic, real, strict=True) if a.ndim > 1]
        return torch.stack([_cosine_distance(a, b).sum() for a, b in pairs]).sum()
    if metric not in get_args(Metric):
        raise UserError(f"metric: no distance {metric!r}; {closest(metric, get_args(Metric))}")
    ours, theirs = (torch.cat([part.flatten() for part in parts]) for parts in (synthetic, real))
    return (ours - theirs).square().sum() if metric == "mse" else _cosine_distance(ours, theirs)


def _cosine_distance(a: Float[Tensor, "*rows d"], b: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows"]:
    return 1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + EPSILON)

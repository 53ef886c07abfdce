"""DC and DSA: match the gradients of a network on synthetic and on real images, class by class.

DC: Zhao, Mopuri & Bilen, "Dataset condensation with gradient matching" (ICLR 2021). DSA: Zhao & Bilen, "Dataset
condensation with differentiable siamese augmentation" (ICML 2021). DC is DSA with the strategy ``none``.
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
from ddsweep.distill.batches import ClassBatches, draw
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError, closest
from ddsweep.nn import has_batch_norm, microbatches
from ddsweep.nn.measure import cross_entropy
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset

# A synthetic image is differentiated twice and takes the memory of about so many real images (measured: 2.5 to 4.6).
SECOND_ORDER = 4
BATCH_NORM_IMAGES = 16  # real images per class that set the running statistics
Metric = Literal["rows", "mse", "cos"]
EPSILON = 1e-6


@dataclass(frozen=True)
class Settings:
    """Settings of gradient matching; the defaults are those of IPC 10.

    Attributes:
        batch_real: distinct real images per class and step.
        strategy: operations of the siamese augmentation joined by ``_``; ``none`` is DC.
        outer_loops: T, the image steps with one network.
        inner_epochs: epochs of the network on the synthetic set between two image steps.
        batch_train: batch size of those epochs.
        lr_net: learning rate of those epochs (plain SGD: no momentum, no weight decay).
        metric: distance of gradients, ``rows``, ``mse`` or ``cos`` (see ``distance``).
    """

    batch_real: int = 256
    strategy: str = "none"
    outer_loops: int = 10
    inner_epochs: int = 50
    batch_train: int = 256
    lr_net: float = 0.01
    metric: Metric = "rows"


class GradientMatching:
    """The matching loss of one network architecture, made once per distillation and used with all its random networks.

    Args:
        net: the network; its owner draws its parameters again before each episode.
        settings: the settings of the protocol.
        numerics: precision, compilation, and whether classes are vectorized.

    Raises:
        UserError: an unknown metric.
    """

    def __init__(self, net: nn.Module, settings: Settings, numerics: Numerics | None = None) -> None:
        if settings.metric not in get_args(Metric):
            raise UserError(
                f"metric: unknown distance {settings.metric!r}; {closest(settings.metric, get_args(Metric))}"
            )
        numerics = numerics or Numerics()
        self._net, self._settings, self._vectorized = net, settings, numerics.vectorized
        match = partial(_match, net, settings.metric)
        self._class_loss, self._match = numerics.function(partial(_class_loss, net)), numerics.function(match)
        self._targets = numerics.function(vmap(partial(_gradient, net), in_dims=(None, 0, 0)))
        self._matches = numerics.function(vmap(match, in_dims=(None, 0, 0, 0)))
        self._cross_entropy = numerics.function(partial(cross_entropy, net))

    def episode(
        self, synthetic: Synthetic, dataset: Dataset, streams: Streams, done: int = 0
    ) -> Iterator[Float[Tensor, ""]]:
        """Yield the T matching losses of a freshly drawn network, one per image step.

        Between two losses the caller updates the images, and then the network is trained on them for ``inner_epochs``
        epochs; not after the last. Each loss is Σ over classes c of
        distance(∇θ CE(net(A(S_c)), c), ∇θ CE(net(A(T_c)), c)), where S_c are the synthetic images of class c, T_c
        ``batch_real`` real images of it, and A one augmentation, drawn per class and applied to both. The loss is
        computed together with its gradient to the augmented images, and its graph reaches no further back: the
        second-order graph of one class is in memory at a time (on a GPU, of as many classes as fit).

        Args:
            synthetic: the set being learned; ``images`` is a leaf that requires a gradient.
            dataset: the real images, on the same device.
            streams: ``batch`` draws real images and shuffles, ``augment`` draws augmentations.
            done: image steps that are done already; the network, the images and the streams are in their state then.

        Raises:
            UserError: the strategy has an unknown operation.
        """
        optimizer = torch.optim.SGD(self._net.parameters(), lr=self._settings.lr_net)
        self._net.train()
        for loop in range(done, self._settings.outer_loops):
            if loop:
                self._train(optimizer, synthetic.detached(), streams)
            _set_running_statistics(self._net, dataset, streams.batch)
            yield self._loss(synthetic, dataset, streams)

    def _loss(self, synthetic: Synthetic, dataset: Dataset, streams: Streams) -> Float[Tensor, ""]:
        parameters = {name: value.detach() for name, value in self._net.named_parameters()}
        batches = draw(dataset, range(synthetic.classes), self._settings.batch_real, self._settings.strategy, streams)
        if (group := self._classes_at_once(synthetic, dataset)) == 1:
            pairs = (pair for part in batches.split(1) for pair in _pairs(part, synthetic, dataset))
            return torch.stack([self._loss_of_class(parameters, *pair) for pair in pairs]).sum()
        parts = batches.split(group * self._settings.batch_real)
        stacks = (stack for part in parts for stack in _stacked(_pairs(part, synthetic, dataset)))
        return torch.stack([self._loss_of_classes(parameters, *stack) for stack in stacks]).sum()

    def _classes_at_once(self, synthetic: Synthetic, dataset: Dataset) -> int:
        """Return the number of classes per batch: as many as fit in memory, in groups of equal size."""
        if not self._vectorized:
            return 1
        most = microbatches.max_images_with_graph(dataset.size, synthetic.images.device)
        most = max(1, most // (self._settings.batch_real + SECOND_ORDER * synthetic.ipc))
        return microbatches.group_size(synthetic.classes, most)

    def _loss_of_class(self, parameters: dict[str, Tensor], synthetic: Tensor, real: Tensor, label: Tensor) -> Tensor:
        target = self._target(parameters, real, label)
        loss, gradient = self._match(parameters, synthetic.detach(), target, label)
        return _WithGradient.apply(synthetic, loss, gradient)

    def _loss_of_classes(self, parameters: dict[str, Tensor], synthetic: Tensor, real: Tensor, label: Tensor) -> Tensor:
        """Return the sum over a batch of classes."""
        targets = self._targets(parameters, real, label)
        loss, gradient = self._matches(parameters, synthetic.detach(), targets, label)
        return _WithGradient.apply(synthetic, loss, gradient).sum()

    def _target(self, parameters: dict[str, Tensor], real: Tensor, label: Tensor) -> list[Tensor]:
        """Return the gradient of the loss on the real images of one class, by parameter.

        ``torch.func``, which a batch of classes needs, computes gradients that can be differentiated again, at a cost:
        with 256 real images, 15% more time if not compiled and 35% if compiled (CPU).
        """
        leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            return self._class_loss(leaves, images, labels)

        microbatches.backward(self._net, loss, real, label.expand(len(real)))
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
                microbatches.backward(self._net, self._cross_entropy, images, labels)
                optimizer.step()


class _Pair(NamedTuple):
    """The two sides of one class, with the same augmentation: synthetic images, real images, the label."""

    synthetic: Tensor
    real: Tensor
    label: Tensor


def _pairs(batches: ClassBatches, synthetic: Synthetic, dataset: Dataset) -> list[_Pair]:
    real, ours = batches.real(dataset).split(batches.counts), batches.synthetic(synthetic).split(synthetic.ipc)
    labels = torch.arange(batches.labels[0], batches.labels[-1] + 1, device=dataset.labels.device)
    return [_Pair(*pair) for pair in zip(ours, real, labels, strict=True)]


def _stacked(pairs: Iterable[_Pair]) -> list[_Pair]:
    """Stack classes to [classes, n, c, h, w]; classes with different numbers of real images cannot be stacked."""
    by_size: dict[int, list[_Pair]] = {}
    for pair in pairs:
        by_size.setdefault(len(pair.real), []).append(pair)
    return [_Pair(*map(torch.stack, zip(*group, strict=True))) for group in by_size.values()]


class _WithGradient(torch.autograd.Function):
    """A loss whose gradient to the images is given."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        scale = upstream[0].reshape(upstream[0].shape + (1,) * (gradient.ndim - upstream[0].ndim))
        return scale * gradient, None, None


def _class_loss(net: nn.Module, parameters: dict[str, Tensor], images: Tensor, label: Tensor) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of images of one class."""
    return F.cross_entropy(functional_call(net, parameters, (images,)), label.expand(len(images)))


def _gradient(net: nn.Module, parameters: dict[str, Tensor], images: Tensor, label: Tensor) -> list[Tensor]:
    """Return the gradient of the loss on images of one class."""
    return list(grad(partial(_class_loss, net))(parameters, images, label).values())


def _match(
    net: nn.Module, metric: Metric, parameters: dict[str, Tensor], images: Tensor, target: list[Tensor], label: Tensor
) -> tuple[Float[Tensor, ""], Tensor]:
    """Return the distance of the gradient on the synthetic images of a class to the target, and its image gradient."""

    def distance_to_target(images: Tensor) -> Tensor:
        return distance(_gradient(net, parameters, images, label), target, metric)

    gradient, value = grad_and_value(distance_to_target)(images)
    return value, gradient


def _set_running_statistics(net: nn.Module, dataset: Dataset, generator: torch.Generator) -> None:
    """Update the running statistics once with real images of all classes, then fix them while gradients are compared.

    Otherwise the batch of a class would be normalized by its own statistics, which differ from those of a mixed batch.
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
    """Return the distance between two gradients, each given as one tensor per parameter.

    - ``rows``, the layer-wise distance of DC: Σ over rows a, b of 1 - <a, b> / (|a|·|b| + 1e-6). A parameter of two or
      more dimensions has one row per output, with the rest flattened. Biases and norm weights (one dimension)
      contribute 0, a row of zeros contributes 1.
    - ``mse``: the squared L2 norm of the difference of all parameters.
    - ``cos``: 1 - <a, b> / (|a|·|b| + 1e-6) with all parameters as one vector.

    Args:
        synthetic: the gradient of the loss on synthetic images; the result is differentiable in it.
        real: the gradient of the loss on real images, in the same shapes.
        metric: ``rows``, ``mse`` or ``cos``.

    Raises:
        UserError: unknown ``metric``.
    """
    if metric == "rows":
        pairs = [(a.flatten(1), b.flatten(1)) for a, b in zip(synthetic, real, strict=True) if a.ndim > 1]
        return torch.stack([_cosine_distance(a, b).sum() for a, b in pairs]).sum()
    if metric not in get_args(Metric):
        raise UserError(f"metric: unknown distance {metric!r}; {closest(metric, get_args(Metric))}")
    ours, theirs = (torch.cat([part.flatten() for part in parts]) for parts in (synthetic, real))
    return (ours - theirs).square().sum() if metric == "mse" else _cosine_distance(ours, theirs)


def _cosine_distance(a: Float[Tensor, "*rows d"], b: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows"]:
    return 1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + EPSILON)

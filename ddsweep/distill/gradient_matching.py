"""DC and DSA: synthetic images whose gradients match those of real images, class by class.

DC: Zhao, Mopuri & Bilen, "Dataset condensation with gradient matching" (ICLR 2021). DSA: Zhao & Bilen, "Dataset
condensation with differentiable siamese augmentation" (ICML 2021). They differ in the strategy: ``none`` for DC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ddsweep import augment
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError, closest
from ddsweep.nn import has_batch_norm
from ddsweep.rng import Streams

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset

Metric = Literal["rows", "mse", "cos"]
EPSILON = 1e-6
BATCH_NORM_IMAGES = 16  # real images per class that set the running statistics


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


def episode(
    net: nn.Module, synthetic: Synthetic, dataset: Dataset, streams: Streams, settings: Settings
) -> Iterator[Float[Tensor, ""]]:
    """The matching losses of one freshly drawn network: T of them, one per image step.

    Between two yields the caller steps the images, and then the network is trained on them for ``inner_epochs``; not
    after the last. The caller must be done with a loss before it asks for the next, because training changes the
    parameters in place, and does best to ``loss.backward(inputs=[synthetic.images])``: the loss depends on the
    parameters too, and their gradient is neither needed nor cheap.

    Each loss is Σ over classes c of distance(∇θ CE(net(A(S_c)), c), ∇θ CE(net(A(T_c)), c)), T_c being ``batch_real``
    real images and A one augmentation, drawn per class and applied to both.

    Args:
        net: the network; trained in place and left in whatever mode it ended.
        synthetic: the set being learnt, of which ``images`` is a leaf that requires gradient.
        dataset: the real images, on the same device.
        streams: ``batch`` draws real images and shuffles, ``augment`` draws augmentations.
        settings: the protocol's numbers.

    Raises:
        UserError: an unknown operation or metric.
    """
    optimiser = torch.optim.SGD(net.parameters(), lr=settings.lr_net)
    net.train()
    for loop in range(settings.outer_loops):
        _settle_batch_norm(net, dataset, streams.batch)
        losses = [_class_loss(net, synthetic, label, dataset, streams, settings) for label in range(synthetic.classes)]
        yield torch.stack(losses).sum()
        if loop < settings.outer_loops - 1:
            _train(net, optimiser, synthetic.detached(), streams, settings)


def _class_loss(
    net: nn.Module, synthetic: Synthetic, label: int, dataset: Dataset, streams: Streams, settings: Settings
) -> Float[Tensor, ""]:
    real = dataset.sample(label, settings.batch_real, streams.batch)
    change = augment.draw(streams.augment, len(real), real.shape[-1], settings.strategy, shared=True)
    parameters = list(net.parameters())

    def gradient(images: Tensor, create_graph: bool) -> tuple[Tensor, ...]:
        labels = torch.full((len(images),), label, device=images.device)
        loss = F.cross_entropy(net(augment.apply(images, change)), labels)
        return torch.autograd.grad(loss, parameters, create_graph=create_graph)

    target = gradient(real, create_graph=False)
    return distance(gradient(synthetic.of_class(label), create_graph=True), target, settings.metric)


def _settle_batch_norm(net: nn.Module, dataset: Dataset, generator: torch.Generator) -> None:
    """Let real images of all classes move the running statistics once, then hold them while gradients are compared.

    A class's batch would otherwise be normalised by its own statistics, which no net sees in a mixed batch.
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


def _train(
    net: nn.Module, optimiser: torch.optim.Optimizer, synthetic: Synthetic, streams: Streams, settings: Settings
) -> None:
    change = partial(augment.independent, strategy=settings.strategy, generator=streams.augment)
    net.train()
    for _ in range(settings.inner_epochs):
        for images, labels in augment.batches(
            synthetic.images, synthetic.labels, settings.batch_train, streams.batch, change
        ):
            optimiser.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimiser.step()

"""DM: synthetic images whose mean features match those of real images, class by class.

Zhao & Bilen, "Dataset condensation with distribution matching" (WACV 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddsweep import augment
from ddsweep.distill.synthetic import Synthetic
from ddsweep.nn import has_batch_norm
from ddsweep.rng import Streams

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network

# Bounds the memory of the pass without a graph: about 2 GiB for a map of 128×32×32. CIFAR-10 (10·256) fits in one pass.
REAL_PER_FORWARD = 4096


@dataclass(frozen=True)
class Settings:
    """Choices of distribution matching.

    Attributes:
        batch_real: distinct real images per class and step.
        strategy: operations of the siamese augmentation joined by ``_``, or ``none``.
    """

    batch_real: int = 256
    strategy: str = "none"


def episode(
    net: Network, synthetic: Synthetic, dataset: Dataset, streams: Streams, settings: Settings
) -> Iterator[Float[Tensor, ""]]:
    """The matching loss of one freshly drawn network, yielded once.

    Σ over classes c of ‖mean f(A(T_c)) - mean f(A(S_c))‖², summed over the features f = ``net.embed``; T_c are
    ``batch_real`` real images and A one augmentation, drawn per class and applied to both. The real side carries no
    graph.

    All synthetic images go through the network at once, and the real images of several classes together. For a
    network without batch norm that is only faster. With batch norm it matters: there the statistics are shared by all
    classes, in train mode, one pass over all real images and one over all synthetic ones.

    Args:
        net: the network; its parameters are frozen and its mode set to train.
        synthetic: the set being learnt, of which ``images`` requires gradient.
        dataset: the real images, on the same device.
        streams: ``batch`` draws real images, ``augment`` draws augmentations.
        settings: the protocol's numbers.

    Raises:
        UserError: an unknown operation.
    """
    net.train().requires_grad_(False)
    real, ours = [], []
    for label in range(synthetic.classes):
        images = dataset.sample(label, settings.batch_real, streams.batch)
        change = augment.draw(streams.augment, len(images), images.shape[-1], settings.strategy, shared=True)
        real.append(augment.apply(images, change))
        ours.append(augment.apply(synthetic.of_class(label), change))
    with torch.no_grad():
        targets = torch.cat([_class_means(net, group) for group in _groups(net, real)])
    yield (targets - _class_means(net, ours)).square().sum()


def _class_means(net: Network, classes: Sequence[Float[Tensor, "_n c h w"]]) -> Float[Tensor, "classes d"]:
    """Mean feature of each batch, all of them in one forward pass."""
    features = net.embed(torch.cat(list(classes)))
    return torch.stack([part.mean(dim=0) for part in features.split([len(images) for images in classes])])


def _groups(net: nn.Module, classes: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    """As many classes a pass as memory allows; all of them where batch norm must see them together."""
    largest = max(len(images) for images in classes)
    step = len(classes) if has_batch_norm(net) else max(1, REAL_PER_FORWARD // largest)
    for start in range(0, len(classes), step):
        yield classes[start : start + step]

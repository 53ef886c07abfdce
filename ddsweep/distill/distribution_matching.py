"""DM: synthetic images whose mean features match those of real images, class by class.

Zhao & Bilen, "Dataset condensation with distribution matching" (WACV 2023).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import augment
from ddsweep.distill.synthetic import Synthetic
from ddsweep.nn import has_batch_norm
from ddsweep.nn.measure import images_per_pass
from ddsweep.rng import Streams

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network


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
    # batch norm must see all classes together; otherwise a pass takes what memory allows, across the bounds of classes
    chunk = sys.maxsize if has_batch_norm(net) else images_per_pass(dataset.size)
    real: list[Tensor] = []
    ours: list[Tensor] = []
    targets: list[Tensor] = []
    for label in range(synthetic.classes):
        images = dataset.sample(label, settings.batch_real, streams.batch)
        change = augment.draw(streams.augment, len(images), images.shape[-1], settings.strategy, shared=True)
        real.append(augment.apply(images, change))
        ours.append(augment.apply(synthetic.of_class(label), change))
        if sum(map(len, real)) >= chunk or label == synthetic.classes - 1:
            with torch.no_grad():
                targets.append(_class_means(net, real, chunk))
            real.clear()  # of large images, no more than a few classes are held at a time
    yield (torch.cat(targets) - _class_means(net, ours, sys.maxsize)).square().sum()


def _class_means(net: Network, classes: Sequence[Float[Tensor, "_n c h w"]], chunk: int) -> Float[Tensor, "classes d"]:
    """Mean feature of each batch, ``chunk`` images a forward pass."""
    features = torch.cat([net.embed(part) for part in torch.cat(list(classes)).split(chunk)])
    return torch.stack([part.mean(dim=0) for part in features.split([len(images) for images in classes])])

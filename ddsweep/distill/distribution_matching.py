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

from ddsweep.distill.batches import draw
from ddsweep.distill.synthetic import Synthetic
from ddsweep.nn import passes
from ddsweep.numerics import Numerics
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


class DistributionMatching:
    """The matching loss of one network architecture: made once per distillation, used with every network it draws.

    Args:
        net: the network, the parameters of which its owner draws anew before each episode; they are frozen here.
        settings: the protocol's numbers.
        numerics: how it is computed.
    """

    def __init__(self, net: Network, settings: Settings, numerics: Numerics | None = None) -> None:
        numerics = numerics or Numerics()
        self._net, self._settings = net.requires_grad_(False), settings
        self._embed = numerics.function(net.embed)

    def episode(
        self, synthetic: Synthetic, dataset: Dataset, streams: Streams, done: int = 0
    ) -> Iterator[Float[Tensor, ""]]:
        """The matching loss of one freshly drawn network, yielded once; its mode is set to train.

        Σ over classes c of ‖mean f(A(T_c)) - mean f(A(S_c))‖², summed over the features f = ``net.embed``; T_c are
        ``batch_real`` real images and A one augmentation, drawn per class and applied to both. The real side carries
        no graph.

        Images of several classes go through the network together, as many at once as suit the device. For a network
        with batch norm that matters: there the statistics are shared by all classes, in train mode, one pass over all
        real images and one over all synthetic ones.

        Args:
            synthetic: the set being learned, of which ``images`` requires gradient.
            dataset: the real images, on the same device.
            streams: ``batch`` draws real images, ``augment`` draws augmentations.
            done: image steps that are done already: none, or the only one.

        Raises:
            UserError: an unknown operation.
        """
        if done:
            return
        self._net.train()
        # batch norm must see all classes together; otherwise a pass takes what suits the device, across classes
        fitting = passes.images_per_pass(dataset.size, synthetic.images.device)
        enough = sys.maxsize if passes.mixes(self._net) else fitting
        drawn = draw(dataset, range(synthetic.classes), self._settings.batch_real, self._settings.strategy, streams)
        with torch.no_grad():  # of large images, no more than a few classes are held at a time
            targets = [self._class_means(some.of_real(dataset), some.counts) for some in drawn.portions(enough)]
        ours = self._class_means(drawn.of_synthetic(synthetic), [synthetic.ipc] * synthetic.classes)
        yield (torch.cat(targets) - ours).square().sum()

    def _class_means(self, images: Float[Tensor, "n c h w"], counts: Sequence[int]) -> Float[Tensor, "classes d"]:
        """Mean feature of each class, in the precision of the images, which lie class by class."""
        features = passes.through(self._embed, images, whole=passes.mixes(self._net)).to(images.dtype)
        if len(set(counts)) == 1:
            return features.unflatten(0, (len(counts), -1)).mean(dim=1)
        return torch.stack([part.mean(dim=0) for part in features.split(list(counts))])

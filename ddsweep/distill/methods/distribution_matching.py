"""DM: match the mean features of synthetic and real images, class by class.

Zhao & Bilen, "Dataset condensation with distribution matching" (WACV 2023).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddsweep import augment
from ddsweep.distill.methods.batches import ClassBatches, draw
from ddsweep.distill.methods.following import DRAWN, following_networks, lent
from ddsweep.distill.synthetic import Synthetic
from ddsweep.nn import microbatches
from ddsweep.nn.statistics import has_batch_norm
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams
from ddsweep.shared.records import Following
from ddsweep.shared.sharing import Sharing

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network


@dataclass(frozen=True)
class Settings:
    """Settings of distribution matching.

    Attributes:
        batch_real: distinct real images per class and step.
        strategy: operations of the siamese augmentation joined by ``_``, or ``none``.
    """

    batch_real: int = 256
    strategy: str = "none"


class DistributionMatching:
    """The matching loss of one network architecture, made once per distillation and used with all its random networks.

    Args:
        net: the network; its owner draws its parameters again before each episode. They are frozen here.
        settings: the settings of the protocol.
        numerics: precision, compilation, and whether several sets are one batch.
        shared: where the mean features of real images are read and kept, which do not depend on the synthetic set;
            default: nowhere.

    Attributes:
        batches_sets: whether ``episodes`` puts the images of all sets into one batch.
    """

    def __init__(
        self, net: Network, settings: Settings, numerics: Numerics | None = None, shared: Sharing | None = None
    ) -> None:
        numerics = numerics or Numerics()
        self._net, self._settings = net.requires_grad_(False), settings
        self._means = (shared or Sharing.off()).records(
            "dm-means", self._net, batch_real=settings.batch_real, strategy=settings.strategy
        )
        self._embed = numerics.function(net.embed)
        self.batches_sets = numerics.vectorized and not has_batch_norm(net)

    def episode(
        self, synthetic: Synthetic, dataset: Dataset, streams: Streams, done: int = 0
    ) -> Iterator[Float[Tensor, ""]]:
        """Yield the one matching loss of a freshly drawn network, which is put into train mode.

        Σ over classes c of ‖mean f(A(T_c)) - mean f(A(S_c))‖², where f = ``net.embed`` are the features, S_c the
        synthetic images of class c, T_c ``batch_real`` real images of it, and A one augmentation, drawn per class and
        applied to both. The real side carries no graph.

        Images of several classes share a micro-batch. A network with batch norm gets all real images as one batch, and
        all synthetic images as another, because in train mode all classes share the batch statistics.

        Args:
            synthetic: the set being learned; ``images`` requires a gradient.
            dataset: the real images, on the same device.
            streams: ``batch`` draws real images, ``augment`` draws augmentations.
            done: image steps that are done already, 0 or 1.

        Raises:
            UserError: the strategy has an unknown operation.
        """
        if not done:
            for losses in self.episodes([synthetic], dataset, streams):
                yield losses[0]

    def episodes(
        self, sets: Sequence[Synthetic], dataset: Dataset, streams: Streams
    ) -> Iterator[Float[Tensor, " sets"] | Sequence[Float[Tensor, ""]]]:
        """Yield the one loss of each of several sets for the same network, draws and real images.

        Each loss is that of ``episode``; of vectorized numerics, the synthetic images of all sets go through the
        network as one batch, which changes the last bits.

        Args:
            sets: sets of the same classes, whose images per class may differ.
            dataset: as in ``episode``.
            streams: as in ``episode``; each draw is made once.
        """
        self._net.train()
        key, batches = self._draw(dataset, streams)
        ahead = partial(self._following, dataset, streams)
        targets = self._means.get(key, partial(self._targets, batches, dataset), ahead)
        if self.batches_sets and len(sets) > 1:
            yield self._losses_as_one_batch(targets, batches, sets)
        else:
            means = (self._class_means(batches.synthetic(one), [one.ipc] * one.classes) for one in sets)
            yield [(targets - mean).square().sum() for mean in means]

    def _losses_as_one_batch(
        self, targets: Float[Tensor, "classes d"], batches: ClassBatches, sets: Sequence[Synthetic]
    ) -> Float[Tensor, " sets"]:
        """Return the losses of several sets, class by class: the images of a class of all sets are neighbors."""
        by_class = torch.cat([one.images.unflatten(0, (one.classes, one.ipc)) for one in sets], dim=1)
        ipc = [one.ipc for one in sets]
        augmented = augment.apply_by_class(by_class.flatten(0, 1), [sum(ipc)] * len(targets), batches.augmentations)
        features = self._features(augmented).unflatten(0, (len(targets), -1))
        if len(set(ipc)) == 1:
            means = features.unflatten(1, (len(sets), -1)).mean(dim=2)
        else:
            means = torch.stack([part.mean(dim=1) for part in features.split(ipc, dim=1)], dim=1)
        return (targets[:, None] - means).square().sum(dim=(0, 2))

    def _draw(self, dataset: Dataset, streams: Streams) -> tuple[bytes, ClassBatches]:
        """Return the batches of a step with a freshly drawn network, and what identifies network and batches."""
        key, classes = streams.digest(*DRAWN), range(len(dataset.classes))
        return key, draw(dataset, classes, self._settings.batch_real, self._settings.strategy, streams)

    @torch.no_grad()
    def _targets(self, batches: ClassBatches, dataset: Dataset) -> Float[Tensor, "classes d"]:
        """Return the mean features of the real images; large images of only a few classes are in memory at a time."""
        most = microbatches.microbatch_size(dataset.size, dataset.labels.device)
        if microbatches.uses_batch_statistics(self._net):
            most = sys.maxsize
        return torch.cat([self._class_means(part.real(dataset), part.counts) for part in batches.split(most)])

    def _following(self, dataset: Dataset, streams: Streams) -> Following:
        """Yield the mean features of the next steps, computed with their networks (``Records.get``)."""
        streams = streams.copy()
        for net in following_networks(self._net, streams):
            key, batches = self._draw(dataset, streams)
            yield key, partial(self._targets_of, net, batches, dataset)

    def _targets_of(self, net: nn.Module, batches: ClassBatches, dataset: Dataset) -> Float[Tensor, "classes d"]:
        with lent(self._net, net):
            return self._targets(batches, dataset)

    def _class_means(self, images: Float[Tensor, "n c h w"], counts: Sequence[int]) -> Float[Tensor, "classes d"]:
        """Return the mean features of each class, in the dtype of the images, which are in class order."""
        features = self._features(images)
        if len(set(counts)) == 1:
            return features.unflatten(0, (len(counts), -1)).mean(dim=1)
        return torch.stack([part.mean(dim=0) for part in features.split(list(counts))])

    def _features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        whole = microbatches.uses_batch_statistics(self._net)
        return microbatches.apply(self._embed, images, whole=whole).to(images.dtype)


def make(
    net: Network, *, batch_real: int, dsa_strategy: str, numerics: Numerics, shared: Sharing | None = None
) -> DistributionMatching:
    """Return the matching loss of DM from the numbers of a recipe."""
    return DistributionMatching(net, Settings(batch_real, dsa_strategy), numerics, shared)

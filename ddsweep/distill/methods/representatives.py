"""DREAM: real images that represent their class, chosen by k-means on the features of the present network.

Liu et al., "DREAM: efficient dataset distillation by representative matching" (ICCV 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int64
from torch import Tensor

from ddsweep import checked_files
from ddsweep.checkpoints import State
from ddsweep.distill.methods import kmeans
from ddsweep.errors import UserError
from ddsweep.nn import microbatches
from ddsweep.numerics import Numerics
from ddsweep.rng import copy_to
from ddsweep.shared.sharing import Sharing

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network


class Representatives:
    """The real batches of DREAM: as many images of a class as it has clusters, chosen again every few steps.

    Args:
        net: the network of the matching loss.
        number: clusters, and images per step; two clusters can have the same image.
        every: steps of a class with the same images.
        numerics: precision and compilation.
        shared: where the choices are read and kept, which depend on the network and not on the synthetic set; default:
            nowhere.
    """

    def __init__(
        self, net: Network, number: int, every: int, numerics: Numerics, shared: Sharing | None = None
    ) -> None:
        self._net, self._number, self._every = net, number, every
        self._embed = numerics.function(net.embed)
        self._records = (shared or Sharing.off()).records("dream-images", net, clusters=number)
        self._chosen: dict[int, Tensor] = {}

    def draw(self, dataset: Dataset, label: int, loop: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
        """See ``real_batches.RealBatches``."""
        if loop % self._every == 0:
            count = len(dataset.per_class[label])
            if count < self._number:
                raise UserError(
                    f"batch_real: {self._number} clusters cannot be made of the {count} images of "
                    f"{dataset.classes[label]}; at most {count}"
                )
            self._chosen[label] = self._choose(dataset, label, generator)
        return self._chosen[label]

    def _choose(self, dataset: Dataset, label: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
        first = kmeans.draw(len(dataset.per_class[label]), self._number, generator)
        compute = partial(_represent, self._net, dataset, label, first, self._embed)
        if not self._records.active:
            return compute()
        network = checked_files.of_tensors(self._net.state_dict(), {})  # it was trained: draws do not identify it
        return self._records.get(f"{network} {label} {first.tolist()}".encode(), compute).cpu()

    def state(self) -> Mapping[str, Tensor]:
        """See ``real_batches.RealBatches``."""
        return {str(label): indices for label, indices in self._chosen.items()}

    def restore(self, state: State) -> None:
        """See ``real_batches.RealBatches``."""
        self._chosen = {int(name): indices for name, indices in state.tensors.items()}


def choose(
    net: Network,
    dataset: Dataset,
    label: int,
    clusters: int,
    generator: torch.Generator,
    embed: Callable[[Tensor], Tensor] | None = None,
) -> Int64[Tensor, " clusters"]:
    """Return the indices, on the CPU, of the images that represent the clusters of a class.

    The clusters are those of the features of all its images, which the network sees as pixels in [0, 1], neither
    normalized nor augmented, in eval mode; its mode is left as it was.

    Args:
        net: the network.
        dataset: the real images.
        label: the class.
        clusters: number of clusters, at most the number of images of the class.
        generator: draws the initial centroids.
        embed: ``net.embed``, possibly compiled; default: as it is.
    """
    first = kmeans.draw(len(dataset.per_class[label]), clusters, generator)
    return _represent(net, dataset, label, first, embed or net.embed)


@torch.no_grad()
def _represent(
    net: Network, dataset: Dataset, label: int, first: Int64[Tensor, " clusters"], embed: Callable[[Tensor], Tensor]
) -> Int64[Tensor, " clusters"]:
    """Return ``choose`` from initial centroids that are drawn already."""
    members, modes = dataset.per_class[label], [(module, module.training) for module in net.modules()]
    images = dataset.denormalize(dataset.images[copy_to(members, dataset.labels.device)])
    net.eval()
    features = microbatches.apply(embed, images).to(images.dtype)
    for module, training in modes:
        module.training = training
    return members[kmeans.representatives_from(features, first).cpu()]

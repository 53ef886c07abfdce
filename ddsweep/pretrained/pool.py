"""The PTMs of one trial, frozen and in eval mode, of which each step draws one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import checked_files, nn
from ddsweep.data.dataset import Dataset
from ddsweep.nn.microbatches import apply, microbatch_size
from ddsweep.pretrained.features import FeatureBudget, FeatureTable, facts
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.pretrained.spec import Spec
from ddsweep.rng import copy_to
from ddsweep.shared.records import Records
from ddsweep.shared.sharing import Sharing

PIXELS = 1 << 20  # at most, per forward pass over real images: 1024 images of CIFAR, 20 of 224×224
FEATURE_BYTES = 4 << 30  # of real features that one trial keeps; ten ConvNet-3 for CIFAR-10 need 4.1e9


@runtime_checkable
class Embedding(Protocol):
    """A network that guides: it has features and, for CLoM, logits."""

    def embed(self, images: Tensor, /) -> Tensor:
        """Features [n, d]."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Logits [n, classes]."""


@dataclass(eq=False)
class PretrainedModel:
    """One PTM, frozen and in eval mode, whose input are images of the target.

    Attributes:
        arch: its architecture.
        net: the network.
        transform: maps the target's normalized space to the input of ``net``. By default images are not renormalized,
            as in the paper's code, not even for a PTM of another domain (protocols 6.5).
        canvas: height and width to which ``net`` resizes images; 0: it does not.
        budget: whether the features of real images are kept.
        identity: equal for models with the same weights and transform; None: not known.
        shared: where features of real images are read and kept that cells have in common; default: nowhere.
    """

    arch: str
    net: Embedding
    transform: InputTransform
    canvas: int = 0
    budget: FeatureBudget = field(default_factory=lambda: FeatureBudget(FEATURE_BYTES))
    identity: Hashable = None
    shared: Sharing = field(default_factory=Sharing.off)
    _tables: dict[str, FeatureTable] = field(default_factory=dict)

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits for the classes of the PTM's own domain."""
        return self._apply(self.net, images)

    def embed(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the features, the input of the classifier."""
        return self._apply(self.net.embed, images)

    def _apply(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """Apply ``function`` in micro-batches: in eval mode, a network handles each image on its own."""
        return apply(function, self.transform(images), max(images.shape[-1], self.canvas))

    @torch.no_grad()
    def features(self, dataset: Dataset, indices: Int64[Tensor, " k"]) -> Float[Tensor, "k d"]:
        """Return the features of training images: ``embed(dataset.images[indices])``.

        Real images are not augmented, so that their features never change: they are computed on first use and kept
        (``FeatureTable``). If the budget does not allow that, they are computed each time, all of ``indices`` together.

        Args:
            dataset: the target.
            indices: indices of its training images, on the CPU; they may repeat.
        """
        if self.budget.keeps(self, dataset):
            return self.table(dataset)[indices]
        return torch.cat([self._embed_real(dataset, part) for part in indices.split(self._most(dataset))])

    def table(self, dataset: Dataset) -> FeatureTable:
        """The features of all training images of a dataset, of which none is computed before it is needed."""
        if dataset.checksum not in self._tables:
            count = len(dataset.labels)
            block = min(self._most(dataset), count)
            records = partial(self._records, dataset, block)
            self._tables[dataset.checksum] = FeatureTable(partial(self._embed_real, dataset), count, block, records)
        return self._tables[dataset.checksum]

    def _records(self, dataset: Dataset, block: int) -> Records:
        if not isinstance(self.net, torch.nn.Module):  # its weights are not known
            return Sharing.off().records("ptm-features")
        return self.shared.records("ptm-features", self.net, **facts(self, self.net, dataset, block))

    def _embed_real(self, dataset: Dataset, indices: Tensor) -> Tensor:
        return self.embed(dataset.images[copy_to(indices, dataset.labels.device)])

    def _most(self, dataset: Dataset) -> int:
        """How many real images are embedded at once."""
        return microbatch_size(max(dataset.size, self.canvas), dataset.labels.device, PIXELS)


class Pool:
    """The PTMs of a trial, by architecture and seed; they share one budget for features, in this order.

    Attributes:
        models: for each architecture, its models in the order of their seeds.
    """

    def __init__(self, models: Sequence[Sequence[PretrainedModel]], feature_bytes: int | None = None) -> None:
        self.models = [list(seeds) for seeds in models]
        every = [model for seeds in self.models for model in seeds]
        budget = FeatureBudget(FEATURE_BYTES if feature_bytes is None else feature_bytes, every)
        for model in every:
            model.budget = budget

    def share(self, shared: Sharing) -> None:
        """Let all PTMs share their features of real images with other cells."""
        for seeds in self.models:
            for model in seeds:
                model.shared = shared

    def draw(self, generator: torch.Generator) -> PretrainedModel:
        """Draw a PTM: first an architecture, then one of its seeds, both uniformly (paper, Sec. 5.1)."""
        seeds = self.models[int(torch.randint(len(self.models), (), generator=generator))]
        return seeds[int(torch.randint(len(seeds), (), generator=generator))]


def load(specs: Sequence[Sequence[Spec]], epoch: int, source: Dataset, transform: InputTransform | None = None) -> Pool:
    """Return the pool of PTMs that were trained on ``source`` for ``epoch`` epochs, on the device of ``source``.

    Args:
        specs: for each architecture, its PTMs.
        epoch: an epoch whose weights ``training.ensure`` has put into the pool.
        source: the dataset they were trained on.
        transform: their view of the target; None: as in the paper's code, see ``PretrainedModel``.
    """
    transform = transform or InputTransform(source.channels)

    def model(spec: Spec) -> PretrainedModel:
        identity = None if transform.whitening else (spec.weights(epoch), transform)
        return PretrainedModel(spec.arch, _load(spec, epoch, source), transform, identity=identity)

    return Pool([[model(spec) for spec in seeds] for seeds in specs])


def _load(spec: Spec, epoch: int, source: Dataset) -> nn.Network:
    net = nn.build(
        spec.arch,
        channels=source.channels,
        classes=len(source.classes),
        size=source.size,
        width=spec.width,
        generator=torch.Generator(),
    )
    net.load_state_dict(checked_files.read_tensors(spec.weights(epoch))[0])
    return net.to(source.labels.device).requires_grad_(False).eval()

"""The PTMs of one trial, frozen and in eval mode, of which each step draws one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import checked_files, nn
from ddsweep.data.dataset import Dataset
from ddsweep.nn.microbatches import apply, microbatch_size
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.pretrained.spec import Spec
from ddsweep.rng import copy_to

PIXELS = 1 << 20  # at most, per forward pass over real images: 1024 images of CIFAR, 20 of 224×224
FEATURE_BYTES = 4 << 30  # of real features that one trial keeps; ten ConvNet-3 for CIFAR-10 need 4.1e9


@runtime_checkable
class Embedding(Protocol):
    """A network that guides: it has features and, for CLoM, logits."""

    def embed(self, images: Tensor, /) -> Tensor:
        """Features [n, d]."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Logits [n, classes]."""


class FeatureBudget:
    """How many more bytes of features may be kept; all PTMs of a trial share one budget."""

    def __init__(self, left: int = FEATURE_BYTES) -> None:
        self.left = left

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes, and return whether that many were left."""
        if size > self.left:
            return False
        self.left -= size
        return True


@dataclass
class _FeatureCache:
    """Features of the training images of one dataset.

    Attributes:
        computed: which images' features are computed; on the CPU, like the indices that are drawn, because reading it
            from a GPU would make the host wait.
        features: the features of all images; None if the budget does not allow keeping them.
    """

    computed: Tensor
    features: Tensor | None


@dataclass(eq=False)
class PretrainedModel:
    """One PTM, frozen and in eval mode, whose input are images of the target.

    Attributes:
        arch: its architecture.
        net: the network.
        transform: maps the target's normalized space to the input of ``net``. By default images are not renormalized,
            as in the paper's code, not even for a PTM of another domain (protocols 6.5).
        canvas: height and width to which ``net`` resizes images; 0: it does not.
        budget: bytes of features that may still be kept.
        identity: equal for models with the same weights and transform; None: not known.
    """

    arch: str
    net: Embedding
    transform: InputTransform
    canvas: int = 0
    budget: FeatureBudget = field(default_factory=FeatureBudget)
    identity: Hashable = None
    _caches: dict[str, _FeatureCache] = field(default_factory=dict)

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

        Real images are not augmented, so that their features never change: they are computed on first use and kept.
        If the budget does not allow that, they are computed each time.

        Args:
            dataset: the target.
            indices: indices of its training images, on the CPU; they may repeat.
        """
        if self._cannot_keep(dataset):
            return self._compute(dataset, indices)
        new, features = self._compute_new(dataset, indices)
        kept = self._caches[dataset.checksum].features
        if kept is None:
            return features[copy_to(torch.searchsorted(new, indices), features.device)]
        return kept[copy_to(indices, kept.device)]

    @torch.no_grad()
    def cache_features(self, dataset: Dataset, indices: Int64[Tensor, " k"]) -> None:
        """Compute and keep the features that ``features`` would keep.

        The last bits of an image's features depend on the other images of its batch. To get the same bits again, the
        same indices have to be passed in the same order.
        """
        if not self._cannot_keep(dataset):
            self._compute_new(dataset, indices)

    def _cannot_keep(self, dataset: Dataset) -> bool:
        cache = self._caches.get(dataset.checksum)
        return cache is not None and cache.features is None

    def _compute_new(self, dataset: Dataset, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of ``indices`` that were not computed before, and their features, which are kept if possible."""
        cache = self._caches.get(dataset.checksum)
        new = indices.unique() if cache is None else indices[~cache.computed[indices]].unique()
        if cache is not None and not len(new):
            return new, torch.empty(0)
        features = self._compute(dataset, new)
        cache = cache or self._new_cache(dataset, features)
        if cache.features is not None:
            cache.features[copy_to(new, features.device)] = features
            cache.computed[new] = True
        return new, features

    def _compute(self, dataset: Dataset, indices: Tensor) -> Tensor:
        device = dataset.labels.device
        most = microbatch_size(max(dataset.size, self.canvas), device, PIXELS)
        return torch.cat([self.embed(dataset.images[copy_to(part, device)]) for part in indices.split(most)])

    def _new_cache(self, dataset: Dataset, features: Tensor) -> _FeatureCache:
        shape = (len(dataset.labels), features.shape[1])
        size = shape[0] * shape[1] * features.element_size()
        kept = features.new_empty(shape) if self.budget.take(size) else None
        cache = _FeatureCache(torch.zeros(shape[0], dtype=torch.bool), kept)
        self._caches[dataset.checksum] = cache
        return cache


class Pool:
    """The PTMs of a trial, by architecture and seed; they share one budget for features.

    Attributes:
        models: for each architecture, its models in the order of their seeds.
    """

    def __init__(self, models: Sequence[Sequence[PretrainedModel]], budget: FeatureBudget | None = None) -> None:
        self.models = [list(seeds) for seeds in models]
        budget = budget or FeatureBudget()
        for model in (model for seeds in self.models for model in seeds):
            model.budget = budget

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

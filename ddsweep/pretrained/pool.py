"""The PTMs of one trial, frozen and in eval mode, and the drawing of one per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor

from ddsweep import nn
from ddsweep.data.dataset import Dataset
from ddsweep.nn.passes import images_per_pass, through
from ddsweep.pretrained.renormalize import Lens
from ddsweep.pretrained.spec import Spec
from ddsweep.rng import copy_to

PIXELS = 1 << 20  # of one forward pass over real images at most: 1024 of CIFAR, 20 of 224 pixels
KEPT = 4 << 30  # bytes of real features that one trial keeps; those of ten ConvNet-3 for CIFAR-10 are 4.1e9


@runtime_checkable
class Embedding(Protocol):
    """What guides: a network with features; for CLoM also with logits."""

    def embed(self, images: Tensor, /) -> Tensor:
        """Features [n, d]."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Logits [n, classes]."""


class Room:
    """How many bytes of features may still be kept; one is shared by all PTMs of a trial."""

    def __init__(self, left: int = KEPT) -> None:
        self.left = left

    def take(self, size: int) -> bool:
        """Set ``size`` bytes apart, if there are so many."""
        if size > self.left:
            return False
        self.left -= size
        return True


@dataclass
class _Known:
    """Features of the training images of one dataset, as far as they were needed already.

    Attributes:
        seen: which are known; on the CPU, like the indices that are drawn, so that asking does not stall a GPU.
        features: of all images; None where there is no room to keep them.
    """

    seen: Tensor
    features: Tensor | None


@dataclass(eq=False)
class PretrainedModel:
    """One PTM: frozen, in eval mode, fed with images of the target through its lens.

    Attributes:
        arch: its architecture.
        net: the network.
        lens: from the target's normalized space to what ``net`` takes. The default of the paper's code is to let images
            through as they are, also to a PTM of another domain (protocols 6.5).
        canvas: height and width that ``net`` resizes images to; 0: it takes them as they come.
        room: for the features that it keeps.
    """

    arch: str
    net: Embedding
    lens: Lens
    canvas: int = 0
    room: Room = field(default_factory=Room)
    _known: dict[str, _Known] = field(default_factory=dict)

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits over the classes of the PTM's own domain."""
        return self._through(self.net, images)

    def embed(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features before the classifier."""
        return self._through(self.net.embed, images)

    def _through(self, view: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """In eval mode a network looks at images one by one, so that they may go in passes."""
        return through(view, self.lens(images), max(images.shape[-1], self.canvas))

    @torch.no_grad()
    def features(self, dataset: Dataset, chosen: Int64[Tensor, " k"]) -> Float[Tensor, "k d"]:
        """Features of training images: ``embed(dataset.images[chosen])``.

        Each image is looked at when it is first chosen, and its features are kept: real images are not augmented, so no
        step changes them. Where there is no room to keep them they are computed each time.

        Args:
            dataset: the target.
            chosen: indices of its training images, on the CPU; repetitions are welcome.
        """
        if self._has_no_room(dataset):
            return self._look(dataset, chosen)
        new, found = self._meet(dataset, chosen)
        kept = self._known[dataset.checksum].features
        if kept is None:
            return found[copy_to(torch.searchsorted(new, chosen), found.device)]
        return kept[copy_to(chosen, kept.device)]

    @torch.no_grad()
    def remember(self, dataset: Dataset, chosen: Int64[Tensor, " k"]) -> None:
        """Keep what ``features`` would keep.

        A network's answer depends, in its last bits, on the images that it is asked about together: whoever needs the
        same features again, to the bit, has to ask for the same images in the same order.
        """
        if not self._has_no_room(dataset):
            self._meet(dataset, chosen)

    def _has_no_room(self, dataset: Dataset) -> bool:
        known = self._known.get(dataset.checksum)
        return known is not None and known.features is None

    def _meet(self, dataset: Dataset, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Those of ``chosen`` that were not looked at before, and their features, which are kept if there is room."""
        known = self._known.get(dataset.checksum)
        new = chosen.unique() if known is None else chosen[~known.seen[chosen]].unique()
        if known is not None and not len(new):
            return new, torch.empty(0)
        found = self._look(dataset, new)
        known = known or self._begin(dataset, found)
        if known.features is not None:
            known.features[copy_to(new, found.device)] = found
            known.seen[new] = True
        return new, found

    def _look(self, dataset: Dataset, chosen: Tensor) -> Tensor:
        device = dataset.labels.device
        chunk = images_per_pass(max(dataset.size, self.canvas), device, PIXELS)
        return torch.cat([self.embed(dataset.images[copy_to(part, device)]) for part in chosen.split(chunk)])

    def _begin(self, dataset: Dataset, found: Tensor) -> _Known:
        shape = (len(dataset.labels), found.shape[1])
        size = shape[0] * shape[1] * found.element_size()
        kept = found.new_empty(shape) if self.room.take(size) else None
        self._known[dataset.checksum] = _Known(torch.zeros(shape[0], dtype=torch.bool), kept)
        return self._known[dataset.checksum]


class Pool:
    """PTMs by architecture and seed; they share the room for features.

    Attributes:
        models: for each architecture, its models in the order of their seeds.
    """

    def __init__(self, models: Sequence[Sequence[PretrainedModel]], room: Room | None = None) -> None:
        self.models = [list(seeds) for seeds in models]
        room = room or Room()
        for model in (model for seeds in self.models for model in seeds):
            model.room = room

    def draw(self, generator: torch.Generator) -> PretrainedModel:
        """One PTM: an architecture uniformly, then one of its seeds uniformly (paper, Sec. 5.1)."""
        seeds = self.models[int(torch.randint(len(self.models), (), generator=generator))]
        return seeds[int(torch.randint(len(seeds), (), generator=generator))]


def load(specs: Sequence[Sequence[Spec]], epoch: int, source: Dataset, lens: Lens | None = None) -> Pool:
    """The pool of PTMs trained on ``source`` and taken after ``epoch`` epochs, on its device.

    Args:
        specs: for each architecture, its PTMs.
        epoch: one that ``training.ensure`` has put into the pool.
        source: what they were trained on.
        lens: how they see the target; default: as the paper's code, see ``PretrainedModel``.
    """
    lens = lens or Lens(source.channels)
    return Pool([[PretrainedModel(one.arch, _load(one, epoch, source), lens) for one in seeds] for seeds in specs])


def _load(spec: Spec, epoch: int, source: Dataset) -> nn.Network:
    net = nn.build(
        spec.arch, channels=source.channels, classes=len(source.classes), size=source.size, width=spec.width,
        generator=torch.Generator(),
    )  # fmt: skip
    net.load_state_dict(load_file(spec.weights(epoch)))
    return net.to(source.labels.device).requires_grad_(False).eval()

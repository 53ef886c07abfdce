"""The value space of images: pixels, or pixels normalized with the statistics of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import data
from ddsweep.errors import UserError, closest
from ddsweep.exchange.image_set import NORMALIZED, PIXELS, ImageSet
from ddsweep.registry.datasets import FOLDER_PREFIX

if TYPE_CHECKING:
    from ddsweep.data import Dataset


@dataclass(frozen=True)
class Space:
    """(pixel / 255 − mean) / std; pixels in [0, 1] have mean 0 and std 1.

    Attributes:
        name: displayed name: ``pixels``, or the dataset of the statistics.
        mean: per channel, in units of [0, 1].
        std: per channel, likewise.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> Space:
        """Return the space of images in trials on the dataset."""
        return cls(dataset.name, dataset.mean, dataset.std)

    @property
    def pixels(self) -> bool:
        """Whether images are not normalized at all."""
        return set(self.mean) == {0.0} and set(self.std) == {1.0}


def pixels(channels: int) -> Space:
    """Return the space of values in [0, 1]."""
    return Space(PIXELS, (0.0,) * channels, (1.0,) * channels)


def named(name: str, channels: int) -> Space:
    """Return ``pixels``, or the space of a dataset with the same number of channels.

    Raises:
        UserError: unknown dataset, or another number of channels.
    """
    if name == PIXELS:
        return pixels(channels)
    if name not in data.names() and not name.startswith(FOLDER_PREFIX):
        raise UserError(f"space: unknown statistics {name!r}; {closest(name, [PIXELS, *data.names()])}")
    row = data.info(name)
    mean, std = row.mean, row.std
    if mean is None or std is None:  # measured when the dataset is decoded
        loaded = data.load(name)
        mean, std = loaded.mean, loaded.std
    if len(mean) != channels:
        raise UserError(f"space: {name} has statistics of {len(mean)} channels, the images have {channels}")
    return Space(name, mean, std)


def moved(images: Tensor, here: Space, there: Space) -> Float[Tensor, "n c h w"]:
    """Return the images converted to another space, in float32; if the spaces are equal, with the same bits."""
    if (here.mean, here.std) == (there.mean, there.std):
        return images.to(torch.float32)
    old, new = ((_column(one.mean), _column(one.std)) for one in (here, there))
    return ((images.double() * old[1] + old[0] - new[0]) / new[1]).float()


def restated(one: ImageSet, there: Space) -> ImageSet:
    """Return a set, whose space is known, in another space."""
    facts = one.facts
    here = pixels(one.images.shape[1]) if facts.space == PIXELS else Space(NORMALIZED, facts.mean, facts.std)
    known = replace(facts, space=PIXELS if there.pixels else NORMALIZED)
    if not there.pixels:
        known = replace(known, mean=there.mean, std=there.std)
    return replace(one, images=moved(one.images, here, there), facts=known)


def _column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]

"""The value space of images: pixels in [0, 1], [-1, 1] or [0, 255], or normalized with the statistics of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import data
from ddsweep.errors import UserError, closest
from ddsweep.exchange.image_set import NORMALIZED, PIXELS, Facts, ImageSet
from ddsweep.registry.datasets import FOLDER_PREFIX

if TYPE_CHECKING:
    from ddsweep.data import Dataset

UNIT, SYMMETRIC, BYTES, NORMALIZE = "unit", "symmetric", "bytes", "normalized"  # the words of ``--space``
FIXED = {UNIT: (0.0, 1.0), SYMMETRIC: (0.5, 0.5), BYTES: (0.0, 1 / 255)}
"""Mean and std of the spaces that do not depend on a dataset."""
ZCA = "zca"  # whitened; a word of ``evaluate --space`` too
RANGES = {UNIT: "[0, 1]", SYMMETRIC: "[-1, 1]", BYTES: "[0, 255]"}
WORDS = f"{NORMALIZE}|{UNIT}|{SYMMETRIC}|{BYTES}|{ZCA}|DATASET"


@dataclass(frozen=True)
class Space:
    """(pixel / 255 − mean) / std; pixels in [0, 1] have mean 0 and std 1, those in [−1, 1] have 0.5 and 0.5.

    Attributes:
        name: displayed name: one of ``FIXED``, or the dataset of the statistics.
        mean: per channel, in units of [0, 1].
        std: per channel, likewise.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> Space:
        """Return the space of images in trials on the dataset."""
        if dataset.whitening is not None:
            return WHITENED
        return cls(dataset.name, dataset.mean, dataset.std)

    @property
    def is_fixed(self) -> bool:
        """Whether the values are pixels in a fixed range, not normalized with the statistics of a dataset."""
        return self.name in FIXED

    @property
    def title(self) -> str:
        """``pixels in [0, 1]``, or ``normalized with the statistics of cifar10``."""
        if self.name == ZCA:
            return "whitened (ZCA)"
        return f"pixels in {RANGES[self.name]}" if self.is_fixed else f"normalized with the statistics of {self.name}"


WHITENED = Space(ZCA, (), ())


def is_whitened(facts: Facts, chosen: str) -> bool:
    """Whether images are whitened: as the user says with ``--space``, or else as their file states."""
    return chosen == ZCA or (facts.zca and not chosen)


def fixed(word: str, channels: int) -> Space:
    """Return the space of pixels in one of the ranges of ``FIXED``."""
    mean, std = FIXED[word]
    return Space(word, (mean,) * channels, (std,) * channels)


def named(name: str, channels: int) -> Space:
    """Return the space of pixels in a fixed range, or of a dataset with the same number of channels.

    Raises:
        UserError: unknown dataset, or another number of channels.
    """
    if name in FIXED:
        return fixed(name, channels)
    if not (name in data.names() or name.startswith(FOLDER_PREFIX) or data.is_biased(name)):
        raise UserError(f"space: unknown statistics {name!r}; {closest(name, [*FIXED, *data.names()])}")
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
    old, new = ([_column(part).to(images.device) for part in (one.mean, one.std)] for one in (here, there))
    return ((images.double() * old[1] + old[0] - new[0]) / new[1]).float()


def restated(one: ImageSet, there: Space) -> ImageSet:
    """Return a set, whose space is known, in another space.

    Raises:
        UserError: it is whitened, and its pixels are not known.
    """
    if one.facts.zca:
        if one.pixels is None:
            raise UserError("space: the pixels of a whitened set (ZCA) are in the file of its run only")
        unit = replace(one.facts, zca=False, space=PIXELS)
        return restated(replace(one, images=one.pixels, pixels=None, facts=unit), there)
    facts = one.facts
    channels = one.images.shape[1]
    here = fixed(UNIT, channels) if facts.space == PIXELS else Space(NORMALIZED, facts.mean, facts.std)
    if there.name == UNIT:  # mean and std remain those to normalize the pixels with
        known = replace(facts, space=PIXELS)
    else:
        known = replace(facts, space=NORMALIZED, mean=there.mean, std=there.std)
    return replace(one, images=moved(one.images, here, there), facts=known, sample=None)


def _column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]

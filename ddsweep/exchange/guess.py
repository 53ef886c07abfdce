"""The value space of images in a file that does not state it, from their range and their statistics.

A space is possible if its pixels are in the range of pixels. Of the possible spaces, the one is assumed in which the
pixels look most like those of the dataset: with m the mean of the pixels and s their standard deviation, both per
channel and in units of the dataset's standard deviation around its mean, the distance is the mean over channels of
m² + (log s)². Values that are exactly 8-bit pixels in one of the spaces decide alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep.errors import UserError
from ddsweep.exchange import space
from ddsweep.exchange.space import BYTES, NORMALIZE, SYMMETRIC, UNIT, Space

if TYPE_CHECKING:
    from ddsweep.data import Dataset

SLACK = 0.05  # learned pixels may exceed [0, 1] by this much: IDC clamps them only now and then
FEW = 0.1  # share of values of learned pixels that may exceed even that; more of normalized values are negative
FULL = 0.97  # images in [-1, 1] usually come that close to both ends
CHANCE = 2.0  # distance added to normalized values that end exactly where [-1, 1] does
RARE = 1.0  # distance added to values in [-1, 1] that do not come close to its ends
MARGIN = 1.0  # two distances that differ by less do not decide
LARGEST = 6.0  # pixels at a larger distance are unlike the dataset's


@dataclass(frozen=True)
class Candidate:
    """A possible space.

    Attributes:
        word: how it is called in ``--space``.
        space: mean and std.
        distance: from the dataset's statistics; see the module.
        exact: whether all values are 8-bit pixels in it.
    """

    word: str
    space: Space
    distance: float
    exact: bool


def guess(images: Float[Tensor, "n c h w"], dataset: Dataset, usual: str, path: Path) -> Candidate:
    """Return the space in which the images probably are.

    Args:
        images: as in the file.
        dataset: the dataset they are probably normalized with, if they are.
        usual: the word of the space that files of this format usually have; empty: there is none.
        path: path of the file, for messages.

    Raises:
        UserError: two spaces are equally likely and neither is usual, or none is likely.
    """
    found = _possible(images, dataset)
    found = [one for one in found if one.exact] or found
    found.sort(key=lambda one: one.distance)
    best = found[0]
    close = [one for one in found if one.distance < best.distance + MARGIN]
    if len(close) == 1:
        if best.distance > LARGEST and best.word not in (usual, NORMALIZE):
            raise UserError(f"space: {path} has {span(images)}, which are not like pixels of {dataset.name} in any "
                            f"usual space; choose one: --space {space.WORDS}")  # fmt: skip
        return best
    if chosen := next((one for one in close if one.word == usual), None):
        return chosen
    both = " or ".join(one.space.title for one in close[:2])
    words = " or ".join(f"--space {one.word}" for one in close[:2])
    raise UserError(f"space: {path} has {span(images)}, which can be {both}; choose {words}")


def span(images: Tensor) -> str:
    """``values from -1.00 to 1.00``."""
    return f"values from {float(images.min()):.2f} to {float(images.max()):.2f}"


def _possible(images: Float[Tensor, "n c h w"], dataset: Dataset) -> list[Candidate]:
    """All spaces that the range of the values allows; at least one."""
    low, high = float(images.min()), float(images.max())
    channels = images.shape[1]
    below = float((images < -SLACK).float().mean())
    above = float((images > 1 + SLACK).float().mean())
    fills = low <= -FULL and high >= FULL
    inside = -1 - 2 * SLACK <= low < -SLACK and high <= 1 + 2 * SLACK
    further = {
        UNIT: 0.0 if below + above <= FEW else None,
        SYMMETRIC: (0.0 if fills else RARE) if inside else None,
        BYTES: 0.0 if low > -0.5 and 1 + SLACK < high < 255.5 else None,
    }
    found = [
        _candidate(images, space.fixed(word, channels), word, dataset, extra)
        for word, extra in further.items()
        if extra is not None
    ]
    # the mean of normalized images is about 0
    if channels == dataset.channels and (below > FEW or not found):
        chance = CHANCE if inside and fills else 0.0
        found.append(_candidate(images, Space.of(dataset), NORMALIZE, dataset, chance))
    if not found:
        raise UserError(
            f"space: images of {channels} channels cannot have the statistics of {dataset.name}; --space NAME"
        )
    return found


def _candidate(
    images: Float[Tensor, "n c h w"], there: Space, word: str, dataset: Dataset, further: float
) -> Candidate:
    channels = images.shape[1]
    shown = space.moved(images, there, space.fixed(UNIT, channels)).double()
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (dataset.mean, dataset.std))
    if channels != dataset.channels:  # gray and RGB are compared by the mean over channels
        mean, std = mean.mean(), std.mean()
    off = (shown.mean((0, 2, 3)) - mean) / std
    wide = (shown.std((0, 2, 3), correction=0) / std).clamp(min=1e-6).log()
    whole = shown * 255
    exact = bool(((whole - whole.round()).abs() < 0.01).all()) and bool((whole >= -0.5).all() and (whole < 255.5).all())
    return Candidate(word, there, float((off**2 + wide**2).mean()) + further, exact)

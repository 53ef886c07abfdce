"""From a set as a file has it to a synthetic set that networks are trained on, with what was understood on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ddsweep import data
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError
from ddsweep.exchange import checks, space
from ddsweep.exchange.image_set import NORMALIZED, PIXELS, ImageSet
from ddsweep.exchange.space import Space

if TYPE_CHECKING:
    from ddsweep.data import Dataset

SLACK = 0.05  # how far learned pixels may leave [0, 1] without a word: IDC clamps them now and then only
STRANGE = 0.5  # share of values outside [0, 1] above which a set was hardly normalized as it claims
PADDING = 0.5  # mid-gray, in units of [0, 1]


@dataclass(frozen=True)
class Choices:
    """What the user says of a file, over what the file says of itself.

    Attributes:
        space: ``pixels``, or the dataset whose statistics the images were normalized with; empty: as the file says.
        factor: images along each side of an image; 0: as the file says.
        ipc: how many images of a class there should be, decoded; 0: whatever there are.
        hard: learned weights of classes become the class of the largest.
    """

    space: str = ""
    factor: int = 0
    ipc: int = 0
    hard: bool = False


@dataclass(frozen=True, eq=False)
class Prepared:
    """A set that can be evaluated.

    Attributes:
        synthetic: in the dataset's space, class-major, on its device.
        space: in which the file had it.
        factor: images along each side that an image held.
        warnings: what does not look right, a line each.
        remarks: what was understood, a line each.
    """

    synthetic: Synthetic
    space: Space
    factor: int
    warnings: Sequence[str]
    remarks: Sequence[str]


def prepare(one: ImageSet, dataset: Dataset, path: Path, choices: Choices) -> Prepared:
    """Check a set, decode it, normalize it for ``dataset``, and put it in class-major order.

    Args:
        one: from ``exchange.read``; its images have passed ``checks.images``.
        dataset: on which networks are tested, at the size of the images.
        path: the file, for messages.
        choices: of the user.

    Raises:
        UserError: something is missing, contradictory, or damaged.
    """
    if one.facts.zca:
        raise UserError(f"{path}: is whitened (ZCA); test images of {dataset.name} are not whitened here")
    names = dataset.classes
    labels, remarks = _renamed(checks.labels(one, len(names), choices.hard, path), one, names)
    if one.labels is None:
        remarks.append("no labels: taken as class-major, class after class")
    factor = choices.factor or one.facts.factor
    if not factor:
        raise UserError(f"factor: {path} does not say how many images an image holds; --factor 2 in IDC, 1 in IDC-I")
    images, here = _floats(one.images), _space(one, dataset, choices)
    warnings = _doubts(images, here) if choices.space or not one.facts.recipe else []
    images, before = _channels(images, here, dataset, path)
    if factor > 1:
        neutral = space.pixels(images.shape[1])
        images, labels = decoded(space.moved(images, before, neutral), factor), labels.repeat(factor**2)
        before = neutral
    order = torch.argsort(labels, stable=True)
    if not torch.equal(labels, labels[order]):
        remarks.append("images sorted by class")
    ipc = checks.per_class(labels, names, path)
    if choices.ipc and choices.ipc != ipc:
        raise UserError(f"ipc: {path} has {ipc} images per class, not {choices.ipc}")
    there, device = space.moved(images[order], before, Space.of(dataset)), dataset.images.device
    return Prepared(Synthetic(there.to(device), labels[order].to(device), ipc), here, factor, warnings, remarks)


def _floats(images: Tensor) -> Tensor:
    return images.float().div(255) if images.dtype == torch.uint8 else images.float()


def _renamed(labels: Tensor, one: ImageSet, names: tuple[str, ...]) -> tuple[Tensor, list[str]]:
    """Labels in the dataset's order, if the file names the same classes in another one."""
    theirs = one.facts.classes
    if not theirs or theirs == names:
        return labels, []
    if sorted(theirs) == sorted(names):
        return torch.tensor([names.index(name) for name in theirs])[labels], ["classes matched by name"]
    return labels, [f"classes taken in order: {theirs[0]} for {names[0]}, …, {theirs[-1]} for {names[-1]}"]


def _space(one: ImageSet, dataset: Dataset, choices: Choices) -> Space:
    """What the user says; or else the file, or its format; or else the range of the values."""
    channels, facts = one.images.shape[1], one.facts
    if choices.space:
        return Space.of(dataset) if choices.space == dataset.name else space.named(choices.space, channels)
    if facts.space == NORMALIZED and len(facts.mean) == len(facts.std) == channels:
        return Space(facts.dataset or "its notes", facts.mean, facts.std)
    low, high = one.images.min(), one.images.max()
    if facts.space == PIXELS or one.images.dtype == torch.uint8 or (not facts.space and low >= 0 and high <= 1):
        return space.pixels(channels)
    if channels != dataset.channels:
        raise UserError(
            f"space: images of {channels} channels cannot have the statistics of {dataset.name}; --space NAME"
        )
    return Space.of(dataset)


def _doubts(images: Tensor, here: Space) -> list[str]:
    """Whether the values can be what is claimed (ours are, however far α drives them)."""
    low, high = float(images.min()), float(images.max())
    span = f"values from {low:.2f} to {high:.2f}"
    if here.pixels:
        if low < -SLACK or high > 1 + SLACK:
            return [f"{span} are no pixels in [0, 1]; if they are normalized, say with what: --space DATASET"]
        return []
    if low >= 0 and high <= 1:
        return [f"{span}: normalized images are hardly all in [0, 1]; if they are pixels: --space pixels"]
    shown = space.moved(images, here, space.pixels(images.shape[1]))
    outside = float(((shown < 0) | (shown > 1)).float().mean())
    if outside > STRANGE:
        hint = "other statistics (--space), ZCA, or another dataset?"
        return [f"{span}: {100 * outside:.0f} % lie outside of what {here.name} can be when normalized; {hint}"]
    return []


def _channels(images: Tensor, here: Space, dataset: Dataset, path: Path) -> tuple[Tensor, Space]:
    """Pixels as gray or RGB, whichever the dataset is; normalized images have to have its channels."""
    have, wanted = images.shape[1], dataset.channels
    if have == wanted:
        return images, here
    if not here.pixels:
        raise UserError(f"{path}: images have {have} channels, {dataset.name} has {wanted}")
    return data.as_channels(images, wanted), space.pixels(wanted)


def decoded(images: Float[Tensor, "n c h w"], factor: int) -> Float[Tensor, "m c h w"]:
    """All cells, row by row: first the first cell of every image, then the second of every image, …

    Args:
        images: square, in [0, 1]; a size that ``factor`` does not divide is padded at the right and the bottom.
        factor: cells along each side.
    """
    size = images.shape[-1]
    cell = -(-size // factor)
    missing = cell * factor - size
    padded = functional.pad(images, (0, missing, 0, missing), value=PADDING)
    cells = [
        padded[:, :, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        for row in range(factor)
        for column in range(factor)
    ]
    return functional.interpolate(torch.cat(cells), size=(size, size), mode="bilinear", align_corners=False)

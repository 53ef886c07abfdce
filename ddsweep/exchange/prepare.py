"""Conversion of a set as stored in a file into a synthetic set for training, with remarks on its interpretation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddsweep import data
from ddsweep.distill.sets.multi_formation import decode
from ddsweep.distill.synthetic import Sample, Synthetic
from ddsweep.errors import UserError
from ddsweep.exchange import checks, guess, space
from ddsweep.exchange.guess import SLACK
from ddsweep.exchange.image_set import NORMALIZED, PIXELS, Facts, ImageSet
from ddsweep.exchange.names import match
from ddsweep.exchange.space import BYTES, NORMALIZE, UNIT, Space
from ddsweep.percent import percent

if TYPE_CHECKING:
    from ddsweep.data import Dataset

GENERATOR = "a generator: under the rule dim, every batch is a new sample of it; the images in the file are examples"
STRANGE = 0.5  # share of values outside [0, 1] above which a set was probably not normalized as declared


@dataclass(frozen=True)
class Choices:
    """The user's description of a file, which takes precedence over the file's own.

    Attributes:
        space: ``unit``, ``symmetric`` or ``bytes`` (pixels in [0, 1], [−1, 1] or [0, 255]), ``normalized`` (with the
            statistics of the dataset), or the name of another dataset whose statistics they were normalized with;
            empty: as the file states, or else as ``guess`` finds.
        factor: images along each side of a stored image; 0: as the file states.
        ipc: expected number of decoded images per class; 0: any number.
        hard: replace learned class weights by the class of the largest weight.
        classes: class names in label order; empty: as the file states.
    """

    space: str = ""
    factor: int = 0
    ipc: int = 0
    hard: bool = False
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Prepared:
    """A set that is ready for evaluation.

    Attributes:
        synthetic: the set in the dataset's space, class-major, on the dataset's device.
        space: the value space of the images in the file.
        factor: images along each side of a stored image.
        warnings: suspicious properties, one line each.
        remarks: how the file was interpreted, one line each.
    """

    synthetic: Synthetic
    space: Space
    factor: int
    warnings: Sequence[str]
    remarks: Sequence[str]


def prepare(one: ImageSet, dataset: Dataset, path: Path, choices: Choices) -> Prepared:
    """Check a set, decode it, normalize it for ``dataset``, and put it in class-major order.

    Args:
        one: a set from ``exchange.read``; its images have passed ``checks.images``.
        dataset: the dataset on which networks are tested, at the size of the images; whitened if the set is
            (``space.is_whitened``).
        path: path of the file, for messages.
        choices: the user's description of the file.

    Raises:
        UserError: a property is missing or contradictory, or the set is damaged.
    """
    if space.is_whitened(one.facts, choices.space) and dataset.whitening is None:
        raise UserError(f"{path}: is whitened (ZCA); test images of {dataset.name} are not whitened here")
    names = dataset.classes
    theirs, are_numbers = (choices.classes, False) if choices.classes else (one.facts.classes, one.classes_are_numbers)
    matched = match(theirs, names, dataset.name, path, are_numbers)
    labels = torch.tensor(matched.order)[checks.labels(one, len(names), choices.hard, path)]
    remarks, doubts = list(matched.remarks), list(matched.warnings)
    if one.labels is None:
        remarks.append("no labels: taken as class-major, class after class")
    factor = choices.factor or one.facts.factor
    if factor > 1 and dataset.whitening is not None:
        raise UserError(f"factor: {path}: whitened images cannot be split (allowed: 1)")
    if not factor and dataset.whitening is None:
        raise UserError(f"factor: {path} does not say how many images an image holds; --factor 2 in IDC, 1 in IDC-I")
    images = one.images.float()
    here = _space(one, dataset, choices.space)
    if here is None:
        found = guess.guess(images, dataset, one.usual, path)
        here = found.space
        (remarks if found.word in (one.usual or UNIT, NORMALIZE) else doubts).append(_assumption(images, here))
    warnings = doubts + _changed(one.facts, dataset)
    if here != space.WHITENED and (choices.space or not one.facts.recipe):
        warnings += _doubts(images, here)
    images, before = _channels(images, here, dataset, path)
    if not torch.equal(labels, labels.sort().values):
        remarks.append("images sorted by class")
    if factor > 1:
        neutral = space.fixed(UNIT, images.shape[1])
        images, labels = decode(space.moved(images, before, neutral), factor), labels.repeat(factor**2)
        before = neutral
    order = torch.argsort(labels, stable=True)
    ipc = checks.per_class(labels, names, path)
    if choices.ipc and choices.ipc != ipc:
        raise UserError(f"ipc: {path} has {ipc} images per class, not {choices.ipc}")
    there, device = space.moved(images[order], before, Space.of(dataset)), dataset.images.device
    sample = _sampling(one, matched.order, here, dataset)
    remarks += [GENERATOR] if sample else []
    synthetic = Synthetic(there.to(device), labels[order].to(device), ipc, sample=sample)
    return Prepared(synthetic, here, factor, warnings, remarks)


def _sampling(one: ImageSet, order: Sequence[int], here: Space, dataset: Dataset) -> Sample | None:
    """Return what samples from the generator of a set by labels of the dataset and in its space; None: it has none.

    Args:
        one: the set.
        order: for each label of the set, the label in the dataset.
        here: the space of the set.
        dataset: the dataset.
    """
    if one.sample is None:
        return None
    sampler, there = one.sample.to(dataset.labels.device), Space.of(dataset)
    theirs = torch.tensor(order, device=dataset.labels.device).argsort()

    def sample(labels: Tensor, drawing: torch.Generator) -> Tensor:
        return space.moved(sampler(theirs[labels], drawing), here, there)

    return sample


def _space(one: ImageSet, dataset: Dataset, chosen: str) -> Space | None:
    """Return the value space as chosen by the user, else as the file states; None if it does not.

    Raises:
        UserError: the choice is impossible.
    """
    channels, facts = one.images.shape[1], one.facts
    if dataset.whitening is not None:
        return space.WHITENED
    if one.images.dtype == torch.uint8:
        if chosen not in ("", BYTES):
            raise UserError(f"space: {chosen}: 8-bit images are pixels in [0, 255] (allowed: {BYTES})")
        return space.fixed(BYTES, channels)
    if chosen in (NORMALIZE, dataset.name):
        return _of(dataset, channels)
    if chosen:
        return space.named(chosen, channels)
    if facts.space == NORMALIZED and len(facts.mean) == len(facts.std) == channels:
        return Space(facts.dataset or "its notes", facts.mean, facts.std)
    if facts.space == NORMALIZED:
        return _of(dataset, channels)
    if facts.space == PIXELS:
        return space.fixed(UNIT, channels)
    return None


def _assumption(images: Tensor, here: Space) -> str:
    return f"{guess.span(images)}: assumed to be {here.title}; if they are not: --space {space.WORDS}"


def _of(dataset: Dataset, channels: int) -> Space:
    if channels != dataset.channels:
        raise UserError(
            f"space: images of {channels} channels cannot have the statistics of {dataset.name}; --space NAME"
        )
    return Space.of(dataset)


def _changed(facts: Facts, dataset: Dataset) -> list[str]:
    """Return a warning if the user's own images are not those that the set was distilled from."""
    used = facts.origin.get("data")
    before = used.get(dataset.name) if isinstance(used, dict) else None
    if not data.is_user_data(dataset.name) or before in (None, dataset.checksum):
        return []
    return [f"the images of {dataset.name} have changed since the set was distilled: accuracies are not comparable"]


def _doubts(images: Tensor, here: Space) -> list[str]:
    """Return a warning if the values contradict their declared space.

    Sets with a recipe of ddsweep need no such check unless the user chooses a space: their space is known, however far
    a large α drives the values.
    """
    span = guess.span(images)
    shown = space.moved(images, here, space.fixed(UNIT, images.shape[1]))
    if here.is_fixed:
        if float(shown.min()) < -SLACK or float(shown.max()) > 1 + SLACK:
            fix = f"--space {NORMALIZE}, or the DATASET whose statistics they have"
            return [f"{span} are no {here.title}; if they are normalized: {fix}"]
        return []
    if float(images.min()) >= 0 and float(images.max()) <= 1:
        return [f"{span}: normalized images are hardly all in [0, 1]; if they are pixels: --space {UNIT}"]
    outside = float(((shown < 0) | (shown > 1)).float().mean())
    if outside > STRANGE:
        hint = "other statistics (--space), ZCA, or another dataset?"
        return [f"{span}: {percent(outside)} % lie outside of what {here.name} can be when normalized; {hint}"]
    return []


def _channels(images: Tensor, here: Space, dataset: Dataset, path: Path) -> tuple[Tensor, Space]:
    """Convert pixels to the dataset's channels, gray or RGB; normalized images must already have its channels."""
    have, wanted = images.shape[1], dataset.channels
    if have == wanted:
        return images, here
    if not here.is_fixed:
        raise UserError(f"{path}: images have {have} channels, {dataset.name} has {wanted}")
    return data.as_channels(images, wanted), space.fixed(here.name, wanted)

"""A synthetic set for use in Python: tensors, class names and statistics, displayed as a picture in a notebook."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import data, exchange, pictures
from ddsweep.data.pixels import denormalized
from ddsweep.distill.sets.generator import Sampler
from ddsweep.exchange.image_set import NORMALIZED, Facts, ImageSet, target_dataset
from ddsweep.exchange.prepare import Choices, prepare
from ddsweep.exchange.space import is_whitened
from ddsweep.text import plural

if TYPE_CHECKING:
    from PIL.Image import Image

    from ddsweep.grids import Grid


logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SyntheticSet:
    """A distilled set in class-major order.

    Attributes:
        images: [n, c, h, w], float32, normalized as (pixel / 255 - mean) / std and not clamped, ready for training.
        labels: [n], class indices.
        classes: class names in label order.
        mean: per-channel mean that was subtracted, in units of [0, 1].
        std: per-channel standard deviation that was divided by.
        facts: further properties in the file: dataset, method, recipe, origin (``ddsweep.exchange.Facts``).
        source: path of the file it was read from.
        remarks: how the file was interpreted, and what is doubtful about it, one line each.
        sample: makes new images of given labels, ``sample(labels, generator)``, if a generator was learned (DiM);
            ``images`` are then examples.
        shown: of a whitened set (``facts.zca``), whose ``images`` are not normalized, the images as pixels.
    """

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    facts: Facts
    source: str = ""
    remarks: tuple[str, ...] = ()
    sample: Sampler | None = field(default=None, repr=False)
    shown: Float[Tensor, "n c h w"] | None = None

    @property
    def ipc(self) -> int:
        """Number of images per class."""
        return len(self.labels) // len(self.classes)

    @property
    def pixels(self) -> Float[Tensor, "n c h w"]:
        """The images as pixels: images * std + mean (of a whitened set, the inverse), clamped to [0, 1]."""
        if self.shown is not None:
            return self.shown.clamp(0, 1)
        return denormalized(self.images, self.mean, self.std)

    def _drawn(self, most: int = 10) -> Grid:
        return pictures.grid(pictures.by_class(self.pixels, self.ipc, most), self.classes)

    def grid(self, most: int = 10) -> Image:
        """Return a labeled picture with one row per class and at most ``most`` images in each row."""
        return self._drawn(most).image

    def as_image_set(self) -> ImageSet:
        """Return the set as an ``ImageSet``, the type of the readers and writers of ``ddsweep.exchange``."""
        facts = replace(
            self.facts, classes=self.classes, space=NORMALIZED, mean=self.mean, std=self.std, factor=1, ipc=self.ipc
        )
        return ImageSet(self.images, self.labels, facts, "safetensors", sample=self.sample, pixels=self.shown)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.images.shape[1:]))
        name = self.facts.dataset or "unknown dataset"
        return f"SyntheticSet({name}: {plural(len(self.classes), 'class')}, {plural(self.ipc, 'image')} each, {shape})"

    def _repr_png_(self) -> bytes:
        """Return the PNG that a notebook displays."""
        return self._drawn().png


def read(path: Path, dataset: str | None = None, classes: tuple[str, ...] = (), space: str = "") -> SyntheticSet:
    """Read a set in any format of ``exchange.READERS``.

    Args:
        path: a file, or a folder that contains a set.
        dataset: the dataset from which the set was distilled; None: the dataset named in the file. It is loaded for
            its statistics and class names unless the file has both.
        classes: class names in label order; none: as the file states.
        space: how the values are scaled, as in ``prepare.Choices``; empty: as the file states, or else as its values
            suggest, which is a remark.

    Raises:
        UserError: the path has no set, the set is damaged, its dataset is unknown, or the scale of its values is.
    """
    return of(exchange.read(path), path, dataset, classes, space)


def of(
    one: ImageSet, path: Path, dataset: str | None = None, classes: tuple[str, ...] = (), space: str = ""
) -> SyntheticSet:
    """Return the set that a reader or ``collect.collect`` found at ``path``; see ``read``."""
    facts, name = one.facts, dataset or one.facts.dataset
    known = facts.space == NORMALIZED and facts.mean and facts.std and facts.classes and facts.factor == 1
    if (
        known
        and not (facts.zca and one.pixels is None)
        and not classes
        and not space
        and name == facts.dataset
        and one.labels is not None
        and one.labels.ndim == 1
    ):
        order = torch.argsort(one.labels, stable=True)
        images, labels = one.images[order].float(), one.labels[order].long()
        shown = None if one.pixels is None else one.pixels[order]
        return SyntheticSet(
            images, labels, facts.classes, facts.mean, facts.std, facts, str(path), sample=one.sample, shown=shown
        )
    whitened = is_whitened(facts, space)
    loaded = data.load(target_dataset(str(path), dataset, facts), one.images.shape[-1], zca=whitened)
    prepared = prepare(one, loaded, path, Choices(space, classes=classes))
    for warning in prepared.warnings:
        logger.warning("%s: %s", path, warning)
    images, labels = prepared.synthetic.images, prepared.synthetic.labels
    remarks = (*one.remarks, *prepared.remarks, *prepared.warnings)
    facts = replace(facts, dataset=loaded.name, zca=whitened)
    shown = loaded.denormalize(images) if whitened else None
    return SyntheticSet(images, labels, loaded.classes, loaded.mean, loaded.std, facts, str(path), remarks, shown=shown)

"""A synthetic set as a Python user holds it: tensors, class names and statistics, and a picture in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import data, exchange, pictures
from ddsweep.errors import UserError
from ddsweep.exchange.image_set import NORMALIZED, Facts, ImageSet
from ddsweep.exchange.prepare import Choices, prepare
from ddsweep.text import plural

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class SyntheticSet:
    """A distilled set in class-major order.

    Attributes:
        images: [n, c, h, w], float32, normalized as (pixel / 255 - mean) / std and never clamped, as networks are
            trained on them.
        labels: [n], class numbers.
        classes: class names in label order.
        mean: per-channel mean that was subtracted, in units of [0, 1].
        std: per-channel standard deviation that was divided by.
        facts: what else the file says: dataset, method, recipe, origin (``ddsweep.exchange.Facts``).
        source: the file it was read from.
    """

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    facts: Facts
    source: str = ""

    @property
    def ipc(self) -> int:
        """Images per class."""
        return len(self.labels) // len(self.classes)

    @property
    def pixels(self) -> Float[Tensor, "n c h w"]:
        """The images as pixels: images * std + mean, clamped to [0, 1]."""
        mean, std = (self.images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (self.images * std + mean).clamp(0, 1)

    def grid(self, most: int = 10) -> Image:
        """Return a labeled picture with one row per class and at most ``most`` images in it."""
        return pictures.grid(pictures.by_class(self.pixels, self.ipc, most), self.classes).image

    def as_image_set(self) -> ImageSet:
        """Return the set as the readers and writers of ``ddsweep.exchange`` take it."""
        facts = replace(
            self.facts, classes=self.classes, space=NORMALIZED, mean=self.mean, std=self.std, factor=1, ipc=self.ipc
        )
        return ImageSet(self.images, self.labels, facts, "safetensors")

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.images.shape[1:]))
        name = self.facts.dataset or "unknown dataset"
        return f"SyntheticSet({name}: {plural(len(self.classes), 'class')}, {plural(self.ipc, 'image')} each, {shape})"

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        return pictures.grid(pictures.by_class(self.pixels, self.ipc), self.classes).png


def read(path: Path, dataset: str | None = None) -> SyntheticSet:
    """Read a set in any format of ``exchange.READERS``.

    Args:
        path: a file, or a folder with a set in it.
        dataset: the dataset that the set was distilled from; None: as the file says. It is loaded, for its statistics
            and class names, unless the file has both.

    Raises:
        UserError: no set, a damaged one, or one that does not say what it was distilled from.
    """
    one = exchange.read(path)
    facts, name = one.facts, dataset or one.facts.dataset
    known = facts.space == NORMALIZED and facts.mean and facts.std and facts.classes and facts.factor == 1
    if known and name == facts.dataset and one.labels is not None and one.labels.ndim == 1:
        order = torch.argsort(one.labels, stable=True)
        images, labels = one.images[order].float(), one.labels[order].long()
        return SyntheticSet(images, labels, facts.classes, facts.mean, facts.std, facts, str(path))
    if not name:
        raise UserError(
            f"dataset: {path} does not say which dataset it was distilled from; one of {', '.join(data.names())}"
        )
    loaded = data.load(name, one.images.shape[-1])
    synthetic = prepare(one, loaded, path, Choices()).synthetic
    facts = replace(facts, dataset=loaded.name)
    return SyntheticSet(synthetic.images, synthetic.labels, loaded.classes, loaded.mean, loaded.std, facts, str(path))

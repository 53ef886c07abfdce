"""KIP's ``npz`` files: channel-last images, and labels as class weights."""

from __future__ import annotations

import torch
from torch import Tensor

from ddsweep.errors import UserError
from ddsweep.exchange import conventions
from ddsweep.exchange.image_set import Facts, ImageSet, class_names, in_order
from ddsweep.exchange.source import Source

NAMES = ("classes", "class_names", "label_names")


class Kip:
    """Arrays ``images`` [n, h, w, c], ``labels`` [n, classes] or [n], as numbers or names; optionally ``classes``."""

    name = "kip"
    about = "npz of images [n, h, w, c] and labels (KIP)"
    files: tuple[str, ...] = ("*.npz",)

    def read(self, source: Source) -> ImageSet | None:
        """Return the arrays ``images`` and ``labels``. Their value space is guessed later."""
        if source.path.suffix != ".npz":
            return None
        if not {"images", "labels"} <= set(source.content):
            raise UserError(f"{source.path}: has no arrays called images and labels, but {', '.join(source.content)}")
        images, labels = source.content["images"], source.content["labels"]
        if not isinstance(images, Tensor):
            raise UserError(f"{source.path}: images are text, not numbers")
        if images.ndim != 4:
            raise UserError(f"{source.path}: images have {images.ndim} axes, not n, height, width, channels")
        names = next((names for key in NAMES if (names := class_names(source.content.get(key)))), ())
        are_numbers = False
        if not isinstance(labels, Tensor):
            names, are_numbers = in_order(labels)
            labels = torch.tensor([names.index(name) for name in labels])
        facts = Facts(**conventions.claims(source.path), factor=1, classes=names)
        return ImageSet(images.permute(0, 3, 1, 2), labels, facts, self.name, classes_are_numbers=are_numbers)

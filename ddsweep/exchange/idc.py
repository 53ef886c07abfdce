"""IDC's and DREAM's ``data.pt``: images in [0, 1], each of them several, and their labels."""

from __future__ import annotations

from torch import Tensor

from ddsweep.exchange import conventions
from ddsweep.exchange.image_set import PIXELS, Facts, ImageSet
from ddsweep.exchange.source import Source


class Idc:
    """``[images, labels]``. How many images each of them holds is not in the file."""

    name = "idc"
    about = "data.pt, [images, labels] in [0, 1], not decoded (IDC, DREAM)"
    files: tuple[str, ...] = ("data.pt", "data_best.pt")

    def read(self, source: Source) -> ImageSet | None:
        """A list of two tensors."""
        content = source.content
        if not (isinstance(content, list | tuple) and len(content) == 2):
            return None
        images, labels = content
        if not (isinstance(images, Tensor) and isinstance(labels, Tensor) and images.ndim == 4):
            return None
        return ImageSet(images, labels, Facts(**conventions.claims(source.path), space=PIXELS), self.name)

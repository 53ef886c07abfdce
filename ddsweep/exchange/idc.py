"""IDC's and DREAM's ``data.pt``: images in [0, 1], each a grid of factor² images, and their labels."""

from __future__ import annotations

from torch import Tensor

from ddsweep.exchange import conventions
from ddsweep.exchange.image_set import Facts, ImageSet
from ddsweep.exchange.source import Source
from ddsweep.exchange.space import UNIT


class Idc:
    """``[images, labels]``. The file does not contain the decode factor."""

    name = "idc"
    about = "data.pt, [images, labels] in [0, 1], not decoded (IDC, DREAM)"
    files: tuple[str, ...] = ("data.pt", "data_best.pt")

    def read(self, source: Source) -> ImageSet | None:
        """Return the set of a file that holds a list of two tensors; None for other files."""
        content = source.content
        if not (isinstance(content, list | tuple) and len(content) == 2):
            return None
        images, labels = content
        if not (isinstance(images, Tensor) and isinstance(labels, Tensor) and images.ndim == 4):
            return None
        return ImageSet(images, labels, Facts(**conventions.claims(source.path)), self.name, usual=UNIT)

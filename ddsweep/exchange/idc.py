"""IDC's and DREAM's ``data.pt``: images in [0, 1], each a grid of factor² images, and their labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ddsweep.exchange import conventions
from ddsweep.exchange import source as sources
from ddsweep.exchange.conventions import describe, tensors
from ddsweep.exchange.image_set import Facts, Grids, ImageSet
from ddsweep.exchange.source import Source
from ddsweep.exchange.space import UNIT


class Idc:
    """``[images, labels]``. The decode factor is in the JSON description only, which files of others do not have."""

    name = "idc"
    about = "data.pt, [images, labels] in [0, 1], before decoding (IDC, DREAM)"
    files: tuple[str, ...] = ("data.pt", "data_best.pt")
    bits = 0
    pixels = True

    def read(self, source: Source) -> ImageSet | None:
        """Return the set of a file that holds a list of two tensors; None for other files."""
        content = source.content
        if not (isinstance(content, list | tuple) and len(content) == 2):
            return None
        images, labels = content
        if not (isinstance(images, Tensor) and isinstance(labels, Tensor) and images.ndim == 4):
            return None
        facts = source.facts or Facts(**conventions.claims(source.path))
        return ImageSet(images, labels, facts, self.name, usual=UNIT)

    def write(self, one: ImageSet, folder: Path) -> Path:
        """Write the list, with the grids if the images were decoded from some, and the JSON description."""
        images, factor = one.grids or Grids(one.images, 1)
        labels = None if one.labels is None else one.labels[:: factor**2]
        stored = replace(one, images=images, facts=replace(one.facts, factor=factor, ipc=one.facts.ipc // factor**2))
        path = folder / "data.pt"
        tensors(path, [images, labels])
        describe(stored, folder / sources.NOTE, path.name, [path])
        return path

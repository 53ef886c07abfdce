"""Two tensors in two files: MTT's ``images_best.pt`` and ``labels_best.pt``, as DD-Ranking and DC-bench read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ddsweep.errors import UserError
from ddsweep.exchange import conventions
from ddsweep.exchange import source as sources
from ddsweep.exchange.conventions import describe, tensors
from ddsweep.exchange.image_set import Facts, ImageSet
from ddsweep.exchange.source import Source
from ddsweep.exchange.space import NORMALIZE


class Pair:
    """``images.pt`` [n, c, h, w] float32, normalized; ``labels.pt`` [n] int64; ``lr.pt`` if the rate was learned."""

    name = "pt"
    about = "images.pt + labels.pt, float32, normalized (MTT, DD-Ranking, DC-bench)"
    files: tuple[str, ...] = ("images.pt", "images_best.pt", "*_images.pt")
    bits = 0
    pixels = False

    def read(self, source: Source) -> ImageSet | None:
        """Return the images, with the labels and the learning rate in files beside them.

        Unless the JSON description states the value space, it is guessed from the values later.
        """
        images, path = source.content, source.path
        if not isinstance(images, Tensor):
            return None
        if images.ndim != 4:
            shape = "x".join(map(str, images.shape)) or "one number"
            raise UserError(f"{path}: holds a tensor of {shape}; images are n x channels x height x width")
        labels = _beside(path, "labels")
        facts = source.facts or Facts(**conventions.claims(path), factor=1)
        usual = NORMALIZE if "_normalize_" in path.name else ""
        # beside an exported set without a learned rate, one of an earlier export can lie
        rate = None if source.facts and source.facts.lr is None else _beside(path, "lr")
        if rate is not None and rate.numel() == 1:
            facts = replace(facts, lr=float(rate))
        return ImageSet(images, labels, facts, self.name, usual=usual)

    def write(self, one: ImageSet, folder: Path) -> Path:
        """Write images, labels, a learned learning rate and the JSON description; return the file of the images."""
        parts: dict[str, Any] = {"images.pt": one.images, "labels.pt": one.labels}
        if one.facts.lr is not None:
            parts["lr.pt"] = one.facts.lr
        for name, value in parts.items():
            tensors(folder / name, value)
        path = folder / "images.pt"
        describe(one, folder / sources.NOTE, path.name, [folder / name for name in parts])
        return path


def _beside(path: Path, what: str) -> Tensor | None:
    names = [path.name.replace("images", what), path.name.replace("normalize_images", what)]
    if what == "lr":
        names.append("lr.pt")
    for place in (path.with_name(name) for name in names if name != path.name):
        if place.is_file():
            found = sources.content(place)
            if isinstance(found, int | float):
                return Tensor([found])
            if not isinstance(found, Tensor):
                raise UserError(f"{place}: holds no tensor but a {type(found).__name__}")
            return found
    return None

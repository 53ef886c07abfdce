"""KIP's ``npz`` files: channel-last images, and labels as class weights."""

from __future__ import annotations

from ddsweep.errors import UserError
from ddsweep.exchange import conventions
from ddsweep.exchange.image_set import Facts, ImageSet
from ddsweep.exchange.source import Source


class Kip:
    """Arrays ``images`` [n, h, w, c] and ``labels`` [n, classes] or [n]."""

    name = "kip"
    about = "npz of images [n, h, w, c] and labels (KIP)"
    files: tuple[str, ...] = ("*.npz",)

    def read(self, source: Source) -> ImageSet | None:
        """Return the arrays ``images`` and ``labels``. The value range decides later whether the images are pixels."""
        if source.path.suffix != ".npz":
            return None
        if not {"images", "labels"} <= set(source.content):
            raise UserError(f"{source.path}: has no arrays called images and labels, but {', '.join(source.content)}")
        images = source.content["images"]
        if images.ndim != 4:
            raise UserError(f"{source.path}: images have {images.ndim} axes, not n, height, width, channels")
        facts = Facts(**conventions.claims(source.path), factor=1)
        return ImageSet(images.permute(0, 3, 1, 2), source.content["labels"], facts, self.name)

"""What the writers share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ddsweep import __version__, files
from ddsweep.exchange.image_set import ImageSet


def tensors(path: Path, value: Any) -> None:
    """``torch.save``, whole or not at all; tensors, numbers, texts, lists and dictionaries of them."""
    with files.atomic(path) as temporary:
        torch.save(value, temporary)


def told(one: ImageSet, file: str, **further: Any) -> dict[str, Any]:
    """The JSON beside a set, ``file`` being what it is about (``.``: the folder it lies in)."""
    n, channels, height, width = one.images.shape
    shape = {"images": n, "channels": channels, "height": height, "width": width, "channel_order": "RGB"[:channels]}
    return one.facts.record(file, {**shape, "written_by": f"ddsweep {__version__}", **further})

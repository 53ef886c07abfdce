"""The contract of a dataset (``data.decoders.Decoder``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from ddsweep import data
from ddsweep.data import cache, own_images
from ddsweep.data.decoders import decode
from ddsweep.data.raw import Raw
from ddsweep.errors import UserError
from ddsweep.recipe import make
from ddsweep.registry.datasets import DatasetInfo, at_size
from ddsweep.testing.judging import own_randomness, require

Result = TypeVar("Result")


def check_dataset(name: str) -> None:
    """Check that a dataset is what its row in the registry says.

    - Decoding it gives the same bytes every time, also after others have drawn random numbers.
    - It has images of every class for training and for testing; the smallest class has as many as the row says.
    - The images are square and differ from each other; mean and std are close to those of the row, if it states them.
    - It can be decoded at other sizes, and a recipe can distill it.

    Args:
        name: the dataset; its archives, if it has any, must have been downloaded.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown dataset.
    """
    row, what = data.info(name), f"dataset {name!r}"
    raw = _decoded(row, what)
    with own_randomness(what):  # the second time: libraries that the first one imports may draw
        again = _decoded(row, what)
    for part in cache.TENSORS if raw.attributes is None else (*cache.TENSORS, *cache.ATTRIBUTES):
        require(
            torch.equal(getattr(raw, part), getattr(again, part)), what, f"decodes to different {part} the second time"
        )
    _told(what, lambda: own_images.check(row, raw))
    smaller = at_size(row, max(4, row.size // 2))
    require(
        _decoded(smaller, what).images.shape[-1] == smaller.size,
        what,
        f"ignores the requested size of {smaller.size} pixels",
    )
    make({"target": name, "ipc": row.smallest_class, "alpha": 0, "method": "dm", "arch": "convnet1"})


def _decoded(row: DatasetInfo, what: str) -> Raw:
    return _told(what, lambda: decode(row))


def _told(what: str, step: Callable[[], Result]) -> Result:
    """The result of ``step``, whose errors for users become failures of the check."""
    try:
        return step()
    except (UserError, ValueError) as error:
        raise AssertionError(f"{what}: {error}") from None  # the line names file and line of the plugin

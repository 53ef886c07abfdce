"""Try a plugin's network before anything is computed with it: whether it takes the images that a recipe has for it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch.nn import functional as F

from ddsweep import rng
from ddsweep.errors import UserError
from ddsweep.nn import plugged
from ddsweep.nn.network import build
from ddsweep.registry import networks

_found: dict[tuple[Any, ...], tuple[networks.Architecture, str]] = {}


def try_build(
    name: str,
    *,
    channels: int,
    size: int,
    classes: int,
    width: int,
    also: Collection[int] = (),
    field: str = "arch",
) -> None:
    """Build a plugin's network once, train it on two images, and let it embed images of further sizes.

    ddsweep's own networks are not tried. What was found is kept for this process.

    Args:
        name: the network.
        channels: channels of the images.
        size: height and width in pixels that the network is built for.
        classes: number of classes.
        width: see ``nn.build``.
        also: further sizes, of a PTM of another domain: the network is built for the source's images, and embeds the
            target's.
        field: the recipe field that names the network, for the error.

    Raises:
        UserError: the network cannot be built or used; the line has the field, the network and the reason.
    """
    row = networks.info(name)
    if not row.plugin:
        return
    key = (name, channels, size, classes, width, frozenset(also))
    known = _found.get(key)
    if known is None or known[0] is not row:  # a reloaded plugin has a new row
        known = _found[key] = row, _tried(row, channels, size, classes, width, also)
    if known[1]:
        raise UserError(f"{field}: {known[1]}")


def _tried(
    row: networks.Architecture, channels: int, size: int, classes: int, width: int, also: Collection[int]
) -> str:
    """Return why the network cannot be used; empty if it can."""
    try:
        shape = {"channels": channels, "size": size, "classes": classes, "width": width}
        net = build(row.name, **shape, generator=rng.generator(0, "try", row.name))
        with plugged.blaming(row, f"cannot be trained on {channels}×{size}×{size} images"), plugged.guarded(net, 0):
            images = _images(channels, size)
            loss = F.cross_entropy(net(images.requires_grad_()), torch.arange(len(images)) % classes)
            torch.autograd.grad(loss, [images])
        net.eval()
        for other in also:
            with plugged.blaming(row, f"is built for {size}×{size} images, and cannot embed {other}×{other}"):
                net.embed(_images(channels, other))
    except UserError as error:
        return str(error).removeprefix("arch: ")
    return ""


def _images(channels: int, size: int) -> torch.Tensor:
    return torch.randn(plugged.IMAGES, channels, size, size, generator=rng.generator(0, "try", "images"))

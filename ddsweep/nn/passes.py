"""How a batch is divided into passes through a network: the same sums, of which less lies in memory at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ddsweep import device as devices

# Pixels of one pass, by the kind of device. A CPU's steps wait for memory where a layer's maps are larger than its
# caches: 32 images of 32×32 in ConvNet-3 (one map 16 MiB) took 18 % less time per image than 256 in a training step and
# 21 % less in a forward pass, compiled, in float32; 8 to 21 % in bf16; 17 and 21 % not compiled (one thread; 10 to 27 %
# with two). Passes of 16 gained little more, and lose in bf16 with two threads. A GPU wants as much as fits: 4096
# images, one map of which takes 2 GiB.
PIXELS = {"cpu": 2**15, "cuda": 2**22}

# What one pixel of an image keeps in memory while its gradient is computed: a ConvNet-3 of width 128 keeps 4.8 MiB per
# image of 32×32 in float32 (classes as one batch, measured by the memory of a process).
GRAPH_BYTES = 5000
SHARE = 4  # a graph may take one part in so many of a device's memory: other agents, networks and fragments need theirs


def images_per_pass(size: int, device: torch.device, at_most: int | None = None) -> int:
    """How many images of ``size`` × ``size`` go through a network at once.

    Args:
        size: height and width.
        device: where; one without a budget of its own has that of a GPU.
        at_most: pixels, where a network needs more memory than usual; default: no bound but the device's.
    """
    pixels = PIXELS.get(device.type, PIXELS["cuda"])
    return max(1, min(pixels, at_most or pixels) // size**2)


def images_with_graph(size: int, device: torch.device) -> int:
    """How many images of ``size`` × ``size`` may be differentiated at once in the memory of the device."""
    return max(1, devices.memory(str(device)) // SHARE // (GRAPH_BYTES * size**2))


def even(count: int, most: int) -> int:
    """Images per pass, ``most`` or fewer, so that every pass of ``count`` images has as many: each size is compiled.

    ``most`` where only passes of half as many or fewer would do, and the last pass is then smaller.
    """
    if count <= most:
        return max(1, count)
    return next((size for size in range(most, most // 2, -1) if count % size == 0), most)


def in_equal_groups(count: int, most: int) -> int:
    """The size of the fewest groups, ``most`` or smaller, that ``count`` things make: equal, but for the last."""
    groups = -(-count // max(1, most))
    return -(-count // groups)


def mixes(net: nn.Module) -> bool:
    """Whether it would treat fewer images differently: with batch norm in train mode, statistics are of the pass."""
    return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training for layer in net.modules())


def through(
    view: Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "n d"]],
    images: Float[Tensor, "n c h w"],
    size: int | None = None,
    whole: bool = False,
) -> Float[Tensor, "n d"]:
    """``view(images)``, as many images a pass as suit the device.

    Where the graph of all passes is needed and would take more than its share of the memory, each pass keeps its images
    only, and is computed once more when its turn in the backward pass comes: the same numbers, a forward pass dearer.

    Args:
        view: treats images one by one, unless ``whole``, and draws nothing.
        images: the batch.
        size: height and width that ``view`` resizes images to; default: it takes them as they are.
        whole: in one pass whatever its size, for a network that ``mixes``.
    """
    if whole:
        return view(images)
    size, device, count = size or images.shape[-1], images.device, len(images)
    most, room = images_per_pass(size, device), images_with_graph(size, device)
    if torch.is_grad_enabled() and images.requires_grad and count > room:
        view, most = partial(checkpoint, view, use_reentrant=False, preserve_rng_state=False), min(most, room)
    return torch.cat([view(part) for part in images.split(even(count, most))])


def backward(
    net: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
) -> None:
    """Add the gradient of the mean loss of a batch to the leaves that it depends on, a pass at a time.

    Σ over passes p of (n_p / n) · ∇ loss(images_p, labels_p): equal to ∇ loss(images, labels) up to rounding.

    Args:
        net: the network that ``loss`` uses; one that ``mixes`` sees the whole batch.
        loss: (images, labels) to the mean over the images of a loss of each.
        images: the batch.
        labels: its labels.
    """
    size, device, count = images.shape[-1], images.device, len(images)
    at_once = even(count, min(images_per_pass(size, device), images_with_graph(size, device)))
    if at_once >= count or mixes(net):
        loss(images, labels).backward()
        return
    for some, theirs in zip(images.split(at_once), labels.split(at_once), strict=True):
        (loss(some, theirs) * (len(some) / count)).backward()

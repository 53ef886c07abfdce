"""Micro-batches: a batch goes through a network in parts, with the same sums and less memory in use at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ddsweep import device as devices
from ddsweep.nn.statistics import uses_batch_statistics as uses_batch_statistics

# Pixels of a micro-batch, by the kind of device. A CPU waits for memory where the feature maps of a layer are larger
# than its caches: with 32 images of 32×32 in ConvNet-3 (one feature map: 16 MiB) an image took 18% less time than with
# 256 in a training step and 21% less in a forward pass, compiled, in float32; 8% to 21% less in bf16; 17% and 21% less
# when not compiled (one thread; 10% to 27% with two). Micro-batches of 16 gained little more, and lost in bf16 with two
# threads. A GPU is fastest with as much as fits: 4096 images, one feature map of which takes 2 GiB.
PIXELS = {"cpu": 2**15, "cuda": 2**22}

# Bytes of autograd graph per pixel of an image. A ConvNet-3 of width 128 keeps 4.8 MiB per image of 32×32 in float32
# (classes as one batch, measured by the memory of a process).
GRAPH_BYTES = 5000
SHARE = 4  # a graph may take 1/SHARE of a device's memory; the rest is for other agents, networks and fragmentation


def microbatch_size(size: int, device: torch.device, max_pixels: int | None = None) -> int:
    """Return how many images of ``size`` × ``size`` pixels go through a network at once; at least 1.

    Args:
        size: height and width of the images in pixels.
        device: the device that computes; a kind without a budget of its own gets that of a GPU.
        max_pixels: a lower bound on the pixels, for a network that needs more memory than usual; None: the device's.
    """
    pixels = PIXELS.get(device.type, PIXELS["cuda"])
    return max(1, min(pixels, max_pixels or pixels) // size**2)


def max_images_with_graph(size: int, device: torch.device) -> int:
    """Return how many images of ``size`` × ``size`` pixels can be differentiated at once in the device's memory."""
    return max(1, devices.memory(str(device)) // SHARE // (GRAPH_BYTES * size**2))


def equal_size(count: int, most: int) -> int:
    """Return a micro-batch size of at most ``most`` that divides ``count``, because each new size is compiled anew.

    If only sizes of ``most / 2`` or fewer divide it, ``most`` is returned, and the last micro-batch is smaller.
    """
    if count <= most:
        return max(1, count)
    return next((size for size in range(most, most // 2, -1) if count % size == 0), most)


def group_size(count: int, most: int) -> int:
    """Return the size of the groups if ``count`` items form as few groups of at most ``most`` as possible.

    All groups have this size, except that the last may be smaller.
    """
    groups = -(-count // max(1, most))
    return -(-count // groups)


def apply(
    function: Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "n d"]],
    images: Float[Tensor, "n c h w"],
    size: int | None = None,
    whole: bool = False,
) -> Float[Tensor, "n d"]:
    """Return ``function(images)``, computed in micro-batches.

    If the graph of all of them is needed and would take more than its share of the memory, each micro-batch keeps its
    images only and is computed a second time in the backward pass (activation checkpointing): the same numbers, also of
    dropout, for one more forward pass.

    Args:
        function: handles each image on its own, unless ``whole``.
        images: the batch.
        size: height and width in pixels to which ``function`` resizes images; None: it does not.
        whole: use one batch whatever its size, for a network that ``uses_batch_statistics``.
    """
    if whole:
        return function(images)
    size, device, count = size or images.shape[-1], images.device, len(images)
    most, with_graph = microbatch_size(size, device), max_images_with_graph(size, device)
    if torch.is_grad_enabled() and images.requires_grad and count > with_graph:
        function = partial(checkpoint, function, use_reentrant=False)
        most = min(most, with_graph)
    return torch.cat([function(part) for part in images.split(equal_size(count, most))])


def backward(
    net: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"] | Float[Tensor, "n classes"],
) -> None:
    """Add the gradient of the mean loss of a batch to the leaves that it depends on, one micro-batch at a time.

    Σ over micro-batches p of (n_p / n) · ∇ loss(images_p, labels_p), which is ∇ loss(images, labels) up to rounding.

    Args:
        net: the network that ``loss`` uses; if it ``uses_batch_statistics``, it sees the whole batch.
        loss: maps (images, labels) to the mean over the images of a loss per image.
        images: the batch.
        labels: its labels, or class weights.
    """
    size, device, count = images.shape[-1], images.device, len(images)
    most = equal_size(count, min(microbatch_size(size, device), max_images_with_graph(size, device)))
    if most >= count or uses_batch_statistics(net):
        loss(images, labels).backward()
        return
    for part, part_labels in zip(images.split(most), labels.split(most), strict=True):
        (loss(part, part_labels) * (len(part) / count)).backward()

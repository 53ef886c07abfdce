"""How a batch is divided into passes through a network: the same sums, of which less lies in memory at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

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
MEMORY = 16 << 30  # of a device that does not say


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
    on_gpu = device.type == "cuda"
    memory = torch.cuda.get_device_properties(device).total_memory if on_gpu else MEMORY
    return max(1, memory // SHARE // (GRAPH_BYTES * size**2))


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


def suitable(net: nn.Module, images: Float[Tensor, "n c h w"], graph: bool = False) -> int:
    """How many of ``images`` go through ``net`` at once: all of them where it would treat fewer differently.

    That is a network with batch norm in train mode: its statistics are those of the pass.

    Args:
        net: the network.
        images: the batch.
        graph: whether each pass is differentiated before the next one.
    """
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training for layer in net.modules()):
        return max(1, len(images))
    size, device = images.shape[-1], images.device
    most = images_per_pass(size, device)
    return even(len(images), min(most, images_with_graph(size, device)) if graph else most)


def backward(
    net: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
) -> None:
    """Add the gradient of the mean loss of a batch to the leaves that it depends on, a pass at a time.

    Σ over passes p of (n_p / n) · ∇ loss(images_p, labels_p): equal to ∇ loss(images, labels) up to rounding.

    Args:
        net: the network that ``loss`` uses.
        loss: (images, labels) to the mean over the images of a loss of each.
        images: the batch.
        labels: its labels.
    """
    size = suitable(net, images, graph=True)
    if size >= len(images):
        loss(images, labels).backward()
        return
    for some, theirs in zip(images.split(size), labels.split(size), strict=True):
        (loss(some, theirs) * (len(some) / len(images))).backward()

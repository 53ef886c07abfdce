"""Layers with running statistics: batch norms, and instance norms that track them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase


def norms(net: nn.Module) -> Iterator[_NormBase]:
    """Yield the layers of a network that have running statistics, or use those of the batch."""
    for layer in net.modules():
        if isinstance(layer, _BatchNorm) or (isinstance(layer, _NormBase) and layer.track_running_stats):
            yield layer


def has_batch_norm(net: nn.Module) -> bool:
    """Return whether outputs depend on running statistics, and so differ between train and eval mode."""
    return next(norms(net), None) is not None


def hold(net: nn.Module) -> None:
    """Let every norm use its running statistics, in a network in train mode."""
    for layer in norms(net):
        layer.eval()


def forget(net: nn.Module) -> None:
    """Remove the running statistics: every norm uses those of the batch (an instance norm: of the image) only."""
    for layer in list(norms(net)):
        layer.track_running_stats = False
        layer.running_mean = layer.running_var = layer.num_batches_tracked = None


def uses_batch_statistics(net: nn.Module) -> bool:
    """Return whether a forward pass depends on the batch as a whole.

    A batch norm in train mode, or without running statistics, normalizes by those of the batch; an instance norm with
    running statistics moves them once per batch.
    """
    return any(layer.training or layer.running_mean is None for layer in norms(net))

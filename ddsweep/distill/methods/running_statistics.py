"""Batch norm while gradients of classes are compared: its running statistics are set, and then held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ddsweep.nn import statistics

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset

IMAGES = 16  # real images per class that set the running statistics


def settle(net: nn.Module, dataset: Dataset, generator: torch.Generator) -> None:
    """Update the running statistics once with real images of all classes, then ``hold`` them.

    Otherwise the batch of a class would be normalized by its own statistics, which differ from those of a mixed batch.
    Nothing is drawn for a network without batch norm.
    """
    if not statistics.has_batch_norm(net):
        return
    net.train()
    classes = range(len(dataset.classes))
    with torch.no_grad():
        net(torch.cat([dataset.sample(label, IMAGES, generator) for label in classes]))
    statistics.hold(net)

"""Networks that are quick to make."""

import torch

from ddsweep import nn


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(name: str, **choices) -> nn.Network:
    """An eighth of the reference's width: everything but the counts can be seen there."""
    return nn.build(name, **{"width": 16, "generator": seeded(), **choices})


def count(net: nn.Network) -> int:
    return sum(parameter.numel() for parameter in net.parameters())

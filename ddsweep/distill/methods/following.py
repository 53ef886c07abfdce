"""The networks of the iterations that follow, drawn early so that several processes can share their work."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from ddsweep.nn import initialize
from ddsweep.nn.network import Network
from ddsweep.rng import Streams

DRAWN = ("network", "batch", "augment")
"""The generators that the real side of a step with a freshly drawn network depends on."""


def following_networks(net: nn.Module, streams: Streams) -> Iterator[nn.Module]:
    """Yield the network of every iteration that follows, on the CPU; each is the same object, drawn again.

    None are drawn for a plugin's network: its function may do anything when it is called.

    Args:
        net: the network of this iteration, which is not changed.
        streams: generators of one's own, in their states after all draws of this iteration.
    """
    if isinstance(net, Network) and net.architecture.plugin:
        return
    drawn = copy.deepcopy(net).cpu()
    while True:
        initialize(drawn, streams.network)
        yield drawn


@contextmanager
def lent(net: nn.Module, values: nn.Module) -> Iterator[None]:
    """Give a network the parameters and buffers of another, and restore its own afterwards.

    They are copied in place, so that functions that are compiled for the network can be used.
    """
    own = {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(values.state_dict())
    try:
        yield
    finally:
        net.load_state_dict(own)

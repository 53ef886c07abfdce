"""What a plugin's code may change when it computes something, so that reading the result would not be the same."""

from __future__ import annotations

import random  # noqa: TID251  (its state is read)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Watched:
    """The global generators, and the buffers of a network, before and after something is computed.

    A layer that draws (dropout) or counts (a norm in train mode) leaves them changed for what is computed next.

    Args:
        net: the network that computes; None: there is none.
    """

    def __init__(self, net: nn.Module | None = None) -> None:
        self._net = net
        self._before: tuple[list[Tensor], list[Any]] = ([], [])

    def begin(self) -> None:
        """Remember what there is before."""
        self._before = self._now()

    def changed(self) -> bool:
        """Return whether anything has changed since."""
        (tensors, states), (before, earlier) = self._now(), self._before
        return states != earlier or not all(map(torch.equal, tensors, before))

    def _now(self) -> tuple[list[Tensor], list[Any]]:
        tensors = [torch.random.get_rng_state()]
        if torch.cuda.is_initialized():
            tensors += torch.cuda.get_rng_state_all()
        if self._net is not None:
            tensors += [value.detach().clone() for value in self._net.buffers()]
        _, numbers, *rest = np.random.get_state()  # noqa: TID251, NPY002
        return tensors, [random.getstate(), np.asarray(numbers).tobytes(), rest]

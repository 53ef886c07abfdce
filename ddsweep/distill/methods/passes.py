"""Endless shuffled passes over some items, in batches."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor


class Passes:
    """Draws batches of distinct items, pass after pass; each pass is in a new random order.

    Attributes:
        order: [count] the items in the order of the current pass.
        position: items of it that were drawn.

    Args:
        count: number of items, 0 … count - 1; at least 1.
        batch: items per batch; all items, if there are fewer.
        drop_last: whether the rest that does not fill a batch is left out of a pass.
    """

    def __init__(self, count: int, batch: int, *, drop_last: bool) -> None:
        self._batch = min(batch, count)
        self._end = count - count % self._batch if drop_last else count
        self.order, self.position = torch.arange(count), self._end

    def draw(self, generator: torch.Generator) -> Int64[Tensor, " k"]:
        """Return the next batch, on the CPU; ``generator`` shuffles at the beginning of a pass."""
        if self.position >= self._end:
            self.order, self.position = torch.randperm(len(self.order), generator=generator), 0
        first, self.position = self.position, min(self.position + self._batch, self._end)
        return self.order[first : self.position]

"""Endless shuffled passes over some items, in batches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Int64
from torch import Tensor


class Passes:
    """Draws batches of distinct items, pass after pass; each pass is in a new random order.

    Args:
        batch: items per batch; all items, if there are fewer.
        drop_last: whether the rest that does not fill a batch is left out of a pass.
    """

    def __init__(self, batch: int, *, drop_last: bool) -> None:
        self._batch, self._drop_last = batch, drop_last
        self._order, self._drawn = torch.empty(0, dtype=torch.int64), 0

    def draw(self, count: int, generator: torch.Generator) -> Int64[Tensor, " k"]:
        """Return the next batch of the items 0 … count - 1, on the CPU.

        Args:
            count: number of items, at least 1 and always the same.
            generator: shuffles at the beginning of a pass.
        """
        batch = min(self._batch, count)
        end = count - count % batch if self._drop_last else count
        if not len(self._order) or self._drawn >= end:
            self._order, self._drawn = torch.randperm(count, generator=generator), 0
        first, self._drawn = self._drawn, min(self._drawn + batch, end)
        return self._order[first : self._drawn]

    def state(self) -> dict[str, Tensor]:
        """Return the order of the current pass and how much of it was drawn, for a checkpoint."""
        return {"order": self._order, "drawn": torch.tensor(self._drawn)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore ``state()``."""
        self._order, self._drawn = tensors["order"], int(tensors["drawn"])

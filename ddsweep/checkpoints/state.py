"""What is kept in a checkpoint, and how it is taken out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class Damaged(Exception):
    """A checkpoint that cannot be used: not whole, or not of this computation."""


class Foreign(Damaged):
    """A checkpoint of another computation."""


@dataclass(frozen=True)
class State:
    """What is kept.

    Attributes:
        tensors: by name, of any device; they come back on the CPU.
        facts: counters and the like, as JSON.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def tensor(self, name: str, like: Tensor) -> Tensor:
        """A copy of one tensor on the device of ``like``. Raises Damaged unless its shape and type are those."""
        found = self.tensors.get(name)
        if found is None or (found.shape, found.dtype) != (like.shape, like.dtype):
            raise Damaged(f"it has no {name} of {list(like.shape)} {like.dtype}")
        return found.to(like.device, copy=True)  # not a view of the file: sums may depend on where a tensor begins

    def part(self, prefix: str, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``PREFIX.NAME`` for every name of ``like``, by name."""
        return {name: self.tensor(f"{prefix}.{name}", value) for name, value in like.items()}

"""The contents of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class Damaged(Exception):
    """A checkpoint that cannot be used: it is incomplete, or of another computation."""


class Foreign(Damaged):
    """A checkpoint of another computation."""


@dataclass(frozen=True)
class State:
    """The contents of a checkpoint.

    Attributes:
        tensors: tensors by name, on any device; they are read to the CPU.
        facts: counters and other values, stored as JSON.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def tensor(self, name: str, like: Tensor) -> Tensor:
        """Return a copy of one tensor on the device of ``like``.

        Raises:
            Damaged: it is missing, or its shape or dtype differs from ``like``.
        """
        found = self.tensors.get(name)
        if found is None or (found.shape, found.dtype) != (like.shape, like.dtype):
            raise Damaged(f"it has no {name} of {list(like.shape)} {like.dtype}")
        return found.to(like.device, copy=True)  # not a view: the bits of sums can depend on alignment

    def part(self, prefix: str, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors ``PREFIX.NAME`` for every name of ``like``, by name."""
        return {name: self.tensor(f"{prefix}.{name}", value) for name, value in like.items()}

    def progress(self, *names: str) -> list[int]:
        """Return the counters with these names.

        Raises:
            Damaged: one is missing, or is not a whole number.
        """
        found = [self.facts.get(name) for name in names]
        counts = [one for one in found if isinstance(one, int)]
        if len(counts) < len(found):
            raise Damaged("it does not record its progress")
        return counts

    def under(self, prefix: str) -> State:
        """Return the tensors whose names begin with ``PREFIX.``, by the rest of their names."""
        found = {name: value for name, value in self.tensors.items() if name.startswith(f"{prefix}.")}
        return State({name.removeprefix(f"{prefix}."): value for name, value in found.items()}, {})

"""Which real images of a class a step of IDC or DREAM uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from ddsweep.checkpoints import State
from ddsweep.distill.methods.passes import Passes

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset


@runtime_checkable
class RealBatches(Protocol):
    """Chooses the real images of the steps."""

    def draw(self, dataset: Dataset, label: int, loop: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
        """Return the indices of the real images of a class for one step, on the CPU.

        Args:
            dataset: the real images.
            label: the class.
            loop: the step of this class with the present network, counted from 0.
            generator: a CPU generator.

        Raises:
            UserError: the class has too few images.
        """

    def state(self) -> Mapping[str, Tensor]:
        """Return what the next draws depend on, for a checkpoint."""

    def restore(self, state: State) -> None:
        """Restore ``state()``.

        Raises:
            Damaged: something is missing; nothing has changed.
        """


class ClassPasses:
    """IDC: endless shuffled passes over each class, without the rest that does not fill a batch.

    Args:
        batch: images per step.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._passes: dict[int, Passes] = {}

    def draw(self, dataset: Dataset, label: int, loop: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
        """See ``RealBatches``."""
        members = dataset.per_class[label]
        passes = self._passes.setdefault(label, Passes(self._batch, drop_last=True))
        return members[passes.draw(len(members), generator)]

    def state(self) -> Mapping[str, Tensor]:
        """See ``RealBatches``."""
        return {f"{label}.{name}": value for label, one in self._passes.items() for name, value in one.state().items()}

    def restore(self, state: State) -> None:
        """See ``RealBatches``."""
        tensors: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
        for name, value in state.tensors.items():
            number, _, kind = name.partition(".")
            tensors[int(number)][kind] = value
        passes = {label: Passes(self._batch, drop_last=True) for label in tensors}
        for label, one in passes.items():
            one.restore(tensors[label])
        self._passes = passes

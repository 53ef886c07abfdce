"""What the training before a distillation gets from its trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ddsweep.checkpoints import Checkpoints
from ddsweep.numerics import Choice


@dataclass(frozen=True)
class Preparation:
    """What a function of ``registry.methods.Method.trains`` gets besides the recipe and the dataset.

    Attributes:
        progress: called with the name of a phase, what is done, and the total.
        checkpoints: when to save, and whether to stop.
        choice: the device, and how it computes; ``choice.of(flops)`` decides on compilation.
    """

    progress: Callable[[str, int, int], None]
    checkpoints: Checkpoints
    choice: Choice

"""Checkpoints: what a computation needs to go on after it was cut off, as if nothing had happened.

A loop offers its state at every boundary, a point from which it can go on; the slot keeps it when it is time, or when
somebody wants the loop to leave::

    slot = FileSlot(folder / "distill.safetensors", {"key": recipe.key()}, Checkpoints())
    slot.resume(work.restore)
    while not work.done:
        work.step()
        slot.offer(work.state)

Files of tensors with JSON beside them: nothing is ever unpickled.
"""

from __future__ import annotations

from ddsweep.checkpoints.slot import Checkpoints as Checkpoints
from ddsweep.checkpoints.slot import FileSlot as FileSlot
from ddsweep.checkpoints.slot import Interrupted as Interrupted
from ddsweep.checkpoints.slot import Slot as Slot
from ddsweep.checkpoints.state import Damaged as Damaged
from ddsweep.checkpoints.state import State as State
from ddsweep.checkpoints.training import into_training as into_training
from ddsweep.checkpoints.training import of_training as of_training

"""Checkpoints: the state from which an interrupted computation resumes, with the same result.

A loop offers its state at every boundary, a point from which it can resume; the slot saves it when a checkpoint is due,
or when the loop is asked to stop::

    slot = FileSlot(folder / "distill.safetensors", {"key": recipe.key()}, Checkpoints())
    slot.resume(work.restore)
    while not work.done:
        work.step()
        slot.offer(work.state)

Checkpoints are safetensors files with JSON metadata: nothing is ever unpickled.
"""

from __future__ import annotations

from ddsweep.checkpoints.optimizer import facts_of_optimizer as facts_of_optimizer
from ddsweep.checkpoints.optimizer import into_optimizer as into_optimizer
from ddsweep.checkpoints.optimizer import of_optimizer as of_optimizer
from ddsweep.checkpoints.optimizer import optimizer_state as optimizer_state
from ddsweep.checkpoints.optimizer import settings_into_optimizer as settings_into_optimizer
from ddsweep.checkpoints.slot import Checkpoints as Checkpoints
from ddsweep.checkpoints.slot import FileSlot as FileSlot
from ddsweep.checkpoints.slot import Interrupted as Interrupted
from ddsweep.checkpoints.slot import Slot as Slot
from ddsweep.checkpoints.state import Damaged as Damaged
from ddsweep.checkpoints.state import State as State
from ddsweep.checkpoints.training import into_training as into_training
from ddsweep.checkpoints.training import of_training as of_training

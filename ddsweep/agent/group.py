"""Cells that an agent runs as a group, with their distillations in lockstep: how many, and how they take turns.

Each cell is claimed, recorded, and left by itself (``worker.Agent``); a group only decides who computes next.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddsweep import device
from ddsweep.agent.shutdown import Shutdown, Stopped
from ddsweep.backends import Claim
from ddsweep.errors import SharedStepFailed
from ddsweep.registry.datasets import info
from ddsweep.registry.guidance import GUIDANCE

if TYPE_CHECKING:
    from ddsweep.backends import Queue
    from ddsweep.distill.loop import Distillation
    from ddsweep.recipe import Recipe

logger = logging.getLogger(__name__)
SILENT = 60  # seconds without a report after which an agent does not count: it reports every ten
MOST = 16  # cells of a group: with nine, the part of a step that they share costs each a tenth of it
ALONE = "failed in a group"  # key in a claim's note: this attempt is not made in a group again

Life = Generator["Distillation", None, None]
"""A cell from its claim to its outcome, with a stop before its distillation."""


class RestartNeeded(BaseException):
    """A device error after which nothing in this process can be trusted."""


@dataclass(frozen=True)
class Limits:
    """How many cells a group may have.

    Attributes:
        most: the most cells; 1: there are no groups; 0: as many as fit into the memory of a GPU, and none on a CPU,
            where a step of several takes as long as the steps of each.
        agents: agents that the launch has started, whether or not they have reported yet.
    """

    most: int = 0
    agents: int = 1

    def on(self, where: str) -> int:
        """The most cells on a device."""
        return self.most or (MOST if where.startswith("cuda") else 1)

    def fair(self, queue: Queue) -> int:
        """The cells that one agent may hold so that every other one gets as many."""
        reported = sum(one.age < SILENT for one in queue.agents())
        return -(-(queue.waiting() + len(queue.held())) // max(self.agents, reported, 1))


def fitting(recipe: Recipe, where: str) -> int:
    """The cells like this one whose steps fit into the memory of a device beside other agents.

    A cell keeps the graph of its synthetic images in two networks, that of the matching loss and a PTM, and the
    features of real images if its guidance reads them.
    """
    from ddsweep.nn import microbatches
    from ddsweep.pretrained.pool import FEATURE_BYTES

    if not where.startswith("cuda"):
        return MOST
    import torch

    images = microbatches.max_images_with_graph(recipe.size, torch.device(where))
    most = images // (2 * len(info(recipe.target).classes) * recipe.decoded_ipc)
    if recipe.ptm_archs and GUIDANCE[recipe.regularizer].real:
        most = min(most, device.memory(where) // microbatches.SHARE // FEATURE_BYTES)
    return max(1, most)


def run_in_lockstep(lives: Mapping[Claim, Life], shutdown: Shutdown) -> None:
    """Run the cells of a group to their ends: each up to its distillation, these in lockstep, and each to its outcome.

    Args:
        lives: the cells by their claims. What one of them raises ends the agent.
        shutdown: whether the agent is asked to stop; then each cell has saved its state and is released.

    Raises:
        BaseException: what a cell has raised. The cells that have not ended are back in the queue; if the device failed
            in one of them, each of the others is retried on its own.
    """
    from ddsweep.distill.lockstep import advance_until_one_ends

    left: BaseException = Stopped()
    unbegun, going = dict(lives), dict[Claim, tuple[Life, "Distillation"]]()
    try:
        while unbegun:
            claim = next(iter(unbegun))
            life = unbegun.pop(claim)
            if (one := next(life, None)) is not None:
                going[claim] = life, one
        while going:
            cells = [one for _, one in going.values()]
            try:
                with shutdown.interruptible():
                    advance_until_one_ends(cells)
            except (SharedStepFailed, Stopped) as error:
                for one in cells:
                    one.error = one.error or error
            _end(going)
    except RestartNeeded as error:
        left = SharedStepFailed.of(error)
        raise
    finally:
        for _, one in going.values():
            one.error = one.error or left
        for claim in unbegun:
            claim.release(claim.note if isinstance(left, Stopped) else {**claim.note, ALONE: str(left)})
        _end(going)


def _end(going: dict[Claim, tuple[Life, Distillation]]) -> None:
    """Take the cells whose distillation is done, or was ended by an error, to their outcomes.

    Raises:
        BaseException: the first that a cell has raised, after all of them.
    """
    raised: BaseException | None = None
    for claim, (life, one) in list(going.items()):
        if one.done or one.error:
            del going[claim]
            try:
                next(life, None)
            except BaseException as error:
                raised = raised or error
    if raised is not None:
        raise raised

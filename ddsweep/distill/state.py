"""A distillation in flight: all that its next step depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ddsweep import nn
from ddsweep.checkpoints import Damaged, State
from ddsweep.distill.metrics import Journal
from ddsweep.distill.synthetic import Synthetic, initial
from ddsweep.rng import Streams

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.recipe import Recipe


@dataclass
class Flight:
    """Where a distillation is.

    Attributes:
        synthetic: the images as they are now.
        optimizer: theirs, with its momentum.
        net: the network of the matching loss.
        streams: where each generator stands.
        journal: what was not logged yet.
        loops: image steps of an iteration.
        step: iterations that are done.
        inside: image steps of the next one that are done; 0: its network is not drawn yet.
    """

    synthetic: Synthetic
    optimizer: torch.optim.SGD
    net: nn.Network
    streams: Streams
    journal: Journal
    loops: int
    step: int = 0
    inside: int = 0

    @classmethod
    def start(cls, recipe: Recipe, dataset: Dataset, streams: Streams, journal: Journal) -> Flight:
        """Before the first iteration."""
        synthetic = initial(dataset, recipe.ipc, recipe.init, streams.images)
        optimizer = torch.optim.SGD([synthetic.images], lr=recipe.lr_img, momentum=0.5)
        net = nn.build(
            recipe.arch, channels=dataset.channels, classes=len(dataset.classes), size=dataset.size,
            width=recipe.width, generator=streams.network,
        ).to(dataset.images.device)  # fmt: skip
        return cls(synthetic, optimizer, net, streams, journal, recipe.outer_loops)

    @property
    def image_steps(self) -> int:
        """Image steps that are done."""
        return self.step * self.loops + self.inside

    def begin(self) -> None:
        """It begins, or goes on: say so, and show the set as it is between two iterations."""
        self.journal.rewind(self.step)
        if not self.inside:
            self.journal.show(self.synthetic, self.step)

    def land(self) -> None:
        """An iteration is done: its network is no longer needed."""
        self.inside = 0
        self.step += 1
        self.journal.step(self.synthetic, self.step)

    def state(self) -> State:
        """For a checkpoint, after at least one image step; with the network inside an iteration only."""
        images, logged = self.synthetic.images, self.journal.state()
        tensors = {"images": images, "momentum": self.optimizer.state[images]["momentum_buffer"], **logged.tensors}
        tensors |= {f"generator.{name}": value for name, value in self.streams.states().items()}
        if self.inside:
            tensors |= {f"net.{name}": value for name, value in self.net.state_dict().items()}
        return State(tensors, {"step": self.step, "inside": self.inside, **logged.facts})

    def restore(self, state: State) -> Flight:
        """Go on from there. Raises Damaged, and has changed nothing, when something is missing."""
        images = self.synthetic.images
        found, momentum = state.tensor("images", images), state.tensor("momentum", images)
        generators = state.part("generator", self.streams.states())
        step, inside = state.facts.get("step"), state.facts.get("inside")
        if not isinstance(step, int) or not isinstance(inside, int):
            raise Damaged("it does not say how far it is")
        weights = state.part("net", self.net.state_dict()) if inside else {}
        self.journal.restore(state)
        with torch.no_grad():
            images.copy_(found)
        self.optimizer.state[images]["momentum_buffer"] = momentum
        if weights:
            self.net.load_state_dict(weights)
        self.streams.set_states(generators)
        self.step, self.inside = step, inside
        return self

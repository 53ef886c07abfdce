"""The state of a distillation: everything that its next step depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ddsweep import nn
from ddsweep.checkpoints import Damaged, State
from ddsweep.distill.metrics import MetricsLog
from ddsweep.distill.synthetic import Synthetic, initial
from ddsweep.rng import Streams

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.recipe import Recipe


@dataclass
class DistillationState:
    """The state of a distillation.

    Attributes:
        synthetic: the current images.
        optimizer: the optimizer of the images, with its momentum.
        net: the network of the matching loss.
        streams: the random generators.
        metrics: losses that were not logged yet.
        outer_loops: image steps per iteration.
        iteration: iterations that are done.
        image_step: image steps of the next iteration that are done; 0: its network is not drawn yet.
    """

    synthetic: Synthetic
    optimizer: torch.optim.SGD
    net: nn.Network
    streams: Streams
    metrics: MetricsLog
    outer_loops: int
    iteration: int = 0
    image_step: int = 0

    @classmethod
    def initial(cls, recipe: Recipe, dataset: Dataset, streams: Streams, metrics: MetricsLog) -> DistillationState:
        """Return the state before the first iteration."""
        synthetic = initial(dataset, recipe.ipc, recipe.init, streams.images)
        optimizer = torch.optim.SGD([synthetic.images], lr=recipe.lr_img, momentum=0.5)
        net = nn.build(
            recipe.arch,
            channels=dataset.channels,
            classes=len(dataset.classes),
            size=dataset.size,
            width=recipe.width,
            generator=streams.network,
        )
        return cls(synthetic, optimizer, net.to(dataset.images.device), streams, metrics, recipe.outer_loops)

    @property
    def image_steps(self) -> int:
        """Image steps that are done, over all iterations."""
        return self.iteration * self.outer_loops + self.image_step

    def announce(self) -> None:
        """Tell the tracker that the distillation starts or resumes here; show the set if between two iterations."""
        self.metrics.rewind(self.iteration)
        if not self.image_step:
            self.metrics.show(self.synthetic, self.iteration)

    def end_iteration(self) -> None:
        """Count an iteration as done: its network is no longer needed."""
        self.image_step = 0
        self.iteration += 1
        self.metrics.end_iteration(self.synthetic, self.iteration)

    def checkpoint(self) -> State:
        """Return a checkpoint, after at least one image step; it holds the network inside an iteration only."""
        images, metrics = self.synthetic.images, self.metrics.state()
        tensors = {"images": images, "momentum": self.optimizer.state[images]["momentum_buffer"], **metrics.tensors}
        tensors |= {f"generator.{name}": value for name, value in self.streams.states().items()}
        if self.image_step:
            tensors |= {f"net.{name}": value for name, value in self.net.state_dict().items()}
        return State(tensors, {"step": self.iteration, "inside": self.image_step, **metrics.facts})

    def restore(self, state: State) -> DistillationState:
        """Resume from a checkpoint.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        images = self.synthetic.images
        saved, momentum = state.tensor("images", images), state.tensor("momentum", images)
        generators = state.part("generator", self.streams.states())
        iteration, image_step = state.facts.get("step"), state.facts.get("inside")
        if not isinstance(iteration, int) or not isinstance(image_step, int):
            raise Damaged("it does not record its progress")
        weights = state.part("net", self.net.state_dict()) if image_step else {}
        self.metrics.restore(state)
        with torch.no_grad():
            images.copy_(saved)
        self.optimizer.state[images]["momentum_buffer"] = momentum
        if weights:
            self.net.load_state_dict(weights)
        self.streams.set_states(generators)
        self.iteration, self.image_step = iteration, image_step
        return self

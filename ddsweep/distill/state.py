"""The state of a distillation: everything that its next step depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import no_grad
from torch.optim import Optimizer

from ddsweep import nn
from ddsweep.checkpoints import (
    Damaged,
    State,
    facts_of_optimizer,
    into_optimizer,
    of_optimizer,
    optimizer_state,
    settings_into_optimizer,
)
from ddsweep.distill.matching import Matching, Preparing, Stateful
from ddsweep.distill.metrics import MetricsLog
from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import PluginError
from ddsweep.rng import Streams

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset


@dataclass(frozen=True)
class Snapshot(State):
    """A checkpoint of a distillation.

    Attributes:
        decode: the synthetic set at this moment; it is valid until the next step.
    """

    decode: Callable[[], Synthetic]


@dataclass
class DistillationState:
    """The state of a distillation.

    Attributes:
        learned: what is learned.
        optimizer: its optimizer, with its momenta.
        net: the network of the matching loss.
        matching: the matching loss.
        streams: the random generators.
        metrics: losses that were not logged yet.
        steps: optimizer steps per iteration.
        iteration: iterations that are done.
        step: steps of the next iteration that are done; 0: its network is not drawn yet.
    """

    learned: LearnedSet
    optimizer: Optimizer
    net: nn.Network
    matching: Matching
    streams: Streams
    metrics: MetricsLog
    steps: int
    iteration: int = 0
    step: int = 0

    @property
    def all_steps(self) -> int:
        """Steps that are done, over all iterations."""
        return self.iteration * self.steps + self.step

    def begin_iteration(self, dataset: Dataset) -> None:
        """Draw the network of the next iteration, unless it is the one that the initial set was made with."""
        if self.iteration or not keeps_first_network(self.matching):
            nn.initialize(self.net, self.streams.network)
            if isinstance(self.matching, Preparing):
                self.matching.prepare(dataset, self.streams)
        self.learned.begin_iteration()

    def announce(self) -> None:
        """Tell the tracker that the distillation starts or resumes here; show the set if between two iterations."""
        self.metrics.rewind(self.iteration)
        if not self.step:
            self.metrics.show(self.learned, self.iteration)

    def end_iteration(self) -> None:
        """Count an iteration as done: its network is no longer needed."""
        self.step = 0
        self.iteration += 1
        self.metrics.end_iteration(self.learned, self.iteration)

    def checkpoint(self) -> Snapshot:
        """Return a checkpoint, after at least one step; it holds the network inside an iteration only."""
        metrics = self.metrics.state()
        tensors = {f"set.{name}": value for name, value in self.learned.state().items()} | dict(metrics.tensors)
        tensors |= of_optimizer(self.optimizer, self.learned.parameters())
        tensors |= {f"generator.{name}": value for name, value in self.streams.states().items()}
        if self.step:
            tensors |= {f"net.{name}": value for name, value in self.net.state_dict().items()}
        facts = {"step": self.iteration, "inside": self.step, **metrics.facts}
        facts["optimizer"] = facts_of_optimizer(self.optimizer, self.learned.parameters())
        if isinstance(self.matching, Stateful):
            kept: object = self.matching.state()
            if not isinstance(kept, State):
                kind = type(self.matching).__name__
                raise PluginError(f"{kind}.state() returns {type(kept).__name__}, not a ddsweep.State", final=True)
            tensors |= {f"matching.{name}": value for name, value in kept.tensors.items()}
            facts["matching"] = dict(kept.facts)
        return Snapshot(tensors, facts, self._decoded)

    @no_grad()
    def _decoded(self) -> Synthetic:
        return self.learned.decode().detached()

    def restore(self, state: State) -> DistillationState:
        """Resume from a checkpoint.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        parameters = self.learned.parameters()
        saved = state.part("set", self.learned.state())
        settings = _of_optimizer(state, self.optimizer)
        momenta = optimizer_state(state, parameters, settings)
        generators = state.part("generator", self.streams.states())
        iteration, step = state.progress("step", "inside")
        weights = state.part("net", self.net.state_dict()) if step else {}
        if isinstance(self.matching, Stateful):
            self.matching.restore(_of_matching(state))
        self.metrics.restore(state)
        self.learned.restore(saved)
        into_optimizer(self.optimizer, parameters, momenta)
        if settings:
            settings_into_optimizer(self.optimizer, parameters, settings)
        if weights:
            self.net.load_state_dict(weights)
        self.streams.set_states(generators)
        self.iteration, self.step = iteration, step
        return self


def keeps_first_network(matching: Matching) -> bool:
    """Whether the network that the initial set is made with is also that of the first iteration."""
    return bool(getattr(matching, "keeps_first_network", False))


def _of_matching(state: State) -> State:
    """The part of a checkpoint that the matching loss keeps."""
    facts = state.facts.get("matching")
    if not isinstance(facts, dict):
        raise Damaged("it does not record the state of the matching loss")
    return State(state.under("matching").tensors, facts)


def _of_optimizer(state: State, optimizer: Optimizer) -> dict[str, Any] | None:
    """The settings of the optimizer in a checkpoint; None in one of an earlier version, in which they are constant."""
    facts = state.facts.get("optimizer")
    if facts is None:
        return None
    if not isinstance(facts, dict) or len(facts.get("groups", ())) != len(optimizer.param_groups):
        raise Damaged("it records another optimizer")
    return facts

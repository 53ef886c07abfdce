"""Checkpoints of a training by SGD, with or without momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ddsweep.checkpoints.state import State

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


class Drawing(Protocol):
    """A random generator, or several as one."""

    def get_state(self) -> Tensor:
        """Return its state."""

    def set_state(self, state: Tensor, /) -> object:
        """Restore a state."""


def of_training(net: nn.Module, optimizer: Optimizer, generator: Drawing) -> dict[str, Tensor]:
    """Return the tensors of a training that has taken a step: weights, buffers, momenta (if any), generator."""
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    for name, parameter in _with_momentum(net, optimizer).items():
        momentum = optimizer.state[parameter].get("momentum_buffer")  # None: the loss does not depend on it
        tensors[f"momentum.{name}"] = parameter.new_zeros(parameter.shape) if momentum is None else momentum
    return tensors | {"generator": generator.get_state()}


def into_training(state: State, net: nn.Module, optimizer: Optimizer, generator: Drawing) -> None:
    """Restore the tensors of ``of_training``.

    Raises:
        Damaged: something is missing; nothing has changed.
    """
    weights, parameters = state.part("net", net.state_dict()), _with_momentum(net, optimizer)
    momenta = state.part("momentum", parameters)
    drawn = state.tensor("generator", generator.get_state())
    net.load_state_dict(weights)
    for name, parameter in parameters.items():
        optimizer.state[parameter]["momentum_buffer"] = momenta[name]
    generator.set_state(drawn)


def _with_momentum(net: nn.Module, optimizer: Optimizer) -> dict[str, nn.Parameter]:
    """The parameters that are trained (a network of a plugin can have frozen ones), if the optimizer has momentum."""
    if not optimizer.param_groups[0]["momentum"]:
        return {}
    return {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}

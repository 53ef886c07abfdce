"""Checkpoints of an optimizer of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ddsweep.checkpoints.state import Damaged, State

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

PREFIX = "optimizer"


def of_optimizer(optimizer: Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of an optimizer, such as momenta, as ``optimizer.KEY.NAME`` for the parameters by name."""
    return {
        f"{PREFIX}.{key}.{name}": value
        for name, parameter in parameters.items()
        for key, value in optimizer.state[parameter].items()
        if hasattr(value, "ndim")
    }


def optimizer_state(state: State, parameters: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Read the tensors of ``of_optimizer`` from a checkpoint: for each parameter, its tensors by key.

    Raises:
        Damaged: a parameter has none, or one of another shape.
    """
    found: dict[str, dict[str, Tensor]] = {name: {} for name in parameters}
    for full, value in state.tensors.items():
        prefix, _, rest = full.partition(".")
        key, _, name = rest.partition(".")
        if prefix == PREFIX and name in parameters:
            like = parameters[name] if value.ndim else value  # a step counter is a scalar, on the CPU
            found[name][key] = state.tensor(full, like)
    for name, tensors in found.items():
        if not tensors:
            raise Damaged(f"it has no state of the optimizer for {name}")
    return found


def into_optimizer(
    optimizer: Optimizer, parameters: Mapping[str, Tensor], found: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Restore what ``optimizer_state`` has read."""
    for name, parameter in parameters.items():
        optimizer.state[parameter].update(found[name])

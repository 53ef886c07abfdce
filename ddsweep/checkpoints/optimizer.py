"""Checkpoints of an optimizer of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ddsweep.checkpoints.state import Damaged, State
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

PREFIX = "optimizer"
PARAMETERS = "params"


def of_optimizer(optimizer: Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of an optimizer, such as momenta, as ``optimizer.KEY.NAME`` for the parameters by name."""
    return {
        f"{PREFIX}.{key}.{name}": value
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
        if hasattr(value, "ndim")
    }


def facts_of_optimizer(optimizer: Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what the tensors of ``of_optimizer`` leave out of the optimizer's ``state_dict``, for JSON.

    Returns:
        The settings of each group of parameters, such as a learning rate that a schedule has changed (``groups``), and
        for each parameter the names of its tensors (``tensors``) and its numbers (``numbers``).

    Raises:
        UserError: the optimizer keeps something else, which cannot be saved.
    """
    kept = {name: optimizer.state.get(parameter, {}) for name, parameter in parameters.items()}
    return {
        "groups": [
            {key: _plain(key, value) for key, value in group.items() if key != PARAMETERS}
            for group in optimizer.param_groups
        ],
        "tensors": {name: [key for key, value in one.items() if hasattr(value, "ndim")] for name, one in kept.items()},
        "numbers": {
            name: {key: _plain(key, value) for key, value in one.items() if not hasattr(value, "ndim")}
            for name, one in kept.items()
        },
    }


def _plain(key: str, value: Any) -> Any:
    """A value for JSON: a tensor with one element as its number."""
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, bool | int | float | str | tuple | list | None):
        raise UserError(
            f"optimizer: keeps {key} of type {type(value).__name__}, which a checkpoint cannot hold; "
            "keep tensors or numbers"
        )
    return value


def optimizer_state(
    state: State, parameters: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Tensor]]:
    """Read the tensors of ``of_optimizer`` from a checkpoint: for each parameter, its tensors by key.

    Args:
        state: the checkpoint.
        parameters: the parameters by name.
        facts: those of ``facts_of_optimizer``, which say what there is; None: every parameter has a tensor.

    Raises:
        Damaged: a parameter has none, or one of another shape.
    """
    found: dict[str, dict[str, Tensor]] = {name: {} for name in parameters}
    for full, value in state.tensors.items():
        prefix, _, rest = full.partition(".")
        key, _, name = rest.partition(".")
        if prefix == PREFIX and name in parameters:
            # a step counter is a scalar, on the CPU; what an optimizer of one's own keeps may have any shape
            like = value if facts or not value.ndim else parameters[name]
            found[name][key] = state.tensor(full, like)
    for name, tensors in found.items():
        if (set(facts["tensors"][name]) != set(tensors)) if facts else not tensors:
            raise Damaged(f"it has no state of the optimizer for {name}")
    return found


def settings_into_optimizer(optimizer: Optimizer, parameters: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Restore what ``facts_of_optimizer`` has returned."""
    for group, saved in zip(optimizer.param_groups, facts["groups"], strict=True):
        for key, value in saved.items():
            if hasattr(group.get(key), "fill_"):
                group[key].fill_(value)
            else:
                group[key] = tuple(value) if isinstance(value, list) else value
    for name, numbers in facts["numbers"].items():
        if numbers:
            optimizer.state[parameters[name]].update(numbers)


def into_optimizer(
    optimizer: Optimizer, parameters: Mapping[str, Tensor], found: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Restore what ``optimizer_state`` has read."""
    for name, parameter in parameters.items():
        if found[name]:
            optimizer.state[parameter].update(found[name])

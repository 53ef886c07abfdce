"""Tensors that a module holds outside of its parameters and buffers: they are neither saved, copied nor moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy


def first(net: nn.Module) -> str:
    """Return the first tensor of a network that is no parameter and no buffer, with its module; empty if none.

    Looked at are the attributes of every module, and lists, tuples, dictionaries and further modules in them. Two kinds
    of tensors have no values of their own and are allowed: those that share memory with a parameter or buffer (the list
    of an LSTM's weights), and those that were computed from one with a gradient (the weights of
    ``torch.nn.utils.weight_norm``, which are computed again before each forward pass).
    """
    registered = [*net.parameters(), *net.buffers()]
    known, memory, modules = set(map(id, registered)), set(map(_memory, registered)), set(net.modules())
    for where, module in net.named_modules():
        for name, value in vars(module).items():
            for at, tensor in _tensors(name, value, modules, set()):
                shared = _memory(tensor)
                if id(tensor) in known or tensor.grad_fn is not None or (shared and shared in memory):
                    continue
                return f"{at} of its module {where}{' ' * bool(where)}({type(module).__name__})"
    return ""


def _tensors(name: str, value: Any, modules: set[nn.Module], seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """Yield tensors in an attribute with their names, but not those of modules that the network has registered."""
    if isinstance(value, Tensor):
        yield name, value
        return
    inner: Mapping[str, Any] = {}
    if isinstance(value, dict):
        inner = {f"{name}[{key!r}]": one for key, one in value.items()}
    elif isinstance(value, list | tuple):
        inner = {f"{name}[{key}]": one for key, one in enumerate(value)}
    elif isinstance(value, nn.Module) and value not in modules:
        inner = {f"{name}.{key}": one for key, one in [*value.named_parameters(), *value.named_buffers()]}
    if not inner or id(value) in seen:
        return
    seen.add(id(value))
    for key, one in inner.items():
        yield from _tensors(key, one, modules, seen)


def _memory(tensor: Tensor) -> int:
    """The address of a tensor's memory; 0 if it has none (lazy, empty, sparse)."""
    try:
        return 0 if is_lazy(tensor) else tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return 0

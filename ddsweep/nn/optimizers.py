"""SGD and Adam of torch, without the import of its compiler.

The first step of an optimizer imports ``torch._dynamo``, and with it SymPy: 2 s of CPU time on top of the 2 s of torch
itself, in every process. The decorators that do so end a graph that is being compiled, and what ddsweep compiles has no
optimizer in it (``numerics``). These classes have torch's methods without them: the same numbers, and the same state.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch


def _plain(method: Callable[..., Any]) -> Any:
    """Return a method of torch without its decorators."""
    return inspect.unwrap(method)


class _WithoutCompiler(torch.optim.Optimizer):
    """The methods that all optimizers share."""

    add_param_group = _plain(torch.optim.Optimizer.add_param_group)
    zero_grad = _plain(torch.optim.Optimizer.zero_grad)
    state_dict = _plain(torch.optim.Optimizer.state_dict)
    load_state_dict = _plain(torch.optim.Optimizer.load_state_dict)


class SGD(_WithoutCompiler, torch.optim.SGD):
    """``torch.optim.SGD``."""

    step = torch.no_grad()(_plain(torch.optim.SGD.step))


class Adam(_WithoutCompiler, torch.optim.Adam):
    """``torch.optim.Adam``."""

    step = torch.no_grad()(_plain(torch.optim.Adam.step))

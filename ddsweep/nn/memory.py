"""Memory for networks that were made on torch's "meta" device, where layers draw no random numbers."""

from __future__ import annotations

import torch
from torch import nn


def allocate(net: nn.Module) -> None:
    """Give every parameter and buffer uninitialized memory on the CPU, in place, as ``net.to_empty(device="cpu")``.

    That function of torch computes the strides of a tensor on the "meta" device in Python, for which it imports SymPy:
    1 s of CPU time in every process.
    """
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            memory = torch.empty(parameter.shape, dtype=parameter.dtype, device="cpu")
            setattr(module, name, nn.Parameter(memory, parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype, device="cpu"))

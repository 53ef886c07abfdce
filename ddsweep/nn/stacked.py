"""Several networks of one architecture as one module, so that a GPU computes all of them at once."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from ddsweep.nn import plugged
from ddsweep.rng import seeded_globals


class StackedNetworks(nn.Module):
    """``k`` networks that are trained side by side: ``forward(x)[i] = networks[i](x[i])``.

    Parameters and buffers are those of the networks, stacked along a new first dimension (``stack_module_state``).
    Optimizers that work element by element (SGD with momentum, Adam) treat each network as if it were alone.

    Args:
        networks: networks of one architecture, on one device; they are copied.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        parameters, buffers = stack_module_state(list(networks))
        self._names = list(parameters)
        for name, value in parameters.items():
            self.register_parameter(_flat(name), nn.Parameter(value.detach().clone(), value.requires_grad))
        self._buffer_names = list(buffers)
        for name, value in buffers.items():
            self.register_buffer(_flat(name), value.detach().clone())
        # not a submodule: its own parameters are placeholders and must not be trained, moved or saved
        self.__dict__["_template"] = copy.deepcopy(networks[0]).to("meta")
        self.count = len(networks)

    def _values(self, names: Sequence[str]) -> dict[str, Tensor]:
        return {name: getattr(self, _flat(name)) for name in names}

    def forward(self, x: Float[Tensor, "k n c h w"]) -> Float[Tensor, "k n classes"]:
        """Return the logits of each network for its own images."""
        template: nn.Module = self.__dict__["_template"]
        template.train(self.training)

        def logits(parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor) -> Tensor:
            return functional_call(template, (parameters, buffers), (images,))

        return vmap(logits)(self._values(self._names), self._values(self._buffer_names), x)

    @torch.no_grad()
    def write_back(self, networks: Sequence[nn.Module]) -> None:
        """Copy the state of every network into ``networks``."""
        state = self._values(self._names) | self._values(self._buffer_names)
        for index, network in enumerate(networks):
            places = dict(network.named_parameters()) | dict(network.named_buffers())
            for name, value in state.items():
                places[name].copy_(value[index])


def can_be_stacked(net: nn.Module) -> bool:
    """Return whether several networks like ``net`` can be trained as one module, and each as if it were alone.

    ddsweep's own can. A plugin's network cannot if it draws random numbers (dropout), which one by one would be
    others, or does what torch.func cannot vectorize. It is tried with two images.
    """
    if not plugged.is_plugin(net):
        return True
    shape: Any = net.shape
    example, net = next(net.parameters()), copy.deepcopy(net).train()
    images = torch.zeros(2, 2, shape.channels, shape.size, shape.size, device=example.device, dtype=example.dtype)
    try:
        with seeded_globals(0, "stacked"), torch.enable_grad(), _no_fallback():
            if plugged.draws(net, images[0]):
                return False
            together = StackedNetworks([net, net]).train()
            trained = [parameter for parameter in together.parameters() if parameter.requires_grad]
            torch.autograd.grad(together(images).sum(), trained, allow_unused=True)
    except Exception:
        return False
    return True


@contextmanager
def _no_fallback() -> Iterator[None]:
    """Let vmap fail at operations that it cannot vectorize, instead of running them one by one."""
    functorch: Any = torch._C._functorch
    before = functorch._is_vmap_fallback_enabled()
    functorch._set_vmap_fallback_enabled(False)
    try:
        yield
    finally:
        functorch._set_vmap_fallback_enabled(before)


def _flat(name: str) -> str:
    return name.replace(".", "__")

"""Networks of plugins: what the author's function makes is the network, with its parameters, buffers and files.

The function is called on the CPU with the global generators seeded, each time that a network is drawn. It may draw from
them as torch's own layers do, load weights from a file, or compute constants.
"""

from __future__ import annotations

import inspect
import math
import random  # noqa: TID251  (its state is read)
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ddsweep.errors import PluginError, UserError
from ddsweep.nn import unregistered
from ddsweep.nn.layers import Body
from ddsweep.plugins import resolve
from ddsweep.plugins.blame import blamed
from ddsweep.plugins.failure import describe
from ddsweep.registry import networks
from ddsweep.rng import seeded_globals

IMAGES = 2  # that are passed through a new network to see what it makes of them
MAX_SEED = 2**63 - 1


def draw_seed(generator: Generator | None) -> int:
    """Draw the seed of the global generators for one call of a plugin's function."""
    return int(torch.randint(MAX_SEED, (), generator=generator))


def make(
    row: networks.Architecture, channels: int, size: int, classes: int, width: int, seed: int, *, again: bool = False
) -> Body:
    """Call the function of a plugin's network, and return what it makes, on the CPU, in train mode.

    Two images of zeros are passed through it, which tells the number of features, and whether the head can be cut off.

    Args:
        row: the network.
        channels: channels of the images.
        size: their height and width in pixels, after padding.
        classes: number of classes, for a network with a head of its own.
        width: see ``nn.build``.
        seed: seeds the global generators.
        again: the function has been called like this before, so that only lazy layers need the two images; the
            features are not counted.

    Raises:
        UserError: the function fails, or makes something that is not such a network.
    """
    given = dict(row.options) | ({"classes": classes} if row.head else {})
    images = torch.zeros(IMAGES, channels, size, size)
    torch.backends.mha.set_fastpath_enabled(False)  # other bits where no gradient is needed, and no vmap
    with seeded_globals(seed, "network", row.name), torch.device("cpu"), torch.enable_grad():
        with blaming(row, "its function fails"):
            made = resolve(row.source)(channels, size, width, **given)
        if isinstance(made, nn.Module):
            made = Body(made, 0)
        elif not isinstance(made, Body):
            raise UserError(f"{whose(row)}: its function returns {type(made).__name__}, not a torch module")
        _check_parameters(row, made.layers)
        _own_memory(made.layers)
        _check_registered(row, made.layers)
        net = made.layers.eval()  # a norm in train mode would move its running statistics
        if again and not _is_lazy(net):
            return _trained(_beheaded(row, net) if row.head else made)
        with blaming(row, f"cannot take {channels}×{size}×{size} images"), torch.no_grad(), differentiable():
            found = net(images)
        shape = _shape(row, found)
        if _is_lazy(net):
            raise UserError(f"{whose(row)}: has lazy layers that a forward pass does not initialize")
        if not row.head:
            return _trained(Body(net, math.prod(shape[1:])))
        if shape != [IMAGES, classes]:
            raise UserError(f"{whose(row)}: makes {shape} of two images, not the logits of {classes} classes")
        return _trained(_with_head(row, net, images, found))


def _shape(row: networks.Architecture, made: Any) -> list[int]:
    if not isinstance(made, Tensor):
        raise UserError(f"{whose(row)}: makes {type(made).__name__} of images, not a tensor")
    shape = list(made.shape)
    if len(shape) <= 1 or shape[0] != IMAGES:
        raise UserError(f"{whose(row)}: makes {shape} of two images; the first axis must be theirs")
    return shape


def _is_lazy(net: nn.Module) -> bool:
    return any(map(nn.parameter.is_lazy, [*net.parameters(), *net.buffers()]))


def _check_parameters(row: networks.Architecture, net: nn.Module) -> None:
    """Check that what a function makes is on the CPU and in float32, and that there is something to train."""
    for name, value in net.named_parameters():
        if value.dtype != torch.float32:
            raise UserError(f"{whose(row)}: {name} is {str(value.dtype).removeprefix('torch.')}; needed: float32")
    for name, held in _values(net).items():
        if held.device.type != "cpu":
            raise UserError(f"{whose(row)}: {name} is on {held.device}; its function must make it on the CPU")


def _check_registered(row: networks.Architecture, net: nn.Module) -> None:
    """Check that all tensors are parameters or buffers: others would be drawn anew when a PTM is read from its file."""
    if loose := unregistered.first(net):
        raise UserError(f"{whose(row)}: {loose} is a tensor that is no parameter and no buffer; use register_buffer")


@torch.no_grad()
def _own_memory(net: nn.Module) -> None:
    """Give memory of their own to tensors that repeat elements, as of ``expand``: they are written to."""
    for layer in net.modules():
        for held in (layer._parameters, layer._buffers):
            for value in held.values():
                if value is not None and not nn.parameter.is_lazy(value) and 0 in value.stride():
                    value.data = value.data.contiguous()


def _with_head(row: networks.Architecture, net: nn.Module, images: Tensor, logits: Tensor) -> Body:
    """Cut the head off, and check that it makes the logits of what the rest makes."""
    body, found, features = _beheaded(row, net), None, None
    with blaming(row, f"head: {row.head} cannot be cut off"), torch.no_grad(), differentiable():
        features = body.layers(images)
        shape = _shape(row, features)
        found = body.head(features) if body.head is not None else None
    if not isinstance(found, Tensor) or found.shape != logits.shape or not torch.allclose(found, logits):
        raise UserError(f"{whose(row)}: head: {row.head} does not make the logits from the output of all other layers")
    return body._replace(features=math.prod(shape[1:]))


def _beheaded(row: networks.Architecture, net: nn.Module) -> Body:
    """Replace the head by the identity, and return both parts."""
    owner, _, name = row.head.rpartition(".")
    try:
        head = net.get_submodule(row.head)
    except AttributeError:
        known = ", ".join(one for one, _ in net.named_children()) or "none"
        raise UserError(f"{whose(row)}: head: it has no submodule {row.head} (its submodules: {known})") from None
    setattr(net.get_submodule(owner), name, nn.Identity())
    return Body(net, 0, head)


def _trained(body: Body) -> Body:
    """Put the parts of a network into train mode."""
    for part in (body.layers, body.head):
        if part is not None:
            part.train()
    return body


@torch.no_grad()
def copy(row: networks.Architecture, source: nn.Module, target: nn.Module) -> None:
    """Copy all parameters and buffers into a network on any device, in place.

    Raises:
        UserError: they do not have the same names and shapes.
    """
    values, places = _values(source), _values(target)
    if any(name not in values or values[name].shape != place.shape for name, place in places.items()):
        raise UserError(f"{whose(row)}: its function makes other parameters or buffers when it is called again")
    for name, place in places.items():
        place.copy_(values[name], non_blocking=True)


def _values(net: nn.Module) -> dict[str, Tensor]:
    return dict(net.named_parameters()) | dict(net.named_buffers())


@contextmanager
def guarded(net: nn.Module, seed: int, *names: str | int) -> Iterator[None]:
    """Seed the global generators while a plugin's network is used, because its layers may draw from them (dropout).

    For ddsweep's own networks, which draw nothing, this does nothing. Arguments as in ``rng.seeded_globals``.

    Raises:
        PluginError: the code of the network raises an exception.
    """
    if not is_plugin(net):
        yield
        return
    row: Any = net.architecture
    with seeded_globals(seed, *names), blamed(f"network {row.name!r}"):
        yield


def draws(net: nn.Module, images: Tensor) -> bool:
    """Return whether a forward pass draws from a global generator of Python, NumPy or torch (on the CPU)."""
    with guarded(net, 0, "draws"):
        before = _states()
        net(images)
        return _states() != before


def _states() -> tuple[object, ...]:
    numbers = str(np.random.get_state())  # noqa: TID251, NPY002  (shortened in its middle; its place counts)
    return random.getstate(), numbers, torch.get_rng_state().tolist()


def takes_generator(method: object) -> bool:
    """Return whether an attribute of a layer is a method ``initialize(generator)``, and not another of that name."""
    return callable(method) and "generator" in inspect.signature(method).parameters


def is_plugin(net: nn.Module) -> bool:
    """Return whether a network is a plugin's."""
    return getattr(getattr(net, "architecture", None), "plugin", False)


def differentiable() -> AbstractContextManager[None]:
    """Let attention be computed by operations that can be differentiated twice, as DC, DSA and TM do.

    The gradient of torch's fused kernels has no derivative. Only the forward pass has to be inside.
    """
    return sdpa_kernel(SDPBackend.MATH)


@contextmanager
def blaming(row: networks.Architecture, what: str) -> Iterator[None]:
    """Turn an error in the code of a plugin's network into one line.

    Raises:
        PluginError: the line.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{whose(row)}: {what} ({describe(error)})") from error


def whose(row: networks.Architecture) -> str:
    """Return the network with its plugin, as the beginning of an error."""
    code = networks.TABLE.code(row.name)
    return f"arch: {row.name}{f' of the plugin {code.name}' if code else ''}"

"""The contract of a network (``nn.build``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor
from torch.func import functional_call, grad
from torch.nn.functional import cross_entropy

from ddsweep import nn, rng
from ddsweep.errors import UserError
from ddsweep.nn import plugged
from ddsweep.plugins.failure import describe
from ddsweep.registry.networks import TABLE, Architecture
from ddsweep.testing.judging import own_randomness, require

CLASSES, WIDTH, LEAST, IMAGES = 5, 4, 16, 3


def check_network(name: str, size: int = 0) -> None:
    """Check that a network can be trained, used for matching losses, and used as a PTM.

    - It is drawn from the generator that it is given: the same network from the same, another one from another (unless
      it is ``pretrained``, or its weights come from ``files``); and drawing it again leaves nothing of the old one.
    - Its state can be saved and loaded: it consists of parameters and buffers, and nothing else is drawn.
    - It maps images of its size and channels to features and logits; in eval mode each image by itself and without
      random numbers, in train mode each image by itself unless it has batch norm or draws random numbers (dropout).
    - What it draws in train mode comes from the global generators, so that it draws the same when they are seeded.
    - It is twice differentiable with respect to the images, as DC and DSA need it, also by ``torch.func``.
    - If it draws nothing, several of them can be trained as one module (``torch.func.vmap``), as on a GPU.

    Args:
        name: the network.
        size: height and width of the images in pixels; default: the smallest of 16, 28, 32, 64 … that it accepts.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown network, or one that cannot be built.
    """
    row, what = nn.info(name), f"network {name!r}"
    channels = sorted(row.channels or (1, 3))
    size = size or _size(row, channels[-1])
    for each in channels:
        try:
            net = _built(row, size, each, 1)
        except UserError as error:
            if row.channels or each == channels[-1]:
                raise
            _built(row, size, channels[-1], 1)  # raises if the fault is another one
            hint = f"does not take gray images; if it is for color images only, say channels=(3,) ({error})"
            raise AssertionError(f"{what}: {hint}") from error
        _check_outputs(net, size, what)
    _check_drawing(row, size, channels[-1], what)
    _check_gradients(_built(row, size, channels[-1], 1), size, what)
    _check_together(row, size, channels[-1], what)


def _size(row: Architecture, channels: int) -> int:
    """Return the first of the usual sizes that the network takes."""
    usual = [size for size in (LEAST, 28, 32, 64, 96, 128, 224) if size >= row.smallest]
    for size in sorted(row.sizes) or usual:
        with suppress(UserError):
            _built(row, size, channels, 1)
            return size
    return min(row.sizes, default=max(LEAST, row.smallest))


def _built(row: Architecture, size: int, channels: int, seed: int) -> nn.Network:
    generator = rng.generator(seed, "testing")
    return nn.build(row.name, channels=channels, classes=CLASSES, size=size, width=WIDTH, generator=generator)


def _images(net: nn.Network, size: int, seed: int = 0) -> Tensor:
    shape = (IMAGES, net.shape.channels, size, size)
    return torch.randn(shape, generator=rng.generator(seed, "testing", "images"))


def _check_drawing(row: Architecture, size: int, channels: int, what: str) -> None:
    net = _built(row, size, channels, 1)
    with own_randomness(what):
        again, other = (_built(row, size, channels, seed) for seed in (1, 2))
    states = [_values(one) for one in (net, again, other)]
    require(
        all(value.isfinite().all() for value in states[0].values()), what, "has parameters or buffers of inf or nan"
    )
    require(_same(states[0], states[1]), what, "differs when it is initialized twice from the same generator")
    _check_drawn(row, net, states[2], what)
    nn.initialize(net, rng.generator(3, "testing"))
    nn.initialize(other, rng.generator(3, "testing"))
    require(_same(_values(net), _values(other)), what, "keeps some of its old values when it is initialized again")
    loaded = _built(row, size, channels, 4)
    loaded.load_state_dict(net.state_dict())
    with torch.no_grad():
        same = torch.equal(loaded.eval()(_images(net, size)), net.eval()(_images(net, size)))
    kept = "changes when its state is saved and loaded: some state is not a parameter or a persistent buffer"
    require(same, what, kept)


def _check_drawn(row: Architecture, net: nn.Network, other: dict[str, Tensor], what: str) -> None:
    """Check that another generator has drawn other parameters, also apart from the classifier.

    Parameters that repeat one number (the ones of a norm) need not be drawn.
    """
    if row.pretrained:
        return
    drawn = [key for key, value in net.named_parameters() if not torch.equal(value, other[key])]
    require(bool(drawn), what, "is the same network for every generator; if it has to be, say pretrained=True")
    body = {f"layers.{key}": value for key, value in net.layers.named_parameters()}
    varied = any(value.numel() and value.min() != value.max() for value in body.values())
    origin = TABLE.origin(row.name)
    own = "has the same weights for every generator, all but the classifier's (does its function call"
    own += " torch.manual_seed?); if they have to be, name their files=, or say pretrained=True"
    require(not varied or not body.keys().isdisjoint(drawn) or bool(origin and origin.files), what, own)


def _values(net: nn.Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in [*net.named_parameters(), *net.named_buffers()]}


def _same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[key]) for key, value in ours.items())


@torch.no_grad()
def _check_outputs(net: nn.Network, size: int, what: str) -> None:
    batch = _images(net, size)
    if not net.architecture.plugin:
        with own_randomness(what):
            net(batch)
    state, draws = net.train().state_dict(), plugged.draws(net, batch)
    before = {name: value.clone() for name, value in state.items()}
    runs = []
    for _ in range(2):
        net.load_state_dict(before)
        with nn.guarded(net, 0, "outputs"):
            runs.append((net.embed(batch), net(batch)))
    features, logits = runs[0]
    require(torch.equal(logits, runs[1][1]), what, "gives different outputs when it is run again with the same seed")
    require(features.ndim == len(("image", "feature")), what, "has features with more than one axis per image")
    require(list(logits.shape) == [len(batch), CLASSES], what, f"has logits of shape {list(logits.shape)}")
    require(bool(logits.isfinite().all()), what, "has logits that are inf or nan")
    net.eval()
    require(not plugged.draws(net, batch), what, "draws random numbers in eval mode")
    evaluated, alone = net(batch), torch.cat([net(image[None]) for image in batch])
    others = "gives a different output for an image in a batch"
    require(_close(alone, evaluated), what, f"{others}, in eval mode")
    if draws or nn.has_batch_norm(net):
        return
    net.train()
    require(_close(torch.cat([net(image[None]) for image in batch]), logits), what, others)
    require(_close(evaluated, logits), what, "gives a different output in eval mode, without batch norm or dropout")


def _check_gradients(net: nn.Network, size: int, what: str) -> None:
    batch, labels = _images(net, size).requires_grad_(), torch.arange(IMAGES) % CLASSES
    trained = {name: value for name, value in net.train().named_parameters() if value.requires_grad}
    require(bool(trained), what, "has no parameter to train")
    with nn.guarded(net, 0, "gradients"):
        loss = cross_entropy(net(batch), labels)
        slopes = torch.autograd.grad(loss, [batch, *trained.values()], create_graph=True, allow_unused=True)
    for name, slope in zip(["the images", *trained], slopes, strict=True):
        require(slope is not None, what, f"does not depend on {name}")

    def once() -> Tensor | None:
        norm = torch.stack([one.square().sum() for one in slopes[1:] if one.requires_grad]).sum()
        return torch.autograd.grad(norm, [batch], allow_unused=True)[0]

    def by_func() -> Tensor:
        nn.hold(net)  # as DC and IDC compare gradients: no norm moves its statistics
        values = {name: value.detach() for name, value in trained.items()}

        def norm(images: Tensor) -> Tensor:
            gradient = grad(lambda them: cross_entropy(functional_call(net, them, (images,)), labels))(values)
            return torch.stack([one.square().sum() for one in gradient.values()]).sum()

        return grad(norm)(batch.detach())

    for second, how in ((once, ""), (by_func, " by torch.func, as gradients are matched")):
        with nn.guarded(net, 0, "gradients"):
            found = _attempt(second, what, f"cannot be differentiated twice{how}")
        require(found is not None and bool(found.isfinite().all()), what, f"cannot be differentiated twice{how}")


def _attempt(function: Callable[[], Tensor | None], what: str, failure: str) -> Tensor | None:
    try:
        return function()
    except UserError:
        raise
    except Exception as error:
        raise AssertionError(f"{what}: {failure}: {describe(error)}") from error


def _check_together(row: Architecture, size: int, channels: int, what: str) -> None:
    nets = [_built(row, size, channels, seed).eval() for seed in (1, 2)]
    if not nn.can_be_stacked(nets[0]):  # they are trained one by one
        return
    batches = torch.stack([_images(nets[0], size, seed) for seed in (1, 2)])
    with torch.no_grad():
        found = nn.StackedNetworks(nets).eval()(batches)
        apart = torch.stack([net(batch) for net, batch in zip(nets, batches, strict=True)])
    require(_close(found, apart), what, "gives a different output when several are trained as one module (vmap)")


def _close(found: Tensor, wanted: Tensor) -> bool:
    return torch.allclose(found, wanted, rtol=1e-3, atol=1e-4)

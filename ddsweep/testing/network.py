"""The contract of a network (``nn.build``)."""

from __future__ import annotations

import torch
from torch import Tensor

from ddsweep import nn, rng
from ddsweep.registry.networks import Architecture
from ddsweep.testing.judging import own_randomness, require

CLASSES, WIDTH, LEAST, IMAGES = 5, 4, 16, 3


def check_network(name: str, size: int = 0) -> None:
    """Check that a network can be trained, used for matching losses, and used as a PTM.

    - Its parameters are drawn from the generator that it is given, and from no other.
    - It maps gray and color images of its size to features and logits, each image by itself (unless it has batch norm).
    - It is twice differentiable with respect to the images, as DC and DSA need it.
    - Several of them can be trained as one module (``torch.func.vmap``), as on a GPU.
    - Its state can be saved and loaded.

    Args:
        name: the network.
        size: height and width of the images in pixels; default: 16, or the smallest that it accepts.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown network, or one that cannot be built.
    """
    row = nn.info(name)
    size, what = size or max(LEAST, row.smallest), f"network {name!r}"
    _check_drawing(row, size, what)
    for channels in (1, 3):
        _check_outputs(_built(row, size, 1, channels), channels, size, what)
    _check_gradients(_built(row, size, 1), size, what)
    _check_together(row, size, what)


def _built(row: Architecture, size: int, seed: int, channels: int = 3) -> nn.Network:
    generator = rng.generator(seed, "testing")
    return nn.build(row.name, channels=channels, classes=CLASSES, size=size, width=WIDTH, generator=generator)


def _images(size: int, seed: int = 0, channels: int = 3) -> Tensor:
    return torch.randn(IMAGES, channels, size, size, generator=rng.generator(seed, "testing", "images"))


def _check_drawing(row: Architecture, size: int, what: str) -> None:
    net = _built(row, size, 1)
    with own_randomness(what):
        again, other = (_built(row, size, seed) for seed in (1, 2))
    states = [one.state_dict() for one in (net, again, other)]
    finite = all(value.isfinite().all() for value in states[0].values())
    require(finite, what, "has uninitialized parameters or buffers")
    same = all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    require(same, what, "differs when it is initialized twice from the same generator")
    drawn = [key for key, value in net.named_parameters() if not torch.equal(value, states[2][key])]
    require(bool(drawn), what, "is the same network for every generator")
    nn.initialize(net, rng.generator(2, "testing"))
    nn.initialize(other, rng.generator(2, "testing"))
    same = all(torch.equal(value, other.state_dict()[key]) for key, value in net.state_dict().items())
    require(same, what, "keeps some of its old values when it is initialized again")
    again.load_state_dict(net.state_dict())
    batch = _images(size)
    same = torch.equal(again.eval()(batch), net.eval()(batch))
    require(
        same,
        what,
        "changes when its state is saved and loaded: some state is not a parameter or buffer",
    )


def _check_outputs(net: nn.Network, channels: int, size: int, what: str) -> None:
    batch = _images(size, channels=channels)
    with own_randomness(what), torch.no_grad():
        features, logits = net.train().embed(batch), net(batch)
    require(features.ndim == len(("image", "feature")), what, "has features with more than one axis per image")
    require(list(logits.shape) == [len(batch), CLASSES], what, f"has logits of shape {list(logits.shape)}")
    require(bool(logits.isfinite().all()), what, "has logits that are inf or nan")
    if nn.has_batch_norm(net):
        return
    with torch.no_grad():
        alone = torch.cat([net(image[None]) for image in batch])
        require(_close(alone, logits), what, "gives a different output for an image in a batch")
        evaluated = net.eval()(batch)
    require(_close(evaluated, logits), what, "gives a different output in eval mode, without having batch norm")


def _check_gradients(net: nn.Network, size: int, what: str) -> None:
    batch, labels = _images(size).requires_grad_(), torch.arange(IMAGES) % CLASSES
    loss = torch.nn.functional.cross_entropy(net.train()(batch), labels)
    slopes = torch.autograd.grad(loss, [batch, *net.parameters()], create_graph=True, allow_unused=True)
    names = ["the images", *(name for name, _ in net.named_parameters())]
    for name, slope in zip(names, slopes, strict=True):
        require(slope is not None, what, f"does not depend on {name}")
    (second,) = torch.autograd.grad(
        torch.stack([one.square().sum() for one in slopes[1:]]).sum(), [batch], allow_unused=True
    )
    require(second is not None and bool(second.isfinite().all()), what, "cannot be differentiated twice")


def _check_together(row: Architecture, size: int, what: str) -> None:
    nets = [_built(row, size, seed).eval() for seed in (1, 2)]
    batches = torch.stack([_images(size, seed) for seed in (1, 2)])
    try:
        found = nn.StackedNetworks(nets).eval()(batches)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise AssertionError(
            f"{what}: several of them cannot be trained as one module (torch.func.vmap): {reason}"
        ) from error
    with torch.no_grad():
        apart = torch.stack([net(batch) for net, batch in zip(nets, batches, strict=True)])
    require(_close(found, apart), what, "gives a different output when several are trained as one module (vmap)")


def _close(found: Tensor, wanted: Tensor) -> bool:
    return torch.allclose(found, wanted, rtol=1e-3, atol=1e-4)

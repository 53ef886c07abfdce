"""The contract of a PTM that ddsweep does not train (``registry.ptms``)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddsweep import rng
from ddsweep.errors import PluginError
from ddsweep.nn import unregistered
from ddsweep.nn.foundation import FoundationModel
from ddsweep.pretrained import made, published
from ddsweep.registry.ptms import PTMS, Foundation
from ddsweep.testing.judging import own_randomness, require
from ddsweep.testing.method import noise

SIZE, CELLS = 32, 4
NEAR = 1e-3


def check_ptm(name: str, size: int = 0) -> None:
    """Check that a PTM can guide a distillation.

    - It is the same whenever it is made, and has no tensors besides parameters and buffers, which a GPU would miss.
    - It maps each image by itself to features and, with classes, to logits; always to the same, without random numbers,
      and without changing.
    - It has a finite gradient to every image, also to pixels outside of [0, 1]: it does not clamp them.

    Args:
        name: its source in a recipe.
        size: height and width of the images in pixels, before it resizes them; default: those of the decorator, or 32.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown PTM, or a published one that cannot be downloaded.
    """
    row, what = PTMS.take(name), f"PTM {name!r}"
    try:
        _check(row, size or row.size or SIZE, what)
    except PluginError as violation:
        raise AssertionError(str(violation)) from violation


def _check(row: Foundation, size: int, what: str) -> None:
    dataset = noise(size)
    net = _made(row, what)
    if row.maker:
        made.load(row, dataset)
    images = torch.rand((3, row.channels, size, size), generator=rng.generator(0, "testing"))
    before = _state(net)
    with torch.no_grad(), own_randomness(what):
        features = net.embed(images)
        again = net.embed(images.clone())
        one_by_one = torch.cat([net.embed(image[None]) for image in images])
    require(torch.equal(features, again), what, "gives other features of the same images the second time")
    same = torch.allclose(features, one_by_one, rtol=NEAR, atol=NEAR * float(features.abs().max()))
    require(same, what, "gives other features of an image when other images are in the batch")
    require(not torch.equal(features[0], features[1]), what, "gives equal features of all images")
    _check_gradient(net, row, images, what)
    after = _state(net)
    require(all(torch.equal(value, after[key]) for key, value in before.items()), what, "changes when it is used")


def _made(row: Foundation, what: str) -> FoundationModel:
    if row.maker is None:
        published.ensure(row)
        return published.build(row)
    net, again = made.build(row), made.build(row)
    ours, theirs = net.state_dict(), again.state_dict()
    same = ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    require(same, what, "has other weights the second time that it is made")
    assert isinstance(net.trunk, nn.Module)
    loose = unregistered.first(net.trunk)
    require(not loose, what, f"has a tensor {loose} that is no parameter and no buffer; use register_buffer")
    return net


def _check_gradient(net: FoundationModel, row: Foundation, images: Tensor, what: str) -> None:
    seen, beyond = _beyond(images, row.size or images.shape[-1])
    seen.requires_grad_()
    terms = {"features": F.normalize(net.embed(seen), dim=1)[:, ::2].sum()}
    if row.classes:
        labels = torch.zeros(len(images), dtype=torch.long)
        terms["logits"] = F.cross_entropy(net(seen), labels)
    for kind, term in terms.items():
        require(term.requires_grad, what, f"has no gradient from its {kind} to the images")
        (slope,) = torch.autograd.grad(term, [seen], allow_unused=True)
        require(slope is not None and bool(slope.isfinite().all()), what, f"has {kind} with a gradient of inf or nan")
        reached = slope.flatten(1).any(1)
        require(bool(reached.all()), what, f"has no gradient from its {kind} to image {int(reached.int().argmin())}")
        for where, pixels in beyond.items():
            clamps = f"has no gradient from its {kind} to pixels {where} (does it clamp its input?)"
            require(bool(slope[pixels].any()), what, clamps)


def _beyond(images: Tensor, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Return as many images with cells of pixels below 0 and above 1, and where those pixels are.

    In each color, each of 4 × 4 cells is in [0, 1], below -0.2, or above 1.2, at random. The pixels returned are the
    inner ones of their cells, so that they are out of range, too, when the PTM itself enlarges the images.
    """
    generator = rng.generator(0, "testing", "beyond")
    inside = torch.rand((*images.shape[:2], size, size), generator=generator)
    cells = torch.randint(3, (*images.shape[:2], CELLS, CELLS), generator=generator).float()
    cells = F.interpolate(cells, (size, size))
    edge = size // CELLS // 3
    seen, found = inside, {}
    for kind, where, low in ((1, "below 0", -0.3), (2, "above 1", 1.2)):
        chosen = cells == kind
        seen = torch.where(chosen, low + inside / 10, seen)
        found[where] = F.max_pool2d((~chosen).float(), 2 * edge + 1, stride=1, padding=edge) == 0
    return seen, found


def _state(net: FoundationModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}

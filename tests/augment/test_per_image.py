"""DC's own augmentation, as its authors wrote it."""

import numpy as np
import pytest
import torch
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional as F

from ddsweep import augment
from ddsweep.errors import UserError
from tests import toys


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dc_crop(x: Tensor, mean: Tensor, offset: list[int]) -> Tensor:
    size = x.shape[1]
    canvas = mean[:, None, None].expand(-1, size + 8, size + 8).clone()
    canvas[:, 4 : 4 + size, 4 : 4 + size] = x
    return canvas[:, offset[0] : offset[0] + size, offset[1] : offset[1] + size]


def dc_scale(x: Tensor, height: int, width: int) -> Tensor:
    size = x.shape[1]
    small, largest = F.interpolate(x[None], [height, width])[0], max(height, width, size)
    canvas = torch.zeros(len(x), largest, largest, dtype=x.dtype)
    top, left, edge = (largest - height) // 2, (largest - width) // 2, (largest - size) // 2
    canvas[:, top : top + height, left : left + width] = small
    return canvas[:, edge : edge + size, edge : edge + size]


def test_dc_crop():
    images, generator = toys.noise(40, 3, 16, 16), seeded(1)
    torch.randint(1, (40,), generator=generator)  # which operation
    offsets = torch.randint(8, (40, 2), generator=generator).tolist()
    expected = [dc_crop(x, images.mean(dim=(0, 2, 3)), offset) for x, offset in zip(images, offsets, strict=True)]
    torch.testing.assert_close(augment.dc(images, "crop", seeded(1)), torch.stack(expected))
    assert {offset for pair in offsets for offset in pair} == set(range(8))


def test_dc_scale():
    images, generator = toys.noise(200, 3, 16, 16), seeded(1)
    torch.randint(1, (200,), generator=generator)
    sides = (torch.empty(200, 2).uniform_(0.8, 1.2, generator=generator) * 16).long().tolist()
    expected = torch.stack([dc_scale(x, *side) for x, side in zip(images, sides, strict=True)])
    assert torch.equal(augment.dc(images, "scale", seeded(1)), expected)
    assert {side for pair in sides for side in pair} == set(range(12, 20))


def test_dc_rotate():
    images, generator = toys.noise(30, 3, 16, 16), seeded(1)
    torch.randint(1, (30,), generator=generator)
    angles = torch.randint(-45, 45, (30,), generator=generator).tolist()
    expected = []
    for x, angle in zip(images.numpy(), angles, strict=True):
        whole = ndimage.rotate(x, angle, axes=(-2, -1), mode="constant", cval=images.numpy().mean())
        edge = (whole.shape[-1] - 16) // 2
        expected.append(whole[:, edge : edge + 16, edge : edge + 16])
    torch.testing.assert_close(augment.dc(images, "rotate", seeded(1)), torch.from_numpy(np.stack(expected)))


def test_dc_noise():
    images = torch.zeros(50, 3, 16, 16)
    changed = augment.dc(images, "noise", seeded())
    assert changed.std().item() == pytest.approx(0.001, rel=0.02)
    assert torch.equal(images, torch.zeros_like(images))


def test_dc_chooses_for_every_image():
    images = torch.ones(300, 1, 16, 16)
    images[:150] = 0  # the mean is 1/2: crop shows it at an edge, noise nowhere
    cropped = (augment.dc(images, "crop_noise", seeded()) == 0.5).flatten(1).any(dim=1)
    assert 100 < cropped.sum() < 200
    assert augment.dc(images, "none", seeded()) is images
    with pytest.raises(UserError, match="strategy: unknown operation 'flip'"):
        augment.dc(images, "crop_flip", seeded())

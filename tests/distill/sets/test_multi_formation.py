"""IDC's grids, pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep.data import Dataset
from ddsweep.distill.methods.representatives import choose
from ddsweep.distill.sets.multi_formation import Init, MultiFormation, decode, make, tile
from ddsweep.errors import UserError
from ddsweep.rng import Streams
from tests import toys


def enlarged_by_hand(cell: list[list[float]], size: int) -> list[list[float]]:
    """Bilinear: pixel centers are at (i + 1/2) / size of the picture; the border repeats outside."""
    side = len(cell)

    def line(i: int) -> tuple[int, int, float]:
        place = max(0.0, (i + 0.5) * side / size - 0.5)
        low = math.floor(place)
        return low, min(low + 1, side - 1), place - low

    out = []
    for i in range(size):
        a, b, down = line(i)
        row = []
        for j in range(size):
            c, d, right = line(j)
            top = (1 - right) * cell[a][c] + right * cell[a][d]
            bottom = (1 - right) * cell[b][c] + right * cell[b][d]
            row.append((1 - down) * top + down * bottom)
        out.append(row)
    return out


def decoded_by_hand(images: Tensor, factor: int) -> list[list[list[list[float]]]]:
    """[n · factor²][channel][row][column]: all images' first cells, then all images' second cells, …"""
    size = images.shape[-1]
    side = math.ceil(size / factor)
    out = []
    for number in range(factor**2):
        top, left = number // factor * side, number % factor * side
        for image in images.tolist():
            planes = []
            for plane in image:
                cell = [
                    [plane[i][j] if i < size and j < size else 0.5 for j in range(left, left + side)]
                    for i in range(top, top + side)
                ]
                planes.append(enlarged_by_hand(cell, size))
            out.append(planes)
    return out


@pytest.mark.parametrize(("size", "factor"), [(8, 1), (8, 2), (9, 2), (9, 3), (8, 3), (7, 5)])
def test_decoding_is_the_formula(size: int, factor: int) -> None:
    images = toys.noise(2, 3, size, size)
    expected = torch.tensor(decoded_by_hand(images, factor), dtype=torch.float64)
    torch.testing.assert_close(decode(images, factor), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "factor"), [(8, 2), (9, 2), (8, 3), (9, 3)])
def test_decoding_is_differentiable(size: int, factor: int) -> None:
    """Decoding is linear up to the padding: <decode(x + y) - decode(x), p> = <y, gradient>."""
    images, step = toys.noise(2, 1, size, size).requires_grad_(), toys.noise(2, 1, size, size, seed=1)
    probe = toys.noise(2 * factor**2, 1, size, size, seed=2)
    (gradient,) = torch.autograd.grad((decode(images, factor) * probe).sum(), images)
    moved = ((decode(images + step, factor) - decode(images, factor)) * probe).sum()
    torch.testing.assert_close(moved.detach(), (gradient * step).sum(), rtol=1e-9, atol=1e-9)


def tiled_by_hand(images: Tensor, factor: int) -> Tensor:
    size, n = images.shape[-1], len(images) // factor**2
    sides = [size // factor + (1 if place < size % factor else 0) for place in range(factor)]
    out = torch.full((n, images.shape[1], size, size), torch.nan, dtype=images.dtype)
    for number in range(len(images)):
        cell, grid = divmod(number, n)
        row, column = divmod(cell, factor)
        for i in range(sides[row]):
            for j in range(sides[column]):
                a, b = int(i * size / sides[row]), int(j * size / sides[column])
                out[grid, :, sum(sides[:row]) + i, sum(sides[:column]) + j] = images[number, :, a, b]
    return out


@pytest.mark.parametrize(("size", "factor"), [(8, 1), (8, 2), (9, 2), (9, 3), (8, 3), (7, 4)])
def test_grids_are_made_of_shrunk_images(size: int, factor: int) -> None:
    images = toys.noise(3 * factor**2, 3, size, size)
    assert torch.equal(tile(images, factor), tiled_by_hand(images, factor))


@pytest.mark.parametrize(("size", "factor"), [(8, 2), (9, 3), (9, 2)])
def test_decoding_returns_the_images_of_a_grid_in_their_order(size: int, factor: int) -> None:
    gray = torch.arange(2.0 * factor**2, dtype=torch.float64)[:, None, None, None].expand(-1, 3, size, size)
    corners = decode(tile(gray, factor), factor)[:, 0, 0, 0]
    assert torch.equal(corners, gray[:, 0, 0, 0])


# ---- the set

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def pixels_of(data: Dataset) -> Tensor:
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (MEAN, STD))
    return (data.images[:] * std + mean).clamp(0, 1)


def made(init: Init, ipc: int = 2, factor: int = 2, per_class: int = 20) -> tuple[MultiFormation, Dataset]:
    data = replace(toys.dataset(per_class=per_class), mean=MEAN, std=STD)
    net: Any = toys.Net()
    return make(data, net, Streams(4), ipc=ipc, init=init, factor=factor), data


def test_a_set_is_decoded_class_by_class_and_normalized() -> None:
    learned, _ = made("mix")
    found = learned.decode()
    assert (found.ipc, found.classes) == (8, 3)
    assert found.labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (MEAN, STD))
    for label in range(3):
        own = torch.tensor(decoded_by_hand(learned.images[2 * label : 2 * label + 2].detach(), 2), dtype=torch.float64)
        one = learned.decode_class(label)
        assert one.labels.tolist() == [label] * 8
        for images in (found.images[8 * label : 8 * label + 8], one.images):
            torch.testing.assert_close(images.detach(), (own - mean) / std, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("init", "factor"), [("mix", 2), ("first", 1), ("mix", 3)])
def test_it_begins_with_the_first_images_in_their_order(init: Init, factor: int) -> None:
    learned, data = made(init, factor=factor)
    for label in range(3):
        own = pixels_of(data)[data.per_class[label][: 2 * factor**2]]
        expected = tiled_by_hand(own, factor)
        torch.testing.assert_close(learned.images[2 * label : 2 * label + 2].detach(), expected, rtol=1e-12, atol=1e-12)


def test_it_begins_with_random_images_noise_or_representatives() -> None:
    real, data = made("real", factor=1)
    for label in range(3):
        own = pixels_of(data)[data.per_class[label]]
        for image in real.images[2 * label : 2 * label + 2].detach():
            assert float((own - image).abs().amax((1, 2, 3)).min()) < 1e-12
    assert not torch.equal(real.images, made("first", factor=1)[0].images)
    noise = made("noise")[0].images.detach()
    drawn = torch.randn(6, 3, 8, 8, generator=Streams(4).images)
    assert torch.equal(noise, (drawn / 4 + 0.5).clamp(0, 1).double())
    central, _ = made("kmeans", factor=1)
    net, streams = toys.Net(), Streams(4)
    for label in range(3):
        index = choose(net, data, label, 2, streams.images)  # type: ignore[arg-type]
        expected = pixels_of(data)[index]
        torch.testing.assert_close(central.images[2 * label : 2 * label + 2].detach(), expected, rtol=0, atol=1e-12)


def test_pixels_are_clamped_at_the_beginning_of_an_iteration_and_nowhere_else() -> None:
    learned, _ = made("mix")
    with torch.no_grad():
        learned.images.add_(2 * toys.noise(6, 3, 8, 8))
    outside = learned.images.detach().clone()
    learned.decode()
    learned.optimizer(0.1).step()
    assert torch.equal(learned.images.detach(), outside)
    learned.begin_iteration()
    assert torch.equal(learned.images.detach(), outside.clamp(0, 1))
    assert learned.images.requires_grad


def test_too_few_images_are_one_line() -> None:
    with pytest.raises(UserError, match=r"ipc: 8 images are needed to begin \(ipc · factor²\), but class 0 has 7"):
        made("mix", per_class=7)

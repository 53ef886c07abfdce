"""CutMix against the same written out pixel by pixel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ddsweep.augment import cutmix
from tests import toys


def box_by_hand(size: int, lam: float, row: int, column: int) -> list[list[bool]]:
    """Whether each pixel is in the box: distance from its center, cut at the border."""
    half = int(size * math.sqrt(1 - lam)) // 2
    return [
        [row - half <= i < row + half and column - half <= j < column + half for j in range(size)] for i in range(size)
    ]


def mixed_by_hand(images: Tensor, labels: list[int], classes: int, seed: int) -> tuple[Tensor, Tensor, int]:
    """The protocol with the draws in their order; also the pixels of the box."""
    generator, n, size = torch.Generator().manual_seed(seed), len(images), images.shape[-1]
    weights = torch.zeros(n, classes, dtype=torch.float64)
    if float(torch.rand((), generator=generator)) >= 0.5:
        for i, label in enumerate(labels):
            weights[i, label] = 1
        return images, weights, 0
    lam = float(torch.rand((), generator=generator, dtype=torch.float64))
    row, column = torch.randint(size, (2,), generator=generator).tolist()
    inside, order = box_by_hand(size, lam, row, column), torch.randperm(n, generator=generator).tolist()
    area = sum(map(sum, inside))
    out = images.clone()
    for i in range(n):
        for y in range(size):
            for x in range(size):
                if inside[y][x]:
                    out[i, :, y, x] = images[order[i], :, y, x]
        weights[i, labels[i]] += 1 - area / size**2
        weights[i, labels[order[i]]] += area / size**2
    return out, weights, area


@pytest.mark.parametrize("size", [8, 9])
def test_boxes_and_weights_are_those_written_out(size: int) -> None:
    images, labels, areas = toys.noise(5, 3, size, size), [0, 1, 2, 1, 0], set()
    for seed in range(60):
        expected, weights, area = mixed_by_hand(images, labels, 3, seed)
        cut = cutmix.draw(torch.Generator().manual_seed(seed), 5, size)
        found, targets = cutmix.apply(images, torch.tensor(labels), 3, cut)
        assert torch.equal(found, expected)
        torch.testing.assert_close(targets, weights, rtol=1e-12, atol=0)
        areas.add(area)
    assert len(areas) > 10, "the boxes should differ"


def test_half_of_the_batches_are_mixed_and_an_odd_side_loses_a_pixel() -> None:
    generator = torch.Generator().manual_seed(3)
    cuts = [cutmix.draw(generator, 2, 64) for _ in range(4000)]
    mixed = [cut for cut in cuts if cut is not None]
    assert len(mixed) == pytest.approx(2000, abs=4 * math.sqrt(1000))
    assert all((cut.bottom - cut.top) % 2 == 0 for cut in mixed if cut.top > 0 and cut.bottom < 64)


@pytest.mark.parametrize(("probability", "mixed"), [(0.0, False), (1.0, True)])
def test_the_probability_is_that_of_a_batch(probability: float, mixed: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    assert all((cutmix.draw(generator, 4, 8, probability) is not None) is mixed for _ in range(50))


def test_the_cross_entropy_of_the_weights_is_the_mix_of_two() -> None:
    logits, labels = toys.noise(4, 3), torch.tensor([0, 1, 2, 2])
    cut = cutmix.Cut(torch.tensor([2, 0, 3, 1]), 1, 4, 0, 5)
    _, targets = cutmix.apply(toys.noise(4, 3, 8, 8), labels, 3, cut)
    kept = 1 - 15 / 64
    expected = kept * F.cross_entropy(logits, labels) + (1 - kept) * F.cross_entropy(logits, labels[cut.order])
    torch.testing.assert_close(F.cross_entropy(logits, targets), expected, rtol=1e-12, atol=0)

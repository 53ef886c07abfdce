"""From the statistics of one dataset to those of another, by a formula written out here."""

from __future__ import annotations

import torch

from ddsweep import data
from ddsweep.exchange import space
from tests.exchange.conftest import draw


def test_from_one_dataset_to_another() -> None:
    there, here = data.info("cifar100"), data.info("cifar10")
    images = draw(2, 3, 4, 4)
    found = space.moved(images, space.named("cifar10", 3), space.named("cifar100", 3))
    assert here.mean and here.std and there.mean and there.std
    for channel in range(3):
        pixel = float(images[1, channel, 2, 3]) * here.std[channel] + here.mean[channel]
        expected = (pixel - there.mean[channel]) / there.std[channel]
        assert abs(float(found[1, channel, 2, 3]) - expected) < 1e-6


def test_in_the_same_space_it_is_the_same_bits() -> None:
    images = draw(2, 3, 4, 4)
    assert torch.equal(space.moved(images, space.named("cifar10", 3), space.named("cifar10", 3)), images)

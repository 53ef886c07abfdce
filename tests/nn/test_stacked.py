"""Several networks as one module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn as layers

from ddsweep import nn
from tests import toys

SHAPE: dict[str, Any] = {"channels": 3, "classes": 3, "size": 8, "width": 4}
IMAGES = toys.noise(3, 5, 3, 8, 8)


def networks(arch: str) -> list[layers.Module]:
    """Three networks, with running statistics of their own where they have any."""
    nets: list[layers.Module] = []
    for seed in range(3):
        net = nn.build(arch, **SHAPE, generator=torch.Generator().manual_seed(seed)).double()
        net(2 * toys.noise(6, 3, 8, 8, seed=10 + seed) + seed)
        nets.append(net)
    return nets


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arch", ["convnet1", "convnet3-bn"])
def test_each_network_sees_its_own_images_in_the_mode_of_the_whole(arch: str, training: bool) -> None:
    nets = networks(arch)
    together = nn.StackedNetworks(nets).train(training)
    found = together(IMAGES)
    for net, images, ours in zip(nets, IMAGES, found, strict=True):
        torch.testing.assert_close(ours, net.train(training)(images), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_move_in_training_and_only_there(training: bool) -> None:
    nets, written = networks("convnet3-bn"), networks("convnet3-bn")
    before = [{name: value.clone() for name, value in net.state_dict().items()} for net in nets]
    together = nn.StackedNetworks(nets).train(training)
    together(IMAGES)
    together.write_back(written)
    for net, images, state, ours in zip(nets, IMAGES, before, written, strict=True):
        assert all(torch.equal(state[name], value) for name, value in net.state_dict().items()), "they are copies"
        net.train(training)(images)
        for name, value in net.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-9, atol=1e-12)
            assert ("running" in name and training) == (not torch.equal(state[name], value)) or "batches" in name

"""How many steps on real images, and what begins anew with each network; the numbers are in test_condensation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ddsweep.augment import combined, cutmix
from ddsweep.checkpoints import State
from ddsweep.distill.methods.real_training import RealTraining
from ddsweep.nn import optimizers
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams
from tests import toys


def trained(*images: int, batch: int = 8, strategy: str = "color_crop_cutout") -> tuple[RealTraining, Any, Streams]:
    net, streams = toys.Net(), Streams(1)
    training = RealTraining(net, batch, 0.05, strategy, Numerics())
    for number in images:
        training.train(toys.dataset(per_class=10), number, streams)
    return training, net, streams


@pytest.mark.parametrize(
    ("calls", "sizes"),
    [
        ([0], []),
        ([1], [8]),
        ([8], [8]),
        ([9], [8, 8]),
        ([20, 20], [8, 8, 8, 6, 8, 8]),  # 30 images: the last batch of a pass has 6, and the next pass continues
    ],
)
def test_the_batch_that_reaches_the_number_is_the_last(
    calls: list[int], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = toys.spy(monkeypatch, cutmix, "apply", lambda images, *_: len(images))
    steps = toys.spy(monkeypatch, optimizers.SGD, "step", lambda self: self.param_groups[0])
    trained(*calls)
    assert seen == sizes
    assert len(steps) == len(sizes)
    assert all((group["lr"], group["momentum"], group["weight_decay"]) == (0.05, 0.9, 5e-4) for group in steps)


@pytest.mark.parametrize(
    ("strategy", "used"), [("color_crop_cutout", "color_crop"), ("cutout", "none"), ("none", "none")]
)
def test_cutmix_takes_the_place_of_cutout(strategy: str, used: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = toys.spy(monkeypatch, combined, "independent", lambda images, strategy, generator: strategy)
    trained(8, strategy=strategy)
    assert asked == [used]


def test_a_new_network_has_no_momentum_and_goes_on_with_the_pass() -> None:
    training, *_ = trained(8)
    assert any(name.startswith("momentum.") for name in training.state())
    training.begin()
    assert set(training.state()) == {"pass.order", "pass.drawn"}
    assert int(training.state()["pass.drawn"]) == 8


def test_training_goes_on_from_its_state_to_the_same_bits() -> None:
    data = toys.dataset(per_class=10)
    training, net, streams = trained(20)
    saved = {name: value.clone() for name, value in training.state().items()}
    weights, generators = {name: value.clone() for name, value in net.state_dict().items()}, streams.states()
    training.train(data, 20, streams)
    other, again, fresh = trained()
    again.load_state_dict(weights)
    fresh.set_states(generators)
    other.restore(State(saved, {}))
    other.train(data, 20, fresh)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))

"""Which real images DREAM chooses, when, and with what the network sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep.distill.methods import kmeans
from ddsweep.distill.methods.representatives import Representatives, choose
from ddsweep.errors import UserError
from ddsweep.numerics import Numerics
from tests import toys


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_images_are_chosen_every_few_loops_and_kept_in_between() -> None:
    data, net = toys.dataset(per_class=20), toys.Net()
    batches, generator = Representatives(net, 6, 3, Numerics()), seeded()  # type: ignore[arg-type]
    drawn: list[list[Tensor]] = [
        [batches.draw(data, label, loop, generator) for label in range(3)] for loop in range(7)
    ]
    for loop, by_class in enumerate(drawn):
        for label, indices in enumerate(by_class):
            assert len(indices) == 6
            assert set(data.labels[indices].tolist()) == {label}
            kept = drawn[loop - loop % 3][label]
            assert torch.equal(indices, kept)
    assert not torch.equal(drawn[0][0], drawn[3][0])


def test_the_network_sees_pixels_in_eval_mode_and_keeps_its_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = replace(toys.dataset(per_class=20), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
    net: Any = toys.Net(norm="batch")
    net.train()
    net.norm.eval()  # as while gradients are compared
    seen = toys.spy(monkeypatch, toys.Net, "embed", lambda self, x: (x, self.training, self.norm.training))
    choose(net, data, 1, 5, seeded())
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (data.mean, data.std))
    pixels = (data.images[data.per_class[1]] * std + mean).clamp(0, 1)
    torch.testing.assert_close(torch.cat([x for x, *_ in seen]), pixels, rtol=0, atol=1e-6)
    assert {(own, norm) for _, own, norm in seen} == {(False, False)}
    assert (net.training, net.norm.training, net.norm.num_batches_tracked) == (True, False, 0)


def test_the_choice_is_that_of_k_means_among_the_images_of_the_class() -> None:
    data, net = toys.dataset(per_class=20), toys.Net()
    members = data.per_class[2]
    with torch.no_grad():
        features = net.embed(data.denormalize(data.images[members]))
    expected = members[kmeans.representatives(features, 5, seeded())]
    assert torch.equal(choose(net, data, 2, 5, seeded()), expected)  # type: ignore[arg-type]


def test_too_few_images_are_one_line() -> None:
    batches = Representatives(toys.Net(), 21, 1, Numerics())  # type: ignore[arg-type]
    with pytest.raises(UserError, match="batch_real: 21 clusters cannot be made of the 20 images of class 1; at most"):
        batches.draw(toys.dataset(per_class=20), 1, 0, seeded())

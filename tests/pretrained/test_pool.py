"""PTMs in a step: drawn uniformly, frozen, with images renormalized and real features computed once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ddsweep import data, nn, rng
from ddsweep.data.dataset import Dataset
from ddsweep.distill.guidance.clom import cclom
from ddsweep.pretrained import pool, renormalize, training
from ddsweep.pretrained.features import FeatureBudget
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.pretrained.spec import Spec
from tests import toys


class Counting(toys.Net):
    """Counts the images that it has looked at."""

    looked = 0

    def embed(self, x: Tensor) -> Tensor:
        self.looked += len(x)
        return super().embed(x)


def model(budget: int = 1 << 20, net: toys.Net | None = None) -> PretrainedModel:
    return PretrainedModel(
        "toy", (net or toys.Net()).requires_grad_(False), InputTransform(3), budget=FeatureBudget(budget)
    )


def draw(count: int, seed: int, dataset: Dataset) -> Tensor:
    return torch.randint(len(dataset.labels), (count,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("budget", [1 << 20, 0], ids=["kept", "no budget"])
def test_kept_features_give_the_loss_and_gradient_of_computing_them_again(budget: int) -> None:
    """Against ``cclom`` of features that are computed at each step; float64."""
    dataset, one = toys.dataset(), model(budget)
    for seed in range(4):
        chosen, synthetic = draw(50, seed, dataset), toys.synthetic()
        real = one.features(dataset, chosen)
        loss = cclom(one.embed(synthetic.images), synthetic.labels, real, dataset.labels[chosen])
        computed = one.embed(dataset.images[chosen])
        again = cclom(one.embed(synthetic.images), synthetic.labels, computed, dataset.labels[chosen])
        gradients = [torch.autograd.grad(term, synthetic.images)[0] for term in (loss, again)]
        torch.testing.assert_close(loss, again, rtol=1e-13, atol=0)
        torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-15)
        assert not real.requires_grad


@pytest.mark.parametrize("block", [1, 7, 16, 60])
def test_every_block_is_computed_once_and_none_before_an_image_of_it_is_drawn(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    dataset, net = toys.dataset(), Counting()
    toys.bound_passes(monkeypatch, block)
    one, drawn = model(net=net), set[int]()
    for seed in range(8):
        chosen = draw(5, seed, dataset)
        one.features(dataset, chosen)
        drawn |= {image for index in chosen.tolist() for image in range(60) if image // block == index // block}
        assert net.looked == 1 + len(drawn)  # the size of the features is that of the first image's


class BatchDependent(toys.Net):
    """Its features of an image depend on the other images of the batch, as the last bits of any network's do."""

    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x) * (1 + x.mean())


@pytest.mark.parametrize("block", [1, 7, 16, 64])
def test_features_are_the_same_bits_whatever_was_drawn_before(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Of a network whose batches matter, against blocks that are computed here."""
    dataset, net = toys.dataset(), BatchDependent()
    toys.bound_passes(monkeypatch, block)
    expected = torch.cat([net.embed(part).detach() for part in dataset.images.split(block)])
    for first in ([], [draw(3, 1, dataset)], [draw(20, 2, dataset), draw(50, 3, dataset)]):
        one = model(net=net)
        for chosen in (*first, draw(40, 4, dataset), torch.tensor([59, 0, 59])):
            assert torch.equal(one.features(dataset, chosen), expected[chosen])


SIZE = 60 * 64 * 8  # bytes of the features of a PTM


@pytest.mark.parametrize(
    ("budget", "kept"), [(3 * SIZE, [0, 1, 2]), (3 * SIZE - 1, [0, 1]), (SIZE, [0]), (SIZE - 1, []), (0, [])]
)
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_features_are_kept_as_long_as_there_is_room_whichever_ptm_is_drawn_first(
    budget: int, kept: list[int], order: list[int]
) -> None:
    """Three PTMs of 60 × 64 float64 features; each also looks at one image, to know their size."""
    dataset, nets = toys.dataset(), [Counting(seed=seed) for seed in range(3)]
    (models,) = Pool([[model(net=net) for net in nets]], budget).models
    for _ in range(3):
        for place in order:
            models[place].features(dataset, torch.arange(60))
    assert [net.looked for net in nets] == [1 + 60 if place in kept else 1 + 3 * 60 for place in range(3)]


def test_small_features_find_room_after_large_ones_that_do_not() -> None:
    dataset, nets = toys.dataset(), [Counting(), Counting(), Counting()]
    nets[0].embed = lambda x: toys.Net.embed(nets[0], x).repeat(1, 5)  # type: ignore[method-assign]
    (models,) = Pool([[model(net=net) for net in nets]], 2 * SIZE).models
    assert [one.budget.keeps(one, dataset) for one in models] == [False, True, True]


def test_one_trial_keeps_no_more_than_four_gibibytes() -> None:
    assert Pool([[model()]]).models[0][0].budget.size == 4 * 1024**3


@pytest.mark.parametrize("bound", ["device", "pool"])
def test_large_images_are_looked_at_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    dataset, one = toys.dataset(size=8), model()
    sizes = toys.spy(monkeypatch, one.net, "embed", len)
    if bound == "pool":
        monkeypatch.setattr(pool, "PIXELS", 7 * 8 * 8 + 5)
    else:
        toys.bound_passes(monkeypatch, 7)
    one.features(dataset, torch.arange(20))
    assert sizes == [1, 7, 7, 7]
    one.canvas = 16  # what the network makes of them is what takes memory
    sizes.clear()
    one.features(replace(dataset, checksum="other"), torch.arange(3))
    assert sizes == [1, 1, 1, 1]


def test_drawing_is_uniform_over_architectures_then_indices() -> None:
    models = [[model() for _ in range(count)] for count in (2, 1, 3)]
    one = Pool(models)
    generator = rng.generator(0, "test")
    drawn = Counter(id(one.draw(generator)) for _ in range(6000))
    for seeds in models:
        for each in seeds:
            expected = 6000 / 3 / len(seeds)
            assert abs(drawn[id(each)] - expected) < 5 * expected**0.5


def test_a_loaded_ptm_is_frozen_and_sees_other_domains() -> None:
    digits, shapes = data.load("digits"), data.load("shapes")
    one = Spec("shapes", 16, "convnet3-bn", width=4, seed=0, epochs=1, lr=0.01, weight_decay=0.0, batch=512)
    training.ensure(one, {1}, shapes, lambda *_: None)
    (loaded,) = pool.load([[one]], 1, shapes).models[0]
    assert isinstance(loaded.net, nn.Network)
    assert (loaded.arch, loaded.net.training) == ("convnet3-bn", False)
    assert not any(parameter.requires_grad for parameter in loaded.net.parameters())
    chosen = torch.tensor([5, 6, 5])
    expected = loaded.net.embed(digits.images[chosen].repeat(1, 3, 1, 1))
    torch.testing.assert_close(loaded.features(digits, chosen), expected, rtol=1e-4, atol=1e-5)


def domain(channels: int, mean: float, std: float) -> Dataset:
    means, stds = (tuple(value + 0.01 * c for c in range(channels)) for value in (mean, std))
    images = toys.noise(4, channels, 8, 8)
    labels = torch.tensor([0, 1, 0, 1])
    return Dataset("toy", ("a", "b"), means, stds, images, labels, images, labels, checksum="toy")


@pytest.mark.parametrize(("channels", "own"), [(3, 3), (1, 3), (3, 1)])
def test_the_statistics_of_the_source(channels: int, own: int) -> None:
    """Pixel by pixel: back to [0, 1] with the target's numbers, to gray or RGB, on with the source's; no clamping."""
    target, source = domain(channels, 0.5, 0.2), domain(own, 0.3, 0.4)
    seen = renormalize.view("source", target, source)(target.images[:])
    for i in range(4):
        for c in range(own):
            planes = [target.images[i][k] * target.std[k] + target.mean[k] for k in range(channels)]
            plane = planes[c] if channels == own else sum(planes) / len(planes)
            torch.testing.assert_close(seen[i, c], (plane - source.mean[c]) / source.std[c])
    assert (target.images[:] * 0.2 + 0.5 < 0).any()  # there was something to clamp


def test_the_paper_lets_images_of_the_target_through_as_they_are() -> None:
    images = toys.noise(2, 3, 8, 8)
    assert InputTransform(3)(images) is images


def test_a_dataset_seen_with_its_own_statistics_does_not_change() -> None:
    target = domain(3, 0.5, 0.2)
    torch.testing.assert_close(renormalize.view("source", target, target)(target.images[:]), target.images[:])

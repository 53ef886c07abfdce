from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ddsweep import augment
from ddsweep.data import Dataset
from ddsweep.distill.methods.distribution_matching import DistributionMatching, Settings
from ddsweep.distill.synthetic import Synthetic
from ddsweep.registry.datasets import FULL_STRATEGY
from ddsweep.rng import Streams
from tests import toys

DM = Settings(batch_real=5, strategy=FULL_STRATEGY)


def only(net: torch.nn.Module, syn: Synthetic, data: Dataset, streams: Streams, settings: Settings = DM) -> Tensor:
    (loss,) = DistributionMatching(net, settings).episode(syn, data, streams)  # type: ignore[arg-type]
    return loss


def by_hand(net: toys.Net, images: Tensor, data: Dataset, streams: Streams, settings: Settings) -> Tensor:
    """One class, one image, one feature at a time."""
    total = torch.zeros(())
    for label in range(3):
        real = data.sample(label, settings.batch_real, streams.batch)
        change = augment.draw(streams.augment, 1, 8, settings.strategy, shared=True)

        def mean(batch: Tensor, change: augment.Params = change) -> Tensor:
            rows = [toys.by_hand(list(net.parameters()), augment.apply(x[None], change)[0])[0] for x in batch]
            return torch.stack([sum(column) / len(rows) for column in zip(*rows, strict=True)])

        theirs, ours = mean(real).detach(), mean(images[2 * label : 2 * label + 2])
        for a, b in zip(theirs, ours, strict=True):
            total = total + (a - b) ** 2
    return total


@pytest.mark.parametrize("strategy", ["none", FULL_STRATEGY])
def test_five_steps_follow_the_slow_implementation(strategy):
    data, syn, settings = toys.dataset(per_class=6), toys.synthetic(), Settings(5, strategy)
    streams, again = Streams(7), Streams(7)
    optimizer = torch.optim.SGD([syn.images], lr=1.0, momentum=0.5)
    images, velocity = syn.images.detach().clone(), torch.zeros_like(syn.images)
    for step in range(5):
        loss = only(toys.Net(seed=step), syn, data, streams, settings)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        expected = by_hand(toys.Net(seed=step), images.requires_grad_(), data, again, settings)
        velocity = 0.5 * velocity + torch.autograd.grad(expected, images)[0]
        images = (images - velocity).detach()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(syn.images.detach(), images, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("limit", [1, 5, 11, 4096])
def test_the_size_of_a_pass_does_not_change_the_loss(monkeypatch, limit):
    def value() -> Tensor:
        return only(toys.Net(), toys.synthetic(), toys.dataset(), Streams(7))

    expected = value()
    toys.bound_passes(monkeypatch, limit)
    torch.testing.assert_close(value(), expected, rtol=1e-12, atol=0)


def test_classes_may_have_fewer_images_than_a_batch():
    data, streams = toys.dataset(per_class=6), Streams(7)
    keep = torch.ones(len(data.labels), dtype=torch.bool)
    keep[data.per_class[1][2:]] = False  # class 1 keeps two images
    data = replace(data, images=data.images[keep], labels=data.labels[keep])
    loss = only(toys.Net(), toys.synthetic(), data, streams)
    expected = by_hand(toys.Net(), toys.synthetic().images, data, Streams(7), DM)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)


def passes(norm: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Size of every forward pass, and whether it keeps a graph."""
    net, seen = toys.Net(norm=norm), []
    toys.bound_passes(monkeypatch, limit)
    net.conv.register_forward_hook(lambda module, inputs, output: seen.append((len(output), output.requires_grad)))
    only(net, toys.synthetic(), toys.dataset(), Streams(7))
    return seen


def test_the_real_images_of_several_classes_share_a_pass_without_a_graph(monkeypatch):
    assert passes("group", 4096, monkeypatch) == [(15, False), (6, True)]
    assert passes("group", 11, monkeypatch) == [(11, False), (4, False), (6, True)]


def test_batch_norm_sees_all_classes_at_once(monkeypatch):
    assert passes("batch", 5, monkeypatch) == [(15, False), (6, True)]


def test_batch_norm_uses_the_statistics_of_the_pass():
    net, data, syn = toys.Net(norm="batch").eval(), toys.dataset(), toys.synthetic()
    loss = only(net, syn, data, Streams(7), Settings(5, "none"))
    streams = Streams(7)
    real = torch.cat([data.sample(label, 5, streams.batch) for label in range(3)])

    def means(images: Tensor) -> Tensor:
        plane = net.conv(images)
        mean, var = plane.mean(dim=(0, 2, 3), keepdim=True), plane.var(dim=(0, 2, 3), keepdim=True, unbiased=False)
        plane = ((plane - mean) / (var + 1e-5).sqrt()) * net.norm.weight[:, None, None] + net.norm.bias[:, None, None]
        pooled = torch.nn.functional.avg_pool2d(plane.clamp(min=0), 2).flatten(1)
        return pooled.view(3, -1, pooled.shape[1]).mean(dim=1)

    torch.testing.assert_close(loss, (means(real) - means(syn.images)).square().sum())


def test_the_net_stays_as_it_was_and_gets_no_gradient():
    net, syn = toys.Net(), toys.synthetic()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    only(net, syn, toys.dataset(), Streams(7)).backward()
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert syn.images.grad is not None
    assert syn.images.grad.abs().max() > 0


def test_an_episode_repeats_to_the_bit():
    losses = [only(toys.Net(), toys.synthetic(), toys.dataset(), Streams(7)) for _ in range(2)]
    assert torch.equal(*losses)

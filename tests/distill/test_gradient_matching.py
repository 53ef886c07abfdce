import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import augment, nn
from ddsweep.data import Dataset
from ddsweep.distill.methods import gradients as comparison
from ddsweep.distill.methods.gradient_matching import GradientMatching, Settings
from ddsweep.distill.methods.gradients import ClassGradients, distance
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError
from ddsweep.nn import optimizers
from ddsweep.numerics import Numerics
from ddsweep.registry.datasets import FULL_STRATEGY
from ddsweep.rng import Streams
from tests import toys


def episode(net: Any, synthetic: Synthetic, data: Dataset, streams: Streams, settings: Settings) -> Iterator[Tensor]:
    return GradientMatching(net, settings).episode(synthetic, data, streams)


# ---- the distance

SHAPES = [(4, 3, 3, 3), (4,), (4, 5, 5), (4,), (2, 16), (2,)]  # conv, bias, layer norm, bias, linear, bias


def gradients(seed: int) -> list[Tensor]:
    return [toys.noise(*shape, seed=10 * seed + number) for number, shape in enumerate(SHAPES)]


def rows_by_hand(ours: list[Tensor], theirs: list[Tensor]) -> float:
    total = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.ndim == 1:
            continue
        for x, y in zip(a.flatten(1).tolist(), b.flatten(1).tolist(), strict=True):
            dot = sum(p * q for p, q in zip(x, y, strict=True))
            total += 1 - dot / (math.hypot(*x) * math.hypot(*y) + 1e-6)
    return total


def flat(parts: list[Tensor]) -> list[float]:
    return [value for part in parts for value in part.flatten().tolist()]


def test_rows_is_one_minus_the_cosine_of_every_output():
    ours, theirs = gradients(1), gradients(2)
    assert distance(ours, theirs).item() == pytest.approx(rows_by_hand(ours, theirs), rel=1e-12)


def test_mse_is_the_squared_length_of_the_difference():
    ours, theirs = gradients(1), gradients(2)
    expected = sum((a - b) ** 2 for a, b in zip(flat(ours), flat(theirs), strict=True))
    assert distance(ours, theirs, "mse").item() == pytest.approx(expected, rel=1e-12)


def test_l1_is_the_sum_of_absolute_differences():
    ours, theirs = gradients(1), gradients(2)
    expected = sum(abs(a - b) for a, b in zip(flat(ours), flat(theirs), strict=True))
    assert distance(ours, theirs, "l1").item() == pytest.approx(expected, rel=1e-12)


def test_cos_is_one_minus_the_cosine_of_the_whole_gradient():
    ours, theirs = gradients(1), gradients(2)
    dot = sum(a * b for a, b in zip(flat(ours), flat(theirs), strict=True))
    expected = 1 - dot / (math.hypot(*flat(ours)) * math.hypot(*flat(theirs)) + 1e-6)
    assert distance(ours, theirs, "cos").item() == pytest.approx(expected, rel=1e-12)


def test_opposite_gradients_of_a_convnet3_are_788_apart():
    shapes = [parameter.shape for parameter in nn.build("convnet3").parameters()]
    ones = [torch.ones(shape, dtype=torch.float64) for shape in shapes]
    # 3·128 + 10 rows, each 1 + |a|²/(|a|² + 1e-6) or 2 up to 1e-6
    assert distance(ones, [-g for g in ones]).item() == pytest.approx(788, abs=1e-4)
    assert distance(ones, ones).item() == pytest.approx(0, abs=1e-4)


def test_a_row_of_zeros_contributes_one_and_a_vector_nothing():
    weight, bias = toys.noise(3, 5), toys.noise(3, seed=1)
    zeroed = weight.clone()
    zeroed[1] = 0
    assert distance([zeroed], [weight]).item() == pytest.approx(1, abs=1e-5)
    assert distance([weight], [zeroed]).item() == pytest.approx(1, abs=1e-5)
    assert distance([weight, bias], [weight, -bias]).item() == distance([weight], [weight]).item()


def test_the_distance_of_a_zero_gradient_is_differentiable():
    zero = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    distance([zero], [torch.zeros(2, 3, dtype=torch.float64)]).backward()
    assert zero.grad is not None
    assert torch.equal(zero.grad, torch.zeros_like(zero))


def test_an_unknown_metric_is_named():
    with pytest.raises(
        UserError, match=r"metric: unknown distance 'row'; did you mean rows\? \(allowed: cos, l1, mse, rows\)"
    ):
        distance([toys.noise(2, 2)], [toys.noise(2, 2)], "row")


# ---- the episode

DC = Settings(batch_real=5, strategy="none", outer_loops=5, inner_epochs=2, batch_train=4, lr_net=0.05)
DSA = Settings(batch_real=5, strategy=FULL_STRATEGY, outer_loops=5, inner_epochs=2, batch_train=4, lr_net=0.05)


def descend(images: Tensor, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward(inputs=[images])
    optimizer.step()


def run(settings: Settings, net: torch.nn.Module, syn: Synthetic, data: Dataset) -> list[float]:
    """What the loop of distillation does with an episode."""
    optimizer, losses = torch.optim.SGD([syn.images], lr=0.1, momentum=0.5), []
    for loss in episode(net, syn, data, Streams(7), settings):
        descend(syn.images, optimizer, loss)
        losses.append(loss.item())
    return losses


def gradient_by_hand(parameters: list[Tensor], images: Tensor, label: int, create_graph: bool) -> list[Tensor]:
    """Mean of the gradients of single images, each with the net written out."""
    losses = [toys.cross_entropy(toys.by_hand(parameters, x)[1], label) for x in images]
    return list(torch.autograd.grad(torch.stack(losses).mean(), parameters, create_graph=create_graph))


def run_by_hand(settings: Settings, net: toys.Net, images: Tensor, data: Dataset) -> tuple[list[float], Tensor]:
    """The protocol once more: one image, one class, one row at a time, and both optimizers written out."""
    streams, parameters = Streams(7), [p.detach().clone().requires_grad_() for p in net.parameters()]
    labels, velocity, losses = [0, 0, 1, 1, 2, 2], torch.zeros_like(images), []
    images = images.detach().clone()
    for step in range(settings.outer_loops):
        images.requires_grad_()
        total = torch.zeros(())
        for label in range(3):
            real = data.sample(label, settings.batch_real, streams.batch)
            change = augment.draw(streams.augment, 1, 8, settings.strategy, shared=True)
            theirs = gradient_by_hand(
                parameters, torch.cat([augment.apply(x[None], change) for x in real]), label, False
            )
            own = torch.cat([augment.apply(x[None], change) for x in images[2 * label : 2 * label + 2]])
            ours = gradient_by_hand(parameters, own, label, True)
            for a, b in zip(ours, theirs, strict=True):
                for x, y in zip(a, b, strict=True):
                    if a.ndim > 1:
                        total = total + 1 - (x * y).sum() / (x.pow(2).sum().sqrt() * y.pow(2).sum().sqrt() + 1e-6)
        losses.append(total.item())
        (gradient,) = torch.autograd.grad(total, images)
        velocity = 0.5 * velocity + gradient
        images = (images - 0.1 * velocity).detach()
        if step == settings.outer_loops - 1:
            break
        for _ in range(settings.inner_epochs):
            order = torch.randperm(6, generator=streams.batch).tolist()
            for chunk in (order[:4], order[4:]):
                batch = augment.independent(images[chunk], settings.strategy, streams.augment)
                pairs = zip(batch, chunk, strict=True)
                errors = [toys.cross_entropy(toys.by_hand(parameters, x)[1], labels[i]) for x, i in pairs]
                slopes = torch.autograd.grad(torch.stack(errors).mean(), parameters)
                parameters = [(p - 0.05 * g).detach().requires_grad_() for p, g in zip(parameters, slopes, strict=True)]
    return losses, images


@pytest.mark.parametrize("at_once", [512, 3])
@pytest.mark.parametrize("settings", [DC, DSA], ids=["dc", "dsa"])
def test_five_steps_follow_the_slow_implementation(monkeypatch, settings, at_once):
    toys.bound_passes(monkeypatch, at_once)
    net, syn, data = toys.Net(), toys.synthetic(), toys.dataset(per_class=6)
    losses, images = run_by_hand(settings, net, syn.images, data)
    assert run(settings, net, syn, data) == pytest.approx(losses, rel=1e-9)
    torch.testing.assert_close(syn.images.detach(), images, rtol=1e-8, atol=1e-9)
    assert len(set(losses)) == 5


@pytest.mark.parametrize(("room", "batches"), [(10**6, [3]), (2 * 13, [2, 1]), (2 * 13 - 1, []), (1, [])])
def test_as_many_classes_go_together_as_have_room(monkeypatch, room, batches):
    """A class counts its 5 real images, and its 2 synthetic ones four times."""

    def values(vectorize: bool) -> list[float]:
        matching = GradientMatching(toys.Net(), DSA, Numerics(vectorize=vectorize))
        return [loss.item() for loss in matching.episode(toys.synthetic(), toys.dataset(), Streams(7))]

    expected = values(vectorize=False)
    toys.bound_memory(monkeypatch, room)
    seen = toys.spy(monkeypatch, ClassGradients, "losses", lambda self, ours, real, label: len(ours))
    assert values(vectorize=True) == pytest.approx(expected, rel=1e-9)
    assert seen == batches * DSA.outer_loops


def test_an_episode_repeats_to_the_bit():
    def images() -> Tensor:
        syn = toys.synthetic()
        run(DSA, toys.Net(), syn, toys.dataset())
        return syn.images

    assert torch.equal(images(), images())


def test_the_gradient_is_the_slope_of_the_loss():
    data, syn = toys.dataset(), toys.synthetic()
    probe = toys.noise(*syn.images.shape, seed=11)

    def loss(images: Tensor) -> Tensor:
        return next(episode(toys.Net(), Synthetic(images, syn.labels, syn.ipc), data, Streams(7), DSA))

    (gradient,) = torch.autograd.grad(loss(syn.images), syn.images)
    up, down = (loss(syn.images + sign * 1e-6 * probe).item() for sign in (1, -1))
    assert (gradient * probe).sum().item() == pytest.approx((up - down) / 2e-6, rel=1e-4)


@pytest.mark.parametrize(("steps", "epochs", "trained"), [(1, 3, 0), (3, 2, 2 * 2 * 2), (2, 0, 0)])
def test_the_net_is_trained_between_losses_but_not_after_the_last(monkeypatch, steps, epochs, trained):
    taken = toys.spy(monkeypatch, optimizers.SGD, "step", lambda self: self.param_groups[0])
    settings = Settings(batch_real=5, outer_loops=steps, inner_epochs=epochs, batch_train=4)
    losses = list(episode(toys.Net(), toys.synthetic(), toys.dataset(), Streams(0), settings))
    assert len(losses) == steps
    assert len(taken) == trained  # two batches an epoch: 4 + 2 images
    assert all((group["lr"], group["momentum"], group["weight_decay"]) == (0.01, 0, 0) for group in taken)


def test_training_leaves_no_gradient_in_the_images():
    syn = toys.synthetic()
    list(episode(toys.Net(), syn, toys.dataset(), Streams(0), DC))
    assert syn.images.grad is None


def test_gradients_left_in_the_net_are_not_trained_on():
    def weights(backward: Callable[[Tensor, Tensor], None]) -> Tensor:
        net, syn = toys.Net(), toys.synthetic()
        for loss in episode(net, syn, toys.dataset(), Streams(0), DC):
            backward(loss, syn.images)
        return net.conv.weight

    careless, careful = weights(lambda loss, _: loss.backward()), weights(lambda loss, x: loss.backward(inputs=[x]))
    assert torch.equal(careless, careful)


def test_both_branches_of_a_class_see_the_same_change(monkeypatch):
    seen = toys.spy(monkeypatch, augment, "apply_by_class", lambda images, counts, changes: (counts, *changes))
    next(episode(toys.Net(), toys.synthetic(), toys.dataset(), Streams(0), DSA))
    assert [counts for counts, _ in seen] == [[5]] * 3 + [[2]] * 3  # the real side of all classes is one record
    assert [seen[label][1] is seen[label + 3][1] for label in range(3)] == [True] * 3
    assert len({id(change) for _, change in seen}) == 3


@pytest.mark.parametrize("metric", ["mse", "l1", "cos"])
def test_the_metric_reaches_the_distance(metric, monkeypatch):
    asked = toys.spy(monkeypatch, comparison, "distance", lambda ours, theirs, metric: metric)
    next(episode(toys.Net(), toys.synthetic(), toys.dataset(), Streams(0), Settings(batch_real=5, metric=metric)))
    assert asked == [metric] * 3


# ---- batch norm


def test_running_statistics_move_once_and_then_hold():
    net, data, streams = toys.Net(norm="batch"), toys.dataset(), Streams(7)
    maps = []
    net.conv.register_forward_hook(lambda module, inputs, output: maps.append(output.detach()))
    steps = episode(net, toys.synthetic(), data, streams, DC)
    next(steps)
    assert [len(part) for part in maps] == [3 * 16, *[5] * 3, *[2] * 3]  # 16 real images per class, as in DC's code
    settled = maps[0]
    torch.testing.assert_close(net.norm.running_mean, 0.1 * settled.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(net.norm.running_var, 0.9 + 0.1 * settled.var(dim=(0, 2, 3)))
    assert net.norm.num_batches_tracked == 1
    assert not net.norm.training
    assert net.training


def test_batch_norm_is_settled_anew_after_training():
    net = toys.Net(norm="batch")
    steps = episode(net, toys.synthetic(), toys.dataset(), Streams(7), DC)
    next(steps)
    next(steps)
    assert net.norm.num_batches_tracked == 1 + 2 * 2 + 1  # two epochs of two batches train it in between
    assert not net.norm.training


def test_a_net_without_batch_norm_draws_no_images_for_it():
    first, second = Streams(7), Streams(7)
    next(episode(toys.Net(), toys.synthetic(), toys.dataset(), first, DC))
    for label in range(3):
        toys.dataset().sample(label, 5, second.batch)
    assert torch.equal(first.batch.get_state(), second.batch.get_state())

"""Training by a rule: the rate of each step, augmentation, tests, several networks at once."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ddsweep import augment, nn
from ddsweep.augment import siamese
from ddsweep.evaluate import Rule, Score, named, trainer
from ddsweep.evaluate.trainer import Trainer
from ddsweep.nn import optimizers
from ddsweep.registry.datasets import FULL_STRATEGY
from tests import toys


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def rates(monkeypatch) -> list[tuple[int, float]]:
    """(optimizer, learning rate) of every step that is taken; optimizers are numbered as they appear."""
    taken: list[tuple[int, float]] = []
    known: list[optimizers.SGD] = []
    step = optimizers.SGD.step

    def recorded(self: optimizers.SGD) -> None:
        if self not in known:
            known.append(self)
        taken.append((known.index(self), self.param_groups[0]["lr"]))
        step(self)

    monkeypatch.setattr(optimizers.SGD, "step", recorded)
    return taken


def train(rule: Rule, generator: torch.Generator | None = None, net: toys.Net | None = None) -> Score:
    one = Trainer(toys.synthetic(), toys.dataset(), rule)
    return one.train([net or toys.Net()], [generator or seeded()])[0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(epochs=6), [(0, 0.01)] * 3 + [(0, 0.001)] * 3),
        (Rule(epochs=5, lr=0.1), [(0, 0.1)] * 3 + [(0, 0.01)] * 2),
        (Rule(epochs=1), [(0, 0.01)]),
        (Rule(epochs=6, restart=True), [(0, 0.01)] * 5 + [(1, 0.001)] * 2),
        (Rule(epochs=6, decays="twice"), [(0, 0.01)] * 4 + [(0, 0.002), (0, 0.0004)]),
        (Rule(epochs=6, decays="never", lr=0.2), [(0, 0.2)] * 6),
        (Rule(epochs=4, batch=4), [(0, 0.01)] * 4 + [(0, 0.001)] * 4),  # two batches an epoch
    ],
)
def test_the_rate_of_every_step(rates, rule, expected):
    train(rule)
    assert [number for number, _ in rates] == [number for number, _ in expected]
    assert [rate for _, rate in rates] == pytest.approx([rate for _, rate in expected])


@pytest.mark.parametrize(("restart", "images"), [(False, 512), (True, 512), (False, 3)])
def test_training_is_sgd_with_momentum_and_weight_decay(monkeypatch, restart, images):
    toys.bound_passes(monkeypatch, images)
    rule = Rule(epochs=4, batch=4, lr=0.05, strategy=FULL_STRATEGY, restart=restart)
    net, syn, generator = toys.Net(), toys.synthetic(), seeded()
    train(rule, seeded(), net)

    parameters = [p.detach().clone().requires_grad_() for p in toys.Net().parameters()]
    velocity: list[Tensor | None] = [None] * len(parameters)
    rates = [0.05] * 4 + [0.005] if restart else [0.05] * 2 + [0.005] * 2
    for number, rate in enumerate(rates):
        if restart and number == 4:
            velocity = [None] * len(parameters)
        order = torch.randperm(6, generator=generator).tolist()
        for chunk in (order[:4], order[4:]):
            batch = augment.independent(syn.images[chunk].detach(), FULL_STRATEGY, generator)
            pairs = zip(batch, syn.labels[chunk].tolist(), strict=True)
            losses = [toys.cross_entropy(toys.by_hand(parameters, x)[1], label) for x, label in pairs]
            slopes = torch.autograd.grad(torch.stack(losses).mean(), parameters)
            slopes = tuple(g + 5e-4 * p for g, p in zip(slopes, parameters, strict=True))
            velocity = [g if v is None else 0.9 * v + g for v, g in zip(velocity, slopes, strict=True)]
            moved = zip(parameters, velocity, strict=True)
            parameters = [(p - rate * v).detach().requires_grad_() for p, v in moved]  # type: ignore[operator]
    for ours, expected in zip(net.parameters(), parameters, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-10)


def test_every_pass_is_augmented_one_operation_a_batch(monkeypatch):
    drawn = toys.spy(monkeypatch, siamese, "draw", lambda generator, n, size, strategy, shared: (n, strategy, shared))
    train(Rule(epochs=3, batch=4, strategy="color"))
    assert drawn == [(4, "color", False), (2, "color", False)] * 3


@pytest.mark.parametrize("images", [512, 3])
def test_cutmix_trains_on_the_mean_of_both_classes_by_area(monkeypatch, images):
    """SGD on r·CE(y) + (1 - r)·CE(y of the other), image by image, after IDC's augmentation."""
    toys.bound_passes(monkeypatch, images)
    rule = Rule(epochs=5, batch=4, lr=0.05, strategy="color_crop_flip", operations="idc", cutmix=True, decays="never")
    net, syn, generator = toys.Net(), toys.synthetic(), seeded(3)
    train(rule, seeded(3), net)

    parameters = [p.detach().clone().requires_grad_() for p in toys.Net().parameters()]
    velocity: list[Tensor] = []
    mixed = 0
    for _ in range(5):
        order = torch.randperm(6, generator=generator).tolist()
        for chunk in (order[:4], order[4:]):
            batch = augment.combined.independent(syn.images[chunk].detach(), "color_crop_flip", generator)
            labels = syn.labels[chunk].tolist()
            cut = augment.cutmix.draw(generator, len(chunk), 8)
            losses = []
            for number, label in enumerate(labels):
                image, kept, other = batch[number].clone(), 1.0, number
                if cut is not None:
                    other = int(cut.order[number])
                    for i in range(cut.top, cut.bottom):
                        for j in range(cut.left, cut.right):
                            image[:, i, j] = batch[other][:, i, j]
                            kept -= 1 / 64
                logits = toys.by_hand(parameters, image)[1]
                second = toys.cross_entropy(logits, labels[other])
                losses.append(kept * toys.cross_entropy(logits, label) + (1 - kept) * second)
            mixed += cut is not None
            slopes = torch.autograd.grad(torch.stack(losses).mean(), parameters)
            slopes = tuple(g + 5e-4 * p for g, p in zip(slopes, parameters, strict=True))
            velocity = [0.9 * v + g for v, g in zip(velocity, slopes, strict=True)] if velocity else list(slopes)
            moved = zip(parameters, velocity, strict=True)
            parameters = [(p - 0.05 * v).detach().requires_grad_() for p, v in moved]
    assert 0 < mixed < 10
    for ours, expected in zip(net.parameters(), parameters, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-10)


def test_dc_rules_use_dc_operations(monkeypatch):
    used = toys.spy(monkeypatch, augment, "dc", lambda images, strategy, generator: strategy)
    train(replace(named("dc", arch="convnet3-bn"), epochs=2))
    assert used == ["crop_noise"] * 3


@pytest.mark.parametrize(("checks", "expected"), [(1, Score(0.4, [0.4])), (4, Score(0.9, [0.8, 1.0]))])
def test_the_last_test_counts_unless_the_best_is_asked_for(monkeypatch, checks, expected):
    """Of equally good ones the first."""
    several = [Score(0.3, [0.3]), Score(0.9, [0.8, 1.0]), Score(0.9, [1.0, 0.8]), Score(0.4, [0.4])]
    results = iter(several[-1:] if checks == 1 else several)
    monkeypatch.setattr(trainer, "accuracy", lambda net, data: next(results))
    assert train(Rule(epochs=8, checks=checks)) == expected
    assert not list(results)


@pytest.mark.parametrize("batch", [1, 4, 512])
def test_accuracy_is_counted_over_the_whole_test_set(monkeypatch, batch):
    toys.bound_passes(monkeypatch, batch)
    net, data = toys.Net(), toys.dataset()
    uneven = torch.tensor([0, 1, 2, 3, 4, 5, 6, 8, 9, 12, 15, 20])  # 6, 2 and 4 images of the three classes
    data = replace(data, test_images=data.test_images[uneven], test_labels=data.test_labels[uneven])
    hits: dict[int, list[bool]] = {0: [], 1: [], 2: []}
    for image, label in zip(data.test_images[:], data.test_labels.tolist(), strict=True):
        hits[label].append(int(toys.by_hand(list(net.parameters()), image)[1].argmax()) == label)
    tested = trainer.accuracy(net, data)
    assert tested.accuracy == pytest.approx(sum(map(sum, hits.values())) / 12)
    assert tested.by_class == pytest.approx([sum(hits[label]) / len(hits[label]) for label in range(3)])
    assert 0 < tested.accuracy < 1


def test_batch_norm_is_tested_with_running_statistics_and_trained_without(monkeypatch):
    net, modes = toys.Net(norm="batch"), []
    net.norm.register_forward_hook(lambda module, inputs, output: modes.append((module.training, len(output))))
    train(Rule(epochs=2, checks=2), net=net)
    assert modes == [(True, 6), (False, 21)] * 2


@pytest.mark.parametrize(
    "rule",
    [
        Rule(epochs=4, strategy=FULL_STRATEGY),
        Rule(epochs=5, restart=True, checks=3),
        Rule(epochs=4, batch=4, strategy="color_crop", operations="idc", cutmix=True, decays="twice"),
    ],
)
@pytest.mark.parametrize("arch", ["convnet1", "convnet3-bn"])
def test_networks_trained_together_are_those_trained_alone(arch, rule):
    """To rounding, checked on the weights; their tests then agree but for images that lie on a boundary."""
    data, syn = toys.dataset(), toys.synthetic(ipc=3)
    alone, together = ([build(arch, seed) for seed in range(3)] for _ in range(2))
    scores = [Trainer(syn, data, rule).train([net], [seeded(seed)])[0] for seed, net in enumerate(alone)]
    found = Trainer(syn, data, rule).train(together, [seeded(seed) for seed in range(3)])
    for one, other in zip(alone, together, strict=True):
        for ours, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    assert [score.accuracy for score in found] == pytest.approx([score.accuracy for score in scores])


def build(arch: str, seed: int) -> nn.Network:
    return nn.build(arch, channels=3, classes=3, size=8, width=4, generator=seeded(seed)).double()

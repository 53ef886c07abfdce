from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ddsweep import augment, nn
from ddsweep.augment import siamese
from ddsweep.errors import UserError
from ddsweep.evaluate import RULES, Evaluation, Rule, Score, evaluate, named, trainer
from ddsweep.evaluate.trainer import Trainer
from ddsweep.numerics import Numerics
from ddsweep.registry.datasets import FULL_STRATEGY, NO_FLIP_STRATEGY
from tests import toys


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def rates(monkeypatch) -> list[tuple[int, float]]:
    """(optimizer, learning rate) of every step that is taken; optimizers are numbered as they appear."""
    taken: list[tuple[int, float]] = []
    optimizers: list[torch.optim.SGD] = []
    step = torch.optim.SGD.step

    def recorded(self: torch.optim.SGD) -> None:
        if self not in optimizers:
            optimizers.append(self)
        taken.append((optimizers.index(self), self.param_groups[0]["lr"]))
        step(self)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    return taken


# ---- the rule: which pass, at which rate


def train(rule: Rule, generator: torch.Generator | None = None, net: toys.Net | None = None) -> Score:
    one = Trainer(toys.synthetic(), toys.dataset(), rule)
    return one.train([net or toys.Net()], [generator or seeded()])[0]


def test_the_paper_takes_1000_passes_and_a_tenth_of_the_rate_from_500():
    rule = named("paper", FULL_STRATEGY)
    assert (rule.total_epochs, rule.decay_epoch, rule.lr, rule.batch, rule.strategy) == (
        1000,
        500,
        0.01,
        256,
        FULL_STRATEGY,
    )
    assert [done for done in range(1, 1001) if rule.is_tested(done)] == [1000]


def test_evaluate_synset_takes_one_pass_more_and_falls_two_later():
    rule = named("evaluate_synset", FULL_STRATEGY)
    assert (rule.total_epochs, rule.decay_epoch, rule.strategy) == (1001, 502, FULL_STRATEGY)


def test_evaluate_synset_without_augmentation_is_plain300():
    assert named("evaluate_synset", "none") == named("plain300") == Rule(epochs=300, restart=True)
    assert (named("plain300").total_epochs, named("plain300").decay_epoch) == (301, 152)


def test_best_tests_every_fifty_epochs():
    assert [done for done in range(1, 1001) if named("best").is_tested(done)] == list(range(50, 1001, 50))


@pytest.mark.parametrize(
    ("rule", "tested"),
    [
        (Rule(epochs=8, checks=3), [2, 4, 6, 8]),
        (Rule(epochs=8, checks=3, restart=True), [3, 6, 9]),  # of nine passes
        (Rule(epochs=3, checks=20), [1, 2, 3]),
        (Rule(epochs=7, checks=2), [3, 6, 7]),
    ],
)
def test_tests_are_evenly_spaced_over_the_passes(rule, tested):
    assert [done for done in range(1, rule.total_epochs + 1) if rule.is_tested(done)] == tested


@pytest.mark.parametrize(
    ("dataset", "arch", "strategy", "epochs"),
    [
        ("digits", "convnet3", "crop_scale_rotate", 1000),
        ("mnist", "convnet3", "crop_scale_rotate", 1000),
        ("fashionmnist", "convnet3", "none", 300),
        ("cifar10", "convnet3-bn", "crop_noise", 1000),
        ("digits", "convnet3-bn", "crop_noise", 1000),
        ("cifar10", "convnet3", "none", 300),
        ("cifar10", "resnet18-bn", "none", 300),
    ],
)
def test_dc_augments_digits_and_convnets_with_batch_norm(dataset, arch, strategy, epochs):
    rule = named("dc", dataset=dataset, arch=arch)
    assert (rule.strategy, rule.epochs, rule.restart) == (strategy, epochs, True)
    assert strategy == "none" or rule.operations == "dc"


def test_an_unknown_rule_is_named():
    with pytest.raises(UserError, match="rule: unknown evaluation rule 'papre'; did you mean paper"):
        named("papre")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(epochs=6), [(0, 0.01)] * 3 + [(0, 0.001)] * 3),
        (Rule(epochs=5, lr=0.1), [(0, 0.1)] * 3 + [(0, 0.01)] * 2),
        (Rule(epochs=1), [(0, 0.01)]),
        (Rule(epochs=6, restart=True), [(0, 0.01)] * 5 + [(1, 0.001)] * 2),
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


# ---- the test


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


# ---- several networks


def run(n: int, seed: int = 0, **options) -> Evaluation:
    single = torch.float32
    rule = Rule(epochs=12, lr=0.1, strategy=FULL_STRATEGY)
    data = toys.dataset(per_class=5, dtype=single)
    syn = toys.synthetic(dtype=single)
    return evaluate(syn, data, "convnet1", n, seeded(seed), rule, width=4, **options)


def test_a_network_does_not_depend_on_how_many_there_are():
    assert run(3).accuracies[:2] == run(2).accuracies
    assert run(1).accuracies == run(2).accuracies[:1]


def test_the_generator_moves_by_the_same_for_any_number_of_networks():
    generators, single = (seeded(), seeded()), torch.float32
    data, syn, rule = toys.dataset(dtype=single), toys.synthetic(dtype=single), Rule(epochs=1)
    for n, generator in zip((1, 3), generators, strict=True):
        evaluate(syn, data, "convnet1", n, generator, rule, width=4)
    assert torch.equal(*(generator.get_state() for generator in generators))


def test_an_evaluation_repeats_and_another_seed_differs():
    assert run(2) == run(2)
    assert run(2).class_accuracy != run(2, seed=1).class_accuracy


@pytest.mark.parametrize("name", RULES)
def test_a_rule_by_name_takes_the_augmentation_of_the_dataset(monkeypatch, name):
    """The paper's rule is what one gets without asking."""
    data = replace(toys.dataset(dtype=torch.float32), name="digits")
    syn = toys.synthetic(dtype=torch.float32)
    used = []

    def train(trainer, *_):
        used.append(trainer.rule)
        return [Score(0.5, [0.5] * 3)]

    monkeypatch.setattr(Trainer, "train", train)
    evaluate(syn, data, "convnet1", 1, seeded(), name, width=4)
    assert used == [named(name, NO_FLIP_STRATEGY, "digits", "convnet1")]
    evaluate(syn, replace(data, name="nobody knows"), "convnet1", 1, seeded(), width=4)
    assert used[1] == Rule(epochs=1000, batch=256, lr=0.01, strategy=FULL_STRATEGY)


def test_networks_differ_in_their_initial_weights(monkeypatch):
    drawn = toys.spy(
        monkeypatch, Trainer, "train", lambda _, nets, *__: tuple(nets[0].classifier.weight.flatten().tolist())
    )
    run(3)
    assert len(set(drawn)) == 3


def test_accuracies_are_averaged_over_networks(monkeypatch):
    results = iter([[Score(0.25, [0.5, 0.0])], [Score(0.75, [0.5, 1.0])], [Score(0.80, [0.8, 0.8])]])
    monkeypatch.setattr(Trainer, "train", lambda *_: next(results))
    evaluation = run(3)
    assert evaluation.accuracies == [0.25, 0.75, 0.80]
    assert evaluation.class_accuracy == pytest.approx([0.6, 0.6])
    assert evaluation.mean == pytest.approx(0.6)
    assert evaluation.std == pytest.approx(np.std([0.25, 0.75, 0.80]))


def test_training_on_real_images_beats_chance_and_noise():
    data = toys.dataset(dtype=torch.float32)
    noise = toys.synthetic(ipc=5, dtype=torch.float32)
    real = replace(noise, images=torch.cat([data.sample(label, 5, seeded()) for label in range(3)]))
    rule = Rule(epochs=30, lr=0.05)
    scores = [evaluate(syn, data, "convnet1", 2, seeded(), rule, width=8).mean for syn in (real, noise)]
    assert scores[0] > 0.9
    assert scores[1] < 0.7


def test_the_synthetic_set_is_left_alone():
    syn = toys.synthetic()
    before = syn.images.detach().clone()
    Trainer(syn, toys.dataset(), Rule(epochs=2, strategy=FULL_STRATEGY)).train([toys.Net()], [seeded()])
    assert syn.images.grad is None
    assert torch.equal(syn.images, before)


def test_progress_is_told_every_ten_epochs_of_all_networks():
    calls: list[tuple[int, int]] = []
    run(2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(10, 24), (12, 24), (22, 24), (24, 24)]


# ---- several networks at once


@pytest.mark.parametrize("rule", [Rule(epochs=4, strategy=FULL_STRATEGY), Rule(epochs=5, restart=True, checks=3)])
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


def test_an_evaluation_is_the_same_one_by_one_and_together():
    ways = [run(3, numerics=Numerics(vectorize=together)) for together in (False, True)]
    assert ways[0].accuracies == pytest.approx(ways[1].accuracies, abs=0.06)  # 21 test images: one may tip over


@pytest.mark.parametrize(("room", "groups"), [(10**6, [5]), (6 * 4, [3, 2]), (6 * 2, [2, 2, 1]), (5, [1] * 5)])
def test_as_many_networks_go_together_as_have_room(monkeypatch, room, groups):
    expected = run(5).accuracies
    toys.bound_memory(monkeypatch, room)
    seen = toys.spy(monkeypatch, Trainer, "train", lambda self, nets, *rest: len(nets))
    assert run(5, numerics=Numerics(vectorize=True)).accuracies == pytest.approx(expected, abs=0.06)
    assert seen == groups

"""Evaluation over several networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ddsweep.evaluate import RULES, Evaluation, Rule, Score, evaluate, named
from ddsweep.evaluate.trainer import Trainer
from ddsweep.numerics import Numerics
from ddsweep.registry.datasets import FULL_STRATEGY, NO_FLIP_STRATEGY
from tests import toys


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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
    syn = replace(toys.synthetic(dtype=torch.float32), lr=0.03)
    used = []

    def train(trainer, *_):
        used.append(trainer.rule)
        return [Score(0.5, [0.5] * 3)]

    monkeypatch.setattr(Trainer, "train", train)
    evaluate(syn, data, "convnet1", 1, seeded(), name, width=4)
    rule = named(name, NO_FLIP_STRATEGY, "digits", "convnet1")
    assert used == [replace(rule, lr=0.03) if name == "tm" else rule]
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
    assert calls == [(0, 24), (10, 24), (12, 24), (22, 24), (24, 24)]


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

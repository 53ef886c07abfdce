"""Evaluation rules: epochs, learning rates, augmentation, and the tests that count."""

from dataclasses import replace

import pytest

from ddsweep.errors import UserError
from ddsweep.evaluate import RULES, Rule, at_rate, named
from ddsweep.registry.datasets import FULL_STRATEGY, NO_FLIP_STRATEGY


def test_the_paper_takes_1000_passes_and_a_tenth_of_the_rate_from_500():
    rule = named("paper", FULL_STRATEGY)
    assert (rule.total_epochs, rule.decay_epochs, rule.lr, rule.batch, rule.strategy) == (
        1000,
        (500,),
        0.01,
        256,
        FULL_STRATEGY,
    )
    assert [done for done in range(1, 1001) if rule.is_tested(done)] == [1000]


def test_evaluate_synset_takes_one_pass_more_and_falls_two_later():
    rule = named("evaluate_synset", FULL_STRATEGY)
    assert (rule.total_epochs, rule.decay_epochs, rule.strategy) == (1001, (502,), FULL_STRATEGY)


def test_evaluate_synset_without_augmentation_is_plain300():
    assert named("evaluate_synset", "none") == named("plain300") == Rule(epochs=300, restart=True)
    assert (named("plain300").total_epochs, named("plain300").decay_epochs) == (301, (152,))


def test_best_tests_every_fifty_epochs():
    assert [done for done in range(1, 1001) if named("best").is_tested(done)] == list(range(50, 1001, 50))


@pytest.mark.parametrize("name", ["idc", "dream"])
def test_idc_and_dream_mix_and_take_the_best_of_four_tests(name):
    rule = named(name, FULL_STRATEGY)
    assert rule == Rule(
        epochs=1000, batch=64, lr=0.01, strategy="color_crop_flip_scale_rotate", operations="idc", cutmix=True,
        decays="twice", checks=4,
    )  # fmt: skip
    rates = [rule.rate(epoch) for epoch in range(1000)]
    assert rates == pytest.approx([0.01] * 666 + [0.002] * 167 + [0.0004] * 167)
    assert [done for done in range(1, 1001) if rule.is_tested(done)] == [250, 500, 750, 1000]
    assert named(name, NO_FLIP_STRATEGY).strategy == "color_crop_scale_rotate"


def test_tm_takes_1001_passes_at_the_learned_rate_and_the_last_test():
    rule = named("tm", FULL_STRATEGY)
    assert rule == Rule(epochs=1000, batch=256, lr=0.0, strategy=FULL_STRATEGY, restart=True)
    rates = [replace(rule, lr=0.03).rate(epoch) for epoch in range(rule.total_epochs)]
    assert rates == pytest.approx([0.03] * 502 + [0.003] * 499)
    assert [done for done in range(1, 1002) if rule.is_tested(done)] == [1001]


def test_dim_has_a_constant_rate_and_takes_the_best_of_five_tests():
    rule = named("dim", FULL_STRATEGY)
    assert rule == Rule(
        epochs=1000, batch=64, lr=0.01, strategy="color_crop", operations="idc", decays="never", checks=5, fresh=True
    )  # fmt: skip
    assert {rule.rate(epoch) for epoch in range(1000)} == {0.01}
    assert [done for done in range(1, 1001) if rule.is_tested(done)] == [200, 400, 600, 800, 1000]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_without_augmentation_has_none(name):
    assert named(name, dataset="cifar10").strategy == "none"


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
    with pytest.raises(UserError, match="rule: unknown evaluation 'papre'; did you mean paper"):
        named("papre")


def test_the_learned_rate_of_a_set():
    tm = named("tm", "crop")
    assert at_rate(tm, 0.03) == replace(tm, lr=0.03)
    assert at_rate(named("paper"), 0.03) == named("paper")
    for rate, line in ((None, "no learning rate was learned"), (-0.5, "rate -0.5 of this set is not positive")):
        with pytest.raises(UserError, match=f"eval_lr: .*{line}.*; set eval_lr"):
            at_rate(tm, rate)

"""The choices of an evaluation: those of a set's trial, those that were asked for, and the rate learned with a set."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.exchange.image_set import Facts
from ddsweep.judging import Job, choices_of
from ddsweep.recipe import make

OWN = make({"target": "digits", "ipc": 2, "alpha": 0, "eval_epochs": 20, "eval_lr": 0.05}).model_dump()


def judged(facts: Facts, asked: dict[str, Any], dataset: str | None = None) -> tuple[Any, ...]:
    """Rule, epochs, batch size, learning rate and augmentation of the evaluation."""
    recipe = Job("digits", choices_of(facts, dataset, asked), "cpu", scored=False).recipe(16)
    return recipe.eval_rule, recipe.eval_epochs, recipe.eval_batch, recipe.eval_lr, recipe.eval_strategy


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ("paper", 20, 256, 0.05, "color_crop_cutout_scale_rotate")),
        ({"eval_rule": "paper"}, ("paper", 20, 256, 0.05, "color_crop_cutout_scale_rotate")),
        ({"eval_batch": 8}, ("paper", 20, 8, 0.05, "color_crop_cutout_scale_rotate")),
        ({"eval_rule": "idc"}, ("idc", 1000, 64, 0.01, "color_crop_scale_rotate")),
        ({"eval_rule": "dim", "eval_epochs": 50}, ("dim", 50, 64, 0.01, "color_crop")),
        ({"eval_rule": "plain300"}, ("plain300", 300, 256, 0.01, "none")),
    ],
)
def test_another_rule_than_the_trials_brings_its_numbers(asked: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert judged(Facts("digits", recipe=OWN), asked) == expected


def test_another_dataset_has_the_defaults_of_the_rule() -> None:
    found = judged(Facts("shapes", recipe=OWN), {}, "digits")
    assert found == ("paper", 1000, 256, 0.01, "color_crop_cutout_scale_rotate")


def test_tm_trains_at_the_rate_that_was_learned_with_the_set() -> None:
    full = "color_crop_cutout_scale_rotate"
    assert judged(Facts("digits", lr=0.03), {"eval_rule": "tm"}) == ("tm", 1000, 256, 0.03, full)
    assert judged(Facts("digits", lr=0.03), {"eval_rule": "tm", "eval_lr": 0.1}) == ("tm", 1000, 256, 0.1, full)
    assert judged(Facts("digits", lr=0.03), {}) == ("paper", 1000, 256, 0.01, full)


@pytest.mark.parametrize(
    ("rate", "line"),
    [
        (None, "eval_lr: dm learns no learning rate for networks on its set; set eval_lr"),
        (-0.1, "eval_lr: -0.1 is not"),
    ],
)
def test_a_set_without_a_usable_rate_is_refused_by_tm(rate: float | None, line: str) -> None:
    with pytest.raises(Exception, match=line):
        judged(Facts("digits", lr=rate), {"eval_rule": "tm"})

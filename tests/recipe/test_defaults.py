"""Defaults that depend on other fields, and neutral values of fields that have no effect."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.recipe import make
from ddsweep.registry.methods import LOOPS


@pytest.mark.parametrize(
    ("method", "ipc", "target", "alpha"),
    [
        ("dc", 10, "cifar10", 1000),
        ("dc", 50, "cifar10", 5000),
        ("dsa", 10, "cifar10", 5000),
        ("dsa", 50, "cifar10", 1000),
        ("dm", 10, "cifar10", 2000),
        ("dm", 50, "cifar10", 1000),
        ("dc", 10, "cifar100", 10000),
        ("dm", 50, "cifar100", 1),
        ("dsa", 50, "cifar100", 10),
        ("dm", 10, "digits", 2000),
    ],
)
def test_alpha_by_method_and_ipc(method: str, ipc: int, target: str, alpha: float) -> None:
    assert make({"method": method, "ipc": ipc, "target": target}).alpha == alpha


@pytest.mark.parametrize(("ipc", "loops"), LOOPS.items())
def test_loops_by_ipc(ipc: int, loops: tuple[int, int]) -> None:
    recipe = make({"method": "dc", "ipc": ipc})
    assert (recipe.outer_loops, recipe.inner_epochs) == loops
    assert (recipe.iterations, recipe.lr_img, recipe.init, recipe.dsa_strategy) == (1000, 0.1, "noise", "none")


def test_what_has_no_effect_does_not_make_another_experiment() -> None:
    baseline = make({"alpha": 0})
    for choices in ({"regularizer": "none"}, {"alpha": 0.0, "n_models": 10}, {"regularizer": "none", "ptm_epoch": 4}):
        assert make(choices).key() == baseline.key()
    assert make({"method": "dm", "inner_epochs": 7, "distance": "mse"}).key() == make({"method": "dm"}).key()
    assert make({"method": "dc", "dsa_strategy": "crop"}).key() == make({"method": "dc"}).key()
    assert make({"source": "cifar10"}).key() == make({"source": "target"}).key()
    assert make({"ptm_archs": "vgg11+convnet3"}).key() == make({"ptm_archs": "convnet3+vgg11"}).key()


def test_a_published_model_guides_as_it_is() -> None:
    recipe = make({"target": "imagenette", "source": "imagenet", "arch": "convnet6", "ipc": 1})
    assert (recipe.regularizer, recipe.ptm_archs, recipe.n_models, recipe.ptm_statistics) == (
        "cclom",
        "resnet18-imagenet",
        1,
        "source",
    )
    training = ("ptm_epoch", "ptm_train_epochs", "ptm_lr", "ptm_weight_decay", "ptm_batch")
    assert not any(getattr(recipe, field) for field in training)
    for choices in ({"n_models": 10}, {"ptm_epoch": 4}, {"ptm_lr": 0.1}, {"ptm_statistics": "target"}):
        given = {"target": "imagenette", "source": "imagenet", "arch": "convnet6", "ipc": 1} | choices
        assert make(given).key() == recipe.key()
    assert make({"source": "internet"}).ptm_archs == "clip-rn50"
    assert make({"source": "internet"}).title() == "dm · ipc 50 · α 1000 · clip-rn50 · from internet · seed 0"
    assert recipe.ptm_alphas == {"resnet18-imagenet": 1000}


@pytest.mark.parametrize(
    ("choices", "rule", "epochs", "strategy"),
    [
        ({}, "paper", 1000, "color_crop_cutout_flip_scale_rotate"),
        ({"eval_rule": "best", "eval_strategy": "none"}, "best", 1000, "none"),
        ({"eval_rule": "evaluate_synset", "eval_strategy": "crop"}, "evaluate_synset", 1000, "crop"),
        ({"eval_rule": "evaluate_synset", "eval_strategy": "none"}, "plain300", 300, "none"),
        ({"eval_rule": "plain300", "eval_strategy": "crop"}, "plain300", 300, "none"),
        ({"eval_rule": "plain300", "eval_epochs": 20}, "plain300", 20, "none"),
        ({"eval_rule": "dc"}, "dc", 0, "none"),
        ({"eval_rule": "dc", "eval_epochs": 20}, "dc", 20, "none"),
    ],
)
def test_rules_of_evaluation(choices: dict[str, Any], rule: str, epochs: int, strategy: str) -> None:
    recipe = make(choices)
    assert (recipe.eval_rule, recipe.eval_epochs, recipe.eval_strategy) == (rule, epochs, strategy)


def test_statistics_matter_only_across_domains() -> None:
    assert make({"ptm_statistics": "source"}).key() == make({}).key()
    assert make({"ptm_statistics": "source", "alpha": 0}).key() == make({"alpha": 0}).key()
    across = {"source": "cifar100"}
    assert make(across | {"ptm_statistics": "source"}).key() != make(across).key()

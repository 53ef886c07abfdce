"""Defaults that depend on other fields, and neutral values of fields that have no effect."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.errors import UserError
from ddsweep.recipe import make


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


@pytest.mark.parametrize(
    ("ipc", "loops"), [(1, (1, 1)), (10, (10, 50)), (20, (20, 25)), (30, (30, 20)), (40, (40, 15)), (50, (50, 10))]
)
def test_loops_by_ipc(ipc: int, loops: tuple[int, int]) -> None:
    recipe = make({"method": "dc", "ipc": ipc})
    assert (recipe.outer_loops, recipe.inner_epochs) == loops


FULL = "color_crop_cutout_flip_scale_rotate"
MATCHED = {"batch_real": 256, "batch_train": 256, "lr_net": 0.01, "distance": "rows"}
UNTRAINED = {
    "batch_real": 256,
    "batch_train": 0,
    "lr_net": 0.0,
    "distance": "none",
    "outer_loops": 1,
    "inner_epochs": 0,
}


@pytest.mark.parametrize(
    ("method", "published"),
    [
        ("dc", {"init": "noise", "iterations": 1000, "lr_img": 0.1, "dsa_strategy": "none"} | MATCHED),
        ("dsa", {"init": "real", "iterations": 1000, "lr_img": 0.1, "dsa_strategy": FULL} | MATCHED),
        ("dm", {"init": "real", "iterations": 20000, "lr_img": 1.0, "dsa_strategy": FULL} | UNTRAINED),
    ],
)
def test_a_method_has_the_defaults_of_its_publication(method: str, published: dict[str, Any]) -> None:
    recipe = make({"method": method}).model_dump()
    assert {field: recipe[field] for field in published} == published


@pytest.mark.parametrize(("ipc", "rate"), [(1, 1.0), (50, 1.0), (125, 1.0), (126, 10.0), (500, 10.0)])
def test_dm_takes_larger_steps_on_large_sets(ipc: int, rate: float) -> None:
    assert make({"method": "dm", "ipc": ipc}).lr_img == rate
    assert make({"method": "dsa", "ipc": ipc, "outer_loops": 1, "inner_epochs": 1}).lr_img == 0.1


def test_ptms_are_trained_as_in_the_paper() -> None:
    recipe = make({})
    published = {"ptm_train_epochs": 150, "ptm_epoch": 150, "ptm_lr": 0.01, "ptm_weight_decay": 0.005, "ptm_batch": 256}
    assert {field: getattr(recipe, field) for field in published} == published
    assert (recipe.n_models, recipe.ptm_archs, recipe.source, recipe.regularizer) == (1, "convnet3", "target", "clom")


def test_cclom_compares_with_as_many_real_images_as_in_the_paper() -> None:
    """8196, as the example of the released code has it, and not 8192."""
    across = make({"source": "cifar100"})
    assert (across.regularizer, across.alpha, across.cclom_batch) == ("cclom", 1000.0, 8196)
    assert make({}).cclom_batch == 0


def test_evaluation_has_the_defaults_of_the_paper() -> None:
    recipe = make({})
    published = {"eval_rule": "paper", "eval_epochs": 1000, "eval_batch": 256, "eval_lr": 0.01, "eval_strategy": FULL}
    assert {field: getattr(recipe, field) for field in published} == published


def test_choices_without_effect_do_not_change_the_key() -> None:
    baseline = make({"alpha": 0})
    for choices in ({"regularizer": "none"}, {"alpha": 0.0, "n_models": 10}, {"regularizer": "none", "ptm_epoch": 4}):
        assert make(choices).key() == baseline.key()
    assert make({"method": "dm", "inner_epochs": 7, "distance": "mse"}).key() == make({"method": "dm"}).key()
    assert make({"method": "dc", "dsa_strategy": "crop"}).key() == make({"method": "dc"}).key()
    assert make({"source": "cifar10"}).key() == make({"source": "target"}).key()
    assert make({"ptm_archs": "vgg11+convnet3"}).key() == make({"ptm_archs": "convnet3+vgg11"}).key()


def test_a_published_model_is_used_as_is() -> None:
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
        ({"eval_rule": "idc"}, "idc", 1000, "color_crop_flip_scale_rotate"),
        ({"eval_rule": "dream", "target": "svhn"}, "dream", 1000, "color_crop_scale_rotate"),
        ({"eval_rule": "idc", "eval_strategy": "cutout_crop"}, "idc", 1000, "crop"),
        ({"eval_rule": "idc", "eval_strategy": "cutout"}, "idc", 1000, "none"),
        ({"eval_rule": "tm", "eval_lr": 0.02}, "tm", 1000, "color_crop_cutout_flip_scale_rotate"),
        ({"eval_rule": "dim"}, "dim", 1000, "color_crop"),
    ],
)
def test_defaults_of_the_evaluation_rules(choices: dict[str, Any], rule: str, epochs: int, strategy: str) -> None:
    recipe = make(choices)
    assert (recipe.eval_rule, recipe.eval_epochs, recipe.eval_strategy) == (rule, epochs, strategy)


@pytest.mark.parametrize(
    ("rule", "batch", "rate"),
    [("paper", 256, 0.01), ("best", 256, 0.01), ("dc", 256, 0.01), ("idc", 64, 0.01), ("dream", 64, 0.01),
     ("dim", 64, 0.01)],
)  # fmt: skip
def test_batch_and_rate_of_the_evaluation_rules(rule: str, batch: int, rate: float) -> None:
    recipe = make({"eval_rule": rule})
    assert (recipe.eval_batch, recipe.eval_lr) == (batch, rate)
    chosen = make({"eval_rule": rule, "eval_batch": 7, "eval_lr": 0.5})
    assert (chosen.eval_batch, chosen.eval_lr) == (7, 0.5)


def test_an_unknown_operation_is_reported_under_every_rule() -> None:
    for rule in ("paper", "plain300", "idc", "dim"):
        with pytest.raises(UserError, match="eval_strategy: unknown operation 'cutot'"):
            make({"eval_rule": rule, "eval_strategy": "color_cutot"})


def test_only_sets_with_a_learned_rate_are_evaluated_at_it() -> None:
    for choices in ({"eval_rule": "tm"}, {"eval_lr": 0.0}):
        with pytest.raises(UserError, match="eval_lr: dm learns no learning rate for networks on its set"):
            make(choices)


def test_statistics_matter_only_across_domains() -> None:
    assert make({"ptm_statistics": "source"}).key() == make({}).key()
    assert make({"ptm_statistics": "source", "alpha": 0}).key() == make({"alpha": 0}).key()
    across = {"source": "cifar100"}
    assert make(across | {"ptm_statistics": "source"}).key() != make(across).key()

"""The recipe: defaults that can be seen, one spelling per experiment, one line per mistake."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddsweep.errors import UserError
from ddsweep.recipe import LOOPS, Recipe, make

PLUGGED = ("options", "plugins")  # of plugins' parts only: see tests/plugins


def test_the_default_is_a_published_cell() -> None:
    recipe = make({})
    assert (recipe.method, recipe.ipc, recipe.iterations, recipe.lr_img, recipe.init) == ("dm", 50, 20000, 1.0, "real")
    assert (recipe.regularizer, recipe.alpha, recipe.archs, recipe.n_models, recipe.ptm_epoch) == (
        "clom", 1000.0, "convnet3", 1, 150,
    )  # fmt: skip
    assert (recipe.eval_epochs, recipe.eval_batch, recipe.eval_nets) == (1000, 256, 5)


@pytest.mark.parametrize(
    ("method", "ipc", "target", "alpha"),
    [
        ("dc", 10, "cifar10", 1000), ("dc", 50, "cifar10", 5000), ("dsa", 10, "cifar10", 5000),
        ("dsa", 50, "cifar10", 1000),
        ("dm", 10, "cifar10", 2000), ("dm", 50, "cifar10", 1000), ("dc", 10, "cifar100", 10000),
        ("dm", 50, "cifar100", 1),
        ("dsa", 50, "cifar100", 10), ("dm", 10, "digits", 2000),
    ],
)  # fmt: skip
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
    assert make({"archs": "vgg11+convnet3"}).key() == make({"archs": "convnet3+vgg11"}).key()


def test_every_field_that_counts_makes_another_key() -> None:
    recipe = make({"method": "dsa", "ipc": 10, "target": "digits", "source": "shapes"})
    others: dict[str, Any] = {
        "target": "shapes", "method": "dc", "arch": "convnet2", "init": "noise", "dsa_strategy": "crop",
        "distance": "cos", "regularizer": "none", "source": "cifar10", "archs": "alexnet", "eval_archs": "alexnet",
        "eval_strategy": "none", "eval_rule": "best", "ptm_statistics": "source", "precision": "bf16",
        "alpha_by_arch": "convnet3:7",
    }  # fmt: skip
    keys = {recipe.key()}
    fields = {name: value for name, value in recipe.model_dump().items() if name not in PLUGGED}
    for field, value in fields.items():
        keys.add(
            make(recipe.model_dump() | {field: others.get(field) or value + 1 if field != "ptm_epoch" else 3}).key()
        )
    assert len(keys) == 1 + len(fields)


def test_a_published_model_guides_as_it_is() -> None:
    recipe = make({"target": "imagenette", "source": "imagenet", "arch": "convnet6", "ipc": 1})
    assert (recipe.regularizer, recipe.archs, recipe.n_models, recipe.ptm_statistics) == (
        "cclom", "resnet18-imagenet", 1, "source",
    )  # fmt: skip
    training = ("ptm_epoch", "ptm_epochs", "ptm_lr", "ptm_weight_decay", "ptm_batch")
    assert not any(getattr(recipe, field) for field in training)
    for choices in ({"n_models": 10}, {"ptm_epoch": 4}, {"ptm_lr": 0.1}, {"ptm_statistics": "target"}):
        given = {"target": "imagenette", "source": "imagenet", "arch": "convnet6", "ipc": 1} | choices
        assert make(given).key() == recipe.key()
    assert make({"source": "internet"}).archs == "clip-rn50"
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


FOUR = "convnet3+alexnet+vgg11+resnet18"


@pytest.mark.parametrize(
    ("archs", "alpha", "given", "alphas", "spelt"),
    [
        (FOUR, 5000, "alexnet:100", [5000, 100, 5000, 5000], "alexnet:100"),
        (FOUR, 5000, "vgg11:1e1+alexnet:100.0", [5000, 100, 10, 5000], "alexnet:100+vgg11:10"),
        (FOUR, 5000, "alexnet:0", [5000, 0, 5000, 5000], "alexnet:0"),
        (FOUR, 5000, "alexnet:5000", [5000, 5000, 5000, 5000], ""),
        ("convnet3+vgg11", 5000, "alexnet:100", [5000, 5000], ""),  # no such PTM
        ("convnet3", 5000, "alexnet:100+convnet3:7", [7], ""),  # 5000 has no effect
        ("convnet3+alexnet", 5000, "alexnet:100+convnet3:0", [0, 100], "convnet3:0"),
        ("convnet3+alexnet", 5000, "alexnet:2e22", [5000, 2e22], "alexnet:2e22"),
    ],
)
def test_alpha_by_architecture(archs: str, alpha: float, given: str, alphas: list[float], spelt: str) -> None:
    recipe = make({"archs": archs, "alpha": alpha, "alpha_by_arch": given})
    order = [arch for arch in FOUR.split("+") if arch in archs]
    assert [recipe.ptm_alphas[arch] for arch in order] == alphas
    assert recipe.alpha_by_arch == spelt
    assert make(recipe.model_dump()) == recipe


def test_one_spelling_of_alpha_by_architecture() -> None:
    assert make({"alpha_by_arch": "convnet3:7"}).key() == make({"alpha": 7}).key()
    assert make({"alpha_by_arch": "convnet3:0"}).key() == make({"alpha": 0}).key()
    assert make({"alpha_by_arch": "alexnet:7", "alpha": 0, "archs": FOUR}).key() == make({"alpha": 0}).key()
    assert make({"archs": FOUR, "alpha": 5000, "alpha_by_arch": "alexnet:100"}).title() == (
        "dm · ipc 50 · α 5000 (alexnet 100) · convnet3+alexnet+vgg11+resnet18 · N_m 1 · epoch 150 · seed 0"
    )


scalars = st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=8)
words = st.sampled_from(
    [
        "dc",
        "dsa",
        "dm",
        "none",
        "clom",
        "cclom",
        "digits",
        "shapes",
        "target",
        "convnet3",
        "vgg11",
        "noise",
        "real",
        "imagenet",
        "source",
        "best",
        "plain300",
        "evaluate_synset",
        "convnet3+vgg11",
        "vgg11:3",
        "vgg11:3+convnet3:0.1",
    ]
)


@given(st.dictionaries(st.sampled_from(sorted(Recipe.model_fields)), scalars | words, max_size=6))
def test_any_choices_make_a_recipe_or_one_line(choices: dict[str, Any]) -> None:
    try:
        recipe = make(choices)
    except UserError as error:
        assert "\n" not in str(error)
        return
    again = make(recipe.model_dump())
    assert again == recipe
    assert again.key() == recipe.key()


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"alhpa": 1}, "alhpa: no such parameter; did you mean alpha?"),
        ({"alpha": "1e-3"}, "alpha: '1e-3' is text, not a number; write 0.001"),
        ({"lr_img": "1e-7"}, "write 1.0e-07"),
        ({"ipc": "ten"}, "ipc: 'ten' is text, not a whole number"),
        ({"alpha": -1}, "alpha: -1 is not allowed; input should be greater than or equal to 0"),
        ({"alpha": float("nan")}, "alpha: nan is not allowed"),
        ({"method": "dn"}, "method: no method 'dn'; allowed: dc, dm, dsa"),
        ({"method": 3}, "method: 3 is not allowed; input should be a valid string"),
        ({"options": 3}, "options: 3 is not allowed; input should be a valid string"),
        ({"plugins": "mine"}, "plugins: 'mine' is no plugin; leave the field out"),
        ({"plugins": "mine@0123456789ab"}, "plugins: mine is not on this host; name the file in $DDSWEEP_PLUGINS"),
        (
            {"method": "dc", "ipc": 15},
            "outer_loops: has no published default for this ipc (known: 1, 10, 20, 30, 40, 50)",
        ),
        ({"target": "cfar10"}, "no dataset 'cfar10'; did you mean cifar10?"),
        ({"arch": "convnet9"}, "arch: no network 'convnet9'"),
        ({"ipc": 6000}, "ipc: 6000 is more than the 5000 images of a class of cifar10"),
        ({"source": "cifar100", "regularizer": "clom"}, "source is cifar100; use cclom, or source: target"),
        ({"target": "digits", "arch": "convnet5"}, "arch: convnet5 needs images of at least 32 pixels, not 16"),
        ({"size": 3}, "size: 3 is not allowed; input should be greater than or equal to 4"),
        ({"ptm_epoch": 151}, "ptm_epoch: 151 is after the last epoch (allowed: 1 to 150)"),
        ({"n_models": 0}, "n_models: 0 is out of range"),
        ({"source": "imagenet", "regularizer": "clom"}, "source is imagenet; use cclom, or source: target"),
        (
            {"source": "imagenet", "archs": "convnet3"},
            "archs: convnet3 is not published for imagenet (allowed: resnet18-",
        ),
        ({"source": "imagent"}, "source: no dataset 'imagent'; did you mean imagenet? (allowed: "),
        ({"archs": "clip-rn50"}, "archs: no network 'clip-rn50'"),
        ({"eval_archs": "resnet18-imagenet"}, "eval_archs: no network 'resnet18-imagenet'"),
        (
            {"eval_rule": "beste"},
            "eval_rule: 'beste' is not allowed; input should be 'paper', 'best', 'evaluate_synset'",
        ),
        ({"eval_epochs": 0}, "eval_epochs: 0 is out of range; at least 1"),
        ({"ptm_statistics": "own"}, "ptm_statistics: 'own' is not allowed; input should be 'target' or 'source'"),
        ({"alpha_by_arch": "alexnt:5"}, "alpha_by_arch: no network 'alexnt'; did you mean alexnet?"),
        ({"alpha_by_arch": "alexnet"}, "alpha_by_arch: '' is no weight for alexnet; write ARCH:NUMBER"),
        ({"alpha_by_arch": "alexnet:-1"}, "alpha_by_arch: '-1' is no weight for alexnet"),
        ({"alpha_by_arch": "alexnet:nan"}, "alpha_by_arch: 'nan' is no weight for alexnet"),
        ({"alpha_by_arch": "alexnet:5+alexnet:6"}, "alpha_by_arch: alexnet is named twice"),
        ({"alpha_by_arch": 100}, "alpha_by_arch: 100 is not allowed; input should be a valid string"),
        ({"eval_strategy": "color_shear"}, "eval_strategy: no operation 'shear'"),
        ({"target": "imagefolder:/no/such/folder"}, "imagefolder: no folder '/no/such/folder'"),
    ],
)
def test_a_mistake_is_one_line(choices: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        make(choices)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_the_title_says_what_matters() -> None:
    assert make({"method": "dm", "alpha": 1000, "ptm_epoch": 4}).title() == (
        "dm · ipc 50 · α 1000 · convnet3 · N_m 1 · epoch 4 · seed 0"
    )
    assert make({"alpha": 0}).title() == "dm · ipc 50 · baseline · seed 0"

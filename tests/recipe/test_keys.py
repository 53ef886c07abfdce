"""Keys of recipes of earlier versions, by which finished cells are found: new fields and methods do not change them."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.recipe import make

KEYS: list[tuple[dict[str, Any], str]] = [
    ({}, "a5715cf224ab8201"),
    ({"seed": 3}, "d64058e5bda93a71"),
    ({"alpha": 0}, "6543c54e28622523"),
    ({"method": "dc"}, "11d2ac6c49fd058c"),
    ({"method": "dsa"}, "342ba877b8cf688a"),
    ({"method": "dc", "ipc": 10}, "82464b0d7d982bc1"),
    ({"method": "dsa", "ipc": 10}, "37b0c83b44e81726"),
    ({"ipc": 10}, "65b5964dd6d5d4a4"),
    ({"ipc": 1}, "07fd1dd42f4a792d"),
    ({"method": "dc", "ipc": 1, "alpha": 0}, "499ea09e30646fc6"),
    ({"method": "dc", "alpha": 0}, "0a12f4c4db12de78"),
    ({"method": "dsa", "regularizer": "none"}, "5257d39de1314452"),
    ({"target": "cifar100"}, "ab29c7580fb1cf60"),
    ({"target": "cifar100", "method": "dc"}, "67930d37fa5e026b"),
    ({"target": "cifar100", "method": "dsa", "ipc": 10}, "edd4e849ef0606c9"),
    ({"target": "cifar100", "method": "dsa", "ptm_archs": "convnet3+vgg11+resnet18+alexnet"}, "f16b32b5ed76760a"),
    ({"source": "cifar100"}, "e577250464359861"),
    ({"target": "pathmnist", "source": "imagenet32", "method": "dc", "ipc": 10}, "9116f0d07850ffa8"),
    ({"source": "cifar100", "ptm_statistics": "source"}, "f3ab2ea7f2ca13c8"),
    ({"n_models": 10}, "f9a1cb0d06fd2638"),
    ({"n_models": 10, "ptm_archs": "convnet3+vgg11+resnet18+alexnet", "ptm_epoch": 4}, "37e9c2db07f603e0"),
    ({"method": "dc", "ipc": 10, "ptm_archs": "alexnet+convnet3"}, "a40bc55f531f3fdb"),
    ({"method": "dc", "ptm_archs": "convnet3+vgg11+resnet18"}, "c575eabb57c7b5e5"),
    ({"method": "dc", "ptm_archs": "alexnet"}, "896b1445fbb32695"),
    ({"method": "dc", "ptm_archs": "convnet3+alexnet", "alpha": 5000}, "d4e30905a81016c5"),
    ({"method": "dc", "ptm_archs": "convnet3+alexnet", "alpha_by_arch": "alexnet:100"}, "3c24cfc328a6dee1"),
    ({"method": "dsa", "ptm_archs": "convnet3+alexnet", "alpha": 1000.0}, "40f22ec3bbd94017"),
    (
        {"target": "imagenette", "source": "imagenet", "arch": "convnet6", "ipc": 1, "batch_real": 512},
        "5ae45e60407960d0",
    ),
    ({"target": "digits", "ipc": 5, "width": 32, "iterations": 100, "alpha": 100}, "e2358011d32104b4"),
    ({"target": "digits", "method": "dc", "ipc": 7, "outer_loops": 2, "inner_epochs": 3}, "817939ccdd7f7b65"),
    ({"target": "shapes", "source": "digits", "ipc": 10}, "0d7c4e1fe92cecf4"),
    ({"precision": "bf16"}, "fe4aee93c2ed9437"),
    ({"eval_rule": "best"}, "da54c9023368b5d8"),
    ({"eval_rule": "evaluate_synset"}, "8abf90cd07222856"),
    ({"eval_rule": "plain300", "method": "dc", "ipc": 10}, "073303f114ea6eda"),
    ({"eval_rule": "dc", "eval_nets": 20}, "638e62aeac4b55cd"),
    ({"eval_lr": 0.05, "eval_batch": 64, "eval_epochs": 300}, "4c1bdaadcd5c22d0"),
    ({"eval_strategy": "none"}, "f2baad842d64369c"),
    ({"eval_archs": "convnet3+vgg11+resnet18+alexnet"}, "a10dc5643aa2b502"),
    (
        {"method": "dsa", "distance": "mse", "lr_img": 0.01, "init": "noise", "dsa_strategy": "color_crop"},
        "a688b802b52235d4",
    ),
    ({"arch": "resnet18", "width": 64, "method": "dm", "ptm_archs": "convnet4"}, "530d14d73ad1e1bb"),
    (
        {"ptm_epoch": 4, "ptm_train_epochs": 30, "ptm_batch": 64, "ptm_lr": 0.02, "ptm_weight_decay": 0.0005},
        "5c0d2d463108bcd4",
    ),
    ({"ipc": 200}, "2d95d28f520cdb5c"),
    ({"target": "mnist", "method": "dsa", "ipc": 20}, "f16ea38b86166103"),
    ({"target": "svhn", "ipc": 30, "method": "dc"}, "d5c8710a8c02bf62"),
]
"""Recorded before IDC, DREAM, TM and DiM existed."""

SEVERAL = {"ptm_archs": "convnet3+vgg11+resnet18+alexnet"}


@pytest.mark.parametrize(("choices", "key"), KEYS, ids=[key for _, key in KEYS])
def test_a_recipe_keeps_its_key(choices: dict[str, Any], key: str) -> None:
    recipe = make(choices)
    assert recipe.key() == key
    assert make(recipe.model_dump()).key() == key  # as its run folder describes it


@pytest.mark.parametrize(
    ("method", "alpha", "key"),
    [("dc", 5000.0, "acde73141da91f3d"), ("dsa", 1000.0, "e2e828815fa3c088")],
)
def test_cells_with_one_weight_for_all_architectures_are_found_by_that_weight(
    method: str, alpha: float, key: str
) -> None:
    """The default is the published weight of each architecture now; earlier it was this one for all of them."""
    assert make(SEVERAL | {"method": method}).key() != key
    assert make(SEVERAL | {"method": method, "alpha": alpha}).key() == key

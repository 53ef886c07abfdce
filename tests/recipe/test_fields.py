"""The fields of a recipe: its key, its title, and what is derived from them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.recipe import make
from ddsweep.recipe.fields import LATER
from ddsweep.registry.methods import METHODS, TAKEN

PLUGGED = ("options", "guidance_options", "plugins")  # only of parts of plugins: see test_parts


def test_the_default_is_a_published_cell() -> None:
    recipe = make({})
    assert (recipe.method, recipe.ipc, recipe.iterations, recipe.lr_img, recipe.init) == ("dm", 50, 20000, 1.0, "real")
    assert (recipe.regularizer, recipe.alpha, recipe.ptm_archs, recipe.n_models, recipe.ptm_epoch) == (
        "clom",
        1000.0,
        "convnet3",
        1,
        150,
    )
    assert (recipe.eval_epochs, recipe.eval_batch, recipe.eval_nets) == (1000, 256, 5)


def test_every_field_changes_the_key() -> None:
    recipe = make({"method": "dsa", "ipc": 10, "target": "digits", "source": "shapes"})
    others: dict[str, Any] = {
        "target": "shapes", "method": "dc", "arch": "convnet2", "init": "noise", "dsa_strategy": "crop",
        "distance": "cos", "regularizer": "none", "source": "cifar10", "ptm_archs": "alexnet", "eval_archs": "alexnet",
        "eval_strategy": "none", "eval_rule": "best", "ptm_statistics": "source", "precision": "bf16",
        "alpha_by_arch": "convnet3:7",
    }  # fmt: skip
    keys = {recipe.key()}
    silent = {name for name in TAKEN if name not in METHODS["dsa"].takes} | {"align", "severity", *PLUGGED}
    fields = {name: value for name, value in recipe.model_dump().items() if name not in silent}
    for field, value in fields.items():
        keys.add(
            make(recipe.model_dump() | {field: others.get(field) or value + 1 if field != "ptm_epoch" else 3}).key()
        )
    assert len(keys) == 1 + len(fields)


def test_keys_of_existing_run_folders() -> None:
    assert make({}).key() == "a5715cf224ab8201"
    assert sweep.load("ablation-alpha", "demo").cells[0].key == "c83f8ca8963d68f2"


@pytest.mark.parametrize(
    "choices", [{}, {"method": "dc", "ipc": 1}, {"method": "dsa", "ipc": 10, "source": "cifar100"}, {"alpha": 0}]
)
def test_recipes_without_plugins_keep_their_keys(choices: dict[str, Any]) -> None:
    """As before there were plugins, and the fields of IDC, DREAM, TM, DiM and biased datasets: without these fields."""
    recipe = make(choices)
    later = recipe.model_dump(include=set(LATER))
    assert not any(later.values())
    fields = {name: value for name, value in recipe.model_dump().items() if name not in later}
    text = json.dumps({"schema": 1, **fields}, sort_keys=True)
    assert recipe.key() == hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    assert (recipe.options, recipe.plugins) == ("", "")


def test_the_title() -> None:
    assert make({"method": "dm", "alpha": 1000, "ptm_epoch": 4}).title() == (
        "dm · ipc 50 · α 1000 · convnet3 · N_m 1 · epoch 4 · seed 0"
    )
    assert make({"alpha": 0}).title() == "dm · ipc 50 · α 0 · seed 0"  # of which sweep would it be the baseline?
    assert make({"alpha": 0}).title(["alpha"], baseline=True) == "dm · ipc 50 · baseline · seed 0"
    assert (
        make({"alpha": 0}).title(["lr_img", "ptm_train_epochs", "regularizer"])
        == "dm · ipc 50 · α 0 · lr_img 1 · seed 0"
    )
    assert make({"alpha": 1234567.5, "ptm_epoch": 4, "lr_img": 0.1}).title(["lr_img", "alpha"]) == (
        "dm · ipc 50 · α 1234567.5 · convnet3 · N_m 1 · epoch 4 · lr_img 0.1 · seed 0"
    )


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"method": "dm"}, ""),
        ({"method": "idc", "ipc": 10}, "40 images per class, decoded from 10 (factor 2)"),
        ({"method": "dream", "ipc": 2, "factor": 3}, "18 images per class, decoded from 2 (factor 3)"),
        ({"method": "idc", "ipc": 10, "factor": 1}, ""),
        ({"method": "dim"}, "images sampled from the learned generator"),
        ({"method": "tm", "zca": True}, "learned in whitened space (ZCA), shown as pixels"),
        ({"method": "tm", "zca": False}, ""),
    ],
)
def test_how_images_come_from_what_is_learned(choices: dict[str, Any], said: str) -> None:
    assert make({"alpha": 0, **choices}).about_images == said

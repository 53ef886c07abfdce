"""Choices of any origin make a recipe, or one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make, verify
from tests.data.conftest import save_image

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
        ({"alhpa": 1}, "alhpa: unknown parameter; did you mean alpha?"),
        ({"regularizer": ""}, "regularizer: unknown guidance ''; allowed: cclom, clom, none"),
        ({"alpha": "1e-3"}, "alpha: '1e-3' is text, not a number; write 0.001"),
        ({"lr_img": "1e-7"}, "write 1.0e-07"),
        ({"ipc": "ten"}, "ipc: 'ten' is text, not a whole number"),
        ({"alpha": -1}, "alpha: -1 is not allowed; input should be greater than or equal to 0"),
        ({"alpha": float("nan")}, "alpha: nan is not allowed"),
        ({"method": "dn"}, "method: unknown method 'dn'; allowed: dc, "),
        ({"method": 3}, "method: 3 is not allowed; input should be a valid string"),
        ({"options": 3}, "options: 3 is not allowed; input should be a valid string"),
        ({"plugins": "mine"}, "plugins: invalid plugin 'mine'; omit the field, or write NAME@DIGEST"),
        (
            {"plugins": "mine@0123456789ab"},
            "plugins: mine is not available on this host; add the file to $DDSWEEP_PLUGINS",
        ),
        (
            {"method": "dc", "ipc": 15},
            "outer_loops: has no published default for this ipc (known: 1, 10, 20, 30, 40, 50)",
        ),
        ({"target": "cfar10"}, "unknown dataset 'cfar10'; did you mean cifar10?"),
        ({"arch": "convnet9"}, "arch: unknown network 'convnet9'"),
        ({"size": 3}, "size: 3 is not allowed; input should be greater than or equal to 4"),
        ({"source": "imagent"}, "source: unknown dataset 'imagent'; did you mean imagenet? (allowed: "),
        ({"ptm_archs": "clip-rn50"}, "ptm_archs: unknown network 'clip-rn50'"),
        ({"eval_archs": "resnet18-imagenet"}, "eval_archs: unknown network 'resnet18-imagenet'"),
        (
            {"eval_rule": "beste"},
            "eval_rule: unknown evaluation 'beste'; did you mean best? (allowed: best, dc, ",
        ),
        ({"ptm_statistics": "own"}, "ptm_statistics: unknown value 'own'; allowed: source, target"),
        ({"alpha_by_arch": 100}, "alpha_by_arch: 100 is not allowed; input should be a valid string"),
    ],
)
def test_a_mistake_is_one_line(choices: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        make(choices)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("old", "new"), [("archs", "ptm_archs"), ("ptm_epochs", "ptm_train_epochs")])
def test_an_old_name_of_a_field_is_answered_with_the_new_one(old: str, new: str) -> None:
    with pytest.raises(UserError) as caught:
        make({old: "convnet3"})
    assert str(caught.value) == f"{old}: renamed to {new}"
    assert new in Recipe.model_fields


def test_a_recipe_is_made_without_its_images_and_verified_with_them(tmp_path) -> None:
    """Finished results are read where the images are not, or are no longer valid; nothing is computed there."""
    missing = make({"target": "imagefolder:/no/such/folder", "ipc": 3})
    assert (missing.target, missing.size) == ("imagefolder:/no/such/folder", 32)
    with pytest.raises(UserError, match="imagefolder: folder not found: '/no/such/folder'"):
        verify([missing])
    for name in ("a", "b"):
        for index in range(3):
            save_image(tmp_path / "birds" / name / f"{index}.png", np.zeros((4, 4, 3), dtype=np.uint8))
    verify([make({"target": f"imagefolder:{tmp_path}/birds", "ipc": 2})])
    with pytest.raises(UserError, match="ipc: 3 is more than the 2 images of a class in imagefolder:"):
        verify([make({"target": f"imagefolder:{tmp_path}/birds", "ipc": ipc}) for ipc in (1, 3, 2)])
    source = make({"source": "imagefolder:/no/such/folder", "target": "digits", "ipc": 1})
    with pytest.raises(UserError, match="imagefolder: folder not found"):
        verify([source])

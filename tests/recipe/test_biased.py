"""Recipes of biased datasets: one experiment however it is written, and a full name where the images are meant."""

import json
from typing import Any

import pytest

from ddsweep import Recipe
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.recipe import make
from ddsweep.results import image_checksums
from ddsweep.settings import settings

NAME = "cdigits:align=0.5,severity=3"


def refused(**choices):
    with pytest.raises(UserError) as caught:
        make(choices)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_name_and_the_fields_are_the_same_recipe():
    written: list[dict[str, Any]] = [
        {"target": NAME},
        {"target": "cdigits", "align": 0.5, "severity": 3},
        {"target": "cdigits:align=.50", "severity": 3},
        {"target": NAME, "align": 0.5, "severity": 3},
    ]
    recipes = [make({**choices, "alpha": 0}) for choices in written]
    assert len({recipe.key() for recipe in recipes}) == 1
    one = recipes[0]
    assert (one.target, one.align, one.severity, one.dataset) == ("cdigits", 0.5, 3, NAME)
    assert make(one.model_dump()) == one
    assert make(json.loads(json.dumps(one.model_dump()))).key() == one.key()


def test_without_fields_it_is_the_example_of_the_paper():
    assert make({"target": "cmnist"}).dataset == "cmnist:align=0.95,severity=2"
    assert make({"target": "cmnist", "severity": 4}).dataset == "cmnist:align=0.95,severity=4"


def test_every_share_and_severity_is_another_experiment():
    recipes = [make({"target": "cmnist", "align": align, "severity": severity})
               for align in (0, 0.1, 0.5, 0.8, 0.95, 1) for severity in (1, 2, 3, 4)]  # fmt: skip
    assert len({recipe.key() for recipe in recipes}) == len({recipe.dataset for recipe in recipes}) == 24
    assert make({"target": "cmnist", "align": 1}).key() == make({"target": "cmnist", "align": 1.0}).key()


def test_other_datasets_have_neither_field_and_their_full_name_is_the_target():
    plain = make({"target": "digits", "ipc": 1})
    assert (plain.align, plain.severity, plain.dataset) == (0.0, 0, "digits")
    assert make({"target": "digits", "ipc": 1, "align": 0, "severity": 0}) == plain


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"target": "cmnist", "align": 1.5}, "align: 1.5 is out of range; a share of the training images, from 0 to 1"),
        ({"target": "cmnist", "align": -1}, "align: -1 is out of range"),
        ({"target": "cmnist", "align": True}, "align: True is out of range"),
        ({"target": "cmnist", "align": "much"}, "align: 'much' is out of range"),
        ({"target": "cmnist", "align": float("nan")}, "align: nan is out of range"),
        ({"target": "cmnist", "severity": 0}, "severity: 0 is out of range; 1, 2, 3, 4"),
        ({"target": "cmnist", "severity": 5}, "severity: 5 is out of range; 1, 2, 3, 4"),
        ({"target": "cmnist:severity=5"}, "severity: 5 is out of range; 1, 2, 3, 4"),
        ({"target": NAME, "align": 0.6}, "align: 0.6 contradicts cdigits:align=0.5,severity=3"),
        ({"target": "digits", "align": 0.5},
         "align: 0.5 is set, but digits is not biased (biased datasets: cmnist, ccifar10, cdigits, "),
        ({"target": "digits", "severity": 1}, "severity: 1 is set, but digits is not biased"),
        ({"target": "digits:align=0.5"}, "align: digits is not biased"),
        ({"target": "cmnist:strength=1"}, "unknown dataset 'cmnist:strength=1'; a biased dataset is written like"),
        ({"target": "cmnist", "ipc": 6000}, "ipc: 6000 is more than the 5421 images of a class in cmnist"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_names_the_field(choices, line):
    assert refused(**choices).startswith(line)


def test_ptms_are_of_the_share_and_severity():
    recipe = make({"target": NAME, "alpha": 1})
    ((one,),) = spec.of(recipe)
    assert (one.source, recipe.source_dataset, recipe.source) == (NAME, NAME, "target")
    assert "cdigits-align-0.5-severity-3" in one.folder.parts
    ((other,),) = spec.of(make({"target": "cdigits", "severity": 4, "alpha": 1}))
    assert other.folder != one.folder
    assert spec.datasets([recipe]) == [(NAME, 16)]


def test_ptms_can_come_from_a_less_biased_dataset():
    recipe = make({"target": NAME, "source": "cdigits:severity=3,align=.1", "alpha": 1})
    assert (recipe.source, recipe.regularizer) == ("cdigits:align=0.1,severity=3", "cclom")
    assert spec.datasets([recipe]) == [("cdigits:align=0.1,severity=3", 16), (NAME, 16)]
    same = make({"target": NAME, "source": NAME, "alpha": 1})
    assert same == make({"target": NAME, "alpha": 1})
    assert "align: 7.0 is out of range" in refused(target=NAME, source="cdigits:align=7", alpha=1)


def test_results_compare_the_images():
    assert image_checksums.user_datasets([Recipe(target=NAME, alpha=0), Recipe(target="digits", ipc=1, alpha=0)]) == [
        (NAME, 16)
    ]


def test_a_name_on_the_command_line_is_one_value():
    assert settings([f"target={NAME}"]) == {"target": NAME}
    assert settings([f"target={NAME},digits,cmnist:align=1"]) == {"target": [NAME, "digits", "cmnist:align=1"]}
    assert settings(["align=0,0.5,1"]) == {"align": [0, 0.5, 1]}

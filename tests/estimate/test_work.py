"""What costs the same is measured once; what may cost something else is not taken for the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.estimate import work
from ddsweep.recipe import Recipe, make

DEMO: dict[str, Any] = {"target": "digits", "ipc": 5, "method": "dm", "width": 8, "iterations": 20}


def titles(*recipes: Recipe) -> list[str]:
    return [kind.title for kind in work.of_all(recipes)]


def test_a_sweep_over_alpha_and_seeds_has_few_kinds() -> None:
    cells = sweep.load("ablation-alpha", "demo", {"seed": [0, 1, 2]}).cells
    assert len(cells) == 27
    assert titles(*(cell.recipe for cell in cells)) == [
        "data digits",
        "dm · digits · ipc 5",
        "evaluation convnet3 · digits · ipc 5",
        "PTM convnet3 · digits",
        "dm · digits · ipc 5 · clom convnet3",
    ]


def test_architectures_of_ptms_are_measured_alone() -> None:
    many = make({**DEMO, "ptm_archs": "convnet3+vgg11+alexnet", "n_models": 10})
    one = make({**DEMO, "ptm_archs": "vgg11"})
    both = titles(many, one)
    assert both == titles(many)
    assert [title for title in both if "clom" in title] == [
        f"dm · digits · ipc 5 · clom {arch}" for arch in ("convnet3", "alexnet", "vgg11")
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("ipc", 6), ("width", 4), ("batch_real", 9), ("arch", "convnet2"), ("dsa_strategy", "flip"), ("iterations", 21)],
)
def test_what_a_step_depends_on_makes_another_kind(field: str, value: Any) -> None:
    assert work.Distilling.of(make(DEMO), "") != work.Distilling.of(make({**DEMO, field: value}), "")


@pytest.mark.parametrize(
    "choices", [{"seed": 3}, {"eval_nets": 2}, {"eval_archs": "vgg11"}, {"alpha": 7.0}, {"ptm_epoch": 2}]
)
def test_what_it_does_not_depend_on_does_not(choices: dict[str, Any]) -> None:
    guided = {**DEMO, "ptm_archs": "convnet3"}
    ours, theirs = (work.Distilling.of(make(one), "convnet3") for one in (guided, guided | choices))
    assert ours == theirs


def test_an_evaluation_does_not_depend_on_the_method() -> None:
    dc = {**DEMO, "method": "dc", "outer_loops": 2, "inner_epochs": 1, "alpha": 10.0}
    ours, theirs, other = (work.Evaluating.of(make(one), "convnet3") for one in (DEMO, dc, {**DEMO, "eval_batch": 3}))
    assert ours == theirs != other


def test_a_field_that_nobody_has_thought_of_counts() -> None:
    named = work._ANY | work._TRAINING | work._JUDGING | work._METHOD
    assert set(named) <= set(Recipe.model_fields)
    for values in (work._ANY, work._TRAINING, work._JUDGING, work._METHOD):
        assert not {"target", "size", "ipc", "width"} & set(values)


def test_every_kind_survives_the_way_to_another_process() -> None:
    cells = sweep.load("ablation-domain", "demo").cells
    for kind in work.of_all(cell.recipe for cell in cells):
        assert work.kind_from_json(json.loads(json.dumps(work.kind_as_json(kind)))) == kind


def test_the_variants_of_a_biased_dataset_are_measured_once_but_each_is_read() -> None:
    fixed = {"target": "cdigits", "alpha": 1, "ipc": 1, "source": "cdigits:align=0.1,severity=1"}
    recipes = [make({**fixed, "align": align, "severity": severity}) for align in (0.5, 1) for severity in (1, 4)]
    kinds = work.of_all(recipes)
    read = sorted(kind.name for kind in kinds if isinstance(kind, work.Loading))
    assert read == sorted([*(recipe.dataset for recipe in recipes), "cdigits:align=0.1,severity=1"])
    assert [kind.title for kind in kinds if not isinstance(kind, work.Loading)] == [
        "PTM convnet3 · cdigits", "dm · cdigits · ipc 1 · cclom convnet3 from cdigits",
        "evaluation convnet3 · cdigits · ipc 1",
    ]  # fmt: skip


def test_a_dataset_is_at_hand_if_its_base_is() -> None:
    assert work.is_at_hand("cdigits:align=0.5,severity=1", 16)
    assert not work.is_at_hand("cmnist", 28)
    assert not work.is_at_hand("mnist", 28)

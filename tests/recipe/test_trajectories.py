"""The fields of TM: the published table, the nearest row for other counts, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.recipe import make

NAMES = ("syn_steps", "expert_epochs", "max_start_epoch", "lr_img", "lr_lr", "lr_teacher", "batch_syn", "zca")


def fields(target: str, ipc: int) -> tuple[Any, ...]:
    recipe = make({"target": target, "method": "tm", "ipc": ipc, "alpha": 0})
    return tuple(getattr(recipe, name) for name in NAMES)


@pytest.mark.parametrize(
    ("target", "ipc", "row"),
    [
        ("cifar10", 1, (50, 2, 2, 100, 1e-7, 0.01, 0, True)),
        ("cifar10", 10, (30, 2, 20, 100, 1e-5, 0.001, 0, True)),
        ("cifar10", 50, (30, 2, 40, 1000, 1e-5, 0.001, 0, False)),
        ("cifar100", 1, (20, 3, 20, 1000, 1e-5, 0.01, 0, True)),
        ("cifar100", 10, (20, 2, 20, 1000, 1e-5, 0.01, 0, False)),
        ("cifar100", 50, (80, 2, 40, 1000, 1e-5, 0.01, 125, True)),
    ],
)
def test_the_published_table(target: str, ipc: int, row: tuple[Any, ...]) -> None:
    assert fields(target, ipc) == row
    recipe = make({"target": target, "method": "tm", "ipc": ipc, "alpha": 0})
    assert (recipe.iterations, recipe.n_experts, recipe.expert_train_epochs, recipe.init) == (5000, 100, 50, "real")
    assert recipe.eval_rule == "tm"


def test_another_count_has_the_row_that_is_nearest_by_ratio() -> None:
    assert fields("cifar10", 3) == fields("cifar10", 1)
    assert fields("cifar10", 4) == fields("cifar10", 10)
    assert fields("cifar10", 22) == fields("cifar10", 10)
    assert fields("cifar10", 23) == fields("cifar10", 50)
    assert fields("digits", 10) == (*fields("cifar10", 10)[:-1], False)  # whitening is published for two datasets


def test_other_methods_have_none_of_the_fields() -> None:
    recipe = make({"method": "dm", "n_experts": 7, "zca": True, "syn_steps": 3})
    assert recipe.key() == make({"method": "dm"}).key()
    assert spec.experts(recipe) == []


def test_experts_are_shared_by_cells_that_differ_otherwise() -> None:
    base = {"method": "tm", "ipc": 50, "alpha": 0, "n_experts": 3}
    one, two = make(base), make(base | {"seed": 5, "ipc": 10, "lr_img": 3.0, "zca": False, "expert_train_epochs": 60})
    assert spec.experts(one) == spec.experts(two)
    assert [ptm.seed for ptm in spec.experts(one)] == [0, 1, 2]
    assert (list(spec.trajectory(one)), list(spec.trajectory(two))) == (list(range(42)), list(range(22)))
    assert spec.needs([one, two]) == {ptm: set(range(42)) for ptm in spec.experts(one)}
    for other in ({"zca": True}, {"arch": "convnet4"}, {"width": 64}, {"dsa_strategy": "none"}, {"target": "cifar100"}):
        assert not set(spec.experts(make(base | other))) & set(spec.experts(one))


def test_ptms_of_the_target_are_whitened_with_it_and_others_are_not() -> None:
    def zca(**choices: Any) -> bool:
        ((one,),) = spec.of(make({"method": "tm", "ipc": 10, "alpha": 1.0, "zca": True, **choices}))
        return one.zca

    assert zca()
    assert not zca(source="cifar100")
    assert not zca(zca=False)


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"max_start_epoch": 49, "expert_epochs": 3}, "max_start_epoch: 49 with expert_epochs 3 needs 51 epochs of"),
        ({"expert_train_epochs": 40}, "which are trained for 40 (expert_train_epochs)"),
        ({"batch_syn": 501}, "batch_syn: 501 is more than the 500 images of the set (0: all of them)"),
        ({"n_experts": 0}, "n_experts: 0 is out of range; at least 1"),
        ({"syn_steps": 0}, "syn_steps: 0 is out of range; at least 1"),
        ({"expert_epochs": 0}, "expert_epochs: 0 is out of range"),
        ({"max_start_epoch": 0}, "max_start_epoch: 0 is out of range"),
        ({"lr_teacher": 0.0}, "lr_teacher: 0 is out of range"),
        ({"target": "tinyimagenet", "arch": "convnet4", "zca": True}, "zca: images of 3×64×64 have 12288 values"),
    ],
)
def test_what_contradicts_itself_is_refused(choices: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        make({"method": "tm", "ipc": 50, "alpha": 0} | choices)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_the_last_start_and_the_last_epoch_are_allowed() -> None:
    recipe = make({"method": "tm", "ipc": 50, "alpha": 0, "max_start_epoch": 49, "expert_epochs": 2})
    assert list(spec.trajectory(recipe))[-1] == 50

"""What a name stands for: the names that settings make, and what they are read back as (docs/names.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.sweep import naming
from tests.sweep.examples import minimal, write


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "ablation-alpha"),
        ({"alpha": [0, 100]}, "ablation-alpha"),
        ({"alpha": 7}, "ablation-alpha"),
        ({"method": ["dm", "dc"]}, "ablation-alpha"),
        ({"seed": [0, 1, 2]}, "ablation-alpha"),
        ({"ipc": 10}, "ablation-alpha,ipc=10"),
        ({"n_models": [1, 2], "ipc": 10, "alpha": [0, 1]}, "ablation-alpha,ipc=10,n_models=1,2"),
        ({"lr_img": 1.0}, "ablation-alpha,lr_img=1"),
        ({"lr_img": 1}, "ablation-alpha,lr_img=1"),
        ({"lr_img": 1e-05}, "ablation-alpha,lr_img=1e-5"),
        ({"lr_img": [0.1, 0.30000000000000004]}, "ablation-alpha,lr_img=0.1,0.30000000000000004"),
        ({"ptm_archs": "convnet3+vgg11"}, "ablation-alpha,ptm_archs=convnet3+vgg11"),
    ],
)
def test_settings_of_what_the_file_varies_leave_the_name(settings: dict[str, Any], name: str) -> None:
    loaded = sweep.load("ablation-alpha", "demo", settings)
    assert loaded.full_name == f"{name}@demo"
    fixed = {field: value for field, value in settings.items() if field not in ("alpha", "method", "seed")}
    by_name = sweep.load(f"{name}@demo", None, {k: v for k, v in settings.items() if k not in fixed})
    assert by_name.definition() == loaded.definition()


def test_a_range_and_the_axis_are_varied_too() -> None:
    assert sweep.load("search-alpha", "demo", {"alpha": [1, 10]}).name == "search-alpha"
    assert sweep.load("search-alpha", "demo", {"ipc": 3}).name == "search-alpha,ipc=3"
    document = minimal(**{"x-ddsweep": {"axis": ["ipc"]}})
    assert sweep.load(write(yaml.safe_dump(document)), "demo", {"ipc": [1, 2]}).name == "mine"


@pytest.mark.parametrize(
    "target",
    ["imagefolder:/data/birds", "imagefolder:/data/my birds", "imagefolder:/%?#/birds", "imagefolder:/a=b@c"],
)
def test_what_file_names_cannot_have_is_shortened(target: str) -> None:
    name = naming.derived("mine", {"target": (target,)})
    assert re.fullmatch(r"mine,target=[A-Za-z0-9_.+-]+-[0-9a-f]{6}", name)
    assert name != naming.derived("mine", {"target": (f"{target}2",)})
    assert "birds-" in name or "birds" not in target
    Path("mine.yaml").write_text(yaml.safe_dump(minimal()), encoding="utf-8")
    with pytest.raises(UserError, match="its name has a shortened value; launch mine with --set again"):
        sweep.load(f"{name}@demo")


def test_a_long_name_is_a_hash() -> None:
    settings = {"ptm_archs": ("convnet3+vgg11+resnet18+alexnet+convnet4",) * 3}
    name = naming.derived("mine", settings)
    assert re.fullmatch(r"mine,[0-9a-f]{6}", name)
    assert name != naming.derived("mine", {"eval_archs": settings["ptm_archs"]})


@given(
    st.dictionaries(
        st.sampled_from(["ipc", "lr_img", "target", "options", "size"]),
        st.lists(st.integers(0, 10**9) | st.floats(1e-9, 1e9) | st.booleans() | st.text(max_size=60), min_size=1),
        min_size=1,
    )
)
def test_any_settings_make_a_name_that_is_read_back_or_refused(settings: dict[str, Any]) -> None:
    name = naming.derived("mine", {field: tuple(values) for field, values in settings.items()})
    assert len(name) <= naming.LONGEST
    assert naming.ALLOWED.fullmatch(name)
    if naming.is_shortened(name) or "=" not in name:
        return
    base, read = naming.parsed(name)
    assert base == "mine"
    again = naming.derived(base, {field: naming.as_tuple(value) for field, value in read.items()})
    assert again == name
    assert {field: naming.as_tuple(value) for field, value in read.items()} == {
        field: tuple(values) for field, values in settings.items()
    }


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a b", "a name has only letters"), ("a@demo", "a name has only letters"), ("a/b", "a name has only letters"),
        ("-a", "begins with a letter"), ("a.yaml", "does not end in .yaml"), ("a" * 101, "has 101 characters"),
        ("table1", "is the name of another sweep"), ("figure2", "is the name of another sweep"),
        ("ablation-alpha", "is the name of another sweep"), ("ablation-alpha,ipc=3", "is the name of another sweep"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_chosen(name: str, line: str) -> None:
    with pytest.raises(UserError, match=line) as error:
        sweep.load("ablation-alpha", "demo", {"ipc": 10}, name)
    assert "\n" not in str(error.value)


def test_a_chosen_name() -> None:
    assert sweep.load("ablation-alpha", "demo", {"ipc": 10}, "few-images").full_name == "few-images@demo"
    assert sweep.load("ablation-alpha", "demo", {}, "ablation-alpha").full_name == "ablation-alpha@demo"


def test_names_of_the_paper_and_paths_are_those_of_the_file() -> None:
    write(yaml.safe_dump(minimal()))
    assert sweep.canonical_name("table5,ipc=10") == "ablation-n-archs,ipc=10"
    assert sweep.canonical_name("table5,n_models=2,1,ipc=10.0") == "ablation-n-archs,ipc=10,n_models=2,1"
    assert sweep.canonical_name("mine.yaml,ipc=3") == "mine,ipc=3"
    assert sweep.canonical_name("gone/birds.yaml") == "birds"
    assert sweep.canonical_name("few-images") == "few-images"


def test_a_setting_in_the_name_is_not_given_again() -> None:
    with pytest.raises(UserError, match=r"given twice, in the name ablation-alpha,ipc=10 and with --set \(20\)"):
        sweep.load("ablation-alpha,ipc=10@demo", None, {"ipc": 20})

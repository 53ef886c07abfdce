"""Whose values win, what a profile replaces, and what is refused (docs/names.md, Profiles)."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ddsweep import sweep
from ddsweep.errors import UserError
from tests.sweep.examples import minimal, write


def mine(parameters: dict[str, Any], **extra: Any) -> str:
    return write(yaml.safe_dump(minimal(parameters=parameters, **{"x-ddsweep": {"axis": ["alpha"], **extra}})))


def remarks(loaded: sweep.Sweep) -> str:
    return "\n".join(sweep.remarks(loaded))


def test_a_users_file_wins_over_the_profile() -> None:
    file = mine({"alpha": {"values": [0, 3]}, "target": {"value": "shapes"}, "ipc": {"values": [2, 7]}})
    loaded = sweep.load(file, "demo")
    assert {cell.recipe.target for cell in loaded.cells} == {"shapes"}
    assert {cell.recipe.ipc for cell in loaded.cells} == {2, 7}
    assert {cell.recipe.width for cell in loaded.cells} == {32}
    said = remarks(loaded)
    assert "profile demo: " in said
    assert "width 32 (not 128)" in said
    assert "target" not in said
    assert "ipc" not in said


def test_the_files_own_profile_wins_over_the_file() -> None:
    file = mine({"alpha": {"values": [0, 3]}, "ipc": {"value": 7}}, profiles={"demo": {"ipc": [3], "width": [8]}})
    assert {cell.recipe.ipc for cell in sweep.load(file, "demo").cells} == {3}
    assert "ipc 3 (not 7)" in remarks(sweep.load(file, "demo"))
    assert {cell.recipe.ipc for cell in sweep.load(file, "demo", {"ipc": 4}).cells} == {4}
    assert "ipc 3" not in remarks(sweep.load(file, "demo", {"ipc": 4}))


def test_what_a_profile_replaces_in_a_sweep_that_ships_is_named() -> None:
    said = remarks(sweep.load("ablation-alpha", "demo"))
    for part in ("target digits (not cifar10)", "method dm (not dc, dsa, dm)", "ipc 5 (not 50)"):
        assert part in said
    assert "alpha" not in said, "it varies, and the profile leaves it alone"
    assert "source" not in said, "no cell has one"
    assert remarks(sweep.load("ablation-alpha", "paper")) == ""


def test_an_error_that_comes_from_the_profile_names_it() -> None:
    file = mine({"alpha": {"values": [0, 3]}, "ptm_epoch": {"value": 150}})
    with pytest.raises(UserError) as error:
        sweep.load(file, "demo")
    assert "profile demo sets ptm_train_epochs to 20" in str(error.value)
    assert "x-ddsweep.profiles.demo of mine.yaml, or with --set ptm_train_epochs=VALUE" in str(error.value)
    assert sweep.load(file, "demo", {"ptm_train_epochs": 150}).cells


@pytest.mark.parametrize(
    ("parameters", "extra", "line"),
    [
        ({"alpha": {"values": [1, 1.0]}}, {}, "mine.yaml: parameters.alpha: lists 1 twice"),
        ({"alpha": {"values": [0, 1]}}, {"profiles": {"quick": {"ipc": [1, 2, 1]}}}, "quick.ipc: lists 1 twice"),
        ({"alpha": {"values": [1, 10]}}, {"baseline": {"alpha": 0}}, "baseline: no cell is {alpha: 0}; the cells have"),
        ({"alpha": {"values": [0, 1]}}, {"axis": ["ipc"]}, "x-ddsweep.axis: ipc is not one of the parameters"),
        ({"alpha": {"values": [0, 1]}}, {"axis": ["alpha", "alpha"]}, "x-ddsweep.axis: lists alpha twice"),
        ({"alpha": {"values": [0, 1]}}, {"exclude": [{"ipc": 1}]}, "exclude: ipc is not one of the parameters"),
        (
            {"alpha": {"values": [0, 1]}, "target": {"values": ["digits", "shapes"]}},
            {"exclude": ["target == 'shapes'"]},
            "mine.yaml: target: no cell has shapes, because exclude removes all of them",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(parameters: dict[str, Any], extra: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        sweep.load(mine(parameters, **extra))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_narrower_setting_may_leave_out_the_baseline_and_says_so() -> None:
    loaded = sweep.load("ablation-alpha", "demo", {"alpha": [1, 10]})
    assert "these settings leave out the baseline (alpha 0)" in remarks(loaded)
    assert "baseline" not in remarks(sweep.load("ablation-alpha", "demo", {"alpha": [0, 10]}))


def test_a_value_that_was_asked_for_and_is_excluded_is_refused() -> None:
    file = mine(
        {"alpha": {"values": [0, 1]}, "target": {"values": ["digits", "shapes"]}, "ipc": {"values": [1, 2]}},
        exclude=[{"target": "shapes", "ipc": 2}],
    )
    with pytest.raises(UserError, match=r"^target: no cell has shapes, because exclude removes all of them"):
        sweep.load(file, None, {"target": ["digits", "shapes"], "ipc": 2})
    assert "these settings leave no cell with target shapes" in remarks(sweep.load(file, None, {"ipc": 2}))
    with pytest.raises(UserError, match="alpha: lists 1 twice"):
        sweep.load(file, None, {"alpha": [1, 1]})

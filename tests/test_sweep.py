"""Sweep files: every one of ours is a test case; every wrong one is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddsweep import sweep
from ddsweep.errors import UserError

FIVE = {"ablation-alpha", "ablation-n-models", "ablation-n-archs", "ablation-epoch", "ablation-domain"}
# at paper scale, as the paper has them: axis × methods × IPC, and one baseline per row
CELLS = {
    "ablation-alpha": 27,
    "ablation-n-models": 21,
    "ablation-n-archs": 10,
    "ablation-epoch": 60,
    "ablation-domain": 12,
}


def files() -> list[Path]:
    return sorted((Path(__file__).parent.parent / "sweeps").glob("*.yaml"))


def test_the_five_ablations_are_there() -> None:
    assert set(sweep.names()) >= FIVE


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_every_file_loads_at_every_scale(path: Path, profile: str) -> None:
    one = sweep.load(path.stem, profile)
    assert one.title
    assert one.full_name == f"{path.stem}@{profile}"
    assert any(one.is_baseline(cell.recipe) for cell in one.cells)
    assert any(not one.is_baseline(cell.recipe) for cell in one.cells)
    if profile == "paper":
        assert len(one.cells) == CELLS.get(path.stem, len(one.cells))
    if profile == "demo":
        assert {cell.recipe.target for cell in one.cells} == {"digits"}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_a_sweep_survives_the_journey_to_an_agent(path: Path) -> None:
    one = sweep.load(path.stem)
    again = sweep.Sweep.from_definition(json.loads(json.dumps(one.definition())))
    assert again.cells == one.cells
    for cell in one.cells:
        assert again.recipe(json.loads(json.dumps(cell.point))) == cell.recipe


def test_cells_are_shared_between_ablations() -> None:
    alpha = {cell.key for cell in sweep.load("ablation-alpha").cells}
    epoch = {cell.key for cell in sweep.load("ablation-epoch").cells}
    models = {cell.key for cell in sweep.load("ablation-n-models").cells}
    # the three baselines at IPC 50, and the three cells with the published α, one PTM, the last epoch
    assert len(alpha & epoch) == 6
    assert len(models & epoch) == 6


def write(text: str) -> str:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return "mine.yaml"


def minimal(**changes: Any) -> dict[str, Any]:
    document = {
        "method": "grid",
        "parameters": {"alpha": {"values": [0, 1]}, "ipc": {"value": 10}},
        "x-ddsweep": {"title": "?", "axis": ["alpha"], "baseline": {"alpha": 0}},
    }
    return document | changes


def test_a_file_of_ones_own() -> None:
    one = sweep.load(write(yaml.safe_dump(minimal())), "demo", {"alpha": [0, 5, 50], "seed": [0, 1]})
    assert one.full_name == "mine@demo"
    assert [cell.point for cell in one.cells] == [{"alpha": a, "seed": s} for a in (0.0, 5.0, 50.0) for s in (0, 1)]


def test_a_folder_here_goes_before_what_ships() -> None:
    Path("sweeps").mkdir()
    Path("sweeps/ablation-alpha.yaml").write_text(yaml.safe_dump(minimal()))
    assert len(sweep.load("ablation-alpha").cells) == 2
    assert set(sweep.names()) >= FIVE


def test_profile_fields_do_not_touch_an_axis_and_axes_replace_it() -> None:
    one = sweep.load("ablation-alpha", "demo")
    assert one.parameters["method"] == ("dm",)
    assert len(one.parameters["alpha"]) == 9
    assert {cell.recipe.alpha for cell in sweep.load("ablation-epoch", "demo").cells} == {0.0, 100.0}


def test_exclude_leaves_cells_out() -> None:
    document = minimal()
    document["x-ddsweep"]["exclude"] = [{"alpha": 1, "ipc": 10}]
    assert len(sweep.load(write(yaml.safe_dump(document))).cells) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("method: grid\n  bad: [", "mine.yaml, line 2: is not YAML"),
        ("- a\n- b", "the file: input should be a valid dictionary"),
        (yaml.safe_dump(minimal(methd="grid")), "methd: no such key; did you mean method?"),
        (yaml.safe_dump(minimal(method="bayes")), "method: input should be 'grid'"),
        (yaml.safe_dump(minimal(parameters={"alhpa": {"value": 1}})), "alhpa: no such parameter; did you mean alpha?"),
        (
            yaml.safe_dump(minimal(parameters={"alpha": {"values": []}})),
            "parameters.alpha.values: list should have at least",
        ),
        (yaml.safe_dump(minimal(parameters={"alpha": {}})), "parameters.alpha: needs exactly one of value and values"),
        (yaml.safe_dump(minimal(parameters={"alpha": {"min": 0}})), "parameters.alpha.min: no such key"),
        ("method: grid\nparameters: {alpha: {values: [0, 1e-3]}}\nx-ddsweep: {axis: [alpha]}", "write 0.001"),
        (
            yaml.safe_dump(minimal(**{"x-ddsweep": {"axis": ["alpah"]}})),
            "alpah: no such parameter; did you mean alpha?",
        ),
        (yaml.safe_dump(minimal(**{"x-ddsweep": {"axis": []}})), "x-ddsweep.axis: list should have at least 1 item"),
        (yaml.safe_dump(minimal(parameters={"ipc": {"value": 0}})), "ipc: 0 is not allowed"),
    ],
)
def test_a_wrong_file_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        sweep.load(write(text))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("reference", "profile", "line"),
    [
        ("ablation-alpa", None, "no sweep 'ablation-alpa'; did you mean ablation-alpha?"),
        ("ablation-alpha", "dmo", "no profile 'dmo'; did you mean demo?"),
        ("ablation-alpha@demo", "paper", "name two profiles"),
        ("nowhere.yaml", None, "no sweep file nowhere.yaml"),
    ],
)
def test_a_wrong_name_is_one_line(reference: str, profile: str | None, line: str) -> None:
    with pytest.raises(UserError, match="^" + ".*") as error:
        sweep.load(reference, profile)
    assert line in str(error.value)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["method", "parameters", "x-ddsweep", "metric", "command", "name", "alpha", "ipc", "axis", "value", "values"]
)
documents = st.dictionaries(keys | st.text(max_size=6), json_like, max_size=5)
parameters = st.dictionaries(
    st.sampled_from(["alpha", "ipc", "method", "target", "source", "archs", "seed"]) | st.text(max_size=4),
    st.dictionaries(st.sampled_from(["value", "values", "min"]), json_like, max_size=2),
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(documents | parameters.map(lambda chosen: minimal(parameters=chosen)))
def test_any_document_loads_or_is_one_line(document: Any) -> None:
    try:
        one = sweep.load(write(yaml.safe_dump(document, allow_unicode=True)), "demo")
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert one.cells


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_load_or_are_one_line(content: bytes) -> None:
    Path("noise.yaml").write_bytes(content)
    with pytest.raises(UserError) as error:
        sweep.load("noise.yaml")
    assert "\n" not in str(error.value)

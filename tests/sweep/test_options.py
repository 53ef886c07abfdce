"""Options of methods as settings of a sweep: axes, ranges, conditions, names, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ddsweep import sweep
from ddsweep.backends import Definition
from ddsweep.backends.memory import MemoryStore
from ddsweep.errors import UserError
from ddsweep.recipe import make
from ddsweep.sweep import Sweep, naming
from ddsweep.sweep import wandb as configurations
from tests.plugins.plugged import HALF, Plug, half, plug
from tests.sweep.examples import minimal, write

__all__ = ["plug"]
OTHER = HALF.replace('"half"', '"other"').replace("rate=0.5, steps=2", "rate=1.5, depth=3")
GUIDE = """
import ddsweep

@ddsweep.guidance("near", alpha=5.0)
def near(ptm, synthetic, *, power=1.0):
    return ptm.embed(synthetic.images).square().mean() ** power
"""
FIXED: dict[str, Any] = {"target": {"value": "digits"}, "ipc": {"value": 1}, "alpha": {"value": 0}}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(
    parameters: dict[str, Any],
    settings: dict[str, Any] | None = None,
    axis: str = "rate",
    extra: Any = None,
    **more: Any,
) -> Sweep:
    own = {"axis": [axis], **(extra or {})}
    document = minimal(parameters={**FIXED, "method": {"value": "half"}, **parameters}, **more) | {"x-ddsweep": own}
    return sweep.load(write(yaml.safe_dump(document)), "demo", settings)


def test_an_option_is_an_axis(plug: Plug) -> None:
    plug(mine=HALF)
    loaded = load({"rate": {"values": [0.25, 1]}, "half.steps": {"value": 4}}, {"exact": [False, True]})
    assert loaded.swept == ("rate", "exact")
    assert [(cell.point, cell.recipe.options) for cell in loaded.cells] == [
        ({"rate": rate, "exact": exact}, f"exact:{str(exact).lower()}+kind:plain+rate:{rate}+steps:4")
        for rate in (0.25, 1.0)
        for exact in (False, True)
    ]
    demo = {"size": 16, **{name: loaded.cells[0].recipe.model_dump()[name] for name in ("width", "iterations")}}
    same = half(options="rate:0.25+steps:4", alpha=0, **demo)
    assert loaded.cells[0].recipe.options == same.options
    assert loaded.name == "mine,exact=false,true"
    again = sweep.load(loaded.full_name)
    assert again == loaded, "the name is read back"
    assert Sweep.from_definition(json.loads(json.dumps(loaded.definition()))) == loaded


def test_the_key_is_that_of_the_text(plug: Plug) -> None:
    plug(mine=HALF)
    by_name = load({"rate": {"values": [0.25, 1]}, "steps": {"value": 4}})
    by_text = load({"options": {"values": ["rate:0.25+steps:4", "rate:1+steps:4"]}}, axis="options")
    assert [cell.key for cell in by_name.cells] == [cell.key for cell in by_text.cells]


def test_several_methods_each_take_their_own(plug: Plug) -> None:
    plug(mine=HALF, second=OTHER)
    methods = {"method": {"values": ["dm", "half", "other"]}}
    loaded = load({**methods, "rate": {"values": [0.25, 1.0]}, "depth": {"value": 7}, "other.rate": {"value": 9.0}})
    found = [(cell.point["method"], cell.point["rate"], cell.recipe.value("depth")) for cell in loaded.cells]
    assert found == [("dm", None, None), ("half", 0.25, None), ("half", 1.0, None), ("other", 9.0, 7)]
    queue = MemoryStore().sweep(loaded.full_name)
    queue.register(Definition.of(loaded))
    claims = list(iter(lambda: queue.claim("gpu0"), None))
    assert [loaded.recipe(claim.point.params).key() for claim in claims] == [cell.key for cell in loaded.cells]


def test_baseline_and_conditions(plug: Plug) -> None:
    plug(mine=HALF)
    own = {"baseline": {"rate": 1}, "exclude": ["rate > 0.5 and steps == 2 and method == 'half'"]}
    parameters = {"method": {"values": ["half", "dm"]}, "rate": {"values": [0.5, 1.0]}, "steps": {"values": [2, 3]}}
    loaded = load(parameters, extra=own)
    assert [(one.point["rate"], one.point["steps"]) for one in loaded.cells] == [
        (0.5, 2),
        (0.5, 3),
        (1.0, 3),
        (None, None),
    ]
    third = loaded.cells[2]
    assert loaded.is_baseline(third.recipe)
    assert {loaded.baselines.get(cell.key) for cell in loaded.cells[1:3]} == {third.key}


@pytest.mark.parametrize(
    ("parameters", "settings", "line"),
    [
        ({"ratte": {"values": [1, 2]}}, {}, "ratte: unknown parameter; did you mean rate?"),
        ({"rate": {"values": [1, 2]}, "depth": {"value": 3}}, {}, "mine.yaml: depth: is an option of other, which"),
        ({"rate": {"values": [1, 2]}}, {"depth": 3}, "depth: is an option of other, which this sweep does not"),
        ({"rate": {"value": 1}}, {"half.steps": 3, "method": "dm"}, "half.steps: is an option of half, which this"),
        ({"rate": {"values": [1, 2]}}, {"rate": 1, "method": "dm"}, "rate: is an option of half and other, which this"),
        ({"rate": {"values": [1, 2]}}, {"depht": 3, "method": "dm"}, "depht: unknown parameter"),
        ({"rate": {"values": [1, 2]}}, {"method": "halff"}, "unknown method 'halff'; did you mean half"),
        ({"rate": {"values": [0.5, "fast"]}}, {}, "rate: must be a number, not 'fast'"),
        ({"rate": {"values": [0.5]}}, {"steps": [1, 1.5]}, "steps: must be a whole number, not 1.5"),
        ({"rate": {"values": [0.5]}, "options": {"value": "rate:2"}}, {}, "rate: is given twice"),
        ({"rate": {"values": [0.5]}, "method": {"value": "dm"}}, {}, "mine.yaml: rate: is an option of half and other"),
        ({"rate": {"values": [0.5]}, "method": {"value": "halff"}}, {}, "unknown method 'halff'; did you mean half"),
        ({"rate": {"values": [0.5]}, "halff.steps": {"value": 1}}, {}, "halff.steps: unknown parameter"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_before_anything_runs(
    plug: Plug, parameters: dict[str, Any], settings: dict[str, Any], line: str
) -> None:
    plug(mine=HALF, second=OTHER)
    with pytest.raises(UserError) as error:
        load(parameters, settings)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_another_method_than_that_of_the_file(plug: Plug) -> None:
    plug(mine=HALF, second=OTHER)
    own = {"baseline": {"rate": 1, "alpha": 0}, "exclude": ["rate > 0.5 and alpha > 5", {"rate": 0.25, "alpha": 5}]}
    parameters = {"rate": {"values": [0.25, 1]}, "half.steps": {"value": 2}, "alpha": {"values": [0, 5, 9]}}
    both = load(parameters, {"method": ["half", "dm"]}, extra={})
    assert len(load(parameters, extra=own).cells) == 4
    loaded = load(parameters, {"method": "dm"}, extra=own)
    wanted = [cell.key for cell in both.cells if cell.recipe.method == "dm"]
    assert [cell.key for cell in loaded.cells] == wanted
    assert [cell.point for cell in loaded.cells] == [{"method": "dm", "alpha": alpha} for alpha in (0.0, 5.0, 9.0)]
    assert (loaded.axis, loaded.baseline, loaded.name) == (("method",), {"alpha": 0}, "mine,method=dm")
    assert set(loaded.baselines.values()) == {wanted[0]}
    assert sweep.load(loaded.full_name) == loaded
    assert Sweep.from_definition(json.loads(json.dumps(loaded.definition()))) == loaded
    other = load(parameters, {"method": "other"}, extra={})
    assert [cell.recipe.value("rate") for cell in other.cells] == 3 * [0.25, 1.0], "it has this option, too"
    assert other.axis == ("rate",)


def test_another_guidance_than_that_of_the_file(plug: Plug) -> None:
    plug(guide=GUIDE)
    parameters = {"method": {"value": "dm"}, "regularizer": {"value": "near"}, "power": {"values": [1, 2]}}
    own = {**parameters, "alpha": {"values": [0, 5]}}
    assert len(load(own, axis="power").cells) == 3
    loaded = load(own, {"regularizer": "clom"}, axis="power")
    assert [(cell.recipe.alpha, cell.recipe.regularizer) for cell in loaded.cells] == [(0.0, "none"), (5.0, "clom")]
    assert loaded.axis == ("regularizer",)
    with pytest.raises(UserError, match=r"^power: is an option of near, which this sweep does not use$"):
        load({"method": {"value": "dm"}}, {"power": 2}, axis="alpha")


def test_a_search_with_another_method_than_that_of_the_file(plug: Plug) -> None:
    plug(mine=HALF)
    ranges = {"rate": {"min": 0.1, "max": 1.0}, "alpha": {"min": 1.0, "max": 9.0}}
    loaded = load(ranges, {"method": "dm"}, method="random", run_cap=6)
    assert loaded.search is not None
    assert (list(loaded.search.ranges), loaded.axis) == (["alpha"], ("method",))


def searched(**changes: Any) -> Sweep:
    ranges = {
        "method": {"values": ["half", "dm"]},
        "rate": {"min": 0.001, "max": 1.0, "distribution": "log_uniform_values"},
        "steps": {"min": 1, "max": 5},
    }
    return load({**ranges, **changes}, method="random", run_cap=6)


def test_a_search_draws_options(plug: Plug) -> None:
    plug(mine=HALF)
    loaded = searched()
    queue = MemoryStore().sweep(loaded.full_name)
    queue.register(Definition.of(loaded))
    points = [claim.point for claim in iter(lambda: queue.claim("gpu0"), None)]
    assert len(points) == 6
    for point in points:
        recipe = loaded.recipe(point.params)
        assert recipe.key() == point.key
        if recipe.method == "half":
            assert (recipe.value("rate"), recipe.value("steps")) == (point.params["rate"], point.params["steps"])
            assert 0.001 <= float(point.params["rate"] or 0) <= 1
            assert type(point.params["steps"]) is int
    stored = Sweep.from_definition(queue._store.load_definition(loaded.full_name).definition)
    assert stored.with_points(point.params for point in points).size == loaded.size


def test_a_range_of_the_wrong_kind_is_refused(plug: Plug) -> None:
    plug(mine=HALF)
    with pytest.raises(UserError, match=r"steps: must be a whole number, not 0\.5"):
        searched(steps={"min": 0.5, "max": 4.0})


def test_a_grid_on_wandb_has_the_option_as_a_parameter(plug: Plug) -> None:
    plug(mine=HALF)
    loaded = load({"rate": {"values": [0.25, 1.0]}, "kind": {"values": ["5", "plain", "a b"]}})
    document = configurations.configuration(loaded)
    assert document["parameters"]["rate"] == {"values": [0.25, 1.0]}
    assert document["parameters"]["kind"] == {"values": ["5", "plain", "a b"]}
    restored = configurations.restore(json.loads(json.dumps(document)))
    assert restored is not None
    assert [cell.key for cell in restored.cells] == [cell.key for cell in loaded.cells]


def test_cells_on_wandb_are_spelled_with_their_options(plug: Plug) -> None:
    plug(mine=HALF, second=OTHER)
    own = {"exclude": ["rate == 1 and kind == 'plain'"]}
    methods = {"method": {"values": ["dm", "half", "other"]}}
    loaded = load({**methods, "rate": {"values": [0.25, 1.0]}, "kind": {"values": ["5", "plain", "a b"]}}, extra=own)
    document = configurations.configuration(loaded)
    fixed = {name: one["value"] for name, one in document["parameters"].items() if "value" in one}
    cells = document["parameters"]["cell"]["values"]
    assert "'kind=\"5\"' method=half rate=0.25" in cells
    keys = [make(configurations.choices({**fixed, "cell": cell}), ["dm", "half", "other"]).key() for cell in cells]
    assert keys == [cell.key for cell in loaded.cells]


def test_names_with_options_are_read_back() -> None:
    settings: dict[str, tuple[Any, ...]] = {"lr0": (0.05, 0.1), "mtt-lite.lr0": (1.0,), "Kind_2": ("a",)}
    name = naming.derived("mine", settings)
    assert name == "mine,Kind_2=a,lr0=0.05,0.1,mtt-lite.lr0=1"
    base, found = naming.parsed(name)
    assert (base, found) == ("mine", {"Kind_2": "a", "lr0": [0.05, 0.1], "mtt-lite.lr0": 1})

"""A sweep: its cells, and its definition as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ddsweep import sweep
from ddsweep.backends import sampler
from ddsweep.errors import UserError
from tests.sweep.examples import minimal, shipped, write


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_a_sweep_is_the_same_after_json(path: Path) -> None:
    loaded = sampler.sketch(sweep.load(path.stem))
    again = sweep.Sweep.from_definition(json.loads(json.dumps(loaded.definition())))
    assert again.with_points(json.loads(json.dumps(loaded.sampled))).cells == loaded.cells
    for cell in loaded.cells:
        assert again.recipe(json.loads(json.dumps(cell.point))) == cell.recipe


def test_an_agent_may_run_in_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("jay", "wren"):
        Path("birds", name).mkdir(parents=True)
        for index in range(10):
            Image.new("RGB", (16, 16)).save(Path("birds", name, f"{index}.png"))
    loaded = sweep.load("ablation-alpha", "demo", {"target": "imagefolder:birds", "size": 16})
    definition = json.loads(json.dumps(loaded.definition()))
    monkeypatch.chdir(tmp_path)
    again = sweep.Sweep.from_definition(definition)
    assert [again.recipe(cell.point).key() for cell in loaded.cells] == [cell.key for cell in loaded.cells]


def test_exclude_drops_points() -> None:
    document = minimal()
    document["parameters"]["ipc"] = {"values": [1, 10]}
    document["x-ddsweep"]["exclude"] = [{"alpha": 1, "ipc": 10}]
    cells = sweep.load(write(yaml.safe_dump(document))).cells
    assert [(cell.recipe.alpha, cell.recipe.ipc) for cell in cells] == [(0, 1), (0, 10), (1, 1)]


def test_exclude_drops_points_by_a_condition() -> None:
    document = minimal()
    document["parameters"]["ipc"] = {"values": [1, 10, 50]}
    document["x-ddsweep"]["exclude"] = ["alpha > 0 and ipc in [1, 10]"]
    loaded = sweep.load(write(yaml.safe_dump(document)))
    assert [(cell.recipe.alpha, cell.recipe.ipc) for cell in loaded.cells] == [(0, 1), (0, 10), (0, 50), (1, 50)]
    again = sweep.Sweep.from_definition(json.loads(json.dumps(loaded.definition())))
    assert again.cells == loaded.cells


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("alhpa == 0", "exclude: 'alhpa == 0': unknown field 'alhpa'; did you mean alpha? (allowed: alpha, ipc"),
        ("alpha == 'x'", "exclude: \"alpha == 'x'\": alpha is a number, 'x' is a string; they cannot be compared"),
        ("__import__('os')", "exclude: \"__import__('os')\": \"__import__('os')\" is not allowed here; write fields"),
        (5, "x-ddsweep.exclude.0: input should be a valid "),
    ],
)
def test_a_wrong_condition_is_one_line(rule: object, line: str) -> None:
    document = minimal()
    document["x-ddsweep"]["exclude"] = [rule]
    with pytest.raises(UserError) as error:
        sweep.load(write(yaml.safe_dump(document)))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha_by_arch": ["convnet3:7", "convnet3:8"]},  # equivalent to alpha, which is not swept
        {"eval_rule": ["paper", "best", "evaluate_synset", "plain300", "dc"], "eval_strategy": "none"},
        {"source": ["target", "shapes", "imagenet"], "ptm_statistics": ["target", "source"]},
    ],
    ids=["alpha_by_arch", "eval_rule", "source"],
)
def test_a_point_gives_its_cell_whatever_is_swept(settings: dict[str, Any]) -> None:
    loaded = sweep.load("ablation-alpha", "demo", {"alpha": 1.0, **settings})
    assert len(loaded.cells) == 4 - ("alpha_by_arch" in settings) * 2
    for cell in loaded.cells:
        assert loaded.recipe(cell.point).key() == cell.key

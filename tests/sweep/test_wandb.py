"""Every sweep file as a W&B configuration: W&B's grid is exactly the sweep, and a run's parameters give its recipe."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make
from ddsweep.sweep import wandb as configurations
from tests.standin.registry import KEYS
from tests.sweep.examples import minimal, shipped, write


def grid(configuration: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parameters that W&B gives the runs: the product of the values, with JSON's single type of number.

    A range stands for its two ends.
    """
    lists = [
        entry.get("values") or ([entry["value"]] if "value" in entry else [entry["min"], entry["max"]])
        for entry in configuration["parameters"].values()
    ]
    for values in itertools.product(*lists):
        given = dict(zip(configuration["parameters"], values, strict=True))
        yield {name: one_number(value) for name, value in json.loads(json.dumps(given)).items()}


def one_number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def keys(configuration: Mapping[str, Any]) -> Counter[str]:
    return Counter(make(configurations.choices(given)).key() for given in grid(configuration))


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_the_registered_grid_is_the_sweep(path: Path, profile: str) -> None:
    loaded = sweep.load(path.stem, profile)
    configuration = yaml.safe_load(configurations.text(configurations.configuration(loaded)))
    expected = (
        [loaded.recipe({"alpha": end}).key() for end in (1.0, 1e4)] if loaded.search else [c.key for c in loaded.cells]
    )
    assert keys(configuration) == dict.fromkeys(expected, 1)
    assert set(configuration) <= KEYS
    allowed = ({"value"}, {"values"}, {"distribution", "min", "max"})
    assert all(set(entry) in allowed for entry in configuration["parameters"].values())
    assert set(configuration["parameters"]) <= {*loaded.parameters, *loaded.swept, "cell"}
    assert configuration["command"] == ["${env}", "ddsweep", "trial", f"{path.stem}@{profile}", "${args_json}"]
    assert configurations.restore(configuration) == configurations.with_sampled_seeds(loaded)


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_the_sweep_file_itself_is_a_configuration(path: Path) -> None:
    """``wandb sweep sweeps/NAME.yaml`` warns about ``x-ddsweep`` and runs at the paper's scale without ``exclude``."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert document["command"] == ["${env}", "ddsweep", "trial", f"{path.stem}@paper", "${args_json}"]
    loaded = sweep.load(path.stem)
    expected = {cell.key for cell in loaded.cells if not (loaded.search and loaded.is_baseline(cell.recipe))}
    assert expected <= set(keys(document))
    assert set(document) - {"x-ddsweep"} <= KEYS


def test_text_that_looks_like_a_number_is_quoted_in_yaml() -> None:
    words = {
        "a": "1e3",
        "b": "none",
        "c": "",
        "d": "007",
        "e": "true",
        "f": "two\nlines: [x",
        "g": "a: b",
        "h": "1_000",
    }
    written = configurations.text({"values": words})
    assert yaml.safe_load(written) == {"values": words}
    assert "a: '1e3'" in written  # text to PyYAML without quotes too, but not to other parsers


def test_a_full_product_keeps_its_axes() -> None:
    parameters = configurations.configuration(sweep.load("ablation-alpha", "demo"))["parameters"]
    assert parameters["alpha"]["values"][:3] == [0, 1, 10]
    assert parameters["ipc"] == {"value": 5}
    assert "cell" not in parameters


def test_other_sweeps_become_one_parameter_of_cells() -> None:
    file = write(yaml.safe_dump(minimal()))
    loaded = sweep.load(file, "demo", {"alpha": [0, 1], "n_models": [1, 2], "seed": [0, 1]})
    configuration = configurations.configuration(loaded)
    values = configuration["parameters"]["cell"]["values"]
    assert values[0] == "alpha=0.0 n_models=0 seed=0"  # one baseline, not one for each N_m
    assert len(values) == len(loaded.cells) == 6
    assert not {"alpha", "n_models", "seed"} & set(configuration["parameters"])
    assert keys(configuration) == {cell.key: 1 for cell in loaded.cells}


def test_some_cells_of_a_sweep() -> None:
    loaded = sweep.load("ablation-alpha", "demo")
    chosen = {cell.key for cell in loaded.cells[2:5]}
    assert set(keys(configurations.configuration(loaded, chosen))) == chosen
    assert configurations.restore(configurations.configuration(loaded, chosen)) == loaded


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alpha", 0.0),
        ("alpha", 1e3),
        ("lr_img", 0.1),
        ("seed", 10_000_000),
        ("source", "1e3"),
        ("ptm_archs", "none"),
        ("alpha_by_arch", ""),
        ("target", "imagefolder:/data/two words, 'quoted' = \"odd\""),
        ("target", "0"),
        ("eval_archs", "a+b"),
        ("source", "ünïcode"),
    ],
)
def test_types_are_restored(field: str, value: Any) -> None:
    plain = json.loads(json.dumps({field: one_number(value)}))
    cell = {"cell": configurations._spell({"width": 8, field: value})}
    for given in (configurations.choices(plain), configurations.choices(cell)):
        assert (given[field], type(given[field])) == (value, type(value))
    assert configurations.choices(cell)["width"] == 8


def test_a_run_with_its_whole_recipe_in_the_config_is_the_same_cell() -> None:
    for cell in sweep.load("ablation-n-models", "demo").cells:
        config = json.loads(json.dumps(cell.recipe.model_dump()))
        spelled = {"cell": configurations._spell(cell.point)}
        assert (
            make(configurations.choices(spelled | {name: one_number(config[name]) for name in config})) == cell.recipe
        )


def test_large_whole_numbers_may_come_back_as_powers_of_ten() -> None:
    assert configurations.choices(json.loads('{"seed": 1e+07}')) == {"seed": 10_000_000}
    with pytest.raises(UserError, match=r"seed: 0\.5 is not allowed"):
        make(configurations.choices({"seed": 0.5}))


@pytest.mark.parametrize("text", ["alpha", "alpha=one", "alpha='1", 7])
def test_a_cell_that_cannot_be_parsed_is_one_line(text: Any) -> None:
    with pytest.raises(UserError, match=r"write FIELD=VALUE|unknown parameter") as caught:
        make(configurations.choices({"cell": text}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("description", [None, "mine", f"title\n\n{configurations.MARK}" + '{"name": '])
def test_a_configuration_that_ddsweep_did_not_register(description: str | None) -> None:
    assert configurations.restore({"method": "grid", "description": description}) is None


def test_changes_are_listed_by_parameter() -> None:
    before = sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 10], "ipc": 1})
    after = sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 100.5], "ipc": 2, "eval_lr": 0.02})
    assert configurations.changes(before, after) == [
        "ipc: 1 → 2",
        "alpha: 0, 1, 10 → 0, 1, 100.5",
        "eval_lr: (default) → 0.02",
    ]
    assert configurations.changes(before, before) == []


def test_every_field_has_a_type() -> None:
    assert {configurations._type(field) for field in Recipe.model_fields} == {int, float, str}
    assert configurations._type("alpha") is float
    assert configurations._type("seed") is int

"""A picture shows one seed, the lowest that all its columns have, and says which; no finished column is left out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch

from ddsweep import files, pictures, sweep
from ddsweep.results.plots import images
from ddsweep.results.plots.seeds import NONE_IN_COMMON, Seeds
from ddsweep.results.plots.style import Output
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep

RUNS = Path("runs")


def finish(one: Sweep, without: Collection[tuple[float, int]] = ()) -> Sweep:
    """Write the sets of all cells but some, given by (α, seed); every pixel is a tenth of the seed."""
    for cell in one.cells:
        recipe = cell.recipe
        if (recipe.alpha, recipe.seed) not in without:
            gray = torch.full((10 * recipe.ipc, 1, 16, 16), recipe.seed / 10)
            tensors = {"images": gray, "labels": torch.arange(10).repeat_interleave(recipe.ipc)}
            facts = {"classes": "\n".join("0123456789"), "ipc": str(recipe.ipc), "mean": "[0]", "std": "[1]"}
            files.write_tensors(RUNS / cell.key / "synthetic.safetensors", tensors, facts)
            Result(recipe, accuracies={recipe.arch: [0.5]}).write(RUNS / cell.key)
    return one


@pytest.fixture
def grids(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[float], list[str], str]]:
    """Of every grid that is drawn: the seed whose pixels each column has, the heads, and the caption."""
    drawn: list[tuple[list[float], list[str], str]] = []
    grid = pictures.grid

    def watched(shown: Any, rows: Any, columns: Any, caption: str = "") -> Any:
        drawn.append(([round(10 * float(shown[0, c].mean())) for c in range(shown.shape[1])], list(columns), caption))
        return grid(shown, rows, columns, caption)

    monkeypatch.setattr(images.pictures, "grid", watched)
    return drawn


def alphas(*seeds: int, **settings: Any) -> Sweep:
    return sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 10], "seed": list(seeds), "ipc": 1, **settings})


def test_the_lowest_seed_of_all_columns_is_shown_and_named(grids: list[Any]) -> None:
    images.along_axis(finish(alphas(3, 1, 2)), RUNS)
    assert grids == [([1, 1, 1], ["0", "1", "10"], "seed 1")]


def test_a_missing_cell_costs_no_column(grids: list[Any]) -> None:
    images.along_axis(finish(alphas(0, 1, 2), {(0.0, 2), (1.0, 0)}), RUNS)
    assert grids == [([1, 1, 1], ["0", "1", "10"], "seed 1")]


def test_columns_without_a_common_seed_show_and_name_their_own(grids: list[Any]) -> None:
    images.along_axis(finish(alphas(1, 2), {(0.0, 1), (1.0, 2)}), RUNS)
    assert grids == [([2, 1, 1], ["0\nseed 2", "1\nseed 1", "10\nseed 1"], NONE_IN_COMMON)]


def test_a_column_without_any_image_is_left_out_and_decides_nothing(grids: list[Any]) -> None:
    images.along_axis(finish(alphas(0, 1), {(1.0, 0), (1.0, 1)}), RUNS)
    assert grids == [([0, 0], ["0", "10"], "seed 0")]


def test_every_setting_has_a_seed_of_its_own(grids: list[Any]) -> None:
    one = alphas(0, 1, method=["dsa", "dm"])
    finish(one)
    (lost,) = (c for c in one.cells if (c.recipe.method, c.recipe.alpha, c.recipe.seed) == ("dm", 0.0, 0))
    (RUNS / lost.key / "synthetic.safetensors").unlink()
    images.along_axis(one, RUNS)
    assert [(shown, caption) for shown, _, caption in grids] == [([0, 0, 0], "seed 0"), ([1, 1, 1], "seed 1")]


@pytest.mark.parametrize("suffix", [".pdf", ".svg"])
def test_a_printed_grid_names_it_too(figures: list[Any], suffix: str) -> None:
    images.along_axis(finish(alphas(4, 5)), RUNS, Output(Path("figures"), suffix=suffix))
    (figure,) = figures
    assert figure._supxlabel.get_text() == "seed 4"


def test_the_caption_is_below_the_images(tmp_path: Path) -> None:
    pixels = torch.rand(2, 3, 1, 16, 16)
    bare, named = (pictures.grid(pixels, ["cat", "dog"], ["0", "1", "2"], text) for text in ("", "seed 0"))
    assert named.layout == bare.layout
    assert named.image.height == bare.image.height + pictures.LINE
    assert named.image.crop((0, 0, *bare.image.size)).crop((0, 0, bare.image.width, 120)).tobytes() == (
        bare.image.crop((0, 0, bare.image.width, 120)).tobytes()
    )
    long = pictures.grid(pixels[:, :1], ["cat", "dog"], ["0"], NONE_IN_COMMON).image
    assert long.width > pictures.grid(pixels[:, :1], ["cat", "dog"], ["0"]).image.width, "nothing is cut off"


@pytest.mark.parametrize(
    ("available", "shown", "caption"),
    [
        ({"a": [2, 0], "b": [0, 1]}, {"a": 0, "b": 0}, "seed 0"),
        ({"a": [2, 1], "b": [2, 0]}, {"a": 2, "b": 2}, "seed 2"),
        ({"a": [1], "b": [0], "c": []}, {"a": 1, "b": 0}, NONE_IN_COMMON),
        ({"a": []}, {}, ""),
        ({}, {}, ""),
    ],
)
def test_the_choice(available: dict[str, list[int]], shown: dict[str, int], caption: str) -> None:
    found = Seeds.of(available)
    assert (found.shown, found.caption) == (shown, caption)

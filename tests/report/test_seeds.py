"""The pictures, the accuracies by class and the loss curves of a report are of one seed, which is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ddsweep import sweep
from ddsweep.results.plots.seeds import NONE_IN_COMMON
from ddsweep.results.result import Result
from tests.report.conftest import RUNS, Finished
from tests.report.test_page import page


def several(*lost: tuple[float, int]) -> Finished:
    """DM with three α and the seeds 0, 1 and 2, without the runs of some, given by (α, seed).

    Networks of seed s reach 50 % + s on every class at α = 0 and 10 points more at the others; losses start at s.
    """
    settings = {"method": "dm", "alpha": [0, 1, 100], "seed": [2, 0, 1], "ipc": 2, "iterations": 8}
    one = Finished(sweep.load("ablation-alpha", "demo", settings), RUNS, {})
    for cell in one.sweep.cells:
        alpha, seed = cell.recipe.alpha, cell.recipe.seed
        one.complete(cell, [0.5, 0.52])
        level = 0.5 + 0.01 * seed + 0.1 * (alpha > 0)
        Result(cell.recipe, {"convnet3": [level]}, class_accuracy={"convnet3": [level] * 10}).write(RUNS / cell.key)
        lines = [{"step": step, "loss/match": float(seed)} for step in (1, 2)]
        Path(RUNS, cell.key, "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        Result(cell.recipe, {"convnet3": [level]}, class_accuracy={"convnet3": [level] * 10}).write(RUNS / cell.key)
        if (alpha, seed) in lost:
            shutil.rmtree(RUNS / cell.key)
    return one


def test_the_lowest_seed_that_all_values_have_is_shown_and_named() -> None:
    shown = page(several((1.0, 0)))
    (gallery,) = shown.data["galleries"]
    assert gallery["seeds"] == {"0": "seed 1", "1": "seed 1", "2": "seed 1"}
    assert gallery["rates"]["0"] == [[51.0, None]] * 10
    assert [accuracy for accuracy, _ in gallery["rates"]["2"]] == [61.0] * 10
    assert {round(gain, 6) for _, gain in gallery["rates"]["2"]} == {10.0}
    (curves,) = shown.data["curves"]
    assert curves["seeds"] == "seed 1"
    assert [line["y"][0] for line in curves["terms"][0]["figure"]["data"]] == [1.0, 1.0, 1.0]
    assert "The first image of each class along α seed 1" in shown.text
    assert "matching loss seed 1" in shown.text


def test_values_without_a_common_seed_have_their_own() -> None:
    shown = page(several((0.0, 0), (0.0, 1), (1.0, 2)))
    (gallery,) = shown.data["galleries"]
    assert gallery["seeds"] == {"0": "seed 2", "1": "seed 0", "2": "seed 0"}
    assert gallery["rates"]["1"] == [[60.0, None]] * 10, "the baseline of this seed is not there"
    said = f"{NONE_IN_COMMON}: 0 with seed 2; 1, 100 with seed 0"
    assert f"along α {said}" in shown.text
    assert shown.data["curves"][0]["seeds"] == said

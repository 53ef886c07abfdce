"""The waist: a pure function of the recipe, computed once, with files that open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from ddsweep import sweep, trial
from ddsweep.recipe import Recipe, make
from ddsweep.results import figures
from ddsweep.results.result import Result
from ddsweep.trackers.null import NullTracker

TINY: dict[str, Any] = {
    "target": "digits", "ipc": 1, "width": 4, "iterations": 3, "batch_real": 8, "outer_loops": 2, "inner_epochs": 1,
    "alpha": 10.0, "ptm_epochs": 2, "ptm_batch": 256, "cclom_batch": 32, "eval_nets": 2, "eval_epochs": 4,
}  # fmt: skip


class Recorder(NullTracker):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def start(self, recipe: Recipe) -> None:
        self.calls.append(("start", recipe.key()))

    def progress(self, phase: str, done: int, total: int) -> None:
        self.calls.append(("progress", phase, done, total))

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.calls.append(("log", step, metrics))

    def image(self, name: str, picture: Image.Image, step: int) -> None:
        self.calls.append(("image", name, step, picture.size))

    def finish(self, result: Result) -> None:
        self.calls.append(("finish", result.state))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == kind]


def run(runs: str = "runs", tracker: Any = None, **choices: Any) -> Result:
    return trial.run(make(TINY | choices), tracker or NullTracker(), "cpu", Path(runs))


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


CASES = [
    {"method": "dm"}, {"method": "dm", "alpha": 0.0}, {"method": "dc"}, {"method": "dsa", "regularizer": "cclom"},
    {"method": "dm", "source": "shapes"}, {"method": "dm", "archs": "convnet3+convnet2", "n_models": 2},
    {"method": "dc", "arch": "convnet3-bn"}, {"method": "dm", "arch": "convnet3-bn"},
]  # fmt: skip


@pytest.mark.parametrize("choices", CASES, ids=lambda choices: "-".join(map(str, choices.values())))
def test_the_same_recipe_twice_gives_the_same_bits(choices: dict[str, Any]) -> None:
    first, second = (run(runs, **choices) for runs in ("one", "two"))
    assert first.accuracies == second.accuracies
    key = first.recipe.key()
    sets = [trial.load_synthetic(Path(runs) / key, 1).images for runs in ("one", "two")]
    assert torch.equal(*sets)
    assert first.state == "complete"


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    run(method="dsa")
    assert torch.equal(before, torch.get_rng_state())


def test_evaluating_otherwise_does_not_change_what_is_distilled() -> None:
    few, many = run("one"), run("two", eval_nets=3, eval_epochs=6)
    images = [trial.load_synthetic(Path(runs) / r.recipe.key(), 1).images for runs, r in (("one", few), ("two", many))]
    assert torch.equal(*images)


def test_the_regularizer_changes_what_is_distilled_and_alpha_its_weight() -> None:
    sets = [
        trial.load_synthetic(Path("runs") / run(alpha=alpha).recipe.key(), 1).images for alpha in (0.0, 10.0, 1000.0)
    ]
    assert not torch.equal(sets[0], sets[1])
    assert not torch.equal(sets[1], sets[2])


def test_a_run_folder_is_whole() -> None:
    result = run(method="dm")
    folder = Path("runs") / result.recipe.key()
    stored = json.loads((folder / "result.json").read_text())
    names = {"key", "recipe", "accuracy", "accuracy_std", "n", "accuracies", "class_accuracy", "seconds", "device"}
    assert names | {"versions", "git", "state", "reason"} <= set(stored)
    assert set(stored["seconds"]) == {"pretrain", "distill", "evaluate"}
    assert len(stored["class_accuracy"]["convnet3"]) == 10
    assert json.loads((folder / "recipe.json").read_text()) == result.recipe.model_dump()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {"loss/match", "loss/regularizer", "steps_per_second", "images_per_second"} <= set(lines[0])
    assert {"accuracy", "accuracy_std", "accuracy/convnet3", "class_accuracy/7", "seconds/distill"} <= set(lines[-1])
    with safe_open(folder / "synthetic.safetensors", "pt") as file:
        images, labels, metadata = file.get_tensor("images"), file.get_tensor("labels"), file.metadata()
    assert images.shape == (10, 1, 16, 16)
    assert images.dtype == torch.float32
    assert labels.tolist() == list(range(10))
    assert {"dataset", "mean", "std", "ipc", "method", "key"} <= set(metadata)
    assert size_of(folder / "synthetic.png") == size_of(folder / "real.png")
    assert [path.name for path in sorted((folder / "images").glob("synthetic*"))] == [
        f"synthetic_{step:06d}.png" for step in (0, 1, 2, 3)
    ]
    assert not list(folder.rglob("*.tmp*"))


def test_a_tracker_hears_the_whole_story_in_order() -> None:
    tracker = Recorder()
    result = run(tracker=tracker, method="dm")
    kinds = [call[0] for call in tracker.calls]
    assert (kinds[0], kinds[-1]) == ("start", "finish")
    phases = list(dict.fromkeys(call[1] for call in tracker.of("progress")))
    assert phases == ["pretrain convnet3 0", "distill", "evaluate convnet3"]
    for phase in phases:
        done, total = [call[2:] for call in tracker.of("progress") if call[1] == phase][-1]
        assert done == total
    assert [call[1] for call in tracker.of("log")] == [1, 2, 3]
    assert tracker.calls[-1] == ("finish", result.state)


def test_a_finished_run_is_returned_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    monkeypatch.setattr(trial, "distill", lambda *_: pytest.fail("distilled again"))
    tracker = Recorder()
    assert run(tracker=tracker) == first
    assert [call[0] for call in tracker.calls] == ["start", "image", "finish"]


def test_a_diverging_loss_is_a_finding() -> None:
    result = run(method="dm", lr_img=1e30, alpha=0.0, iterations=20)
    assert (result.state, result.accuracy) == ("failed", None)
    assert "the loss is" in (result.reason or "")
    assert run(method="dm", lr_img=1e30, alpha=0.0, iterations=20) == result


def test_the_match_is_logged_unweighted() -> None:
    """α multiplies in one place; what is logged is the term itself."""
    terms = []
    for alpha in (1e-6, 1e-5):
        tracker = Recorder()
        run(tracker=tracker, alpha=alpha, iterations=1)
        terms.append(tracker.of("log")[0][2]["loss/regularizer"])
    assert terms[0] == pytest.approx(terms[1], rel=1e-5)
    assert terms[0] > 0


def test_pictures_of_the_whole_sweep() -> None:
    one = sweep.load("ablation-alpha", "demo", {**TINY, "alpha": [0, 10]})
    for cell in one.cells:
        trial.run(cell.recipe, NullTracker(), "cpu", Path("runs"))
    (path,) = figures.along_axis(one, Path("runs"))
    assert path == Path("runs/ablation-alpha@demo/alpha.png")
    width, height = size_of(path)
    assert height > 10 * 48
    assert width > 2 * 48

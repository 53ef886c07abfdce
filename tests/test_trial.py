"""The waist: a pure function of the recipe, computed once, with files that open."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from ddsweep import sweep, trial
from ddsweep.distill.synthetic import read
from ddsweep.errors import UserError
from ddsweep.evaluate import Rule
from ddsweep.pretrained import published
from ddsweep.recipe import Recipe, make
from ddsweep.registry.ptms import PTMS
from ddsweep.results.plots import images
from ddsweep.results.result import Result
from ddsweep.results.result import read as read_result
from ddsweep.trackers import Tracker
from tests import foundations, toys

TINY: dict[str, Any] = {
    "target": "digits", "ipc": 1, "width": 4, "iterations": 3, "batch_real": 8, "outer_loops": 2, "inner_epochs": 1,
    "alpha": 10.0, "ptm_train_epochs": 2, "ptm_batch": 256, "cclom_batch": 32, "eval_nets": 2, "eval_epochs": 4,
}  # fmt: skip


class Recorder(Tracker):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def start(self, recipe: Recipe) -> None:
        self.calls.append(("start", recipe.key()))

    def progress(self, phase: str, done: int, total: int) -> None:
        self.calls.append(("progress", phase, done, total))

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.calls.append(("log", step, metrics))

    def image(self, name: str, png: bytes, step: int) -> None:
        with Image.open(io.BytesIO(png)) as image:
            self.calls.append(("image", name, step, image.size))

    def finish(self, result: Result) -> None:
        self.calls.append(("finish", result.state))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == kind]


def run(runs: str = "runs", tracker: Any = None, recompute: bool = False, **choices: Any) -> Result:
    return trial.run(make(TINY | choices), tracker or Tracker(), "cpu", Path(runs), recompute=recompute)


def stored(folder: Path) -> torch.Tensor:
    return read(folder / "synthetic.safetensors")[0].images


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


CASES = [{"method": "dm"}, {"method": "dc", "arch": "convnet3-bn"}, {"method": "dsa", "regularizer": "cclom"}]
FURTHER = [
    {"method": "dm", "alpha": 0.0}, {"method": "dc"}, {"method": "dm", "source": "shapes"},
    {"method": "dm", "ptm_archs": "convnet3+convnet2", "n_models": 2}, {"method": "dm", "arch": "convnet3-bn"},
    {"method": "dm", "source": "shapes", "ptm_statistics": "source"},
]  # fmt: skip


@pytest.mark.parametrize(
    "choices", [*CASES, *(pytest.param(one, marks=pytest.mark.slow) for one in FURTHER)],
    ids=lambda choices: "-".join(map(str, choices.values())),
)  # fmt: skip
def test_the_same_recipe_twice_gives_the_same_bits(choices: dict[str, Any]) -> None:
    first, second = (run(runs, **choices) for runs in ("one", "two"))
    assert first.accuracies == second.accuracies
    key = first.recipe.key()
    sets = [stored(Path(runs) / key) for runs in ("one", "two")]
    assert torch.equal(*sets)
    assert first.state == "complete"


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    run(method="dsa")
    assert torch.equal(before, torch.get_rng_state())


def test_evaluating_otherwise_does_not_change_what_is_distilled() -> None:
    few, many = run("one"), run("two", eval_nets=3, eval_epochs=6)
    images = [stored(Path(runs) / r.recipe.key()) for runs, r in (("one", few), ("two", many))]
    assert torch.equal(*images)


def test_the_regularizer_changes_what_is_distilled_and_alpha_its_weight() -> None:
    sets = [stored(Path("runs") / run(alpha=alpha).recipe.key()) for alpha in (0.0, 10.0, 1000.0)]
    assert not torch.equal(sets[0], sets[1])
    assert not torch.equal(sets[1], sets[2])


def distilled(**choices: Any) -> torch.Tensor:
    return stored(Path("runs") / run(**choices).recipe.key())


def test_alpha_by_architecture_counts_for_the_drawn_ptm() -> None:
    """One image step with each of four seeds: α of the architecture that the seed draws, and of no other."""
    both = {"ptm_archs": "convnet2+convnet3", "iterations": 1, "eval_nets": 1, "eval_epochs": 1}
    drawn = set()
    for seed in (0, 1, 6, 7):
        plain, mixed = (distilled(**both, seed=seed, alpha_by_arch=text) for text in ("", "convnet2:1000"))
        heavy = distilled(**both, seed=seed, alpha=1000.0)
        assert torch.equal(mixed, plain) != torch.equal(mixed, heavy)
        drawn.add("convnet3" if torch.equal(mixed, plain) else "convnet2")
    assert drawn == {"convnet2", "convnet3"}


def test_images_reach_ptms_of_another_domain_in_either_statistics() -> None:
    across = {"source": "shapes", "alpha": 1000.0}
    assert not torch.equal(distilled(**across), distilled(**across, ptm_statistics="source"))


@pytest.mark.parametrize(
    ("choices", "arch", "rule"),
    [
        ({}, "convnet3", Rule(strategy="color_crop_cutout_flip_scale_rotate")),
        (
            {"eval_rule": "best", "eval_lr": 0.1},
            "vgg11",
            Rule(strategy="color_crop_cutout_flip_scale_rotate", checks=20, lr=0.1),
        ),
        ({"eval_rule": "plain300", "eval_batch": 64}, "convnet3", Rule(epochs=300, restart=True, batch=64)),
        ({"eval_rule": "evaluate_synset", "eval_strategy": "crop"}, "convnet3", Rule(strategy="crop", restart=True)),
        ({"eval_rule": "dc"}, "convnet3", Rule(epochs=300, restart=True)),
        ({"eval_rule": "dc"}, "convnet3-bn", Rule(strategy="crop_noise", operations="dc", restart=True)),
        (
            {"eval_rule": "dc", "target": "digits"},
            "vgg11",
            Rule(strategy="crop_scale_rotate", operations="dc", restart=True),
        ),
        (
            {"eval_rule": "dc", "eval_epochs": 7},
            "convnet3-bn",
            Rule(epochs=7, strategy="crop_noise", operations="dc", restart=True),
        ),
    ],
)
def test_the_rule_of_the_evaluation(choices: dict[str, Any], arch: str, rule: Rule) -> None:
    assert trial.rule_for(make(choices), arch) == rule


def test_a_published_model_guides_a_trial() -> None:
    row = PTMS["imagenet"]
    torch.save(foundations.resnet18(), "weights.pth")
    published.adopt(row, Path("weights.pth"))
    tracker = Recorder()
    choices = {
        "source": "imagenet",
        "iterations": 1,
        "cclom_batch": 6,
        "eval_nets": 1,
        "eval_epochs": 1,
        "alpha": 1000.0,
    }
    result = trial.run(make(TINY | choices), tracker, "cpu", Path("runs"))
    assert set(result.data) == {"digits", "imagenet"}
    assert result.data["imagenet"] == published.ensure(row)
    assert "pretrained resnet18-imagenet" in {call[1] for call in tracker.of("progress")}
    assert not torch.equal(stored(Path("runs") / result.recipe.key()), distilled(alpha=0.0, iterations=1))


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
    monkeypatch.setattr(trial.Distillation, "start", lambda *_: pytest.fail("distilled again"))
    tracker = Recorder()
    assert run(tracker=tracker) == first
    assert [call[0] for call in tracker.calls if call[0] != "image"] == ["start", "log", "log", "log", "finish"]
    assert [call[1:3] for call in tracker.of("image")] == [
        ("real", 0), ("synthetic", 0), ("synthetic", 1), ("synthetic", 2), ("synthetic", 3),
    ]  # fmt: skip


def test_a_finished_run_of_other_images_is_not_returned() -> None:
    for name, color in (("jay", (0, 0, 200)), ("wren", (120, 80, 40))):
        for index in range(10):
            path = Path("birds") / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), tuple(value + index for value in color)).save(path)
    birds: dict[str, Any] = {"target": "imagefolder:birds", "size": 16, "alpha": 0.0}
    first = run(**birds)
    assert run(**birds) == first
    Image.new("RGB", (16, 16), "red").save("birds/jay/3.png")
    with pytest.raises(UserError, match=r"from other images of imagefolder:.*birds; .* --recompute"):
        run(**birds)
    again = run(**birds, recompute=True)
    assert again.data != first.data
    (kept,) = Path("runs/replaced").iterdir()
    assert read_result(kept.rename(kept.with_name(first.recipe.key()))) == first


def test_decoding_the_images_is_a_phase_of_the_trial() -> None:
    for name in ("jay", "wren"):
        for index in range(10):
            path = Path("birds") / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((16, 16), 20 + index).convert("RGB").save(path)
    tracker = Recorder()
    run(tracker=tracker, target="imagefolder:birds", size=16, alpha=0.0, iterations=1)
    assert [call[1:] for call in tracker.of("progress")][:2] == [("decode images", 16, 20), ("decode images", 20, 20)]


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
        trial.run(cell.recipe, Tracker(), "cpu", Path("runs"))
    (path,) = images.along_axis(one, Path("runs"))
    assert path == Path("runs") / one.full_name / "alpha.png"
    width, height = size_of(path)
    assert height > 10 * 48
    assert width > 2 * 48


def test_large_images_go_through_convnet6_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """224 pixels (paper, Table 3): the same set comes out whatever fits through the network at once."""
    for name, color in (("tench", (200, 90, 20)), ("church", (20, 60, 180))):
        for index in range(10):
            path = Path("photos") / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((64, 48), 20 + index).convert("RGB").save(path)
            with Image.open(path) as picture:
                Image.blend(picture, Image.new("RGB", picture.size, color), 0.5).save(path)
    large: dict[str, Any] = {
        "target": "imagefolder:photos",
        "size": 224,
        "arch": "convnet6",
        "method": "dm",
        "alpha": 0.0,
        "iterations": 2,
    }
    toys.bound_passes(monkeypatch, 512, size=224)
    whole = run("one", **large)
    toys.bound_passes(monkeypatch, 3, size=224)
    parts = run("two", **large)
    sets = [stored(Path(runs) / whole.recipe.key()) for runs in ("one", "two")]
    assert sets[0].shape == (2, 3, 224, 224)
    torch.testing.assert_close(*sets, rtol=1e-4, atol=1e-5)
    assert parts.state == "complete"

"""t-SNE: the same every time, classes stay together, and the features are those of a well-trained PTM."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from ddsweep import data, rng, sweep, trial
from ddsweep.data import Dataset
from ddsweep.distill.sets import pixels
from ddsweep.pretrained import spec
from ddsweep.results.plots import tsne
from ddsweep.results.plots.style import Output
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep
from tests.toys import noise, spy

RUNS = Path("runs")
TINY = {"ipc": 3, "width": 4, "ptm_train_epochs": 2, "ptm_epoch": 1, "ptm_batch": 256, "ptm_archs": "convnet3"}


def silhouette(places: Tensor, labels: Tensor) -> float:
    """Mean over the points of (b − a) / max(a, b): distance to its own class, a, and to the nearest other one, b."""
    scores = []
    for index, label in enumerate(labels):
        away = (places - places[index]).norm(dim=1)
        own = away[labels == label].sum() / ((labels == label).sum() - 1)
        other = min(float(away[labels == one].mean()) for one in labels.unique() if one != label)
        scores.append((other - float(own)) / max(other, float(own)))
    return sum(scores) / len(scores)


def blobs(classes: int = 4, each: int = 20) -> tuple[Tensor, Tensor]:
    labels = torch.arange(classes).repeat_interleave(each)
    return 3 * noise(classes, 12, seed=1)[labels] + noise(len(labels), 12, seed=2), labels


def test_points_of_a_class_stay_together() -> None:
    features, labels = blobs()
    places = tsne.embed(features, seed=0)
    assert places.shape == (80, 2)
    assert silhouette(places, labels) > 0.5
    assert silhouette(places, labels.roll(10)) < 0.1  # what the measure says of labels that are wrong


def test_the_same_bits_whatever_was_drawn_before() -> None:
    import numpy as np

    features, _ = blobs()
    np.random.seed(1)  # noqa: NPY002 (the generator that scikit-learn takes when it is given none)
    first = tsne.embed(features, seed=0)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    assert torch.equal(tsne.embed(features, seed=0), first)


def test_a_few_points_are_enough() -> None:
    assert tsne.embed(noise(4, 5), seed=0).isfinite().all()


@pytest.fixture
def dataset() -> Dataset:
    return data.load("digits")


def small(name: str = "figureA1", **changes: Any) -> Sweep:
    return sweep.load(name, "demo", TINY | {"method": ["dc", "dm"]} | changes)


def finish(one: Sweep, dataset: Dataset, *unfinished: int) -> None:
    """Write synthetic sets as trials would have; every cell has images of its own."""
    for number, cell in enumerate(one.cells):
        if number not in unfinished:
            found = pixels.initial(dataset, cell.recipe.ipc, "real", rng.generator(number, "test"))
            trial.save(found, cell.recipe, dataset, RUNS / cell.key)
            Result(cell.recipe, {"convnet3": [0.5]}).write(RUNS / cell.key)


def test_figure_a1_as_a_whole(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsne, "REAL", 60)
    monkeypatch.setattr(tsne, "SYNTHETIC", 20)
    plots = spy(monkeypatch, tsne, "draw_scatter", lambda figure, scene: scene)
    one = small()
    told: list[str] = []
    finish(one, dataset, 3)
    (path,) = tsne.feature_maps(one, RUNS, say=told.append)
    assert path == RUNS / one.full_name / "tsne.png"
    with Image.open(path) as picture:
        assert picture.width >= 1500
    (scene,) = plots
    real, panels = scene.real, scene.panels
    assert (scene.rows, scene.columns) == (["without CLoM", "with CLoM"], ["DC", "DM"])
    assert set(panels) == {("without CLoM", "DC"), ("without CLoM", "DM"), ("with CLoM", "DC")}  # one is not finished
    assert real.labels.bincount().tolist() == [6] * 10
    assert all(points.labels.bincount().tolist() == [2] * 10 for points in panels.values())  # of three, the first two
    assert all(points.places.shape == (20, 2) for points in panels.values())
    assert scene.classes == dataset.classes
    assert told == ["training convnet3 on digits, seed 0, 2 epochs: it makes the features"]
    ((ptm,),) = spec.of(tsne.well_trained(one, one.cells[0].recipe))
    assert "ConvNet-3 after 2 epochs on all 1201 images (test accuracy " in scene.caption
    assert ptm.saved() == {2}

    again = path.read_bytes()
    (path,) = tsne.feature_maps(one, RUNS, Output(Path("elsewhere")), say=told.append)
    assert path == Path("elsewhere/tsne.png")
    assert path.read_bytes() == again
    (path,) = tsne.feature_maps(one, RUNS, Output(Path("elsewhere"), "a1", ".pdf"), say=told.append)
    assert path.read_bytes().startswith(b"%PDF")
    assert len(told) == 1  # the PTM is in the pool


def test_equal_images_are_neighbours_whichever_set_they_are_in(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One embedding for all panels: two sets with the same images look the same."""
    monkeypatch.setattr(tsne, "REAL", 100)
    plots = spy(monkeypatch, tsne, "draw_scatter", lambda figure, scene: scene)
    one = small(method="dm")
    same = pixels.initial(dataset, 3, "real", rng.generator(0, "test"))
    for cell in one.cells:
        trial.save(same, cell.recipe, dataset, RUNS / cell.key)
        Result(cell.recipe, {"convnet3": [0.5]}).write(RUNS / cell.key)
    tsne.feature_maps(one, RUNS)
    (scene,) = plots
    without, with_ = (points.places for points in scene.panels.values())
    apart = (without - with_).norm(dim=1)
    others = torch.cdist(without, scene.real.places).mean(dim=1)
    assert float((apart / others).median()) < 0.1


def test_without_a_set_nothing_is_trained_or_drawn() -> None:
    assert tsne.feature_maps(small(), RUNS) == []
    assert not spec.pool_dir().exists()
    assert not RUNS.exists()


def test_all_panels_show_the_lowest_seed_that_they_have_in_common(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tsne, "REAL", 40)
    opened = spy(monkeypatch, tsne, "_synthetic", lambda path, classes: path.parent.name)
    drawn = spy(monkeypatch, tsne, "draw_scatter", lambda figure, scene: scene)
    one = small(method="dm", seed=[0, 1, 2])
    seeds = {cell.key: cell.recipe.seed for cell in one.cells}
    first, *_ = (number for number, cell in enumerate(one.cells) if cell.recipe.alpha and cell.recipe.seed == 0)
    finish(one, dataset, first)
    tsne.feature_maps(one, RUNS)
    assert [seeds[key] for key in opened] == [1, 1]
    assert drawn[0].caption.endswith("Stars: seed 1.")
    assert set(drawn[0].notes.values()) == {""}


def test_panels_without_a_common_seed_name_their_own(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsne, "REAL", 40)
    drawn = spy(monkeypatch, tsne, "draw_scatter", lambda figure, scene: scene)
    one = small(method="dm", seed=[0, 1])
    finish(one, dataset, *(n for n, cell in enumerate(one.cells) if bool(cell.recipe.alpha) != cell.recipe.seed))
    tsne.feature_maps(one, RUNS)
    assert drawn[0].notes == {("without CLoM", "DM"): "seed 0", ("with CLoM", "DM"): "seed 1"}


def test_settings_that_the_baseline_names_are_never_in_one_panel(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLoM and CCLoM at one α, beside the baseline without either: three panels, each with its own set."""
    monkeypatch.setattr(tsne, "REAL", 40)
    opened = spy(monkeypatch, tsne, "_synthetic", lambda path, classes: path.parent.name)
    drawn = spy(monkeypatch, tsne, "draw_scatter", lambda figure, scene: scene)
    one = replace(
        small("ablation-alpha", method="dm", alpha=[5], regularizer=["none", "clom", "cclom"]),
        baseline={"regularizer": "none"},
    )
    finish(one, dataset)
    tsne.feature_maps(one, RUNS)
    assert sorted(set(opened)) == sorted(cell.key for cell in one.cells)
    shown = [row for scene in drawn for row, _ in scene.panels]
    assert {row for row in shown if "5" in row} == {"loss CLoM · 5", "loss CCLoM · 5"}


def test_targets_with_the_same_classes_are_never_in_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each panel is drawn over the real images of its own target, also where the target is the axis."""
    monkeypatch.setattr(tsne, "REAL", 40)
    for folder, seed in (("day", 0), ("night", 1)):
        for split, count in (("train", 6), ("test", 2)):
            for name in "ab":
                Path(folder, split, name).mkdir(parents=True)
                for index in range(count):
                    picture = Image.fromarray(noise(16, 16, seed=seed + index).mul(40).add(128).byte().numpy())
                    picture.save(Path(folder, split, name, f"{index}.png"))
    targets = [f"imagefolder:{Path(folder).absolute()}" for folder in ("day", "night")]
    drawn = spy(monkeypatch, tsne, "_real", lambda dataset: dataset.name)
    one = replace(small(method="dm", target=targets, size=16), axis=("target",))
    for target in targets:
        mine = [number for number, cell in enumerate(one.cells) if cell.recipe.target != target]
        finish(one, data.load(target, 16), *mine)
    written = tsne.feature_maps(one, RUNS)
    assert drawn == targets
    assert len(set(written)) == 2
    assert all(path.is_file() for path in written)


@pytest.mark.parametrize("name", ["figureA1", "figure1", "ablation-epoch", "ablation-domain", "ablation-alpha"])
def test_the_features_are_those_of_a_ptm_that_well_trained_clom_uses(name: str) -> None:
    """Whatever the sweep varies, and also where it has no PTMs at all."""
    one = sweep.load(name)
    in_table_4 = spec.needs(cell.recipe for cell in sweep.load("table4").cells)
    for cell in one.cells:
        guided = tsne.well_trained(one, cell.recipe)
        ((ptm,),) = spec.of(guided)
        assert (ptm.source, ptm.arch, ptm.width, ptm.seed) == (cell.recipe.target, "convnet3", 128, 0)
        assert guided.ptm_epoch == ptm.epochs == 150
        if ptm.source == "cifar10":
            assert 150 in in_table_4[ptm]

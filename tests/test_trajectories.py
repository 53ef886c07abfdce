"""Trials of TM: shared experts, whitened sets to eyes, files and back, and what goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ddsweep import data, exchange, flops, judging, overview, sweep, trial
from ddsweep.data import decoded, paths
from ddsweep.distill.synthetic import read, read_normalized
from ddsweep.exchange import collect, synthetic_set
from ddsweep.exchange import space as spaces
from ddsweep.exchange.prepare import Choices
from ddsweep.housekeeping import in_use
from ddsweep.pretrained import inventory, spec
from ddsweep.recipe import Recipe, make
from ddsweep.results.plots import images
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker

TINY: dict[str, Any] = {
    "target": "digits", "method": "tm", "ipc": 1, "width": 4, "iterations": 2, "syn_steps": 2, "expert_epochs": 1,
    "max_start_epoch": 2, "n_experts": 2, "lr_img": 1.0, "lr_lr": 1e-4, "lr_teacher": 0.01, "alpha": 0, "eval_nets": 1,
    "ptm_train_epochs": 1, "ptm_batch": 512, "eval_epochs": 3,
}  # fmt: skip


def recipe(**choices: Any) -> Recipe:
    return make(TINY | choices)


def run(**choices: Any) -> Result:
    return trial.run(recipe(**choices), Tracker(), "cpu", Path("runs"))


def folder(**choices: Any) -> Path:
    return Path("runs") / recipe(**choices).key()


def test_experts_are_trained_once_for_all_cells_and_longer_if_needed() -> None:
    run()
    before = {path: path.stat().st_mtime_ns for one in spec.experts(recipe()) for path in one.folder.glob("epoch*")}
    assert len(before) == 2 * 3
    run(seed=1)
    run(max_start_epoch=4)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [len(entry.accuracy) for entry in inventory.entries()] == [5, 5]


@pytest.mark.parametrize("choices", [{}, {"alpha": 0.1}, {"alpha": 0.1, "source": "shapes"}])
def test_a_whitened_cell(choices: dict[str, Any]) -> None:
    """Learned, guided and evaluated in the whitened space; stored there, and as pixels for eyes."""
    choices = {"zca": True, **choices}
    result = run(**choices)
    assert result.state == "complete"
    white, plain = data.load("digits", zca=True), data.load("digits")
    synthetic, metadata = read(folder(**choices) / "synthetic.safetensors")
    tensors = load_file(folder(**choices) / "synthetic.safetensors")
    assert metadata["zca"] == "true"
    assert (metadata["kind"], float(metadata["lr"])) == ("pixels-with-rate", synthetic.lr)
    assert set(tensors) == {"images", "labels", "pixels", "set.rate"}
    pixels = tensors["pixels"].clamp(0, 1)
    torch.testing.assert_close(white.denormalize(synthetic.images), pixels, rtol=0, atol=1e-5)
    normalized, _ = read_normalized(folder(**choices) / "synthetic.safetensors")
    torch.testing.assert_close(plain.denormalize(normalized.images), pixels, rtol=0, atol=1e-5)
    first, _ = images._first_of_each_class(folder(**choices) / "synthetic.safetensors")
    torch.testing.assert_close(first, pixels, rtol=0, atol=1e-5)


FEW = {"eval_archs": "convnet3", "width": 4, "eval_nets": 1, "eval_epochs": 3}


def judged(path: Path, space: str = "") -> list[float]:
    """What ``ddsweep evaluate`` finds."""
    found = exchange.read(path)
    choices = judging.choices_of(found.facts, None if found.facts.dataset else "digits", FEW)
    job = judging.Job("digits", choices, "cpu", False)
    prepared, dataset = job.prepare(found, path, Choices(space))
    assert (dataset.whitening is not None) == (prepared.space == spaces.WHITENED)
    (one,) = job.judge(prepared.synthetic, dataset, Tracker())
    return one.evaluation.accuracies


@pytest.mark.parametrize("zca", [True, False])
def test_sets_and_their_rate_survive_export_and_evaluation(zca: bool) -> None:
    """As the two tensors of MTT with lr.pt: the same accuracies at the learned rate, in the same space."""
    result = run(zca=zca)
    (accuracies,) = result.accuracies.values()
    assert judged(folder(zca=zca)) == accuracies
    one = collect.collect(folder(zca=zca))
    assert (one.facts.zca, one.facts.lr) == (zca, read(folder(zca=zca) / "synthetic.safetensors")[0].lr)
    written = exchange.writer("pt").write(one, Path("out"))
    assert float(torch.load("out/lr.pt", weights_only=True)) == pytest.approx(one.facts.lr)
    assert judged(written) == accuracies


def test_files_of_mtt_without_a_description_are_whitened_if_the_user_says_so() -> None:
    run(zca=True)
    one = collect.collect(folder(zca=True))
    torch.save(one.images, "images_best.pt")
    torch.save(one.labels, "labels_best.pt")
    torch.save(torch.tensor(one.facts.lr), "lr.pt")
    found = exchange.read(Path("images_best.pt"))
    assert found.facts.lr == pytest.approx(one.facts.lr)
    assert len(judged(Path("images_best.pt"), "zca")) == 1
    shown = synthetic_set.read(Path("images_best.pt"), "digits", space="zca")
    assert one.pixels is not None
    torch.testing.assert_close(shown.pixels, one.pixels.clamp(0, 1), rtol=0, atol=1e-5)


def test_other_formats_have_the_pixels_of_a_whitened_set() -> None:
    run(zca=True)
    one = collect.collect(folder(zca=True))
    restated = spaces.restated(one, spaces.fixed(spaces.UNIT, 1))
    assert one.pixels is not None
    assert not restated.facts.zca
    torch.testing.assert_close(restated.images, one.pixels)
    learned = synthetic_set.of(one, folder(zca=True))
    torch.testing.assert_close(learned.pixels, one.pixels.clamp(0, 1))
    assert torch.equal(learned.images, one.images)
    assert learned.as_image_set().facts.zca


def test_a_rate_that_becomes_negative_is_a_result_that_names_it() -> None:
    result = run(lr_lr=1e4)
    assert result.state == "failed"
    assert result.reason is not None
    assert "syn_lr" in result.reason and "lr_lr" in result.reason and "\n" not in result.reason
    assert all(one.saved() for one in spec.experts(recipe()))  # nothing is lost


def test_a_sweep_says_which_experts_it_needs_and_a_running_cell_keeps_them() -> None:
    loaded = sweep.load("ablation-alpha", "demo", {"method": "tm", "zca": True})
    assert "TM    convnet3 on digits (zca), experts 0-3, epochs 0-7: to train, 8 of 8" in "\n".join(
        overview.of(loaded, Path("runs")).needs_lines()
    )
    one = loaded.cells[0].recipe
    kept = in_use._needs(one)
    assert {expert.folder for expert in spec.experts(one)} < kept
    assert paths.whitening(decoded.row("digits", None)) in kept


def test_the_floating_point_operations_count_the_steps_of_the_student() -> None:
    """12 passes per image and step, of which all images of the set take one; or those of a batch."""
    digits = data.load("digits")
    one = flops.forward("convnet3", 1, 10, 16, 4)
    assert flops.distillation(recipe(), digits) == 2 * 2 * 12 * 10 * one
    assert flops.distillation(recipe(batch_syn=4, syn_steps=3), digits) == 2 * 3 * 12 * 4 * one

"""Sets with a generator: under the rule ``dim``, every batch is a new sample; so it is of a stored set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import ddsweep
from ddsweep import trial
from ddsweep.augment import combined
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted
from ddsweep.cli import app
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import Damaged, UserError
from ddsweep.evaluate import Rule, evaluate, named
from ddsweep.evaluate.trainer import Trainer
from ddsweep.exchange import read
from ddsweep.nn.gan import Generator, noise
from ddsweep.numerics import Numerics
from ddsweep.recipe import make
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker
from tests import toys

RULE = Rule(epochs=4, batch=4, strategy="color_crop", operations="idc", decays="never", checks=2, fresh=True)
TINY: dict[str, Any] = {
    "method": "dim", "target": "digits", "ipc": 2, "width": 4, "alpha": 0, "iterations": 1, "outer_loops": 1,
    "batch_real": 16, "net_images": 16, "gan_epochs": 1, "gan_batch": 600, "match_archs": "convnet2", "eval_nets": 2,
    "eval_epochs": 3,
}  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample(labels: Tensor, drawing: torch.Generator) -> Tensor:
    """A pattern for each class, and noise."""
    return toys.noise(3, 3, 8, 8, seed=1, dtype=torch.float32)[labels] + torch.randn(
        len(labels), 3, 8, 8, generator=drawing
    )


def sampled(ipc: int = 3) -> Synthetic:
    one = toys.synthetic(ipc=ipc, dtype=torch.float32)
    return Synthetic(one.images.detach(), one.labels, ipc, sample=sample)


@pytest.mark.parametrize(("ipc", "batch", "batches"), [(3, 4, 3), (10, 64, 1), (4, 4, 4), (1, 2, 2)])
def test_the_batches_of_an_epoch(ipc: int, batch: int, batches: int) -> None:
    """⌊images / batch⌋ + 1 of them, each full, with uniform labels, augmented as the rule says."""
    trainer = Trainer(sampled(ipc), toys.dataset(dtype=torch.float32), replace(RULE, batch=batch))
    generator, again = seeded(3), seeded(3)
    found = list(trainer._epoch(generator))
    assert len(found) == batches
    for images, labels in found:
        expected = torch.randint(3, (batch,), generator=again)
        assert torch.equal(labels, expected)
        drawn = sample(expected, again)
        assert torch.equal(images, combined.independent(drawn, "color_crop", again))
    assert torch.equal(generator.get_state(), again.get_state())


def test_labels_are_uniform_over_all_classes() -> None:
    trainer = Trainer(sampled(), toys.dataset(dtype=torch.float32), replace(RULE, batch=3000))
    ((_, labels),) = trainer._epoch(seeded())
    share = torch.bincount(labels, minlength=3) / len(labels)
    assert (share - 1 / 3).abs().max() < 5 * (2 / 9 / 3000) ** 0.5  # five standard errors


@pytest.mark.parametrize("change", [{"fresh": False}, {"sample": None}])
def test_other_rules_and_sets_without_a_generator_shuffle_the_images(change: dict[str, Any]) -> None:
    rule = replace(RULE, fresh=change.get("fresh", True), strategy="none")
    one = sampled()
    one = replace(one, sample=change.get("sample", one.sample))
    batches = list(Trainer(one, toys.dataset(dtype=torch.float32), rule)._epoch(seeded()))
    rows = torch.cat([images for images, _ in batches]).flatten(1)
    assert sorted(rows.tolist()) == sorted(one.images.flatten(1).tolist())


def score(slot: FileSlot | None = None, vectorize: bool = False) -> list[float]:
    data, numerics = toys.dataset(dtype=torch.float32), Numerics(vectorize=vectorize)
    slots = (lambda index: slot) if slot else None
    return evaluate(sampled(), data, "convnet1", 1, seeded(), RULE, width=4, slots=slots, numerics=numerics).accuracies


@pytest.mark.parametrize("boundary", [1, 3])
def test_an_evaluation_that_was_stopped_ends_in_the_same_score(boundary: int, tmp_path: Path) -> None:
    asked = iter([False] * (boundary - 1) + [True])
    path = tmp_path / "net.safetensors"
    with pytest.raises(Interrupted):
        score(FileSlot(path, {}, Checkpoints(leave=lambda: next(asked))))
    assert score(FileSlot(path, {}, Checkpoints())) == score()


def test_networks_at_once_have_samples_of_their_own() -> None:
    data = toys.dataset(dtype=torch.float32)
    alone, together = (
        evaluate(sampled(), data, "convnet1", 2, seeded(), RULE, width=4, numerics=Numerics(vectorize=at_once))
        for at_once in (False, True)
    )
    assert together.accuracies == pytest.approx(alone.accuracies)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, Path]]:
    folder = tmp_path_factory.mktemp("dim")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDSWEEP_CACHE", str(folder / "cache"))
        result = trial.run(make(TINY), Tracker(), "cpu", folder / "runs")
        yield result, folder / "runs" / result.recipe.key() / "synthetic.safetensors"


def test_a_file_samples_what_the_trial_sampled(finished: tuple[Result, Path]) -> None:
    result, path = finished
    found = ddsweep.evaluate(path)["convnet3"]
    assert found.accuracies == result.accuracies["convnet3"]
    other = ddsweep.evaluate(path, rule="paper", eval_epochs=3)["convnet3"]
    assert other.accuracies != found.accuracies
    loaded = ddsweep.evaluate(ddsweep.load_set(path))["convnet3"]
    assert loaded.accuracies == found.accuracies
    shown = CliRunner().invoke(app, ["evaluate", str(path)])
    assert "a generator: under the rule dim, every batch is a new sample of it" in " ".join(shown.output.split())
    assert shown.exit_code == 0


def test_the_file_has_the_generator_and_its_examples(finished: tuple[Result, Path]) -> None:
    """Class-major images of noise that is drawn once, by a generator in eval mode."""
    from ddsweep import data
    from ddsweep.checked_files import read_tensors

    _, path = finished
    tensors, header = read_tensors(path)
    assert (header["kind"], header["width"], header["ipc"]) == ("generator", "4", "2")
    net = Generator(10, 1, 16, 4).eval()
    net.load_state_dict({name: tensors[f"set.{name}"] for name in net.state_dict()})
    digits = data.load("digits")
    mean, std = digits.mean[0], digits.std[0]
    torch.testing.assert_close(tensors["images"], ((net(tensors["set.noise"]) + 1) / 2 - mean) / std)
    assert tensors["set.noise"][:, :10].argmax(1).tolist() == tensors["labels"].tolist()
    drawing, again = seeded(7), seeded(7)
    labels = torch.tensor([3, 3, 9])
    one = read(path)
    assert one.sample is not None
    drawn = (net(noise(labels, 10, again)) + 1) / 2
    torch.testing.assert_close(one.sample(labels, drawing), (drawn - mean) / std)


def test_classes_in_another_order_are_sampled_by_name(finished: tuple[Result, Path]) -> None:
    from ddsweep import data
    from ddsweep.exchange.prepare import Choices, prepare

    _, path = finished
    one, digits = read(path), data.load("digits")
    swapped = (digits.classes[1], digits.classes[0], *digits.classes[2:])
    as_is, other = (
        prepare(one, digits, path, Choices(classes=classes)).synthetic for classes in (digits.classes, swapped)
    )
    assert as_is.sample is not None
    assert other.sample is not None
    images = as_is.sample(torch.tensor([0, 1, 2]), seeded())
    assert torch.equal(other.sample(torch.tensor([1, 0, 2]), seeded()), images)


def test_a_damaged_generator_is_one_line(finished: tuple[Result, Path]) -> None:
    from ddsweep.checked_files import read_tensors, write_tensors

    _, path = finished
    tensors, header = read_tensors(path)
    write_tensors(path.with_name("other.safetensors"), tensors, {**header, "width": "8"})
    with pytest.raises((Damaged, UserError), match="the generator of the set is damaged"):
        read(path.with_name("other.safetensors"))


def test_a_gan_that_diverges_is_a_failed_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "cache"))
    result = trial.run(make(TINY | {"gan_lr": 1e30, "gan_epochs": 2}), Tracker(), "cpu", tmp_path / "runs")
    assert result.state == "failed"
    assert (result.reason or "").startswith("gan_lr: 1e+30 is too large: the loss of the GAN is ")
    record = json.loads((tmp_path / "runs" / result.recipe.key() / "result.json").read_text())
    assert record["reason"] == result.reason


def test_the_rule_dim_samples() -> None:
    assert named("dim", "color_crop_cutout").fresh
    assert not named("idc", "color_crop_cutout").fresh

"""Stage 1 of DiM: the training written out, resumed from every batch, stored once, and stopped if it diverges."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ddsweep import rng
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.data import Dataset
from ddsweep.errors import Diverged
from ddsweep.pretrained import gan, inventory, spec
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import make
from tests import toys
from tests.slow_gan import SlowGan

SMALL = Spec("toy", 8, spec.GAN, width=4, seed=3, epochs=2, lr=0.002, weight_decay=0.0, batch=17)


@pytest.fixture(autouse=True)
def float64(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "cache"))
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def data() -> Dataset:
    """60 images, three batches of 17 and a rest that is left out; statistics of their own."""
    return replace(toys.dataset(), mean=(0.5, 0.4, 0.6), std=(0.2, 0.1, 0.3))


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


def test_two_epochs_written_out(data: Dataset) -> None:
    gan.ensure(SMALL, {2}, data, quiet)
    slow = SlowGan(3, 3, 8, 4, rng.generator(3, "gan", "toy"))
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    for _ in range(2):
        order = torch.randperm(60, generator=slow.drawing).tolist()
        for first in (0, 17, 34):
            chosen = order[first : first + 17]
            real = (data.images[chosen] * std + mean) * 2 - 1
            labels = data.labels[chosen].tolist()
            slow.step_generator(labels, 0.002)
            slow.step_discriminator(real, labels, 0.002)
    stored = load_file(SMALL.weights(2))
    for name, net, adam in (
        ("generator", slow.generator, slow.adam),
        ("discriminator", slow.discriminator, slow.other_adam),
    ):
        for key, value in net.state_dict().items():
            torch.testing.assert_close(stored[f"{name}.{key}"], value, rtol=1e-8, atol=1e-8, msg=key)
        for (key, _), second in zip(net.named_parameters(), adam.seconds, strict=True):
            found = stored[f"optimizer.exp_avg_sq.{name}.{key}"]
            torch.testing.assert_close(found, second, rtol=1e-6, atol=1e-12, msg=key)
    assert stored["optimizer.step.generator.layers.0.weight"] == 6


@pytest.mark.parametrize("boundary", [1, 2, 3, 4, 5])
def test_a_training_that_was_stopped_ends_in_the_same_bits(boundary: int, data: Dataset, tmp_path: Path) -> None:
    gan.ensure(SMALL, {2}, data, quiet)
    whole = load_file(SMALL.weights(2))
    SMALL.weights(2).unlink()
    (SMALL.folder / "training.safetensors").unlink()
    asked = iter([False] * (boundary - 1) + [True])
    with pytest.raises(Interrupted):
        gan.ensure(SMALL, {2}, data, quiet, Checkpoints(leave=lambda: next(asked)))
    assert not SMALL.saved()
    seen: list[int] = []
    gan.ensure(SMALL, {2}, data, lambda done, total: seen.append(done))
    assert seen[0] == boundary // 3  # an epoch has three batches
    found = load_file(SMALL.weights(2))
    assert whole.keys() == found.keys()
    assert all(torch.equal(found[name], value) for name, value in whole.items())


def test_what_is_loaded_goes_on_as_if_it_had_never_been_stored(data: Dataset) -> None:
    gan.ensure(SMALL, {1, 2}, data, quiet)
    loaded = gan.load(replace(SMALL, epochs=2), data)
    stored = load_file(SMALL.weights(2))
    tensors = loaded.tensors()
    assert tensors.keys() == stored.keys()
    assert all(torch.equal(tensors[name], value) for name, value in stored.items())
    assert (loaded.generator.training, loaded.discriminator.training) == (True, True)


def test_it_is_trained_once_and_again_for_other_images_or_if_it_is_damaged(
    data: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    gan.ensure(SMALL, {2}, data, quiet)
    gan.ensure(SMALL, {2}, data, lambda *_: pytest.fail("trained again"))
    (entry,) = inventory.entries()
    assert entry.spec == SMALL
    assert entry.accuracy == {2: None}
    with caplog.at_level(logging.WARNING):
        gan.ensure(SMALL, {2}, replace(data, checksum="other"), quiet)
        whole = {name: value.clone() for name, value in load_file(SMALL.weights(2)).items()}  # not the file's memory
        SMALL.weights(2).write_bytes(SMALL.weights(2).read_bytes()[:-8] + bytes(8))
        gan.ensure(SMALL, {2}, replace(data, checksum="other"), quiet)
    assert "trained on other images" in caplog.text
    assert "trained again" in caplog.text
    assert all(torch.equal(value, load_file(SMALL.weights(2))[name]) for name, value in whole.items())


def test_a_gan_that_diverges_names_the_rate(data: Dataset) -> None:
    wild = replace(SMALL, lr=1e200)
    with pytest.raises(Diverged, match=re.escape("gan_lr: 1e+200 is too large: the loss of the GAN is")):
        gan.ensure(wild, {2}, data, quiet)
    assert not wild.saved()


def test_a_batch_is_never_larger_than_the_dataset(data: Dataset) -> None:
    gan.ensure(replace(SMALL, batch=1000, epochs=1), {1}, data, quiet)
    assert load_file(replace(SMALL, batch=1000, epochs=1).weights(1))["optimizer.step.generator.layers.0.weight"] == 1


def test_the_gan_of_a_recipe_is_shared_by_what_only_stage_two_depends_on() -> None:
    torch.set_default_dtype(torch.float32)
    one = make({"method": "dim", "target": "digits", "alpha": 0, "seed": 4, "gan_epochs": 7, "width": 16})
    assert spec.gan(one) == Spec("digits", 16, spec.GAN, 16, 4, 7, 1e-4, 0.0, 128)
    other = make({**one.model_dump(), "lr_img": 1e-3, "alpha": 5.0, "ipc": 3, "match_archs": "convnet3"})
    assert spec.gan(other) == spec.gan(one)
    assert spec.gan(make({**one.model_dump(), "seed": 5})) != spec.gan(one)

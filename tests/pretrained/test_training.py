"""PTMs: trained once whoever asks, by the paper's schedule, resumable to the bit, and drawn uniformly."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ddsweep import data
from ddsweep.checkpoints import Checkpoints
from ddsweep.data.dataset import Dataset
from ddsweep.errors import UserError
from ddsweep.numerics import Numerics
from ddsweep.pretrained import inventory, spec, training
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import make
from tests import toys
from tests.read_only import make_read_only

TINY = Spec("digits", 16, "convnet2", width=4, seed=0, epochs=6, lr=0.01, weight_decay=0.005, batch=256)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        return data.load("digits")


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


def test_the_schedule_of_the_paper() -> None:
    paper = Spec("cifar10", 32, "convnet3", 128, 0, 150, 0.01, 0.005, 256)
    rates = [training.learning_rate(paper, epoch) for epoch in range(1, 151)]
    assert rates == pytest.approx([0.01] * 50 + [0.001] * 50 + [0.0001] * 50)


@pytest.mark.parametrize("at_once", [512, 60])
def test_one_training_is_sgd_as_written_out(digits: Dataset, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Against the update rule by hand: v ← 0.9 v + g + 0.005 w, w ← w − lr v."""
    toys.bound_passes(monkeypatch, at_once, digits.size)
    training.ensure(TINY, {2}, digits, quiet)
    state = training.Training.initial(TINY, digits, 2, Numerics())
    velocity = [torch.zeros_like(parameter) for parameter in state.net.parameters()]
    for _epoch in (1, 2):
        order = torch.randperm(len(digits.labels), generator=state.generator)
        for start in range(0, len(order), 256):
            chosen = order[start : start + 256]
            loss = -torch.log_softmax(state.net(digits.images[chosen]), 1)[
                range(len(chosen)), digits.labels[chosen]
            ].mean()
            gradients = torch.autograd.grad(loss, list(state.net.parameters()))
            with torch.no_grad():
                for parameter, v, gradient in zip(state.net.parameters(), velocity, gradients, strict=True):
                    v.mul_(0.9).add_(gradient + 0.005 * parameter)
                    parameter.sub_(0.01 * v)
    stored = load_file(TINY.weights(2))
    for name, value in state.net.state_dict().items():
        torch.testing.assert_close(stored[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])  # the rate drops after the second epoch and after the fourth
def test_a_training_that_was_cut_off_ends_in_the_same_weights(
    after: int, digits: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training.ensure(TINY, {3, 6}, digits, quiet)
    whole = load_file(TINY.weights(6))
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "other"))

    def power_cut(done: int, total: int) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.ensure(TINY, {3, 6}, digits, power_cut, Checkpoints(every=0))
    assert TINY.saved() == ({3} if after >= 3 else set())
    seen: list[int] = []
    training.ensure(TINY, {3, 6}, digits, lambda done, total: seen.append(done))
    assert seen[0] == after  # the epochs before were not repeated
    assert all(torch.equal(whole[name], value) for name, value in load_file(TINY.weights(6)).items())


def test_a_damaged_checkpoint_is_set_aside(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    training.ensure(TINY, {2}, digits, quiet)
    checkpoint = TINY.folder / "training.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        training.ensure(TINY, {4}, digits, quiet)
    assert TINY.saved() == {2, 4}
    assert "was renamed to" in caplog.text


@pytest.mark.parametrize(("kind", "first"), [("whole", 4), ("truncated", 3), ("of other settings", 3)])
def test_a_training_goes_on_from_the_last_checkpoint_that_is_its_own(digits: Dataset, kind: str, first: int) -> None:
    def power_cut(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    for one in (TINY, replace(TINY, lr=0.02)):
        with pytest.raises(KeyboardInterrupt):
            training.ensure(one, {6}, digits, power_cut, Checkpoints(every=0))
    checkpoint = TINY.folder / "training.safetensors"
    if kind == "truncated":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    if kind == "of other settings":
        shutil.copy(replace(TINY, lr=0.02).folder / checkpoint.name, checkpoint)
    seen: list[int] = []
    training.ensure(TINY, {6}, digits, lambda done, total: seen.append(done))
    assert seen[0] == first
    assert not list(TINY.folder.glob("*previous.safetensors"))


def test_an_earlier_epoch_goes_on_from_the_checkpoint_before_the_last(digits: Dataset) -> None:
    """Cut off after epoch 4, and then epoch 4 itself is asked for: the last checkpoint is past it."""
    training.ensure(TINY, {4}, digits, quiet)
    weights = load_file(TINY.weights(4))
    shutil.rmtree(TINY.folder)

    def power_cut(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.ensure(TINY, {6}, digits, power_cut, Checkpoints(every=0))
    seen: list[int] = []
    training.ensure(TINY, {4}, digits, lambda done, total: seen.append(done))
    assert seen[0] == 3
    assert all(torch.equal(weights[name], value) for name, value in load_file(TINY.weights(4)).items())


def test_a_later_epoch_goes_on_an_earlier_one_starts_again(digits: Dataset) -> None:
    training.ensure(TINY, {4}, digits, quiet)
    seen: list[int] = []
    training.ensure(TINY, {5}, digits, lambda done, total: seen.append(done))
    assert seen[0] == 4
    seen.clear()
    training.ensure(TINY, {2}, digits, lambda done, total: seen.append(done))
    assert seen[0] == 0
    assert TINY.saved() == {2, 4, 5}
    training.ensure(TINY, {2, 4, 5}, digits, lambda *_: pytest.fail("trained again"))


def test_ptms_of_changed_images_are_trained_anew(digits: Dataset) -> None:
    training.ensure(TINY, {1}, digits, quiet)
    other = replace(digits, checksum="0" * 64)
    seen: list[int] = []
    training.ensure(TINY, {1}, other, lambda done, total: seen.append(done))
    assert seen
    assert list(TINY.folder.glob("*.other"))


def test_what_a_killed_process_was_writing_does_not_stay(digits: Dataset) -> None:
    half = TINY.folder / ".epoch0001.safetensors.0123abcd.tmp.safetensors"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    training.ensure(TINY, {1}, digits, quiet)
    assert not half.exists()
    assert TINY.saved() == {1}


def test_which_ptms_a_sweep_needs() -> None:
    base = {"target": "digits", "ipc": 1, "ptm_archs": "convnet2+convnet3", "n_models": 2, "ptm_train_epochs": 10}
    recipes = [make(base | {"ptm_epoch": epoch}) for epoch in (1, 4)] + [make(base | {"alpha": 0})]
    needs = spec.needs(recipes)
    assert {(one.arch, one.seed) for one in needs} == {
        ("convnet2", 0),
        ("convnet2", 1),
        ("convnet3", 0),
        ("convnet3", 1),
    }
    assert set(map(frozenset, needs.values())) == {frozenset({1, 4})}
    assert spec.of(make({"alpha": 0})) == []


def test_ptms_trained_ahead_are_those_that_recipes_ask_for() -> None:
    choices = {"ptm_archs": "convnet2+vgg11", "n_models": 2, "width": 16, "ptm_train_epochs": 10}
    trained = spec.ahead("shapes", choices, {1, 4})
    for one in ({"target": "shapes", "ipc": 10}, {"target": "cifar10", "source": "shapes", "size": 16}):
        recipes = [make(one | choices | {"method": "dc", "ipc": 10, "ptm_epoch": epoch}) for epoch in (1, 4)]
        assert spec.needs(recipes) == trained
    assert {frozenset(epochs) for epochs in spec.ahead("shapes", choices, ()).values()} == {frozenset({10})}
    with pytest.raises(UserError, match=r"^alpha: does not affect the training of a PTM"):
        spec.ahead("shapes", {"alpha": 0}, ())


def test_what_the_pool_says_of_itself(digits: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    training.ensure(TINY, {1, 4}, digits, quiet)
    (one,) = inventory.entries()
    assert (one.folder, one.spec, list(one.accuracy)) == (TINY.folder, TINY, [1, 4])
    net = training.Training.initial(TINY, digits, 4, Numerics()).net
    net.load_state_dict(load_file(TINY.weights(4)))
    right = net(digits.test_images[:]).argmax(1) == digits.test_labels
    assert one.last == pytest.approx(right.double().mean().item(), abs=1e-4)
    assert one.disk == sum(path.stat().st_size for path in TINY.folder.iterdir())
    TINY.weights(4).write_bytes(b"not a file of weights")
    (one,) = inventory.entries()
    assert (one.spec, one.last, one.accuracy[4]) == (None, None, None)


def test_datasets_are_those_of_targets_and_of_sources_that_are_datasets() -> None:
    recipes = [
        make({"target": "digits", "source": "shapes"}), make({"target": "imagenette", "source": "imagenet", "ipc": 1}),
    ]  # fmt: skip
    assert spec.datasets(recipes) == [("digits", 16), ("imagenette", 224), ("shapes", 16)]
    (one,) = [ptm for ptm in spec.needs(recipes) if ptm.foundation]
    assert spec.needs(recipes)[one] == {0}
    assert (one.title, one.saved()) == ("resnet18-imagenet, published", set())


def test_a_ptm_is_the_same_in_every_recipe_and_seed() -> None:
    few, many = make({"n_models": 1, "seed": 3}), make({"n_models": 4, "ipc": 10, "method": "dc"})
    assert spec.of(few)[0][0] == spec.of(many)[0][0]


@pytest.mark.parametrize("epochs", [{2}, {2, 4}])
def test_weights_in_a_cache_that_cannot_be_written_are_used(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, epochs: set[int]
) -> None:
    """A cluster's cache can be read-only on its nodes: what is complete needs no lock."""
    training.ensure(TINY, {2, 4}, digits, quiet)
    make_read_only(monkeypatch)
    training.ensure(TINY, epochs, digits, quiet)


@pytest.mark.parametrize("lack", ["epoch", "intact", "images"])
def test_a_cache_that_cannot_be_written_is_named_if_something_is_missing(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    training.ensure(TINY, {2}, digits, quiet)
    if lack == "intact":
        content = bytearray(TINY.weights(2).read_bytes())
        content[-1] ^= 1
        TINY.weights(2).write_bytes(content)
    make_read_only(monkeypatch)
    images = replace(digits, checksum="other") if lack == "images" else digits
    with pytest.raises(UserError, match=f"cannot write {TINY.folder}: Read-only file system"):
        training.ensure(TINY, {2, 4} if lack == "epoch" else {2}, images, quiet)

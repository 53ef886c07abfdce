"""Expert trajectories: SGD as written out, a snapshot per epoch, one training for all, resumable to the bit."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddsweep import augment, data, files, rng
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.data.dataset import Dataset
from ddsweep.errors import UserError
from ddsweep.nn import build
from ddsweep.pretrained import inventory, training
from ddsweep.pretrained.experts import Experts
from ddsweep.pretrained.spec import Spec

STRATEGY = "color_crop_cutout_scale_rotate"
TINY = Spec(
    "digits", 16, "convnet2", width=4, seed=3, epochs=0, lr=0.01, weight_decay=0.0, batch=256, strategy=STRATEGY
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        return data.load("digits")


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


def trajectory(spec: Spec, epochs: int) -> list[dict[str, Tensor]]:
    snapshots = (Experts([spec]).weights(0, epoch) for epoch in range(epochs + 1))
    return [{name: value.clone() for name, value in snapshot.items()} for snapshot in snapshots]  # not its file's bytes


def equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(value, two[name]) for name, value in one.items())


def test_an_expert_is_plain_sgd_on_augmented_images(digits: Dataset) -> None:
    """w ← w − 0.01 g: no momentum, no weight decay, no drop of the rate; one operation per batch."""
    training.ensure(TINY, range(3), digits, quiet)
    found = trajectory(TINY, 2)
    generator = rng.generator(3, "expert", "digits", "convnet2")
    net = build("convnet2", channels=1, classes=10, size=16, width=4, generator=generator)
    assert equal(found[0], net.state_dict())
    for epoch in (1, 2):
        order = torch.randperm(len(digits.labels), generator=generator)
        parts = [order[start : start + 256] for start in range(0, len(order), 256)]
        changes = [augment.draw(generator, len(part), 16, STRATEGY, shared=False) for part in parts]
        for part, change in zip(parts, changes, strict=True):
            shown = augment.apply(digits.images[part], change)
            loss = -torch.log_softmax(net(shown), 1)[range(len(part)), digits.labels[part]].mean()
            gradients = torch.autograd.grad(loss, list(net.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                    parameter.sub_(0.01 * gradient)
        for name, value in net.state_dict().items():
            torch.testing.assert_close(found[epoch][name], value, rtol=1e-4, atol=1e-6)
    assert not equal(found[1], found[2])  # snapshots are copies, not the same tensors


def test_the_rate_of_an_expert_is_constant() -> None:
    assert {training.learning_rate(TINY, epoch) for epoch in range(1, 51)} == {0.01}


@pytest.mark.parametrize("boundary", [1, 3, 7, 12])  # five batches per epoch
def test_an_expert_that_was_stopped_ends_in_the_same_bits(
    boundary: int, digits: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training.ensure(TINY, range(4), digits, quiet)
    whole = trajectory(TINY, 3)
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "other"))
    passed = 0

    def leave() -> bool:
        nonlocal passed
        passed += 1
        return passed == boundary

    with pytest.raises(Interrupted):
        training.ensure(TINY, range(4), digits, quiet, Checkpoints(leave=leave))
    training.ensure(TINY, range(4), digits, quiet)
    assert all(equal(*pair) for pair in zip(whole, trajectory(TINY, 3), strict=True))


def test_a_longer_training_continues_a_shorter_one(digits: Dataset) -> None:
    training.ensure(TINY, range(3), digits, quiet)
    first, seen = trajectory(TINY, 2), []
    training.ensure(TINY, range(5), digits, lambda done, total: seen.append(done))
    assert seen[0] == 2
    assert all(equal(*pair) for pair in zip(first, trajectory(TINY, 4), strict=False))
    other = replace(TINY, seed=4)
    training.ensure(other, range(5), digits, quiet)
    assert not equal(trajectory(other, 0)[0], first[0])


def test_a_lost_or_damaged_snapshot_is_trained_again(digits: Dataset) -> None:
    training.ensure(TINY, range(4), digits, quiet)
    before = trajectory(TINY, 3)
    TINY.weights(1).unlink()
    with pytest.raises(UserError, match="n_experts: convnet2 on digits, expert 3 has no weights of epoch 1"):
        Experts([TINY]).weights(0, 1)
    TINY.weights(2).write_bytes(TINY.weights(2).read_bytes()[:-4])
    training.ensure(TINY, range(4), digits, quiet)
    assert all(equal(*pair) for pair in zip(before, trajectory(TINY, 3), strict=True))


def test_experts_of_other_images_or_another_view_are_not_used(digits: Dataset) -> None:
    training.ensure(TINY, range(2), digits, quiet)
    first = trajectory(TINY, 1)
    white = replace(TINY, zca=True)
    assert white.folder != TINY.folder
    training.ensure(white, range(2), data.load("digits", zca=True), quiet)
    assert not equal(trajectory(white, 1)[1], first[1])
    changed = replace(digits, images=digits.images[:] * 0.5, checksum="other")
    training.ensure(TINY, range(2), changed, quiet)
    assert not equal(trajectory(TINY, 1)[1], first[1])
    assert TINY.weights(1).with_suffix(".other").is_file()


def test_only_the_last_snapshot_is_tested(digits: Dataset) -> None:
    training.ensure(TINY, range(4), digits, quiet)
    entry = inventory.read(TINY.folder)
    assert entry.spec == TINY
    assert [accuracy is None for accuracy in entry.accuracy.values()] == [True, True, True, False]
    assert entry.last is not None and entry.last > 0.05


def test_folders_and_settings_of_ptms_have_not_changed() -> None:
    """The digest of a PTM from before there were experts."""
    ptm = Spec("cifar10", 32, "convnet3", 128, 0, 150, 0.01, 0.005, 256)
    assert not {"zca", "strategy", "plugins"} & set(ptm.settings)
    assert ptm.folder.name == "seed0-4db679ab"
    assert TINY.folder.name.startswith("expert3-")
    assert TINY.title == "convnet2 on digits, expert 3"
    assert replace(ptm, zca=True).title == "convnet3 on cifar10 (zca), seed 0"


def test_an_agent_starts_with_experts_that_nobody_trains() -> None:
    specs = [replace(TINY, seed=seed) for seed in range(4)]
    ready, leave = threading.Event(), threading.Event()

    def other_agent() -> None:
        with files.lock(specs[0].folder / ".lock"), files.lock(specs[2].folder / ".lock"):
            ready.set()
            leave.wait(30)

    thread = threading.Thread(target=other_agent)
    thread.start()
    ready.wait(30)
    try:
        assert [one.seed for one in training.free_first(specs)] == [1, 3, 0, 2]
    finally:
        leave.set()
        thread.join()
    assert [one.seed for one in training.free_first(specs)] == [0, 1, 2, 3]

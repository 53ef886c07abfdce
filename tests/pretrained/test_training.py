"""PTMs: trained once whoever asks, by the paper's schedule, resumable to the bit, and drawn uniformly."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ddsweep import data, nn, rng
from ddsweep.data.dataset import Dataset
from ddsweep.pretrained import pool, spec, training
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import make

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


def test_one_training_is_sgd_as_written_out(digits: Dataset) -> None:
    """Against the update rule by hand: v ← 0.9 v + g + 0.005 w, w ← w − lr v."""
    training.ensure(TINY, {2}, digits, quiet)
    state = training._State.fresh(TINY, digits)
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


def test_a_training_that_was_cut_off_ends_in_the_same_weights(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training.ensure(TINY, {3, 6}, digits, quiet)
    whole = load_file(TINY.weights(6))
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 0.0)

    def power_cut(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.ensure(TINY, {3, 6}, digits, power_cut)
    assert TINY.saved() == {3}
    seen: list[int] = []
    training.ensure(TINY, {3, 6}, digits, lambda done, total: seen.append(done))
    assert seen[0] == 4  # epochs 1 to 4 were not repeated
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
    assert "set aside" in caplog.text


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
    from dataclasses import replace

    other = replace(digits, checksum="0" * 64)
    seen: list[int] = []
    training.ensure(TINY, {1}, other, lambda done, total: seen.append(done))
    assert seen
    assert list(TINY.folder.glob("*.other"))


def test_which_ptms_a_sweep_needs() -> None:
    base = {"target": "digits", "ipc": 1, "archs": "convnet2+convnet3", "n_models": 2, "ptm_epochs": 10}
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


def test_a_ptm_is_the_same_in_every_recipe_and_seed() -> None:
    few, many = make({"n_models": 1, "seed": 3}), make({"n_models": 4, "ipc": 10, "method": "dc"})
    assert spec.of(few)[0][0] == spec.of(many)[0][0]


def test_drawing_is_uniform_over_architectures_then_indices() -> None:
    net = nn.build("convnet1", width=1)
    models = [[PretrainedModel(net, 3) for _ in range(count)] for count in (2, 1, 3)]
    one = Pool(models)
    generator = rng.generator(0, "test")
    drawn = Counter(id(one.draw(generator)) for _ in range(6000))
    for seeds in models:
        for model in seeds:
            expected = 6000 / 3 / len(seeds)
            assert abs(drawn[id(model)] - expected) < 5 * expected**0.5


def test_a_loaded_ptm_is_frozen_and_sees_other_domains(digits: Dataset) -> None:
    shapes = data.load("shapes")
    one = Spec("shapes", 16, "convnet3-bn", width=4, seed=0, epochs=1, lr=0.01, weight_decay=0.0, batch=512)
    training.ensure(one, {1}, shapes, quiet)
    (model,) = pool.load([[one]], 1, shapes).models[0]
    assert isinstance(model, PretrainedModel)
    assert not model.net.training
    assert not any(parameter.requires_grad for parameter in model.net.parameters())
    features = model.features(digits)
    assert features.shape[0] == len(digits.labels)
    torch.testing.assert_close(features[5:7], model.embed(digits.images[5:7]), rtol=1e-4, atol=1e-5)
    assert model.features(digits) is features

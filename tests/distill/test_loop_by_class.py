"""The loop with a step per class: what the guidance sees, which network is first, and resuming from every boundary."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted, Slot
from ddsweep.data import Dataset
from ddsweep.distill import loop, state
from ddsweep.distill.loop import distill
from ddsweep.distill.methods.real_training import RealTraining
from ddsweep.distill.sets.multi_formation import MultiFormation
from ddsweep.numerics import Numerics
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.rng import Streams
from ddsweep.trackers import Tracker
from tests import toys

SHAPE: dict[str, Any] = {"channels": 3, "classes": 3, "size": 8, "width": 3}
DREAM_PLUS = {"method": "dream", "dream_plus": True, "select_every": 1}


def recipe(**choices: Any) -> Recipe:
    base = {
        "target": "shapes", "size": 8, "ipc": 1, "arch": "convnet1", "width": 3, "batch_real": 5, "seed": 1,
        "lr_img": 0.1, "iterations": 2, "outer_loops": 2, "net_images": 9, "alpha": 3.0, "cclom_batch": 7,
    }  # fmt: skip
    return make(base | choices)


def run(one: Recipe, slot: Slot | None = None) -> Tensor:
    return distill(one, data(), pool(), Streams(one.seed), Tracker(), slot).decode().images


def data() -> Dataset:
    return toys.dataset(per_class=12, dtype=torch.float32)


def pool() -> Pool:
    nets = [nn.build("convnet1", **SHAPE, generator=rng.generator(9, "ptm", index)) for index in range(2)]
    return Pool([[PretrainedModel("convnet1", net.requires_grad_(False).eval(), InputTransform(3)) for net in nets]])


@pytest.mark.parametrize("regularizer", ["clom", pytest.param("cclom", marks=pytest.mark.slow)])
@pytest.mark.parametrize("choices", [{"method": "idc"}, DREAM_PLUS], ids=["idc", "dream+"])
def test_a_guided_distillation_resumes_from_every_phase(choices: dict[str, Any], regularizer: str) -> None:
    """Two iterations of two rounds of three classes: within a round, before and after a training, between networks."""
    one = recipe(regularizer=regularizer, **choices)
    whole = run(one)
    for boundary in (2, 3, 4, 6, 9):
        asks, path = itertools.count(1), Path(str(boundary), "distill.safetensors")
        with pytest.raises(Interrupted):
            run(one, FileSlot(path, {}, Checkpoints(leave=lambda: next(asks) == boundary)))  # noqa: B023
        assert torch.equal(run(one, FileSlot(path, {}, Checkpoints())), whole), boundary


def test_the_guidance_sees_all_clean_images_of_the_class_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = toys.spy(monkeypatch, MultiFormation, "decode_class", lambda self, label: label)
    terms = importlib.import_module("ddsweep.distill.guidance.clom")
    seen = toys.spy(monkeypatch, terms, "clom", lambda net, images, labels: (images.detach().clone(), labels.tolist()))
    one = recipe(method="idc", iterations=1)
    run(one)
    assert decoded == [0, 1, 2, 0, 1, 2]
    assert [labels for _, labels in seen] == [[label] * 4 for label in decoded]
    start = loop.initial_state(one, data(), Streams(1), Tracker(), {"numerics": Numerics()}).learned
    assert isinstance(start, MultiFormation)
    assert torch.equal(seen[0][0], start.decode_class(0).images)


@pytest.mark.parametrize(("choices", "drawn"), [({"method": "idc"}, 2), ({"method": "dream"}, 1), (DREAM_PLUS, 1)])
def test_the_network_that_chose_the_first_images_of_dream_is_that_of_the_first_iteration(
    choices: dict[str, Any], drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And DREAM+ trains each network for an epoch, the first one before it chooses."""
    made = toys.spy(monkeypatch, state.nn, "initialize", lambda net, generator: net)
    trained = toys.spy(monkeypatch, RealTraining, "train", lambda self, dataset, images, streams: images)
    run(recipe(**choices))
    assert len([net for net in made if net is made[-1]]) == drawn
    assert trained == ([36, 9] * 2 if choices.get("dream_plus") else [9] * 2)

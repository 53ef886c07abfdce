"""An evaluation that was cut off after any pass ends in the weights of one that was not, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddsweep import nn
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted, Slot
from ddsweep.evaluate import Rule, Score
from ddsweep.evaluate.trainer import Trainer
from ddsweep.registry.datasets import FULL_STRATEGY
from tests import toys

# the rate drops before pass 3, 3, 5, and 5 and 6 (counted from 0), and others follow, so that a cut lies on either side
RULES = {
    "paper": Rule(epochs=6, lr=0.1, batch=4, strategy=FULL_STRATEGY),
    "best of several": Rule(epochs=5, lr=0.1, checks=5),
    "optimizer made anew": Rule(epochs=7, lr=0.1, batch=4, restart=True),
    "IDC's": Rule(epochs=8, lr=0.1, batch=4, strategy="color_crop", operations="idc", cutmix=True, decays="twice"),
}
Trained = tuple[list[Score], list[dict[str, Tensor]]]


def train(rule: Rule, arch: str, count: int, slot: Slot) -> Trained:
    """The scores and the weights of networks that were built for this call, as in a process that has just started."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
    shape = {"channels": 3, "classes": 3, "size": 8, "width": 4}
    nets = [nn.build(arch, **shape, generator=one).double() for one in generators]
    scores = Trainer(toys.synthetic(ipc=3), toys.dataset(), rule).train(nets, generators, slot=slot)
    return scores, [{name: value.clone() for name, value in net.state_dict().items()} for net in nets]


def same(one: Trained, other: Trained) -> bool:
    """Whether scores and weights agree to the last bit."""
    pairs = list(zip(one[1], other[1], strict=True))
    assert all(ours.keys() == theirs.keys() for ours, theirs in pairs)
    return one[0] == other[0] and all(torch.equal(ours[name], theirs[name]) for ours, theirs in pairs for name in ours)


def slot(folder: Path, leave: Callable[[], bool] = lambda: False) -> FileSlot:
    return FileSlot(folder / "evaluate.safetensors", {"key": "k"}, Checkpoints(leave=leave))


def cut_after(passes: int) -> Callable[[], bool]:
    """Asked after every pass; yes after this many."""
    asked = iter(range(1, passes + 1))
    return lambda: next(asked) == passes


@pytest.mark.parametrize(("arch", "count"), [("convnet1", 1), ("convnet3-bn", 1), ("convnet1", 2)])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_cut_after_any_pass_changes_no_bit_of_the_weights(rule: Rule, arch: str, count: int, tmp_path: Path) -> None:
    assert rule.decay_epochs[0] > 1
    assert rule.decay_epochs[-1] < rule.total_epochs - 1
    whole = train(rule, arch, count, Slot())
    for done in range(1, rule.total_epochs):
        with pytest.raises(Interrupted):
            train(rule, arch, count, slot(tmp_path / str(done), cut_after(done)))
        assert same(train(rule, arch, count, slot(tmp_path / str(done))), whole), f"cut after {done} passes"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_cut_after_every_pass_changes_no_bit_of_the_weights(rule: Rule, tmp_path: Path) -> None:
    for _ in range(1, rule.total_epochs):
        with pytest.raises(Interrupted):
            train(rule, "convnet1", 1, slot(tmp_path, cut_after(1)))
    assert same(train(rule, "convnet1", 1, slot(tmp_path)), train(rule, "convnet1", 1, Slot()))

"""Networks of plugins in an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ddsweep.checkpoints import Slot, State
from ddsweep.evaluate import Evaluation, Rule, evaluate
from ddsweep.evaluate.trainer import Trainer
from ddsweep.numerics import Numerics
from tests import toys
from tests.nn.authors import VIT, source
from tests.nn.test_plugged import NETWORKS
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
RULE = Rule(epochs=6, batch=4, lr=0.05)


def evaluated(arch: str, n: int = 3, vectorize: bool = False, slots: Callable[[int], Slot] | None = None) -> Evaluation:
    dataset = toys.dataset(size=16, dtype=torch.float32)
    synthetic = toys.synthetic(size=16, dtype=torch.float32)
    generator = torch.Generator().manual_seed(3)
    numerics = Numerics(vectorize=vectorize)
    return evaluate(synthetic, dataset, arch, n, generator, RULE, width=8, slots=slots, numerics=numerics)


class Cut(Slot):
    """Keeps the checkpoint after ``epochs`` epochs and, the first time, ends the training there."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs
        self.state: State | None = None

    def resume(self, restore: Callable[[State], Any]) -> Any:
        return None if self.state is None else restore(self.state)

    def offer(self, checkpoint: Callable[[], State]) -> None:
        self.left -= 1
        if not self.left:
            found = checkpoint()
            self.state = State({name: value.clone() for name, value in found.tensors.items()}, found.facts)
            raise KeyboardInterrupt

    def save(self, state: State) -> None:
        """Nobody reads it."""


@pytest.mark.parametrize("arch", ["vit", "mine"])
def test_network_i_is_the_same_in_every_evaluation_whatever_is_drawn_elsewhere(arch: str, plug: Plug) -> None:
    plug(vit=VIT, mine=source(*NETWORKS["stochastic depth by Python's generator"]))
    first = evaluated(arch)
    torch.rand(1)
    assert evaluated(arch).accuracies == first.accuracies
    assert evaluated(arch, n=2).accuracies == first.accuracies[:2]
    assert evaluated(arch, vectorize=True).accuracies == first.accuracies, "they draw, and are trained one by one"


def test_dropout_after_an_interruption(plug: Plug) -> None:
    plug(vit=VIT)
    whole = evaluated("vit", n=1)
    slot = Cut(4)
    with pytest.raises(KeyboardInterrupt):
        evaluated("vit", n=1, slots=lambda index: slot)
    torch.rand(5)
    assert evaluated("vit", n=1, slots=lambda index: slot).class_accuracy == whole.class_accuracy
    assert slot.state is not None


@pytest.mark.parametrize("case", ["blur, not saved", "instance norm, tracking", "batch norm of features"])
def test_networks_that_draw_nothing_are_trained_as_one_module(
    case: str, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(mine=source(*NETWORKS[case]))
    sizes: list[int] = []
    train = Trainer.train

    def counted(self: Any, nets: Any, *rest: Any) -> Any:
        sizes.append(len(nets))
        return train(self, nets, *rest)

    monkeypatch.setattr(Trainer, "train", counted)
    together, apart = evaluated("mine", vectorize=True), evaluated("mine")
    assert sizes == [3, 1, 1, 1]
    assert together.accuracies == pytest.approx(apart.accuracies, abs=0.1)

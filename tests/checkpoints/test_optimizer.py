"""Everything in an optimizer's ``state_dict`` survives a checkpoint, whatever kind of optimizer it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adadelta, Adafactor, Adam, Optimizer, RMSprop

from ddsweep.checkpoints import (
    State,
    facts_of_optimizer,
    into_optimizer,
    of_optimizer,
    optimizer_state,
    settings_into_optimizer,
)
from ddsweep.errors import UserError

Maker = Callable[[list[Tensor]], Optimizer]


class Counting(Optimizer):
    """Keeps the number of its steps as an int, which torch allows."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for one in group["params"]:
                count = self.state[one]["t"] = self.state[one].get("t", 0) + 1
                one.sub_(one.grad, alpha=group["lr"] / count)


MAKERS: dict[str, Maker] = {
    "momentum": lambda params: SGD(params, lr=0.1, momentum=0.5),
    "without state": lambda params: SGD(params, lr=0.1),
    "two groups": lambda params: SGD([{"params": params[:1], "lr": 0.1}, {"params": params[1:], "lr": 0.3}]),
    "Adam": lambda params: Adam(params, lr=0.1, betas=(0.5, 0.9)),
    "factors of another shape": lambda params: Adafactor(params, lr=0.1),
    "RMSprop": lambda params: RMSprop(params, lr=0.1, momentum=0.3),
    "Adadelta": lambda params: Adadelta(params),
    "a number per parameter": Counting,
}


def parameters() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(4, 3, generator=generator).requires_grad_() for name in ("images", "offset")}


def step(optimizer: Optimizer, named: dict[str, Tensor], index: int) -> None:
    """One step, after which a schedule lowers the learning rate once."""
    for place, one in enumerate(named.values()):
        one.grad = torch.cos(one.detach() + index + place)
    optimizer.step()
    if index == 1:
        for group in optimizer.param_groups:
            group["lr"] /= 10


@pytest.mark.parametrize("kind", MAKERS)
def test_it_continues_to_the_same_bits(kind: str) -> None:
    whole = parameters()
    optimizer = MAKERS[kind](list(whole.values()))
    for index in range(3):
        step(optimizer, whole, index)
    tensors = {name: one.clone() for name, one in of_optimizer(optimizer, whole).items()}
    facts = json.loads(json.dumps(facts_of_optimizer(optimizer, whole)))
    resumed = {name: one.detach().clone().requires_grad_() for name, one in whole.items()}
    other = MAKERS[kind](list(resumed.values()))
    into_optimizer(other, resumed, optimizer_state(State(tensors, {}), resumed, facts))
    settings_into_optimizer(other, resumed, facts)
    for index in range(3, 6):
        step(optimizer, whole, index)
        step(other, resumed, index)
    assert all(torch.equal(one, resumed[name]) for name, one in whole.items())
    assert other.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]


def test_what_cannot_be_saved_is_one_line() -> None:
    named = parameters()
    optimizer = SGD(named.values(), lr=0.1)
    optimizer.state[named["images"]]["rule"] = object()
    with pytest.raises(UserError, match="optimizer: keeps rule of type object, which a checkpoint cannot hold"):
        facts_of_optimizer(optimizer, named)

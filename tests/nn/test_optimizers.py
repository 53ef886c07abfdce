"""torch's optimizers without the import of its compiler: the same numbers and states, and really without it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn as layers

from ddsweep import flops
from ddsweep.nn import optimizers
from ddsweep.nn.memory import allocate
from tests import toys

SETTINGS = {
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}),
    "plain": ("SGD", {"lr": 0.3}),
    "adam": ("Adam", {"lr": 0.01, "betas": (0.0, 0.9)}),
}
COMPILER = ("torch._dynamo", "torch._inductor", "sympy")


@pytest.mark.parametrize(("kind", "settings"), SETTINGS.values(), ids=SETTINGS)
def test_steps_and_states_are_those_of_torch_to_the_bit(kind, settings):
    (ours, first), (theirs, second) = (
        (net, getattr(module, kind)(net.parameters(), **settings))
        for module, net in ((optimizers, toys.Net()), (torch.optim, toys.Net()))
    )
    images = toys.noise(6, *toys.synthetic().images.shape[1:], seed=3)
    for step in range(5):
        for net, optimizer in ((ours, first), (theirs, second)):
            optimizer.zero_grad()
            net(images).square().sum().backward()
            optimizer.step()
        if step == 2:  # in the middle, both resume from a state of the other
            saved = first.state_dict(), second.state_dict()
            first.load_state_dict(saved[1])
            second.load_state_dict(saved[0])
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name
    assert isinstance(first, getattr(torch.optim, kind))
    assert str(first.state_dict()["param_groups"]) == str(second.state_dict()["param_groups"])


def test_a_step_records_no_graph_and_leaves_gradients_enabled():
    weight = torch.ones(3, requires_grad=True)
    optimizer = optimizers.SGD([weight], lr=0.5)
    weight.sum().backward()
    optimizer.step()
    assert torch.is_grad_enabled() and weight.grad_fn is None
    assert weight.tolist() == [0.5] * 3


@pytest.mark.parametrize("regularizer", ["none", "clom"])
def test_a_trial_does_not_import_the_compiler(tmp_path, regularizer):
    settings = [f"regularizer={regularizer}", "iterations=2", "eval_epochs=2", "eval_nets=1", "ptm_train_epochs=1"]
    words = ["run", "ablation-alpha@demo", "alpha=1", *(word for one in settings for word in ("--set", one))]
    code = (
        "import sys; from ddsweep.cli import main\n"
        "try: main()\n"
        f"finally: print('imported', [name for name in {COMPILER!r} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, *words, "--device", "cpu", "--runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported []"


def test_memory_has_the_shapes_types_and_names_of_the_parts():
    def make() -> layers.Sequential:
        return layers.Sequential(layers.Conv2d(3, 4, 3), layers.BatchNorm2d(4).half(), layers.Linear(2, 2, bias=False))

    with torch.device("meta"):
        empty = make()
    empty[2].requires_grad_(False)
    allocate(empty)
    expected = dict(make().state_dict())
    assert {name: (value.shape, value.dtype, value.device.type) for name, value in empty.state_dict().items()} == {
        name: (value.shape, value.dtype, "cpu") for name, value in expected.items()
    }
    assert [one.requires_grad for one in empty.parameters()] == [True] * 4 + [False]


def test_operations_are_counted_as_torch_counts_them():
    from torch.utils.flop_counter import FlopCounterMode

    net = layers.Sequential(
        layers.Conv2d(2, 6, 3, stride=2, groups=2),
        layers.ConvTranspose2d(6, 4, 2),
        layers.Flatten(2),
        layers.TransformerEncoderLayer(16, 2, 8, batch_first=True),
    ).eval()
    given = torch.ones(3, 2, 7, 7)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(given)
    assert flops.counted(net, given) == counter.get_total_flops() > 0

"""How numbers are computed: precision, compilation, and the work that decides about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from ddsweep import flops, numerics
from ddsweep.data import Dataset
from ddsweep.errors import UserError
from ddsweep.evaluate import Rule
from ddsweep.numerics import PAYS_OFF, Choice, Numerics
from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe, make
from tests import toys


def test_float32_leaves_a_function_alone() -> None:
    assert Numerics().function(torch.add) is torch.add


def test_bf16_rounds_products_and_leaves_parameters_and_sums_alone() -> None:
    layer = torch.nn.Linear(64, 8)
    images = toys.noise(5, 64, dtype=torch.float32)
    with torch.no_grad():
        rounded = Numerics("bf16").function(layer.forward)(images)
    assert rounded.dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32
    exact = images.double() @ layer.weight.detach().double().T + layer.bias.detach().double()
    assert 1e-6 < float((rounded.double() - exact).abs().max()) < 0.03 * float(exact.abs().max())


@pytest.mark.parametrize(("device", "work", "compiles"), [
    ("cpu", 0.9, False), ("cpu", 1.1, True), ("cuda:1", 0.9, False), ("cuda:1", 1.1, True), ("mps", 1e9, False),
])  # fmt: skip
def test_auto_compiles_where_the_work_repays_it(
    device: str, work: float, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numerics, "compiler", lambda: "/usr/bin/g++")
    operations = work * PAYS_OFF.get(device.partition(":")[0], 1.0)
    assert Choice("float32", device).of(operations).compile is compiles
    assert Choice("float32", device, "on").of(0).compile
    assert not Choice("float32", device, "off").of(1e30).compile


@pytest.mark.slow  # imports the compiler
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's compiler looks at it
def test_a_function_is_traced_once_for_all_networks_of_the_same_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an agent that computes cell after cell: many shapes, each with new networks, in any order."""
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))

    def mean_square(net: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        return net(images).square().mean()

    sizes = [(width, count) for width in (2, 3, 4, 5, 6) for count in (1, 2)]
    for width, count in [*sizes, *reversed(sizes)]:
        net = torch.nn.Sequential(torch.nn.Linear(5, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))
        loss = Numerics(compile=True).function(partial(mean_square, net))
        images = toys.noise(count, 5, dtype=torch.float32)
        for _ in range(2):
            torch.testing.assert_close(loss(images), mean_square(net, images))
    assert len(graphs) == len(sizes)


def test_without_a_compiler_auto_does_without_and_on_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not Choice().of(1e30).compile
    Choice().set_up()
    with pytest.raises(UserError, match="compile: on needs a C"):
        Choice(compile="on").set_up()


def test_tf32_needs_a_gpu() -> None:
    with pytest.raises(UserError, match="precision: tf32 needs an NVIDIA GPU; choose float32 or bf16 on cpu"):
        Choice("tf32").set_up()


def test_the_environment_may_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numerics.compile_choice() == "auto"
    monkeypatch.setenv("DDSWEEP_COMPILE", "off")
    assert numerics.compile_choice() == "off"
    monkeypatch.setenv("DDSWEEP_COMPILE", "of")
    with pytest.raises(UserError, match="compile: unknown mode 'of'; did you mean off"):
        numerics.compile_choice()


def test_only_a_gpu_takes_classes_and_networks_together() -> None:
    assert [Numerics(device=device).vectorized for device in ("cpu", "mps", "cuda", "cuda:3")] == [
        False,
        False,
        True,
        True,
    ]
    assert Numerics(vectorize=True).vectorized


# ---- the work, by hand: two operations for every multiplication of a convolution or a linear layer

CLASSES, SIZE, WIDTH = 3, 8, 4
FORWARD = 2.0 * (
    SIZE**2 * 3 * 9 * WIDTH + (SIZE // 2) ** 2 * WIDTH * 9 * WIDTH + (SIZE // 4) ** 2 * WIDTH * 9 * WIDTH
    + (SIZE // 8) ** 2 * WIDTH * CLASSES
)  # fmt: skip


def recipe(method: str, **choices: object) -> Recipe:
    fields = {"target": "digits", "method": method, "ipc": 2, "iterations": 5, "batch_real": 7, "width": WIDTH}
    return make({**fields, "outer_loops": 4, "inner_epochs": 6, "eval_nets": 3, "eval_epochs": 10, **choices})


@pytest.fixture
def dataset() -> Dataset:
    return toys.dataset(classes=CLASSES, size=SIZE)


def test_one_image() -> None:
    assert flops.forward("convnet3", 3, CLASSES, SIZE, WIDTH) == FORWARD


def test_a_distillation(dataset: Dataset) -> None:
    """Real images forward (DM) or forward and backward; synthetic ones forward and backward, for DC twice over."""
    features = sum(CLASSES * (7 * 1 + 2 * 3) for _ in range(5))
    gradients = sum(CLASSES * (7 * 3 + 2 * 6) for _ in range(5) for _ in range(4))
    trained = sum(CLASSES * 2 * 3 for _ in range(5) for _ in range(3) for _ in range(6))
    assert flops.distillation(recipe("dm", outer_loops=1, inner_epochs=0), dataset) == features * FORWARD
    assert flops.distillation(recipe("dc"), dataset) == (gradients + trained) * FORWARD


def test_a_distillation_of_idc_and_dream(dataset: Dataset) -> None:
    """A training of the network between two rounds; DREAM chooses in rounds 0 and 3 among all images."""
    matched = sum(CLASSES * (7 * 3 + 2 * 4 * 6) for _ in range(5) for _ in range(4))
    trained = sum(100 * 3 for _ in range(5) for _ in range(3))
    chosen = sum(len(dataset.labels) for _ in range(5) for _ in range(2))
    first = sum(len(dataset.labels) * 3 + 4 * CLASSES * (7 + 2 * 4) for _ in range(5))  # an epoch, and the features
    own: dict[str, object] = {"net_images": 100, "select_every": 3}
    assert flops.distillation(recipe("idc", **own), dataset) == (matched + trained) * FORWARD
    assert flops.distillation(recipe("dream", **own), dataset) == (matched + trained + chosen) * FORWARD
    plus = flops.distillation(recipe("dream", **own, dream_plus=True), dataset)
    assert plus == (matched + trained + chosen + first) * FORWARD
    many = sum(CLASSES * (7 * 3 + 128 * 6) for _ in range(5) for _ in range(4))  # of 180 decoded images 128
    assert (
        flops.distillation(recipe("idc", ipc=20, factor=3, init="noise", **own), dataset) == (many + trained) * FORWARD
    )


def test_an_evaluation_and_a_ptm(dataset: Dataset) -> None:
    passes = sum(CLASSES * 2 * 3 for _ in range(3) for _ in range(10))
    assert flops.evaluation(recipe("dm"), "convnet3", Rule(epochs=10), dataset) == passes * FORWARD
    assert flops.evaluation(recipe("idc"), "convnet3", Rule(epochs=10), dataset) == 4 * passes * FORWARD
    ((one,),) = spec.of(recipe("dm", regularizer="clom", ptm_train_epochs=2))
    assert flops.training(one, 2, dataset) == 2 * 3 * len(dataset.labels) * FORWARD

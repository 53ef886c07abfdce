"""Networks of plugins: what the author's function makes is the network."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch import nn as layers
from torch.nn import functional as F

from ddsweep import nn, rng
from ddsweep.errors import UserError
from ddsweep.nn import microbatches, statistics
from ddsweep.registry.networks import info
from ddsweep.testing import check_network
from tests.nn.authors import RESNET, VIT, source
from tests.nn.nets import seeded
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
SHAPE = {"channels": 3, "classes": 5, "size": 16, "width": 16}
CONV = "nn.Conv2d(channels, 8, 3)"
FLAT = "return nn.Sequential(nn.Flatten()"


def built(name: str = "mine", seed: int = 0) -> nn.Network:
    return nn.build(name, **SHAPE, generator=seeded(seed))


def values(net: layers.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in [*net.named_parameters(), *net.named_buffers()]}


def test_the_function_is_called_with_the_global_generators_seeded(plug: Plug) -> None:
    """Against the function itself, called under the same seed; the classifier is that of the other networks."""
    plug(mine=VIT)
    net, generator = built("vit", seed=3), seeded(3)
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with rng.seeded_globals(seed, "network", "vit"):
        made = info("vit").source(3, 16, 16)  # type: ignore[operator]
    wanted = values(made)
    assert {f"layers.{name}" for name in wanted} | {"classifier.weight", "classifier.bias"} == set(values(net))
    assert all(torch.equal(net.state_dict()[f"layers.{name}"], value) for name, value in wanted.items())
    bound = 1 / made.token.shape[-1] ** 0.5
    drawn = torch.empty(5, made.token.shape[-1]).uniform_(-bound, bound, generator=generator)
    assert torch.equal(net.get_parameter("classifier.weight"), drawn)
    places = torch.arange(16)[:, None] / 10 ** (torch.arange(8) / 16 * 4)
    assert torch.equal(net.get_buffer("layers.codes"), torch.cat([places.sin(), places.cos()], 1))


@pytest.mark.parametrize("name", ["vit", "tv-resnet18"])
def test_a_drawn_network_is_the_same_whatever_was_drawn_before(name: str, plug: Plug) -> None:
    plug(vit=VIT, resnet=RESNET)
    first = values(built(name, 1))
    torch.randn(3)
    net = built(name, 2)
    parameters, other = list(net.parameters()), values(net)
    before = torch.get_rng_state()
    with torch.no_grad():
        for value in [*net.parameters(), *net.buffers()]:
            value.fill_(3)
    nn.initialize(net, seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert all(torch.equal(value, first[key]) for key, value in values(net).items())
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


BLUR = """
class Blur(nn.Module):
    def __init__(self, channels):
        super().__init__()
        kernel = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (kernel[:, None] * kernel / 16).expand(channels, 1, 3, 3).clone(), persistent={})

    def forward(self, x):
        return nn.functional.conv2d(x, self.kernel, groups=len(self.kernel))
"""
NETWORKS = {
    "weight norm": (
        "return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(channels, 8, 3)), nn.ReLU())",
        "",
    ),
    "instance norm": (f"return nn.Sequential({CONV}, nn.InstanceNorm2d(8, affine=True), nn.ReLU())", ""),
    "instance norm, tracking": (
        f"return nn.Sequential({CONV}, nn.InstanceNorm2d(8, affine=True, track_running_stats=True), nn.ReLU())",
        "",
    ),
    "batch norm of features": (
        f"return nn.Sequential({CONV}, nn.Flatten(), nn.Linear(8 * (size - 2) ** 2, 9), nn.BatchNorm1d(9), nn.ReLU())",
        "",
    ),
    "lazy layers": ("return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU())", ""),
    "PReLU, embedding of nothing": (f"return nn.Sequential({CONV}, nn.PReLU(8), nn.Dropout2d(0.2))", ""),
    "blur": (f"return nn.Sequential(Blur(channels), {CONV}, nn.ReLU())", BLUR.format("True")),
    "blur, not saved": (f"return nn.Sequential(Blur(channels), {CONV}, nn.ReLU())", BLUR.format("False")),
    "attention": (
        f"return nn.Sequential({CONV}, nn.Flatten(2), Attend((size - 2) ** 2))",
        """
class Attend(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]
""",
    ),
    "stochastic depth by Python's generator": (
        f"return nn.Sequential({CONV}, Deep())",
        """
import random

class Deep(nn.Module):
    def forward(self, x):
        return x.relu() if self.training and random.random() < 0.5 else x
""",
    ),
    "the layers of ddsweep": (
        "return convnet.body(channels, size, width, depth=2, norm='batch')",
        "from ddsweep.nn import convnet",
    ),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_layers_of_every_kind(case: str, plug: Plug) -> None:
    body, before = NETWORKS[case]
    plug(mine=source(body, before))
    check_network("mine")


@pytest.mark.parametrize("name", ["vit", "tv-resnet18"])
def test_a_vit_and_a_resnet_of_torchvision_keep_the_contract(name: str, plug: Plug) -> None:
    plug(vit=VIT, resnet=RESNET)
    check_network(name)


def test_weights_that_the_function_loads_are_kept(plug: Plug, tmp_path: Path) -> None:
    path = tmp_path / "plugins" / "weights.pt"
    path.parent.mkdir()
    kernels = torch.randn(8, 3, 3, 3, generator=seeded(9))
    torch.save(kernels, path)
    body = "\n    ".join((
        f"net = nn.Sequential({CONV}, nn.ReLU(), nn.Conv2d(8, 4, 3))",
        "with torch.no_grad():",
        "    net[0].weight.copy_(torch.load(Path(__file__).with_name('weights.pt')))",
        "net[0].requires_grad_(False)",
        "return net",
    ))  # fmt: skip
    plug(mine=source(body, "from pathlib import Path", said=', files=("weights.pt",), channels=(3,)'))
    check_network("mine")
    one, two = built(seed=1), built(seed=2)
    nn.initialize(two, seeded(3))
    for net in (one, two):
        assert torch.equal(net.get_parameter("layers.0.weight"), kernels)
    assert not torch.equal(one.get_parameter("layers.2.weight"), two.get_parameter("layers.2.weight"))
    together = nn.StackedNetworks([one, two])
    trained = {name for name, value in together.named_parameters() if value.requires_grad}
    assert trained == {"layers__2__weight", "layers__2__bias", "classifier__weight", "classifier__bias"}


def test_the_head_of_the_author_is_the_classifier(plug: Plug) -> None:
    plug(mine=RESNET)
    net = built("tv-resnet18")
    assert isinstance(net.classifier, layers.Linear)
    whole = copy.deepcopy(net.layers)
    whole.fc = net.classifier
    images = torch.randn(4, 3, 16, 16, generator=seeded(1))
    net.eval(), whole.eval()
    torch.testing.assert_close(net(images), whole(images))
    assert net.embed(images).shape == (4, 512)
    torch.testing.assert_close(net.classifier(net.embed(images)), net(images))


def test_a_head_may_take_maps(plug: Plug) -> None:
    head = "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))"
    body = f"return nn.Sequential(nn.Conv2d(channels, 8, 3), {head})"
    plug(mine=source(body, said=', head="1"', classes=", *, classes"))
    net = built()
    assert net.embed(torch.zeros(2, 3, 16, 16)).shape == (2, 8 * 14 * 14)
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 5)
    check_network("mine")


@pytest.mark.parametrize(
    ("body", "said", "line"),
    [
        ("return nn.Flatten()", "", ""),
        ("raise ValueError('no')", "", r"its function fails \(no \(mine.py line 15\)\)"),
        ("exit(3)", "", r"its function fails \(calls sys.exit\(3\) \(mine.py line 15"),
        ("return nn.Conv2d(channels, 4, 3).double()", "", "weight is float64; needed: float32"),
        ("return nn.Conv2d(channels, 4, 3, device='meta')", "", "weight is on meta; its function must make it on the"),
        ("return nn.Conv2d(1, 4, 3)", "", r"cannot take 3×16×16 images \(RuntimeError: Given groups=1, weight of"),
        ("return nn.LSTM(16, 4)", "", r"cannot take 3×16×16 images \("),
        ("return Two()", "", "makes tuple of images, not a tensor"),
        (f"{FLAT}, nn.Linear(768, classes))", "fc", r"no submodule fc \(its submodules: 0, 1\)"),
        (f"{FLAT}, nn.Linear(768, classes), nn.Softmax(1))", "1", "head: 1 does not make the logits from the output"),
        (f"{FLAT}, nn.Linear(768, 7))", "1", r"makes \[2, 7\] of two images, not the logits of 5 classes"),
    ],
)  # fmt: skip
def test_a_function_that_makes_no_such_network(body: str, said: str, line: str, plug: Plug) -> None:
    two = "class Two(nn.Module):\n    def forward(self, x):\n        return x, x"
    plug(mine=source(body, two, f', head="{said}"' * bool(said), ", classes" * bool(said)))
    if not line:
        built()
        return
    with pytest.raises(UserError, match=f"^arch: mine of the plugin mine: .*{line}"):
        built()


@pytest.mark.parametrize(
    ("said", "classes", "line"),
    [
        (", channels=3", "", r"channels: 3 is not a list of numbers such as \(3,\)"),
        (', sizes=("32",)', "", r"sizes: \('32',\) is not a list of numbers"),
        (", padded=(True,)", "", r"padded: \(True,\) is not a list"),
        (', head="fc"', "", r"its function is called as \(channels, size, width, classes=…\): got an unexpected"),
        (', options={"depth": 2}', "", r"its function is called as \(channels, size, width, depth=…\): got an unexpec"),
        ("", ", depth", r"its function is called as \(channels, size, width\): missing a required argument: 'depth'"),
        (", head=3", "", "head: 3 is not the name of a submodule"),
    ],
)
def test_a_decorator_that_cannot_be_meant(said: str, classes: str, line: str, plug: Plug) -> None:
    plug(mine=source("return nn.Flatten()", said=said, classes=classes))
    with pytest.raises(UserError, match=rf"^plugins: \S+mine.py: network 'mine': {line}"):
        info("mine")


def test_a_function_that_makes_another_network_each_time(plug: Plug) -> None:
    plug(mine=source("return nn.Conv2d(channels, int(torch.randint(2, 999, ())), 3)"))
    with pytest.raises(UserError, match="makes other parameters or buffers when it is called again"):
        nn.initialize(built(), seeded(1))


def test_attention_can_be_differentiated_twice_and_dropout_is_drawn_again(plug: Plug) -> None:
    """Against the second derivative of the same loss by differences."""
    plug(mine=VIT)
    net = built("vit").double()
    images = torch.randn(2, 3, 16, 16, generator=seeded(1), dtype=torch.float64)
    direction = torch.randn(2, 3, 16, 16, generator=seeded(2), dtype=torch.float64)

    def norm(images: Tensor) -> Tensor:
        with nn.guarded(net, 0, "step"):
            loss = F.cross_entropy(net(images), torch.tensor([0, 1]))
        slopes = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
        return torch.stack([slope.square().sum() for slope in slopes]).sum()

    leaf = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(norm(leaf), leaf)
    ahead, behind = (norm(images + sign * 1e-5 * direction).item() for sign in (1, -1))
    assert float((slope * direction).sum()) == pytest.approx((ahead - behind) / 2e-5, rel=1e-5)


def test_networks_that_draw_are_not_stacked(plug: Plug) -> None:
    plug(vit=VIT, resnet=RESNET, mine=source(*NETWORKS["stochastic depth by Python's generator"]))
    found = {name: nn.can_be_stacked(built(name)) for name in ("convnet3", "vit", "tv-resnet18", "mine")}
    assert found == {"convnet3": True, "vit": False, "tv-resnet18": True, "mine": False}


def test_norms_with_running_statistics() -> None:
    tracking = layers.InstanceNorm2d(4, affine=True, track_running_stats=True)
    for norm in (
        layers.BatchNorm1d(4),
        layers.BatchNorm3d(4),
        layers.SyncBatchNorm(4),
        layers.LazyBatchNorm2d(),
        tracking,
    ):
        net = layers.Sequential(layers.Identity(), norm)
        assert nn.has_batch_norm(net)
        assert microbatches.uses_batch_statistics(net)
        assert not microbatches.uses_batch_statistics(net.eval())
        net.train()
        nn.hold(net)
        assert not norm.training
        assert net.training
    for other in (layers.InstanceNorm2d(4, affine=True), layers.GroupNorm(2, 4), layers.LayerNorm(4)):
        assert not nn.has_batch_norm(layers.Sequential(other))
    assert microbatches.uses_batch_statistics(layers.BatchNorm2d(4, track_running_stats=False).eval())
    images = torch.randn(3, 4, 5, 5, generator=seeded())
    statistics.forget(tracking.eval())
    torch.testing.assert_close(tracking(images), F.instance_norm(images))


def test_dropout_of_a_pass_that_is_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A micro-batch whose graph does not fit is computed again in the backward pass, with the same zeros."""
    monkeypatch.setattr(microbatches, "max_images_with_graph", lambda size, device: 2)
    images = torch.ones(4, 1, 8, 8, requires_grad=True)
    found = microbatches.apply(lambda x: F.dropout(x, 0.5).flatten(1), images)
    (slope,) = torch.autograd.grad(found.sum(), images)
    assert torch.equal(slope.flatten(1), found)

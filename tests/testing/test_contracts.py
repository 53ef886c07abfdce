"""Everything that is registered keeps its contract, and what does not is found out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import SGD

from ddsweep import data, nn
from ddsweep.distill.methods.real_batches import ClassPasses
from ddsweep.distill.methods.real_training import RealTraining
from ddsweep.distill.sets.multi_formation import MultiFormation
from ddsweep.distill.synthetic import Synthetic
from ddsweep.registry.methods import METHODS
from ddsweep.testing import check_dataset, check_method, check_network
from tests.docs.extending import EXAMPLES
from tests.plugins.plugged import METHOD, Plug, plug

__all__ = ["plug"]
BUNDLED = [name for name in data.names() if data.is_bundled(data.info(name))]
HALF = METHOD.format(name="half")
NETWORK = """
import ddsweep, torch
from torch import nn

class Own(nn.Module):
    def __init__(self, maps):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(maps, 1, 1))
        self.unused = nn.Identity()

    def initialize(self, generator):
        self.scale.copy_(torch.rand(self.scale.shape, generator=generator))

    def forward(self, x):
        return x * self.scale

@ddsweep.network("mine")
def body(channels, size, width):
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), Own(width), nn.AvgPool2d(4))
"""
DATASET = """
import ddsweep, numpy as np

@ddsweep.dataset("mine", classes=("a", "b"), size=8, smallest_class=5, mean=(0.5,) * 3, std=(0.29,) * 3)
def decode(row, paths):
    random = np.random.default_rng(0)
    images = random.choice(256, (14, 3, 8, 8)).astype(np.uint8)
    return images[:10], np.arange(10) % 2, images[10:], np.arange(4) % 2
"""


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method(name: str) -> None:
    check_method(name)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("idc", {"factor": 1}),
        ("idc", {"size": 13, "factor": 3, "ipc": 1, "batch_real": 9, "init": "noise"}),  # fewer images than a batch
        ("dream", {"dream_plus": True, "select_every": 1}),
        ("dream", {"arch": "convnet3-bn"}),
    ],
)
def test_variants_of_methods(name: str, choices: dict[str, Any]) -> None:
    check_method(name, **choices)


@pytest.mark.parametrize("name", nn.names())
def test_every_network(name: str) -> None:
    check_network(name)


@pytest.mark.parametrize("name", BUNDLED)
def test_every_dataset_that_needs_no_download(name: str) -> None:
    check_dataset(name)


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (check_method, "mtt-lite"), (check_dataset, "stripes"), (check_network, "mixer2"), (check_network, "mixer4"),
        (check_network, "vit2"), (check_network, "vit4"), (check_network, "tv-resnet18"),
    ],
)  # fmt: skip
def test_the_examples_of_the_page(check: Callable[[str], None], name: str, plug: Plug) -> None:
    plug(**EXAMPLES)
    check(name)


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("yield total", "yield total.detach()", "yields a loss without a gradient"),
        ("yield total", "yield total[None]", "not a scalar tensor"),
        ("yield total", "yield total; yield total", "yields 2 losses or more, not 1"),
        ("yield total", "return; yield", "yields 0 losses, not 1"),
        ("if done:", "if False:", "yields 1 losses or more, not 0 (outer_loops without the first 1)"),
        ("yield total", "yield total / 0", "yields a loss or gradient of inf or nan"),
        ("range(synthetic.classes)", "range(1)", "has no gradient to image 2 of 4"),
        ("streams.batch)", "__import__('torch').default_generator)", ""),  # the loop seeds it
        ("steps=2,", "steps=2, noise=0.0,", ""),
        ("* apart", "* __import__('random').random() * apart", ""),
        ("* apart", "* __import__('os').urandom(1)[0] * apart", "gives different bits when it is run again"),
        ("        yield total", "        dataset.images[0] = 0\n        yield total", "changes the real images"),
        (
            "self.rate * apart", "self.counted() * apart",
            "gives different bits when it is interrupted after step 1 and resumes",
        ),
    ],
)  # fmt: skip
def test_a_broken_method_is_found_out(good: str, bad: str, line: str, plug: Plug) -> None:
    counted = "    def counted(self):\n        self.n = getattr(self, 'n', 0) + 1\n        return self.n\n"
    plug(mine=HALF.replace(good, bad) + counted)
    if not line:
        check_method("half", options="rate:0.25")
        return
    with pytest.raises(AssertionError) as error:
        check_method("half")
    assert str(error.value).startswith("method 'half': ")
    assert line in str(error.value)


def backwards(learned: MultiFormation) -> Synthetic:
    found = learned._decoded(0, 2)
    return Synthetic(found.images, found.labels.flip(0), found.ipc)


@pytest.mark.parametrize(
    ("owner", "name", "bad", "line"),
    [
        (MultiFormation, "decode", backwards, "decodes images that are not in class-major order"),
        (MultiFormation, "restore", lambda self, tensors: None, "decodes other images after the state of its set is"),
        (MultiFormation, "optimizer", lambda self, lr: SGD([torch.zeros(1)], lr), "does not optimize all its param"),
        (ClassPasses, "state", lambda self: {}, "different bits when it is interrupted after step 1 and resumes"),
        (RealTraining, "restore", lambda self, state: None, "different bits when it is interrupted after step"),
    ],
)
def test_a_broken_set_or_state_is_found_out(
    owner: type, name: str, bad: Callable[..., Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, bad)
    with pytest.raises(AssertionError, match=f"method 'idc': .*{line}"):
        check_method("idc")


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("maps", "maps", ""),
        ("generator=generator", "generator=None", ""),
        ("def initialize", "def draw", ""),
        ("return x * self.scale", "return nn.functional.dropout(x, 0.5, self.training) * self.scale", ""),
        ("return x * self.scale", "return nn.functional.dropout(x, 0.5) * self.scale", "random numbers in eval mode"),
        (
            "return x * self.scale",
            "return x * self.scale * __import__('os').urandom(1)[0]",
            "gives different outputs when it is run again with the same seed",
        ),
        (
            "return x * self.scale",
            "return x * self.scale * x.std()",
            "gives a different output for an image in a batch, in eval mode",
        ),
        (
            "return x * self.scale",
            "return x * self.scale * (x.std() if self.training else 1)",
            "gives a different output for an image in a batch",
        ),
        ("return x * self.scale", "return x * self.scale + self.training", "gives a different output in eval mode"),
        ("torch.ones(maps, 1, 1)", "torch.full((maps, 1, 1), torch.inf)", ""),
        ("self.unused = nn.Identity()", "self.shift = nn.Buffer(torch.rand(maps, 1, 1))", ""),
        ("self.unused = nn.Identity()", "self.unused = nn.PReLU()", "does not depend on layers.2.unused.weight"),
        ("nn.ReLU()", "nn.Softplus()", ""),
        ("nn.AvgPool2d(4)", "nn.BatchNorm2d(width, track_running_stats=False)", "image in a batch, in eval mode"),
        (
            "return x * self.scale",
            "return x * self.scale + 0 * x.detach().numpy().sum()",
            "cannot be differentiated twice by",
        ),
        ("return x * self.scale", "return x * self.scale.detach()", "does not depend on layers.2.scale"),
        ("return x * self.scale", "return x.detach() * self.scale", "does not depend on the images"),
        (
            "return x * self.scale",
            "y = torch.zeros(x.shape); y.copy_(x); return y * self.scale",
            "",  # torch.func.vmap cannot do this: such networks are trained one by one
        ),
        ("nn.AvgPool2d(4)", "nn.BatchNorm2d(width)", ""),
        ("nn.AvgPool2d(4)", "nn.AvgPool2d(30)", ""),
        (
            "nn.Conv2d(channels",
            "nn.Conv2d(3",
            "does not take gray images; if it is for color images only, say",
        ),
    ],
)
def test_a_broken_network_is_found_out(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=NETWORK.replace(good, bad))
    if not line:
        check_network("mine")
        return
    with pytest.raises(AssertionError) as error:
        check_network("mine")
    assert str(error.value).startswith("network 'mine': ")
    assert line in str(error.value)


def test_a_network_that_is_the_same_for_every_generator_has_to_say_so(plug: Plug) -> None:
    fixed = NETWORK.replace("    return nn.Seq", "    torch.manual_seed(0)\n    return nn.Seq").replace(
        "def init", "def re"
    )
    with_head = fixed.replace("(channels, size, width)", "(channels, size, width, classes)")
    with_head = with_head.replace("AvgPool2d(4))", "AvgPool2d(4), nn.Flatten(), nn.LazyLinear(classes))")
    plug(
        mine=with_head.replace('"mine"', '"mine", head="5"'),
        said=with_head.replace('"mine"', '"said", head="5", pretrained=True'),
    )
    with pytest.raises(AssertionError, match=r"^network 'mine': is the same network for every .* say pretrained=True$"):
        check_network("mine")
    check_network("said")


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("mine", "mine", ""),
        ("smallest_class=5", "smallest_class=4", "has 5 training images in its smallest class; its row says 4"),
        ("np.random.default_rng(0)", "np.random.default_rng()", "decodes to different images the second time"),
        ("random = np.random.default_rng(0)", "np.random.seed(3); random = np.random", ""),
        ("np.arange(4) % 2", "np.arange(4) * 0", "has no test images of b"),
        ("(0.5,) * 3", "(0.8,) * 3", "its row says (0.8, 0.8, 0.8)"),
        ("images[:10]", "images[:10] * 0", "has only equal images"),
        ("random = ", "np.random.rand(); random = ", ""),
        ("size=8,", "size=8, images=(9, 4),", "has 10 and 4 images; its row says 9 and 4"),
    ],
)
def test_a_broken_dataset_is_found_out(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=DATASET.replace(good, bad))
    if not line:
        check_dataset("mine")
        return
    with pytest.raises(AssertionError) as error:
        check_dataset("mine")
    assert str(error.value).startswith("dataset 'mine': ")
    assert line in str(error.value)

"""Every guidance and every PTM keeps its contract, and what does not is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ddsweep.pretrained import published
from ddsweep.registry.guidance import GUIDANCE
from ddsweep.registry.ptms import PTMS
from ddsweep.testing import check_guidance, check_ptm
from tests import foundations
from tests.docs.extending import EXAMPLES
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
OWN = [name for name in GUIDANCE if GUIDANCE.code(name) is None]
GUIDE = """
import ddsweep, torch

@ddsweep.guidance("mine", alpha=1.0)
def guide(ptm, synthetic, real, *, power=1.0):
    ours, total = ptm.embed(synthetic.images), 0
    for label in synthetic.labels.unique():
        if (real.labels == label).any():
            apart = ours[synthetic.labels == label].mean(0) - real.features[real.labels == label].mean(0)
            total = total + apart.norm() ** power
    return total
"""
CLASS = """
import ddsweep, torch

@ddsweep.guidance("mine", alpha=1.0)
class Guide:
    def __init__(self, dataset, *, weight=1.0):
        self.mean, self.weight, self.calls = dataset.images[:].mean(0), weight, 0

    def __call__(self, ptm, synthetic):
        self.calls += 1
        return self.weight * (ptm(synthetic.images).square().mean() + (synthetic.images - self.mean).square().mean())
"""
PTM = """
import ddsweep, torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.shift = nn.Buffer(torch.randn(4))

    def embed(self, x):
        return self.norm(self.conv(x)).sigmoid().mean((2, 3)) + self.shift

    def forward(self, x):
        return self.head(self.embed(x))

@ddsweep.ptm("mine", size=12, mean=0.5, std=0.25, classes=("a", "b"))
def make():
    return Net()
"""


@pytest.mark.parametrize("method", ["dm", "dc", "idc"])
@pytest.mark.parametrize("name", OWN)
def test_every_guidance(name: str, method: str) -> None:
    check_guidance(name, method=method)


@pytest.mark.parametrize("source", [name for name in PTMS if PTMS.code(name) is None])
def test_every_published_ptm(source: str) -> None:
    """With generated weights."""
    row = PTMS[source]
    if row.extra:
        pytest.importorskip("open_clip")
    made = {"imagenet": foundations.resnet18, "internet": foundations.clip_rn50}[source]()
    torch.save(made, "weights.pth")
    published.adopt(row, Path("weights.pth"))
    check_ptm(source, 32)


def test_the_examples_of_the_pages(plug: Plug) -> None:
    plug(**EXAMPLES)
    guides, ptms = ([name for name in table if table.code(name)] for table in (GUIDANCE, PTMS))
    assert guides
    assert ptms
    for name in guides:
        check_guidance(name)
    for name in ptms:
        check_ptm(name)


@pytest.mark.parametrize("size", [8, 32, 50])
def test_a_clamp_is_found_out_with_images_of_any_size(size: int, plug: Plug) -> None:
    plug(mine=PTM)
    check_ptm("mine", size)
    plug(other=PTM.replace("self.conv(x)", "self.conv(x.clamp(-2, 2))").replace('"mine"', '"other"'))
    assert "has no gradient from its features to pixels below 0" in violation(check_ptm, "other", size=size)


def violation(check: Any, name: str, **choices: Any) -> str:
    with pytest.raises(AssertionError) as error:
        check(name, **choices)
    return str(error.value)


@pytest.mark.parametrize("source", [GUIDE, CLASS], ids=["function", "class"])
def test_guides_of_ones_own(plug: Plug, source: str) -> None:
    plug(mine=source)
    check_guidance("mine")
    check_guidance("mine", method="dsa")


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("return total", "return total * ptm.alpha", "AttributeError: 'PretrainedModel' object has no attribute"),
        ("return total", "return total.item()", "returns float, not a scalar tensor"),
        ("return total", "return total[None]", "returns a tensor of shape [1], not a scalar tensor"),
        ("return total", "return total.detach()", "returns a term without a gradient to the synthetic images"),
        ("return total", "return total / 0", "returns a term or gradient of inf or nan"),
        ("return total", "return 0 * total", "returns a term that does not depend on the images"),
        ("if (real.labels == label).any():", "if True:", "is inf or nan if no real image of a class was drawn"),
        ("return total", "real.images.data[0] = 0; return total", ""),  # a copy
        ("return total", "real._dataset.images[0] = 0; return total", "changes the real images"),
        ("return total", "synthetic.images.data.add_(1.0); return total", "changes the synthetic images"),
        ("return total", "next(ptm.net.parameters()).data.add_(0.1); return total", "changes the PTMs"),
        ("return total", "ptm.net.train(); return total", "changes the PTMs"),
        ("return total", "return total * torch.rand(())", ""),  # the loop seeds it
        ("return total", "return total * (1 + __import__('os').urandom(1)[0])", "gives different bits when it is run"),
    ],
)
def test_a_broken_guide_is_found_out(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=GUIDE.replace(good, bad))
    if not line:
        check_guidance("mine", guidance_options="power:2.0")
        return
    found = violation(check_guidance, "mine")
    assert found.startswith("guidance 'mine': ")
    assert line in found


def test_a_guide_that_counts_its_calls_is_found_out(plug: Plug) -> None:
    plug(mine=CLASS.replace("return self.weight", "return self.calls * self.weight"))
    found = violation(check_guidance, "mine")
    assert found == "guidance 'mine': gives different bits when it is interrupted after step 1 and resumes"


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("return Net()", "return Net()", ""),
        ('size=12, mean=0.5, std=0.25, classes=("a", "b")', "", ""),
        ("return Net()", "return torch.nn.Linear", "its function returns type, not a torch.nn.Module"),
        ("nn.Linear(4, 2)", "nn.Linear(4, 3)", "returns logits of shape [2, 3], not [2, 2]"),
        ("torch.randn(4)", "torch.full((4,), float(__import__('os').urandom(1)[0]))", "has other weights the second"),
        (
            "nn.Buffer(torch.randn(4))",
            "torch.randn(4)",
            "has a tensor shift of its module (Net) that is no parameter and",
        ),
        (
            "nn.Buffer(torch.randn(4))",
            "torch.randn(4); self.all = [self.shift]",
            "shift of its module (Net) that is no",
        ),
        (
            "self.shift = nn.Buffer(torch.randn(4))",
            "self.some = {'a': [torch.randn(4)]}; self.shift = self.some['a'][0]",
            "has a tensor some['a'][0] of its module (Net) that is no parameter and no buffer; use register_buffer",
        ),
        ("self.conv(x)", "self.conv(x.clamp(-2, 2))", "has no gradient from its features to pixels below 0"),
        (
            "self.conv(x)",
            "self.conv(x.clamp(min=-2))",
            "no gradient from its features to pixels below 0 (does it clamp",
        ),
        ("self.conv(x)", "self.conv(x.clamp(max=2))", "has no gradient from its features to pixels above 1"),
        ("self.conv(x)", "self.conv(x.clamp(-4, 4))", ""),
        ("self.head(self.embed(x))", "self.head(self.embed(x.clamp(-2, 2)))", "from its logits to pixels below 0"),
        ("self.conv(x)", "self.conv(nn.functional.interpolate(x, (24, 24), mode='bilinear').clamp(-2, 2))", "below 0"),
        ("+ self.shift", "+ torch.rand(4)", "draws from torch's global generator"),
        ("+ self.shift", "+ self.shift.add_(1)", "gives other features of the same images the second time"),
        ("+ self.shift", "+ x.mean()", "gives other features of an image when other images are in the batch"),
        ("+ self.shift", "* 0", "gives equal features of all images"),
        ("self.conv(x)", "self.conv(x.detach())", "has no gradient from its features to the images"),
        ("self.head(self.embed(x))", "self.head(self.embed(x).detach())", "has no gradient from its logits to"),
        (".sigmoid()", ".sigmoid().round()", "has no gradient from its features to image 0"),
        ("self.conv(x)", "(0 * self.conv(x)).abs().sqrt() + self.conv(x)", "gradient of inf or nan"),
    ],
)
def test_a_broken_ptm_is_found_out(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=PTM.replace(good, bad))
    if not line:
        check_ptm("mine")
        return
    found = violation(check_ptm, "mine")
    assert found.startswith("PTM 'mine': ")
    assert line in found

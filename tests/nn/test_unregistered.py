"""Networks of plugins: what is no parameter and no buffer, and weights that no generator draws."""

from __future__ import annotations

import pytest
import torch

from ddsweep.errors import UserError
from ddsweep.testing import check_network
from tests.nn.authors import source
from tests.nn.nets import seeded
from tests.nn.test_plugged import built
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
HOLDER = """
class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        {held}

    def forward(self, x):
        return self.conv(x)
"""


@pytest.mark.parametrize(
    ("held", "named"),
    [
        ("self.r = torch.randn(3)", "r"),
        ("self.rs = [0, torch.randn(3)]", r"rs\[1\]"),
        ("self.rs = {'a': (torch.randn(3),)}", r"rs\['a'\]\[0\]"),
        ("self.r = torch.arange(3)", "r"),
        ("self.rs = [nn.Parameter(torch.randn(3))]", r"rs\[0\]"),
        ("self.rs = [nn.Linear(2, 2)]", r"rs\[0\].weight"),
        ("self.r = self.conv.weight.detach().clone()", "r"),
        ("self.r, self.rs = self.conv.weight, [self.conv.bias, self.conv]", ""),
        ("self.r = self.conv.weight.data[0]", ""),
        ("self.r = self.conv.weight * torch.randn(3, 3, 1, 1)", ""),
        ("self.register_buffer('b', torch.randn(3), persistent=False); self.bs = (self.b,)", ""),
        ("self.rs = []; self.rs.append(self.rs)", ""),
    ],
)
def test_a_tensor_that_is_no_parameter_and_no_buffer_is_refused(held: str, named: str, plug: Plug) -> None:
    """It would be drawn anew when a PTM is read from its file."""
    plug(mine=source("return nn.Sequential(nn.Identity(), Holder())", HOLDER.format(held=held)))
    if not named:
        built()
        return
    line = rf"^arch: mine of the plugin mine: {named} of its module 1 \(Holder\) is a tensor .* use register_buffer$"
    with pytest.raises(UserError, match=line):
        built()


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "layer",
    [
        "nn.utils.weight_norm(nn.Linear(768, 4))",
        "nn.utils.spectral_norm(nn.Linear(768, 4))",
        "nn.utils.parametrizations.spectral_norm(nn.Linear(768, 4))",
        "nn.utils.parametrizations.orthogonal(nn.Linear(768, 4))",
        "nn.utils.prune.random_unstructured(nn.Linear(768, 4), 'weight', 0.5)",
        "nn.LazyLinear(4)",
    ],
)
def test_what_torchs_own_layers_hold_is_allowed(layer: str, plug: Plug) -> None:
    plug(mine=source(f"return nn.Sequential(nn.Flatten(), {layer})", "import torch.nn.utils.prune"))
    built()


def test_the_weights_of_a_recurrent_network_are_its_parameters(plug: Plug) -> None:
    last = "class Last(nn.Module):\n    def forward(self, x):\n        return x[0][:, -1]"
    plug(mine=source("return nn.Sequential(nn.Flatten(2), nn.GRU(256, 4, batch_first=True), Last())", last))
    one, two = built(seed=1), built(seed=2)
    two.load_state_dict(one.state_dict())
    images = torch.randn(2, 3, 16, 16, generator=seeded())
    assert torch.equal(one(images), two(images))


LOADED = "torch.manual_seed(0)\n    net = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU()"
SAME = "has the same weights for every generator, all but the classifier's (does its function call torch.manual_seed?)"


@pytest.mark.parametrize(
    ("body", "said", "classes", "line"),
    [
        (f"{LOADED})", "", "", SAME),
        (f"{LOADED})", ", pretrained=True", "", ""),
        (f"{LOADED})", ', files="mine.py"', "", ""),
        (f"{LOADED}, nn.Flatten(), nn.LazyLinear(classes))", ', head="3"', ", classes", "is the same network"),
        ("net = nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU())", "", "", ""),
        ("net = nn.Sequential(nn.Flatten())", "", "", ""),
    ],
)  # fmt: skip
def test_weights_that_are_the_same_for_every_generator(
    body: str, said: str, classes: str, line: str, plug: Plug
) -> None:
    """The classifier, which ddsweep appends and draws, does not hide it."""
    plug(mine=source(f"{body}\n    return net", said=said, classes=classes))
    if not line:
        check_network("mine")
        return
    with pytest.raises(AssertionError) as error:
        check_network("mine")
    assert str(error.value).startswith(f"network 'mine': {line}")


def test_a_number_that_is_drawn_and_not_saved_is_found_out(plug: Plug) -> None:
    scale = "class Scale(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    scale += "        self.scale = torch.rand(()).item()\n\n    def forward(self, x):\n        return x * self.scale"
    plug(mine=source("return nn.Sequential(nn.Conv2d(channels, 4, 3), Scale())", scale))
    with pytest.raises(AssertionError, match="changes when its state is saved and loaded: some state is not a param"):
        check_network("mine")

"""Networks of plugins that cannot take the images of a recipe are refused before anything runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ddsweep import nn
from ddsweep.errors import UserError
from ddsweep.nn import trying
from ddsweep.recipe import make, verify
from tests.cli.conftest import Run, ddsweep
from tests.docs.extending import EXAMPLES
from tests.docs.page import page
from tests.nn.authors import DATASET, RESNET, VIT, source
from tests.plugins.plugged import Plug, plug

__all__ = ["ddsweep", "plug"]
TINY = {"method": "dm", "ipc": 1, "width": 8, "alpha": 0}


@pytest.mark.parametrize("field", ["arch", "eval_archs", "ptm_archs", "match_archs"])
def test_a_network_for_color_images_refuses_gray_ones(field: str, plug: Plug) -> None:
    plug(resnet=RESNET, tiles=DATASET)
    choices: dict[str, Any] = {**TINY, "alpha": 1, field: "convnet3+tv-resnet18" if field != "arch" else "tv-resnet18"}
    if field == "match_archs":
        choices |= {"method": "dim", "gan_epochs": 1}
    verify([make({**choices, "target": "tiles"})])
    with pytest.raises(UserError, match=rf"^{field}: tv-resnet18 takes images with 3 channels, not 1$"):
        make({**choices, "target": "digits"})


def test_the_channels_of_a_ptm_are_those_of_its_source(plug: Plug) -> None:
    plug(resnet=RESNET, tiles=DATASET)
    choices = {**TINY, "alpha": 1, "ptm_archs": "tv-resnet18", "regularizer": "cclom"}
    verify([make({**choices, "target": "digits", "source": "tiles"})])
    with pytest.raises(UserError, match=r"^ptm_archs: tv-resnet18 takes images with 3 channels, not 1$"):
        make({**choices, "target": "tiles", "source": "digits"})


def test_a_network_for_some_sizes(plug: Plug) -> None:
    plug(mine=source("return nn.Flatten()", said=", sizes=(24, 32), padded=(28,)"), tiles=DATASET)
    make({**TINY, "target": "tiles", "size": 32, "eval_archs": "mine"})
    make({**TINY, "target": "tiles", "size": 28, "eval_archs": "mine"})
    with pytest.raises(UserError, match=r"^eval_archs: mine takes images of 24 or 32 pixels, not 16$"):
        make({**TINY, "target": "tiles", "size": 16, "eval_archs": "mine"})


def test_a_network_that_cannot_take_the_size_is_refused_by_show(plug: Plug, ddsweep: Run) -> None:
    plug(mine=source("return nn.Sequential(nn.AvgPool2d(20), nn.Conv2d(channels, 4, 1))"))
    words = ["show", "ablation-alpha", "--profile", "demo", "--set", "target=digits"]
    assert ddsweep(*words, "--set", "eval_archs=convnet3").exit_code == 0
    done = ddsweep(*words, "--set", "eval_archs=convnet3+mine")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: eval_archs: mine of the plugin mine: cannot take 1×16×16 images (RuntimeError: ")


def test_a_ptm_of_another_size_has_to_embed_the_target(plug: Plug) -> None:
    plug(vit=VIT, tiles=DATASET.replace("size=16", "size=24").replace("16, 16", "24, 24"))
    choices = {**TINY, "alpha": 1, "ptm_archs": "vit", "regularizer": "cclom", "target": "digits"}
    verify([make(choices)])
    with pytest.raises(UserError) as error:
        verify([make({**choices, "source": "tiles"})])
    assert str(error.value).startswith(
        "ptm_archs: vit of the plugin vit: is built for 24×24 images, and cannot embed 16×16 (RuntimeError: The size of"
    )


def test_the_lines_of_the_page_are_those_that_are_said(plug: Plug, ddsweep: Run) -> None:
    plug(**{name: EXAMPLES[name] for name in ("vit", "tv_resnet")})
    text = page("docs/extending/networks.md").text
    show = ["show", "ablation-alpha", "--profile", "demo", "--set"]
    done = ddsweep(*show, "arch=vit2", "--set", "ptm_archs=vit2", "--set", "source=shapes", "--set", "size=32")
    assert f"```\n{done.stderr}```" in text
    done = ddsweep(*show, "eval_archs=tv-resnet18")
    (said,) = re.findall(r"`(eval_archs: .*?)`", text)
    assert done.stderr.startswith(f"error: {said}; ")


def test_a_network_is_tried_once(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(vit=VIT)
    tried, build = list[str](), trying.build

    def counted(name: str, **given: Any) -> nn.Network:
        tried.append(name)
        return build(name, **given)

    monkeypatch.setattr(trying, "build", counted)
    recipes = [make({**TINY, "target": "digits", "arch": "vit", "seed": seed}) for seed in range(3)]
    verify(recipes)
    verify(recipes)
    assert tried == ["vit"]

"""``ddsweep.debug``: the numbers of a step against the step written out, and a file that is edited in between."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import ddsweep
from ddsweep import data
from ddsweep.distill.loop import distill
from ddsweep.errors import PluginError, UserError
from ddsweep.recipe import make
from ddsweep.rng import Streams
from ddsweep.trackers import Tracker
from tests.distill.test_guards import RATE
from tests.plugins.plugged import HALF, Plug, plug

__all__ = ["plug"]
CHOICES: dict[str, Any] = {"target": "digits", "ipc": 2, "arch": "convnet1", "width": 4, "alpha": 0, "iterations": 1}
GUIDED: dict[str, Any] = CHOICES | {
    "alpha": 5.0,
    "ptm_train_epochs": 1,
    "ptm_epoch": 1,
    "ptm_batch": 512,
    "n_models": 1,
}


def test_the_numbers_of_a_step_are_those_of_its_formulas(plug: Plug) -> None:
    """Σ (x − 1)² + (r − 2)² with r = ½: gradients 2 (x − 1) and −3."""
    plug(mine=RATE)
    found = ddsweep.debug("rated", **CHOICES, batch_real=1, steps=3)
    real = data.load("digits")
    drawing = Streams(0).images
    images = torch.cat([real.sample(label, 2, drawing) for label in range(10)])
    assert found.loss == pytest.approx(float((images - 1).square().sum()) + 2.25, rel=1e-5)
    assert found.gradient_norm == pytest.approx({"images": float((2 * (images - 1)).norm()), "rate": 3.0}, rel=1e-5)
    assert (found.guidance, found.guidance_norm) == (None, {})
    assert found.scalars == {"rate": 0.5, "step": 0}
    assert [step.scalars["step"] for step in found.steps] == [0, 1, 0], "two steps an iteration"
    torch.testing.assert_close(found.before, real.denormalize(images).clamp(0, 1))
    torch.testing.assert_close(found.after, real.denormalize(torch.ones_like(images)).clamp(0, 1))
    assert found.moved == pytest.approx(float((images - 1).abs().mean()), rel=1e-5)


def test_the_first_step_is_that_of_the_distillation(plug: Plug) -> None:
    plug(mine=HALF)
    one = make(CHOICES | {"method": "half"})
    real = data.load("digits")
    learned = distill(one, real, None, Streams(one.seed), Tracker()).decode()
    found = ddsweep.debug("half", one)
    torch.testing.assert_close(found.after, real.denormalize(learned.images).clamp(0, 1), rtol=0, atol=0)


def test_guidance_is_told_apart_from_the_matching_loss() -> None:
    alone, guided = (ddsweep.debug("dm", **choices) for choices in (CHOICES, GUIDED))
    assert guided.loss == alone.loss
    assert guided.gradient_norm == pytest.approx(alone.gradient_norm)
    assert guided.guidance is not None
    assert 1 < guided.guidance < 10  # −log p of ten classes, of an early PTM
    twice = ddsweep.debug("dm", **GUIDED | {"alpha": 10.0})
    assert twice.guidance == pytest.approx(guided.guidance)
    assert twice.guidance_norm["images"] == pytest.approx(2 * guided.guidance_norm["images"], rel=1e-3)


def test_what_a_notebook_shows(plug: Plug) -> None:
    plug(mine=RATE)
    found = ddsweep.debug("rated", ddsweep.Recipe(**CHOICES), batch_real=1)
    assert re.search(r"step 0: loss [\d.e+]+ · ‖∇ images‖ [\d.]+ · ‖∇ rate‖ 3 · rate 0.5 · step 0 · ", repr(found))
    assert re.fullmatch(r'<pre>.*</pre><img src="data:image/png;base64,[^"]+">', found._repr_html_(), re.DOTALL)
    assert found.grid().width > 100


def test_a_sweep_gives_the_choices(plug: Plug) -> None:
    plug(mine=HALF)
    found = ddsweep.debug("half", "ablation-alpha", profile="demo", alpha=0, width=4, rate=0.25)
    assert (found.recipe.ipc, found.recipe.width, found.recipe.alpha) == (5, 4, 0)
    assert "rate:0.25" in found.recipe.options
    with pytest.raises(UserError, match=r"^steps: 0 is out of range; at least 1$"):
        ddsweep.debug("half", steps=0)
    with pytest.raises(UserError, match=r"^method: unknown method 'hal'; did you mean half\?"):
        ddsweep.debug("hal")


def test_an_edited_file_is_read_again(plug: Plug) -> None:
    scaled = HALF.replace("import ddsweep", "import ddsweep, helper").replace(
        "yield total", "yield helper.SCALE * total"
    )
    path = plug(mine=scaled)
    path.with_name("helper.py").write_text("SCALE = 1.0\n")
    first = ddsweep.debug("half", **CHOICES).loss
    path.with_name("helper.py").write_text("SCALE = 3.0\n")
    assert ddsweep.debug("half", **CHOICES).loss == pytest.approx(3 * first)
    mine = path.with_name("mine.py")
    mine.write_text(mine.read_text().replace("* total", "* total * 2"))
    found = ddsweep.debug("half", **CHOICES)
    assert found.loss == pytest.approx(6 * first)
    mine.write_text(mine.read_text().replace("* total * 2", "* nothing"))
    with pytest.raises(PluginError, match=r"^method 'half': NameError: .*nothing.* \(mine.py line 20\)$"):
        ddsweep.debug("half", **CHOICES)


def test_a_mistake_names_the_method(plug: Plug) -> None:
    plug(mine=HALF.replace("yield total", "yield total.detach()"))
    with pytest.raises(PluginError, match=r"^method 'half': yields a loss without a gradient to what is learned"):
        ddsweep.debug("half", **CHOICES)
    assert not list(Path().iterdir()), "nothing is stored"


CELL = """
import ddsweep

{decorator}
class Cell:
    def __init__(self, net, *, scale={scale}):
        self.scale = scale

    def episode(self, synthetic, dataset, streams, done=0):
        if not done:
            yield self.scale * synthetic.images.square().sum(){end}
"""


@pytest.mark.parametrize("decorator", ["", '@ddsweep.method("cell", alpha=0.0)'])
def test_a_class_of_a_notebook_cell(decorator: str, plug: Plug) -> None:
    """With and without the decorator; running the cell again replaces the class."""
    images = 0.0
    for scale, end in ((1.0, ""), (3.0, ""), (2.0, ".missing")):
        scope: dict[str, Any] = {"__name__": "__main__"}
        source = CELL.format(decorator=decorator, scale=scale, end=end)
        exec(compile(source, "<ipython-input-7-0123>", "exec"), scope)
        if end:
            with pytest.raises(
                PluginError, match=r"^method '[cC]ell': AttributeError: .* \(<ipython-input-.* line 11\)$"
            ):
                ddsweep.debug(scope["Cell"], **CHOICES)
            return
        found = ddsweep.debug(scope["Cell"], **CHOICES)
        images = images or found.loss
        assert found.loss == pytest.approx(scale * images)

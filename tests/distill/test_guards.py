"""Mistakes in methods of one's own are one line that names them, and what they draw is the recipe's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted
from ddsweep.data import Dataset
from ddsweep.distill.loop import Diverged, distill
from ddsweep.distill.sets import LearnedSet
from ddsweep.errors import PluginError
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.rng import Streams
from ddsweep.trackers import Tracker
from tests import toys
from tests.plugins.plugged import HALF, Plug, plug

__all__ = ["plug"]
RATE = '''
import torch
import ddsweep

class ImagesAndRate(ddsweep.LearnedSet):
    about = "images with a learned rate"

    def __init__(self, dataset, net, streams, *, ipc, init, lr0=0.5, rate_lr=0.25):
        start = ddsweep.sets.initial(dataset, ipc, init, streams.images)
        self.images, self.labels, self.ipc, self.rate_lr = start.images, start.labels, ipc, rate_lr
        self.rate = torch.tensor(lr0, requires_grad=True)

    def parameters(self):
        return {"images": self.images, "rate": self.rate}

    def decode(self):
        return ddsweep.Synthetic(self.images, self.labels, self.ipc, lr=float(self.rate.detach()))

    def optimizer(self, lr):
        return torch.optim.SGD([{"params": [self.images], "lr": lr}, {"params": [self.rate], "lr": self.rate_lr}])

@ddsweep.method("rated", learned=ImagesAndRate, learns_lr=True, eval_rule="tm", alpha=0.0, lr_img=0.5)
class Rated:
    """Σ (x − 1)² of the images, plus (rate − 2)²."""

    def __init__(self, net, *, outer_loops=2, scale=1.0):
        self.loops, self.scale = outer_loops, scale

    def episode(self, learned, dataset, streams, done=0):
        for step in range(done, self.loops):
            loss = (learned.images - self.scale).square().sum() + (learned.rate - 2).square()
            yield loss, {"rate": learned.rate.detach(), "step": step}
'''


class Recorder(Tracker):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: dict[int, dict[str, float]] = {}

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.lines[step] = metrics


def recipe(**choices: Any) -> Recipe:
    base = {
        "target": "shapes", "size": 8, "method": "half", "ipc": 2, "arch": "convnet1", "width": 3, "batch_real": 5,
        "seed": 1, "init": "real", "iterations": 3, "alpha": 0.0, "cclom_batch": 7,
    }  # fmt: skip
    return make(base | choices)


@pytest.fixture
def data() -> Dataset:
    return toys.dataset(dtype=torch.float32)


def pool() -> Pool:
    net = nn.build("convnet1", channels=3, classes=3, size=8, width=3, generator=rng.generator(9, "ptm"))
    return Pool([[PretrainedModel("convnet1", net.requires_grad_(False).eval(), InputTransform(3))]])


def learn(one: Recipe, data: Dataset, guides: Pool | None = None, **changes: Any) -> LearnedSet:
    return distill(one, data, guides, Streams(one.seed), changes.get("tracker", Tracker()), changes.get("slot"))


@pytest.mark.parametrize("alpha", [0.0, 2.0])
@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("yield total", "yield total.item()", "yields a value of type float, not a scalar tensor"),
        ("yield total", "yield None", "yields None, not a scalar tensor"),
        ("yield total", "yield [total]", "yields a value of type list, not a scalar tensor"),
        ("yield total", "yield total.expand(2)", "yields a tensor of torch.float32 [2], not a scalar tensor; reduce"),
        ("yield total", "yield total.long()", "yields a tensor of torch.int64 [], not a scalar tensor"),
        ("yield total", "yield total, {'a': [1]}", "yields the scalar 'a': a value of type list; needed: a name"),
        ("yield total", "yield total.detach()", "yields a loss without a gradient to what is learned (images)"),
        (
            "yield total",
            "yield sum(p.requires_grad_().sum() for p in self.net.parameters())",
            "yields a loss without a gradient to what is learned (images)",
        ),
        ("yield total", "dataset.images[0] = 0; yield total", "changes the real images in place"),
        ("yield total", "dataset.labels.add_(0); yield total", "changes the real labels in place"),
        ("yield total", "yield total.missing", "object has no attribute 'missing' (mine.py line 20)"),
        ("total = 0", "total = dataset.sample('a', 1, streams.batch)", "(mine.py line 14)"),
        ("total = 0", "raise SystemExit('enough')", "calls sys.exit(enough) (mine.py line 14)"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(good: str, bad: str, line: str, alpha: float, plug: Plug, data: Dataset) -> None:
    """With guidance, too, which alone would move the images."""
    plug(mine=HALF.replace(good, bad))
    with pytest.raises(PluginError, match=rf"^method 'half': .*{re.escape(line)}"):
        learn(recipe(alpha=alpha), data, pool() if alpha else None)


def test_an_episode_that_yields_nothing_at_all(plug: Plug, data: Dataset) -> None:
    plug(mine=HALF.replace("yield total", "return total"))
    with pytest.raises(PluginError, match=r"^method 'half': its episode returns Tensor; yield the losses$"):
        learn(recipe(), data)


def test_an_error_in_the_maker_names_the_method(plug: Plug, data: Dataset) -> None:
    plug(mine=HALF.replace("self.net, self.batch_real", "1 / 0; self.net, self.batch_real"))
    with pytest.raises(PluginError, match=r"^method 'half': ZeroDivisionError: division by zero \(mine\.py line 9\)$"):
        learn(recipe(), data)


def test_a_loss_that_is_no_number_is_a_finding(plug: Plug, data: Dataset) -> None:
    plug(mine=HALF.replace("yield total", "yield total / 0 - total / 0"))
    with pytest.raises(Diverged, match="the loss is nan at step 1 of 3"):
        learn(recipe(), data)


def test_images_that_the_last_step_has_made_infinite_are_a_finding(plug: Plug, data: Dataset) -> None:
    plug(mine=HALF.replace("yield total", "yield (synthetic.images * 1e30).sum()"))
    with pytest.raises(Diverged, match="lr_img: too large: images is not finite after the last step"):
        learn(recipe(iterations=1, lr_img=1e30), data)


DRAWN = "total * torch.rand(()) * float(np.random.rand()) * __import__('random').random()"


def stopped_and_resumed(one: Recipe, data: Dataset, boundary: int, tracker: Tracker | None = None) -> LearnedSet:
    """The set of a distillation that is interrupted at a checkpoint and resumes."""
    path, asks = Path("distill.safetensors"), iter(range(1, boundary + 1))
    path.unlink(missing_ok=True)
    stopping = FileSlot(path, {}, Checkpoints(leave=lambda: next(asks) == boundary))
    with pytest.raises(Interrupted):
        learn(one, data, slot=stopping, tracker=tracker or Tracker())
    return learn(one, data, slot=FileSlot(path, {}, Checkpoints()), tracker=tracker or Tracker())


def test_what_a_method_draws_from_global_generators_is_the_recipes(plug: Plug, data: Dataset) -> None:
    drawing = HALF.replace("import ddsweep", "import ddsweep, torch, numpy as np")
    plug(mine=drawing.replace("yield total", f"yield {DRAWN}"))
    one = recipe()
    torch.manual_seed(3)
    whole = learn(one, data).decode().images
    outside = torch.rand(1)
    torch.manual_seed(4)
    assert torch.equal(learn(one, data).decode().images, whole)
    assert torch.equal(stopped_and_resumed(one, data, 2).decode().images, whole)
    assert not torch.equal(learn(recipe(seed=2), data).decode().images, whole)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), outside), "the distillation leaves the global generator where it was"


def by_hand(start: Tensor, steps: int) -> tuple[Tensor, list[float]]:
    """Gradient descent on Σ (x − 1)² with rate ½, and on (r − 2)² with rate ¼ from ½."""
    images, rate, rates = start.clone(), 0.5, []
    for _ in range(steps):
        rates.append(rate)
        images, rate = images - 0.5 * 2 * (images - 1), rate - 0.25 * 2 * (rate - 2)
    return images, [*rates, rate]


def test_a_set_of_ones_own_is_learned_by_its_own_optimizer(plug: Plug, data: Dataset) -> None:
    plug(mine=RATE)
    one = recipe(method="rated", iterations=2, batch_real=1)
    drawing = Streams(1).images
    images, rates = by_hand(torch.cat([data.sample(label, 2, drawing) for label in range(3)]), 4)
    learned = learn(one, data)
    torch.testing.assert_close(learned.decode().images, images)
    assert learned.decode().lr == pytest.approx(rates[-1])
    assert learned.kind == "ImagesAndRate"
    assert one.about_images == "images with a learned rate"
    assert (one.eval_rule, one.eval_lr) == ("tm", 0.0)


def test_options_are_shared_by_a_method_and_its_set(plug: Plug, data: Dataset) -> None:
    plug(mine=RATE)
    one = recipe(method="rated", iterations=1, batch_real=1, options="lr0:0.75+rate_lr:0.5+scale:3")
    assert one.options == "lr0:0.75+rate_lr:0.5+scale:3.0"
    learned = learn(one, data)
    assert learned.decode().lr == pytest.approx(2.0)  # one step of ½ · 2 (r − 2) reaches the optimum
    torch.testing.assert_close(learned.decode().images, torch.full_like(learned.decode().images, 3.0))


def test_scalars_are_logged_as_means_and_outlive_an_interruption(plug: Plug, data: Dataset) -> None:
    plug(mine=RATE)
    one, whole, parts = recipe(method="rated", iterations=250, batch_real=1), Recorder(), Recorder()
    learn(one, data, tracker=whole)
    rates = by_hand(torch.zeros(1), 500)[1]
    assert whole.lines[2]["method/rate"] == pytest.approx(sum(rates[:4]) / 4)  # two iterations of two steps
    assert whole.lines[2]["method/step"] == 0.5
    stopped_and_resumed(one, data, 3, parts)
    names = ("method/rate", "method/step", "loss/match")
    assert {step: [line[name] for name in names] for step, line in parts.lines.items()} == {
        step: [line[name] for name in names] for step, line in whole.lines.items()
    }


SCHEDULED = RATE.replace(
    "    def optimizer(self, lr):",
    """    def begin_iteration(self):
        self.count += 1
        if self.count == 2:
            for group in self.sgd.param_groups:
                group["lr"] /= 4

    def state(self):
        return self.parameters() | {"count": self.count}

    def optimizer(self, lr):""",
)
SCHEDULED = SCHEDULED.replace("        return torch.optim.SGD(", "        self.sgd = torch.optim.SGD(").replace(
    "self.rate_lr}])", "self.rate_lr}])\n        return self.sgd"
)
SCHEDULED = SCHEDULED.replace("        self.rate = ", "        self.count = torch.tensor(0)\n        self.rate = ")


@pytest.mark.parametrize("boundary", [1, 3, 5])
def test_a_learning_rate_that_was_lowered_stays_lowered(boundary: int, plug: Plug, data: Dataset) -> None:
    plug(mine=SCHEDULED)
    one = recipe(method="rated", iterations=3, batch_real=1)
    whole, constant = learn(one, data), by_hand(torch.ones(1), 6)[1]
    assert whole.decode().lr != pytest.approx(constant[-1])
    resumed = stopped_and_resumed(one, data, boundary, Recorder())
    assert {name: value.tolist() for name, value in resumed.state().items()} == {
        name: value.tolist() for name, value in whole.state().items()
    }


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("return torch.optim.SGD(", "return list(", "the optimizer() of its set returns list, not a torch.optim.Opti"),
        (
            "return torch.optim.SGD([{", "return torch.optim.LBFGS([self.images]) or ([{",
            "the optimizer() of its set returns LBFGS, whose step() needs a closure",
        ),
    ],
)  # fmt: skip
def test_an_optimizer_that_cannot_be_used(good: str, bad: str, line: str, plug: Plug, data: Dataset) -> None:
    plug(mine=RATE.replace(good, bad))
    with pytest.raises(PluginError, match=rf"^method 'rated': {re.escape(line)}"):
        learn(recipe(method="rated", batch_real=1), data)


def test_a_state_that_is_none(plug: Plug, data: Dataset) -> None:
    kept = "\n    def state(self):\n        return {}\n\n    def restore(self, state):\n        pass\n"
    plug(mine=RATE.rstrip() + kept)
    with pytest.raises(PluginError, match=r"^Rated\.state\(\) returns dict, not a ddsweep\.State$"):
        stopped_and_resumed(recipe(method="rated", batch_real=1), data, 1, Recorder())


UNUSED = RATE.replace("+ (learned.rate - 2).square()", "")


def test_a_parameter_that_no_loss_depends_on(plug: Plug, data: Dataset) -> None:
    plug(mine=UNUSED)
    with pytest.raises(PluginError, match=r"^method 'rated': yields losses without a gradient to rate$"):
        learn(recipe(method="rated", batch_real=1), data)


def test_a_set_that_is_none(plug: Plug, data: Dataset) -> None:
    plug(mine=HALF.replace("alpha=7.0", "alpha=7.0, learned=lambda dataset, net, streams: {}"))
    with pytest.raises(Exception, match=r"^method: half learns dict, which is not a ddsweep\.LearnedSet$"):
        learn(recipe(), data)


def test_what_a_method_prints_and_sets_reaches_nobody_else(
    plug: Plug, data: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = "torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False); print('step'); yield total"
    plug(mine=HALF.replace("import ddsweep", "import ddsweep, torch").replace("yield total", setting))
    learn(recipe(iterations=1), data)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "step\nplugins: method 'half': changed torch's default type (torch.float64)" in captured.err

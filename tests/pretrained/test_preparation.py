"""What a method of one's own trains before the distillation: once for all cells, and again after an edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ddsweep import trial
from ddsweep.checkpoints import Checkpoints
from ddsweep.errors import PluginError, UserError
from ddsweep.numerics import Choice
from ddsweep.pretrained.preparation import Preparation
from ddsweep.recipe import Recipe, make
from ddsweep.testing import check_method
from ddsweep.trackers import Tracker
from tests.plugins.plugged import Plug, forget, plug
from tests.read_only import make_read_only

__all__ = ["plug"]
TAUGHT = '''
import torch
import ddsweep

def teacher(recipe, dataset, context):
    """A random direction, trained by nobody."""

    def train():
        print("training")
        return {"direction": torch.randn(dataset.images.shape[1:])}

    return context.once(f"teacher {recipe.dataset} {recipe.size}", train)["direction"]

@ddsweep.method("taught", trains={"direction": teacher}, alpha=0.0, lr_img=0.5)
class Taught:
    """Σ (x − d)² / 2: one step of rate ½ goes half the way to the teacher's direction."""

    def __init__(self, net, *, direction):
        self.direction = direction

    def episode(self, learned, dataset, streams, done=0):
        if not done:
            yield (learned.images - self.direction).square().sum() / 2
'''


def recipe(**choices: Any) -> Recipe:
    return make(
        {
            "target": "digits", "ipc": 1, "arch": "convnet1", "width": 4, "method": "taught", "iterations": 1,
            "eval_nets": 1, "eval_epochs": 1, "init": "noise",
        } | choices
    )  # fmt: skip


def learned(one: Recipe, runs: Path) -> torch.Tensor:
    from ddsweep.distill import synthetic

    trial.run(one, Tracker(), "cpu", runs)
    return synthetic.read(runs / one.key() / "synthetic.safetensors")[0].images


def test_cells_share_what_is_trained(plug: Plug, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plug(mine=TAUGHT)
    one, other = learned(recipe(), tmp_path), learned(recipe(seed=1), tmp_path)
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("training") == 1
    noise = [torch.randn(one.shape, generator=trial.rng.Streams(seed).images) for seed in (0, 1)]
    directions = [2 * images - start for images, start in zip((one, other), noise, strict=True)]
    torch.testing.assert_close(directions[0], directions[1])
    assert directions[0].std() > 0.1
    torch.testing.assert_close(directions[0][0], directions[0][9])
    plug(mine=TAUGHT.replace("torch.randn(dataset", "5 + torch.randn(dataset"))
    forget("mine")
    assert learned(recipe(), tmp_path).mean() > 2, "the edited code has trained again"


def test_the_contract_trains_in_a_cache_of_its_own(plug: Plug, isolated: Path) -> None:
    plug(mine=TAUGHT)
    check_method("taught")
    assert not (isolated.parent / "cache" / "trained").exists()


def test_a_cache_that_cannot_be_written_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    context = Preparation(lambda phase, done, total: None, Checkpoints(), Choice())
    made = context.once("teacher", lambda: {"direction": torch.arange(3.0)})
    make_read_only(monkeypatch)
    assert torch.equal(context.once("teacher", dict)["direction"], made["direction"])
    with pytest.raises(UserError, match=r"cannot write .*: Read-only file system"):
        context.once("another teacher", dict)


def test_an_error_in_the_training_names_the_method(plug: Plug, tmp_path: Path) -> None:
    plug(mine=TAUGHT.replace('print("training")', "1 / 0"))
    with pytest.raises(PluginError, match=r"^method 'taught': ZeroDivisionError: division by zero \(mine.py line 9\)$"):
        trial.run(recipe(), Tracker(), "cpu", tmp_path)


def test_a_damaged_file_is_trained_again() -> None:
    context = Preparation(lambda phase, done, total: None, Checkpoints(), Choice(), "mine@0123")
    made = [context.once("a", lambda: {"x": torch.rand(3)}) for _ in range(2)]
    assert torch.equal(made[0]["x"], made[1]["x"])
    assert not torch.equal(context.once("b", lambda: {"x": torch.rand(3)})["x"], made[0]["x"])
    path = context._path("a")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert torch.equal(context.once("a", lambda: {"x": torch.rand(3)})["x"], made[0]["x"]), "from the same draws"

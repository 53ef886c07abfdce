"""The checks of plugins before a launch: once per version of their code, in processes of their own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ddsweep import plugin_checks
from ddsweep.errors import UserError
from ddsweep.plugin_checks import Check
from ddsweep.recipe import Recipe, make
from tests.cli.conftest import TINY as SMALL
from tests.cli.conftest import Run, ddsweep
from tests.plugins.plugged import HALF, Plug, half, plug

__all__ = ["ddsweep", "plug"]
BODY = """
import ddsweep
from torch import nn

@ddsweep.network("body")
def body(channels, size, width):
    return nn.Conv2d(channels, width, 3, padding=1)
"""


@pytest.fixture(autouse=True)
def checking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DDSWEEP_NO_CHECK")


def checked(*recipes: Recipe, **options: Any) -> list[str]:
    """What is said while the parts of some recipes are checked."""
    said: list[str] = []
    plugin_checks.run(recipes, said.append, **options)
    return said


def test_every_part_of_a_plugin_is_checked_with_its_options(plug: Plug) -> None:
    plug(mine=HALF, other=BODY)
    recipes = [half(arch="body", eval_archs="body+convnet3", seed=seed) for seed in (0, 1)]
    recipes += [half(options="rate:0.25"), make({"target": "digits", "ipc": 1, "method": "dm", "alpha": 0})]
    pins = {pin.partition("@")[0]: pin for pin in recipes[0].plugins.split("+")}
    defaults = "exact:false+kind:plain+rate:0.5+steps:2"
    assert plugin_checks.of(recipes) == [
        Check("method", "half", defaults.replace("0.5", "0.25"), pins["mine"]),
        Check("method", "half", defaults, pins["mine"]),
        Check("network", "body", "", pins["other"]),
    ]


@pytest.mark.slow
def test_a_part_that_has_passed_is_not_checked_again(plug: Plug) -> None:
    plug(mine=HALF)
    one = half()
    assert checked(one) == ["checking method 'half' …"]
    assert checked(one) == []
    assert checked(half(options="rate:0.25")) == ["checking method 'half' …"]
    assert plugin_checks.of([one])[0].record.parent.name == "checked"


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        pytest.param("yield total", "yield total.detach()", "yields a loss without a gradient", marks=pytest.mark.slow),
        pytest.param(
            "total = 0",
            "total = 1 / 0",
            r"ZeroDivisionError: division by zero \(mine.py line 14\)",
            marks=pytest.mark.slow,
        ),
        pytest.param("total = 0", "import os; os._exit(3)", "", marks=pytest.mark.slow),
        pytest.param("import ddsweep", "import ddsweep, sys", "its check takes more than 0.5 s"),
    ],
)
def test_a_part_that_breaks_its_contract_is_refused(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=HALF.replace(good, bad))
    seconds = 0.5 if "takes more" in line else 100
    with pytest.raises(UserError, match=rf"^method 'half': {line}.*; to launch it anyway, add --no-check$"):
        checked(half(), seconds=seconds)
    assert not plugin_checks.of([half()])[0].record.exists()


@pytest.mark.slow
def test_a_launch_with_a_broken_method_registers_nothing(plug: Plug, ddsweep: Run, isolated: Any) -> None:
    plug(mine=HALF.replace("yield total", "yield total * 0 + __import__('os').urandom(1)[0] * total"))
    words = ["ablation-alpha", "-p", "demo", "--set", "method=half", "--set", "alpha=0", "--set", "seed=0"]
    words += [word for setting in SMALL for word in ("--set", setting)]
    done = ddsweep("launch", *words, "--workers", "0", "--device", "cpu")
    assert done.exit_code == 2
    assert re.search(r"error: method 'half': gives different bits when it is run again", done.stderr)
    assert not (isolated / "runs").exists()
    unchecked = ddsweep("launch", *words, "--workers", "0", "--device", "cpu", "--no-check")
    assert unchecked.exit_code == 0, unchecked.output


@pytest.mark.slow
def test_guidance_and_ptms_are_checked_too(plug: Plug) -> None:
    plug(
        guided="import ddsweep\n@ddsweep.guidance('mine', alpha=1)\n"
        "def guide(ptm, synthetic, *, power=1): return ptm(synthetic.images).square().sum() / (power - 2)\n",
        backbone="import ddsweep\nfrom torch import nn\n@ddsweep.ptm('small')\ndef make(): return nn.Conv2d(3, 4, 9)\n",
    )
    one = make({"target": "digits", "ipc": 1, "source": "small", "regularizer": "mine"})
    assert [check.title for check in plugin_checks.of([one])] == ["PTM 'small'", "guidance 'mine'"]
    assert checked(one) == ["checking PTM 'small' …", "checking guidance 'mine' …"]
    with pytest.raises(UserError, match=r"^guidance 'mine': .*; to launch it anyway, add --no-check$"):
        checked(make(one.model_dump() | {"guidance_options": "power:2"}))
    with pytest.raises(UserError, match=r"^PTM 'small': fails on images of 8 pixels: .*; to launch it anyway, add "):
        checked(make({**one.model_dump(), "size": 8}))

"""A page walked from top to bottom in an empty folder: its files are written, its commands run, on smaller numbers."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from ddsweep.backends.optuna import dashboard
from ddsweep.sweep import loading
from tests import forked
from tests.cli.conftest import Run
from tests.docs.page import ROOT, Command, Page
from tests.docs.smaller import demo, profile, smaller

if TYPE_CHECKING:
    from typer.testing import Result

FOREIGN = {"pip", "python", "pytest"}
BENCHMARKS = {
    "demo": [
        "--",
        *(word for one in ("alpha=0", "iterations=1", "eval_epochs=1", "eval_nets=1") for word in ("--set", one)),
    ],
    "sharing": [
        "--target=digits",
        "--alphas=0,1",
        "--repeats=1",
        "--set=width=4",
        "--set=batch_real=16",
    ],
    "speed": ["--quick", "--device=cpu", "--precision=float32", "--compile=off", "--method=dm", "--seconds=0.1"],
    "pool": ["--width=2", "--rounds=1"],
    "queue": ["--points=20", "--agents=2", "--processes=1", "--storage=sqlite"],
    "gpu": ["--quick", "--device=cpu"],
    "groups": ["--device=cpu", "--cells=2", "--width=4", "--ipc=1", "--turns=1"],
    "startup": ["--only=--help", "--repeat=1"],
    "surroundings": ["--method=evaluation", "--precision=float32", "--compile=off", "--turns=1", "--width=4"],
}
BIRDS = "/data/birds"


class Walk:
    """Does what a reader does.

    Args:
        ddsweep: runs the program in process.
        patch: undoes itself at the end of the test.
    """

    def __init__(self, ddsweep: Run, patch: pytest.MonkeyPatch) -> None:
        self._ddsweep: Callable[..., Result | Ended] = ddsweep
        self._python: Callable[..., Ended] = partial(apart, {})
        patch.setattr(dashboard, "serve", _serve)
        patch.setattr(loading, "_profile_overrides", demo(loading._profile_overrides))
        profile()
        photos(Path("birds"))
        photos(Path("cifar10"))
        torch.save(torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 32, 32))).float(), "images_best.pt")

    def page(self, page: Page) -> None:
        """Everything on a page: its files first, which a command above them may name."""
        for block in page.blocks:
            if block.file:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.text, encoding="utf-8")
        for command in [*page.before, *page.commands]:
            self.command(command)

    def command(self, command: Command) -> None:
        """A line as it is typed, but for its numbers; what is not ours to run (``pip``, servers) is passed over."""
        for part in command.line.split("&&"):
            words = [word.replace(BIRDS, str(Path("birds").absolute())) for word in shlex.split(part)]
            if words[0] == "ddsweep":
                self._run(words[1:], command)
            elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks."):
                _measure(words[2], words[3:], command)
            elif words[0] == "sed":
                subprocess.run(words, check=True)
            elif words[0] == "export":
                name, value = words[1].replace("$PWD", str(Path.cwd())).split("=", 1)
                self._ddsweep = partial(apart, {name: value}, "-m", "ddsweep")
                self._python = partial(apart, {name: value})
            elif words[:2] == ["python", "-c"]:
                done = self._python(*words[1:])
                assert done.exit_code == 0, f"{command.where}: {part}\n{done.output}"
            else:
                assert words[0] in FOREIGN | {"."}, f"{command.where}: {words[0]}: nobody says what that is"

    def _run(self, words: list[str], command: Command) -> None:
        expected = next((line for line in command.shown if line.startswith("error: ")), None)
        if words[0].startswith("-"):
            result = self._ddsweep(*words)
        else:
            result = self._ddsweep(*(words if expected else smaller(words)))
        if expected:
            assert (result.exit_code, result.stderr.strip()[: len(expected)]) == (2, expected), command.where
        else:
            assert result.exit_code == 0, f"{command.where}: {command.line}\n{result.output}"


@dataclass(frozen=True)
class Ended:
    """How a process ended, in the words of typer's runner."""

    exit_code: int
    stderr: str
    output: str


def apart(exported: dict[str, str], *words: str) -> Ended:
    """An interpreter of its own, with what was exported: plugins would stay in this one."""
    there = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | exported
    done = forked.run(*words, environment=there)
    return Ended(done.returncode, done.stderr, done.stdout + done.stderr)


def photos(folder: Path) -> None:
    """A folder of images: two kinds of noise, six of each to train and one to test."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 1)):
        for kind in ("crow", "wren"):
            place = folder / split / kind
            place.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(place / f"{number}.png")


def _serve(storage: str, artifacts: Path, *, port: int, allow_edit: bool, ready: Callable[[str], object]) -> None:
    """The dashboard, which would serve until Ctrl-C."""
    assert (port, allow_edit) == (8080, False)
    ready("http://127.0.0.1:8080")


def _measure(module: str, words: list[str], command: Command) -> None:
    """A benchmark in its quickest form; an option that it does not know would end it."""
    kept = [word for word in words if word != "--storage" and "://" not in word]
    done = apart({}, "-m", module, *kept, *BENCHMARKS[module.removeprefix("benchmarks.")])
    assert done.exit_code == 0, f"{command.where}: {command.line}\n{done.output}"

"""The command line through its front door, in process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from ddsweep.cli import app
from ddsweep.settings import scalar
from ddsweep.sweep.registry import folders, is_shipped

if TYPE_CHECKING:
    from typer.testing import Result

TINY = [
    "iterations=2", "width=4", "batch_real=8", "ptm_train_epochs=2", "ptm_epoch=2", "ptm_batch=512", "eval_nets=2",
    "eval_epochs=4", "cclom_batch=32",
]  # fmt: skip
Run = Callable[..., "Result"]


@pytest.fixture
def ddsweep() -> Run:
    """``ddsweep("list", "--json")``: exit_code, stdout, stderr."""

    def run(*words: str) -> Result:
        result = CliRunner().invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def write_profile(*settings: str, folder: Path = Path(), **axes: list[float]) -> None:
    """A profile ``demo`` of the (working) folder, which has these values besides those that ship with ddsweep."""
    shipped = next(folder for folder in folders() if is_shipped(folder / "any"))
    profile = yaml.safe_load((shipped / "profiles" / "demo.yaml").read_text(encoding="utf-8"))
    for field, value in (setting.split("=", 1) for setting in settings):
        profile["fields"][field] = scalar(value)
        profile["axes"][field] = [scalar(value)]
    profile["axes"] |= axes
    (folder / "sweeps/profiles").mkdir(parents=True, exist_ok=True)
    (folder / "sweeps/profiles/demo.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")


@pytest.fixture
def tiny() -> list[str]:
    """Make a cell of the profile ``demo`` of this folder take a tenth of a second; no words are needed for it."""
    write_profile(*TINY)
    return []

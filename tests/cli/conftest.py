"""The command line through its front door, in process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ddsweep.cli import app

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


@pytest.fixture
def tiny() -> list[str]:
    """Settings that make a cell of a demo take a tenth of a second."""
    return [word for setting in TINY for word in ("--set", setting)]

"""What commands import: those that answer questions need neither torch nor, where a file is read, Optuna."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

NAME = "ablation-alpha@demo"
HEAVY = {"torch", "torchvision", "wandb", "sklearn", "scipy", "pandas", "matplotlib", "plotly", "PIL", "alembic"}
STORAGE = {"optuna", "sqlalchemy"}
CODE = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr))
from ddsweep.cli import main
sys.argv = ["ddsweep", *sys.argv[1:]]
main()
"""


def imported(*words: str) -> set[str]:
    """The packages that a command imports, in a process of its own; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "80"},
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture
def finished(ddsweep: Run, tiny: list[str]) -> None:
    """A sweep of two cells of this folder's profile, launched to its end."""
    result = ddsweep("launch", "ablation-alpha", "-p", "demo", "--set", "alpha=0,5", "-w", "0", "-d", "cpu", *tiny)
    assert result.exit_code == 0, result.output


def test_the_help_screen_imports_no_part_of_the_program() -> None:
    found = imported("--help")
    assert not found & (HEAVY | STORAGE | {"pydantic", "yaml", "numpy"})


@pytest.mark.parametrize("words", [("list",), ("show", NAME), ("launch", "--help")], ids=" ".join)
def test_questions_about_files(words: tuple[str, ...]) -> None:
    assert not imported(*words) & (HEAVY | STORAGE | {"numpy"})


def test_questions_about_a_launched_sweep_and_its_second_launch(finished: None) -> None:
    """In one test, because the sweep is launched once."""
    (name,) = [path.name for path in Path("runs").iterdir() if "@" in path.name]
    for words in (("status",), ("show", name), ("results", name)):
        assert not imported(*words) & (HEAVY | STORAGE), words
    again = ("launch", "ablation-alpha", "-p", "demo", "--set", "alpha=0,5", "-w", "1", "-d", "cpu")
    assert not imported(*again) & HEAVY, "figures that were drawn before are not drawn again"

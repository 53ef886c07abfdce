"""A sweep that moves from one queue to the other takes its results along."""

from __future__ import annotations

from pathlib import Path

from ddsweep import launches, sweep
from ddsweep.backends import Definition
from ddsweep.backends.local import FolderStore
from ddsweep.backends.wandb.backend import wandb_definition
from ddsweep.cli import moving
from ddsweep.results.result import Result
from tests.again import NAME, rows, write
from tests.cli.conftest import Run

LAUNCH = ("launch", "mine.yaml", "--profile", "demo", "--workers", "0", "--device", "cpu")
RUNS = Path("runs")


def test_from_wandb_to_the_storage(ddsweep: Run) -> None:
    write({"alpha": [0, 1, 10]})
    one = sweep.load("mine.yaml", "demo")
    FolderStore(RUNS).remember(wandb_definition(one))
    done = next(cell for cell in one.cells if cell.recipe.alpha == 10)
    assert ddsweep("run", "mine.yaml", "alpha=10", "--profile", "demo", "--device", "cpu").exit_code == 0
    launched = ddsweep(*LAUNCH, "--set", "alpha=0")
    assert launched.exit_code == 0, launched.output
    assert "done 2/2" in launched.stdout, "alpha=1, which nobody has computed, is not taken along"
    assert {float(row["alpha"]) for row in rows(ddsweep("results", NAME, "--format", "csv").stdout)} == {0, 10}
    assert done.key in {point.key for point in launches.reading(RUNS, None).load_definition(NAME).points}
    assert FolderStore(RUNS).names() == []


def test_from_the_storage_to_wandb(ddsweep: Run) -> None:
    write({"alpha": [0, 1, 10]})
    ddsweep(*LAUNCH)
    narrow = Definition.of(sweep.load("mine.yaml", "demo", {"alpha": [1, 5]}))
    moved = moving.from_storage(narrow, launches.url(RUNS, None), RUNS)
    assert [point.params["alpha"] for point in moved.points] == [1.0, 5.0, 0.0, 10.0]
    assert {choices["alpha"] for choices in moved.definition["kept"]} == {0.0, 10.0}
    FolderStore(RUNS).remember(narrow)
    assert moving.from_storage(narrow, launches.url(RUNS, None), RUNS) == narrow, "W&B has it already"
    elsewhere = launches.url(Path("elsewhere"), None)
    assert moving.from_storage(narrow, elsewhere, Path("elsewhere")) == narrow
    assert not Path("elsewhere").exists()


def test_failed_cells_of_wandb_stay_failed_in_the_table_until_they_run_again() -> None:
    write({"alpha": [0, 1]})
    one = sweep.load("mine.yaml", "demo")
    FolderStore(RUNS).remember(wandb_definition(one))
    Result(one.cells[1].recipe, state="failed", reason="the loss is nan").write(RUNS / one.cells[1].key)
    narrow = Definition.of(sweep.load("mine.yaml", "demo", {"alpha": [5]}))
    assert [point.params["alpha"] for point in moving.from_wandb(narrow, RUNS).points] == [5.0, 1.0]

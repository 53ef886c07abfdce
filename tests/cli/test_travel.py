"""Commands on a host that did not compute what they show."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ddsweep.errors import Damaged
from ddsweep.results import run_files
from tests.cli.conftest import Run

NAME = "ablation-alpha,init=noise,real@demo"
CELLS = ["--set", "alpha=0", "--set", "init=noise,real", "--workers", "0", "--device", "cpu"]  # without a PTM to train


@pytest.fixture
def elsewhere(ddsweep: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of two cells, launched with a storage and a runs folder that do not lie together; the latter's path."""
    monkeypatch.setenv("DDSWEEP_STORAGE", f"sqlite:///{Path.cwd() / 'shared.db'}")
    done = ddsweep(
        "launch", NAME, *tiny, "--set", "alpha=0", "--workers", "0", "--device", "cpu", "--runs", "elsewhere",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return Path("elsewhere")


def keys(runs: Path) -> list[str]:
    return sorted(path.parent.name for path in runs.glob("*/result.json"))


def test_every_command_finds_the_results_of_another_host(ddsweep: Run, elsewhere: Path) -> None:
    made = json.loads(ddsweep("results", NAME, "-f", "json", "--runs", str(elsewhere)).stdout)
    computed = keys(elsewhere)
    elsewhere.rename("gone")
    shown = ddsweep("results", NAME, "-f", "json", "--runs", "here")
    assert (json.loads(shown.stdout), shown.stderr, shown.exit_code) == (made, "", 0)
    assert keys(Path("here")) == computed
    drawn = ddsweep("plot", NAME, "--runs", "there")
    assert (drawn.exit_code, drawn.stderr) == (0, "")
    assert keys(Path("there")) == computed


def test_a_cell_that_another_host_has_computed_is_not_computed_again(
    ddsweep: Run, elsewhere: Path, tiny: list[str]
) -> None:
    """The same cell in another sweep of the same storage. A trial that runs keeps the pictures of all its steps."""
    assert len(list(elsewhere.glob("*/images"))) == 2
    elsewhere.rename("gone")
    shutil.copy(Path(__file__).parents[2] / "sweeps" / "ablation-alpha.yaml", "mine.yaml")
    done = ddsweep(
        "launch", "mine.yaml", "-p", "demo", *CELLS, "--set", "method=dm", "--set", "ipc=5", "--runs", "here"
    )
    assert done.exit_code == 0, done.output
    assert "done 2/2" in done.stdout
    assert len(keys(Path("here"))) == 2
    assert not list(Path("here").glob("*/images"))


def test_what_is_nowhere_is_one_line_and_no_failure(
    ddsweep: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddsweep.backends.optuna.reading import ReadingStore

    monkeypatch.setattr(ReadingStore, "kept", lambda self, wanted: set())
    shown = ddsweep("results", NAME, "--runs", "here")
    assert (shown.exit_code, shown.stderr.count("\n")) == (0, 1)
    assert shown.stderr.startswith("2 complete cells without files in here or in the storage; computed on ")
    drawn = ddsweep("plot", NAME, "--runs", "here")
    assert drawn.exit_code == 2
    assert "no cell is finished yet" in drawn.stderr


def test_what_is_damaged_in_the_storage_is_one_line(
    ddsweep: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddsweep.backends.optuna.reading import ReadingStore

    def damaged(self: ReadingStore, key: str) -> dict[str, bytes]:
        raise Damaged(f"{key}/result.json is damaged in the storage")

    monkeypatch.setattr(ReadingStore, "load", damaged)
    shown = ddsweep("results", NAME, "--runs", "here")
    assert shown.exit_code == 0
    (line,) = shown.stderr.splitlines()
    assert line.startswith("not copied from the storage: ")
    assert line.endswith("result.json is damaged in the storage (and 1 more)")


def test_pictures_leave_out_what_was_too_large_to_travel_and_say_so(
    ddsweep: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ddsweep("results", NAME, "--runs", "here")
    (Path("here") / keys(Path("here"))[0] / run_files.SET).unlink()
    drawn = ddsweep("plot", NAME, "--runs", "here")
    assert drawn.exit_code == 0
    assert drawn.stderr.startswith("left out of the figures: 1 finished cell without synthetic.safetensors in here")


def test_a_storage_inside_the_runs_folder_keeps_nothing_twice(ddsweep: Run, tiny: list[str]) -> None:
    from ddsweep import launches

    done = ddsweep("launch", NAME, *tiny, "--set", "alpha=0", "--workers", "0", "--device", "cpu")
    assert done.exit_code == 0, done.output
    store = launches.connect(Path("runs"), None)
    assert store.kept(keys(Path("runs"))) == set()
    store.close()
    shutil.rmtree("runs/" + keys(Path("runs"))[0])
    shown = ddsweep("results", NAME)
    assert (shown.exit_code, shown.stderr.count("\n")) == (0, 1)

"""``ddsweep sync`` with W&B's own client, against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from ddsweep.recipe import Recipe, make
from ddsweep.results.result import Result
from ddsweep.sweep.wandb import choices
from ddsweep.trackers import wandb_offline
from ddsweep.trackers.wandb import WandbTracker
from tests.cli.conftest import Run
from tests.standin import KEY, Standin

RUNS = Path("runs")


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """A service that only ``ddsweep sync`` uses."""
    wandb.teardown()
    with Standin() as server:
        for name, value in (server.environment(tmp_path / "home") | {"WANDB_MODE": "offline"}).items():
            monkeypatch.setenv(name, value)
        yield server
        wandb.teardown()
        assert server.unhandled == []


def offline_run(sweep: str, alpha: float) -> str:
    """An offline run of a finished trial; its title."""
    recipe = make({"target": "digits", "ipc": 1, "iterations": 2, "alpha": alpha})
    tracker = WandbTracker(sweep, RUNS, "", "")
    tracker.start(recipe)
    tracker.log({"loss/match": 2.0}, 1)
    tracker.finish(Result(recipe, {"convnet3": [0.5]}, {"convnet3": [0.5] * 10}))
    return recipe.title()


def test_uploads_once(ddsweep: Run, standin: Standin) -> None:
    titles = [offline_run("one@demo", 0.0), offline_run("one@demo", 10.0)]
    first = ddsweep("sync")
    assert first.exit_code == 0
    lines = first.stdout.splitlines()
    assert [line.split("   ")[1] for line in lines] == [*titles]
    assert [run.display for run in standin.runs.values()] == titles
    assert all(
        line.endswith(f"{standin.url}/standin/ddsweep/runs/{run}")
        for line, run in zip(lines, standin.runs, strict=True)
    )
    requests = standin.operations.total()
    again = ddsweep("sync")
    assert (again.exit_code, again.stdout) == (0, "nothing to sync\n")
    assert standin.operations.total() == requests


def test_of_one_sweep(ddsweep: Run, standin: Standin) -> None:
    offline_run("one@demo", 0.0)
    offline_run("two@demo", 0.0)
    assert ddsweep("sync", "two", "--profile", "quick").stdout == "nothing to sync\n"
    assert ddsweep("sync", "two").exit_code == 0
    assert [run.group for run in standin.runs.values()] == ["two@demo"]
    assert [piece.note.sweep for piece in wandb_offline.unsynced(RUNS)] == ["one@demo"]


def test_failed_uploads_are_kept(ddsweep: Run, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    title = offline_run("one@demo", 0.0)
    standin.reject_key()
    refused = ddsweep("sync")
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"failed   {title}: ")
    assert "401" in refused.stderr
    monkeypatch.delenv("WANDB_API_KEY")
    assert "No API key configured" in ddsweep("sync").stderr
    standin.close()
    wandb.teardown()
    assert ddsweep("sync").stderr == f"failed   {title}: {standin.url} does not answer\n"
    assert KEY not in refused.output
    assert len(wandb_offline.unsynced(RUNS)) == 1


def test_skips_a_run_that_is_being_written(ddsweep: Run, standin: Standin) -> None:
    recipe = make({"target": "digits", "ipc": 1, "iterations": 2, "alpha": 0.0})
    tracker = WandbTracker("one@demo", RUNS, "", "")
    tracker.start(recipe)
    result = ddsweep("sync")
    assert (result.exit_code, result.stdout) == (0, f"running  {recipe.title()}: still being written\n")
    assert standin.operations.total() == 0
    tracker.finish(Result(recipe, {"convnet3": [0.5]}, {"convnet3": [0.5] * 10}))
    assert ddsweep("sync").stdout.startswith("synced")


def test_without_any_run(ddsweep: Run) -> None:
    assert ddsweep("sync").stdout == "nothing to sync\n"


@pytest.mark.slow
def test_agents_of_the_local_queue_log_a_sweep(ddsweep: Run, standin: Standin, tiny: list[str]) -> None:
    words = ["launch", "ablation-alpha", "--profile", "demo", *tiny, "--set", "alpha=0,1,10", "--set", "ipc=1"]
    launched = ddsweep(*words, "--track", "wandb", "--workers", "2")
    assert launched.exit_code == 0, launched.output
    assert standin.operations.total() == 0
    assert ddsweep("sync").exit_code == 0
    runs = wandb.Api().runs("ddsweep", filters={"group": "ablation-alpha,ipc=1@demo"})
    recipes = [make(choices({name: run.config[name] for name in Recipe.model_fields})) for run in runs]
    assert sorted(recipe.alpha for recipe in recipes) == [0.0, 1.0, 10.0]
    assert all(run.state == "finished" and 0 <= run.summary["accuracy"] <= 1 for run in runs)
    assert len([one for one in standin.artifacts.values() if one.type == "dataset"]) == 3

"""Trackers of plugins: ``--track`` names them, they get what a trial does, and they cannot influence it."""

from __future__ import annotations

import json
import logging
import re
import sys
from itertools import chain
from pathlib import Path
from statistics import fmean

import pytest
import torch
from safetensors.torch import load_file

from ddsweep import agent, trial
from ddsweep.errors import UserError
from ddsweep.recipe import make
from ddsweep.testing import check_tracker
from ddsweep.testing.tracked import RECIPE, RESULT, track_trial
from ddsweep.trackers import FanOut, choice
from tests.cli.conftest import TINY, Run, ddsweep
from tests.docs.extending import EXAMPLES
from tests.docs.page import ROOT
from tests.plugins.plugged import Plug, plug

__all__ = ["ddsweep", "plug"]
LIST = """
import ddsweep

CALLS = []

@ddsweep.tracker("list")
class ListTracker(ddsweep.Tracker):
    def __init__(self, sweep, limit=9):
        CALLS.append(("made", sweep))

    def log(self, metrics, step):
        CALLS.append(("log", dict(metrics), step))

    def finish(self, result):
        CALLS.append(("finish", result.accuracy))
"""
SMALL = {
    "target": "digits", "ipc": 1, "iterations": 2, "width": 4, "alpha": 0, "eval_nets": 1, "arch": "convnet1",
    "eval_epochs": 2,
}  # fmt: skip


def test_a_tracker_is_made_by_name_and_gets_every_call(plug: Plug, tmp_path: Path) -> None:
    plug(mine=LIST)
    assert choice.names(["wandb,list", "list"]) == ("wandb", "list")
    (made,) = choice.further(["list"], "one@demo", tmp_path, "", "")
    track_trial(made)
    import mine  # type: ignore[import-not-found]

    assert [("made", "one@demo"), ("log", {"loss/match": 1.5}, 1), ("finish", RESULT.accuracy)] == mine.CALLS


def test_an_unknown_tracker_is_one_line(plug: Plug, ddsweep: Run) -> None:
    plug(mine=LIST)
    for command in ("launch", "agents", "run"):
        done = ddsweep(command, "ablation-alpha", "--profile", "demo", "--track", "lsit")
        assert done.exit_code == 2
        assert done.stderr == "error: track: unknown tracker 'lsit'; did you mean list? (allowed: list, wandb)\n"


@pytest.mark.parametrize("method", ["log", "finish", "__init__"])
@pytest.mark.parametrize("error", ["1 / 0", "raise SystemExit(3)", "raise OSError(28, 'No space left on device')"])
def test_what_it_raises_is_a_warning_and_ends_nothing(
    method: str, error: str, plug: Plug, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = {"log": "metrics, step", "finish": "result", "__init__": "sweep, limit=9"}[method]
    plug(mine=LIST.replace(f"{method}(self, {parameters}):", f"{method}(self, {parameters}):\n        {error}"))
    (made,) = choice.further(["list"], "one@demo", tmp_path, "", "")
    with caplog.at_level(logging.WARNING):
        track_trial(FanOut(made))
        track_trial(FanOut(made))
    (line,) = caplog.messages
    assert line.startswith(f"tracker 'list' {'was not made' if method == '__init__' else 'stopped'}: ")
    assert "(mine.py line " in line


def test_it_cannot_change_a_trial(plug: Plug, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoiling = LIST.replace("        CALLS.append((", "        self.spoil(locals()); CALLS.append((") + (
        "\n    def spoil(self, given):\n        import torch\n        print('mine')\n        torch.rand(3)\n"
        "        torch.set_default_dtype(torch.float64)\n        torch.manual_seed(0)\n"
        "        given.get('metrics', {}).clear()\n"
        "        getattr(given.get('result'), 'accuracies', {}).clear()\n"
    )
    plug(mine=spoiling)
    recipe = make(SMALL)
    alone = trial.run(recipe, FanOut(), "cpu", tmp_path / "alone")
    watched = FanOut(*choice.further(["list"], "one@demo", tmp_path, "", ""))
    found = trial.run(recipe, watched, "cpu", tmp_path / "watched")
    assert found.accuracies == alone.accuracies != {}
    folders = [tmp_path / run / recipe.key() for run in ("alone", "watched")]
    sets = [load_file(folder / "synthetic.safetensors")["images"] for folder in folders]
    assert torch.equal(*sets)
    logged = [[json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in folders]
    assert [line.keys() for line in logged[0]] == [line.keys() for line in logged[1]]
    assert torch.get_default_dtype() == torch.float32
    shown = capsys.readouterr()
    assert "mine" not in shown.out
    assert "mine\n" in shown.err


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("(ddsweep.Tracker)", "", "mine:ListTracker is not a subclass of ddsweep.Tracker"),
        ("def log(self, metrics, step)", "def log(self, metrics)", "cannot be called as log(metrics, step) (too many"),
        ("sweep, limit=9", "swep", "takes swep, which has no default; did you mean sweep?"),
        ("def log", "def lgo", ""),
        ('"list"', '"wandb"', "tracker 'wandb' is ddsweep's own; choose another name"),
    ],
)
def test_a_class_that_cannot_be_a_tracker_is_refused(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=LIST.replace(good, bad).replace("def finish", "def finish" if line else "def finsh"))
    with pytest.raises(UserError) as error:
        choice.names(["list"])
    assert (line or "mine:ListTracker overrides no method of ddsweep.Tracker (describe, start, progress,") in str(
        error.value
    )


def test_it_is_listed_and_in_no_key(plug: Plug, ddsweep: Run) -> None:
    before = make(SMALL).key()
    plug(mine=LIST)
    assert "tracker list" in ddsweep("plugins").output
    assert make(SMALL).key() == before


def test_a_launch_and_a_run_with_the_tracker_of_the_page(plug: Plug, ddsweep: Run) -> None:
    plug(csv_log=EXAMPLES["csv_log"])
    launch = ("launch", "ablation-alpha", "--profile", "demo", "--device", "cpu", "--workers", "0")
    settings = [part for setting in [*TINY, "alpha=0,1"] for part in ("--set", setting)]
    done = ddsweep(*launch, *settings, "--track", "csv")
    assert done.exit_code == 0, done.output
    (folder,) = Path("runs").glob("*@demo/csv")
    rows = [line.split(",") for line in (folder / "accuracies.csv").read_text().splitlines()]
    assert len(rows) == 2
    for key, state, accuracy in rows:
        result = json.loads(Path("runs", key, "result.json").read_text())
        assert state == "complete"
        assert float(accuracy) == pytest.approx(fmean(chain(*result["accuracies"].values())))
        assert "loss/match" in (folder / f"{key}.csv").read_text()
    run = ddsweep("run", "ablation-alpha", *TINY, "alpha=5", *launch[2:6], "--track", "csv", "--json")
    assert run.exit_code == 0, run.output
    key = json.loads(run.stdout)["key"]
    assert len(list(Path("runs").glob(f"*@demo/csv/{key}.csv"))) == 1


def test_agents_of_wandb_pass_it_on(tmp_path: Path) -> None:
    from ddsweep.agent.wandb import WandbAgent

    own = WandbAgent("one@demo", "me/ddsweep/1", tmp_path, agent.Placement("cpu"), ("wandb", "list"))
    assert own.environment()["DDSWEEP_TRACK"] == "wandb,list"


def test_the_contract(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(mine=LIST, csv_log=EXAMPLES["csv_log"])
    check_tracker("list")
    check_tracker("csv")
    sys.modules["mine"].ListTracker.finish = lambda self, result: self.missing
    with pytest.raises(AssertionError, match=r"^tracker 'list': after a trial: AttributeError: 'ListTracker'"):
        check_tracker("list")


def test_a_trial_says_why_it_was_aborted(plug: Plug, tmp_path: Path) -> None:
    """``abort(reason)``, as on the page, without a default; the reason is empty after an interruption."""
    plug(mine=LIST + '\n    def abort(self, reason):\n        CALLS.append(("abort", reason))\n')
    check_tracker("list")
    aborted = [call for call in sys.modules["mine"].CALLS if call[0] == "abort"]
    assert aborted == [("abort", ""), ("abort", "out of memory"), ("abort", "")]


def test_the_page_names_the_scalars_that_trials_log(plug: Plug, tmp_path: Path) -> None:
    """In the row of ``log``; the others on the page are of a GPU, a search, and methods of one's own."""
    plug(mine=LIST)
    watched = FanOut(*choice.further(["list"], "one@demo", tmp_path, "", ""))
    trial.run(make(SMALL | {"alpha": 1, "ptm_train_epochs": 1}), watched, "cpu", tmp_path)
    logged = {name for call in sys.modules["mine"].CALLS if call[0] == "log" for name in call[1]}
    page = (ROOT / "docs/extending/trackers.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| `log(")]
    named = set(re.findall(r"`([^`]+)`", row)) - {"log(metrics, step)"}
    assert named == logged | {"gpu_memory_gb", "method/NAME", "accuracy_so_far"}


def test_a_cell_is_described_by_its_recipe(plug: Plug, tmp_path: Path) -> None:
    """The copy that a tracker gets has the key of the cell."""
    plug(mine=LIST.replace("def log(self, metrics, step)", "def start(self, recipe)").replace(
        'CALLS.append(("log", dict(metrics), step))', 'CALLS.append(recipe.key())'))  # fmt: skip
    (made,) = choice.further(["list"], "one@demo", tmp_path, "", "")
    made.start(RECIPE)
    assert sys.modules["mine"].CALLS[1:] == [RECIPE.key()]

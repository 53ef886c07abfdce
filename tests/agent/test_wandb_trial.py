"""``ddsweep trial`` without W&B: attempts, reasons, signals, and the record of failures on a device."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from ddsweep import files, sweep, trial
from ddsweep.agent import shutdown, wandb_trial
from ddsweep.agent.failures import ConsecutiveFailures
from ddsweep.agent.wandb_trial import TrialPlacement, TrialRecord
from ddsweep.backends import Definition
from ddsweep.backends.local import FolderStore
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker, status

SWEEP = "ablation-alpha@demo"
RECIPE = sweep.load(SWEEP).cells[1].recipe
FAILURES = Path("agent.failures")
LOOPS: list[Checkpoints] = []  # the checkpoints passed to trials
AGENT = TrialPlacement(SWEEP, Path("runs"), "cpu", "gpu 3", "host:1", FAILURES)


class RecordingTracker(Tracker):
    """Records how the W&B run ended."""

    def __init__(self) -> None:
        self.ended: list[Result | str] = []

    def finish(self, result: Result) -> None:
        self.ended.append(result)

    def abort(self, reason: str = "") -> None:
        self.ended.append(reason or "left")


def ran(
    monkeypatch: pytest.MonkeyPatch, *outcomes: Callable[[], Result], place: TrialPlacement = AGENT
) -> tuple[int, RecordingTracker]:
    """Run a trial whose attempts have these outcomes; return its exit status and the recording tracker."""
    tracker, left = RecordingTracker(), iter(outcomes)

    def run(
        recipe: Recipe, tracker: Any, on: str, runs: Path, wanted: Any, checkpoints: Checkpoints, **more: Any
    ) -> Result:
        LOOPS.append(checkpoints)
        tracker.start(recipe)
        assert (on, runs) == ("cpu", Path("runs"))
        result = next(left)()
        tracker.finish(result)
        return result

    monkeypatch.setattr(trial, "run", run)
    code = wandb_trial.main(RECIPE, place, cast("Any", tracker))
    assert next(left, None) is None, "not every attempt was made"
    return code, tracker


def failures() -> int:
    return len(ConsecutiveFailures.read(FAILURES).failed)


def complete() -> Result:
    return Result(RECIPE, {"convnet3": [0.5]})


def diverged() -> Result:
    return Result(RECIPE, state="failed", reason="the loss is nan\nat step 3")


def raises(error: BaseException) -> Callable[[], Result]:
    def outcome() -> Result:
        raise error

    return outcome


def test_a_complete_trial(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, tracker = ran(monkeypatch, complete)
    assert (code, tracker.ended, failures()) == (0, [complete()], 0)
    assert capsys.readouterr() == ("", "")
    (shown,) = status.read_all(status.folder(Path("runs"), SWEEP))
    assert (shown.agent, shown.device, shown.phase, shown.cell) == ("host:1", "gpu 3", "waiting", "")


def test_a_diverged_trial_prints_one_line_and_counts_as_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, tracker = ran(monkeypatch, diverged)
    assert (code, tracker.ended, failures()) == (1, [diverged()], 0)
    assert capsys.readouterr().err == f"failed: {RECIPE.title()}: the loss is nan at step 3\n"


def test_an_exception_is_repeated_in_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    code, tracker = ran(monkeypatch, raises(OSError("a hiccup")), raises(OSError("another")), complete)
    assert (code, tracker.ended, failures()) == (0, [complete()], 0)


def test_the_reasons_of_all_attempts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    code, tracker = ran(monkeypatch, *[raises(ZeroDivisionError(word)) for word in ("one", "two", "three")])
    assert tracker.ended == [
        "attempt 1: ZeroDivisionError: one; attempt 2: ZeroDivisionError: two; attempt 3: ZeroDivisionError: three"
    ]
    assert (code, failures()) == (1, 1)


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError("CUDA out of memory"), UserError("the disk is full")])
def test_errors_that_repeating_does_not_fix_are_not_repeated(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    code, tracker = ran(monkeypatch, raises(error))
    (reason,) = tracker.ended
    assert str(error) in str(reason)
    assert (code, failures()) == (1, 1)


def test_a_full_disk_pauses_the_trial_and_costs_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_trial, "PAUSE", 0.01)
    room = iter([False, True, True, False, True])
    monkeypatch.setattr(files, "has_free_space", lambda folder: next(room, True))
    full = raises(OSError(errno.ENOSPC, "No space left on device"))
    code, tracker = ran(monkeypatch, full, full, full, full, complete)
    assert (code, tracker.ended) == (0, [complete()])
    assert next(room, "asked") == "asked"


def asked() -> Result:
    """An attempt that receives SIGTERM while no code polls for it."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)
    raise AssertionError("not interrupted")


def test_sigterm_ends_the_trial_without_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "SAVE_SECONDS", 0.05)
    before = signal.getsignal(signal.SIGTERM)
    code, tracker = ran(monkeypatch, asked)
    assert (code, tracker.ended, failures()) == (128 + signal.SIGTERM, ["left"], 0)
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_sigterm_saves_the_state_if_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_a_boundary() -> Result:
        assert not LOOPS[-1].leave()
        os.kill(os.getpid(), signal.SIGTERM)
        assert LOOPS[-1].leave()
        raise Interrupted

    code, tracker = ran(monkeypatch, at_a_boundary)
    assert (code, tracker.ended, failures()) == (128 + signal.SIGTERM, ["left"], 0)


def test_a_second_sigterm_does_not_interrupt_the_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    def abort(self: RecordingTracker, reason: str = "") -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        self.ended.append("left")

    monkeypatch.setattr(RecordingTracker, "abort", abort)
    code, tracker = ran(monkeypatch, raises(Interrupted()))
    assert (code, tracker.ended) == (128 + signal.SIGTERM, ["left"])


def test_the_stop_button_leaves_the_run_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    code, tracker = ran(monkeypatch, raises(KeyboardInterrupt()))
    assert (code, tracker.ended) == (128 + signal.SIGINT, ["stopped"])


def test_a_trial_without_an_agent_leaves_no_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    ran(monkeypatch, raises(UserError("by design")), place=TrialPlacement(SWEEP, Path("runs"), "cpu"))
    assert [path for path in Path("runs").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("story", "bad"),
    [
        ("", False),
        ("start", False),
        ("fail fail", False),
        ("fail fail fail", True),
        ("fail fail start", False),
        ("start start start", False),
        ("start start start start", True),
        ("fail fail start discard", False),
        ("fail start fail end fail start", False),
        ("fail fail end fail", False),
        ("fail fail start discard fail", True),
    ],
)
def test_a_device_is_bad_if_three_trials_in_a_row_failed_or_were_killed(story: str, bad: bool) -> None:
    """Each event occurs in a separate process; a trial that fails has started before."""
    cell = 0
    for event in story.split():
        if event in ("start", "fail"):
            cell += 1
            TrialRecord(FAILURES).start(str(cell))
        if event in ("fail", "discard", "end"):
            getattr(TrialRecord(FAILURES), event)(
                *{"fail": (str(cell), "why"), "discard": (str(cell),), "end": ()}[event]
            )
    assert TrialRecord(FAILURES).limit_reached is bad


def test_a_sweep_that_is_available_here_determines_the_epochs_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def run(*given: Any, **more: Any) -> Result:
        kept.append(given[4] and {epoch for epochs in given[4].values() for epoch in epochs})
        return complete()

    monkeypatch.setattr(trial, "run", run)
    mine = sweep.load("ablation-epoch@demo", settings={"ptm_epoch": [1, 3]})
    FolderStore(Path("runs")).remember(replace(Definition.of(mine), name="mine@demo"))
    for name in ("ablation-epoch@demo", "mine@demo", "elsewhere@demo"):
        wandb_trial.main(
            mine.cells[-1].recipe, TrialPlacement(name, Path("runs"), "cpu"), cast("Any", RecordingTracker())
        )
    asked = {cell.recipe.ptm_epoch for cell in sweep.load("ablation-epoch@demo").cells if cell.recipe.ptm_arch_list}
    assert kept == [asked, {1, 3}, None]

"""Progress without a terminal: a log file shows life within seconds, also while the first step compiles."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from ddsweep import numerics
from ddsweep.cli import progress, screen
from ddsweep.trackers import Tracker
from tests.cli.conftest import Run


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN", 0.1)
    monkeypatch.setattr(progress, "CLOSEST", 0.02)


def lines_of(out: io.StringIO) -> list[str]:
    return out.getvalue().splitlines()


def wait_for(out: io.StringIO, text: str) -> str:
    """The first line with the text, as soon as it is there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := [line for line in lines_of(out) if text in line]:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"{text!r} is not in {lines_of(out)}")


def test_lines_appear_while_a_step_takes_long(quick: None) -> None:
    out = io.StringIO()
    with progress.Lines(screen.Console(file=out, width=100), "dm · [/odd] ipc 1") as lines:
        assert lines_of(out) == ["dm · [/odd] ipc 1"]  # at once
        wait_for(out, "  starting")
        tracker = progress.LineTracker(lines)
        tracker.progress("distill", 0, 100)
        wait_for(out, "distill 0/100")
        count = len(lines_of(out))
        time.sleep(0.5)  # one long step, in which nothing is reported
        assert len(lines_of(out)) > count
        for step in range(1, 60):
            tracker.progress("distill", step, 100)
            time.sleep(0.01)
        line = wait_for(out, "steps/s")
        assert line.startswith("  distill ")
        assert " left" in line
        tracker.progress("evaluate convnet3", 0, 20)
        wait_for(out, "evaluate convnet3 0/20")
    ended = len(lines_of(out))
    time.sleep(0.3)
    assert len(lines_of(out)) == ended  # no thread is left


def test_compiling_is_said_until_the_first_step(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = 0
    monkeypatch.setattr(numerics, "compiled_functions", lambda: compiled)
    out = io.StringIO()
    with progress.Lines(screen.Console(file=out, width=100)) as lines:
        lines.update("pretrain convnet3 0", 0, 4)
        assert "compiling" not in lines.line()
        compiled = 1
        assert "pretrain convnet3 0 0/4 · compiling the first step" in lines.line()
        lines.update("pretrain convnet3 0", 1, 4)
        assert "compiling" not in lines.line()
        lines.update("distill", 0, 100)
        assert "compiling" not in lines.line()  # compiled before
        compiled = 3
        assert "compiling the first step" in lines.line()
        wait_for(out, "distill 0/100 · compiling the first step")


def test_every_compiled_function_counts() -> None:
    before = numerics.compiled_functions()
    numerics.Numerics(compile=True).function(lambda: None)
    numerics.Numerics(compile=False).function(lambda: None)
    assert numerics.compiled_functions() == before + 1


def test_run_pretrain_and_evaluate_say_what_they_do(
    ddsweep: Run, tiny: list[str], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "CLOSEST", 0.0)
    words = ["run", "ablation-alpha", "alpha=5", *tiny, "-p", "demo", "-d", "cpu"]
    result = ddsweep(*words)
    phases = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert set(phases) & {"starting", "pretrain", "distill", "evaluate"}, result.stdout
    assert result.stdout.splitlines()[0].startswith("dm · ipc ")
    assert result.stderr == ""
    (folder,) = Path("runs").glob("*/synthetic.safetensors")
    data = ddsweep(*words, "--json")
    assert data.stdout.startswith('{"key": ')
    assert data.stdout.count("\n") == 1
    assert data.stderr.startswith("dm · ipc ")
    settings = ["--set", "eval_epochs=200", "--set", "width=4", "-d", "cpu"]
    judged = ddsweep("evaluate", str(folder.parent), "--nets", "2", *settings)
    assert "  evaluate convnet3 " in judged.stdout
    trained = ddsweep("pretrain", "digits", "--width", "4", "--set", "ptm_train_epochs=3", "-d", "cpu")
    assert "  convnet3 on digits, seed 0" in trained.stdout


def test_a_terminal_has_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    terminal = screen.Console(file=out, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    monkeypatch.setattr("ddsweep.cli.console.stdout", lambda: terminal)
    monkeypatch.setattr("ddsweep.cli.console.stderr", lambda: terminal)
    with progress.one_trial("dm [/odd]") as tracker:
        assert isinstance(tracker, progress.BarTracker)
        assert isinstance(tracker, Tracker)
        tracker.progress("distill [bold] \x1b]0;t\x07", 1, 2)
        time.sleep(0.3)
    assert "dm [/odd]" in out.getvalue()
    assert "distill [bold] \\x1b]0;t\\x07" in out.getvalue()

"""Ctrl-C in `run` and `pretrain`: what was done is not lost."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
import typer

from ddsweep.checkpoints import Interrupted
from ddsweep.cli.interrupt import saving
from ddsweep.distill import loop
from tests.cli.conftest import TINY, Run


def test_the_first_asks_and_the_second_ends(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), saving() as checkpoints:
        assert not checkpoints.leave()
        signal.raise_signal(signal.SIGINT)
        assert checkpoints.leave()
        signal.raise_signal(signal.SIGINT)
    assert "press Ctrl-C again to quit without saving" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_what_was_saved_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, saving():
        raise Interrupted
    assert caught.value.exit_code == 130
    assert "saved; " in capsys.readouterr().err


def test_a_trial_goes_on(ddsweep: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["run", "ablation-alpha", "--profile", "demo", "alpha=0", *TINY[1:], "iterations=6", "--json"]
    undisturbed = ddsweep(*words, "--runs", str(tmp_path / "calm"))
    assert undisturbed.exit_code == 0
    step, steps = loop.step, list[int]()

    def counted(*arguments: Any) -> None:
        step(*arguments)
        steps.append(len(steps))
        if len(steps) == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop, "step", counted)
    struck = ddsweep(*words, "--runs", str(tmp_path / "struck"))
    assert (struck.exit_code, len(steps)) == (130, 4)
    assert (
        f"saved; resume with:  {shlex.join(['ddsweep', *words, '--runs', str(tmp_path / 'struck')])}" in struck.stderr
    )
    again = ddsweep(*words, "--runs", str(tmp_path / "struck"))
    assert (again.exit_code, len(steps)) == (0, 6), "no step was done twice"
    assert accuracies(again.stdout) == accuracies(undisturbed.stdout)


def accuracies(text: str) -> object:
    return json.loads(text)["accuracies"]

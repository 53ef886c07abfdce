"""Ctrl-C and SIGTERM in every command that computes: the state is saved, and a line says how to go on."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ddsweep import again, agent, processes, sweep
from ddsweep.backends import Definition, State, connect
from ddsweep.cli.interrupt import terminable
from ddsweep.distill import loop
from tests.cli.conftest import TINY, Run, write_profile

NAME = "ablation-alpha@demo"
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
CELL = [*(setting for setting in TINY if not setting.startswith("iterations=")), "iterations=6"]
Strike = Callable[[signal.Signals], list[int]]


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Those of a process in a terminal: one that a script starts in the background ignores Ctrl-C.

    An agent's process does not restore them, because it ends.
    """
    before = {number: signal.getsignal(number) for number in agent.SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def strike(monkeypatch: pytest.MonkeyPatch) -> Strike:
    """Send this process a signal after the fourth distillation step of all; the steps are counted."""

    def begin(number: signal.Signals) -> list[int]:
        step, steps = loop.step, list[int]()

        def counted(*arguments: Any) -> None:
            step(*arguments)
            steps.append(len(steps))
            if len(steps) == 4:
                signal.raise_signal(number)

        monkeypatch.setattr(loop, "step", counted)
        return steps

    return begin


def typed(*words: str) -> str:
    return shlex.join(["ddsweep", *words])


@BOTH
def test_run_saves_and_goes_on(ddsweep: Run, strike: Strike, number: signal.Signals) -> None:
    words = ["run", NAME, *CELL, "alpha=0", "--json"]
    undisturbed = json.loads(ddsweep(*words, "--runs", "calm").stdout)["accuracies"]
    steps = strike(number)
    struck = ddsweep(*words)
    assert (struck.exit_code, len(steps)) == (128 + number, 4)
    assert f"saved; resume with:  {typed(*words)}" in struck.stderr
    resumed = ddsweep(*words)
    assert (resumed.exit_code, len(steps)) == (0, 6), "no step was done twice"
    assert json.loads(resumed.stdout)["accuracies"] == undisturbed


@BOTH
@pytest.mark.parametrize("command", ["launch", "agents", "agent"])
def test_agents_in_the_foreground_return_their_cell(
    ddsweep: Run, strike: Strike, number: signal.Signals, command: str
) -> None:
    write_profile(*CELL)
    launch = ["launch", NAME, "--set=alpha=0", "--workers", "0", "-d", "cpu"]
    words = {"launch": launch, "agents": ["agents", NAME, "--workers", "0", "-d", "cpu"], "agent": ["agent", NAME]}
    if command != "launch":  # an agent needs a registered sweep
        Path("runs").mkdir()
        store = connect("runs/ddsweep.db")
        one = sweep.load(NAME, None, {"alpha": 0})
        store.sweep(NAME).register(Definition.of(one))
        store.close()
    steps = strike(number)
    struck = ddsweep(*words[command])
    assert (struck.exit_code, len(steps)) == (128 + number, 4), struck.output
    if command != "agent":
        assert f"stopped; resume with:  {typed(*words[command])}" in struck.stdout
    store = connect("runs/ddsweep.db")
    (row,) = store.sweep(NAME).status().rows
    assert (row.state, row.attempts, row.lost) == (State.WAITING, 0, 0)
    resumed = ddsweep(*words[command])
    assert (resumed.exit_code, len(steps)) == (0, 6), "no step was done twice"
    (row,) = store.sweep(NAME).status().rows
    assert (row.state, row.attempts) == (State.COMPLETE, 1)
    store.close()


@BOTH
def test_pretrain_saves(ddsweep: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals) -> None:
    from ddsweep.pretrained import training

    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "cache"))
    words = ["pretrain", "digits", "--epochs", "3", "--width", "4", "--set", "ptm_batch=512", "-d", "cpu"]
    epoch, epochs = training.Training.train_epoch, list[int]()

    def counted(*arguments: Any) -> None:
        epoch(*arguments)
        epochs.append(len(epochs))
        if len(epochs) == 2:
            signal.raise_signal(number)

    monkeypatch.setattr(training.Training, "train_epoch", counted)
    struck = ddsweep(*words)
    assert (struck.exit_code, len(epochs)) == (128 + number, 2), struck.output
    assert f"saved; resume with:  {typed(*words)}" in struck.stderr
    assert (ddsweep(*words).exit_code, len(epochs)) == (0, 3)


@BOTH
@pytest.mark.parametrize(
    ("words", "inside"),
    [
        (["evaluate", "set.pt", "--dataset", "digits", "-d", "cpu"], "ddsweep.exchange.read"),
        (["estimate", NAME, "--workers", "0", "-d", "cpu"], "ddsweep.estimate.workers.measure"),
        (["data", "fetch", "digits"], "ddsweep.data.store.fetch"),
        (["launch", NAME, "-d", "cpu", "--workers", "1"], "ddsweep.data.prepare"),
    ],
)
def test_a_command_with_nothing_to_save_ends_in_a_line(
    ddsweep: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, words: list[str], inside: str
) -> None:
    monkeypatch.setattr("ddsweep.data.is_prepared", lambda *rest: False)
    monkeypatch.setattr(inside, lambda *rest, **more: signal.raise_signal(number))
    Path("set.pt").touch()
    struck = ddsweep(*words)
    assert struck.exit_code == 128 + number
    assert struck.stderr.splitlines()[-1] == f"stopped; run it again with:  {typed(*words)}"
    assert "Traceback" not in struck.output


def test_only_the_first_sigterm_interrupts(capsys: pytest.CaptureFixture[str]) -> None:
    """Schedulers send several; what the first one has started is not cut off."""
    saved = []
    with pytest.raises(processes.Terminated), terminable():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            saved.append(True)
    assert saved
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_is_printed_can_be_typed_but_holds_no_password() -> None:
    again.remember(
        ["launch", "my sweep.yaml", "--storage=postgresql://me:p@ss@host/db", "--runs", "/a b", "-s", "x=1,2"]
    )
    try:
        place = "'--storage=postgresql://me:***@host/db' --runs '/a b'"
        assert again.command("--retry-failed") == f"ddsweep launch 'my sweep.yaml' {place} -s x=1,2 --retry-failed"
        assert again.command("-s") == again.command()
        assert again.other("agents", NAME) == f"ddsweep agents {NAME} {place}"
    finally:
        again.remember([])

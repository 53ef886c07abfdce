"""The whole thing as a process: the demo is interrupted, its launcher killed, and still ends in one table."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddsweep.backends import State, connect
from tests.cli.conftest import write_profile

pytestmark = pytest.mark.slow
LAUNCH = [sys.executable, "-m", "ddsweep", "launch", "ablation-alpha@demo", "--device", "cpu", "--workers", "2"]
# a cell takes a second, so that some are left when two are done
SMALL = ["iterations=100", "width=8", "eval_epochs=40", "ptm_train_epochs=2"]


@pytest.fixture(autouse=True)
def small() -> None:
    write_profile(*SMALL)


def agents() -> list[int]:
    """Agents of this test, by the folder they work in."""
    mine = str(Path.cwd())
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == Path(mine) and b"agent" in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.1)


def done() -> int:
    if not Path("runs/ddsweep.db").is_file():
        return 0
    store = connect("runs/ddsweep.db")
    try:
        return store.sweep("ablation-alpha@demo").status().count(State.COMPLETE) if store.names() else 0
    finally:
        store.close()


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_anyhow_a_second_launch_goes_on(blow: signal.Signals) -> None:
    process = subprocess.Popen(
        LAUNCH, stdout=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # in the background it would be ignored
    )  # fmt: skip
    wait_for(lambda: done() >= 2)
    first = {path: path.stat().st_mtime_ns for path in Path("runs").glob("*/result.json")}
    os.kill(process.pid, blow)
    output, _ = process.communicate(timeout=60)
    wait_for(lambda: not agents(), 40)
    if blow is not signal.SIGKILL:
        assert process.returncode == 128 + blow
        assert f"stopped; resume with:  {shlex.join(['ddsweep', *LAUNCH[3:]])}" in output
        store = connect("runs/ddsweep.db")
        assert store.sweep("ablation-alpha@demo").status().count(State.RUNNING) == 0
        store.close()
    again = subprocess.run(LAUNCH, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "done 9/9   running 0   failed 0" in again.stdout
    results = {path: path.stat().st_mtime_ns for path in Path("runs").glob("*/result.json")}
    assert len(results) == 9
    assert first.items() <= results.items()
    assert not agents()


def test_after_kill_9_of_everything_a_second_launch_goes_on_at_once() -> None:
    """The leases of the dead agents last for three minutes; nobody waits for them, and no attempt is spent."""
    process = subprocess.Popen(LAUNCH, stdout=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: done() >= 2)
    process.send_signal(signal.SIGSTOP)  # it would replace its agents
    wait_for(lambda: held() > 0)
    for agent in agents():
        os.kill(agent, signal.SIGKILL)
    process.kill()
    process.wait()
    wait_for(lambda: not agents(), 40)
    assert held() > 0
    again = subprocess.run(LAUNCH, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    store = connect("runs/ddsweep.db")
    rows = store.sweep("ablation-alpha@demo").status().rows
    store.close()
    assert {(row.state, row.attempts) for row in rows} == {(State.COMPLETE, 1)}
    assert sum(row.lost for row in rows) > 0


def held() -> int:
    store = connect("runs/ddsweep.db")
    try:
        return len(store.sweep("ablation-alpha@demo").held())
    finally:
        store.close()

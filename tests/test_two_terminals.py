"""Two launches of one name at the same time, as processes: both run to the end, and both show the cells of both."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ddsweep.backends import State, connect
from tests.again import NAME, write

pytestmark = pytest.mark.slow
LAUNCH = [sys.executable, "-m", "ddsweep", "launch", "mine.yaml", "--profile", "demo", "--device", "cpu"]
PATIENCE = 120.0  # seconds for anything to happen


def start(*more: str) -> subprocess.Popen[str]:
    command = [*LAUNCH, "--workers", "1", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.1)


def count(state: State) -> int:
    if not Path("runs/ddsweep.db").is_file():
        return 0
    store = connect("runs/ddsweep.db")
    try:
        return store.sweep(NAME).status().count(state) if NAME in store.names() else 0
    finally:
        store.close()


def columns(output: str) -> set[float]:
    """The values of α in the head of the table."""
    head = next(line for line in output.splitlines() if line.startswith(" α "))
    return {float(number) for number in re.findall(r"[\d.]+", head)}


def test_both_compute_and_show_the_cells_of_both() -> None:
    write({"alpha": [0, 1, 2, 3, 4, 5, 6, 7]}, iterations=400)  # a cell takes seconds
    first = start()
    wait(lambda: count(State.COMPLETE) >= 1)
    second = start("--set", "alpha=0,50,60")
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert "another launch added 2 cells" in outputs[0]
    assert re.search(r"launched before: 1 cell kept, 2 added; 7 of earlier launches stay in the table\n", outputs[1])
    assert "withdrawn" not in outputs[1]
    for output in outputs:
        assert "done 10/10   running 0   failed 0" in output
        assert columns(output) == {0, 1, 2, 3, 4, 5, 6, 7, 50, 60}
    assert "mine@demo · Mine · 10 cells" in outputs[1]
    assert len(list(Path("runs").glob("*/result.json"))) == 10


def test_an_edited_file_in_the_second_terminal_disturbs_nobody() -> None:
    """The cells of the two launches differ in a fixed value: each agent runs cells of both."""
    write({"alpha": [0, 1, 2, 3, 4, 5], "init": "noise"}, iterations=400)
    first = start()
    wait(lambda: count(State.COMPLETE) >= 1)
    write({"alpha": [0, 1], "init": "real"}, iterations=400)
    second = start()
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert all("done 8/8   running 0   failed 0" in output for output in outputs)
    store = connect("runs/ddsweep.db")
    status = store.sweep(NAME).status()
    store.close()
    assert {(row.state, row.attempts) for row in status.rows} == {(State.COMPLETE, 1)}


def test_replace_in_the_second_terminal_is_said_in_the_first() -> None:
    write({"alpha": [0, 1, 2, 3, 4, 5, 6, 7]}, iterations=400)
    first = start()
    wait(lambda: count(State.COMPLETE) >= 1)
    second = start("--set", "alpha=0,50", "--replace")
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert re.search(r"another launch added 1 cell, withdrew 7", outputs[0])
    assert re.search(r"\d waiting withdrawn; .*1 running left the table \(--replace\)", outputs[1])
    assert all(columns(output) == {0, 50} for output in outputs)

"""The benchmark of a launch: its spans add up, in every process that it starts."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import demo, timeline
from benchmarks.timeline import Process, Recorder


def test_a_span_is_without_those_inside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    monkeypatch.setattr(time, "process_time", lambda: now / 2)
    recorder = Recorder()

    def inner(seconds: float) -> float:
        nonlocal now
        now += seconds
        return seconds

    inside = recorder.wrapped(inner, "inside")
    with recorder.span("outside"):
        assert inside(3.0) == 3.0
        now += 4.0
        with pytest.raises(ValueError, match="stop"), recorder.span("failing"):
            now += 5.0
            raise ValueError("stop")
        inside(1.0)
    assert recorder.spans == {"inside": [2, 4.0, 2.0], "failing": [1, 5.0, 2.5], "outside": [1, 4.0, 2.0]}


def test_every_process_that_is_started_writes_its_spans(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; from ddsweep import provenance; provenance.git(); provenance.git()\n"
        "if len(sys.argv) < 2: subprocess.run([sys.executable, __file__, 'agent'], check=True)"
    )
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    own = timeline.environment(tmp_path / "spans")
    subprocess.run([sys.executable, str(script)], env=os.environ | own, check=True)
    first, second = timeline.read(tmp_path / "spans")
    assert first.command == [str(script)] and second.command[1:] == ["agent"]
    for process in (first, second):
        assert process.spans["versions"][0] == 2
        assert process.spans["start Python"][1] > 0 and process.cpu > 0
        assert sum(wall for _, wall, _ in process.spans.values()) <= process.seconds + 0.1
    assert first.seconds > second.seconds


def test_the_rows_of_a_process_add_up_to_its_time() -> None:
    spans = {"distill": (9, 30.0, 12.0), "short": (3, 0.01, 0.01), "evaluate": (9, 60.0, 20.0)}
    lines = list(demo.table(Process(["ddsweep", "agent"], 107.0, 100.0, 40.0, spans), 100.0))
    assert lines[0] == "| agent, started at 7.0 s | calls | wall s | CPU s |"
    assert lines[2:] == [
        "| evaluate | 9 | 60.00 | 20.00 |",
        "| distill | 9 | 30.00 | 12.00 |",
        "| everything else | | 10.00 | 8.00 |",
        "| in all | | 100.00 | 40.00 |",
    ]


@pytest.mark.parametrize("sweep", [["tableA1@demo"], []])
def test_it_launches_in_new_folders_and_prints_the_time_of_each_process(
    sweep: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[list[str], str]] = []

    def run(command: list[str], env: dict[str, str], check: bool) -> None:
        asked.append((command, env["DDSWEEP_CACHE"]))
        values = {"command": ["ddsweep", "launch"], "began": time.time(), "seconds": 2.0, "cpu": 1.5, "spans": {}}
        Path(env[timeline.FOLDER], "1.json").write_text(json.dumps(values), encoding="utf-8")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["demo", *sweep, "--", "--workers", "1"])
    demo.main()
    ((command, cache),) = asked
    assert (
        command[2:7] == ["ddsweep", "launch", *(sweep or ["ablation-alpha@demo"]), "--workers", "1"]
        and command[7] == "--runs"
    )
    assert Path(cache).parent == Path(command[8]).parent and not Path(cache).exists()
    assert "1.5 s of CPU time in 1 processes" in capsys.readouterr().out


@pytest.mark.parametrize(("module", "functions"), timeline.FUNCTIONS.items())
def test_the_functions_are_where_the_benchmark_looks_for_them(module: str, functions: dict[str, str]) -> None:
    """In a process of an agent, one that is missing would end it."""
    for dotted in functions:
        owner, _, name = dotted.rpartition(".")
        holder = importlib.import_module(module)
        assert name in vars(getattr(holder, owner) if owner else holder), dotted

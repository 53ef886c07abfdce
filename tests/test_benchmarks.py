"""Benchmarks run, and what they compare is the same function."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import (
    cclom_cache,
    checkpoints,
    compilation,
    crowd,
    gpu,
    groups,
    growth,
    pool,
    queue,
    sharing,
    speed,
    startup,
    surroundings,
    turns,
)
from benchmarks.steps import METHODS, Work
from benchmarks.turns import Conditions, compare
from ddsweep.nn import Network
from ddsweep.numerics import Numerics
from tests import toys


class Clock:
    """A clock that moves only when something is counted."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds

    def count(self, net: object, images: Tensor) -> None:
        self.seconds += len(images)


def test_cclom_cache(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """By a clock on which an image that goes through the PTM takes a second, the times are counts of images."""
    monkeypatch.setattr(sys, "argv", ["cclom_cache", "--json", "--steps", "3", "--width", "2"])
    monkeypatch.setattr(cclom_cache, "time", clock := Clock())
    toys.spy(monkeypatch, Network, "embed", clock.count)
    cclom_cache.main()
    found = json.loads(capsys.readouterr().out)
    assert found["difference"] < 1e-5
    synthetic = 10 * 5
    again, known = [512 + synthetic] * 3, [1201 + 1 + synthetic, synthetic, synthetic]  # all blocks in the first step
    assert (found["looking_again_s"], found["remembering_s"]) == (again[1], known[1])
    assert found["ratio"] == again[1] / known[1] > 1
    assert found["ratio_of_totals"] == pytest.approx(sum(again) / sum(known))
    assert (found["alone_s"], found["first_s"], found["another_s"]) == (1202, 1202, 1)  # one tells the size


def test_sharing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Three cells, two of which read: three iterations of DM, and of DSA the first step of each of two networks."""
    monkeypatch.setattr("ddsweep.shared.records.PROBES", 10**9)  # at this size, reading does not pay off
    tiny = ["ipc=1", "width=4", "batch_real=8", "iterations=3", "outer_loops=1"]
    words = [word for pair in tiny for word in ("--set", pair)]
    monkeypatch.setattr(
        sys, "argv", ["sharing", "--method", "dm,dsa", "--alphas", "0,1,2", "--repeats", "2", "--json", *words]
    )
    sharing.main()
    found = json.loads(capsys.readouterr().out)
    for row in found["rows"]:
        assert (row["cells"], row["read"]) == (3, 2 * 2 * 3)
        assert row["written"] > 0
        alone, shared = row["seconds"]["alone"], row["seconds"]["sharing"]
        assert [len(cells) for cells in alone + shared] == [3] * 4
        ratios = [sum(one) / sum(other) for one, other in zip(alone, shared, strict=True)]
        assert row["ratio"] == pytest.approx(sum(ratios) / 2)
    assert [line.split(" | ")[0] for line in sharing.table(found["rows"]).splitlines()[2:]] == ["| dm", "| dsa"]


def test_a_turn_times_the_loop_whose_turn_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two loops on a clock that each of them moves by what its step is said to take."""
    clock, order = Clock(), []
    slow = iter([3.0] * 2 + [3.0] * 3 + [6.0] * 3 + [3.0] * 3)  # the first step is taken twice: it is counted as well
    quick = iter([9.0] + [0.5] * 3 + [1.0] * 3 + [1.5] * 3)

    def plainly(work: Work) -> Iterator[None]:
        while True:
            order.append("plain")
            clock.seconds += next(slow)
            yield

    def fast(work: Work, numerics: Numerics, boundary: Callable[[], bool]) -> None:
        left = False
        while not left:
            order.append("fast")
            clock.seconds += next(quick)
            left = boundary()

    monkeypatch.setattr(turns, "plainly", plainly)
    monkeypatch.setattr(turns, "fast", fast)
    monkeypatch.setattr(turns.machine, "now", lambda device, busy: clock.seconds)
    row = compare(Work("dm"), Numerics(), Conditions({"float32": 1.0}, repeats=3, grain=7.0))
    assert (row.plain_s, row.fast_s, row.warm_up_s) == ([3, 6, 3], [0.5, 1, 1.5], 9)
    assert row.ratio == 6, "the median of 6, 6 and 2"
    found = row.document()
    assert (found["plain_median_s"], found["fast_median_s"], found["ratio"]) == (3, 1, 6)
    assert found["images_per_s"] == row.work.images
    assert order[:3] == ["fast", "plain", "plain"]
    pairs = [order[3:][start : start + 6 : 3] for start in (0, 6, 12)]
    assert all(sorted(pair) == ["fast", "plain"] for pair in pairs) and len({*map(tuple, pairs)}) == 2
    assert order[3:] == [name for pair in pairs for name in pair for _ in range(3)], "turns of three steps"


@pytest.mark.parametrize("pairs", [1, 2, 5, 8])
def test_half_of_the_turns_come_first(pairs: int) -> None:
    assert len(turns.orders(pairs)) == pairs
    assert sum(turns.orders(pairs)) == (pairs + 1) // 2
    assert turns.orders(8) not in ([True, False] * 4, [True] * 4 + [False] * 4)


def test_queue(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["queue", "--json", "--points", "40,80", "--agents", "6", "--processes", "2"])
    queue.main()
    found = json.loads(capsys.readouterr().out)
    assert [(one["points"], one["claims"]) for one in found["sizes"]] == [(40, 20), (80, 40)]
    assert [one["points"] for one in found["growth"]] == [2]


def test_checkpoints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["checkpoints", "--json", "--saves", "1"])
    monkeypatch.setattr(checkpoints, "CASES", dict(list(checkpoints.CASES.items())[:2]))
    checkpoints.main()
    found = json.loads(capsys.readouterr().out)
    assert [round(one["bytes"] / 1e6, 1) for one in found.values()] == [13.6, 2.6]
    assert all(one["share"] == one["save_s"] / 300 for one in found.values())


def test_speed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", "--quick", "--json", "--compile", "off", "--precision", "float32"])
    speed.main()
    found = json.loads(capsys.readouterr().out)
    assert [row["work"]["method"] for row in found["rows"]] == list(METHODS)
    for row in found["rows"]:
        pairs = list(zip(row["plain_s"], row["fast_s"], strict=True))
        assert len(pairs) == 2
        assert row["ratio"] == statistics.median(plain / fast for plain, fast in pairs)
        share = row["operations"] / min(row["fast_s"]) / found["peaks"]["float32"]
        assert row["fast_share"] == pytest.approx(share)


def test_growth_measures_the_same_work_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Work] = []

    def paced(work: Work, *rest: Any) -> dict[str, float]:
        measured.append(work)
        return {"step_s": work.images / 1e3}

    monkeypatch.setattr(growth, "_paced", paced)
    found = growth.rows([Work("evaluation")], Numerics(), 1, 1e9)
    said = {(row["axis"], row["value"]): row["step_s"] for row in found}
    assert said["ipc", 10] == said["classes", 10] == said["size", 32] == 0.1
    assert (said["ipc", 50], said["classes", 100]) == (0.5, 1.0)
    assert len(measured) == len(set(measured)) == len(found) - 2


def test_groups(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations do not depend on the machine: those that the cells share are divided by their number."""
    words = ["groups", "--cells", "1,3", "--width", "2", "--size", "8", "--ipc", "1", "--turns", "1", "--vectorize"]
    monkeypatch.setattr(groups, "GRAIN", 0.0)
    monkeypatch.setattr(sys, "argv", [*words, "--json"])
    groups.main()
    single, three = json.loads(capsys.readouterr().out)["rows"]
    assert single["group_operations"] == single["alone_operations"] == pytest.approx(three["alone_operations"], rel=0.2)
    assert three["group_operations"] < three["alone_operations"] / 2
    assert [len(row["group_s"]) for row in (single, three)] == [1, 1]
    assert min(single["ratio"], single["host_ratio"], three["ratio"], three["host_ratio"]) > 0


def test_surroundings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "elsewhere", lambda words, surrounded: 2.0 if surrounded else 5.0)
    monkeypatch.setattr(sys, "argv", ["surroundings", "--method", "dm", "--turns", "1"])
    surroundings.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| dm")]
    assert rows[0] == "| dm | plain | float32 | off | 5e+03 | 2e+03 | 2.50 |" and len(rows) == 5
    assert rows[-1] == "| dm | fast | bf16 | on | 5e+03 | 2e+03 | 2.50 |"


def test_pool(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["pool", "--width", "2", "--rounds", "2"])
    threads = torch.get_num_threads()
    pool.main()
    torch.set_num_threads(threads)
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if ", width 2 |" in line]
    assert [row[1] for row in rows] == ["forward", "forward and backward", "forward", "training", "second order"]


def test_pool_compares_the_times_of_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that each moves by what it is said to take, whichever is first."""
    clock, theirs, ours = Clock(), iter([9.0, 6.0, 8.0, 2.0]), iter([9.0, 1.0, 2.0, 4.0])
    monkeypatch.setattr(pool.time, "process_time", clock.perf_counter)

    def moved(seconds: Iterator[float]) -> dict[str, pool.Run]:
        return {"forward": lambda: setattr(clock, "seconds", clock.seconds + next(seconds))}

    assert [*pool.compared(moved(theirs), moved(ours), 3)] == ["forward | 6e+03 | 2e+03 | 4.00"]


def test_compilation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A step of 3 s takes 2 s compiled: a compilation of 30 s is saved again after 30 steps."""
    answers = iter([
        {"first": 3.0, "step": 3.0, "again": 3.0}, {"first": 30.0, "step": 2.0, "again": 2.5},
        {"first": 6.0, "step": 2.0, "again": 2.0},
    ])  # fmt: skip
    monkeypatch.setattr(compilation, "elsewhere", lambda words, compiled, cache: next(answers))
    monkeypatch.setattr(sys, "argv", ["compilation", "--json", "--method", "evaluation", "--shape", "demo"])
    threads = torch.get_num_threads()
    compilation.main()
    torch.set_num_threads(threads)
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    of_a_step = 3 * 50 * 2.0 * 32 * (16**2 * 27 + 8**2 * 9 * 32 + 4**2 * 9 * 32 + 4 * 10)
    assert row["operations"] == of_a_step
    assert (row["even_cold"], row["even_warm"]) == (30 * of_a_step, 6 * of_a_step)


def test_operations_are_those_of_the_convolutions() -> None:
    """Of a PTM's step: a convolution costs its forward pass once more for the kernel and once more for its input,
    except the first, whose input is the images.
    """
    work = Work("ptm", classes=3, size=16, width=4, batch=8)
    row = compare(work, Numerics(), Conditions({"float32": 1.0}, repeats=1, grain=0.0))
    first, second, third = (2 * 8 * side**2 * 9 * inside * 4 for side, inside in ((16, 3), (8, 4), (4, 4)))
    assert row.operations == 2 * first + 3 * (second + third + 2 * 8 * 16 * 3)


@pytest.mark.slow
def test_gpu_in_its_quick_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu, "tests", lambda quick: "pytest -m gpu: none here")
    monkeypatch.setattr(sys, "argv", ["gpu", "--quick", "--device", "cpu", "--out", str(tmp_path)])
    gpu.main()
    found = json.loads((tmp_path / "gpu.json").read_text())
    rows = {(row["work"]["method"], row["precision"], row["together"]) for row in found["rows"]}
    assert rows >= {(method, "bf16", method in gpu.SPLIT) for method in METHODS}
    assert rows >= {("evaluation", "float32", False), ("dc", "float32", True)}
    assert {row["axis"] for row in found["growth"]} == {"ipc", "classes", "N_m × N_a"}
    assert not found["left_out"]
    assert "| evaluation, 5 networks together | bf16 |" in (tmp_path / "gpu.md").read_text()


@pytest.mark.slow  # starts two interpreters
def test_agents_on_one_device() -> None:
    work = Work("dm", ipc=1, classes=2, size=16, width=2, batch=4)
    (both,) = crowd.rows(work, Numerics(), repeats=1, counts=[2])
    assert both["value"] == 2
    assert both["images_per_s"] == pytest.approx(work.images / both["step_s"])


def test_startup_reads_what_python_says_of_its_imports() -> None:
    text = """import time: self [us] | cumulative | imported package
import time:      1500 |       1500 |   rich.segment
import time:       500 |       9000 | rich.console
import time:       200 |        200 | json
a line of the program: 3 | 4 | 5"""
    assert startup.imports(text, 2) == (3, {"rich.console": 9.0, "rich.segment": 1.5})


def test_startup_prints_each_command_with_its_goal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of processes whose times are made up: the first of a command takes two seconds more."""
    ran: list[list[str]] = []

    def run(words: list[str], folder: Path, *python: str) -> tuple[float, float, str]:
        ran.append([*python, *words])
        return (3.0 if ran.count(ran[-1]) == 1 else 1.0), 0.5, "import time: 7 | 7000 | torch"

    monkeypatch.setattr(startup, "run", run)
    monkeypatch.setattr(sys, "argv", ["startup", "--json", "--repeat", "2", "--modules", "1"])
    startup.main()
    found = json.loads(capsys.readouterr().out)
    assert {one["command"]: one["goal_s"] for one in found} == startup.COMMANDS
    assert all(
        sorted(one["seconds"]) == [1.0, 3.0] and one["cpu_s"] == [0.5, 0.5]
        for one in found
        if one["command"] != f"launch {startup.SWEEP} --workers 1"
    )
    assert all((one["modules"], one["costs"]) == (1, {"torch": 7.0}) for one in found)
    assert ran[0] == ["launch", startup.SWEEP, "--workers", "1"], "the sweep is finished before anything is measured"
    assert len(ran) == 1 + 3 * len(startup.COMMANDS)


def test_startup_measures_only_what_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def run(words: list[str], folder: Path, *python: str) -> tuple[float, float, str]:
        ran.append(words[0])
        return 1.0, 0.5, ""

    monkeypatch.setattr(startup, "run", run)
    monkeypatch.setattr(sys, "argv", ["startup", "--only=list,--help", "--repeat=1"])
    startup.main()
    assert sorted(ran) == ["--help", "--help", "list", "list"], "nothing is launched for these"
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["command", "--help", "list"]

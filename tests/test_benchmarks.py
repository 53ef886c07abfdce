"""Benchmarks run, and what they compare is the same function."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cclom_cache, checkpoints, crowd, gpu, growth, queue, speed, surroundings
from benchmarks.steps import METHODS, Work
from benchmarks.turns import Conditions, compare
from ddsweep.numerics import Numerics


def test_cclom_cache(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["cclom_cache", "--json", "--steps", "3", "--width", "2"])
    cclom_cache.main()
    found = json.loads(capsys.readouterr().out)
    assert found["difference"] < 1e-5
    assert found["ratio"] == found["looking_again_s"] / found["remembering_s"]  # how large it is depends on the machine


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
        turns = list(zip(row["plain_s"], row["fast_s"], strict=True))
        assert len(turns) == 2
        assert row["ratio"] == statistics.median(plain / fast for plain, fast in turns)
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


def test_surroundings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "elsewhere", lambda words, surrounded: 2.0 if surrounded else 5.0)
    monkeypatch.setattr(sys, "argv", ["surroundings", "--method", "dm", "--turns", "1"])
    surroundings.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| dm")]
    assert rows[0] == "| dm | float32 | off | 5e+03 | 2e+03 | 2.50 |" and len(rows) == 4


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

"""``ddsweep estimate`` through the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddsweep import device, sweep
from ddsweep.cli import estimate
from ddsweep.estimate.forecast import Crew, Outlook, Saving, Share
from ddsweep.launchers import plan
from tests.cli.conftest import Run

QUICK = ["--profile", "demo", "--seconds", "0.01", "--workers", "0", "--device", "cpu"]


def test_it_says_everything_within_a_hundred_columns(ddsweep: Run, tiny: list[str], isolated: Path) -> None:
    result = ddsweep("estimate", "ablation-alpha", *QUICK, *tiny)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "ablation-alpha@demo · How large should the weight of the CLoM term be? · 9 cells"
    assert any(line.startswith("9 cells, ") and "CPU-hours → about " in line and "; disk " in line for line in lines)
    assert any(line.startswith("training   1 PTM (") for line in lines)
    assert any("step" in line and "clom convnet3" in line for line in lines)
    assert max(map(len, lines)) <= 100
    assert not (isolated / "runs").exists()


def test_what_was_run_is_no_longer_counted(ddsweep: Run, tiny: list[str]) -> None:
    two = ["--set", "alpha=0,10", *tiny]
    before = json.loads(ddsweep("estimate", "ablation-alpha", *QUICK, *two, "--json").stdout)
    assert (len(before["cells"]), len(before["trainings"]), before["ended"]) == (2, 1, 0)
    assert before["wall"] > sum(before["cells"].values())
    assert ddsweep("launch", "ablation-alpha", "-p", "demo", "--workers", "0", *two).exit_code == 0
    done = ddsweep("estimate", "ablation-alpha", *QUICK, *two).stdout
    assert "every cell is done" in done
    more = ddsweep("estimate", "ablation-alpha", *QUICK, "--set", "alpha=0,10,100", *tiny).stdout
    assert "1 cell + 2 done" in more
    assert "PTM (" not in more


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "unknown sweep 'nope'"),
        (["ablation-alpha", "--set", "alpha"], "write KEY=VALUE"),
        (["ablation-alpha", "--compile", "maybe"], "compile: unknown mode 'maybe'"),
        (["ablation-alpha", "--gpus", "0"], "gpus: must be at least 1"),
        (["ablation-alpha", "--gpus", "2", "--workers", "2"], "give one of them"),
        (["ablation-alpha", "--gpus", "3-x"], "gpus: "),
        (["ablation-alpha", "--device", "cpu", "--per-gpu", "2"], "per-gpu: "),
    ],
)
def test_bad_input_is_one_line(ddsweep: Run, words: list[str], said: str) -> None:
    result = ddsweep("estimate", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "devices", "per_device", "threads"),
    [
        (["--gpus", "4", "--per-gpu", "2"], 4, 2, 3),  # 12 cores for the four agents on the two GPUs that are here
        (["--gpus", "4"], 4, 1, 6),
        (["--gpus", "0-1", "--per-gpu", "3"], 2, 3, 2),
        (["--gpus", "1"], 1, 1, 12),
        ([], 2, 1, 6),
        (["--workers", "3"], 2, 2, 3),
    ],
)
def test_gpus_that_are_here_stand_for_those_that_are_not(
    monkeypatch: pytest.MonkeyPatch, words: list[str], devices: int, per_device: int, threads: int
) -> None:
    monkeypatch.setattr(device, "visible", lambda: ["5", "7"])
    monkeypatch.setattr(device, "resolve", lambda wanted: ["cuda:0", "cuda:1"])
    monkeypatch.setattr(plan, "cores", lambda: 12)
    asked = dict(zip(words[::2], words[1::2], strict=True))
    per_gpu, workers = (int(asked[name]) if name in asked else None for name in ("--per-gpu", "--workers"))
    crew, slot = estimate.crew("auto", workers, asked.get("--gpus"), per_gpu)
    assert crew == Crew(devices, per_device)
    order = estimate.order(slot, crew, 1.0, in_process=False)
    assert (order.device, order.agents, order.threads) == ("cuda:0", per_device, threads)
    assert order.environment["CUDA_VISIBLE_DEVICES"] == "5"
    view = Outlook({"key": 7200.0}, 3, 2, {"a PTM": 540.0}, [], 136_800.0, 18_600.0, 1.1e9, Saving(0.0, 0.0, 0.0), [])
    *_, total, training, shared = estimate.lines(sweep.load("ablation-alpha", "demo"), view, crew, slot)
    each = f" × {per_device} agents" if per_device > 1 else ""
    gpus = f"{devices} GPU{'s' * (devices > 1)}{each}"
    assert total == f"1 cell + 3 done, 38 GPU-hours → about 5 h 10 min on {gpus}; disk 1.1 GB"
    assert training == "training   1 PTM (9 min), included above"
    assert shared == "shared     2 cells with other sweeps"


def test_what_was_not_measured_and_how_sure_the_estimate_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = [Share("dm · cifar10", 12.5, "step", 7200.0), Share("evaluation", 0.02, "pass", 60.0, measured=False)]
    view = Outlook(
        {"key": 7260.0}, 0, 0, {}, shares, 7260.0, 7300.0, 1e6, Saving(0.0, 0.0, 0.0), [], (6000.0, 10_800.0)
    )
    lines = list(estimate.lines(sweep.load("ablation-alpha", "demo"), view, Crew(1, 1), device.Slot("cpu")))
    assert "12.5 s per step" in lines[2] and not lines[2].endswith("*")
    assert "50 passes/s" in lines[3] and lines[3].endswith("1 min in total *")
    assert lines[4].startswith("  * no time to measure")
    assert "→ about 2 h 2 min on cpu" in lines[-2]
    assert lines[-1] == "range      1 h 40 min to 3 h, as far as the measurements tell"
    assert max(map(len, lines)) <= 100


def test_each_kind_is_reported_when_it_is_measured(ddsweep: Run, tiny: list[str]) -> None:
    result = ddsweep("estimate", "ablation-alpha", *QUICK, "--set", "alpha=0", *tiny)
    said = result.stderr.splitlines()
    assert [line.split("  ")[0] for line in said] == ["measured 1/3", "measured 2/3", "measured 3/3"]
    assert "step" in said[1] and "data digits" in said[0]

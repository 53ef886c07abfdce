"""How agents share the cores: which ways are tried, which one wins, and what is measured, kept, and given up."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from ddsweep import device, files, sweep
from ddsweep.launchers import calibration, plan
from ddsweep.launchers.calibration import Division, Step

SMALL = Step("convnet1", 1, 3, 8, 4, 6)


@pytest.mark.parametrize(
    ("cores", "most", "expected"),
    [
        (1, 1, [(1, 1)]),
        (2, 2, [(1, 2), (2, 1)]),
        (2, 1, [(1, 1), (2, 1)]),
        (6, 6, [(1, 6), (2, 3), (4, 1), (6, 1)]),
        (16, 3, [(1, 3), (2, 3), (4, 3), (5, 3), (8, 2), (16, 1)]),
    ],
)
def test_no_way_has_more_threads_than_cores_or_more_agents_than_cells(cores, most, expected):
    ways = calibration.candidates(cores, most)
    assert [(way.threads, way.agents) for way in ways] == expected
    assert all(way.threads * way.agents <= cores and 1 <= way.agents <= most for way in ways)


@pytest.mark.parametrize(
    ("rates", "threads"),
    [
        ({1: 10.0, 2: 5.0}, 1),
        ({1: 10.0, 2: 8.9, 4: 3.0}, 1),
        ({1: 10.0, 2: 9.1, 4: 3.0}, 2),
        ({1: 1.0, 2: 2.0, 4: 2.0}, 4),
    ],
)
def test_the_best_rate_wins_and_among_nearly_equal_ones_the_fewest_agents(rates, threads):
    chosen = calibration.choose({Division(each, 8 // each): rate for each, rate in rates.items()})
    assert chosen == Division(threads, 8 // threads)


def test_every_way_is_really_measured():
    rates = calibration._measured(SMALL, calibration.candidates(2, 2))
    assert set(rates) == {Division(1, 2), Division(2, 1)} and min(rates.values()) > 0


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The measurements that are asked for; the one with three threads is the best."""
    asked: list[Any] = []

    def measured(step: Step, ways: Any) -> dict[Division, float]:
        asked.append((step, ways))
        return {way: 100.0 - abs(way.threads - 3) for way in ways} if step.size != 32 else {}

    monkeypatch.setattr(calibration, "_measured", measured)
    monkeypatch.setattr(calibration, "LEAST", 1.0)
    return asked


def test_a_machine_is_measured_once_for_a_kind_of_step(rates: list[Any]) -> None:
    loaded = sweep.load("ablation-alpha", "demo")
    first = calibration.division(loaded.recipes, loaded.size, 12)
    assert first == Division(4, 3) or first == Division(2, 6), "the nearest to three threads"
    assert calibration.division(loaded.recipes, loaded.size, 12) == first
    assert calibration.division(loaded.recipes[:1], loaded.size, 12) == first
    assert len(rates) == 1 and rates[0][0] == Step("convnet3", 1, 10, 16, 32, 50)
    calibration.division(loaded.recipes, loaded.size, 8)  # in a container with fewer cores
    wide = sweep.load("ablation-alpha", "demo", {"width": 64})
    calibration.division(wide.recipes, wide.size, 12)
    assert len(rates) == 3


def test_more_agents_than_memory_has_room_for_are_not_tried(rates: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "memory", lambda: 5 << 30)
    loaded = sweep.load("ablation-alpha", "demo")
    calibration.division(loaded.recipes, loaded.size, 12)
    assert max(way.agents for way in rates[0][1]) == 2


@pytest.mark.parametrize("kept", [0, 1])
def test_measurements_of_only_some_ways_are_made_again(rates: list[Any], kept: int) -> None:
    path = files.cache_dir() / calibration.FILE
    loaded = sweep.load("ablation-alpha", "demo")
    first = calibration.division(loaded.recipes, loaded.size, 12)
    known = json.loads(path.read_text(encoding="utf-8"))
    files.write_json(path, {key: measured[:kept] for key, measured in known.items()})
    assert calibration.division(loaded.recipes, loaded.size, 12) == first
    assert len(rates) == 2 and json.loads(path.read_text(encoding="utf-8")) == known


@pytest.mark.parametrize("content", ["", "[1]", '{"a": [[0, 1, 2.0]]}', '{"a": 3}', '{"a": [["x", 1, 2.0]]}'])
def test_a_damaged_file_is_measured_again(rates: list[Any], content: str) -> None:
    path = files.cache_dir() / calibration.FILE
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    loaded = sweep.load("ablation-alpha", "demo")
    calibration.division(loaded.recipes, loaded.size, 12)
    calibration.division(loaded.recipes, loaded.size, 12)
    assert len(rates) == 1 and len(json.loads(path.read_text(encoding="utf-8"))) == 1


def test_what_cannot_be_measured_is_one_agent_per_two_cores_and_not_kept(rates: list[Any]) -> None:
    loaded = sweep.load("ablation-alpha", "quick")
    assert calibration.division(loaded.recipes, loaded.size, 12) == Division(2, 6)
    assert calibration.division(loaded.recipes, loaded.size, 1) == Division(1, 1), "nothing to choose"
    assert len(rates) == 1 and not (files.cache_dir() / calibration.FILE).exists()


@pytest.mark.parametrize(
    "failing",
    [
        lambda *words, **options: subprocess.CompletedProcess(words, 0, stdout="Warning\n[1.0, nan]\n"),
        lambda *words, **options: subprocess.CompletedProcess(words, 0, stdout="[1.0]\n"),
        lambda *words, **options: subprocess.CompletedProcess(words, 0, stdout=""),
        lambda *words, **options: (_ for _ in ()).throw(subprocess.TimeoutExpired("python", 1)),
        lambda *words, **options: (_ for _ in ()).throw(subprocess.CalledProcessError(-9, "python")),
    ],
)
def test_a_measuring_process_that_fails_is_no_reason_not_to_launch(
    monkeypatch: pytest.MonkeyPatch, failing: Any
) -> None:
    monkeypatch.setattr(subprocess, "run", failing)
    loaded = sweep.load("ablation-alpha", "demo")
    assert calibration.division(loaded.recipes, loaded.size, 8) == Division(2, 4)


def test_agents_get_the_threads_that_were_measured_and_options_still_count(
    rates: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "cores", lambda: 12)
    loaded = sweep.load("ablation-alpha", "demo")
    slots = plan.slots("cpu", None, sweep=loaded)
    assert (len(slots), plan.threads(slots)) in ((3, 4), (6, 2))
    assert plan.summary(slots) == [f"cpu × {len(slots)}"]
    slots = plan.slots("cpu", 5, sweep=loaded)
    assert (len(slots), plan.threads(slots), len(rates)) == (5, 2, 1)

"""What a distillation reports to its tracker, and when."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ddsweep.distill import metrics
from ddsweep.distill.metrics import Diverged, MetricsLog
from ddsweep.recipe import make
from ddsweep.trackers import Tracker
from tests import toys


class Recorder(Tracker):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.metrics: dict[int, dict[str, float]] = {}
        self.images: list[int] = []

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.metrics[step] = metrics

    def image(self, name: str, png: bytes, step: int) -> None:
        self.images.append(step)


class Clock:
    """A clock that tests set."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(metrics, "time", clock)
    return clock


def started(iterations: int, **choices: Any) -> tuple[MetricsLog, Recorder]:
    logged = Recorder()
    recipe = make({"target": "digits", "ipc": 2, "method": "dm", "alpha": 0.0, "iterations": iterations} | choices)
    return MetricsLog(recipe, toys.dataset(), logged, recipe.outer_loops), logged


def run(log: MetricsLog, iterations: range, *terms: float) -> None:
    for step in iterations:
        log.add(*(torch.tensor(term) for term in terms))
        log.end_iteration(toys.synthetic(), step)


@pytest.mark.parametrize(
    ("iterations", "steps"),
    [(3, [1, 2, 3]), (100, [*range(1, 101)]), (199, [*range(1, 200)]), (250, [*range(2, 251, 2)]),
     (305, [*range(3, 304, 3), 305]), (1000, [*range(10, 1001, 10)])],
)  # fmt: skip
def test_about_a_hundred_steps_are_logged_and_the_last_always(iterations: int, steps: list[int]) -> None:
    log, logged = started(iterations)
    run(log, range(1, iterations + 1), 1.0)
    assert list(logged.metrics) == steps


@pytest.mark.parametrize(
    ("iterations", "steps"), [(4, [0, 1, 2, 3, 4]), (10, [0, 3, 5, 8, 10]), (3, [0, 1, 2, 3]), (1, [0, 1])]
)
def test_the_set_is_shown_before_the_first_step_and_after_each_quarter(iterations: int, steps: list[int]) -> None:
    log, logged = started(iterations)
    log.show(toys.synthetic(), 0)
    run(log, range(1, iterations + 1), 1.0)
    assert logged.images == steps


def test_logged_terms_are_the_means_since_the_last_line() -> None:
    log, logged = started(200, alpha=3.0)
    for step, match in enumerate((1.0, 3.0, 5.0, 9.0), start=1):
        log.add(torch.tensor(match), torch.tensor(10 * match))
        log.end_iteration(toys.synthetic(), step)
    found = [(step, line["loss/match"], line["loss/regularizer"]) for step, line in logged.metrics.items()]
    assert found == [(2, 2.0, 20.0), (4, 7.0, 70.0)]


def test_rates_are_of_the_time_since_the_last_line(clock: Clock) -> None:
    """Three classes, each of ``batch_real`` real and ``ipc`` synthetic images, in every image step."""
    log, logged = started(200, method="dsa", ipc=10, batch_real=30, outer_loops=2)
    for step, seconds in enumerate((1.0, 3.0, 0.5, 0.5), start=1):
        log.add(torch.tensor(1.0))
        log.add(torch.tensor(1.0))  # two image steps an iteration
        clock.seconds += seconds
        log.end_iteration(toys.synthetic(ipc=10), step)
    found = [(line["steps_per_second"], line["images_per_second"]) for line in logged.metrics.values()]
    assert found == [(2 / 4, 4 * 3 * 40 / 4), (2 / 1, 4 * 3 * 40 / 1)]


def test_what_was_not_logged_yet_outlives_an_interruption(clock: Clock) -> None:
    whole, parts = started(300), started(300)
    run(whole[0], range(1, 4), 1.0)
    run(parts[0], range(1, 3), 1.0)
    clock.seconds += 6
    state = parts[0].state()
    clock.seconds += 1000  # nobody is at work
    again = MetricsLog(
        make({"target": "digits", "ipc": 2, "alpha": 0.0, "iterations": 300}), toys.dataset(), parts[1], 1
    )
    again.restore(state)
    clock.seconds += 2
    run(again, range(3, 4), 7.0)
    assert parts[1].metrics[3]["loss/match"] == (1 + 1 + 7) / 3
    assert parts[1].metrics[3]["steps_per_second"] == pytest.approx(3 / 8)
    assert list(parts[1].metrics) == list(whole[1].metrics) == [3]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_found_when_it_is_logged(bad: float) -> None:
    log, logged = started(200)
    run(log, range(1, 2), bad)
    with pytest.raises(Diverged, match=f"the loss is {bad} at step 2 of 200"):
        run(log, range(2, 3), 1.0)
    assert logged.metrics == {}

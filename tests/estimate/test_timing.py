"""The watch, by a clock that the test turns."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ddsweep.estimate import timing as module
from ddsweep.estimate.timing import PATIENCE, Pace, Watch, affordable, pace


class Clock:
    """Shows what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def run(self, watch: Watch, steps: list[float]) -> list[bool]:
        found = []
        for seconds in steps:
            self.now += seconds
            found.append(watch.tick())
        return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_first_step_and_hiccups_do_not_count(clock: Clock) -> None:
    watch = Watch(10.0, lambda: None)
    ends = clock.run(watch, [62.0, 2.0, 2.0, 9.0, 2.0, 2.0, 2.0])
    assert ends == [False] * 4 + [False, True, True]  # ten seconds after the first; not while 9 is followed by 2
    assert watch.pace.steps == (pytest.approx(2.0),)
    assert watch.pace.warm_up == pytest.approx(60.0)


def test_compiling_in_the_second_step_too(clock: Clock) -> None:
    watch = Watch(1.0, lambda: None)
    ends = clock.run(watch, [30.0, 12.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert ends.index(True) == 3
    assert watch.pace.steps == (pytest.approx(0.5),)
    assert watch.pace.warm_up == pytest.approx(30 + 12 - 2 * 0.5)


def test_steps_that_never_settle_end_it_too(clock: Clock) -> None:
    watch = Watch(1.0, lambda: None)
    assert clock.run(watch, [1.0, 3.0] * 4).index(True) == PATIENCE - 1


def test_short_steps_are_taken_together_and_the_device_waits_once_for_them(clock: Clock) -> None:
    waits = []
    watch = Watch(0.2, lambda: waits.append(clock.now))
    clock.run(watch, [0.01] * 40)
    assert len(waits) <= 1 + 40 // 5
    assert watch.pace.steps == (pytest.approx(0.01),)


def test_first_and_later_steps_take_turns(clock: Clock) -> None:
    watch = Watch(20.0, lambda: None, cycle=2)
    clock.run(watch, [9.0, 5.0, 1.0, 5.0, 1.0, 5.0])
    assert watch.pace.steps == (pytest.approx(1.0), pytest.approx(5.0))
    assert watch.pace.warm_up == pytest.approx(8.0)


def test_a_loop_that_ends_by_itself_counts_what_it_did(clock: Clock) -> None:
    watch = Watch(0.0, lambda: None)
    for _ in range(3):
        watch.start()
        clock.run(watch, [0.004, 0.004])
        assert not watch.enough or watch.pace.steps == (pytest.approx(0.004),)
        watch.flush()
    assert watch.enough


def test_a_long_warm_up_is_told_from_the_second_half() -> None:
    step, warm_up = pace([(1, 30.0), *[(1, 12.0)] * 3, (2, 1.0), (1, 0.5), (4, 2.0)])
    assert (step, warm_up) == (0.5, 30 + 3 * 12 - 4 * 0.5)


def test_one_interval_is_all_there_is() -> None:
    assert pace([(4, 2.0)]) == (0.5, 0.0)


@pytest.mark.parametrize(
    ("whole", "seconds", "runs"),
    [
        (10, 100.0, [(2, 0.0), (10, 100.0)]),  # all of it fits
        (100, 60.0, [(2, 0.0), (15, 60.0)]),  # two seconds for each unit: two rounds of 15 fill a minute
        (100, 1.0, [(2, 0.0), (2, 1.0)]),  # nothing does; the least is all there is
        (2, 1.0, [(2, 1.0)]),
    ],
)
def test_as_much_as_fits(whole: int, seconds: float, runs: list[tuple[int, float]]) -> None:
    asked = []

    def run(size: int, wanted: float) -> Pace:
        asked.append((size, wanted))
        return Pace((0.5 * size, 1.5 * size), 3.0)

    found = affordable(run, whole, 2, seconds)
    assert (found.steps, found.warm_up) == ((0.5 * whole, 1.5 * whole), 3.0)
    assert asked == runs
    in_part = asked[-1][0] < whole
    assert (found.doubt > Pace(()).doubt) == in_part, "what is extrapolated is less certain"


def test_a_part_that_has_taken_too_long_already_is_not_run_again(clock: Clock) -> None:
    asked = []

    def run(size: int, wanted: float) -> Pace:
        asked.append((size, wanted))
        clock.now += 30.0
        return Pace((15.0,))

    assert affordable(run, 10, 2, 5.0).steps == (75.0,)
    assert asked == [(2, 0.0)]


def test_after_the_limit_one_interval_of_each_step_has_to_do(clock: Clock) -> None:
    watch = Watch(1.0, lambda: None, cycle=2, limit=10.0)
    assert clock.run(watch, [8.0, 3.0]) == [False, True]
    assert watch.pace.steps == (8.0, 3.0) and watch.pace.doubt == module.FEW
    quick = Watch(1.0, lambda: None, cycle=2, limit=10.0)
    assert clock.run(quick, [0.1] * 12)[:3] == [False] * 3, "short steps settle first"


def test_steps_that_scatter_are_less_certain() -> None:
    even, uneven = ([(1, 1.0 + scatter * (index % 3)) for index in range(8)] for scatter in (0.0, 0.4))
    assert module.USUAL == module.doubt(even) < module.doubt(uneven) <= module.MOST
    assert module.doubt([(1, 1.0)]) == module.FEW
    assert module.doubt(3 * uneven) < module.doubt(uneven), "and more of them are more certain"

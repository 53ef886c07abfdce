"""One trial, killed at every point at which it changes something: the same bits after one relaunch, and no attempt."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from ddsweep import data, sweep
from ddsweep.backends import Definition, Row, State, connect
from ddsweep.settings import settings
from tests.havoc import intact
from tests.havoc.points import NAME, Orders, start

CELL = [
    "alpha=10", "ipc=1", "width=4", "iterations=3", "batch_real=8", "n_models=1", "ptm_train_epochs=2", "ptm_epoch=2",
    "ptm_batch=512", "eval_nets=2", "eval_epochs=2",
]  # fmt: skip
PATIENCE = 60.0  # seconds for a trial of some tenths of one
BOUND = 60.0  # seconds for as many of the points as fit


class Bench:
    """A sweep of one cell, which is made anew for every kill.

    Attributes:
        moments: the points of a trial that is not killed.
        undisturbed: what it finds.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._data = folder / "data"
        monkeypatch.setenv("DDSWEEP_CACHE", str(self._data))
        one = replace(sweep.load(NAME, None, settings(CELL)), name=NAME.partition("@")[0])
        self._definition = Definition.of(one)
        data.prepare(one.recipes[0].target, one.recipes[0].size)
        calm = self.prepare("calm")
        orders = Orders(calm, moments=folder / "moments")
        self._finish(orders)
        self.moments = (folder / "moments").read_text().splitlines()
        self.undisturbed = intact.findings(orders.runs, calm / "cache" / "pool")

    def prepare(self, name: str) -> Path:
        """A folder with the data, and with the sweep registered."""
        place = self._folder / name
        shutil.copytree(self._data, place / "cache")
        (place / "runs").mkdir()
        store = connect(Orders(place).storage)
        store.sweep(NAME).register(self._definition)
        store.close()
        return place

    def strike(self, point: int) -> Row:
        """Kill an agent at a point, launch another one, and compare; the row of the cell."""
        place = self.prepare(f"point-{point}")
        victim = start(Orders(place, dies=point))
        victim.join(PATIENCE)
        # the last ones depend on how often others were waited for: a trial may have fewer of them
        spared = victim.exitcode == 0 and point > 0.95 * len(self.moments)
        assert spared or victim.exitcode == -signal.SIGKILL, f"point {point}: {victim.exitcode}"
        orders = Orders(place)
        self._finish(orders)
        assert intact.findings(orders.runs, place / "cache" / "pool") == self.undisturbed, self.moments[point - 1]
        assert intact.temporaries(orders.runs) == [], self.moments[point - 1]
        store = connect(orders.storage)
        (row,) = store.sweep(NAME).status().rows
        store.close()
        shutil.rmtree(place)
        return row

    def _finish(self, orders: Orders) -> None:
        agent = start(orders)
        agent.join(PATIENCE)
        assert agent.exitcode == 0


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def survive(bench: Bench, points: Iterable[int]) -> None:
    began, struck, lost = time.monotonic(), 0, 0
    for point in points:
        if time.monotonic() - began > BOUND:
            break
        row = bench.strike(point)
        what = f"point {point}, {bench.moments[point - 1]}"
        assert (row.state, row.attempts, row.reasons) == (State.COMPLETE, 1, ()), what
        struck, lost = struck + 1, lost + row.lost
    print(f"\n{struck} of {len(bench.moments)} points, {lost} leases lost; {time.monotonic() - began:.0f} s")
    assert 0 < lost <= struck


def test_a_kill_at_some_points_spends_no_attempt(bench: Bench) -> None:
    """Three that matter: claimed, a checkpoint, and a result that nobody was told of yet."""
    written = max(index for index, what in enumerate(bench.moments, 1) if "result.json" in what)
    found = {
        next(index for index, what in enumerate(bench.moments, 1) if pattern in what)
        for pattern in ("recipe.json", "evaluate-")
    }
    survive(bench, sorted(found | {written + 2}))


@pytest.mark.slow
def test_a_kill_at_any_point_spends_no_attempt(bench: Bench) -> None:
    """In an order that covers the whole trial, however many points there is time for."""
    numbers = range(1, len(bench.moments) + 1)
    survive(bench, [*numbers[::8], *numbers[4::8], *numbers[2::4], *numbers[1::2]])

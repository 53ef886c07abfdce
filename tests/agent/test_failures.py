"""Failures in a row on a slot, over more than one process."""

from __future__ import annotations

from pathlib import Path

from ddsweep.agent.failures import MOST, Streak


def test_three_different_cells_in_a_row_are_the_slots_fault() -> None:
    streak = Streak()
    for cell in ("a", "b"):
        streak.fail(cell, "no disk")
    streak.end()
    for cell in ("c", "c", "c", "d"):
        streak.fail(cell, "no disk")
    assert not streak.bad, "a cell ended between them, and attempts of one cell count once"
    streak.fail("e", "no disk either")
    assert streak.bad and len(streak.failed) == MOST


def test_it_outlives_the_process() -> None:
    path = Path("agent-0.streak")
    before = Streak.read(path)
    before.end()
    before.fail("a", "CUDA error")
    after = Streak.read(path)
    assert (after.ended, after.failed) == (1, {"a": "CUDA error"})
    path.write_text("{")
    assert Streak.read(path) == Streak(path)
    assert Streak.read(None) == Streak()

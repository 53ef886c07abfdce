"""Consecutive failures on a device slot, counted across processes."""

from __future__ import annotations

from pathlib import Path

from ddsweep.agent.failures import MAX_FAILURES, ConsecutiveFailures


def test_three_different_cells_in_a_row_are_the_slots_fault() -> None:
    failures = ConsecutiveFailures()
    for cell in ("a", "b"):
        failures.add(cell, "no disk")
    failures.reset()
    for cell in ("c", "c", "c", "d"):
        failures.add(cell, "no disk")
    assert not failures.limit_reached, "a cell ended between them, and attempts of one cell count once"
    failures.add("e", "no disk either")
    assert failures.limit_reached and len(failures.failed) == MAX_FAILURES


def test_it_outlives_the_process() -> None:
    path = Path("agent-0.failures")
    before = ConsecutiveFailures.read(path)
    before.reset()
    before.add("a", "CUDA error")
    after = ConsecutiveFailures.read(path)
    assert (after.ended, after.failed) == (1, {"a": "CUDA error"})
    path.write_text("{")
    assert ConsecutiveFailures.read(path) == ConsecutiveFailures(path)
    assert ConsecutiveFailures.read(None) == ConsecutiveFailures()

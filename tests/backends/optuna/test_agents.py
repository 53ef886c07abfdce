"""What Optuna's storages keep of agents."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep.backends import Definition, Point
from ddsweep.backends.optuna import agents
from tests.backends.conftest import Opener

DAY = 86400.0


@pytest.mark.parametrize(("later", "left"), [(DAY, ["killed:1", "works:1"]), (DAY + 1, ["works:1"])])
def test_an_agent_that_did_not_take_its_leave_is_dropped_after_a_day(
    open_store: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: float, left: list[str]
) -> None:
    """By the storage's clock, when the next one leaves."""
    backend, now = open_store(tmp_path / "sweeps.db").sweep("one@demo"), [1e9]
    monkeypatch.setattr(agents, "_now", lambda session: now[0])
    backend.register(Definition("one@demo", [Point("a", {"alpha": 0}, "k")]))
    for name, after in (("killed:1", 0.0), ("works:1", later - 60), ("leaves:1", 60.0)):
        now[0] += after
        backend.report(name, {"agent": name})
    backend.forget("leaves:1")
    assert [seen.status["agent"] for seen in backend.agents()] == left

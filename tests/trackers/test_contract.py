"""The tracker contract, kept by every tracker of ddsweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import wandb

from ddsweep.backends import Claim, Definition, Lease, Point, attach_image
from ddsweep.backends.memory import MemoryStore
from ddsweep.testing.tracker import RECIPE, TrackerContract
from ddsweep.trackers import FanOut, Tracker
from ddsweep.trackers.disk import DiskTracker
from ddsweep.trackers.queue import QueueTracker
from ddsweep.trackers.status import AgentStatus, StatusTracker
from ddsweep.trackers.wandb import WandbTracker


def claim() -> Claim:
    backend = MemoryStore(Lease(1, 10)).sweep("one")
    backend.register(Definition("one", [Point("a", {"alpha": 1.0}, RECIPE.key(), "one")]))
    claimed = backend.claim("me")
    assert claimed is not None
    return claimed


TRACKERS: dict[str, Callable[[Path], Tracker]] = {
    "base class": lambda folder: Tracker(),
    "disk": DiskTracker,
    "status": lambda folder: StatusTracker(folder, AgentStatus("host:1", "cpu", "one@demo")),
    "queue": lambda folder: QueueTracker(partial(attach_image, claim())),
    "wandb": lambda folder: WandbTracker("one@demo", folder, "", ""),
    "fan-out": lambda folder: FanOut(DiskTracker(folder), Tracker()),
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    wandb.teardown()  # the client reads its environment once
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    yield
    wandb.teardown()


class TestContract(TrackerContract):
    @pytest.fixture(params=TRACKERS)
    def tracker(self, request: pytest.FixtureRequest, tmp_path: Path) -> Tracker:
        return TRACKERS[request.param](tmp_path / "run")

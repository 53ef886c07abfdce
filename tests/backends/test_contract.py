"""The contract, kept by every implementation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from ddsweep.backends.memory import MemoryStore
from ddsweep.backends.optuna.backend import OptunaStore
from ddsweep.testing.queue import LEASE, Age, QueueContract
from tests.backends.conftest import Opener, assert_read_alike


class TestMemory(QueueContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore(LEASE)

    @pytest.fixture
    def age(self, store: MemoryStore) -> Age:
        def older(seconds: float) -> None:
            for sweep in store.sweeps.values():
                sweep.heartbeats = {identifier: beat - seconds for identifier, beat in sweep.heartbeats.items()}

        return older


class TestSqlite(QueueContract):
    @pytest.fixture
    def store(self, open_store: Opener, tmp_path: Path) -> Iterator[OptunaStore]:
        """A new store; what the reader without Optuna says of it after the test is the same."""
        path = tmp_path / "runs of {me} 100%?#" / "sweeps.db"
        store = open_store(path, LEASE)
        yield store
        assert_read_alike(path, store, LEASE)

    @pytest.fixture
    def age(self, store: OptunaStore) -> Age:
        def older(seconds: float) -> None:
            with store.database.transaction() as session:
                session.execute(
                    sa.text("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, :ago)"),
                    {"ago": f"-{seconds:g} seconds"},
                )

        return older


@pytest.mark.postgres
class TestPostgresql(QueueContract):
    @pytest.fixture
    def store(self, open_store: Opener, postgresql: str) -> OptunaStore:
        return open_store(postgresql, LEASE)

    @pytest.fixture
    def age(self, store: OptunaStore) -> Age:
        def older(seconds: float) -> None:
            with store.database.transaction() as session:
                session.execute(
                    sa.text("UPDATE trial_heartbeats SET heartbeat = heartbeat - make_interval(secs => :ago)"),
                    {"ago": seconds},
                )

        return older

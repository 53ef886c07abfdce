"""Who holds which cell, in every sweep of a storage, and who is dead."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages._rdb import models as m
from optuna.trial import TrialState

from ddsweep.backends import Definition, Point, State, connect
from ddsweep.backends.optuna.backend import OptunaStore
from ddsweep.backends.optuna.leases import running
from ddsweep.backends.optuna.tables import HOLDER
from tests.backends.conftest import Opener


def test_of_every_sweep_and_of_no_other_study(tmp_path: Path) -> None:
    store = connect(tmp_path / "x.db")
    try:
        for name in ("a@demo", "b@demo"):
            backend = store.sweep(name)
            backend.register(Definition(name, [Point(f"{name}{index}", {"alpha": index}, "k") for index in range(2)]))
            assert backend.claim(f"host:{name[0]}") is not None
        optuna.create_study(storage=store.database.rdb).ask()
        with closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
            database.execute(
                "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-10 minutes') WHERE trial_id = 1"
            )
        old, new = store.database.run(lambda session: running(session, store.lease), "read")
        assert (old.sweep, old.point.params, old.agent) == ("a@demo", {"alpha": 0}, "host:a")
        assert (new.sweep, new.agent) == ("b@demo", "host:b")
        assert old.silent >= 600
        assert new.silent <= old.silent - 600 + 1  # claimed after the other one, which was set back by ten minutes
    finally:
        store.close()


CLAIM = """
import sys, time
from ddsweep.backends import connect
claim = connect(sys.argv[1]).sweep("a@demo").claim("elsewhere:17")
claim.progressed = sys.argv[2] == "saved"
assert claim.heartbeat()
print("claimed", flush=True)
time.sleep(600)
"""


@pytest.fixture
def store(open_store: Opener, tmp_path: Path) -> OptunaStore:
    store = open_store(tmp_path / "x.db")  # leases of three minutes
    store.sweep("a@demo").register(Definition("a@demo", [Point("p", {"alpha": 0}, "k")], max_attempts=1))
    return store


@pytest.fixture
def holder(store: OptunaStore, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the cell."""
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(tmp_path / "x.db"), "no"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        yield process
        process.kill()


def pretend(store: OptunaStore, **changes: object) -> None:
    """Change what the storage knows about the holder."""
    with store.database.transaction() as session:
        table = m.TrialSystemAttributeModel
        text = session.scalar(sa.select(table.value_json).where(table.key == HOLDER))
        changed = json.dumps(json.loads(text or "") | changes)
        session.execute(sa.update(table).where(table.key == HOLDER).values(value_json=changed))


@pytest.mark.parametrize("reaped", [True, False])
def test_a_process_killed_on_this_host_is_known_to_be_dead_at_once(
    store: OptunaStore, holder: subprocess.Popen[str], reaped: bool
) -> None:
    queue = store.sweep("a@demo")
    queue.reconcile()
    assert queue.claim("next:1") is None, "it is alive"
    holder.kill()
    if reaped:
        holder.wait()
    else:
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    queue.reconcile()
    assert queue.claim("next:1") is not None
    (row,) = queue.status().rows
    assert (row.state, row.attempts, row.lost) == (State.RUNNING, 1, 1)
    assert row.reason == "lost: elsewhere:17 was killed"


def test_a_frozen_process_is_not_dead(store: OptunaStore, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    store.sweep("a@demo").reconcile()
    assert store.sweep("a@demo").claim("next:1") is None


@pytest.mark.parametrize("changes", [{"host": "node9"}, {"boot": "0"}, {"namespace": "pid:[1]"}, {"pid": None}])
def test_of_a_process_that_cannot_be_seen_nothing_is_known(
    store: OptunaStore, holder: subprocess.Popen[str], changes: dict[str, object]
) -> None:
    """On another host, before the last boot (other PIDs), in another container: its lease is waited for."""
    pretend(store, **changes)
    holder.kill()
    holder.wait()
    store.sweep("a@demo").reconcile()
    assert store.sweep("a@demo").claim("next:1") is None


def test_a_later_process_with_the_same_pid_is_another(store: OptunaStore, holder: subprocess.Popen[str]) -> None:
    pretend(store, started="1")
    store.sweep("a@demo").reconcile()
    assert store.sweep("a@demo").claim("next:1") is not None


def test_attempts_that_an_earlier_version_spent_on_kills_are_given_back(store: OptunaStore) -> None:
    """It marked nothing, and gave the point up: the reason is all that it left."""
    queue, definition = store.sweep("a@demo"), store.load_definition("a@demo")
    assert queue.claim("old:1") is not None
    with store.database.transaction() as session:
        trial = m.TrialModel.trial_id == 1
        session.execute(sa.update(m.TrialModel).where(trial).values(state=TrialState.FAIL))
        session.add(
            m.TrialUserAttributeModel(
                trial_id=1, key="reason", value_json=json.dumps("lost: no heartbeat from old:1 for 180 s")
            )
        )
    (row,) = queue.status().rows
    assert row.state is State.FAILED
    queue.register(definition)
    (row,) = queue.status().rows
    assert (row.state, row.attempts, row.lost) == (State.WAITING, 0, 1)
    claim = queue.claim("new:1")
    assert claim is not None and claim.fail("it was the disk")
    queue.reconcile()
    assert queue.register(definition).kept == 1
    assert queue.drained()

"""Who holds which cell, in every sweep of a storage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna

from ddsweep.backends import Definition, Point, connect
from ddsweep.backends.optuna.claims import running


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
        old, new = store.database.run(running, "read")
        assert (old.sweep, old.point.params, old.agent) == ("a@demo", {"alpha": 0}, "host:a")
        assert (new.sweep, new.agent) == ("b@demo", "host:b")
        assert old.silent >= 600
        assert new.silent <= old.silent - 600 + 1  # claimed after the other one, which was set back by ten minutes
    finally:
        store.close()

"""An agent process for the chaos tests: it claims, notes the execution in a log, waits a moment, and tells."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ddsweep.backends import Lease, connect
from ddsweep.backends.optuna import database

NAME = "chaos"
LEASE = Lease(beat=0.4, grace=2)  # SQLite's clock counts whole seconds


@dataclass(frozen=True)
class Orders:
    """What every agent is told."""

    url: str
    log: Path
    pause: float
    busy: int = 60


def work(orders: Orders, agent: str) -> None:
    """Run points until the sweep is drained; exit with 3 if anything that is not a point's own failure happens."""
    try:
        _work(orders, agent)
    except Exception as error:
        print(f"{agent}: {error!r}", file=sys.stderr, flush=True)
        sys.exit(3)


def _work(orders: Orders, agent: str) -> None:
    database.BUSY_SECONDS, database.PAUSES = orders.busy, (0.05, 0.2)  # as short, beside the real ones, as the lease
    store = connect(orders.url, LEASE, patient=True)
    backend = store.sweep(NAME)
    with orders.log.open("a", buffering=1) as log:
        while True:
            claim = backend.claim(agent)
            if claim is None:
                backend.reconcile()
                if backend.drained():
                    return
                time.sleep(0.1)
                continue
            with claim:
                log.write(f"{claim.point.id} {os.getpid()}\n")
                time.sleep(orders.pause)
                kept = claim.complete(claim.point.params["n"] / 1000)  # type: ignore[operator]
                log.write(f"{claim.point.id} {'kept' if kept else 'dropped'}\n")

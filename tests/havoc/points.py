"""An agent that is killed at the n-th moment at which it is about to change a file, a folder, or the storage."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

NAME = "ablation-alpha@demo"
MODULES = [
    "tests.havoc.points", "ddsweep.trial", "ddsweep.agent.worker", "ddsweep.backends.optuna.notes", "optuna_dashboard",
    "torch._dynamo", "torch.utils.flop_counter", "torch.fx.experimental.symbolic_shapes",
]  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
Moment = str


@dataclass(frozen=True)
class Orders:
    """What the agent is told.

    Attributes:
        place: the folder with its runs and its cache.
        dies: the moment before which it is killed, from 1; 0: never.
        moments: a file for the moments; None: they are not needed.
    """

    place: Path
    dies: int = 0
    moments: Path | None = None

    @property
    def runs(self) -> Path:
        """The runs folder."""
        return self.place / "runs"

    @property
    def storage(self) -> str:
        """The storage."""
        return f"sqlite:///{self.runs / 'ddsweep.db'}"


def start(orders: Orders) -> ForkServerProcess:
    """Start it, in a process that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    process = context.Process(target=work, args=(orders,), daemon=True)
    process.start()
    return process


def work(orders: Orders) -> None:
    """Run the agent until the queue is drained, or until it is killed."""
    from ddsweep import agent
    from ddsweep.checkpoints import slot

    os.environ["DDSWEEP_CACHE"] = str(orders.place / "cache")
    _, *others = slot.Checkpoints.__init__.__defaults__ or ()
    slot.Checkpoints.__init__.__defaults__ = (0.0, *others)  # at every boundary
    watch(orders)
    status = agent.main(NAME, orders.storage, orders.runs, agent.Placement("cpu", threads=1))
    sys.exit(status)


def watch(orders: Orders) -> None:
    """Count the moments of the main thread; others only report what it does."""
    import sqlalchemy as sa

    main, count, place = threading.main_thread(), 0, f"{orders.place}/"

    def moment(what: Moment) -> None:
        nonlocal count
        if threading.current_thread() is not main or what.endswith("moments"):
            return
        count += 1
        if orders.moments is not None:
            with orders.moments.open("a", encoding="utf-8") as file:
                file.write(f"{what}\n")
        if count == orders.dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in CHANGES or (event == "open" and arguments[2] & WRITING)
        if changes and str(arguments[0]).startswith(place):
            moment(f"{event} {str(arguments[0]).removeprefix(place)}")

    sys.addaudithook(hook)
    sa.event.listen(sa.Engine, "commit", lambda connection: moment("commit"))

"""The agent's word to the storage, every few seconds: that it is there, what it does; and whether to stop."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddsweep.agent.leaving import Leaving
    from ddsweep.backends import Queue
    from ddsweep.trackers.status import AgentStatus

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def pulse(backend: Queue, status: AgentStatus, leaving: Leaving, every: float) -> Iterator[None]:
    """Inside the block a thread reports ``status`` and hears requests to stop, every ``every`` seconds.

    A report that does not arrive is logged and costs nothing. After the block the agent is no longer listed.
    """
    done = threading.Event()

    def beat() -> None:
        while True:
            try:
                mode = backend.report(status.agent, asdict(status))
                if not done.is_set():
                    leaving.heed(mode)
            except Exception as error:
                logger.warning("the storage does not hear what this agent does (%s)", error)
            if done.wait(every):
                return

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(every)
        with contextlib.suppress(Exception):
            backend.forget(status.agent)

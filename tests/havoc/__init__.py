"""What befalls a sweep of real trials: agents, launchers, disks and power that fail while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 180.0  # seconds for anything to happen


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.1)

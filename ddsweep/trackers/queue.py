"""Attaches the images of a trial to its point in the queue, where the dashboard shows them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ddsweep.trackers import Tracker


class QueueTracker(Tracker):
    """Attaches every image to the point's page, under a name that sorts by step (``synthetic_000050.png``).

    Args:
        attach: takes a file and its name on the page; an agent passes ``backends.attach_image`` bound to its claim.
    """

    def __init__(self, attach: Callable[[Path, str], None]) -> None:
        self._attach = attach

    def image(self, name: str, png: bytes, step: int) -> None:
        """Attach the image as a PNG file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.png"
            path.write_bytes(png)
            self._attach(path, f"{name}_{step:06d}.png")

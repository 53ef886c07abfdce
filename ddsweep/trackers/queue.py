"""Pictures of a trial for the dashboard, through the claim that it runs under."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.trackers.null import NullTracker

if TYPE_CHECKING:
    from PIL.Image import Image


class QueueTracker(NullTracker):
    """Attaches every picture to the point's page. The names sort by step.

    ``attach`` takes a file and its name there; an agent gives ``backends.attach_image`` for its claim.
    """

    def __init__(self, attach: Callable[[Path, str], None]) -> None:
        self._attach = attach

    def image(self, name: str, picture: Image, step: int) -> None:
        """Hand the picture over as a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.png"
            picture.save(path)
            self._attach(path, f"{name}_{step:06d}.png")

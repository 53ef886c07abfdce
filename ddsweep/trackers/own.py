"""A plugin's tracker among those of a trial, which it cannot influence."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

from ddsweep.plugins import guards
from ddsweep.plugins.failure import describe
from ddsweep.trackers import Tracker, forwarding

logger = logging.getLogger(__name__)


def _guarded(name: str) -> Callable[..., None]:
    """A method of ``OwnTracker`` that calls the method of this name of its tracker."""

    def call(self: OwnTracker, *args: Any, **kwargs: Any) -> None:
        if self._tracker is None:
            return
        own, given = copy.deepcopy((args, kwargs))
        try:
            with guards.calling(self._what):
                getattr(self._tracker, name)(*own, **given)
        except (Exception, SystemExit) as error:
            logger.warning("%s stopped: %s", self._what, describe(error))
            self._tracker = None

    return call


@forwarding(_guarded)
class OwnTracker(Tracker):
    """Passes calls on to a plugin's tracker, with copies of what the trial itself still needs.

    What it prints goes to standard error, and what it changes in the process is restored. If it raises anything, a full
    disk included, that is reported once, and it gets no further calls.

    Args:
        name: as in ``--track``.
        make: makes the tracker; if this fails, there is none.
    """

    def __init__(self, name: str, make: Callable[[], Tracker]) -> None:
        self._what, self._tracker = f"tracker {name!r}", None
        try:
            with guards.calling(self._what):
                self._tracker = make()
        except (Exception, SystemExit) as error:
            logger.warning("%s was not made: %s", self._what, describe(error))

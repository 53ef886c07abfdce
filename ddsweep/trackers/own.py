"""A plugin's tracker among those of a trial, which it cannot influence."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from ddsweep.plugins import guards
from ddsweep.plugins.failure import describe
from ddsweep.trackers import Tracker

logger = logging.getLogger(__name__)
P = ParamSpec("P")


def _guarded(method: Callable[Concatenate[Tracker, P], None]) -> Callable[Concatenate[OwnTracker, P], None]:
    """A method of ``OwnTracker`` that calls the method of the same name of its tracker."""

    @functools.wraps(method)
    def call(self: OwnTracker, *args: P.args, **kwargs: P.kwargs) -> None:
        if self._tracker is None:
            return
        own, given = copy.deepcopy((args, kwargs))
        try:
            with guards.calling(self._what):
                getattr(self._tracker, method.__name__)(*own, **given)
        except (Exception, SystemExit) as error:
            logger.warning("%s stopped: %s", self._what, describe(error))
            self._tracker = None

    return call


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

    describe = _guarded(Tracker.describe)
    start = _guarded(Tracker.start)
    progress = _guarded(Tracker.progress)
    rewind = _guarded(Tracker.rewind)
    log = _guarded(Tracker.log)
    image = _guarded(Tracker.image)
    finish = _guarded(Tracker.finish)
    abort = _guarded(Tracker.abort)

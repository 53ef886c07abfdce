"""The orders in which trials call a tracker, as functions of a tracker."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

from ddsweep.plugins import resolve
from ddsweep.plugins.failure import describe
from ddsweep.recipe import make
from ddsweep.registry.trackers import TRACKERS
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker

RECIPE = make({"target": "digits", "ipc": 1, "iterations": 4})
RESULT = Result(RECIPE, {"convnet3": [0.5, 0.6]}, {"convnet3": [0.1] * 10}, {"distill": 2.0})
DIVERGED = Result(RECIPE, state="failed", reason="diverged")


def png(color: str | tuple[int, int, int] = "black") -> bytes:
    """A PNG file of one color."""
    out = io.BytesIO()
    Image.new("RGB", (6, 6), color).save(out, "PNG")
    return out.getvalue()


def track_trial(tracker: Tracker) -> None:
    """Call a tracker as a complete trial does."""
    tracker.start(RECIPE)
    tracker.progress("pretrain convnet3 0", 0, 2)
    tracker.rewind(0)
    tracker.progress("distill", 1, 4)
    tracker.log({"loss/match": 1.5}, 1)
    tracker.image("synthetic", png(), 0)
    tracker.image("synthetic", png("red"), 4)
    tracker.finish(RESULT)


def track_divergence(tracker: Tracker) -> None:
    """Call a tracker as a trial does whose loss diverges."""
    tracker.start(RECIPE)
    tracker.finish(DIVERGED)


def track_cell(tracker: Tracker) -> None:
    """Call a tracker as an agent does for a cell, which has a title in its sweep."""
    tracker.describe(RECIPE, "alpha 1 | ipc 1")
    track_trial(tracker)


def track_repetition(tracker: Tracker) -> None:
    """Call a tracker as for a trial that is aborted, and repeated."""
    tracker.abort("")
    tracker.start(RECIPE)
    tracker.abort("out of memory")
    track_trial(tracker)


def track_resumption(tracker: Tracker) -> None:
    """Call a tracker as for a trial that is interrupted; the second attempt logs the later steps again."""
    tracker.start(RECIPE)
    tracker.rewind(0)
    for step in (1, 2, 3):
        tracker.log({"loss/match": 1.0}, step)
        tracker.image("synthetic", png(), step)
    tracker.abort("")
    tracker.start(RECIPE)
    tracker.rewind(2)
    tracker.log({"loss/match": 1.0}, 3)
    tracker.image("synthetic", png(), 3)
    tracker.finish(RESULT)


def track_files(tracker: Tracker) -> None:
    """Call a tracker as when a finished run folder is read instead of computed: no ``rewind``, no ``progress``."""
    tracker.start(RECIPE)
    tracker.image("real", png(), 0)
    tracker.log({"loss/match": 1.5}, 1)
    tracker.finish(RESULT)


ORDERS = {
    "a trial": track_trial,
    "a trial that diverges": track_divergence,
    "a cell": track_cell,
    "a trial that is aborted and repeated": track_repetition,
    "a trial that is interrupted and resumed": track_resumption,
    "a finished run": track_files,
}
"""Every order, by what it is."""


def check_tracker(name: str) -> None:
    """Check that a tracker accepts every order of calls that trials make, without raising.

    In a trial, an error would only stop the tracker. Each order gets a tracker of its own, made as agents make it, with
    a temporary folder for ``runs``.

    Args:
        name: the tracker, as in ``--track``.

    Raises:
        AssertionError: it cannot be made, or raises; the message names the order and the error.
        UserError: an unknown tracker.
    """
    row = TRACKERS.take(name, "track")
    for order, track in ORDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            given = {"sweep": "ablation-alpha@demo", "runs": Path(folder), "project": "", "entity": ""}
            try:
                tracker = resolve(row.source)(**{one: given[one] for one in row.takes})
                track(tracker)
                track_trial(tracker)
            except (Exception, SystemExit) as error:
                raise AssertionError(f"tracker {name!r}: after {order}: {describe(error)}") from error

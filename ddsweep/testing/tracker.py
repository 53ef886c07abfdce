"""What every tracker must do. A tracker proves itself by giving the fixture ``tracker``; see ``TrackerContract``."""

from __future__ import annotations

import io

from PIL import Image

from ddsweep.recipe import make
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


class TrackerContract:
    """A tracker accepts every order of calls that trials make, without raising.

    Subclass it in a test module, with a fixture that returns a new tracker::

        class TestMyTracker(TrackerContract):
            @pytest.fixture
            def tracker(self, tmp_path):
                return MyTracker(tmp_path)
    """

    def test_a_trial_is_tracked_twice(self, tracker: Tracker) -> None:
        track_trial(tracker)
        track_trial(tracker)

    def test_a_trial_diverges(self, tracker: Tracker) -> None:
        tracker.start(RECIPE)
        tracker.finish(DIVERGED)

    def test_a_cell_has_a_title_in_its_sweep(self, tracker: Tracker) -> None:
        tracker.describe(RECIPE, "alpha 1 | ipc 1")
        track_trial(tracker)

    def test_an_aborted_trial_is_repeated(self, tracker: Tracker) -> None:
        tracker.abort()
        tracker.start(RECIPE)
        tracker.abort("out of memory")
        track_trial(tracker)

    def test_an_interrupted_trial_resumes(self, tracker: Tracker) -> None:
        """The second attempt logs the later steps again."""
        tracker.start(RECIPE)
        tracker.rewind(0)
        for step in (1, 2, 3):
            tracker.log({"loss/match": 1.0}, step)
            tracker.image("synthetic", png(), step)
        tracker.abort()
        tracker.start(RECIPE)
        tracker.rewind(2)
        tracker.log({"loss/match": 1.0}, 3)
        tracker.image("synthetic", png(), 3)
        tracker.finish(RESULT)

    def test_a_finished_trial_is_tracked_from_its_files(self, tracker: Tracker) -> None:
        """As when a finished run folder is read instead of computed: no ``rewind``, no ``progress``."""
        tracker.start(RECIPE)
        tracker.image("real", png(), 0)
        tracker.log({"loss/match": 1.5}, 1)
        tracker.finish(RESULT)

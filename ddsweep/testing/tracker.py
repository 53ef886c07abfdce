"""What every tracker must do. A tracker proves itself by giving the fixture ``tracker``; see ``TrackerContract``."""

from __future__ import annotations

from ddsweep.testing import tracked
from ddsweep.testing.tracked import DIVERGED as DIVERGED
from ddsweep.testing.tracked import RECIPE as RECIPE
from ddsweep.testing.tracked import RESULT as RESULT
from ddsweep.testing.tracked import png as png
from ddsweep.testing.tracked import track_trial as track_trial
from ddsweep.trackers import Tracker


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
        tracked.track_divergence(tracker)

    def test_a_cell_has_a_title_in_its_sweep(self, tracker: Tracker) -> None:
        tracked.track_cell(tracker)

    def test_an_aborted_trial_is_repeated(self, tracker: Tracker) -> None:
        tracked.track_repetition(tracker)

    def test_an_interrupted_trial_resumes(self, tracker: Tracker) -> None:
        tracked.track_resumption(tracker)

    def test_a_finished_trial_is_tracked_from_its_files(self, tracker: Tracker) -> None:
        tracked.track_files(tracker)

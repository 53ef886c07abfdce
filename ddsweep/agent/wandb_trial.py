"""One trial for an agent of W&B: one process, one run on W&B, and an answer or a stated reason at its end."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import agent, files, sweep
from ddsweep.agent import Shutdown, Stopped
from ddsweep.agent.failures import MAX_FAILURES, ConsecutiveFailures
from ddsweep.backends import Point, rules
from ddsweep.backends.local import FolderStore
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.pruning import Pruning
from ddsweep.trackers import FanOut, Tracker, status
from ddsweep.trackers.status import AgentStatus, StatusTracker

if TYPE_CHECKING:
    from ddsweep.checkpoints import Checkpoints
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result
    from ddsweep.sweep import Sweep
    from ddsweep.trackers.wandb import WandbTracker

logger = logging.getLogger(__name__)
ATTEMPTS = 3  # where the sweep is not known on this machine
FAILED = 1  # exit status: the run on W&B is marked failed and says why
LEFT, STOPPED = 128 + signal.SIGTERM, 128 + signal.SIGINT
DIED = "died"
PAUSE = 15.0  # seconds between two checks whether a full disk has free space again


class Spent(Exception):
    """Every attempt failed: the reasons, one after the other."""


@dataclass(frozen=True)
class TrialPlacement:
    """Where a trial runs, and for whom.

    Attributes:
        sweep: ``NAME@PROFILE``.
        runs: the folder of all runs.
        device: the device, as torch spells it here.
        device_label: the device as people read it; empty: ``device``.
        agent: HOST:PID of the ``ddsweep agent`` that it runs for; empty: this process answers for itself.
        failures: file of the consecutive failures on this device; None: they are not kept.
    """

    sweep: str
    runs: Path
    device: str
    device_label: str = ""
    agent: str = ""
    failures: Path | None = None

    @contextlib.contextmanager
    def shown(self) -> Iterator[StatusTracker]:
        """What ``ddsweep status`` reads: a file per agent, which its trials keep up to date one after the other."""
        about = AgentStatus(self.agent or agent.name(), self.device_label or self.device, self.sweep)
        tracker = StatusTracker(status.folder(self.runs, self.sweep), about)
        try:
            yield tracker
        finally:
            tracker.idle() if self.agent else tracker.close()


class Record:
    """What a device's trials leave behind for its agent: which of them failed in a row, those that died included.

    W&B's agent counts diverged trials too, which say nothing about a device, and not those that a signal killed. So a
    trial that begins counts as one that died, until it says otherwise.
    """

    def __init__(self, path: Path | None) -> None:
        self._failures = ConsecutiveFailures.read(path)

    def begin(self, cell: str) -> None:
        """A trial begins."""
        self._failures.add(cell, DIED)

    def fail(self, cell: str, reason: str) -> None:
        """It failed."""
        self._failures.add(cell, reason)

    def end(self) -> None:
        """It came to its end: complete, or diverged."""
        self._failures.reset()

    def leave(self, cell: str) -> None:
        """It was asked to leave: that says nothing."""
        self._failures.discard(cell)

    @property
    def limit_reached(self) -> bool:
        """Whether the device counts as bad; the latest, if it has not said how it ended, may still be at work."""
        reasons = list(self._failures.failed.values())
        return len(reasons) - (reasons[-1:] == [DIED]) >= MAX_FAILURES


def main(recipe: Recipe, place: TrialPlacement, tracker: WandbTracker) -> int:
    """The body of ``ddsweep trial``; the exit status.

    TERM: leaves, and W&B gives the point to another agent where it can. An interrupt (how W&B's Stop button reaches a
    process): leaves, and the run stays stopped.
    """
    record, shutdown, cell = Record(place.failures), Shutdown(), recipe.title()
    watched = Watched(recipe, place.sweep, place.runs, known(place))
    before = signal.signal(signal.SIGTERM, shutdown.handle_signal)
    record.begin(cell)
    try:
        with place.shown() as shown, shutdown.interruptible():
            result = attempts(recipe, place, FanOut(shown, tracker), shutdown.checkpoints, watched.pruning)
    except (Stopped, KeyboardInterrupt) as asked:
        if watched.last and tracker.stopped():
            record.end()
            tracker.prune(watched.prune())
            return 0
        record.leave(cell)
        stopped = isinstance(asked, KeyboardInterrupt)
        tracker.abort("stopped" if stopped else "")
        return STOPPED if stopped else LEFT
    except Spent as reasons:
        record.fail(cell, str(reasons))
        tracker.abort(str(reasons))
        return failed(cell, str(reasons))
    else:
        record.end()
        return 0 if result.accuracy is not None else failed(cell, result.reason or "no accuracy")
    finally:
        signal.signal(signal.SIGTERM, before)


def failed(cell: str, reason: str) -> int:
    """Say why on stderr, in one line; the exit status."""
    print(f"failed: {cell}: {' '.join(reason.split())}", file=sys.stderr)  # noqa: T201
    return FAILED


def attempts(
    recipe: Recipe, place: TrialPlacement, tracker: Tracker, checkpoints: Checkpoints, pruning: Pruning | None = None
) -> Result:  # fmt: skip
    """Try until there is a result. W&B never repeats a point of a grid, so a trial repeats itself.

    Raises:
        Spent: all attempts failed; or one failed in a way that this process cannot mend: on its device, or for a
            reason that is the user's to put right.
        Interrupted: asked to leave; the state is saved.
    """
    from ddsweep import trial

    cells = known(place)
    needed = spec.needs(cells.recipes) if cells else None
    most = cells.max_attempts if cells else ATTEMPTS
    reasons: list[str] = []
    while True:
        try:
            return trial.run(recipe, tracker, place.device, place.runs, needed, checkpoints, pruning=pruning)
        except Exception as error:
            if files.is_full(error):
                wait_for_disk(place, tracker, error)
                continue
            hopeless = isinstance(error, UserError) or agent.is_device_error(error)
            logger.error("attempt %d of %d failed", len(reasons) + 1, most, exc_info=not isinstance(error, UserError))
            reasons.append(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
            if hopeless or len(reasons) >= most:
                raise Spent(numbered(reasons)) from None


def numbered(reasons: Sequence[str]) -> str:
    """The reasons of all attempts in one text."""
    lines = (f"attempt {number}: {reason}" for number, reason in enumerate(reasons, 1))
    return reasons[0] if len(reasons) == 1 else "; ".join(lines)


def wait_for_disk(place: TrialPlacement, tracker: Tracker, error: Exception) -> None:
    """Wait until the disk that was full has room; being asked to leave ends the waiting."""
    folders = (place.runs, files.cache_dir(), Path(tempfile.gettempdir()))
    full = [folder for folder in folders if not files.has_free_space(folder)] or [place.runs]
    logger.warning("paused: disk full at %s (%s)", full[0], error)
    tracker.progress(f"paused: disk full at {full[0]}", 0, 0)
    time.sleep(PAUSE)
    while not all(files.has_free_space(folder) for folder in full):
        time.sleep(PAUSE)


def known(place: TrialPlacement) -> Sweep | None:
    """The trial's sweep as it was launched from this runs folder, or as this machine has a file of it, if it does.

    Its other cells may need other epochs of the same PTMs, which are then kept; no number depends on it.
    """
    launched = FolderStore(place.runs)
    try:
        if place.sweep in launched.names():
            return sweep.Sweep.from_definition(launched.load_definition(place.sweep).definition)
        return sweep.load(place.sweep)
    except UserError:
        return None


class Watched:
    """A trial of a search that W&B deals: noted in the runs folder, and looked at for ``early_terminate``.

    W&B counts the accuracies that a run logs from 0 and compares the one that has the number of the band. So all up to
    there are told, and it is W&B that stops the run.

    Args:
        recipe: the experiment.
        name: ``NAME@PROFILE``.
        runs: the folder of all runs.
        sweep: what this machine knows of the sweep; None: nothing, and then nothing is looked at.
    """

    def __init__(self, recipe: Recipe, name: str, runs: Path, sweep: Sweep | None) -> None:
        self.last: tuple[int, float] | None = None
        self._store, self._name, self._point = FolderStore(runs), name, None
        early = None
        if sweep is not None and sweep.search is not None:
            params = {name: getattr(recipe, name) for name in sweep.swept}
            self._point = Point(recipe.key(), params, recipe.key(), recipe.title())
            self._store.note(self._name, self._point)
            early = sweep.search.early
        counted = range(1, max(early.bands) + 2) if early else ()
        steps = (early.step(band, recipe.iterations) for band in counted) if early else ()
        self._steps = tuple(step for step in steps if step < recipe.iterations)

    @property
    def pruning(self) -> Pruning | None:
        """For the trial; None where W&B stops nothing."""
        return Pruning(self._steps, self._report) if self._steps else None

    def _report(self, step: int, accuracy: float) -> bool:
        self.last = step, accuracy
        return True

    def prune(self) -> str:
        """Note that W&B has stopped it; the reason."""
        assert self.last is not None and self._point is not None
        reason = rules.pruned(*self.last)
        self._store.note(self._name, self._point, reason)
        return reason

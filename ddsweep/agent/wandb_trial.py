"""One trial for an agent of W&B: one process, one run on W&B, and a result or a reason for its failure."""

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

from ddsweep import agent, characters, files, sweep
from ddsweep.agent import Shutdown, Stopped
from ddsweep.agent.failures import MAX_FAILURES, ConsecutiveFailures
from ddsweep.backends import Point, rules
from ddsweep.backends.local import FolderStore
from ddsweep.data.progress import Listener, reported_to
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.pruning import Pruning
from ddsweep.results import image_checksums
from ddsweep.trackers import FanOut, Tracker, status
from ddsweep.trackers.status import AgentStatus, StatusTracker

if TYPE_CHECKING:
    from ddsweep.checkpoints import Checkpoints
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result
    from ddsweep.sweep import Sweep
    from ddsweep.trackers.wandb import WandbTracker

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 3  # if the definition of the sweep is not available on this machine
FAILED = 1  # exit status; the run on W&B is marked failed and has the reason
TERMINATED, STOPPED = 128 + signal.SIGTERM, 128 + signal.SIGINT
DIED = "died"
PAUSE = 15.0  # seconds between two checks whether a full disk has free space again


class AttemptsFailed(Exception):
    """Every attempt failed; the message has the reason of each."""


@dataclass(frozen=True)
class TrialPlacement:
    """Where a trial runs, and for which agent.

    Attributes:
        sweep: ``NAME@PROFILE``.
        runs: the folder of all runs.
        device: the device, as torch spells it here.
        device_label: the device as people read it; empty: ``device``.
        agent: HOST:PID of the ``ddsweep agent`` that it runs for; empty: none.
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
        """The status file of the agent for ``ddsweep status``; its trials update it one after the other."""
        about = AgentStatus(self.agent or agent.name(), self.device_label or self.device, self.sweep)
        tracker = StatusTracker(status.folder(self.runs, self.sweep), about)
        try:
            yield tracker
        finally:
            tracker.idle() if self.agent else tracker.close()


class TrialRecord:
    """Consecutive failures of the trials on a device, including trials that were killed; the agent reads them.

    W&B's agent also counts diverged trials, which say nothing about a device, but not those that a signal killed.
    Therefore a trial counts as killed from its start until it records how it ended.
    """

    def __init__(self, path: Path | None) -> None:
        self._failures = ConsecutiveFailures.read(path)

    def start(self, cell: str) -> None:
        """Record that a trial starts."""
        self._failures.add(cell, DIED)

    def fail(self, cell: str, reason: str) -> None:
        """Record that it failed."""
        self._failures.add(cell, reason)

    def end(self) -> None:
        """Record that it ended: complete, pruned, or diverged."""
        self._failures.reset()

    def discard(self, cell: str) -> None:
        """Record that it was interrupted, which says nothing about the device."""
        self._failures.discard(cell)

    @property
    def limit_reached(self) -> bool:
        """Whether the device counts as bad; the latest trial is not counted while it may still be running."""
        reasons = list(self._failures.failed.values())
        return len(reasons) - (reasons[-1:] == [DIED]) >= MAX_FAILURES


def main(recipe: Recipe, placement: TrialPlacement, tracker: WandbTracker, further: Sequence[Tracker] = ()) -> int:
    """Run ``ddsweep trial``, which W&B's tracker and ``further`` ones follow; returns the exit status.

    On SIGTERM the trial saves and exits, and W&B requeues the point if it can. On SIGINT, which W&B's Stop button
    sends, the trial exits and the run stays stopped.
    """
    known = known_sweep(placement)
    cell = known.cell_title(recipe) if known else recipe.title()
    record, shutdown = TrialRecord(placement.failures), Shutdown()
    search = SearchTrial(recipe, placement.sweep, placement.runs, known)
    before, own = signal.signal(signal.SIGTERM, shutdown.handle_signal), FanOut(tracker, *further)
    record.start(cell)
    try:
        with placement.shown() as shown, shutdown.interruptible():
            trackers = FanOut(shown, tracker, *further)
            trackers.describe(recipe, cell)
            result = run_attempts(recipe, placement, trackers, shutdown.checkpoints, search.pruning)
    except (Stopped, KeyboardInterrupt) as interruption:
        if search.last and tracker.stopped():
            record.end()
            tracker.prune(search.prune())
            FanOut(*further).abort("pruned")
            return 0
        record.discard(cell)
        stopped = isinstance(interruption, KeyboardInterrupt)
        own.abort("stopped" if stopped else "")
        return STOPPED if stopped else TERMINATED
    except AttemptsFailed as reasons:
        record.fail(cell, str(reasons))
        own.abort(str(reasons))
        return failed(cell, str(reasons))
    else:
        record.end()
        return 0 if result.accuracy is not None else failed(cell, result.reason or "no accuracy")
    finally:
        signal.signal(signal.SIGTERM, before)


def failed(cell: str, reason: str) -> int:
    """Print the reason on stderr, in one line; returns the exit status."""
    print(characters.one_line(f"failed: {cell}: {reason}"), file=sys.stderr)  # noqa: T201
    return FAILED


def run_attempts(
    recipe: Recipe,
    placement: TrialPlacement,
    tracker: Tracker,
    checkpoints: Checkpoints,
    pruning: Pruning | None = None,
) -> Result:
    """Repeat the trial until it has a result, because W&B never repeats a point of a grid.

    Raises:
        AttemptsFailed: all attempts failed; or one failed for a reason that repeating does not fix: a device error, or
            an error that only the user can fix.
        Interrupted: interrupted by a signal; the state is saved.
    """
    from ddsweep import trial

    definition = known_sweep(placement)
    needed = spec.needs(definition.recipes) if definition else None
    most = definition.max_attempts if definition else MAX_ATTEMPTS
    reasons: list[str] = []
    while True:
        try:
            with reported_to(Listener.of_phases(tracker.progress)):  # this host may have to decode them
                refusal = image_checksums.refusal(recipe, definition.data if definition else {})
            if refusal:
                raise UserError(refusal)
            return trial.run(
                recipe, tracker, placement.device, placement.runs, needed, checkpoints, pruning=pruning, recompute=True
            )
        except Exception as error:
            if files.is_full(error):
                wait_for_disk(placement, tracker, error)
                continue
            final = isinstance(error, UserError) or agent.is_device_error(error)
            logger.error("attempt %d of %d failed", len(reasons) + 1, most, exc_info=not isinstance(error, UserError))
            reasons.append(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
            if final or len(reasons) >= most:
                raise AttemptsFailed(numbered(reasons)) from None


def numbered(reasons: Sequence[str]) -> str:
    """The reasons of all attempts in one line."""
    lines = (f"attempt {number}: {reason}" for number, reason in enumerate(reasons, 1))
    return reasons[0] if len(reasons) == 1 else "; ".join(lines)


def wait_for_disk(placement: TrialPlacement, tracker: Tracker, error: Exception) -> None:
    """Wait until the full disk has free space; a signal ends the wait."""
    folders = (placement.runs, files.cache_dir(), Path(tempfile.gettempdir()))
    full = [folder for folder in folders if not files.has_free_space(folder)] or [placement.runs]
    logger.warning("paused: disk full at %s (%s)", full[0], error)
    tracker.progress(f"paused: disk full at {full[0]}", 0, 0)
    time.sleep(PAUSE)
    while not all(files.has_free_space(folder) for folder in full):
        time.sleep(PAUSE)


def known_sweep(placement: TrialPlacement) -> Sweep | None:
    """The sweep of the trial, as launched from this runs folder or from its file; None: neither exists here.

    It determines which other epochs of the same PTMs are kept for other cells; no result depends on it.
    """
    launched = FolderStore(placement.runs)
    try:
        if placement.sweep in launched.names():
            return sweep.Sweep.from_definition(launched.load_definition(placement.sweep).definition)
        return sweep.load(placement.sweep)
    except UserError:
        return None


class SearchTrial:
    """A trial of a search on W&B: recorded in the runs folder, with intermediate evaluations for ``early_terminate``.

    W&B numbers the accuracies that a run logs from 0, and compares the one whose number is that of the band. Therefore
    every accuracy up to the last band is logged, and W&B decides whether to stop the run.

    Args:
        recipe: the experiment.
        name: ``NAME@PROFILE``.
        runs: the folder of all runs.
        sweep: the sweep; None if it is not available here, or not a search: there are no intermediate evaluations then.
    """

    def __init__(self, recipe: Recipe, name: str, runs: Path, sweep: Sweep | None) -> None:
        self.last: tuple[int, float] | None = None
        self._store, self._name, self._point = FolderStore(runs), name, None
        early = None
        if sweep is not None and sweep.search is not None:
            params = {name: recipe.value(name) for name in sweep.swept}
            fields = sweep.drawn_fields(recipe)
            self._point = Point(recipe.key(), params, recipe.key(), sweep.cell_title(recipe), fields)
            self._store.note(self._name, self._point)
            early = sweep.search.early
        numbers = range(1, max(early.bands) + 2) if early else ()
        steps = (early.step(number, recipe.iterations) for number in numbers) if early else ()
        self._steps = tuple(step for step in steps if step < recipe.iterations)

    @property
    def pruning(self) -> Pruning | None:
        """The intermediate evaluations; None if W&B never stops this trial."""
        return Pruning(self._steps, self._report) if self._steps else None

    def _report(self, step: int, accuracy: float) -> bool:
        self.last = step, accuracy
        return True

    def prune(self) -> str:
        """Record that W&B has stopped the trial; returns the reason."""
        assert self.last is not None and self._point is not None
        reason = rules.pruned(*self.last)
        self._store.note(self._name, self._point, reason)
        return reason

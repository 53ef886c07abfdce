"""The agent's work: a point from the queue, a trial on the device, an answer."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import device, files
from ddsweep.agent.failures import Streak, is_device_error, out_of_memory
from ddsweep.agent.gpu_lock import Turns
from ddsweep.agent.shutdown import Leaving, Stopped, name
from ddsweep.backends import Claim, Queue, attach_image
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.pretrained.spec import Spec
from ddsweep.pruning import Looks, Pruned
from ddsweep.results import transfer
from ddsweep.sweep import Sweep
from ddsweep.trackers import FanOut, Tracker
from ddsweep.trackers.queue import QueueTracker
from ddsweep.trackers.status import StatusTracker

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result

logger = logging.getLogger(__name__)
IDLE = 1.0  # seconds between two looks at an empty queue
RECONCILE = 30.0  # seconds between two looks for agents that died
PAUSE = 15.0  # seconds between two looks whether a full disk has room again
MEMORY = "out of memory"  # in a claim's note: what this point ran out of the last time

Wanted = dict[Spec, set[int]]


class Poisoned(BaseException):
    """A device error after which nothing in this process can be trusted."""


class NoRecipe(Exception):
    """A search has drawn a point that is no recipe: a finding about its ranges, and not tried again."""


class BadSlot(BaseException):
    """Different points in a row failed on this slot."""


@dataclass
class Agent:
    """One agent.

    Attributes:
        backend: whose points it runs.
        sweep: what they mean.
        runs: the folder of all runs.
        on: its device.
        status: what others see of it.
        leaving: whether it was asked to leave.
        turns: when it may use its device.
        streak: what failed on its slot.
        shelf: where results of other hosts are, and ours have to go; None where all share the runs folder.
        further: is told of the trials too (``--track``).
    """

    backend: Queue
    sweep: Sweep
    runs: Path
    on: str
    status: StatusTracker
    leaving: Leaving = field(default_factory=Leaving)
    turns: Turns = field(default_factory=lambda: Turns("cpu"))
    streak: Streak = field(default_factory=Streak)
    shelf: transfer.Shelf | None = None
    further: Tracker = field(default_factory=Tracker)

    def work(self) -> None:
        """Run points until every one is complete or given up, or until asked to leave.

        Raises:
            Poisoned: the device failed; the attempt is spent, unless the device's memory was too small.
            BadSlot: different points in a row failed here.
        """
        wanted = spec.needs(self.sweep.recipes)
        looked = 0.0
        while not self.leaving.soon:
            try:
                if self._one(wanted):
                    continue
                self.status.idle()
                if time.monotonic() - looked > RECONCILE:
                    self.backend.reconcile()
                    looked = time.monotonic()
                if self.backend.drained():
                    return
            except Exception as error:
                if not files.is_full(error):
                    raise
                self._pause(error)
            time.sleep(IDLE)

    def _one(self, wanted: Wanted) -> bool:
        """Run the next point; False when none waits."""
        claim = None
        with self.turns.shared(lambda: not self.leaving.soon) as inside:
            self.leaving.heed(self.backend.stop_asked())
            if inside and not self.leaving.soon:
                claim = self.backend.claim(name())
            if claim is not None and MEMORY not in claim.note:
                with claim:
                    self._run(claim, wanted)
        if claim is not None and MEMORY in claim.note:
            self._run_alone(claim, wanted)
        if claim is not None:
            annotate(self.backend, claim.point.id)
        return claim is not None

    def _run_alone(self, claim: Claim, wanted: Wanted) -> None:
        """Run a point that ran out of memory, when no other trial is on the GPU."""
        self.status.show("waiting to be alone on the GPU", claim.point.title)
        with claim, self.turns.alone(lambda: not self.leaving.asked) as inside:
            if inside:
                self._run(claim, wanted)
            else:
                claim.release(claim.note)

    def _run(self, claim: Claim, wanted: Wanted) -> None:
        """One point, from the claim to its answer."""
        from ddsweep import trial

        self.status.show("starting", claim.point.title)
        try:
            recipe = self._recipe(claim)
            if recipe.key() != claim.point.key:
                raise UserError("the sweep was registered by another version of ddsweep; launch it again")
            tracker = FanOut(self.status, QueueTracker(partial(attach_image, claim)), self.further)
            with self.leaving.heard():
                if self.shelf:
                    transfer.bring(self.shelf, [recipe.key()], self.runs)
                looks = looks_at(self.sweep, recipe, claim.look)
                result = trial.run(recipe, tracker, self.on, self.runs, wanted, self.leaving.checkpoints, looks=looks)
        except Stopped:
            self.further.abort()
            claim.release(claim.note)
        except Pruned as reason:
            step, accuracy = reason.step, reason.accuracy
            self.further.abort(str(reason))
            self.streak.end()
            self._insist(lambda: claim.prune(step, accuracy))
        except NoRecipe as reason:
            told = str(reason)
            self._insist(lambda: claim.fail(told, final=True))
        except Exception as error:
            logger.exception("%s failed", claim.point.title)
            self.further.abort(f"{type(error).__name__}: {error}")
            self._failed(claim, error)
        else:
            self.streak.end()
            if self._delivered(claim):
                self._insist(lambda: answer(claim, result))

    def _recipe(self, claim: Claim) -> Recipe:
        """The experiment at a point. Raises NoRecipe when a search has drawn choices that contradict each other."""
        try:
            return self.sweep.recipe(claim.point.params)
        except UserError as error:
            if self.sweep.search is None:
                raise
            raise NoRecipe(str(error)) from None

    def _failed(self, claim: Claim, error: Exception) -> None:
        """Answer for a trial that raised, as the head of this package says."""
        if files.is_full(error):
            self._insist(lambda: claim.release(claim.note))
            raise error
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        if out_of_memory(error):
            if MEMORY not in claim.note:
                claim.release({**claim.note, MEMORY: reason})
                raise Poisoned(reason) from error
            reason = f"out of GPU memory alone on {device.describe(self.on)}: {error}"
        self._insist(lambda: claim.fail(reason))
        self.streak.fail(claim.point.id, reason)
        if self.streak.bad:
            raise BadSlot(reason) from error
        if is_device_error(error):
            raise Poisoned(reason) from error

    def _delivered(self, claim: Claim) -> bool:
        """Put the result where other hosts can get it. What cannot be put there is not complete: the cell goes back."""
        try:
            if self.shelf:
                transfer.deliver(claim, self.runs / claim.point.key)
        except UserError as error:
            logger.error("%s goes back to the queue: %s", claim.point.title, error)
            self._insist(lambda: claim.release(claim.note))
            if files.is_full(error):
                raise
            return False
        return True

    def _insist(self, tell: Callable[[], object]) -> None:
        """Tell the storage; when it lies on a full disk, tell it again when there is room."""
        while True:
            try:
                tell()
            except Exception as error:
                if not files.is_full(error) or self.leaving.asked:
                    raise
                self._pause(error)
            else:
                return

    def _pause(self, error: Exception) -> None:
        """Wait for room on the disk that is full, or to be asked to leave."""
        folders = (self.runs, files.cache_dir(), Path(tempfile.gettempdir()))
        full = [folder for folder in folders if not files.has_room(folder)] or [self.runs]
        logger.warning("paused: disk full at %s (%s)", full[0], error)
        self.status.show(f"paused: disk full at {full[0]}")
        looked = time.monotonic()
        while not self.leaving.soon:
            time.sleep(min(IDLE, PAUSE))
            if time.monotonic() - looked < PAUSE:
                continue
            if all(files.has_room(folder) for folder in full):
                return
            looked = time.monotonic()


def looks_at(sweep: Sweep, recipe: Recipe, tell: Callable[[int, float], bool]) -> Looks | None:
    """When a trial is looked at, if the sweep wants that; a baseline is never ended on its way."""
    early = sweep.search.early if sweep.search else None
    if early is None or sweep.is_baseline(recipe):
        return None
    return Looks(tuple(early.step(band, recipe.iterations) for band in early.bands), tell)


def answer(claim: Claim, result: Result) -> None:
    """Tell the queue. A diverged trial is not tried again: its attempts would return the same finding."""
    if result.accuracy is None:
        claim.fail(result.reason or "no accuracy", final=True)
    else:
        claim.complete(result.accuracy, {**result.summary(), "device": result.device})


def annotate(backend: Queue, point: str) -> None:
    """Bring the dashboard's notes and plots up to date, where the backend has a dashboard."""
    from ddsweep.backends.optuna.backend import OptunaBackend

    if isinstance(backend, OptunaBackend):
        from ddsweep.backends.optuna import notes

        notes.annotate(backend, point)

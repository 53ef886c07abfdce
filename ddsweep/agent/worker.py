"""The agent's side of a claimed cell, from top to bottom: claim, run the trial, classify its outcome, record it.

``Agent.work`` claims cells in a loop, ``Agent._life`` takes a cell through its life, and ``outcomes`` has the table of
its outcomes. Heartbeats are sent by the claim itself (``backends.claim``) until the outcome is recorded.

On a GPU, cells with the same real images and networks are run as a group, with their distillations in lockstep
(``group``). The life of each is the same as alone, with a stop before its distillation.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import files
from ddsweep.agent.failures import ConsecutiveFailures, out_of_memory
from ddsweep.agent.gpu_lock import GpuLock
from ddsweep.agent.group import Life, Limits, fitting, run_in_lockstep
from ddsweep.agent.outcomes import (
    ALONE,
    MEMORY,
    BadDevice,
    InvalidRecipe,
    OtherImages,
    Outcome,
    classify,
    record_result,
)
from ddsweep.agent.shutdown import Shutdown, Stopped, name
from ddsweep.backends import Claim, Queue, attach_image
from ddsweep.data.progress import Listener, reported_to
from ddsweep.errors import SharedStepFailed, UserError, in_one_line
from ddsweep.pretrained import spec
from ddsweep.pretrained.spec import Spec
from ddsweep.pruning import Pruned, Pruning
from ddsweep.recipe.grouping import group_key
from ddsweep.results import image_checksums, transfer
from ddsweep.sweep import Sweep
from ddsweep.trackers import FanOut, Tracker
from ddsweep.trackers.queue import QueueTracker
from ddsweep.trackers.status import CellTracker, StatusTracker

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.trial import Group, Stages

logger = logging.getLogger(__name__)
IDLE_SECONDS = 1.0  # between two checks of an empty queue
RECONCILE_SECONDS = 30.0  # between two checks for agents that died
PAUSE_SECONDS = 15.0  # between two checks whether a full disk has free space again


@dataclass
class Agent:
    """One agent.

    Attributes:
        backend: the queue.
        sweep: its sweep.
        runs: the folder of all runs.
        device: its device, as torch spells it.
        status: its status, for others to see.
        shutdown: whether it was asked to stop.
        gpu_lock: the lock on its device.
        failures: the consecutive failures on its device.
        store: where results of other hosts are fetched from and its own are stored; None: all share the runs folder.
        tracker: follows the trials too (``--track``).
        reload: reads the sweep as it is registered at present: another launch may have added cells of its own.
        limits: how many cells it runs as a group.
    """

    backend: Queue
    sweep: Sweep
    runs: Path
    device: str
    status: StatusTracker
    shutdown: Shutdown = field(default_factory=Shutdown)
    gpu_lock: GpuLock = field(default_factory=lambda: GpuLock("cpu"))
    failures: ConsecutiveFailures = field(default_factory=ConsecutiveFailures)
    store: transfer.Shelf | None = None
    tracker: Tracker = field(default_factory=Tracker)
    reload: Callable[[], Sweep] | None = None
    limits: Limits = field(default_factory=Limits)

    def work(self) -> None:
        """Run cells until every one is complete, pruned or given up, or until asked to stop.

        Raises:
            RestartNeeded: the device failed; an attempt was spent, unless the GPU ran out of memory beside others.
        OtherImages: the images on this host are not those of the sweep.
            BadDevice: different cells failed here one after the other.
        """
        reconciled = -RECONCILE_SECONDS
        while not self.shutdown.requested:
            try:
                if time.monotonic() - reconciled > RECONCILE_SECONDS:
                    self.backend.reconcile()
                    reconciled = time.monotonic()
                if self._work_on_next():
                    continue
                self.status.idle()
                if self.backend.drained():
                    return
            except Exception as error:
                if not files.is_full(error):
                    raise
                self._wait_for_disk(error)
            time.sleep(IDLE_SECONDS)

    def _work_on_next(self) -> bool:
        """Claim the next cell, or a group of cells, and run it; False if none is waiting."""
        claims: list[Claim] = []
        with self.gpu_lock.shared(lambda: not self.shutdown.requested) as acquired:
            self.shutdown.request(self.backend.stop_asked())
            if acquired and not self.shutdown.requested and (claim := self.backend.claim(name())) is not None:
                self.failures.claim()
                claims = [claim]
            if claims and MEMORY not in claims[0].note:
                with contextlib.ExitStack() as held:
                    held.enter_context(claims[0])
                    claims += self._claim_group(claims[0], held)
                    self._run(claims)
        if claims and MEMORY in claims[0].note:
            self._run_alone(claims[0])
        for claim in claims:
            annotate(self.backend, claim.point.id)
        return bool(claims)

    def _claim_group(self, first: Claim, held: contextlib.ExitStack) -> list[Claim]:
        """Claim cells that can run as a group with the first one; ``held`` keeps them from now on.

        If that fails, there are fewer: the first cell must not fail for it.
        """
        found: list[Claim] = []
        try:
            keys = self._group_of(first)
            most = self._most_in_group(first, len(keys) + 1)
            while len(found) < most - 1 and (claim := self.backend.claim_among(name(), keys)) is not None:
                keys.discard(claim.point.key)
                if MEMORY in claim.note or ALONE in claim.note:
                    claim.release(claim.note)
                else:
                    found.append(held.enter_context(claim))
                    self.failures.claim()
        except Exception as error:
            logger.warning("%s: no further cells for its group (%s)", first.point.title, in_one_line(error))
        return found

    def _most_in_group(self, first: Claim, most: int) -> int:
        """The most cells of a group with the first one, of which there are ``most``; the cheapest question first."""
        most = min(most, self.limits.on(self.device))
        if most <= 1 or ALONE in first.note:
            return 1
        most = min(most, self.limits.fair(self.backend))
        return most if most <= 1 else min(most, fitting(self._recipe(first), self.device))

    def _group_of(self, first: Claim) -> set[str]:
        """The keys of the cells that can run as a group with the first one; none in a search, which may prune them."""
        if self.sweep.search is not None or self.limits.on(self.device) <= 1:
            return set()
        return self._groups.get(first.point.key, set()) - {first.point.key}

    @cached_property
    def _groups(self) -> dict[str, set[str]]:
        """For each cell that can be in a group, all cells that can be in the same one; cells by their keys."""
        groups = defaultdict[object, set[str]](set)
        for cell in self.sweep.cells:
            if (common := group_key(cell.recipe)) is not None:
                groups[common].add(cell.key)
        return {key: keys for keys in groups.values() for key in keys}

    def _run_alone(self, claim: Claim) -> None:
        """Run a cell that ran out of memory, once no other trial uses the GPU."""
        self.status.show("waiting to be alone on the GPU", claim.point.title)
        with claim, self.gpu_lock.exclusive(lambda: not self.shutdown.now) as acquired:
            if acquired:
                self._run([claim])
            else:
                claim.release(claim.note)

    def _run(self, claims: Sequence[Claim]) -> None:
        """Take claimed cells through their lives: one on its own, several in lockstep."""
        if len(claims) == 1:
            for _ in self._life(claims[0], self.status):
                pass
            return
        from ddsweep.trial import Group

        group = Group()
        lives = {claim: self._life(claim, self.status.cell(claim.point.title), group) for claim in claims}
        try:
            run_in_lockstep(lives, self.shutdown)
        finally:
            self.status.status.group.clear()

    def _life(self, claim: Claim, status: StatusTracker | CellTracker, group: Group | None = None) -> Life:
        """Take a claimed cell through its life: run the trial, classify its outcome, record it.

        In a group, it stops before the distillation, which it yields for others to advance.
        """
        status.show("starting", claim.point.title)
        try:
            result = yield from self._trial(claim, group, status)
        except (Exception, Stopped) as error:
            if not isinstance(error, Stopped | Pruned | InvalidRecipe):
                logger.exception("%s failed", claim.point.title)
            if group is not None and out_of_memory(error):
                error = SharedStepFailed.of(error)
            self._conclude(claim, classify(claim, error, self.device))
        else:
            self.failures.reset()
            if self._store_result(claim):
                self._record(partial(record_result, claim, result))
        finally:
            if group is not None:
                status.idle()

    def _trial(self, claim: Claim, group: Group | None, status: Tracker) -> Stages:
        from ddsweep import trial

        recipe = self._recipe(claim)
        tracker = FanOut(status, QueueTracker(partial(attach_image, claim)), self.tracker)
        checkpoints = replace(self.shutdown.checkpoints, saved=partial(self._note_progress, claim))
        tracker.describe(recipe, claim.point.title)
        with self.shutdown.interruptible():
            with reported_to(Listener.of_phases(status.progress)):  # this host may have to decode them
                refusal = image_checksums.refusal(recipe, self.sweep.data)
            if refusal:
                raise OtherImages(refusal)
            if self.store:
                transfer.bring(self.store, [recipe.key()], self.runs)
            arguments = (recipe, tracker, self.device, self.runs, self._ptm_epochs_needed)
            if group is None:
                pruning = pruning_of(self.sweep, recipe, claim.report)
                return trial.run(*arguments, checkpoints, pruning=pruning, recompute=True)
        checkpoints = replace(checkpoints, leave=lambda: self.shutdown.now or claim.lost)
        return (yield from self._stages(trial.stages(*arguments, checkpoints, recompute=True, group=group)))

    def _stages(self, stages: Stages) -> Stages:
        """Compute the stages of a trial, each of which a request to stop may interrupt."""
        with contextlib.closing(stages):
            while True:
                with self.shutdown.interruptible():
                    try:
                        one = next(stages)
                    except StopIteration as end:
                        return end.value
                yield one

    def _note_progress(self, claim: Claim) -> None:
        """Record a checkpoint: for the queue, if the agent is killed later, and for the launcher."""
        claim.progress()
        self.failures.save()

    def _conclude(self, claim: Claim, outcome: Outcome) -> None:
        """Record an outcome without a result, and raise what follows from it for the agent."""
        if outcome.reason is not None:
            self.tracker.abort(outcome.reason)
        if outcome.ended:
            self.failures.reset()
        self._record(outcome.record)
        if outcome.failure is not None:
            self.failures.add(claim.point.id, outcome.failure)
            if self.failures.limit_reached:
                raise BadDevice(outcome.failure)
        if outcome.error is not None:
            raise outcome.error

    def _recipe(self, claim: Claim) -> Recipe:
        """The experiment at a point.

        Raises:
            InvalidRecipe: a search has drawn choices that contradict each other.
            UserError: this version makes another recipe of them.
        """
        params, key = claim.point.params, claim.point.key
        choices = self.sweep.choices_of(params, key)
        if choices is None and self.reload is not None:
            self.sweep = self.reload()
            for kept in ("_ptm_epochs_needed", "_groups"):
                self.__dict__.pop(kept, None)
            choices = self.sweep.choices_of(params, key)
        if choices is not None:
            return self.sweep.make(choices)
        try:
            self.sweep.recipe(params)
        except UserError as error:
            if self.sweep.search is None:
                raise
            raise InvalidRecipe(str(error)) from None
        raise UserError("the sweep was registered by another version of ddsweep; launch it again")

    @cached_property
    def _ptm_epochs_needed(self) -> dict[Spec, set[int]]:
        """The epochs of every PTM that some cell of the sweep needs."""
        return spec.needs(self.sweep.recipes)

    def _store_result(self, claim: Claim) -> bool:
        """Store the result for other hosts. If that fails, the cell is not complete but goes back to the queue."""
        try:
            if self.store:
                transfer.deliver(claim, self.runs / claim.point.key)
        except UserError as error:
            logger.error("%s goes back to the queue: %s", claim.point.title, error)
            self._record(partial(claim.release, claim.note))
            if files.is_full(error):
                raise
            return False
        return True

    def _record(self, record: Callable[[], object]) -> None:
        """Record an outcome; if the storage's disk is full, wait for free space and try again."""
        while True:
            try:
                record()
            except Exception as error:
                if not files.is_full(error) or self.shutdown.now:
                    raise
                self._wait_for_disk(error)
            else:
                return

    def _wait_for_disk(self, error: Exception) -> None:
        """Wait until the full disk has free space again, or until asked to stop."""
        folders = (self.runs, files.cache_dir(), Path(tempfile.gettempdir()))
        full = [folder for folder in folders if not files.has_free_space(folder)] or [self.runs]
        logger.warning("paused: disk full at %s (%s)", full[0], error)
        self.status.show(f"paused: disk full at {full[0]}")
        checked = time.monotonic()
        while not self.shutdown.requested:
            time.sleep(min(IDLE_SECONDS, PAUSE_SECONDS))
            if time.monotonic() - checked < PAUSE_SECONDS:
                continue
            if all(files.has_free_space(folder) for folder in full):
                return
            checked = time.monotonic()


def pruning_of(sweep: Sweep, recipe: Recipe, report: Callable[[int, float], bool]) -> Pruning | None:
    """When a trial is evaluated early, if the sweep stops trials early.

    Baselines are never pruned, and neither are cells of earlier launches, which the search did not draw.
    """
    early = sweep.search.early if sweep.search else None
    if early is None or sweep.is_baseline(recipe) or recipe.key() in sweep.kept_choices:
        return None
    return Pruning(tuple(early.step(band, recipe.iterations) for band in early.bands), report)


def annotate(backend: Queue, point: str) -> None:
    """Update the dashboard's notes and plots, if the backend has a dashboard; a failure is only logged."""
    from ddsweep.backends.optuna.backend import OptunaBackend

    if not isinstance(backend, OptunaBackend):
        return
    try:
        from ddsweep.backends.optuna import notes

        notes.annotate(backend, point)
    except Exception as error:
        logger.warning("the dashboard's notes were not written (%s)", in_one_line(error))

"""This process and W&B: one open run at a time, online where that works and on the disk where it does not.

Every wait has an end. A service that is away, answers with errors or knows no such key costs one line in the log and
the seconds of ``INIT`` or ``FINISH``; the run goes on in a folder that ``ddsweep sync`` uploads.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ddsweep.trackers import wandb_offline, wandb_service
from ddsweep.trackers.wandb_offline import Note, Piece

if TYPE_CHECKING:
    import wandb
    from filelock import BaseFileLock

    from ddsweep.recipe import Recipe

logger = logging.getLogger(__name__)
PROJECT = "ddsweep"
INIT = 20.0  # seconds that opening a run may take
FINISH = 15.0  # seconds for the last uploads of a run; an agent that is asked to leave has 30 in all
AWAY = 600.0  # seconds for which a service that did not answer is not asked again


@dataclass
class Open:
    """A run that is being told.

    Attributes:
        run: the client's.
        recipe: the cell.
        piece: its folder.
        note: what the folder's note says.
        lock: says that the folder is being written.
        known: the last step that an earlier process told; -1: none.
    """

    run: wandb.Run
    recipe: Recipe
    piece: Piece
    note: Note
    lock: BaseFileLock
    known: int = -1

    def log(self, values: dict[str, Any], step: int) -> None:
        """Values at a distillation step, which is W&B's own step too. What is known comes out the same: left out."""
        if step <= self.known or step < self.note.step:
            return
        self.run.log(values, step=step)
        if step > self.note.step:
            self.note = replace(self.note, step=step)
            self.piece.write(self.note)


class Session:
    """Opens and closes the runs of one sweep.

    Args:
        sweep: ``NAME@PROFILE``: the group of the runs.
        runs: the folder of all runs; the client's files are in its ``wandb``.
        project: W&B project; empty: ``ddsweep``.
        entity: its owner; empty: the account's default.
    """

    def __init__(self, sweep: str, runs: Path, project: str, entity: str) -> None:
        self._sweep, self._runs, self._project, self._entity = sweep, runs, project or PROJECT, entity
        self._ask_again = 0.0

    def id(self, recipe: Recipe) -> str:
        """The run's id: the one that W&B's agent gave, or one that only the sweep and the recipe determine."""
        given = os.environ.get("WANDB_RUN_ID")
        if given and os.environ.get("WANDB_SWEEP_ID"):
            return given
        digest = hashlib.blake2b(self._sweep.encode(), digest_size=3).hexdigest()
        return f"{recipe.key()}-{digest}"

    def open(self, recipe: Recipe, offline: bool = False) -> Open | None:
        """Begin the run of a cell, or go on with it. None where W&B is switched off (``WANDB_MODE=disabled``).

        A run that has pieces on the disk which were never online goes on there, so that its steps arrive in order.
        """
        earlier = [one for one in wandb_offline.all_of(self._runs, self.id(recipe)) if one.offline and not one.synced]
        if offline or earlier or time.monotonic() < self._ask_again:
            run = self._init(recipe, "offline")
        else:
            try:
                run = self._init(recipe, None)
            except Exception as error:
                self.away(error)
                run = self._init(recipe, "offline")
        if run.disabled:
            return None
        piece = Piece(Path(run.settings.sync_dir))
        told = max((one.note.step for one in earlier), default=-1) if run.offline else run.starting_step - 1
        note = Note(self._sweep, recipe.title(), recipe.key(), time.time(), told)
        try:
            lock = piece.lock()
            piece.write(note)
        except Exception:
            run.finish(exit_code=1)
            raise
        return Open(run, recipe, piece, note, lock, told)

    def close(self, told: Open, exit_code: int) -> None:
        """End the run; what the service has not confirmed waits for ``ddsweep sync``."""
        try:
            told.run.finish(exit_code=exit_code)
            if not told.run.offline and _confirmed(told.run):
                for piece in wandb_offline.all_of(self._runs, told.run.id):
                    piece.mark_synced()  # an earlier one that was killed was gone on with from what the service had
            elif not told.run.offline:
                self.away(ConnectionError("did not confirm the end of the run"))
        except TimeoutError:
            self.away(TimeoutError(f"did not take everything within {FINISH:g} s"))
        finally:
            told.lock.release()

    def offline(self, told: Open, error: Exception) -> Open | None:
        """Go on with an online run on the disk. Raises the error itself when it is there already."""
        with contextlib.suppress(Exception):
            told.run.finish(exit_code=1)
        told.lock.release()
        if told.run.offline:
            raise error
        self.away(error)
        following = self.open(told.recipe, offline=True)
        if following is not None:
            following.known = max(following.known, told.note.step - 1)  # the last step may have been told in part
        return following

    def away(self, error: Exception) -> None:
        """The service does not serve: say so once, and do not ask again for a while."""
        import wandb

        never = isinstance(error, wandb.errors.UsageError)
        self._ask_again = float("inf") if never else time.monotonic() + AWAY
        where = wandb_offline.folder(self._runs)
        logger.warning(
            "W&B: %s. Runs are kept in %s; upload them with: ddsweep sync", wandb_service.first_line(error), where
        )
        wandb.teardown()  # else the client still holds the id of a run that could not be opened

    def _init(self, recipe: Recipe, mode: Literal["offline"] | None) -> wandb.Run:
        import wandb

        os.environ.setdefault("WANDB_DATA_DIR", str(wandb_offline.folder(self._runs) / "data"))  # until they are synced
        wandb.setup(wandb.Settings(silent=True))  # a silent client never prompts for a key
        settings = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, init_timeout=INIT, finish_timeout=FINISH,
            finish_timeout_raises=True,
        )  # fmt: skip
        return wandb.init(
            project=self._project, entity=self._entity or None, id=self.id(recipe), resume="allow",
            name=recipe.title(), group=self._sweep, job_type="trial", tags=tags(recipe), config=recipe.model_dump(),
            dir=self._runs, mode=mode, settings=settings,
        )  # fmt: skip


def tags(recipe: Recipe) -> list[str]:
    """What a person filters by; W&B takes 64 characters of each."""
    guided = (
        [recipe.regularizer, *(f"ptm {arch}" for arch in recipe.ptm_arch_list)]
        if recipe.ptm_arch_list
        else ["baseline"]
    )
    target = f"imagefolder {Path(recipe.target).name}" if ":" in recipe.target else recipe.target
    return [tag[:64] for tag in dict.fromkeys([recipe.method, target, f"ipc {recipe.ipc}", recipe.arch, *guided])]


STOPPED = """
query RunStoppedStatus($entity: String, $project: String, $name: String!) {
  project(name: $project, entityName: $entity) { run(name: $name) { stopped } }
}
"""


def stopped(run: wandb.Run) -> bool:
    """Whether W&B wants a run to stop: by a person, or by ``early_terminate``. False if it cannot be asked."""
    import wandb

    asked = {"entity": run.entity, "project": run.project, "name": run.id}
    try:
        found: Any = wandb.Api(timeout=int(wandb_service.PROBE))._service_api.execute_graphql(STOPPED, asked)
        return bool(found["project"]["run"]["stopped"])
    except Exception as error:
        logger.warning("W&B: cannot be asked whether it stopped the run: %s", wandb_service.first_line(error))
        return False


def _confirmed(run: wandb.Run) -> bool:
    """Whether the service knows that the run has ended: the client drops what is refused without a word."""
    import wandb

    try:
        return wandb.Api(timeout=int(wandb_service.PROBE)).run(run.path).state != "running"
    except Exception:
        return False

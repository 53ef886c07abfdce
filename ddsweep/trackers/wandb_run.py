"""W&B runs of this process: one open run at a time, online if possible, otherwise offline on disk.

Every wait is bounded. If the service is unreachable, returns errors or rejects the API key, this costs one line in the
log and at most ``INIT`` or ``FINISH`` seconds; the run continues in a folder that ``ddsweep sync`` uploads.
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

from ddsweep import again
from ddsweep.trackers import wandb_offline, wandb_service
from ddsweep.trackers.wandb_offline import Note, Piece

if TYPE_CHECKING:
    import wandb
    from filelock import BaseFileLock

    from ddsweep.recipe import Recipe

logger = logging.getLogger(__name__)
PROJECT = "ddsweep"
INIT = 20.0  # seconds for opening a run
FINISH = 15.0  # seconds for the last uploads of a run; an agent that receives SIGTERM has 30 in all
RETRY = 600.0  # seconds before an unreachable service is asked again


@dataclass
class OpenRun:
    """A run that is being logged.

    Attributes:
        run: the client's run.
        recipe: the recipe of its cell.
        piece: its folder.
        note: the note in the folder.
        lock: held while the folder is being written.
        logged_before: the last step that an earlier process logged; -1: none.
    """

    run: wandb.Run
    recipe: Recipe
    piece: Piece
    note: Note
    lock: BaseFileLock
    logged_before: int = -1

    def log(self, values: dict[str, Any], step: int) -> None:
        """Log values at a distillation step, which is also W&B's step. Steps that were logged before are skipped."""
        if step <= self.logged_before or step < self.note.step:
            return
        self.run.log(values, step=step)
        if step > self.note.step:
            self.note = replace(self.note, step=step)
            self.piece.write(self.note)


class Session:
    """Opens and closes the runs of one sweep.

    Args:
        sweep: ``NAME@PROFILE``: the group of the runs.
        runs: the folder of all runs; the client writes to its subfolder ``wandb``.
        project: W&B project; empty: ``ddsweep``.
        entity: its owner; empty: the account's default.

    Attributes:
        titles: by key, titles of cells within the sweep, as far as they are known.
    """

    def __init__(self, sweep: str, runs: Path, project: str, entity: str) -> None:
        self._sweep, self._runs, self._project, self._entity = sweep, runs, project or PROJECT, entity
        self._offline_until = 0.0
        self.titles: dict[str, str] = {}

    def title(self, recipe: Recipe) -> str:
        """The name of the run of a cell."""
        return self.titles.get(recipe.key()) or recipe.title()

    def id(self, recipe: Recipe) -> str:
        """The run's id: assigned by W&B's agent, or determined by the sweep and the recipe alone."""
        assigned = os.environ.get("WANDB_RUN_ID")
        if assigned and os.environ.get("WANDB_SWEEP_ID"):
            return assigned
        digest = hashlib.blake2b(self._sweep.encode(), digest_size=3).hexdigest()
        return f"{recipe.key()}-{digest}"

    def open(self, recipe: Recipe, offline: bool = False) -> OpenRun | None:
        """Start or resume the run of a cell. None if W&B is disabled (``WANDB_MODE=disabled``).

        A run with offline pieces that are not uploaded resumes offline, so that its steps are uploaded in order.
        """
        pieces = wandb_offline.all_of(self._runs, self.id(recipe))
        earlier = [piece for piece in pieces if piece.offline and not piece.synced]
        if offline or earlier or time.monotonic() < self._offline_until:
            run = self._init(recipe, "offline")
        else:
            try:
                run = self._init(recipe, None)
            except Exception as error:
                self.go_offline(error)
                run = self._init(recipe, "offline")
        if run.disabled:
            return None
        piece = Piece(Path(run.settings.sync_dir))
        logged = max((piece.note.step for piece in earlier), default=-1) if run.offline else run.starting_step - 1
        note = Note(self._sweep, self.title(recipe), recipe.key(), time.time(), logged)
        try:
            lock = piece.lock()
            piece.write(note)
        except Exception:
            run.finish(exit_code=1)
            raise
        return OpenRun(run, recipe, piece, note, lock, logged)

    def close(self, opened: OpenRun, exit_code: int) -> None:
        """End the run; if the service does not confirm the end, the run waits for ``ddsweep sync``."""
        run = opened.run
        try:
            run.finish(exit_code=exit_code)
            if not run.offline and _confirmed(run):
                for piece in wandb_offline.all_of(self._runs, run.id):
                    piece.mark_synced()  # the run resumed from what the service had of an earlier, killed piece
            elif not run.offline:
                self.go_offline(ConnectionError("the service did not confirm the end of the run"))
        except TimeoutError:
            self.go_offline(TimeoutError(f"the upload did not finish within {FINISH:g} s"))
        finally:
            opened.lock.release()

    def continue_offline(self, opened: OpenRun, error: Exception) -> OpenRun | None:
        """Continue an online run offline. Raises ``error`` if it is offline already."""
        with contextlib.suppress(Exception):
            opened.run.finish(exit_code=1)
        opened.lock.release()
        if opened.run.offline:
            raise error
        self.go_offline(error)
        successor = self.open(opened.recipe, offline=True)
        if successor is not None:  # the last step may have been logged in part
            successor.logged_before = max(successor.logged_before, opened.note.step - 1)
        return successor

    def go_offline(self, error: Exception) -> None:
        """Log why the service cannot be used, and do not ask it again for ``RETRY`` seconds."""
        import wandb

        never = isinstance(error, wandb.errors.UsageError)
        self._offline_until = float("inf") if never else time.monotonic() + RETRY
        reason, folder = wandb_service.first_line(error), wandb_offline.folder(self._runs)
        upload = again.written("ddsweep", "sync", "--runs", str(self._runs))
        logger.warning("W&B: %s. Runs are recorded in %s; upload them with: %s", reason, folder, upload)
        wandb.teardown()  # otherwise the client keeps the id of a run that could not be opened

    def _init(self, recipe: Recipe, mode: Literal["offline"] | None) -> wandb.Run:
        import wandb

        staging = wandb_offline.folder(self._runs) / "data"  # the client keeps artifacts here until they are uploaded
        os.environ.setdefault("WANDB_DATA_DIR", str(staging))
        wandb.setup(wandb.Settings(silent=True))  # a silent client never prompts for a key
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            init_timeout=INIT,
            finish_timeout=FINISH,
            finish_timeout_raises=True,
        )
        return wandb.init(
            project=self._project,
            entity=self._entity or None,
            id=self.id(recipe),
            resume="allow",
            name=self.title(recipe),
            group=self._sweep,
            job_type="trial",
            tags=tags(recipe),
            config=recipe.model_dump(),
            dir=self._runs,
            mode=mode,
            settings=settings,
        )


def tags(recipe: Recipe) -> list[str]:
    """The tags for filtering runs; W&B allows 64 characters each."""
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
    """Whether W&B has stopped a run (a user, or ``early_terminate``); False if the service cannot be asked."""
    import wandb

    variables = {"entity": run.entity, "project": run.project, "name": run.id}
    try:
        response: Any = wandb.Api(timeout=int(wandb_service.PROBE))._service_api.execute_graphql(STOPPED, variables)
        return bool(response["project"]["run"]["stopped"])
    except Exception as error:
        logger.warning("W&B: cannot check whether the run was stopped: %s", wandb_service.first_line(error))
        return False


def _confirmed(run: wandb.Run) -> bool:
    """Whether the service knows that the run has ended: the client silently drops what the service refuses."""
    import wandb

    try:
        return wandb.Api(timeout=int(wandb_service.PROBE)).run(run.path).state != "running"
    except Exception:
        return False

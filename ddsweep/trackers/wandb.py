"""Weights & Biases: every trial is a run there, and nothing that happens there costs a trial."""

from __future__ import annotations

import json
import logging
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.sweep.wandb import METRIC
from ddsweep.trackers import Tracker, wandb_run, wandb_service
from ddsweep.trackers.wandb_run import Open, Session
from ddsweep.trackers.wandb_service import first_line

if TYPE_CHECKING:
    import wandb

    from ddsweep.pretrained.spec import Spec
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result

logger = logging.getLogger(__name__)
LOOK = "accuracy_so_far"  # what a trial logs of its looks
ROWS = 20  # classes that a caption names
SET = "synthetic.safetensors"


class WandbTracker(Tracker):
    """Tells W&B. One open run at a time; any number of trials one after the other.

    Works without account or network: the runs are then written below ``runs/wandb`` and uploaded by ``ddsweep sync``.
    ``WANDB_MODE`` (``offline``, ``disabled``) is heeded. Under an agent of W&B, the run is the one that it gave.

    Args:
        sweep: ``NAME@PROFILE``.
        runs: the folder of all runs.
        project: W&B project; empty: ``ddsweep``.
        entity: its owner; empty: the account's default.
    """

    def __init__(self, sweep: str, runs: Path, project: str, entity: str) -> None:
        self._runs, self._session = runs, Session(sweep, runs, project, entity)
        self._open: Open | None = None

    def start(self, recipe: Recipe) -> None:
        """Begin the cell's run; a cell that is tried again goes on in it."""
        if self._open is not None and self._open.recipe == recipe:
            return
        self.abort()
        try:
            self._open = self._session.open(recipe)
        except Exception as error:
            logger.warning("W&B: %s is not told: %s", recipe.title(), first_line(error))

    def log(self, metrics: dict[str, float], step: int) -> None:
        """The terms of the loss apart, α beside them, and the speed.

        The accuracy on the way has the name of the final one too: it is what W&B's ``early_terminate`` goes by.
        """
        if LOOK in metrics:
            metrics = metrics | {METRIC: metrics[LOOK]}
        self._tell(lambda told: told.log(metrics | _weight(told.recipe), step))

    def image(self, name: str, png: bytes, step: int) -> None:
        """A grid, with a caption that says what each row is."""
        import wandb

        with tempfile.TemporaryDirectory() as folder:  # W&B copies the file when it is logged
            path = Path(folder) / f"{name}.png"
            path.write_bytes(png)
            self._tell(lambda told: told.log({name: wandb.Image(path, caption=caption(name, told.recipe, step))}, step))

    def finish(self, result: Result) -> None:
        """The accuracies, the table of classes, the artifacts and the provenance; then the run ends."""
        self._tell(lambda told: self._report(told, result))
        self._end(0 if result.state == "complete" else 1)

    def prune(self, reason: str) -> None:
        """W&B has ended the run on its way: that is an answer, and no failure."""
        self._tell(lambda told: told.run.summary.update({"state": "pruned", "reason": reason}))
        self._end(0)

    def stopped(self) -> bool:
        """Whether W&B wants the open run to stop; False where it cannot be asked."""
        return self._open is not None and wandb_run.stopped(self._open.run)

    def abort(self, reason: str = "") -> None:
        """The run ends as failed, with the reason; without one, W&B gives the point to another agent where it can."""
        failed = {"state": "failed", "reason": reason}
        self._tell(lambda told: told.run.summary.update(failed) if reason else told.run.mark_preempting())
        self._end(1)

    def _tell(self, what: Callable[[Open], None]) -> None:
        """Tell the open run; go on offline when the service does not take it, and in silence when the disk does not."""
        if self._open is None:
            return
        try:
            what(self._open)
        except Exception as error:
            told, self._open = self._open, None
            try:
                self._open = self._session.offline(told, error)
                if self._open is not None:
                    what(self._open)
            except Exception as second:
                logger.warning("W&B: the rest of %s is not told: %s", told.note.title, first_line(second))
                self._end(1)

    def _end(self, exit_code: int) -> None:
        told, self._open = self._open, None
        if told is not None:
            try:
                self._session.close(told, exit_code)
            except Exception as error:
                logger.warning("W&B: %s did not end well: %s", told.note.title, first_line(error))

    def _report(self, told: Open, result: Result) -> None:
        run, recipe = told.run, result.recipe
        if not run.offline and not wandb_service.is_healthy(run.settings.base_url):
            raise ConnectionError(f"{run.settings.base_url} does not answer")
        run.config.update({"provenance": provenance(result)}, allow_val_change=True)
        run.summary.update({"state": result.state, "reason": result.reason or "", **result.summary()})
        if result.reason:
            run.notes = result.reason
        if result.accuracy is not None:
            last = max(recipe.iterations, told.note.step, told.known + 1)
            told.log(accuracies(result) | {"class_accuracy": class_table(result)}, last)
            declare(run, result, self._runs / recipe.key(), wandb_run.FINISH)


def caption(name: str, recipe: Recipe, step: int) -> str:
    """``step 50 · rows from the top: airplane, automobile, …``."""
    names = classes(recipe)
    more = f", … ({len(names)} in all)" if len(names) > ROWS else ""
    head = "real images" if name == "real" else f"step {step} of {recipe.iterations}"
    return f"{head} · rows from the top: {', '.join(names[:ROWS])}{more}" if names else head


def classes(recipe: Recipe) -> tuple[str, ...]:
    """The names of the classes; none when an image folder is not on this machine."""
    try:
        return data.info(recipe.target).classes
    except UserError:
        return ()


def accuracies(result: Result) -> dict[str, float]:
    """Mean and std, and the mean of each evaluated architecture."""
    return {name: value for name, value in result.summary().items() if name.startswith("accuracy")}


def class_table(result: Result) -> wandb.Table:
    """A row per class, a column per evaluated architecture."""
    import wandb

    columns = list(result.class_accuracy)
    count = len(result.class_accuracy[columns[0]]) if columns else 0
    names = classes(result.recipe) or tuple(str(index) for index in range(count))
    rows = [
        [name, *(result.class_accuracy[arch][index] for arch in columns)] for index, name in enumerate(names[:count])
    ]
    return wandb.Table(columns=["class", *columns], data=rows)


def provenance(result: Result) -> dict[str, Any]:
    """What the numbers were made with."""
    return {
        "device": result.device, "versions": result.versions, "git": result.git, "data": result.data,
        "key": result.recipe.key(),
    }  # fmt: skip


def _weight(recipe: Recipe) -> dict[str, float]:
    """α of the regulariser: the mean over the architectures of the PTMs where each has its own."""
    return {"alpha": statistics.fmean(recipe.ptm_alphas.values())} if recipe.ptm_alphas else {}


def declare(run: wandb.Run, result: Result, folder: Path, patience: float) -> None:
    """Tell a run its inputs and its output; what is not on this machine is left out.

    Args:
        run: the client's.
        result: what the trial found.
        folder: that of the trial.
        patience: seconds in which the service has to have them.

    Raises:
        Exception: the service did not take them.

    ``run.use_artifact`` refuses offline, and online it waits for the service without a limit. What it does with an
    artifact that is new is this call, which does neither.
    """
    told = [
        run._log_artifact(artifact, aliases=["latest", alias], is_user_created=True, use_after_commit=True)
        for artifact, alias in inputs(result.recipe)
    ]
    if (folder / SET).is_file():
        told.append(run.log_artifact(outcome(result, folder), aliases=["latest", result.recipe.key()]))
    if not run.offline:  # an online client writes no artifact into what `wandb sync` reads
        deadline = time.monotonic() + patience
        for artifact in told:
            artifact.wait(timeout=max(1, round(deadline - time.monotonic())))


def inputs(recipe: Recipe) -> Iterator[tuple[wandb.Artifact, str]]:
    """The PTMs of a recipe: a collection per training, a version per epoch."""
    import wandb

    for one in (one for seeds in spec.of(recipe) for one in seeds):
        weights = one.weights(recipe.ptm_epoch)
        if not (one.foundation or weights.is_file()):
            continue
        artifact = wandb.Artifact(
            _collection("ptm", *one.folder.parts[-3:]), type="model", description=one.title,
            metadata=_about(one) | {"epoch": recipe.ptm_epoch},
        )  # fmt: skip
        if one.foundation:
            artifact.add_reference(one.foundation.url, checksum=False)
        else:
            artifact.add_reference(weights.absolute().as_uri(), checksum=True)
        yield artifact, f"epoch{recipe.ptm_epoch}"


def outcome(result: Result, folder: Path) -> wandb.Artifact:
    """The distilled set: a collection per dataset, method and IPC; a version per recipe, whose key is its alias."""
    import wandb
    from safetensors import safe_open

    recipe = result.recipe
    with safe_open(folder / SET, framework="numpy") as file:
        stored = file.metadata() or {}
    metadata = {
        "dataset": recipe.target, "method": recipe.method, "ipc": recipe.ipc, "key": recipe.key(),
        "mean": json.loads(stored["mean"]), "std": json.loads(stored["std"]), "accuracy": result.accuracy,
        "accuracy_std": result.accuracy_std,
    }  # fmt: skip
    name = _collection("synthetic", Path(recipe.target).name, recipe.method, f"ipc{recipe.ipc}")
    artifact = wandb.Artifact(name, type="dataset", description=recipe.title(), metadata=metadata)
    for path in (folder / SET, folder / "synthetic.png", folder / "recipe.json"):
        if path.is_file():  # immutable: uploaded from where it lies, now or at a later sync, and never copied
            artifact.add_file(str(path.absolute()), policy="immutable", skip_cache=True)
    return artifact


def _about(one: Spec) -> dict[str, Any]:
    return {"url": one.foundation.url, "sha256": one.foundation.sha256} if one.foundation else asdict(one)


def _collection(*parts: str) -> str:
    """A name that W&B allows."""
    return re.sub(r"[^\w.-]+", "-", "-".join(parts))[-120:].strip("-")

"""The W&B tracker: every trial is a run on W&B, and no failure of W&B fails a trial."""

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

from ddsweep.characters import one_line
from ddsweep.data import class_names
from ddsweep.pretrained import spec
from ddsweep.sweep.wandb import METRIC
from ddsweep.trackers import Tracker, wandb_run, wandb_service
from ddsweep.trackers.wandb_run import OpenRun, Session
from ddsweep.trackers.wandb_service import first_line

if TYPE_CHECKING:
    import wandb

    from ddsweep.pretrained.spec import Spec
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result

logger = logging.getLogger(__name__)
INTERMEDIATE = "accuracy_so_far"  # the metric of intermediate evaluations
MAX_CLASSES = 20  # class names in a caption
SET = "synthetic.safetensors"


class WandbTracker(Tracker):
    """Logs trials to W&B, one after the other.

    Works without an account or a network: the runs are then recorded in ``runs/wandb``, and ``ddsweep sync`` uploads
    them. ``WANDB_MODE`` (``offline``, ``disabled``) applies. Under an agent of W&B, the agent assigns the run.

    Args:
        sweep: ``NAME@PROFILE``.
        runs: the folder of all runs.
        project: W&B project; empty: ``ddsweep``.
        entity: its owner; empty: the account's default.
    """

    def __init__(self, sweep: str, runs: Path, project: str, entity: str) -> None:
        self._runs, self._session = runs, Session(sweep, runs, project, entity)
        self._open: OpenRun | None = None

    def describe(self, recipe: Recipe, title: str) -> None:
        """Name the run of the cell."""
        self._session.titles[recipe.key()] = title

    def start(self, recipe: Recipe) -> None:
        """Start the run of a cell; a repeated trial resumes it."""
        if self._open is not None and self._open.recipe == recipe:
            return
        self.abort()
        try:
            self._open = self._session.open(recipe)
        except Exception as error:
            logger.warning("W&B: %s is not logged: %s", self._session.title(recipe), first_line(error))

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Log the loss terms, α, and the speed.

        An intermediate accuracy is also logged under the name of the final one, which W&B's ``early_terminate`` uses.
        """
        if INTERMEDIATE in metrics:
            metrics = metrics | {METRIC: metrics[INTERMEDIATE]}
        self._log(lambda opened: opened.log(metrics | _weight(opened.recipe), step))

    def image(self, name: str, png: bytes, step: int) -> None:
        """Log an image grid, with a caption that names the class of each row."""
        import wandb

        def log(opened: OpenRun) -> None:
            shown = caption(name, opened.recipe, step, self._names(opened.recipe))
            opened.log({name: wandb.Image(path, caption=shown)}, step)

        with tempfile.TemporaryDirectory() as folder:  # W&B copies the file when it is logged
            path = Path(folder) / f"{name}.png"
            path.write_bytes(png)
            self._log(log)

    def finish(self, result: Result) -> None:
        """Log accuracies, the table of classes, artifacts and provenance; then end the run."""
        self._log(lambda opened: self._log_result(opened, result))
        self._end(0 if result.state == "complete" else 1)

    def prune(self, reason: str) -> None:
        """End a run that W&B has pruned, which is not a failure."""
        self._log(lambda opened: opened.run.summary.update({"state": "pruned", "reason": reason}))
        self._end(0)

    def stopped(self) -> bool:
        """Whether W&B has stopped the open run; False if the service cannot be asked."""
        return self._open is not None and wandb_run.stopped(self._open.run)

    def abort(self, reason: str = "") -> None:
        """End the run as failed, or, without a reason, as preempted, so that W&B can requeue the point."""
        failed = {"state": "failed", "reason": reason}
        self._log(lambda opened: opened.run.summary.update(failed) if reason else opened.run.mark_preempting())
        self._end(1)

    def _log(self, action: Callable[[OpenRun], None]) -> None:
        """Apply ``action`` to the open run; if the service fails, offline; if the disk fails too, stop logging."""
        if self._open is None:
            return
        try:
            action(self._open)
        except Exception as error:
            opened, self._open = self._open, None
            try:
                self._open = self._session.continue_offline(opened, error)
                if self._open is not None:
                    action(self._open)
            except Exception as second:
                logger.warning("W&B: the rest of %s is not logged: %s", opened.note.title, first_line(second))
                self._end(1)

    def _end(self, exit_code: int) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            try:
                self._session.close(opened, exit_code)
            except Exception as error:
                logger.warning("W&B: the run of %s did not end normally: %s", opened.note.title, first_line(error))

    def _log_result(self, opened: OpenRun, result: Result) -> None:
        run, recipe = opened.run, result.recipe
        if not run.offline and not wandb_service.is_healthy(run.settings.base_url):
            raise ConnectionError(f"{run.settings.base_url} does not answer")
        run.config.update({"provenance": provenance(result)}, allow_val_change=True)
        run.summary.update({"state": result.state, "reason": result.reason or "", **result.summary()})
        if result.reason:
            run.notes = result.reason
        if result.accuracy is not None:
            last = max(recipe.iterations, opened.note.step, opened.logged_before + 1)
            table = class_table(result, self._names(recipe))
            opened.log(accuracies(result) | {"class_accuracy": table}, last)
            log_artifacts(run, result, self._runs / recipe.key(), wandb_run.FINISH)

    def _names(self, recipe: Recipe) -> tuple[str, ...]:
        return class_names.of_run(self._runs / recipe.key(), recipe.target)


def caption(name: str, recipe: Recipe, step: int, names: tuple[str, ...]) -> str:
    """``step 50 · rows from the top: airplane, automobile, …``; without the rows if the class names are unknown."""
    more = f", … ({len(names)} in all)" if len(names) > MAX_CLASSES else ""
    head = "real images" if name == "real" else f"step {step} of {recipe.iterations}"
    listed = one_line(", ".join(names[:MAX_CLASSES]))
    return f"{head} · rows from the top: {listed}{more}" if names else head


def accuracies(result: Result) -> dict[str, float]:
    """Mean and std of the accuracy, the mean for each evaluated architecture, and the accuracy by group."""
    return {name: value for name, value in result.summary().items() if name.startswith(("accuracy", "group_accuracy/"))}


def class_table(result: Result, names: tuple[str, ...]) -> wandb.Table:
    """A row per class, a column per evaluated architecture; numbers for classes whose names are unknown."""
    import wandb

    columns = list(result.class_accuracy)
    count = len(result.class_accuracy[columns[0]]) if columns else 0
    names = names if len(names) == count else tuple(map(str, range(count)))
    rows = [[name, *(result.class_accuracy[arch][index] for arch in columns)] for index, name in enumerate(names)]
    return wandb.Table(columns=["class", *columns], data=rows)


def provenance(result: Result) -> dict[str, Any]:
    """Device, library versions, commit, data checksums and recipe key behind the result."""
    return {
        "device": result.device,
        "versions": result.versions,
        "git": result.git,
        "data": result.data,
        "key": result.recipe.key(),
    }


def _weight(recipe: Recipe) -> dict[str, float]:
    """The weight α of the regularizer: its mean over the PTM architectures, each of which may have its own."""
    return {"alpha": statistics.fmean(recipe.ptm_alphas.values())} if recipe.ptm_alphas else {}


def log_artifacts(run: wandb.Run, result: Result, folder: Path, seconds: float) -> None:
    """Log the PTMs as inputs and the synthetic set as the output of a run; files that do not exist here are skipped.

    ``run.use_artifact`` raises offline, and waits for the service without a limit online. For a new artifact it makes
    the same private call as this function, which does neither.

    Args:
        run: the client's run.
        result: the result of the trial.
        folder: the run folder of the trial.
        seconds: time limit for the uploads.

    Raises:
        Exception: the service did not accept the artifacts in time.
    """
    logged = [
        run._log_artifact(artifact, aliases=["latest", alias], is_user_created=True, use_after_commit=True)
        for artifact, alias in inputs(result.recipe)
    ]
    if (folder / SET).is_file():
        logged.append(run.log_artifact(output(result, folder), aliases=["latest", result.recipe.key()]))
    if not run.offline:  # an online client writes no artifact into the files that `wandb sync` reads
        deadline = time.monotonic() + seconds
        for artifact in logged:
            artifact.wait(timeout=max(1, round(deadline - time.monotonic())))


def inputs(recipe: Recipe) -> Iterator[tuple[wandb.Artifact, str]]:
    """The PTMs of a recipe, and the GAN of DiM, with their aliases: a collection per training, a version per epoch."""
    import wandb

    used = [(ptm, recipe.ptm_epoch) for seeds in spec.of(recipe) for ptm in seeds]
    used += [(spec.gan(recipe), recipe.gan_epochs)] if recipe.gan_epochs else []
    for ptm, epoch in used:
        weights = ptm.weights(epoch)
        if not (ptm.foundation or weights.is_file()) or (ptm.foundation and ptm.foundation.maker):
            continue  # of a PTM that a plugin makes, the configuration has the digest
        name, metadata = _collection("ptm", *ptm.folder.parts[-3:]), _metadata(ptm) | {"epoch": epoch}
        artifact = wandb.Artifact(name, type="model", description=ptm.title, metadata=metadata)
        if ptm.foundation:
            artifact.add_reference(ptm.foundation.url, checksum=False)
        else:
            artifact.add_reference(weights.absolute().as_uri(), checksum=True)
        yield artifact, f"epoch{epoch}"


def output(result: Result, folder: Path) -> wandb.Artifact:
    """The synthetic set: a collection per dataset, method and ipc; a version per recipe, with its key as alias."""
    import wandb
    from safetensors import safe_open

    recipe = result.recipe
    with safe_open(folder / SET, framework="numpy") as file:
        stored = file.metadata() or {}
    metadata = {
        "dataset": recipe.dataset,
        "method": recipe.method,
        "ipc": recipe.ipc,
        "images_per_class": recipe.decoded_ipc,
        "parametrization": stored.get("kind", "pixels"),
        "key": recipe.key(),
        "mean": json.loads(stored["mean"]),
        "std": json.loads(stored["std"]),
        "accuracy": result.accuracy,
        "accuracy_std": result.accuracy_std,
    }
    name = _collection("synthetic", Path(recipe.target).name, recipe.method, f"ipc{recipe.ipc}")
    description = "; ".join(filter(None, [recipe.title(), recipe.described(stored.get("about", ""))]))
    artifact = wandb.Artifact(name, type="dataset", description=description, metadata=metadata)
    for path in (folder / SET, folder / "synthetic.png", folder / "recipe.json"):
        if path.is_file():  # immutable: uploaded from its place, now or by a later sync, without a copy
            artifact.add_file(str(path.absolute()), policy="immutable", skip_cache=True)
    return artifact


def _metadata(ptm: Spec) -> dict[str, Any]:
    return {"url": ptm.foundation.url, "sha256": ptm.foundation.sha256} if ptm.foundation else asdict(ptm)


def _collection(*parts: str) -> str:
    """A name of an artifact collection, without characters that W&B rejects."""
    return re.sub(r"[^\w.-]+", "-", "-".join(parts), flags=re.ASCII)[-120:].strip("-")

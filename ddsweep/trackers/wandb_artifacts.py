"""The files behind a run, as W&B's artifacts: the PTMs that went in, by reference, and the distilled set that came out.

Lineage on W&B then shows which PTMs made which set.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep.pretrained import spec

if TYPE_CHECKING:
    import wandb

    from ddsweep.pretrained.spec import Spec
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result

SET = "synthetic.safetensors"


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

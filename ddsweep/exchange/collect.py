"""The synthetic set of a finished run, for export."""

from __future__ import annotations

import re
from pathlib import Path

from ddsweep import checked_files
from ddsweep.distill import synthetic
from ddsweep.distill.sets.generator import sampler_of
from ddsweep.errors import UserError
from ddsweep.exchange.image_set import NORMALIZED, Facts, ImageSet, grids
from ddsweep.exchange.own import recipe_beside
from ddsweep.results import result as results
from ddsweep.results.run_files import SET, check

KEY = re.compile(r"[0-9a-f]{4,16}")


def run_folder(prefix: str, runs: Path) -> Path:
    """Return the folder of the finished run whose key begins with ``prefix``.

    Raises:
        UserError: no run matches, or several do.
    """
    found = sorted(path for path in runs.glob(f"{prefix}*") if (path / "result.json").is_file())
    if len(found) > 1:
        keys = ", ".join(path.name for path in found[:3])
        raise UserError(
            f"{prefix}: matches {len(found)} runs ({keys}{', …' if len(found) > 3 else ''}); write more of the key"
        )
    if not found:
        raise UserError(
            f"{prefix}: no finished run in {runs} has a key that begins with this; `show` lists the keys of a sweep"
        )
    return found[0]


def collect(folder: Path) -> ImageSet:
    """Return the set of a finished run with all its facts: recipe, accuracies, versions, device, data.

    Raises:
        UserError: the run has not finished, has failed, or its set is not in the runs folder.
    """
    result = results.read(folder)
    if result is None:
        raise UserError(f"{folder.name}: has not finished")
    if result.state == "failed":
        raise UserError(f"{folder.name}: failed and has no synthetic set: {result.reason}")
    path = folder / SET
    if not path.is_file():
        raise UserError(f"{folder.name}: its {SET} is not in {folder.parent}, only where it was computed")
    check(path)
    found, header = synthetic.read(path)
    tensors, _ = checked_files.read_tensors(path)
    recipe = result.recipe
    mean, std = synthetic.statistics(header)
    origin = {
        "key": recipe.key(), "title": recipe.title(), "accuracies": result.accuracies, "device": result.device,
        "versions": result.versions, "git": result.git, "data": result.data,
    }  # fmt: skip
    facts = Facts(
        recipe.dataset, tuple(header["classes"].split("\n")), NORMALIZED, mean, std, "zca" in header, 1, found.ipc,
        recipe.method, found.lr, recipe_beside(path), origin,
    )  # fmt: skip
    return ImageSet(
        found.images,
        found.labels,
        facts,
        "safetensors",
        grids=grids(tensors, header),
        sample=sampler_of(tensors, header, mean, std),
        pixels=tensors.get("pixels"),
    )

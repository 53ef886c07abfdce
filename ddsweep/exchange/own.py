"""ddsweep's own format: ``synthetic.safetensors`` in a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ddsweep import checked_files, files
from ddsweep.distill.sets.generator import sampler_of
from ddsweep.errors import Damaged, UserError
from ddsweep.exchange.image_set import MARK, NORMALIZED, ImageSet, parse
from ddsweep.exchange.source import Source
from ddsweep.results import run_files

LISTS = ("mean", "std")


class Own:
    """Tensors ``images`` and ``labels``; the header has the facts that are needed to use them."""

    name = "safetensors"
    about = "synthetic.safetensors of a run, float32, normalized (ddsweep)"
    files: tuple[str, ...] = ("synthetic.safetensors",)

    def read(self, source: Source) -> ImageSet | None:
        """Return the tensors with the facts in the header; in the folder of its run, also its recipe and its images."""
        path = source.path
        if path.suffix != ".safetensors":
            return None
        run_files.check(path)
        tensors, header = checked_files.read_tensors(path)
        if missing := {"images", "labels"} - set(tensors):
            raise UserError(f"{path}: has no tensor called {min(missing)}")
        try:
            at_home = header.get("key") == path.absolute().parent.name
            recipe, origin = (recipe_beside(path), _origin_beside(path)) if at_home else ({}, {})
            facts = parse({**_known(header), "recipe": recipe, "origin": origin}, path)
        except ValueError as error:
            raise Damaged(f"{path} is damaged: {' '.join(str(error).split())}") from None
        images, labels, pixels = tensors["images"], tensors["labels"], tensors.get("pixels")
        sample = sampler_of(tensors, header, facts.mean, facts.std)
        return ImageSet(images, labels, facts, self.name, sample=sample, pixels=pixels)


def _known(header: dict[str, str]) -> dict[str, Any]:
    known: dict[str, Any] = {name: header[name] for name in ("dataset", "method") if name in header}
    known |= {name: json.loads(header[name]) for name in LISTS if name in header}
    if "classes" in header:
        known["classes"] = header["classes"].split("\n")
    if "ipc" in header:
        known["ipc"] = int(header["ipc"])
    if "lr" in header:
        known["lr"] = float(header["lr"])
    known["zca"] = header.get("zca") == "true"
    return {MARK: 1, "factor": 1, "space": NORMALIZED if set(LISTS) <= set(header) else "", **known}


def recipe_beside(path: Path) -> dict[str, Any]:
    """Return the fields of ``recipe.json`` in the folder of ``path``; empty if the file is missing or has no fields."""
    place = path.with_name("recipe.json")
    record = files.read_json(place) if place.is_file() else {}
    return record if isinstance(record, dict) else {}


def _origin_beside(path: Path) -> dict[str, Any]:
    """Return the checksums of the images in ``result.json`` in the folder of ``path``; empty if there are none."""
    place = path.with_name(run_files.RESULT)
    used = checked_files.read_json(place).get("data") if place.is_file() else None
    return {"data": used} if isinstance(used, dict) else {}

"""Pictures of a whole sweep: what the axis does to the images of each class, side by side."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from ddsweep import files, pictures
from ddsweep.recipe import Recipe
from ddsweep.results.formats import setting_label
from ddsweep.results.table import Entry, build, collect, column_label
from ddsweep.sweep import Sweep


def along_axis(sweep: Sweep, runs: Path) -> list[Path]:
    """For every setting a picture ``runs/NAME@PROFILE/AXIS[-SETTING].png``.

    Rows are classes; each column shows the same index of the class, its first image, at one value of the axis.
    Cells that are not finished, or failed, have no column.
    """
    table = build(sweep, collect(sweep, runs))
    written = []
    for row in table.rows:
        label = setting_label(row)
        sets = {
            column: runs / cell.key / "synthetic.safetensors"
            for column in table.columns
            for cell in sweep.cells
            if column_label(sweep, cell.recipe) == column and _belongs(row, cell.recipe)
        }
        shown = {column: _first_of_each_class(path) for column, path in sets.items() if path.is_file()}
        if not shown:
            continue
        name = "-".join(filter(None, [*sweep.axis, re.sub(r"[^\w]+", "-", label)]))
        path = runs / sweep.full_name / f"{name}.png"
        classes = next(iter(shown.values()))[1]
        images = torch.stack([images for images, _ in shown.values()], dim=1)
        with files.atomic(path) as temporary:
            pictures.grid(images, classes, list(shown)).save(temporary)
        written.append(path)
    return written


def _belongs(row: dict[str, Entry], recipe: Recipe) -> bool:
    setting = next(iter(row.values())).setting
    return all(getattr(recipe, name) == value for name, value in setting.items())


def _first_of_each_class(path: Path) -> tuple[Tensor, list[str]]:
    """The first image of every class, in [0, 1], and the names of the classes."""
    with safe_open(path, "pt") as file:
        metadata, images = file.metadata(), file.get_tensor("images")
    mean, std = (
        torch.tensor([float(part) for part in metadata[name].strip("[]").split(",")]) for name in ("mean", "std")
    )
    first = images[:: int(metadata["ipc"])]
    return (first * std[:, None, None] + mean[:, None, None]).clamp(0, 1), metadata["classes"].split("\n")

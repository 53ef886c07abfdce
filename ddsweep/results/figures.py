"""Pictures of a whole sweep: what the axis does to the images of each class, and to its accuracy."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from ddsweep import data, files, pictures
from ddsweep.distill.synthetic import read
from ddsweep.nn.table import PAPER_NAMES
from ddsweep.recipe import Recipe
from ddsweep.results import bars
from ddsweep.results.bars import Panel
from ddsweep.results.layout import setting_label
from ddsweep.results.result import Result
from ddsweep.results.table import Row, build, collect, column_label, setting_of
from ddsweep.sweep import Sweep


def along_axis(sweep: Sweep, runs: Path, folder: Path | None = None) -> list[Path]:
    """For every setting a picture ``AXIS[-SETTING].png`` in ``folder``, or in ``runs/NAME@PROFILE``.

    Rows are classes; each column shows the same index of the class, its first image, at one value of the axis.
    Cells that are not finished, or failed, have no column.
    """
    table = build(sweep, collect(sweep, runs))
    written = []
    for row, *_ in table.settings:
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
        path = (folder or runs / sweep.full_name) / file_name([*sweep.axis, label])
        classes = next(iter(shown.values()))[1]
        images = torch.stack([images for images, _ in shown.values()], dim=1)
        with files.atomic(path) as temporary:
            pictures.grid(images, classes, [heading(sweep, column) for column in shown]).save(temporary)
        written.append(path)
    return written


def class_accuracy(sweep: Sweep, runs: Path, folder: Path | None = None) -> list[Path]:
    """For every setting a picture ``class-accuracy[-SETTING].png`` in ``folder``, or in ``runs/NAME@PROFILE``.

    The paper's Fig. 1.

    A chart for each value of the axis that is finished, with the accuracy of every evaluated architecture on every
    class, over all seeds and networks.
    """
    found = collect(sweep, runs)
    table = build(sweep, found)
    written = []
    for row, *_ in table.settings:
        results = {
            column: [
                found[cell.key]
                for cell in sweep.cells
                if cell.key in found and column_label(sweep, cell.recipe) == column and _belongs(row, cell.recipe)
            ]
            for column in table.columns
        }
        panels = [
            Panel(heading(sweep, column), values) for column, some in results.items() if (values := _by_arch(some))
        ]
        if not panels:
            continue
        path = (folder or runs / sweep.full_name) / file_name(["class-accuracy", setting_label(row)])
        target = next(iter(row.values())).recipe.target
        with files.atomic(path) as temporary:
            bars.chart(panels, data.info(target).classes).save(temporary)
        written.append(path)
    return written


def _by_arch(results: list[Result]) -> dict[str, list[float]]:
    """Accuracy per class for each architecture, mean over the seeds."""
    values: dict[str, list[list[float]]] = {}
    for result in results:
        for arch, accuracies in result.class_accuracy.items():
            values.setdefault(PAPER_NAMES.get(arch, arch), []).append(accuracies)
    return {arch: [statistics.fmean(seeds) for seeds in zip(*some, strict=True)] for arch, some in values.items()}


def heading(sweep: Sweep, column: str) -> str:
    """The label of a column as a picture shows it: methods as they are written, and signs that Pillow's font has."""
    return column.upper() if sweep.axis == ("method",) else column.replace("×", "x")


def file_name(parts: Iterable[str]) -> str:
    """The words of ``parts`` as the name of a picture."""
    return "-".join(filter(None, (re.sub(r"[^\w-]+", "-", part) for part in parts))) + ".png"


def _belongs(row: Row, recipe: Recipe) -> bool:
    return all(getattr(recipe, name) == value for name, value in setting_of(row).items())


def _first_of_each_class(path: Path) -> tuple[Tensor, list[str]]:
    """The first image of every class, in [0, 1], and the names of the classes."""
    synthetic, metadata = read(path)
    mean, std = (
        torch.tensor([float(part) for part in metadata[name].strip("[]").split(",")]) for name in ("mean", "std")
    )
    first = synthetic.images[:: synthetic.ipc]
    return (first * std[:, None, None] + mean[:, None, None]).clamp(0, 1), metadata["classes"].split("\n")

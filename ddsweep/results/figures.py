"""Pictures of a whole sweep: what the axis does to the images of each class, and to its accuracy."""

from __future__ import annotations

import statistics
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import data, files, pictures
from ddsweep.distill.synthetic import read
from ddsweep.recipe import Recipe
from ddsweep.registry.networks import paper_name
from ddsweep.results import bars, drawing, tiles
from ddsweep.results.bars import Panel
from ddsweep.results.output import Output
from ddsweep.results.result import Result
from ddsweep.results.table import Row, build, collect, column_label, setting_of
from ddsweep.sweep import Sweep


def along_axis(sweep: Sweep, runs: Path, output: Output | None = None) -> list[Path]:
    """For every setting a picture ``AXIS[-SETTING].png`` in ``output``, or in ``runs/NAME@PROFILE``.

    Rows are classes; each column shows the same index of the class, its first image, at one value of the axis.
    Cells that are not finished, or failed, have no column. A PNG is made for screens, pixel by pixel; a PDF or SVG for
    print, with letters of print.
    """
    output = output or Output(runs / sweep.full_name)
    table = build(sweep, collect(sweep, runs))
    written = []
    for row, *_ in table.settings:
        sets = {
            column: runs / cell.key / "synthetic.safetensors"
            for column in table.columns
            for cell in sweep.cells
            if column_label(sweep, cell.recipe) == column and _belongs(row, cell.recipe)
        }
        shown = {column: _first_of_each_class(path) for column, path in sets.items() if path.is_file()}
        if not shown:
            continue
        classes = next(iter(shown.values()))[1]
        images = torch.stack([images for images, _ in shown.values()], dim=1)
        path = output.path("-".join(sweep.axis), _slug(row))
        _grid(path, images, classes, [heading(sweep, column).replace("+", "+\n") for column in shown])
        written.append(path)
    return written


def _grid(path: Path, images: Float[Tensor, "rows columns c h w"], rows: list[str], columns: list[str]) -> None:
    if path.suffix == ".png":
        with files.atomic(path) as temporary:
            pictures.grid(images, rows, columns).save(temporary)
        return
    with drawing.page(path, *tiles.tiles_size(len(columns), columns, rows)) as figure:
        tiles.draw_tiles(figure, images, rows, columns)


def class_accuracy(sweep: Sweep, runs: Path, output: Output | None = None) -> list[Path]:
    """For every setting a picture ``class-accuracy[-SETTING].png`` in ``output``, or in ``runs/NAME@PROFILE``.

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
        path = (output or Output(runs / sweep.full_name)).path("class-accuracy", _slug(row))
        classes = data.info(next(iter(row.values())).recipe.target).classes
        with drawing.page(path, *bars.bars_size(panels, classes)) as figure:
            bars.draw_bars(figure, panels, classes)
        written.append(path)
    return written


def _by_arch(results: list[Result]) -> dict[str, list[float]]:
    """Accuracy per class for each architecture, mean over the seeds."""
    values: dict[str, list[list[float]]] = {}
    for result in results:
        for arch, accuracies in result.class_accuracy.items():
            values.setdefault(paper_name(arch), []).append(accuracies)
    return {arch: [statistics.fmean(seeds) for seeds in zip(*some, strict=True)] for arch, some in values.items()}


def heading(sweep: Sweep, column: str) -> str:
    """The label of a column as a picture shows it: methods as they are written, and signs that Pillow's font has."""
    return column.upper() if sweep.axis == ("method",) else column.replace("×", "x")


def _slug(row: Row) -> str:
    """The setting of a row as part of a file's name, in the names of the recipe."""
    spoken = ("method", "target")
    return "-".join(str(value) if name in spoken else f"{name}-{value}" for name, value in setting_of(row).items())


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

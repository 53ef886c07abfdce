"""The same image of each class along the axis of a sweep: a PNG for screens, a PDF or SVG for print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import files, fonts, pictures
from ddsweep.data.pixels import denormalized
from ddsweep.distill.synthetic import read_normalized, statistics
from ddsweep.results import about, stored
from ddsweep.results.plots import style
from ddsweep.results.plots.class_order import places
from ddsweep.results.plots.seeds import Seeds
from ddsweep.results.plots.style import Output
from ddsweep.results.tables.table import Row, build, setting_of
from ddsweep.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 0.6  # inches: side of an image
FINEST = 96  # pixels of its enlargement: viewers that smooth when they enlarge then blur only a hundredth of an image
CAPTION = 0.2  # inches: height of the line below the images
GAP = 1 / 24  # between images, as a fraction of their side
LETTER = 0.065  # inches: width of a letter, about


def along_axis(sweep: Sweep, runs: Path, output: Output | None = None) -> list[Path]:
    """Draw ``AXIS[-SETTING].png`` per setting into ``output`` or ``runs/NAME@PROFILE``.

    Rows are classes; each column shows the first image of each class at one value of the axis, of the seed that is
    named below the grid, or above each column (``seeds``). Unfinished and failed cells have no column. A PNG is drawn
    pixel by pixel for screens; a PDF or SVG has the fonts of the other figures.
    """
    output = output or Output(runs / sweep.full_name)
    table, paths = build(sweep, stored.collect(sweep, runs)), stored.sets(sweep, runs)
    written = []
    for row, *_ in table.settings:
        found = {
            column: {cell.recipe.seed: paths[cell.key] for cell in row[column].cells if cell.key in paths}
            for column in table.columns
            if column in row
        }
        seeds = Seeds.of(found)
        if not seeds.shown:
            continue
        sets = {column: found[column][seed] for column, seed in seeds.shown.items()}
        shown = {column: _first_of_each_class(path) for column, path in sets.items()}
        classes = next(iter(shown.values()))[1]
        orders = {column: places(names, classes, sets[column].parent.name) for column, (_, names) in shown.items()}
        images = torch.stack([images[orders[column]] for column, (images, _) in shown.items()], dim=1)
        heads = [heading(sweep, column).replace("+", "+\n") for column in shown]
        named = ["\n".join(filter(None, [head, seeds.note(one)])) for head, one in zip(heads, shown, strict=True)]
        path = output.path("-".join(sweep.axis), slug(row))
        said = dict.fromkeys(about.images(row[column].cells[0].recipe, sets[column].parent) for column in shown)
        _grid(path, images, classes, named, "; ".join(filter(None, [seeds.caption, *said])))
        written.append(path)
    return written


def _grid(
    path: Path, images: Float[Tensor, "rows columns c h w"], rows: list[str], columns: list[str], caption: str
) -> None:
    if path.suffix == ".png":
        files.write_bytes(path, pictures.grid(images, rows, columns, caption).png)
        return
    rows, columns = fonts.names(rows), fonts.heads(columns)
    with style.page(path, *tiles_size(len(columns), columns, rows)) as figure:
        draw_tiles(figure, images, rows, columns)
        figure.supxlabel(caption, fontsize=style.SMALL)


def heading(sweep: Sweep, column: str) -> str:
    """The label of a column: methods in capitals."""
    return column.upper() if sweep.axis == ("method",) else column


def slug(row: Row) -> str:
    """The setting of a row as part of a file's name, in the names of the recipe."""
    spoken = ("method", "target")
    return "-".join(str(value) if name in spoken else f"{name}-{value}" for name, value in setting_of(row).items())


def _first_of_each_class(path: Path) -> tuple[Tensor, list[str]]:
    """The first image of every class, in [0, 1], and the names of the classes."""
    synthetic, metadata = read_normalized(path)
    mean, std = statistics(metadata)
    return denormalized(synthetic.images[:: synthetic.ipc], mean, std), metadata["classes"].split("\n")


def tiles_size(count: int, columns: Sequence[str], rows: Sequence[str]) -> tuple[float, float]:
    """Width and height in inches for ``count`` images per row: as wide as a page, or less if they are large enough."""
    margin = LETTER * max(map(len, rows), default=0) + 0.1
    heads = [name.split("\n") for name in columns]
    widest = max((len(line) for lines in heads for line in lines), default=0)
    side = min((style.PAGE - margin) / count, max(LARGEST, LETTER * widest))
    return margin + count * side, 0.25 * max(map(len, heads), default=1) + len(rows) * side + CAPTION


def draw_tiles(
    figure: Figure, images: Float[Tensor, "rows columns c h w"], rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Draw all images as one, each learned pixel enlarged without smoothing."""
    factor = max(1, FINEST // images.shape[-2])
    enlarged = images.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    height, width = enlarged.shape[-2:]
    gap = max(1, round(GAP * height))
    count = images.shape[1]
    mosaic = torch.ones(images.shape[2], len(rows) * (height + gap) - gap, count * (width + gap) - gap)
    for row in range(len(rows)):
        for column in range(count):
            top, left = row * (height + gap), column * (width + gap)
            mosaic[:, top : top + height, left : left + width] = enlarged[row, column]
    axes = figure.subplots()
    axes.imshow(pictures.to_pil(mosaic), interpolation="none")
    axes.set_yticks([row * (height + gap) + height / 2 for row in range(len(rows))], rows)
    axes.set_xticks([column * (width + gap) + width / 2 for column in range(count)], columns)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)

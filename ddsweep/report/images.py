"""Selection, number and size of the images from run folders that a report embeds."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.data import class_names
from ddsweep.grids import Tiles, read_tiles
from ddsweep.results import about, run_files
from ddsweep.results.plots.seeds import Seeds

if TYPE_CHECKING:
    from PIL.Image import Image

    from ddsweep.report.material import Cells, Material
    from ddsweep.sweep import Cell

LAST = "synthetic.png"  # the synthetic images at the end of a run
THUMB = 64  # pixels; larger images are reduced to this size
SHOWN = 48  # maximum size of an image on the page, in pixels
ACROSS = 360  # maximum width of a sheet on the page, in pixels
CLASSES = 20  # maximum number of classes shown
PIXELS = 700_000  # of all embedded images in total; at most 3 bytes per pixel (measured), so about 2.5 MB as text
MOST = 10  # maximum number of images per class
GAP, ENLARGED = 2, 48  # pixels in a sheet: the gap between images, and the size to which small images are enlarged


@dataclass(frozen=True)
class Sheet:
    """One embedded image.

    Attributes:
        uri: the image as a data URI.
        width: the width on the page, in pixels; the image shrinks on a narrower page.
        height: the height on the page, in pixels.
        alt: the alternative text.
        column: the index of the column in the table, from 0.
        step: the number of iterations after which the images were saved.
    """

    uri: str
    width: int
    height: int
    alt: str
    column: int = 0
    step: int = 0


@dataclass(frozen=True)
class Gallery:
    """The images of one setting.

    Attributes:
        group: the index of the setting, from 0.
        label: the setting.
        classes: the class names of the rows.
        more: the number of classes that are not shown.
        real: real images; None if the first run saved none.
        sheets: synthetic images of every column, at the saved steps.
        strip: the first image of each class for every column with images.
        columns: the indices of those columns.
        seeds: the seed whose images each of those columns shows.
        rates: for those columns, the accuracy of each class in percent with the difference to the baseline of the same
            seed; the latter is None without such a baseline.
        steps: iterations with saved images, ascending; the last is the end of the run.
        reduced: the original size of the images in pixels if they are reduced, else 0.
        about: how the synthetic images come from what is learned (``results.about``); empty if nothing is to say.
    """

    group: int
    label: str
    classes: list[str]
    more: int
    real: Sheet | None
    sheets: list[Sheet]
    strip: Sheet | None
    columns: list[int]
    seeds: Seeds[int]
    rates: dict[int, list[tuple[float, float | None]]]
    steps: list[int]
    reduced: int
    about: str


@dataclass(frozen=True)
class _Run:
    """The real images of a run, its synthetic images by step, and the names of its classes, if they are known."""

    cell: Cell
    real: Tiles
    steps: dict[int, Tiles]
    classes: tuple[str, ...]


def galleries(material: Material) -> list[Gallery]:
    """The images of every setting for which some run has saved images."""
    taken = {label: _taken(material, cells) for label, cells in material.settings.items()}
    runs = [run for runs in taken.values() for run in runs.values()]
    if not runs:
        return []
    several = sum(len(run.steps) for run in runs) + len(taken)
    with_steps = _affordable(runs, several) >= min(3, max(run.cell.recipe.ipc for run in runs))
    each = _affordable(runs, several if with_steps else len(runs) + len(taken))
    return [
        _gallery(material, group, label, {column: _kept(run, each, with_steps) for column, run in runs.items()})
        for group, (label, runs) in enumerate(taken.items())
        if runs
    ]


def _taken(material: Material, cells: Cells) -> dict[int, _Run]:
    """For every column with images, a finished run: all of one seed, if some seed has images in all of them."""
    available = {
        column: {
            cell.recipe.seed: cell
            for cell in cells.get(name, ())
            if (result := material.found.get(cell.key))
            and result.state == "complete"
            and _tiles(material.runs / cell.key / LAST)
        }
        for column, name in enumerate(material.table.columns)
    }
    return {column: _read(available[column][seed], material.runs) for column, seed in Seeds.of(available).shown.items()}


def _read(cell: Cell, runs: Path) -> _Run:
    folder, steps = runs / cell.key, {}
    for path in sorted((folder / "images").glob("synthetic_*.png")):
        number = path.stem.removeprefix("synthetic_")
        if number.isdecimal() and (tiles := read_tiles(path)):
            steps[int(number)] = tiles
    names = class_names.of_run(folder, cell.recipe.target)
    return _Run(cell, _tiles(folder / "real.png"), steps | {cell.recipe.iterations: _tiles(folder / LAST)}, names)


def _tiles(path: Path) -> Tiles:
    return read_tiles(path) if run_files.is_intact(path) else []


def _affordable(runs: list[_Run], sheets: int) -> int:
    """The number of images per class that each of ``sheets`` sheets may have within ``PIXELS``."""
    classes = max(min(CLASSES, len(run.real) or CLASSES) for run in runs)
    pixels = max(min(THUMB, run.cell.recipe.size) ** 2 for run in runs)
    return max(1, min(MOST, PIXELS // (sheets * classes * pixels)))


def _kept(run: _Run, each: int, with_steps: bool) -> _Run:
    """The images of a run that are embedded: the first ``each`` of a class, at all steps or only at the end."""
    steps = run.steps if with_steps else {max(run.steps): run.steps[max(run.steps)]}
    shown = {step: _some(tiles, each) for step, tiles in steps.items()}
    return replace(run, real=_some(run.real, each), steps=shown)


def _some(tiles: Tiles, each: int) -> Tiles:
    return [[_thumb(one) for one in row[:each]] for row in tiles[:CLASSES]]


def _thumb(image: Image) -> Image:
    from PIL import Image as images

    return image if image.width <= THUMB else image.resize((THUMB, THUMB), images.Resampling.BOX)


def _gallery(material: Material, group: int, label: str, runs: dict[int, _Run]) -> Gallery:
    from ddsweep.results.tables import naming

    table = material.table
    heads = {column: naming.label(table.axis, table.columns[column]) for column in runs}
    names, first = _classes(next(iter(runs.values()))), next(iter(runs.values()))
    sheets = [
        _sheet(tiles, f"Synthetic images at {naming.field(table.axis)} {heads[column]}, step {step}", column, step)
        for column, run in runs.items()
        for step, tiles in run.steps.items()
    ]
    ends = [run.steps[max(run.steps)] for run in runs.values()]
    strip = [[tiles[row][0] for tiles in ends] for row in range(min(len(names), CLASSES))]
    target = first.cell.recipe.dataset
    said = (about.images(run.cell.recipe, material.runs / run.cell.key) for run in runs.values())
    return Gallery(
        group=group, label=label, classes=names[:CLASSES], more=max(0, len(names) - CLASSES),
        real=_sheet(first.real, f"Real images of {target}, a row for each class") if first.real else None,
        sheets=sheets, columns=list(runs), seeds=Seeds({column: run.cell.recipe.seed for column, run in runs.items()}),
        rates={column: _rates(material, run.cell) for column, run in runs.items()},
        steps=sorted({step for run in runs.values() for step in run.steps}),
        strip=_sheet(strip, f"The first image of each class along {naming.field(table.axis)}", across=760),
        reduced=first.cell.recipe.size if first.cell.recipe.size > THUMB else 0,
        about="; ".join(dict.fromkeys(filter(None, said))),
    )  # fmt: skip


def _rates(material: Material, cell: Cell) -> list[tuple[float, float | None]]:
    """The accuracy of the distillation network on each class, and the difference to the baseline of the same seed."""
    own = material.found[cell.key].class_accuracy.get(cell.recipe.arch, [])
    baseline = material.sweep.baselines.get(cell.key, "")
    reference = material.found.get(baseline) if baseline != cell.key else None
    base = reference.class_accuracy.get(cell.recipe.arch, []) if reference else []
    if len(base) != len(own):
        return [(100 * accuracy, None) for accuracy in own]
    return [(100 * accuracy, 100 * (accuracy - other)) for accuracy, other in zip(own, base, strict=True)]


def _classes(run: _Run) -> list[str]:
    """The class names, or numbers if the names are unknown."""
    rows = len(run.real) or len(run.steps[max(run.steps)])
    return list(run.classes) if len(run.classes) >= rows else [str(number) for number in range(rows)]


def _sheet(tiles: Tiles, alt: str, column: int = 0, step: int = 0, across: int = ACROSS) -> Sheet:
    """Join tiles into one image, with a transparent gap right of and below each tile, so that all rows are equal."""
    from PIL import Image

    count, size = max(map(len, tiles)), tiles[0][0].width
    factor = max(1, ENLARGED // size)
    cell = size * factor + GAP
    picture = Image.new("RGBA", (count * cell, len(tiles) * cell))
    for row, images in enumerate(tiles):
        for index, image in enumerate(images):
            picture.paste(image.resize((size * factor,) * 2, Image.Resampling.NEAREST), (index * cell, row * cell))
    out = io.BytesIO()
    picture.save(out, "WEBP", lossless=True, quality=60, method=4)
    shown = max(1, min(SHOWN, across // count))
    uri = "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
    return Sheet(uri, count * shown, len(tiles) * shown, alt, column, step)

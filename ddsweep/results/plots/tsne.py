"""Scatter plots side by side: real images as dots, synthetic ones as stars, one color per class."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import data, fonts, rng
from ddsweep.data.dataset import Dataset
from ddsweep.distill.synthetic import read_normalized
from ddsweep.nn.microbatches import microbatch_size
from ddsweep.percent import percent
from ddsweep.pretrained import inventory, pool, spec, training
from ddsweep.pretrained.pool import PretrainedModel
from ddsweep.recipe import Recipe
from ddsweep.registry.guidance import NONE
from ddsweep.registry.guidance import paper_name as guidance_name
from ddsweep.registry.networks import paper_name
from ddsweep.results import stored
from ddsweep.results.plots import style
from ddsweep.results.plots.class_order import places
from ddsweep.results.plots.images import heading
from ddsweep.results.plots.seeds import Seeds
from ddsweep.results.plots.style import Output
from ddsweep.results.tables import naming
from ddsweep.results.tables.table import build, setting_of
from ddsweep.sweep import Scalar, Sweep
from ddsweep.text import joined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. A. Petroff's ten colors, optimized to be distinguishable for color-blind readers too (arXiv:2107.02270)
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
DOT, STAR = 2.2, 5.5  # diameters in points
OPACITY = 0.5  # of a dot
MARGIN = 0.04  # of the width, from the outermost point to the frame
LARGEST = 3.3  # inches: side of a panel
HEAD, LEGEND, CAPTION = 0.3, 0.16, 0.13  # inches: height of a title, of a line of the legend, of the caption
LETTER = 0.058  # inches: width of a small letter, about

Key = tuple[str, str]
"""A panel by the names of its row and its column."""

REAL, SYNTHETIC = 2000, 500  # at most this many points per panel, equally many of each class
PERPLEXITY = 30.0
SCENE = ("target", "align", "severity", "size", "arch")
"""What the panels of one picture have in common: its real images and its network."""

Say = Callable[[str], object]


@dataclass(frozen=True)
class Points:
    """Images as points of a plane.

    Attributes:
        places: [n, 2]; x to the right, y upwards.
        labels: of the images.
    """

    places: Float[Tensor, "n 2"]
    labels: Int64[Tensor, " n"]


@dataclass(frozen=True)
class Scene:
    """The content of one figure.

    Attributes:
        real: the same images in each panel.
        panels: the synthetic images, for panels that have some.
        rows: of panels, by name.
        columns: likewise.
        classes: by label.
        caption: written below the figure.
        notes: of panels, written into them.
    """

    real: Points
    panels: Mapping[Key, Points]
    rows: Sequence[str]
    columns: Sequence[str]
    classes: Sequence[str]
    caption: str
    notes: Mapping[Key, str] = field(default_factory=dict)

    @property
    def lying(self) -> Scene:
        """The scene with rows and columns exchanged if there is only one column: a page is wider than a panel."""
        if not len(self.columns) == 1 < len(self.rows):
            return self
        panels = {(column, row): points for (row, column), points in self.panels.items()}
        notes = {(column, row): note for (row, column), note in self.notes.items()}
        return Scene(self.real, panels, self.columns, self.rows, self.classes, self.caption, notes)


def scatter_size(scene: Scene) -> tuple[float, float]:
    """Width and height in inches: as wide as a page; a single column of panels is narrower."""
    rows, columns = len(scene.lying.rows), len(scene.lying.columns)
    width = min(style.PAGE, columns * LARGEST + HEAD)
    legend = LEGEND * (1 + sum(len(name) + 6 for name in _legend_names(scene)) * LETTER // width)
    caption = CAPTION * (1 + len(scene.caption) * LETTER // width)
    return width, rows * (width - HEAD) / columns + HEAD + legend + caption + 0.2


def draw_scatter(figure: Figure, scene: Scene) -> None:
    """Draw a panel per row and column with one scale and the same real images; legend and caption below.

    A panel without synthetic images says so.
    """
    scene = scene.lying
    grid = figure.subplots(len(scene.rows), len(scene.columns), squeeze=False, sharex=True, sharey=True)
    low, high = _view([scene.real, *scene.panels.values()])
    for i, row in enumerate(scene.rows):
        for j, column in enumerate(scene.columns):
            axes = grid[i, j]
            axes.set(aspect="equal", xticks=[], yticks=[], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
            axes.spines[:].set(visible=True, color="#969696")
            axes.set_title(fonts.title(column) if i == 0 else "")
            axes.set_ylabel(fonts.title(row) if j == 0 else "")
            _dots(axes, scene.real)
            _stars(axes, scene.panels.get((row, column)))
            corner = {"xy": (0.03, 0.03), "xycoords": "axes fraction", "fontsize": style.SMALL}
            axes.annotate(scene.notes.get((row, column), ""), **corner, color=style.INK)
    _legend(figure, scene)
    letters = int(figure.get_figwidth() / LETTER)
    figure.supxlabel("\n".join(textwrap.wrap(scene.caption, letters)), fontsize=style.SMALL, x=0.01, ha="left")


def _view(clouds: Sequence[Points]) -> tuple[list[float], list[float]]:
    """The corners of the square that all points lie in: one scale for both directions, distances are what counts."""
    every = torch.cat([cloud.places for cloud in clouds])
    middle = (every.amin(dim=0) + every.amax(dim=0)) / 2
    half = (0.5 + MARGIN) * (float((every.amax(dim=0) - every.amin(dim=0)).max()) or 1.0)
    return (middle - half).tolist(), (middle + half).tolist()


def _dots(axes: Axes, real: Points) -> None:
    places, colors = _in_turn(real)
    # pixels also in a PDF: thousands of dots, the same in each panel, are nothing to scale or edit
    x, y = places.T.tolist()
    axes.scatter(x, y, s=DOT**2, c=colors, alpha=OPACITY, linewidths=0, rasterized=True)


def _stars(axes: Axes, synthetic: Points | None) -> None:
    if synthetic is None:
        box = {"boxstyle": "square,pad=0.3", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        axes.text(0.5, 0.5, "not finished", transform=axes.transAxes, ha="center", va="center", bbox=box)
        return
    places, colors = _in_turn(synthetic)
    x, y = places.T.tolist()
    axes.scatter(x, y, s=STAR**2, c=colors, marker="*", linewidths=0.4, edgecolors=style.INK, zorder=3)


def _in_turn(points: Points) -> tuple[Tensor, list[str]]:
    """Places and colors, one point of each class in turn: no class lies on top of the others."""
    turn: dict[int, int] = {}
    order = []
    for index, label in enumerate(points.labels.tolist()):
        turn[label] = turn.get(label, 0) + 1
        order.append((turn[label], label, index))
    order.sort()
    return points.places[[index for *_, index in order]], [COLORS[label % len(COLORS)] for _, label, _ in order]


def _legend_names(scene: Scene) -> list[str]:
    return ["real image", "synthetic image", *scene.classes]


def _legend(figure: Figure, scene: Scene) -> None:
    from matplotlib.lines import Line2D

    star: dict[str, Any] = {"marker": "*", "markersize": STAR + 1, "linestyle": "", "markeredgewidth": 0.4}
    handles = [
        Line2D([], [], marker="o", markersize=DOT + 1, linestyle="", color=style.INK, alpha=OPACITY),
        Line2D([], [], color=style.INK, **star),
        *(
            Line2D([], [], color=COLORS[label % len(COLORS)], markeredgecolor=style.INK, **star)
            for label in range(len(scene.classes))
        ),
    ]
    style.legend(figure, handles, _legend_names(scene))


@dataclass(frozen=True)
class Lens:
    """What turns images into features.

    Attributes:
        model: a PTM of the target.
        title: what it is, for the caption.
    """

    model: PretrainedModel
    title: str

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features, on the CPU."""
        chunk = microbatch_size(images.shape[-1], images.device, pool.PIXELS)
        return torch.cat([self.model.embed(part).cpu() for part in images.split(chunk)])


def feature_maps(
    sweep: Sweep, runs: Path, output: Output | None = None, device: str = "cpu", say: Say = lambda line: None
) -> list[Path]:
    """For every setting but the method a picture ``tsne[-SETTING].png``; nothing where no cell is finished.

    A column is a method and a row a value of the axis. The features are those of "a model trained on the whole training
    set" (paper, Sec. 5.4; so too DM's paper): the PTM of the target with the distillation network, seed 0, at its last
    epoch, from the pool; trained first if it is not there. What it reaches on the test set is in the caption.

    All panels share *one* embedding, of the real images together with all synthetic sets: a real image has the same
    place in every panel, so that a difference between panels is a difference between sets. (With an embedding for each
    panel the places of the clusters would differ too, and would mean nothing.)

    Args:
        sweep: its finished cells are drawn, of the seed that the caption names, or each panel (``seeds``).
        runs: the folder of all runs.
        output: where to; default: PNG in ``runs/NAME@PROFILE``.
        device: where features are computed. The picture is the same every time, on one kind of device.
        say: called with a line before a PTM is trained.
    """
    written = []
    for label, setting in _settings(sweep, runs).items():
        if not setting.seeds.shown:
            continue
        dataset = data.load(setting.recipe.dataset, setting.recipe.size, device)
        lens = lens_of(well_trained(sweep, setting.recipe), dataset, say)
        path = (output or Output(runs / sweep.full_name)).path("tsne", label)
        scene = _scene(dataset, lens, setting)
        with style.page(path, *scatter_size(scene)) as figure:
            draw_scatter(figure, scene)
        written.append(path)
    return written


def well_trained(sweep: Sweep, recipe: Recipe) -> Recipe:
    """A recipe with one PTM: of its own target and distillation network, at the last epoch of ``sweep``'s settings.

    It is a PTM that CLoM would use: a sweep with well-trained PTMs has it in the pool.
    """
    choices: dict[str, Scalar | None] = {name: getattr(recipe, name) for name in (*SCENE, "method", "ipc", "width")}
    choices |= {"zca": False, "regularizer": "clom"}
    choices |= {"source": "target", "alpha": 1.0, "ptm_archs": recipe.arch, "n_models": 1}
    choices |= dict.fromkeys(("ptm_epoch", "alpha_by_arch", "ptm_statistics", "cclom_batch"))  # their defaults
    return sweep.recipe(choices)


def lens_of(guided: Recipe, dataset: Dataset, say: Say = lambda line: None) -> Lens:
    """The one PTM of ``guided``, from the pool; trained on ``dataset`` first if it is not there."""
    ((one,),) = specs = spec.of(guided)
    if guided.ptm_epoch not in one.saved():
        say(f"training {one.title}, {guided.ptm_epoch} epochs: it makes the features")
    training.ensure(one, {guided.ptm_epoch}, dataset, lambda done, total: None)
    accuracy = inventory.read(one.folder).accuracy[guided.ptm_epoch] or 0.0
    title = f"{paper_name(one.arch)} after {guided.ptm_epoch} epochs on all {len(dataset.labels)} images"
    ((model,),) = pool.load(specs, guided.ptm_epoch, dataset).models
    return Lens(model, f"{title} (test accuracy {percent(accuracy)} %)")


def embed(features: Float[Tensor, "n d"], seed: int) -> Float[Tensor, "n 2"]:
    """t-SNE (van der Maaten and Hinton, 2008) with perplexity 30, started from the first two principal components.

    Args:
        features: a row a point; at least four.
        seed: of its random numbers. Same features and seed, same bits: it runs on one thread, because the order in
            which several add up is not fixed, and t-SNE blows the last digit up to another picture.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    method = TSNE(
        perplexity=min(PERPLEXITY, (len(features) - 1) / 3), init="pca", random_state=rng.derive(seed, "tsne") % 2**32
    )
    with threadpool_limits(1):
        return torch.from_numpy(method.fit_transform(features.double().numpy()))


@dataclass(frozen=True)
class _Setting:
    """The content of one figure.

    Attributes:
        recipe: one of its experiments; they agree in target and distillation network.
        sets: the files of the synthetic sets of every panel, by seed.
    """

    recipe: Recipe
    sets: dict[Key, dict[int, Path]] = field(default_factory=dict)

    @property
    def seeds(self) -> Seeds[Key]:
        """The seed that each panel shows."""
        return Seeds.of(self.sets)


def _settings(sweep: Sweep, runs: Path) -> dict[str, _Setting]:
    """Every picture by its name: the setting of a row of the table without those that its panels differ in."""
    files, table, found = stored.sets(sweep, runs), build(sweep, stored.collect(sweep, runs)), dict[str, _Setting]()
    on_axis = [name for name in SCENE if name in sweep.axis]
    for row, *_ in table.settings:
        setting = setting_of(row)
        apart = {name: setting[name] for name in setting if name in SCENE or name not in (*sweep.baseline, "method")}
        beside = {name: value for name, value in setting.items() if name != "method" and name not in apart}
        for column, entry in ((one, row[one]) for one in table.columns if one in row):
            values = [*apart.values(), *(naming.shown(entry.recipe, name) for name in on_axis)]
            picture = found.setdefault("-".join(map(str, values)), _Setting(entry.recipe))
            head, method = _place(sweep, column, entry.recipe)
            place = joined(naming.setting(beside, labels=table.labels), head), method
            sets = {cell.recipe.seed: files[cell.key] for cell in entry.cells if cell.key in files}
            picture.sets.setdefault(place, {}).update(sets)
    return found


def _place(sweep: Sweep, column: str, recipe: Recipe) -> Key:
    """Row and column of a panel."""
    if sweep.axis == ("regularizer",):
        return _side(column), recipe.method.upper()
    return heading(sweep, column), "" if "method" in sweep.axis else recipe.method.upper()


def _side(regularizer: str) -> str:
    return "without CLoM" if regularizer == NONE else f"with {guidance_name(regularizer)}"


def _scene(dataset: Dataset, lens: Lens, setting: _Setting) -> Scene:
    """Every synthetic set in its panel."""
    seeds = setting.seeds
    paths = {place: setting.sets[place][seed] for place, seed in seeds.shown.items()}
    images, labels = _real(dataset)
    sets = {key: _synthetic(path, dataset.classes) for key, path in paths.items()}
    features = [lens(images), *(lens(some.to(images.device)) for some, _ in sets.values())]
    places = embed(torch.cat(features), seed=0).split([len(some) for some in features])
    real = Points(places[0], labels)
    panels = {key: Points(own, sets[key][1]) for key, own in zip(sets, places[1:], strict=True)}
    caption = (
        f"t-SNE, one embedding for all panels, of the features of {lens.title}. "
        f"Dots: {len(labels)} real training images of {dataset.name}, the same in each panel. Stars: {seeds.caption}."
    )
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*setting.sets, strict=True))
    notes = {place: seeds.note(place) for place in paths}
    return Scene(real, panels, rows, columns, tuple(fonts.names(dataset.classes)), caption, notes)


def _real(dataset: Dataset) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
    """Training images, equally many of each class, with their labels."""
    each = min(max(1, REAL // len(dataset.classes)), *(len(members) for members in dataset.per_class))
    generator = rng.generator(0, "tsne", dataset.name)
    images = torch.cat([dataset.sample(label, each, generator) for label in range(len(dataset.classes))])
    return images, torch.arange(len(dataset.classes)).repeat_interleave(each)


def _synthetic(path: Path, classes: Sequence[str]) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
    """A synthetic set, with labels among ``classes``; of a large one the first images of each class.

    Raises:
        UserError: it has other classes.
    """
    synthetic, metadata = read_normalized(path)
    order = torch.tensor(places(classes, metadata["classes"].split("\n"), path.parent.name))
    kept = torch.arange(len(synthetic.labels)) % synthetic.ipc < max(1, SYNTHETIC // len(classes))
    return synthetic.images[kept], order[synthetic.labels[kept]]

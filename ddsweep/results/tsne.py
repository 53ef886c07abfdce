"""Where synthetic images lie among the real ones (the paper's Fig. A1): t-SNE of their features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import data, rng
from ddsweep.data.dataset import Dataset
from ddsweep.distill.synthetic import read
from ddsweep.nn.passes import images_per_pass
from ddsweep.pretrained import inventory, pool, spec, training
from ddsweep.pretrained.pool import PretrainedModel
from ddsweep.recipe import Recipe
from ddsweep.registry.networks import paper_name
from ddsweep.results import drawing, scatter
from ddsweep.results.figures import heading
from ddsweep.results.labels import column_label
from ddsweep.results.output import Output
from ddsweep.results.scatter import Points, Scene
from ddsweep.sweep import Scalar, Sweep

REAL, SYNTHETIC = 2000, 500  # at most so many points in a panel, equally many of each class
PERPLEXITY = 30.0
SIDES = {"none": "without CLoM", "clom": "with CLoM", "cclom": "with CCLoM"}

Say = Callable[[str], object]


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
        chunk = images_per_pass(images.shape[-1], images.device, pool.PIXELS)
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
        sweep: its finished cells are drawn; of several seeds the first.
        runs: the folder of all runs.
        output: where to; default: PNG in ``runs/NAME@PROFILE``.
        device: where features are computed. The picture is the same every time, on one kind of device.
        say: is told before a PTM is trained.
    """
    written = []
    for label, setting in _settings(sweep, runs).items():
        if not any(setting.sets.values()):
            continue
        dataset = data.load(setting.recipe.target, setting.recipe.size, device)
        lens = lens_of(well_trained(sweep, setting.recipe), dataset, say)
        path = (output or Output(runs / sweep.full_name)).path("tsne", label)
        scene = _scene(dataset, lens, setting.sets)
        with drawing.page(path, *scatter.scatter_size(scene)) as figure:
            scatter.draw_scatter(figure, scene)
        written.append(path)
    return written


def well_trained(sweep: Sweep, recipe: Recipe) -> Recipe:
    """A recipe with one PTM: of its own target and distillation network, at the last epoch of ``sweep``'s settings.

    It is a PTM that CLoM would use: a sweep with well-trained PTMs has it in the pool.
    """
    choices: dict[str, Scalar | None] = {
        name: getattr(recipe, name) for name in ("target", "size", "method", "ipc", "arch", "width")
    }
    choices |= {"regularizer": "clom", "source": "target", "alpha": 1.0, "archs": recipe.arch, "n_models": 1}
    choices |= dict.fromkeys(("ptm_epoch", "alpha_by_arch", "ptm_statistics", "cclom_batch"))  # their defaults
    return sweep.recipe(choices)


def lens_of(guided: Recipe, dataset: Dataset, say: Say = lambda line: None) -> Lens:
    """The one PTM of ``guided``, from the pool; trained on ``dataset`` first if it is not there."""
    ((one,),) = specs = spec.of(guided)
    if guided.ptm_epoch not in one.saved():
        say(f"training {one.title}, {guided.ptm_epoch} epochs: it makes the features")
    training.ensure(one, {guided.ptm_epoch}, dataset, lambda done, total: None)
    accuracy = inventory.of(one.folder).accuracy[guided.ptm_epoch] or 0.0
    title = f"{paper_name(one.arch)} after {guided.ptm_epoch} epochs on all {len(dataset.labels)} images"
    ((model,),) = pool.load(specs, guided.ptm_epoch, dataset).models
    return Lens(model, f"{title} (test accuracy {100 * accuracy:.1f} %)")


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
    """What one picture shows.

    Attributes:
        recipe: one of its experiments; they agree in target and distillation network.
        sets: the file of the synthetic set of every panel; None where there is none yet.
    """

    recipe: Recipe
    sets: dict[scatter.Key, Path | None] = field(default_factory=dict)


def _settings(sweep: Sweep, runs: Path) -> dict[str, _Setting]:
    """Every picture by its name; baselines go first, and of several seeds the first that has a set."""
    names = [name for name in sweep.swept if name not in (*sweep.axis, *sweep.baseline, "seed", "method")]
    found: dict[str, _Setting] = {}
    for cell in sorted(sweep.cells, key=lambda cell: (not sweep.is_baseline(cell.recipe), cell.recipe.seed)):
        setting = found.setdefault("-".join(str(getattr(cell.recipe, name)) for name in names), _Setting(cell.recipe))
        place, path = _place(sweep, cell.recipe), runs / cell.key / "synthetic.safetensors"
        if setting.sets.get(place) is None:
            setting.sets[place] = path if path.is_file() else None
    return found


def _place(sweep: Sweep, recipe: Recipe) -> scatter.Key:
    """Row and column of a panel."""
    label = column_label(sweep, recipe)
    if sweep.axis == ("regularizer",):
        return SIDES[label], recipe.method.upper()
    return heading(sweep, label), "" if "method" in sweep.axis else recipe.method.upper()


def _scene(dataset: Dataset, lens: Lens, paths: Mapping[scatter.Key, Path | None]) -> Scene:
    """Every synthetic set in its panel."""
    images, labels = _real(dataset)
    sets = {key: _synthetic(path, len(dataset.classes)) for key, path in paths.items() if path is not None}
    features = [lens(images), *(lens(some.to(images.device)) for some, _ in sets.values())]
    places = embed(torch.cat(features), seed=0).split([len(some) for some in features])
    real = Points(places[0], labels)
    panels = {key: Points(own, sets[key][1]) for key, own in zip(sets, places[1:], strict=True)}
    caption = (
        f"t-SNE, one embedding for all panels, of the features of {lens.title}. "
        f"Dots: {len(labels)} real training images of {dataset.name}, the same in each panel."
    )
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*paths, strict=True))
    return Scene(real, panels, rows, columns, dataset.classes, caption)


def _real(dataset: Dataset) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
    """Training images, equally many of each class, with their labels."""
    each = min(max(1, REAL // len(dataset.classes)), *(len(members) for members in dataset.per_class))
    generator = rng.generator(0, "tsne", dataset.name)
    images = torch.cat([dataset.sample(label, each, generator) for label in range(len(dataset.classes))])
    return images, torch.arange(len(dataset.classes)).repeat_interleave(each)


def _synthetic(path: Path, classes: int) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
    """A synthetic set; of a large one the first images of each class."""
    synthetic, _ = read(path)
    kept = torch.arange(len(synthetic.labels)) % synthetic.ipc < max(1, SYNTHETIC // classes)
    return synthetic.images[kept], synthetic.labels[kept]

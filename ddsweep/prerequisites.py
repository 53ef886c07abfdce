"""What a distillation starts from: the dataset, the PTMs that guide it, and what its method has trained before.

All of it is trained once and stored for every cell that needs the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from ddsweep import data, flops, numerics, plugins
from ddsweep.checkpoints import Checkpoints
from ddsweep.data.dataset import Dataset
from ddsweep.data.progress import Listener, reported_to
from ddsweep.distill.guards import Guard
from ddsweep.numerics import Choice
from ddsweep.pretrained import made, published, renormalize, spec, training
from ddsweep.pretrained.pool import Pool
from ddsweep.pretrained.pool import load as load_pool
from ddsweep.pretrained.preparation import Preparation
from ddsweep.recipe import Recipe, verify
from ddsweep.registry.methods import METHODS
from ddsweep.trackers import Tracker

PtmEpochs = Mapping[spec.Spec, set[int]]
Datasets = dict[tuple[str, int | None, bool], Dataset]
"""Datasets on one device by name, size and whether they are whitened."""


@dataclass(frozen=True)
class Prerequisites:
    """Makes what a distillation starts from.

    Attributes:
        recipe: the experiment.
        context: how to train: the listener to progress, checkpoints, and the device.
        checksums: of the data read so far, by name; what is read is added.
        loaded: the datasets that were read, here or for another trial that has them in common.
    """

    recipe: Recipe
    context: Preparation
    checksums: dict[str, str]
    loaded: Datasets

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        tracker: Tracker,
        checkpoints: Checkpoints,
        choice: Choice,
        loaded: Datasets | None = None,
    ) -> Prerequisites:
        """Those of a trial."""
        context = Preparation(tracker.progress, checkpoints, choice, recipe.plugins)
        return cls(recipe, context, {}, {} if loaded is None else loaded)

    def dataset(self) -> Dataset:
        """The real images, on the device.

        Raises:
            UserError: they are missing or invalid.
        """
        recipe = self.recipe
        dataset = self._load(recipe.dataset, recipe.size, recipe.zca)
        self.checksums[recipe.dataset] = dataset.checksum
        return dataset

    def pool(self, dataset: Dataset, epochs_needed: PtmEpochs) -> Pool | None:
        """The PTMs that guide, trained or loaded; None without guidance.

        Args:
            dataset: the real images.
            epochs_needed: epochs that other cells need of the same PTMs, saved during the same training.
        """
        specs = spec.of(self.recipe)
        if not specs:
            return None
        if specs[0][0].foundation:
            return self._foundation(dataset, specs[0][0])
        return self._trained_pool(dataset, specs, epochs_needed)

    def _foundation(self, dataset: Dataset, one: spec.Spec) -> Pool:
        """The pool of a PTM that is not trained here: a published one, or a plugin's."""
        foundation, source = one.foundation, self.recipe.source
        assert foundation is not None
        self.context.progress(f"pretrained {foundation.name}", 0, 1)
        if foundation.maker:
            pool, net = made.load(foundation, dataset)
            self.checksums[source] = published.checksum(net.state_dict())
        else:
            self.checksums[source] = published.ensure(foundation)
            pool = published.load(foundation, dataset)
        self.context.progress(f"pretrained {foundation.name}", 1, 1)
        return pool

    def _trained_pool(self, dataset: Dataset, specs: list[list[spec.Spec]], epochs_needed: PtmEpochs) -> Pool:
        recipe, context = self.recipe, self.context
        source = dataset if recipe.source == "target" else self._load(recipe.source, None, zca=False)
        self.checksums[recipe.source_dataset] = source.checksum
        for ptm in training.free_first(ptm for seeds in specs for ptm in seeds):
            progress = partial(context.progress, f"pretrain {ptm.arch} {ptm.seed}")
            progress(0, recipe.ptm_epoch)
            epochs = {recipe.ptm_epoch, *epochs_needed.get(ptm, ())}
            numbers = context.choice.of(flops.training(ptm, max(epochs), source))
            training.ensure(ptm, epochs, source, progress, context.checkpoints, numbers)
        return load_pool(specs, recipe.ptm_epoch, source, renormalize.view(recipe.ptm_statistics, dataset, source))

    def of_method(self, dataset: Dataset) -> dict[str, object]:
        """What the method needs besides PTMs, by the name of the argument that takes it (``Method.trains``)."""
        trained, guard = {}, Guard(self.recipe, dataset)
        for name, source in METHODS[self.recipe.method].trains.items():
            with guard.calling("before", name):
                trained[name] = plugins.resolve(source)(self.recipe, dataset, self.context)
        return trained

    def _load(self, name: str, size: int | None, zca: bool) -> Dataset:
        """The dataset on the device of this trial, from the file unless it is there."""
        if (name, size, zca) not in self.loaded:
            with reported_to(Listener.of_phases(self.context.progress)):
                self.loaded[name, size, zca] = data.load(name, size, self.context.choice.device, zca)
        return self.loaded[name, size, zca]


@dataclass(frozen=True)
class Prepared:
    """What a distillation starts from.

    Attributes:
        dataset: the real images.
        pool: the PTMs; None: no guidance.
        provided: what the method gets besides recipe fields and options (``methods.PROVIDED``).
    """

    dataset: Dataset
    pool: Pool | None
    provided: dict[str, object]


def prepare(recipe: Recipe, device: str, tracker: Tracker | None = None) -> Prepared:
    """Train or load all that a distillation starts from, without a run folder.

    Args:
        recipe: the experiment.
        device: the device, as torch spells it.
        tracker: follows it.

    Raises:
        UserError: missing data, or a plugin of another version.
    """
    verify([recipe])
    choice = Choice(recipe.precision, device, numerics.compile_choice())
    choice.set_up()
    one = Prerequisites.of(recipe, tracker or Tracker(), Checkpoints(), choice)
    dataset = one.dataset()
    pool = one.pool(dataset, spec.needs([recipe]))
    return Prepared(dataset, pool, {"numerics": choice.of(0), **one.of_method(dataset)})

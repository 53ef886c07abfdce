"""The steps that ``speed`` measures: a generated problem, solved by the plain loop and by ddsweep's own.

ddsweep's loops are the real ones (``episode``, ``Trainer.train``, ``pretrained.training.ensure``): they run until the
boundary after a step returns that it was the last. Both loops draw the same numbers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import plain
from ddsweep import flops, nn, rng
from ddsweep.checkpoints import Checkpoints, Interrupted, Slot, State
from ddsweep.data import Dataset
from ddsweep.distill.matching import Matching
from ddsweep.distill.methods import distribution_matching, gradient_matching
from ddsweep.distill.methods.distribution_matching import DistributionMatching
from ddsweep.distill.methods.gradient_matching import GradientMatching
from ddsweep.distill.sets.pixels import initial
from ddsweep.distill.synthetic import Synthetic
from ddsweep.estimate.measure import aside
from ddsweep.evaluate import Rule
from ddsweep.evaluate.trainer import Trainer
from ddsweep.numerics import Numerics
from ddsweep.pretrained import training
from ddsweep.pretrained.spec import Spec

STRATEGY = "color_crop_cutout_flip_scale_rotate"
STRATEGIES = {"dm": STRATEGY, "dc": "none", "dsa": STRATEGY}
METHODS = (*STRATEGIES, "evaluation", "ptm")
TESTED = 10  # generated test images; loops are stopped before they are used
ENDLESS = 10**9
BATCHES = 8  # per epoch of PTM training
ARCHS = {32: "convnet3", 64: "convnet4", 224: "convnet6"}  # the customary depth at each size

Boundary = Callable[[], bool]  # called at the end of a step; returns True if it was the last


@dataclass(frozen=True)
class Work:
    """One kind of step at one size.

    Attributes:
        method: ``dm``, ``dc``, ``dsa``: the matching loss of all classes and its gradient with respect to the synthetic
            images, including draws and augmentations, without the inner training of the network; ``evaluation``: one
            pass of every network over the synthetic set; ``ptm``: one batch.
        ipc: synthetic images per class.
        classes: number of classes.
        size: height and width in pixels.
        width: channels of the ConvNet.
        batch: real images per class; for ``evaluation`` and ``ptm``, images per batch.
        nets: evaluation networks.
        device: torch device string.
    """

    method: str
    ipc: int = 10
    classes: int = 10
    size: int = 32
    width: int = 128
    batch: int = 256
    nets: int = 1
    device: str = "cpu"

    @property
    def arch(self) -> str:
        """Return the name of the network."""
        return ARCHS.get(self.size, "convnet3")

    @property
    def images(self) -> int:
        """Return the number of images that go through a network in one step."""
        if self.method == "ptm":
            return self.batch
        ours = self.classes * self.ipc
        return self.nets * ours if self.method == "evaluation" else ours + self.classes * self.batch

    @property
    def cost(self) -> float:
        """Return the operations of one image's forward pass times the images, to compare steps of one method."""
        return self.images * flops.forward(self.arch, 3, self.classes, self.size, self.width)

    @property
    def _per_class(self) -> int:
        return -(-BATCHES * self.batch // self.classes) if self.method == "ptm" else self.batch

    @property
    def dataset_bytes(self) -> int:
        """Return the size of ``dataset()`` in bytes."""
        return 4 * self.classes * self._per_class * 3 * self.size**2

    def dataset(self) -> Dataset:
        """Return as many noise images as one step draws; for ``ptm``, several batches."""
        per_class = self._per_class
        labels = torch.arange(self.classes * per_class) % self.classes
        images = torch.randn(len(labels), 3, self.size, self.size, generator=rng.generator(0, "real"))
        images, labels = images.to(self.device), labels.to(self.device)
        names = tuple(f"class {label}" for label in range(self.classes))
        tests = images[:TESTED], labels[:TESTED]
        return Dataset("noise", names, (0.0,) * 3, (1.0,) * 3, images, labels, *tests, checksum="noise")

    def synthetic(self, dataset: Dataset) -> Synthetic:
        """Return the initial synthetic images."""
        return initial(dataset, self.ipc, "noise", rng.generator(0, "images"))

    def network(self, index: int = 0) -> nn.Network:
        """Return a new network, with the same weights every time."""
        shape = {"channels": 3, "classes": self.classes, "size": self.size, "width": self.width}
        return nn.build(self.arch, **shape, generator=rng.generator(index, "net")).to(self.device)

    def generators(self) -> list[torch.Generator]:
        """Return one random generator per evaluation network."""
        return [rng.generator(index, "evaluation") for index in range(self.nets)]

    @property
    def rule(self) -> Rule:
        """Return the evaluation rule."""
        return Rule(epochs=ENDLESS, batch=self.batch, strategy=STRATEGY)


def plainly(work: Work) -> Iterator[None]:
    """Run the plain loop, one step at a time."""
    dataset, streams = work.dataset(), rng.Streams(0)
    if work.method == "evaluation":
        synthetic = work.synthetic(dataset)
        each = [
            plain.train_epochs(work.network(index), synthetic, work.rule, generator, ENDLESS)
            for index, generator in enumerate(work.generators())
        ]
        for _ in zip(*each, strict=True):
            yield
    elif work.method == "ptm":
        net, generator = work.network(), rng.generator(0, "ptm")
        while True:
            yield from (None for _ in plain.train_ptm(net, dataset, generator, work.batch, BATCHES))
    else:
        net, synthetic = work.network(), work.synthetic(dataset)
        step = plain.match_features if work.method == "dm" else plain.match_gradients
        while True:
            step(net, synthetic, dataset, streams, work.batch, STRATEGIES[work.method])
            yield


def fast(work: Work, numerics: Numerics, boundary: Boundary) -> None:
    """Run ddsweep's loop until ``boundary`` returns True."""
    dataset = work.dataset()
    if work.method == "ptm":
        _train(work, dataset, numerics, boundary)
    elif work.method == "evaluation":
        trainer = Trainer(work.synthetic(dataset), dataset, work.rule, numerics)
        together = work.nets if numerics.vectorized else 1
        nets = [work.network(index) for index in range(together)]
        slot = Stop(boundary, every=work.nets // together)
        with suppress(Interrupted):
            trainer.train(nets, work.generators()[:together], slot=slot)
    else:
        synthetic, matching, streams = work.synthetic(dataset), _matching(work, numerics), rng.Streams(0)
        while True:
            for loss in matching.episode(synthetic, dataset, streams):
                torch.autograd.grad(loss, [synthetic.images])
            if boundary():
                return


class Stop(Slot):
    """Call a boundary at every ``every``-th boundary of a loop, and stop the loop when it returns True."""

    def __init__(self, boundary: Boundary, every: int = 1) -> None:
        self._boundary, self._every, self._passed = boundary, every, 0

    def offer(self, state: Callable[[], State]) -> None:
        """Record the end of a step. Raises Interrupted after the last one."""
        self._passed += 1
        if self._passed % self._every == 0 and self._boundary():
            raise Interrupted


def _matching(work: Work, numerics: Numerics) -> Matching:
    strategy, net = STRATEGIES[work.method], work.network()
    if work.method == "dm":
        return DistributionMatching(net, distribution_matching.Settings(work.batch, strategy), numerics)
    settings = gradient_matching.Settings(work.batch, strategy, outer_loops=1)
    return GradientMatching(net, settings, numerics)


def _train(work: Work, dataset: Dataset, numerics: Numerics, boundary: Boundary) -> None:
    spec = Spec("noise", work.size, work.arch, work.width, 0, ENDLESS, 0.01, 5e-3, work.batch)
    asked = Checkpoints(every=float("inf"), leave=boundary)
    with tempfile.TemporaryDirectory() as folder, suppress(Interrupted):
        training.ensure(aside(spec, work.batch, Path(folder)), {ENDLESS}, dataset, _silent, asked, numerics)


def _silent(done: int, total: int) -> None:
    """Ignore progress reports."""

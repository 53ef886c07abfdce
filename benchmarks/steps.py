"""The steps that ``speed`` measures: one generated problem, worked on by the plain loop and by the package's own.

The package's loops are the real ones (``episode``, ``Trainer.train``, ``pretrained.training.ensure``): they run
until the boundary after a step says that it was the last. Both sides draw the same numbers.
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
from ddsweep.distill import distribution_matching, gradient_matching
from ddsweep.distill.distribution_matching import DistributionMatching
from ddsweep.distill.gradient_matching import GradientMatching
from ddsweep.distill.loop import Matching
from ddsweep.distill.synthetic import Synthetic, initial
from ddsweep.estimate.measure import aside
from ddsweep.evaluate import Rule
from ddsweep.evaluate.trainer import Trainer
from ddsweep.numerics import Numerics
from ddsweep.pretrained import training
from ddsweep.pretrained.spec import Spec

STRATEGY = "color_crop_cutout_flip_scale_rotate"
STRATEGIES = {"dm": STRATEGY, "dc": "none", "dsa": STRATEGY}
METHODS = (*STRATEGIES, "evaluation", "ptm")
TESTED = 10  # generated test images: a loop is stopped before it comes to test
ENDLESS = 10**9
BATCHES = 8  # of an epoch of a PTM
ARCHS = {32: "convnet3", 64: "convnet4", 224: "convnet6"}  # as deep as the field has them at that size

Boundary = Callable[[], bool]  # told that a step has ended; True: it was the last


@dataclass(frozen=True)
class Work:
    """One kind of step at one size.

    Attributes:
        method: ``dm``, ``dc``, ``dsa``: the matching loss of all classes and its gradient to the synthetic images, with
            the draws and augmentations, without the inner training of the network; ``evaluation``: one pass of every
            network over the synthetic set; ``ptm``: one batch.
        ipc: synthetic images per class.
        classes: how many.
        size: height and width in pixels.
        width: channels of the ConvNet.
        batch: real images per class; of ``evaluation`` and ``ptm``, images per batch.
        nets: networks that are evaluated.
        device: as torch spells it.
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
        """The network."""
        return ARCHS.get(self.size, "convnet3")

    @property
    def images(self) -> int:
        """How many images go through a network in one step."""
        if self.method == "ptm":
            return self.batch
        ours = self.classes * self.ipc
        return self.nets * ours if self.method == "evaluation" else ours + self.classes * self.batch

    @property
    def cost(self) -> float:
        """Operations of one image's forward pass times the images: how steps of one method compare."""
        return self.images * flops.forward(self.arch, 3, self.classes, self.size, self.width)

    @property
    def _per_class(self) -> int:
        return -(-BATCHES * self.batch // self.classes) if self.method == "ptm" else self.batch

    @property
    def dataset_bytes(self) -> int:
        """Size of ``dataset()``."""
        return 4 * self.classes * self._per_class * 3 * self.size**2

    def dataset(self) -> Dataset:
        """As many images of noise as one step draws; of ``ptm`` some batches."""
        per_class = self._per_class
        labels = torch.arange(self.classes * per_class) % self.classes
        images = torch.randn(len(labels), 3, self.size, self.size, generator=rng.generator(0, "real"))
        images, labels = images.to(self.device), labels.to(self.device)
        names = tuple(f"class {label}" for label in range(self.classes))
        tests = images[:TESTED], labels[:TESTED]
        return Dataset("noise", names, (0.0,) * 3, (1.0,) * 3, images, labels, *tests, checksum="noise")

    def synthetic(self, dataset: Dataset) -> Synthetic:
        """Where the images start."""
        return initial(dataset, self.ipc, "noise", rng.generator(0, "images"))

    def network(self, index: int = 0) -> nn.Network:
        """A fresh network, the same every time."""
        shape = {"channels": 3, "classes": self.classes, "size": self.size, "width": self.width}
        return nn.build(self.arch, **shape, generator=rng.generator(index, "net")).to(self.device)

    def generators(self) -> list[torch.Generator]:
        """Of each network that is evaluated."""
        return [rng.generator(index, "evaluation") for index in range(self.nets)]

    @property
    def rule(self) -> Rule:
        """How networks are evaluated."""
        return Rule(epochs=ENDLESS, batch=self.batch, strategy=STRATEGY)


def plainly(work: Work) -> Iterator[None]:
    """The plain loop, a step at a time."""
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
    """The package's loop, until ``boundary`` says so."""
    dataset = work.dataset()
    if work.method == "ptm":
        _train(work, dataset, numerics, boundary)
    elif work.method == "evaluation":
        trainer = Trainer(work.synthetic(dataset), dataset, work.rule, numerics)
        together = work.nets if numerics.batched else 1
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
    """Asks a boundary at every ``every``-th boundary of a loop, and stops the loop when that says so."""

    def __init__(self, boundary: Boundary, every: int = 1) -> None:
        self._boundary, self._every, self._passed = boundary, every, 0

    def offer(self, state: Callable[[], State]) -> None:
        """A step has ended. Raises Interrupted."""
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
    """Progress that nobody follows."""

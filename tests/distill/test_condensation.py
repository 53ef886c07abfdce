"""IDC, DREAM and DREAM+ against the protocol written out: one image, one class, one optimizer step at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import augment
from ddsweep.augment import combined
from ddsweep.data import Dataset
from ddsweep.distill.guidance.clom import clom
from ddsweep.distill.methods import condensation
from ddsweep.distill.methods.condensation import Condensation, Settings
from ddsweep.distill.methods.representatives import Representatives
from ddsweep.distill.sets import multi_formation
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams
from tests import toys
from tests.distill.test_kmeans import lloyd_by_hand, nearest_by_hand

CLASSES, SIZE, IPC, FACTOR, EACH = 2, 6, 1, 2, 23
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
STRATEGY = "color_crop_cutout"
LR = 0.02
SETTINGS = Settings(batch_real=4, strategy=STRATEGY, outer_loops=2, net_images=7, lr_net=0.05)
EVERY = 2
SEED = 44  # one for which no two images are equally near to a centroid


def dataset() -> Dataset:
    """Two classes, interleaved, with pixels about [0, 1]."""
    return replace(toys.dataset(CLASSES, EACH, SIZE), mean=MEAN, std=STD)


def nets(number: int) -> list[list[Tensor]]:
    """The parameters of the networks of the iterations."""
    return [[p.detach().clone() for p in toys.Net(CLASSES, SIZE, seed=5 + each).parameters()] for each in range(number)]


@dataclass
class Kind:
    """A method: how its batches are chosen, and whether it is DREAM+."""

    name: str
    settings: Settings = SETTINGS

    @property
    def dream(self) -> bool:
        return self.name != "idc"

    def matching(self, net: Any) -> Condensation:
        batches = Representatives(net, self.settings.batch_real, EVERY, Numerics()) if self.dream else None
        return Condensation(net, self.settings, Numerics(), batches)


IDC, DREAM = Kind("idc"), Kind("dream")
CASES = [
    pytest.param(IDC, 0.0, 128, id="idc"),
    pytest.param(IDC, 2.0, 128, id="idc-clom"),
    pytest.param(IDC, 2.0, 3, id="idc-clom-three-of-four"),
    pytest.param(Kind("idc", replace(SETTINGS, metric="l1")), 2.0, 128, id="idc-l1-clom"),
    pytest.param(Kind("idc", replace(SETTINGS, metric="cos")), 0.0, 128, id="idc-cos"),
    pytest.param(DREAM, 0.0, 128, id="dream"),
    pytest.param(DREAM, 2.0, 128, id="dream-clom"),
    pytest.param(Kind("dream", replace(SETTINGS, plus=True)), 2.0, 128, id="dream+-clom"),
]


@dataclass
class Run:
    """What a run has done."""

    losses: list[float] = field(default_factory=list)
    images: Tensor = field(default_factory=lambda: torch.empty(0))


Ptm = Callable[[Tensor], Tensor]


def run(kind: Kind, iterations: int, alpha: float, ptm: Ptm) -> Run:
    """What the loop of distillation does with these parts."""
    data, streams, found = dataset(), Streams(SEED), Run()
    net: Any = toys.Net(CLASSES, SIZE)
    weights = nets(iterations)
    matching = kind.matching(net)

    def draw(number: int) -> None:
        for parameter, value in zip(net.parameters(), weights[number], strict=True):
            parameter.data = value.clone()
        matching.prepare(data, streams)

    if matching.keeps_first_network:
        draw(0)
    init: multi_formation.Init = "kmeans" if kind.dream else "mix"
    learned = multi_formation.make(data, net, streams, ipc=IPC, init=init, factor=FACTOR)
    optimizer = learned.optimizer(LR)
    for number in range(iterations):
        if number or not matching.keeps_first_network:
            draw(number)
        learned.begin_iteration()
        for match in matching.episode(learned, data, streams):
            assert match.synthetic is not None
            loss = match.loss + alpha * clom(ptm, match.synthetic.images, match.synthetic.labels)
            (learned.images.grad,) = torch.autograd.grad(loss, [learned.images])
            optimizer.step()
            found.losses.append(match.loss.item())
    found.images = learned.images.detach()
    return found


# ---- the same, slowly


def enlarge(cell: Tensor, size: int) -> Tensor:
    """Bilinear, as a product with the weights of every pixel."""
    side = cell.shape[-1]
    weights = torch.zeros(size, side, dtype=cell.dtype)
    for i in range(size):
        place = max(0.0, (i + 0.5) * side / size - 0.5)
        low = math.floor(place)
        weights[i, low] += 1 - (place - low)
        weights[i, min(low + 1, side - 1)] += place - low
    return weights @ cell @ weights.T


def decoded(images: Tensor, label: int) -> list[Tensor]:
    """The normalized images of a class: first all first cells, then all second cells, …"""
    mean, std = (torch.tensor(values, dtype=images.dtype)[:, None, None] for values in (MEAN, STD))
    half = SIZE // 2
    return [
        (enlarge(images[label * IPC + number][:, row : row + half, column : column + half], SIZE) - mean) / std
        for row in (0, half)
        for column in (0, half)
        for number in range(IPC)
    ]


class Slow:
    """The state of the protocol."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.data, self.streams = kind, dataset(), Streams(SEED)
        mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (MEAN, STD))
        self.pixels = (self.data.images[:] * std + mean).clamp(0, 1)
        self.members = [[i for i, y in enumerate(self.data.labels.tolist()) if y == c] for c in range(CLASSES)]
        self.queues: list[list[int]] = [[] for _ in range(CLASSES)]
        self.queue: list[int] = []
        self.chosen: list[list[int]] = [[] for _ in range(CLASSES)]
        self.parameters: list[Tensor] = []
        self.momenta: list[Tensor] = []

    def new_net(self, weights: Sequence[Tensor]) -> None:
        self.parameters = [value.clone().requires_grad_() for value in weights]
        self.momenta = [torch.zeros_like(value) for value in weights]
        if self.kind.settings.plus:
            self.train(CLASSES * EACH)

    def centers(self, label: int, clusters: int, generator: torch.Generator) -> list[int]:
        """k-means on the features of pixels that are not normalized."""
        features = [toys.by_hand(self.parameters, self.pixels[i])[0].detach().tolist() for i in self.members[label]]
        first = torch.randperm(EACH, generator=generator)[:clusters].tolist()
        ends = lloyd_by_hand(features, [features[i] for i in first])
        for end in ends:
            near, next_ = sorted(math.dist(one, end) for one in features)[:2]
            assert next_ - near > 1e-9, "a tie would be decided by rounding"
        return [self.members[label][i] for i in nearest_by_hand(features, ends).tolist()]

    def initial(self) -> Tensor:
        grids = torch.zeros(CLASSES * IPC, 3, SIZE, SIZE, dtype=torch.float64)
        for label in range(CLASSES):
            picks = self.members[label][: IPC * 4]
            if self.kind.dream:
                picks = self.centers(label, IPC * 4, self.streams.images)
            for number, index in enumerate(picks):
                cell, grid = divmod(number, IPC)
                top, left = cell // 2 * 3, cell % 2 * 3
                for i in range(3):
                    for j in range(3):
                        grids[label * IPC + grid, :, top + i, left + j] = self.pixels[index][:, 2 * i, 2 * j]
        return grids

    def real(self, label: int, loop: int) -> list[int]:
        batch = self.kind.settings.batch_real
        if self.kind.dream:
            if loop % EVERY == 0:
                self.chosen[label] = self.centers(label, batch, self.streams.batch)
            return self.chosen[label]
        if not self.queues[label]:  # 23 images: five batches of 4, and three images left out
            order = torch.randperm(EACH, generator=self.streams.batch).tolist()[:20]
            self.queues[label] = [self.members[label][i] for i in order]
        found, self.queues[label] = self.queues[label][:batch], self.queues[label][batch:]
        return found

    def train(self, images: int) -> None:
        seen = 0
        while seen < images:
            if not self.queue:
                self.queue = torch.randperm(CLASSES * EACH, generator=self.streams.batch).tolist()
            index, self.queue = self.queue[:4], self.queue[4:]
            seen += len(index)
            batch = combined.independent(self.data.images[index], "color_crop", self.streams.augment)
            labels = self.data.labels[index].tolist()
            targets = [[(1.0, label)] for label in labels]
            if float(torch.rand((), generator=self.streams.augment)) < 0.5:
                lam = float(torch.rand((), generator=self.streams.augment, dtype=torch.float64))
                row, column = torch.randint(SIZE, (2,), generator=self.streams.augment).tolist()
                order = torch.randperm(len(index), generator=self.streams.augment).tolist()
                half, mixed, area = int(SIZE * math.sqrt(1 - lam)) // 2, batch.clone(), 0
                for i in range(SIZE):
                    for j in range(SIZE):
                        if row - half <= i < row + half and column - half <= j < column + half:
                            area += 1
                            for one, other in enumerate(order):
                                mixed[one, :, i, j] = batch[other, :, i, j]
                r = 1 - area / SIZE**2
                batch = mixed
                targets = [[(r, labels[one]), (1 - r, labels[other])] for one, other in enumerate(order)]
            losses = []
            for image, pairs in zip(batch, targets, strict=True):
                logits = toys.by_hand(self.parameters, image)[1]
                losses.append(
                    torch.stack([weight * toys.cross_entropy(logits, label) for weight, label in pairs]).sum()
                )
            slopes = torch.autograd.grad(torch.stack(losses).mean(), self.parameters)
            for place, slope in enumerate(slopes):
                value = self.parameters[place].detach()
                self.momenta[place] = 0.9 * self.momenta[place] + slope + 5e-4 * value
                self.parameters[place] = (value - 0.05 * self.momenta[place]).requires_grad_()

    def loss(self, images: Tensor, label: int, loop: int) -> Tensor:
        index = self.real(label, loop)
        own = decoded(images, label)
        if len(own) > condensation.MOST:
            order = torch.randperm(len(own), generator=self.streams.batch)[: condensation.MOST].tolist()
            own = [own[i] for i in order]
        changes = combined.draw(self.streams.augment, 1, SIZE, STRATEGY, shared=True)
        sides = []
        for batch, graph in ((own, True), ([self.data.images[i] for i in index], False)):
            changed = [self.changed(image, changes) for image in batch]
            outputs = [toys.by_hand(self.parameters, image) for image in changed]
            error = torch.stack([toys.cross_entropy(logits, label) for _, logits in outputs]).mean()
            (kernel,) = torch.autograd.grad(error, self.parameters[:1], create_graph=graph)
            sides.append((kernel, torch.stack([features for features, _ in outputs]).mean(0)))
        (a, f), (b, g) = sides
        total = self.distance(a, b)
        if self.kind.settings.plus:
            total = total + sum((x - y.detach()) ** 2 for x, y in zip(f, g, strict=True))
        return total

    def changed(self, image: Tensor, changes: Sequence[augment.Params]) -> Tensor:
        for change in changes:
            image = augment.apply(image[None], change)[0]
        return image

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        pairs = list(zip(a.flatten(), b.flatten(), strict=True))
        if self.kind.settings.metric == "mse":
            return torch.stack([(x - y) ** 2 for x, y in pairs]).sum()
        if self.kind.settings.metric == "l1":
            return torch.stack([(x - y).abs() for x, y in pairs]).sum()
        dot = torch.stack([x * y for x, y in pairs]).sum()
        return 1 - dot / (a.pow(2).sum().sqrt() * b.pow(2).sum().sqrt() + 1e-6)


def run_slowly(kind: Kind, iterations: int, alpha: float, ptm: Ptm) -> Run:
    slow, weights, found = Slow(kind), nets(iterations), Run()
    if kind.dream:
        slow.new_net(weights[0])
    images = slow.initial()
    velocity = torch.zeros_like(images)
    for number in range(iterations):
        if number or not kind.dream:
            slow.new_net(weights[number])
        images = images.clamp(0, 1)
        for loop in range(kind.settings.outer_loops):
            if loop:
                slow.train(kind.settings.net_images)
            for label in range(CLASSES):
                images.requires_grad_()
                match = slow.loss(images, label, loop)
                logits = [ptm(image[None])[0] for image in decoded(images, label)]
                guidance = torch.stack([toys.cross_entropy(one, label) for one in logits]).mean()
                (slope,) = torch.autograd.grad(match + alpha * guidance, images)
                velocity = 0.5 * velocity + slope
                images = (images - LR * velocity).detach()
                found.losses.append(match.item())
    found.images = images
    return found


@pytest.mark.parametrize(("kind", "alpha", "most"), CASES)
def test_two_iterations_follow_the_slow_implementation(
    kind: Kind, alpha: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight steps: two networks, each with two rounds of two classes and a training in between."""
    monkeypatch.setattr(condensation, "MOST", most)
    ptm = toys.Net(CLASSES, SIZE, seed=77).requires_grad_(False)
    expected = run_slowly(kind, 2, alpha, ptm)
    found = run(kind, 2, alpha, ptm)
    assert found.losses == pytest.approx(expected.losses, rel=1e-8)
    torch.testing.assert_close(found.images, expected.images, rtol=1e-8, atol=1e-9)
    assert len(set(found.losses)) == 8

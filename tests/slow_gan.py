"""DiM's GAN written out: losses image by image, Adam by its formula. The networks are the package's."""

from __future__ import annotations

import torch
from torch import Tensor

from ddsweep.nn import gan
from tests import toys


def noise(labels: list[int], classes: int, drawing: torch.Generator) -> Tensor:
    """N(0, 1), with the label as a one-hot vector in place of the first entries."""
    drawn = torch.randn(len(labels), 90 + classes, generator=drawing)
    for row, label in zip(drawn, labels, strict=True):
        row[:classes] = 0
        row[label] = 1
    return drawn


def cross_entropy(logits: Tensor, labels: list[int]) -> Tensor:
    losses = [toys.cross_entropy(row, label) for row, label in zip(logits, labels, strict=True)]
    return torch.stack(losses).sum() / len(labels)


class Adam:
    """β = (0, 0.9) and ε = 1e-8: v ← 0.9 v + 0.1 g², w ← w − lr g / (√(v / (1 − 0.9^t)) + ε)."""

    def __init__(self, net: torch.nn.Module) -> None:
        self.values = list(net.parameters())
        self.seconds = [torch.zeros_like(value) for value in self.values]
        self.steps = 0

    def step(self, loss: Tensor, lr: float) -> None:
        self.steps += 1
        slopes = torch.autograd.grad(loss, self.values)
        with torch.no_grad():
            for value, slope, second in zip(self.values, slopes, self.seconds, strict=True):
                second.mul_(0.9).add_(0.1 * slope**2)
                value.sub_(lr * slope / ((second / (1 - 0.9**self.steps)).sqrt() + 1e-8))


class SlowGan:
    """Generator and discriminator, in train mode."""

    def __init__(self, classes: int, channels: int, size: int, width: int, drawing: torch.Generator) -> None:
        self.classes, self.drawing = classes, drawing
        self.generator, self.discriminator = gan.build(classes, channels, size, width, drawing)
        self.adam, self.other_adam = Adam(self.generator), Adam(self.discriminator)

    def fakes(self, labels: list[int]) -> Tensor:
        return self.generator(noise(labels, self.classes, self.drawing))

    def generator_loss(self, fakes: Tensor, labels: list[int]) -> Tensor:
        scores, logits = self.discriminator(fakes)
        return -scores.sum() / len(labels) + cross_entropy(logits, labels)

    def step_generator(self, labels: list[int], lr: float) -> Tensor:
        loss = self.generator_loss(self.fakes(labels), labels)
        self.adam.step(loss, lr)
        return loss.detach()

    def step_discriminator(self, real: Tensor, labels: list[int], lr: float) -> Tensor:
        fake_labels = torch.randint(self.classes, (len(labels),), generator=self.drawing).tolist()
        fakes = self.fakes(fake_labels).detach()
        mix = torch.rand(len(labels), generator=self.drawing)
        penalties = []
        for share, ours, theirs in zip(mix, real, fakes, strict=True):
            point = (share * ours + (1 - share) * theirs)[None].requires_grad_()
            (slope,) = torch.autograd.grad(self.discriminator(point)[0].sum(), [point], create_graph=True)
            penalties.append((slope.square().sum().sqrt() - 1) ** 2)
        (real_scores, real_logits), (scores, logits) = self.discriminator(real), self.discriminator(fakes)
        loss = (scores - real_scores).sum() / len(labels) + 10 * torch.stack(penalties).sum() / len(labels)
        loss = loss + cross_entropy(logits, fake_labels) + cross_entropy(real_logits, labels)
        self.other_adam.step(loss, lr)
        return loss.detach()

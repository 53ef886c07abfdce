"""The adversarial training of DiM's GAN: WGAN-GP (Gulrajani et al., 2017) with class labels, as in an AC-GAN.

Each step is one of the generator, on fakes with the labels of a batch of real images, and then one of the
discriminator, on this batch and on new fakes with labels of their own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from ddsweep.nn import optimizers
from ddsweep.nn.gan import Discriminator, Generator, noise
from ddsweep.rng import copy_to

Loss = Callable[..., Tensor]
PENALTY = 10.0  # weight of the gradient penalty
BETAS = (0.0, 0.9)


def optimizer(net: nn.Module, lr: float) -> optimizers.Adam:
    """Return Adam with β = (0, 0.9), for the generator or the discriminator."""
    return optimizers.Adam(net.parameters(), lr=lr, betas=BETAS)


def generator_loss(
    discriminator: Callable[[Tensor], tuple[Tensor, Tensor]],
    fakes: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Return the loss of the generator: −mean score + CE(logits, labels).

    Args:
        discriminator: maps images to scores and logits.
        fakes: generated images, with their graph.
        labels: the classes that they were generated for.
    """
    scores, logits = discriminator(fakes)
    return F.cross_entropy(logits, labels) - scores.mean()


def discriminator_loss(
    discriminator: Callable[[Tensor], tuple[Tensor, Tensor]],
    real: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    fakes: Float[Tensor, "n c h w"],
    fake_labels: Int64[Tensor, " n"],
    mix: Float[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Return the loss of the discriminator.

    mean score of fakes − mean score of real images + CE of the fakes + CE of the real images + 10 · gradient penalty.

    Args:
        discriminator: maps images to scores and logits.
        real: real images in [−1, 1].
        labels: their classes.
        fakes: as many generated images, without a graph.
        fake_labels: the classes that they were generated for.
        mix: for the gradient penalty, the share of the real image of each pair.
    """
    real_scores, real_logits = discriminator(real)
    scores, logits = discriminator(fakes)
    classes = F.cross_entropy(logits, fake_labels) + F.cross_entropy(real_logits, labels)
    return scores.mean() - real_scores.mean() + classes + PENALTY * gradient_penalty(discriminator, real, fakes, mix)


def gradient_penalty(
    discriminator: Callable[[Tensor], tuple[Tensor, Tensor]],
    real: Float[Tensor, "n c h w"],
    fakes: Float[Tensor, "n c h w"],
    mix: Float[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Return the mean over i of (‖∇x score(x_i)‖ − 1)², with x_i = mix_i · real_i + (1 − mix_i) · fake_i.

    It is two-sided: gradients shorter than 1 count as well.
    """
    share = mix[:, None, None, None]
    points = (share * real + (1 - share) * fakes).requires_grad_()
    (slopes,) = torch.autograd.grad(discriminator(points)[0].sum(), [points], create_graph=True)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()


def step_discriminator(
    loss: Loss,
    nets: tuple[Generator, Discriminator],
    adam: torch.optim.Optimizer,
    batch: tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]],
    drawing: torch.Generator,
) -> Tensor:
    """Take one step of the discriminator on a batch, and return its loss.

    The fakes have uniformly random labels. They come from the generator in train mode, so that they also move its
    running statistics.

    Args:
        loss: ``discriminator_loss``.
        nets: generator and discriminator, in train mode.
        adam: the optimizer of the discriminator.
        batch: real images in [−1, 1] and their labels.
        drawing: draws noise, labels and the points of the gradient penalty; on the CPU.
    """
    (generator, discriminator), (images, labels) = nets, batch
    fake_labels = copy_to(torch.randint(generator.classes, (len(labels),), generator=drawing), labels.device)
    with torch.no_grad():
        fakes = generator(noise(fake_labels, generator.classes, drawing))
    mix = copy_to(torch.rand(len(labels), generator=drawing), labels.device)
    found = loss(discriminator, images, labels, fakes, fake_labels, mix)
    adam.zero_grad()
    found.backward()
    adam.step()
    return found.detach()


def step_generator(
    loss: Loss,
    nets: tuple[Generator, Discriminator],
    adam: torch.optim.Optimizer,
    labels: Int64[Tensor, " n"],
    drawing: torch.Generator,
) -> Tensor:
    """Take one step of the generator on fakes with these labels, and return its loss.

    Args:
        loss: ``generator_loss``.
        nets: generator and discriminator, in train mode.
        adam: the optimizer of the generator.
        labels: the labels of a batch of real images.
        drawing: draws the noise; on the CPU.
    """
    generator, discriminator = nets
    found = loss(discriminator, generator(noise(labels, generator.classes, drawing)), labels)
    parameters = list(generator.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(found, parameters), strict=True):
        parameter.grad = gradient
    adam.step()
    return found.detach()

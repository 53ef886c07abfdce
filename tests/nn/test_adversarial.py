"""The losses and steps of DiM's GAN in float64, against formulas written out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from ddsweep.nn import adversarial, gan
from tests.nn.nets import seeded
from tests.slow_gan import SlowGan, cross_entropy

CLASSES, CHANNELS, SIZE, WIDTH = 3, 2, 8, 4


@pytest.fixture
def float64() -> Iterator[None]:
    """New tensors, such as noise, are float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def images(seed: int, count: int = 5) -> Tensor:
    return torch.rand(count, CHANNELS, SIZE, SIZE, generator=seeded(seed), dtype=torch.float64) * 2 - 1


def quadratic(points: Tensor) -> tuple[Tensor, Tensor]:
    """A discriminator whose gradient is known: score Σ a·x²/2, so that ∂score/∂x = a·x."""
    score = 0.5 * (COEFFICIENTS * points.square()).flatten(1).sum(1)
    return score, torch.stack([points.sum((1, 2, 3)), 2 * points[:, 0, 0, 0], points[:, 1, 2, 2]], 1)


COEFFICIENTS = torch.randn(CHANNELS, SIZE, SIZE, generator=seeded(9), dtype=torch.float64)


def test_the_gradient_penalty_is_two_sided_at_the_points_between() -> None:
    real, fakes = images(1), images(2)
    mix = torch.tensor([0.0, 1.0, 0.3, 0.5, 0.9], dtype=torch.float64)
    expected = 0.0
    for i in range(5):
        point = mix[i] * real[i] + (1 - mix[i]) * fakes[i]
        expected += float(((COEFFICIENTS * point).square().sum() ** 0.5 - 1) ** 2) / 5
    found = adversarial.gradient_penalty(quadratic, real, fakes, mix)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    short = adversarial.gradient_penalty(lambda x: (0.0 * x.flatten(1).sum(1), x), real, fakes, mix)
    assert short.item() == pytest.approx(1.0)  # gradients of length 0 count as well


def test_the_losses_written_out() -> None:
    real, fakes, labels = images(1), images(2), torch.tensor([0, 2, 1, 1, 0])
    fake_labels, mix = torch.tensor([1, 1, 2, 0, 2]), torch.rand(5, generator=seeded(3), dtype=torch.float64)
    (real_scores, real_logits), (scores, logits) = quadratic(real), quadratic(fakes)
    expected = scores.sum() / 5 - real_scores.sum() / 5
    expected += cross_entropy(logits, fake_labels.tolist()) + cross_entropy(real_logits, labels.tolist())
    expected += 10 * adversarial.gradient_penalty(quadratic, real, fakes, mix)
    found = adversarial.discriminator_loss(quadratic, real, labels, fakes, fake_labels, mix)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    found = adversarial.generator_loss(quadratic, fakes, labels)
    torch.testing.assert_close(found, cross_entropy(logits, labels.tolist()) - scores.sum() / 5, rtol=1e-12, atol=0)


def test_three_steps_of_both_networks_written_out(float64: None) -> None:
    ours = gan.build(CLASSES, CHANNELS, SIZE, WIDTH, drawing := seeded(1))
    theirs = SlowGan(CLASSES, CHANNELS, SIZE, WIDTH, seeded(1))
    optimizers = [adversarial.optimizer(net, 0.01) for net in ours]
    for step in (1, 2, 3):
        real, labels = images(10 + step), [0, 1, 2, 2, step % 3]
        batch = real, torch.tensor(labels)
        found = adversarial.step_generator(adversarial.generator_loss, ours, optimizers[0], batch[1], drawing)
        torch.testing.assert_close(found, theirs.step_generator(labels, 0.01))
        found = adversarial.step_discriminator(adversarial.discriminator_loss, ours, optimizers[1], batch, drawing)
        torch.testing.assert_close(found, theirs.step_discriminator(real, labels, 0.01))
    # the gradient of a bias before a batch norm is 0 up to rounding, of which Adam takes the sign: hence atol
    for mine, other in zip(ours, (theirs.generator, theirs.discriminator), strict=True):
        for name, value in other.state_dict().items():
            torch.testing.assert_close(mine.state_dict()[name], value, rtol=1e-8, atol=1e-8, msg=name)
    assert theirs.generator.layers[1].num_batches_tracked == 6  # both steps of each of the three

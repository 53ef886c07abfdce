"""The GAN of DiM: parameter counts by closed form, forward passes written out, and sizes beyond the original's."""

import math

import pytest
import torch
from torch.nn import functional as F

from ddsweep.nn import gan
from tests.nn.nets import seeded

SHAPES = [(10, 3, 32, 128), (10, 1, 28, 128), (7, 1, 16, 32), (100, 3, 32, 64), (3, 3, 13, 8)]


def size_after(size: int, stride: int) -> int:
    return (size - 1) // stride + 1


@pytest.mark.parametrize(("classes", "channels", "size", "width"), SHAPES)
def test_parameter_counts(classes: int, channels: int, size: int, width: int) -> None:
    w, start = round(196 * width / 128), math.ceil(size / 8)
    units, conv = w * start**2, 9 * w * w + w
    generator = (90 + classes) * units + units + 2 * units + 3 * (16 * w * w + w) + 4 * conv + 7 * 2 * w
    generator += 9 * w * channels + channels
    discriminator, side = 9 * channels * w + w + 7 * conv, size
    for stride in (1, 2, 1, 2, 1, 1, 1, 2):
        side = size_after(side, stride)
        discriminator += 2 * w * side * side
    discriminator += w + 1 + w * classes + classes
    nets = gan.build(classes, channels, size, width, seeded())
    counts = [sum(value.numel() for value in net.parameters()) for net in nets]
    assert counts == [generator, discriminator]


def test_the_original_takes_100_numbers_and_starts_at_4_pixels() -> None:
    net, _ = gan.build(10, 3, 32, 128, seeded())
    first = net.layers[0]
    assert (first.in_features, first.out_features) == (100, 196 * 4 * 4)


@pytest.mark.parametrize(("classes", "channels", "size", "width"), SHAPES[1:])
def test_shapes(classes: int, channels: int, size: int, width: int) -> None:
    generator, discriminator = gan.build(classes, channels, size, width, seeded())
    labels = torch.arange(6) % classes
    images = generator(gan.noise(labels, classes, seeded(1)))
    assert images.shape == (6, channels, size, size)
    assert images.abs().max() <= 1
    score, logits = discriminator(images)
    assert score.shape == (6,)
    assert logits.shape == (6, classes)


def test_noise_states_the_class() -> None:
    labels = torch.tensor([2, 0, 1, 2])
    drawn = gan.noise(labels, 3, seeded(4))
    assert drawn.shape == (4, 93)
    assert drawn[:, :3].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert torch.equal(drawn[:, 3:], torch.randn(4, 93, generator=seeded(4))[:, 3:])


def test_the_global_generator_is_not_touched_and_parameters_are_pytorchs() -> None:
    before = torch.get_rng_state()
    generator, discriminator = gan.build(4, 1, 16, 8, seeded(5))
    assert torch.equal(torch.get_rng_state(), before)
    values = [*generator.parameters(), *discriminator.parameters()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        reference = gan.Generator(4, 1, 16, 8), gan.Discriminator(4, 1, 16, 8)
    theirs = [value for net in reference for value in net.parameters()]
    for ours, other in zip(values, theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-6, atol=1e-9)


def randomized(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=seeded(len(name) + value.numel()), dtype=value.dtype))
                if "running_var" in name:
                    value.abs_()
                elif value.dim() > 1:
                    value.mul_(0.3)
    return dict(net.state_dict())


@pytest.mark.parametrize("training", [True, False])
def test_the_generator_layer_by_layer(training: bool) -> None:
    net = gan.Generator(4, 3, 28, 8).double()
    state = randomized(net)
    values = iter([value for name, value in state.items() if not name.endswith("num_batches_tracked")])

    def norm(x: torch.Tensor) -> torch.Tensor:
        shape = (1, -1, 1, 1) if x.dim() == 4 else (1, -1)
        gain, shift, mean, variance = (next(values).reshape(shape) for _ in range(4))
        if training:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            mean, variance = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, correction=0)
        return gain * (x - mean) / (variance + 1e-5).sqrt() + shift

    noise = gan.noise(torch.arange(5) % 4, 4, seeded(1)).double()
    x = norm(noise @ next(values).T + next(values)).clamp(min=0).reshape(5, 12, 4, 4)
    for step in "TcccTcT":
        if step == "T":
            x = F.conv_transpose2d(x, next(values), next(values), stride=2, padding=1)
        else:
            x = F.conv2d(x, next(values), next(values), padding=1)
        x = norm(x).clamp(min=0)
    x = torch.tanh(F.conv2d(x, next(values), next(values), padding=1))
    torch.testing.assert_close(net.train(training)(noise), x[:, :, 2:-2, 2:-2], rtol=1e-9, atol=1e-9)


def test_the_discriminator_layer_by_layer() -> None:
    net = gan.Discriminator(4, 3, 20, 8).double()
    values = iter(randomized(net).values())
    images = torch.randn(5, 3, 20, 20, generator=seeded(2), dtype=torch.float64)
    x = images
    for stride in (1, 2, 1, 2, 1, 1, 1, 2):
        x = F.conv2d(x, next(values), next(values), stride=stride, padding=1)
        mean, variance = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), keepdim=True, correction=0)
        x = next(values) * (x - mean) / (variance + 1e-5).sqrt() + next(values)
        x = torch.where(x > 0, x, 0.01 * x)
    features = x.amax((2, 3))
    score, logits = net(images)
    torch.testing.assert_close(score, (features @ next(values).T + next(values))[:, 0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(logits, features @ next(values).T + next(values), rtol=1e-9, atol=1e-9)

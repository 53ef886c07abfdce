import math

import pytest
import torch

from ddsweep.data.pixels import CHUNK, as_channels, resized, statistics


def random_bytes(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def slow_resize(row, size):
    """One row of pixels by the triangle filter, widened by the scale when shrinking: the textbook definition."""
    scale = len(row) / size
    support = max(scale, 1.0)
    out = []
    for target in range(size):
        center = (target + 0.5) * scale
        weights = [max(0.0, 1 - abs((source + 0.5 - center) / support)) for source in range(len(row))]
        out.append(sum(w * v for w, v in zip(weights, row, strict=True)) / sum(weights))
    return out


@pytest.mark.parametrize("size", [4, 5, 8, 16, 21])
def test_resized_is_the_separable_triangle_filter(size):
    images = random_bytes(2, 3, 8, 8)
    expected = torch.empty(2, 3, size, size, dtype=torch.float64)
    for image in range(2):
        for channel in range(3):
            rows = torch.tensor([slow_resize(row, size) for row in images[image, channel].tolist()])
            expected[image, channel] = torch.tensor([slow_resize(column, size) for column in rows.T.tolist()]).T
    out = resized(images, size)
    assert out.dtype == torch.uint8
    assert (out - expected).abs().max() <= 0.5 + 1e-3


def test_resized_to_its_own_size_only_rounds():
    images = random_bytes(CHUNK + 1, 1, 4, 4)
    assert torch.equal(resized(images, 4), images)
    assert resized(torch.tensor([[[[0.4, 0.6], [254.6, 300.0]]]]), 2).flatten().tolist() == [0, 1, 255, 255]


def test_resizing_in_chunks_changes_nothing():
    images = random_bytes(CHUNK + 3, 1, 6, 6)
    assert torch.equal(resized(images, 9)[-3:], resized(images[-3:], 9))


def test_statistics_are_those_of_the_definition():
    images = random_bytes(7, 3, 5, 5)
    images[:, 1] //= 3
    mean, std = statistics(images)
    for channel in range(3):
        values = [value / 255 for value in images[:, channel].flatten().tolist()]
        center = math.fsum(values) / len(values)
        assert mean[channel] == pytest.approx(center, abs=1e-12)
        spread = math.sqrt(math.fsum((value - center) ** 2 for value in values) / len(values))
        assert std[channel] == pytest.approx(spread, abs=1e-12)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_constant_channel_normalizes_to_zero_and_not_to_nan(value):
    (mean,), (std,) = statistics(torch.full((3, 1, 4, 4), value, dtype=torch.uint8))
    assert mean == pytest.approx(value / 255)
    assert std == 1


def test_gray_becomes_rgb_and_back():
    gray = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    rgb = as_channels(gray, 3)
    assert rgb.shape == (2, 3, 4, 4)
    assert all(torch.equal(rgb[:, channel], gray[:, 0]) for channel in range(3))
    assert torch.allclose(as_channels(rgb, 1), gray)
    assert as_channels(gray, 1) is gray


@pytest.mark.parametrize(("have", "want", "slope"), [(1, 3, 3.0), (3, 1, 1 / 3), (3, 3, 1.0)])
def test_gradients_flow_through_a_change_of_channels(have, want, slope):
    images = torch.zeros(2, have, 4, 4, requires_grad=True)
    as_channels(images, want).sum().backward()
    assert images.grad is not None
    assert torch.allclose(images.grad, torch.full_like(images, slope))


def test_there_is_no_rule_between_two_and_three_channels():
    with pytest.raises(ValueError, match="2 channels"):
        as_channels(torch.zeros(1, 2, 4, 4), 3)

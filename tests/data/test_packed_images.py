import pytest
import torch

from ddsweep import data
from ddsweep.data import dataset as module
from ddsweep.data.dataset import PackedImages, on_device
from ddsweep.distill.sets.pixels import initial
from ddsweep.nn.measure import class_accuracy

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def pixels(count=37, channels=3, size=9):
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, size, size), generator=draw, dtype=torch.uint8)


def both(monkeypatch, raw, device="cpu"):
    floats = on_device(raw, MEAN, STD, device)
    monkeypatch.setattr(module, "FLOATS_UP_TO", 0)
    packed = on_device(raw, MEAN, STD, device)
    assert isinstance(floats, torch.Tensor)
    assert isinstance(packed, PackedImages)
    return floats, packed


def test_small_sets_are_floats_and_large_ones_bytes(monkeypatch):
    raw = pixels()
    monkeypatch.setattr(module, "FLOATS_UP_TO", 4 * raw.numel())
    assert isinstance(on_device(raw, MEAN, STD, "cpu"), torch.Tensor)
    monkeypatch.setattr(module, "FLOATS_UP_TO", 4 * raw.numel() - 1)
    assert isinstance(on_device(raw, MEAN, STD, "cpu"), PackedImages)


@pytest.mark.parametrize(
    "index",
    [0, -1, slice(None), slice(3, 30, 4), [1, 1, 5], torch.tensor([30, 2, 2]), torch.arange(37) % 3 == 0,
     torch.empty(0, dtype=torch.int64)],
    ids=str,
)  # fmt: skip
def test_both_give_the_same_bits(index, monkeypatch):
    floats, packed = both(monkeypatch, pixels())
    assert torch.equal(packed[index], floats[index])
    assert packed[index].dtype == floats.dtype == packed.dtype


def test_every_value_is_the_formula(monkeypatch):
    raw = torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(256, 3, 1, 1)
    _, packed = both(monkeypatch, raw)
    for value in range(256):
        for channel in range(3):
            expected = (value / 255 - MEAN[channel]) / STD[channel]
            assert packed[value][channel].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("size", [1, 10, 37, 100])
def test_they_are_walked_through_alike(size, monkeypatch):
    floats, packed = both(monkeypatch, pixels())
    assert (len(packed), packed.shape, packed.device) == (len(floats), floats.shape, floats.device)
    for one, other in zip(packed.split(size), floats.split(size), strict=True):
        assert torch.equal(one, other)


def test_changing_what_was_read_changes_nothing(monkeypatch):
    _, packed = both(monkeypatch, pixels())
    packed[:3].zero_()
    packed[4].zero_()
    assert packed[:3].abs().min() > 0


def test_bytes_take_a_quarter(monkeypatch):
    floats, packed = both(monkeypatch, pixels())
    kept = sum(one.nbytes for one in vars(packed).values() if isinstance(one, torch.Tensor))
    assert 4 * kept == floats.nbytes


def test_a_large_dataset_is_used_like_a_small_one(monkeypatch):
    small = data.load("shapes")
    monkeypatch.setattr(module, "FLOATS_UP_TO", 1000)
    large = data.load("shapes")
    assert isinstance(large.images, PackedImages)
    assert isinstance(large.test_images, PackedImages)
    assert (large.size, large.channels, large.checksum) == (small.size, small.channels, small.checksum)
    draws = [
        (one.sample(3, 5, torch.Generator().manual_seed(1)), initial(one, 2, "real", torch.Generator().manual_seed(2)))
        for one in (small, large)
    ]
    assert torch.equal(draws[0][0], draws[1][0])
    assert torch.equal(draws[0][1].images, draws[1][1].images)
    noise = initial(large, 2, "noise", torch.Generator().manual_seed(2))
    assert noise.images.shape == (20, 3, 16, 16)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 10))
    found = [class_accuracy(net, one.test_images, one.test_labels, 10) for one in (small, large)]
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.gpu
def test_both_give_the_same_bits_on_a_gpu(monkeypatch):
    floats, packed = both(monkeypatch, pixels(), "cuda")
    chosen = torch.tensor([30, 2, 2], device="cuda")
    assert packed.device.type == "cuda"
    assert torch.equal(packed[chosen], floats[chosen])

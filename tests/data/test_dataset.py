import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddsweep import data
from ddsweep.data.decoders import decode
from ddsweep.errors import UserError


def uneven():
    """Classes of 4, 1 and 3 images in mixed order; every pixel of image i is i."""
    labels = torch.tensor([2, 0, 0, 1, 2, 0, 2, 0])
    images = torch.arange(8.0)[:, None, None, None].expand(8, 3, 4, 4).contiguous()
    return data.Dataset("uneven", ("a", "b", "c"), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), images, labels, images, labels, "")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        return data.load("digits")


def test_images_are_normalized_by_their_own_training_statistics(digits):
    assert digits.images.mean().item() == pytest.approx(0, abs=1e-5)
    assert digits.images.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert (digits.channels, digits.size, digits.name, digits.classes) == (1, 16, "digits", tuple("0123456789"))


def test_normalizing_is_the_formula(digits):
    raw = decode(data.info("digits"))
    (mean,), (std,) = digits.mean, digits.std
    for pixels, images in ((raw.images, digits.images), (raw.test_images, digits.test_images)):
        assert torch.allclose(images.double(), (pixels.double() / 255 - mean) / std, atol=1e-5)
    assert torch.equal(digits.labels, raw.labels)
    assert torch.equal(digits.test_labels, raw.test_labels)


def test_denormalizing_gives_the_pixels_back(digits):
    raw = decode(data.info("digits"))
    assert torch.equal((digits.denormalize(digits.images) * 255).round().to(torch.uint8), raw.images)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=12, max_size=12))
def test_denormalize_undoes_normalize_in_every_channel(values):
    dataset = uneven()
    wanted = torch.tensor(values).reshape(1, 3, 2, 2)
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (dataset.mean, dataset.std))
    assert torch.allclose(dataset.denormalize((wanted - mean) / std), wanted, atol=1e-5)


def test_denormalize_clamps_to_what_can_be_shown():
    shown = uneven().denormalize(torch.tensor([-100.0, 100.0]).reshape(2, 1, 1, 1).expand(2, 3, 4, 4))
    assert (shown[0].unique().item(), shown[1].unique().item()) == (0, 1)


def test_the_indices_of_each_class():
    assert [rows.tolist() for rows in uneven().per_class] == [[1, 2, 5, 7], [3], [0, 4, 6]]


@settings(deadline=None)
@given(st.integers(0, 2), st.integers(0, 6), st.integers(0, 2**32))
def test_a_sample_is_of_distinct_images_of_the_class(label, n, seed):
    dataset = uneven()
    chosen = dataset.sample(label, n, generator(seed))[:, 0, 0, 0].long().tolist()
    members = dataset.per_class[label].tolist()
    assert len(chosen) == len(set(chosen)) == min(n, len(members))
    assert set(chosen) <= set(members)


def test_every_image_of_a_class_is_drawn_equally_often():
    dataset, draw = uneven(), generator()
    drawn = torch.cat([dataset.sample(0, 2, draw)[:, 0, 0, 0] for _ in range(2000)]).long()
    counts = torch.bincount(drawn, minlength=8)[[1, 2, 5, 7]]
    # each is binomial(2000, 1/2): five standard deviations are 112
    assert (counts - 1000).abs().max() < 112


def test_a_sample_depends_on_its_generator_alone():
    dataset = uneven()
    first, second = (dataset.sample(0, 3, generator(5)) for _ in range(2))
    assert torch.equal(first, second)
    state = torch.get_rng_state()
    dataset.sample(0, 3, generator(5))
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unknown_dataset_is_refused_before_anything_is_written(cache):
    with pytest.raises(UserError, match="unknown dataset 'digit'; did you mean digits"):
        data.load("digit")
    assert not cache.exists()


@pytest.mark.gpu
def test_the_device_changes_neither_the_images_nor_a_draw():
    here, there = data.load("shapes"), data.load("shapes", device="cuda")
    assert there.images.device.type == there.labels.device.type == "cuda"
    assert torch.allclose(there.images[:].cpu(), here.images[:], atol=1e-6)
    drawn = there.sample(3, 5, generator(1)).cpu()
    assert torch.allclose(drawn, here.sample(3, 5, generator(1)), atol=1e-6)

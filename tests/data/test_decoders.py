import pytest
import torch
from sklearn.datasets import load_digits

from ddsweep import data, plugins
from ddsweep.data import decoders
from ddsweep.registry import datasets
from tests.data.test_pixels import slow_resize

OFFLINE = ["digits", "shapes"]


def decoded(name, size=None):
    row = data.info(name)
    return decoders.decode(row if size is None else datasets.at_size(row, size))


@pytest.mark.parametrize("name", data.names())
def test_every_row_of_the_table_has_a_decoder(name):
    assert callable(plugins.resolve(data.info(name).source))


@pytest.mark.parametrize("name", OFFLINE)
def test_the_table_says_what_decoding_gives(name):
    row, raw = data.info(name), decoded(name)
    assert raw.classes == row.classes
    assert raw.images.shape[1:] == raw.test_images.shape[1:] == (row.channels, row.size, row.size)
    assert torch.bincount(raw.labels, minlength=len(row.classes)).min() == row.smallest_class
    assert torch.bincount(raw.test_labels).min() > 0
    assert len(torch.bincount(raw.test_labels)) == len(row.classes)


@pytest.mark.parametrize("name", OFFLINE)
def test_decoding_twice_gives_the_same_bytes(name):
    first, second = decoded(name, 12), decoded(name, 12)
    for part in ("images", "labels", "test_images", "test_labels"):
        assert torch.equal(getattr(first, part), getattr(second, part))


@pytest.mark.parametrize("name", OFFLINE)
def test_no_test_image_is_a_training_image(name):
    raw = decoded(name)
    train = {image.numpy().tobytes() for image in raw.images}
    assert not any(image.numpy().tobytes() in train for image in raw.test_images)


def test_digits_are_scikit_learns_enlarged_with_every_third_of_a_class_held_out():
    bundle, raw = load_digits(), decoded("digits")
    seen = dict.fromkeys(range(10), 0)
    rows: dict[bool, list[int]] = {False: [], True: []}
    for index, label in enumerate(bundle.target.tolist()):
        rows[seen[label] % 3 == 2].append(index)
        seen[label] += 1
    assert raw.labels.tolist() == bundle.target[rows[False]].tolist()
    assert raw.test_labels.tolist() == bundle.target[rows[True]].tolist()
    for image, index in ((raw.images[100], rows[False][100]), (raw.test_images[7], rows[True][7])):
        across = [slow_resize(row, 16) for row in (bundle.images[index] * 255 / 16).tolist()]
        down = [slow_resize(column, 16) for column in zip(*across, strict=True)]
        assert (image[0] - torch.tensor(down).T).abs().max() <= 0.5 + 1e-3

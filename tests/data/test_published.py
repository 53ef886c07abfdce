"""Every downloaded set, from an archive in its official format to pixels."""

import gzip
import os
import pickle
import urllib.error

import numpy as np
import pytest
import torch

from ddsweep import data
from ddsweep.data import store
from ddsweep.data.decoders import decode
from ddsweep.errors import UserError
from ddsweep.registry import classes
from tests.data import official

SETS = sorted(official.WRITERS)
DOWNLOADED = [name for name in SETS if data.info(name).archives[0].urls]
PACKED = ["cifar10", "cifar100", "imagenet32", "imagenette", "tinyimagenet"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def publish(name, folder, monkeypatch):
    published = official.write(name, folder)
    if name != "imagefruit":
        official.expect(monkeypatch, name, folder)
    return published


def assert_decoded(raw, published):
    assert np.array_equal(raw.images.numpy(), published.images)
    assert raw.labels.tolist() == published.labels
    assert np.array_equal(raw.test_images.numpy(), published.test_images)
    assert raw.test_labels.tolist() == published.test_labels


def test_every_set_with_archives_is_tested_here():
    assert [name for name in sorted(data.names()) if data.info(name).archives] == SETS


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_read_from_the_users_archives(name, root, cache, monkeypatch):
    published = publish(name, root, monkeypatch)
    path = store.fetch(name, root)
    assert path.parent == cache
    dataset, row = data.load(name), data.info(name)
    assert len(dataset.classes) == len(row.classes)
    assert (dataset.channels, dataset.size, dataset.mean, dataset.std) == (row.channels, row.size, row.mean, row.std)
    assert_decoded(decode(row), published)
    assert row.mean is not None
    assert row.std is not None
    expected = (published.images[0, -1, 3, 2] / 255 - row.mean[-1]) / row.std[-1]
    assert dataset.images[0][-1, 3, 2].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", PACKED)
def test_unpacked_archives_are_read_alike(name, root, monkeypatch):
    published = publish(name, root, monkeypatch)
    for archive in data.info(name).archives:
        official.unpack(root / archive.name, root / "unpacked")
    store.fetch(name, root)
    assert_decoded(decode(data.info(name)), published)


@pytest.mark.parametrize("name", SETS)
def test_the_facts_need_no_download(name):
    row = data.info(name)
    assert row.smallest_class > 100
    assert len(row.mean or ()) == len(row.std or ()) == row.channels
    assert sum(row.images) > 0
    assert row.license
    assert all(archive.md5 or row.login for archive in row.archives)
    assert ("flip" in row.strategy) == (name not in ("mnist", "svhn"))


def test_the_labels_of_imagenet32_begin_at_zero(root, monkeypatch):
    """In the official files they begin at 1; a 0 there is no label."""
    publish("imagenet32", root, monkeypatch)
    store.fetch("imagenet32", root)
    assert data.load("imagenet32").labels.unique().tolist() == list(range(1000))
    batch = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]})
    official._zip(root / "Imagenet32_val.zip", {"val_data": batch})
    with pytest.raises(UserError, match=r"^imagenet32: cannot read .*its test labels are not those of 1000 classes"):
        decode(data.info("imagenet32"))


def test_the_fruit_come_in_the_order_of_their_wordnet_ids():
    assert data.info("imagefruit").classes == (
        "cucumber", "bell pepper", "Granny Smith", "strawberry", "orange", "lemon", "fig", "pineapple", "banana",
        "pomegranate",
    )  # fmt: skip
    for ids in (official.FRUIT, official.NETTE):
        assert ids == sorted(ids)
    assert list(classes.FRUIT) == official.FRUIT
    assert list(classes.NETTE) == official.NETTE


def test_tiny_imagenets_names_come_with_its_archive(root, monkeypatch):
    publish("tinyimagenet", root, monkeypatch)
    store.fetch("tinyimagenet", root)
    names = data.load("tinyimagenet").classes
    assert names[:2] == ("name of n10000000", "name of n10000007")


def test_another_size_is_decoded_from_the_same_archive(root, monkeypatch):
    publish("cifar10", root, monkeypatch)
    store.fetch("cifar10", root)
    small = data.load("cifar10", 16)
    assert (small.size, small.mean) == (16, data.info("cifar10").mean)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_without_a_network_one_line_says_which_file_and_where_to_give_it(name, cache):
    first = data.info(name).archives[0]
    with pytest.raises(UserError) as caught:
        data.load(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in (name, "no route to host", first.name, first.urls[0], first.md5, f"data fetch {name} --from"):
        assert part in message


@pytest.mark.parametrize("name", sorted(set(SETS) - set(DOWNLOADED)))
def test_a_set_behind_a_login_says_what_a_person_has_to_do(name):
    with pytest.raises(UserError) as caught:
        data.load(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        f"{name}: make an account at https://image-net.org/signup",
        f"ddsweep data fetch {name} --from .",
    ):
        assert part in message


def spoil(content):
    return b"?" + content[1:]


@pytest.mark.parametrize("name", [name for name in SETS if name not in ("imagefruit", "imagenet32")])
def test_an_archive_that_is_not_the_official_one_is_refused(name, root, monkeypatch):
    publish(name, root, monkeypatch)
    victim = root / data.info(name).archives[-1].name
    victim.write_bytes(spoil(victim.read_bytes()))
    with pytest.raises(UserError, match=rf"^{name}: .* is not the official {victim.name} \(md5"):
        store.fetch(name, root)


@pytest.mark.parametrize("damage", ["cut", "garbage", "other"])
@pytest.mark.parametrize("name", [name for name in SETS if name != "imagefruit"])
def test_an_archive_that_cannot_be_decoded_is_one_line(name, damage, root, monkeypatch):
    """Whatever is in it: its publisher may have put a damaged file on the server."""
    official.write(name, root)
    victim = root / data.info(name).archives[-1].name
    whole = victim.read_bytes()
    other = gzip.compress(b"\0\0\x0b\1\0\0\0\0")
    victim.write_bytes({"cut": whole[: len(whole) // 2], "garbage": spoil(whole)[:99], "other": other}[damage])
    official.expect(monkeypatch, name, root)
    with pytest.raises(UserError, match=rf"^{name}: cannot read") as caught:
        store.fetch(name, root)
    assert "\n" not in str(caught.value)


def test_a_class_of_imagenet_that_is_not_there_is_named(root):
    official.write("imagefruit", root)
    for path in (root / "imagenet" / "train" / "n07749582").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"^imagefruit: cannot read .*: train has no images of lemon"):
        store.fetch("imagefruit", root)


def test_a_photo_that_cannot_be_read_is_named(root):
    official.write("imagefruit", root)
    victim = root / "imagenet" / "val" / "n07749582" / "n07749582_005.JPEG"
    victim.write_bytes(victim.read_bytes()[:100])
    with pytest.raises(UserError, match=rf"^imagefruit: cannot read .*val/n07749582/{victim.name}: "):
        store.fetch("imagefruit", root)


def test_the_rest_of_imagenet_is_not_listed(root, monkeypatch):
    official.write("imagefruit", root)
    seen, scan = [], os.scandir

    def noting(path):
        seen.append(str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", noting)
    store.fetch("imagefruit", root / "imagenet")
    assert any(path.endswith("n07749582") for path in seen)
    assert not any(path.endswith("n01440764") for path in seen)


def test_half_the_labels_of_a_batch_are_not_enough(root, monkeypatch):
    batch = pickle.dumps({"data": np.zeros((4, 3072), np.uint8), "labels": [1, 2]})
    official.write("imagenet32", root)
    official._zip(root / "Imagenet32_val.zip", {"val_data": batch})
    with pytest.raises(UserError, match="val_data has 4 images and 2 labels"):
        store.fetch("imagenet32", root)


@pytest.mark.parametrize("name", ["mnist", "fashionmnist"])
def test_gray_digits_have_one_channel(name, root, monkeypatch):
    publish(name, root, monkeypatch)
    raw = decode_from(name, root)
    assert raw.images.shape == (20, 1, 28, 28)
    assert raw.images.dtype == torch.uint8


def decode_from(name, root):
    store.fetch(name, root)
    return decode(data.info(name))

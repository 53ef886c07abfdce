import hashlib
import pickle
import tarfile
import urllib.error

import numpy as np
import pytest
import torch
import torchvision
from sklearn.datasets import load_digits

from ddsweep import data
from ddsweep.data import decoders, table
from ddsweep.errors import UserError
from tests.data.test_pixels import slow_resize

OFFLINE = ["digits", "shapes"]


def decoded(name, size=None):
    row = data.info(name)
    return decoders.decode(row if size is None else table.at_size(row, size))


def test_every_row_of_the_table_has_a_decoder_and_the_other_way_round():
    assert set(decoders.DECODERS) == set(data.names())


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


class TinyCifar:
    """A CIFAR archive in torchvision's layout on disk, with the md5 sums that torchvision will be told to expect."""

    def __init__(self, source, folder, monkeypatch):
        rng = np.random.default_rng(0)
        self.classes = len(data.info({"CIFAR10": "cifar10", "CIFAR100": "cifar100"}[source.__name__]).classes)
        key = "labels" if self.classes == 10 else "fine_labels"
        self.images, self.labels, files = {}, {}, folder / source.base_folder
        files.mkdir(parents=True)
        sums = {}
        for name in (entry[0] for entry in source.train_list + source.test_list):
            pixels, labels = rng.integers(0, 256, (self.classes, 3072), dtype=np.uint8), rng.permutation(self.classes)
            self.images[name], self.labels[name] = pixels.reshape(-1, 3, 32, 32), labels
            sums[name] = self._dump(files / name, {"data": pixels, key: labels.tolist()})
        sums["meta"] = self._dump(files / source.meta["filename"], {source.meta["key"]: ["?"] * self.classes})
        for part in ("train_list", "test_list"):
            monkeypatch.setattr(source, part, [[name, sums[name]] for name, _ in getattr(source, part)])
        monkeypatch.setattr(source, "meta", {**source.meta, "md5": sums["meta"]})
        self.files, self.source = files, source

    @staticmethod
    def _dump(path, content):
        path.write_bytes(pickle.dumps(content))
        return hashlib.md5(path.read_bytes()).hexdigest()

    def pack(self, monkeypatch):
        """Put the folder into the archive that torchvision would download."""
        archive = self.files.parent / self.source.filename
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(self.files, self.files.name)
        monkeypatch.setattr(self.source, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
        for path in self.files.iterdir():
            path.unlink()
        return archive


CIFARS = [("cifar10", torchvision.datasets.CIFAR10), ("cifar100", torchvision.datasets.CIFAR100)]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.parametrize(("name", "source"), CIFARS)
@pytest.mark.parametrize("packed", [False, True], ids=["files", "archive"])
def test_cifar_is_read_from_torchvisions_files(name, source, packed, cache, monkeypatch):
    tiny = TinyCifar(source, cache / "torchvision", monkeypatch)
    if packed:
        tiny.pack(monkeypatch)
    raw = decoded(name)
    train = [entry[0] for entry in source.train_list]
    assert np.array_equal(raw.images.numpy(), np.concatenate([tiny.images[part] for part in train]))
    assert raw.labels.tolist() == [label for part in train for label in tiny.labels[part]]
    assert np.array_equal(raw.test_images.numpy(), tiny.images[source.test_list[0][0]])
    assert raw.classes == data.info(name).classes


def test_cifar_is_normalised_with_the_published_numbers_at_any_size(cache, monkeypatch):
    tiny = TinyCifar(torchvision.datasets.CIFAR10, cache / "torchvision", monkeypatch)
    dataset = data.load("cifar10")
    assert (dataset.mean, dataset.std) == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    expected = (tiny.images["data_batch_1"][3, 2, 4, 5] / 255 - 0.4465) / 0.2010
    assert dataset.images[3, 2, 4, 5].item() == pytest.approx(expected, rel=1e-5)
    small = data.load("cifar10", 16)
    assert (small.size, small.mean) == (16, dataset.mean)


@pytest.mark.parametrize(("name", "source"), CIFARS)
def test_without_a_network_one_line_says_which_file_to_put_where(name, source, cache):
    with pytest.raises(UserError) as caught:
        data.load(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in (name, "no route to host", source.filename, source.url, source.tgz_md5, str(cache / "torchvision")):
        assert part in message


@pytest.mark.parametrize("packed", [False, True], ids=["files", "archive"])
def test_a_damaged_download_is_not_read(packed, cache, monkeypatch):
    tiny = TinyCifar(torchvision.datasets.CIFAR10, cache / "torchvision", monkeypatch)
    victim = tiny.pack(monkeypatch) if packed else tiny.files / "data_batch_3"
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=r"^cifar10: cannot download it"):
        data.load("cifar10")

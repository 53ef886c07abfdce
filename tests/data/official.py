"""Tiny archives in the formats in which the real ones are published, each with the pixels that went into it."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.io  # type: ignore[import-untyped]
from PIL import Image

from ddsweep.registry import classes, datasets

NETTE, FRUIT = sorted(classes.NETTE), sorted(classes.FRUIT)


@dataclass
class Published:
    """What decoding the archives has to give: [n, c, h, w] pixels and labels from 0."""

    images: np.ndarray
    labels: list[int]
    test_images: np.ndarray
    test_labels: list[int]


def write(name: str, folder: Path) -> Published:
    """The archives of ``name`` under their official names in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return WRITERS[name](folder, np.random.default_rng(len(name)))


def expect(monkeypatch, name: str, folder: Path) -> None:
    """Make the files in ``folder`` the official ones: the table gets their MD5."""
    row = datasets.TABLE[name]
    archives = [
        replace(one, md5=hashlib.md5((folder / one.name).read_bytes()).hexdigest()) if one.md5 else one
        for one in row.archives
    ]
    monkeypatch.setitem(datasets.TABLE.rows, name, replace(row, archives=tuple(archives)))


def _pixels(rng, count, *shape):
    return rng.integers(0, 256, (count, *shape), dtype=np.uint8)


def _idx(array, axes):
    return gzip.compress(struct.pack(f">2xBB{axes}I", 8, axes, *array.shape) + array.tobytes())


def mnist(folder, rng):
    found = []
    for part, count in (("train", 20), ("t10k", 10)):
        images, labels = _pixels(rng, count, 28, 28), rng.permutation(count).astype(np.uint8) % 10
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(_idx(images, 3))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(_idx(labels, 1))
        found += [images[:, None], labels.tolist()]
    return Published(*found)


def svhn(folder, rng):
    found = []
    for part, count in (("train", 20), ("test", 10)):
        images, labels = _pixels(rng, count, 3, 32, 32), rng.permutation(count) % 10
        called = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        scipy.io.savemat(folder / f"{part}_32x32.mat", {"X": images.transpose(2, 3, 1, 0), "y": called})
        found += [images, labels.tolist()]
    return Published(*found)


def pathmnist(folder, rng):
    arrays = {}
    for part, count in (("train", 18), ("val", 9), ("test", 9)):
        arrays[f"{part}_images"] = _pixels(rng, count, 28, 28, 3)
        arrays[f"{part}_labels"] = (rng.permutation(count) % 9).astype(np.uint8)[:, None]
    np.savez(folder / "pathmnist.npz", **arrays)
    return Published(*(
        value
        for part in ("train", "test")
        for value in (arrays[f"{part}_images"].transpose(0, 3, 1, 2), arrays[f"{part}_labels"][:, 0].tolist())
    ))  # fmt: skip


def _batch(rng, count, key, first=0):
    images, labels = _pixels(rng, count, 3, 32, 32), rng.permutation(count).tolist()
    content = {"data": images.reshape(count, -1), key: [label + first for label in labels]}
    return images, labels, pickle.dumps(content, protocol=2)


def _joined(parts, test):
    images, labels = zip(*parts, strict=True)
    return Published(np.concatenate(images), [one for each in labels for one in each], *test)


def _tar(path, contents):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _zip(path, contents):
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content)


def cifar10(folder, rng):
    batches = {f"data_batch_{number}": _batch(rng, 10, "labels") for number in range(1, 6)}
    test = _batch(rng, 10, "labels")
    files = {name: batch[2] for name, batch in batches.items()} | {"test_batch": test[2]}
    _tar(folder / "cifar-10-python.tar.gz", {f"cifar-10-batches-py/{name}": one for name, one in files.items()})
    return _joined([batch[:2] for batch in batches.values()], test[:2])


def cifar100(folder, rng):
    train, test = (_batch(rng, 100, "fine_labels") for _ in range(2))
    files = {"meta": b"", "test": test[2], "train": train[2]}
    _tar(folder / "cifar-100-python.tar.gz", {f"cifar-100-python/{name}": one for name, one in files.items()})
    return _joined([train[:2]], test[:2])


def imagenet32(folder, rng):
    batches = [_batch(rng, 1000 if number == 1 else 3, "labels", first=1) for number in range(1, 11)]
    test = _batch(rng, 1000, "labels", first=1)
    _zip(folder / "Imagenet32_train.zip",
         {f"train_data_batch_{number}": batch[2] for number, batch in enumerate(batches, 1)})  # fmt: skip
    _zip(folder / "Imagenet32_val.zip", {"val_data": test[2]})
    return _joined([batch[:2] for batch in batches], test[:2])


def png(pixels):
    """[h, w, 3] pixels as a lossless file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _photos(rng, ids, counts, top, size, where):
    """Random images under ``where(split, id, index)``: the files, and what decoding them has to give."""
    files, found = {}, []
    for split, count in counts.items():
        images = _pixels(rng, count * len(ids), size // 16, size // 16, 3).repeat(16, 1).repeat(16, 2)
        labels = [label for label in range(len(ids)) for _ in range(count)]
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            files[f"{top}/{where(split, ids[label], number)}"] = png(image)
        found += [images.transpose(0, 3, 1, 2), labels]
    return files, Published(*found)


def tinyimagenet(folder, rng):
    ids = [f"n{10_000_000 + 7 * number}" for number in range(200)]

    def where(split, wordnet_id, number):
        file = f"{split}_{number:05}.JPEG"
        return f"train/{wordnet_id}/images/{file}" if split == "train" else f"val/images/{file}"

    top = "tiny-imagenet-200"
    files, found = _photos(rng, ids, {"train": 2, "val": 1}, top, 64, where)
    shuffled = [ids[index] for index in rng.permutation(200)]
    files[f"{top}/wnids.txt"] = "\n".join(shuffled).encode()
    files[f"{top}/words.txt"] = "".join(f"{one}\tname of {one}, also so\n" for one in [*shuffled, "n9"]).encode()
    boxes = [f"val_{number:05}.JPEG\t{one}\t0\t0\t62\t62" for number, one in enumerate(ids, 0)]
    files[f"{top}/val/val_annotations.txt"] = "\n".join(reversed(boxes)).encode()
    files[f"{top}/test/images/test_0.JPEG"] = b"not labeled, not read"
    _zip(folder / "tiny-imagenet-200.zip", dict(sorted(files.items(), reverse=True)))
    return found


def _by_id(split, wordnet_id, number):
    return f"{split}/{wordnet_id}/{wordnet_id}_{number:03}.JPEG"


def imagenette(folder, rng):
    files, found = _photos(rng, NETTE, {"train": 2, "val": 1}, "imagenette2", 224, _by_id)
    files["imagenette2/._noise"] = b"macOS leaves such files"
    _tar(folder / "imagenette2.tgz", dict(sorted(files.items(), reverse=True)))
    return found


def imagefruit(folder, rng):
    files, found = _photos(rng, FRUIT, {"train": 2, "val": 1}, "imagenet", 224, _by_id)
    for split in ("train", "val"):
        files[f"imagenet/{split}/n01440764/tench.JPEG"] = b"another class, which nobody opens"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return found


def unpack(archive: Path, folder: Path) -> None:
    """As a user does."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    archive.unlink()


WRITERS: dict[str, Callable[..., Published]] = {
    "mnist": mnist,
    "fashionmnist": mnist,
    "svhn": svhn,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "pathmnist": pathmnist,
    "tinyimagenet": tinyimagenet,
    "imagenet32": imagenet32,
    "imagenette": imagenette,
    "imagefruit": imagefruit,
}

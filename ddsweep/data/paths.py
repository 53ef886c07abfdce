"""The paths of datasets in the user's cache, and the state of each, without importing torch."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ddsweep import files
from ddsweep.registry.bias import PHOTOS, Bias
from ddsweep.registry.datasets import TABLE, Archive, DatasetInfo, at_size, info, is_bundled
from ddsweep.registry.image_folders import FOLDER_PREFIX


def decoded(row: DatasetInfo) -> Path:
    """Return the path of its decoded images at ``row.size``."""
    return files.cache_dir() / "data" / f"{_stem(row)}-{row.size}.safetensors"


def whitening(row: DatasetInfo) -> Path:
    """Return the path of the ZCA whitening of its images at ``row.size``."""
    return decoded(row).with_suffix(".zca.safetensors")


def all_decoded(row: DatasetInfo) -> list[Path]:
    """Return the existing files of its decoded images, smallest size first."""
    pattern = re.compile(re.escape(_stem(row)) + r"-(\d+)\.safetensors")
    folder = files.cache_dir() / "data"
    found = ((pattern.fullmatch(path.name), path) for path in (folder.iterdir() if folder.is_dir() else ()))
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def variants(row: DatasetInfo) -> list[DatasetInfo]:
    """Return the rows of a biased dataset, with each share and severity, that have decoded images in the cache."""
    bare = row.name.partition(":")[0]
    pattern = re.compile(re.escape(bare) + r"-align([0-9.e-]+)-severity(\d)-\d+\.safetensors")
    folder = files.cache_dir() / "data"
    found = (pattern.fullmatch(path.name) for path in (folder.iterdir() if folder.is_dir() else ()))
    return [info(name) for name in sorted({f"{bare}:align={one[1]},severity={one[2]}" for one in found if one})]


def archive(row: DatasetInfo, one: Archive) -> Path:
    """Return the path of an archive: a file, or a link to the user's copy, packed or unpacked."""
    return files.cache_dir() / "data" / "archives" / row.name / one.name


def photos_link() -> Path:
    """Return the link to the user's image folder of CIFAR-10, which the corrupted datasets can be made from."""
    return files.cache_dir() / "data" / "archives" / PHOTOS / "images"


def is_prepared(spec: str, size: int | None = None) -> bool:
    """Return whether the dataset has been decoded; an image folder may have changed since."""
    row = info(spec)
    return decoded(row if size is None else at_size(row, size)).is_file()


@dataclass(frozen=True)
class Holding:
    """The state of one dataset in the cache.

    Attributes:
        row: its row in the table.
        state: ``decoded`` (at some size), ``downloaded`` (its archives are in the cache), ``bundled`` (it has none) or
            ``missing``.
        disk: bytes of tensors and archives in the cache; a linked archive counts 0.
    """

    row: DatasetInfo
    state: str
    disk: int


def holdings() -> list[Holding]:
    """Return the state of every dataset of the table, in its order."""
    return [_holding(row) for row in TABLE.values()]


def _holding(row: DatasetInfo) -> Holding:
    if row.bias:
        return _holding_of_biased(row, row.bias)
    tensors, archives = all_decoded(row), [archive(row, one) for one in row.archives]
    if tensors:
        state = "decoded"
    elif not archives:
        state = "bundled"
    else:
        state = "downloaded" if all(path.exists() for path in archives) else "missing"
    own = [path for path in archives if path.is_file() and not path.is_symlink()]
    own += [path for one in tensors if (path := one.with_suffix(".zca.safetensors")).is_file()]
    return Holding(row, state, sum(path.stat().st_size for path in tensors + own))


def _holding_of_biased(row: DatasetInfo, how: Bias) -> Holding:
    """All variants together; the disk space of the base is in its own row."""
    made, base = [path for one in variants(row) for path in all_decoded(one)], TABLE[how.base]
    if made or is_bundled(row):
        state = "decoded" if made else "bundled"
    else:
        linked = how.base == PHOTOS and photos_link().exists()
        state = "missing" if _holding(base).state == "missing" and not linked else "downloaded"
    return Holding(row, state, sum(path.stat().st_size for path in made))


def _stem(row: DatasetInfo) -> str:
    if row.bias:
        return row.name.replace(":align=", "-align").replace(",severity=", "-severity")
    if not row.name.startswith(FOLDER_PREFIX):
        return row.name
    path = row.name.removeprefix(FOLDER_PREFIX)
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", Path(path).name)[:40]
    return f"imagefolder-{readable}-{hashlib.sha256(ascii(path).encode()).hexdigest()[:12]}"

"""The store of decoded datasets: each is decoded once, by one process, and can be verified."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from ddsweep import again, files
from ddsweep.data import archives, cache, paths, progress
from ddsweep.data.bias import sources
from ddsweep.data.decoders import decode
from ddsweep.data.folder import fingerprint
from ddsweep.data.pixels import statistics
from ddsweep.data.progress import Progress
from ddsweep.errors import UserError
from ddsweep.registry.datasets import TABLE, DatasetInfo, at_size, info
from ddsweep.registry.image_folders import FOLDER_PREFIX, notes

log = logging.getLogger(__name__)

VERSION = 1  # of the decoders; increase it when the pixels of one change, so that datasets are decoded again
MADE = 1  # likewise for the biased datasets, which are made from others


def row(spec: str, size: int | None) -> DatasetInfo:
    """Return the row of a dataset at ``size`` pixels; None: at its native size."""
    own = info(spec)
    return own if size is None else at_size(own, size)


def prepare(spec: str, size: int | None = None) -> Path:
    """Decode a dataset into the user's cache unless it is there, intact and up to date; return the file.

    If several processes call this at once, one decodes and the others wait.

    Raises:
        UserError: as ``load``.
    """
    one = row(spec, size)
    _say_notes(one)
    stored(one)
    return paths.decoded(one)


def checksum(spec: str, size: int | None = None) -> str:
    """Return the checksum of a dataset's images, decoding them first if the cache does not have them.

    Raises:
        UserError: as ``load``.
    """
    return known_checksum(spec, size) or stored(row(spec, size)).checksum


def known_checksum(spec: str, size: int | None = None) -> str | None:
    """Return the checksum of a dataset's images as they are now; None if these have not been decoded yet.

    Raises:
        UserError: unknown dataset, or a folder that is not a valid image folder.
    """
    one = row(spec, size)
    return cache.read_checksum(paths.decoded(one), _fingerprint(one))


def fetch(spec: str, source: Path | None = None, tell: Progress = progress.downloaded) -> Path:
    """Get the archives of a dataset, verify and decode them; return the file of the decoded images.

    Args:
        spec: the dataset.
        source: the path of its archives, packed or unpacked; None: they are downloaded. Of a biased dataset, the
            archives of its base, an image folder with the images of CIFAR-10, or the file of the paper's authors.
        tell: called with the progress of a download.

    Raises:
        UserError: as ``archives.obtain``, ``archives.adopt`` and ``sources.adopt``; what they hold cannot be decoded.
    """
    one = info(spec)
    if source is not None:
        (sources if one.bias else archives).adopt(one, source)
    elif one.archives and not paths.is_prepared(spec):
        archives.obtain(one, tell)
    return prepare(spec)


@dataclass(frozen=True)
class Finding:
    """The result of the verification of one file.

    Attributes:
        path: the file.
        what: the part of the dataset.
        state: ``intact``, ``unpacked`` or ``unchecked`` (there is no checksum), ``outdated`` (it was decoded from other
            files, and will be decoded again), ``damaged`` or ``missing`` (a broken link).
    """

    path: Path
    what: str
    state: str

    @property
    def wrong(self) -> bool:
        """Whether the user should act."""
        return self.state in ("damaged", "missing")


def verify(spec: str) -> list[Finding]:
    """Read every archive and every decoded file of a dataset, and compare them with their checksums.

    Raises:
        UserError: unknown dataset, or the cache has no files of it.
    """
    one = info(spec)
    found = [_verify_archive(one, index) for index in range(len(one.archives)) if _is_there(one, index)]
    rows = paths.variants(one) if one.bias and ":" not in spec else [one]
    found += [_verify_tensors(row, path) for row in rows for path in paths.all_decoded(row)]
    if not found:
        raise UserError(f"{spec}: the cache has nothing of it to verify; first: {again.other('data', 'fetch', spec)}")
    return found


def stored(one: DatasetInfo) -> cache.Stored:
    """Return the decoded images of a row, from the cache or from the decoder.

    Raises:
        UserError: as ``decode``.
    """
    path, wanted = paths.decoded(one), _fingerprint(one)
    with contextlib.suppress(cache.Damaged):  # read again below, under the lock
        if found := cache.read(path, wanted):
            return found
    with files.lock(path.with_suffix(".lock")):
        files.clear_temporaries(path.parent, path.name)
        try:
            if found := cache.read(path, wanted):
                return found
        except cache.Damaged as error:
            aside = path.with_suffix(".damaged")
            path.replace(aside)
            log.warning("%s is damaged (%s): set aside as %s, and decoded again", path, error, aside.name)
        _say_notes(one)
        log.info("decoding %s at %d×%d into %s", one.name, one.size, one.size, path)
        raw = decode(one)
        mean, std = statistics(raw.images) if one.mean is None or one.std is None else (one.mean, one.std)
        return cache.write(path, raw, cache.Header(mean, std, wanted, origin(one)))


def origin(one: DatasetInfo) -> str:
    """Return the displayed source of the images; of a biased dataset, of those that it is made from here."""
    return sources.origin(one) if one.bias else one.origin


_said: set[str] = set()  # notes on image folders, each of which a process gives once


def _say_notes(one: DatasetInfo) -> None:
    """Warn of the files of an image folder that are passed over, and of what else the user should know about it."""
    for note in notes(one.name):
        if note not in _said:
            _said.add(note)
            log.warning(note)


def _fingerprint(one: DatasetInfo) -> str:
    """Return a hash of everything that determines the decoded images of a row."""
    listing: object = fingerprint(one.name) if one.name.startswith(FOLDER_PREFIX) else None
    if one.bias:
        listing = [MADE, *sources.facts(one)] if sources.facts(one) else [MADE, _fingerprint(sources.base(one.bias))]
    code = TABLE.code(one.name)
    facts = [VERSION, ascii(one.name), one.size, one.mean, one.std, listing, *([code.pin] if code else [])]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _is_there(one: DatasetInfo, index: int) -> bool:
    path = paths.archive(one, one.archives[index])
    return path.exists() or path.is_symlink()


def _verify_archive(one: DatasetInfo, index: int) -> Finding:
    archive = one.archives[index]
    path = paths.archive(one, archive)
    if not path.exists():
        state = "missing"
    elif path.is_dir():
        state = "unpacked"
    elif not archive.md5:
        state = "unchecked"
    else:
        state = "intact" if archives.intact(archive, path) else "damaged"
    return Finding(path, "archive", state)


def _verify_tensors(one: DatasetInfo, path: Path) -> Finding:
    size = int(path.stem.rpartition("-")[2])
    try:
        state = "intact" if cache.read(path, _fingerprint(at_size(one, size))) else "outdated"
    except cache.Damaged:
        state = "damaged"
    return Finding(path, f"decoded at {size}×{size}", state)

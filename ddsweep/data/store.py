"""The store of decoded datasets: each is decoded once, by one process, and can be verified."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from ddsweep import again, files
from ddsweep.data import archives, cache, fingerprints, paths, progress
from ddsweep.data.bias import sources
from ddsweep.data.decoded import prepare, say_notes
from ddsweep.data.decoders import decode
from ddsweep.data.pixels import statistics
from ddsweep.data.progress import Progress
from ddsweep.errors import UserError
from ddsweep.registry.datasets import DatasetInfo, at_size, info

log = logging.getLogger(__name__)


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
    path, wanted = paths.decoded(one), fingerprints.of(one)
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
        say_notes(one)
        log.info("decoding %s at %d×%d into %s", one.name, one.size, one.size, path)
        raw = decode(one)
        mean, std = statistics(raw.images) if one.mean is None or one.std is None else (one.mean, one.std)
        return cache.write(path, raw, cache.Header(mean, std, wanted, origin(one)))


def origin(one: DatasetInfo) -> str:
    """Return the displayed source of the images; of a biased dataset, of those that it is made from here."""
    return sources.origin(one) if one.bias else one.origin


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
        state = "intact" if cache.read(path, fingerprints.of(at_size(one, size))) else "outdated"
    except cache.Damaged:
        state = "damaged"
    return Finding(path, f"decoded at {size}×{size}", state)

"""The archives of a dataset: downloaded or provided by the user, verified, and kept in the cache."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from ddsweep import files
from ddsweep.data import paths, progress
from ddsweep.data.progress import Progress
from ddsweep.errors import UserError
from ddsweep.registry.datasets import Archive, DatasetInfo

log = logging.getLogger(__name__)

DEPTH = 2  # levels of subfolders of ``--from`` that are searched; torchvision keeps MNIST in ROOT/MNIST/raw
BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without data


def obtain(row: DatasetInfo, tell: Progress = progress.downloaded) -> list[Path]:
    """Return the archives of a dataset in the order of its row, downloading them if necessary.

    Each archive has its official MD5.

    Raises:
        UserError: an archive needs an account to download, no network connection, or a file that is not the official
            archive.
    """
    held = paths.decoded(row).parent / "archives" / f"{row.name}.lock"
    with files.lock(held):
        return [_obtain(row, archive, tell) for archive in row.archives]


def adopt(row: DatasetInfo, source: Path) -> None:
    """Use archives that the user already has, packed or unpacked. They are linked, not copied.

    Args:
        row: the dataset.
        source: a folder that contains the archives, a folder that is an unpacked archive, or, for a dataset with a
            single archive, its file.

    Raises:
        UserError: the dataset needs no archives, ``source`` does not exist, or an archive is missing or is not the
            official file.
    """
    if not row.archives:
        raise UserError(f"{row.name}: needs no archive; --from {source} is not used")
    if not source.exists():
        raise UserError(f"{row.name}: file or folder not found: {str(source)!r}")
    for archive, found in [(archive, _find(row, archive, source.absolute())) for archive in row.archives]:
        place = paths.archive(row, archive)
        if place.exists() and place.samefile(found):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(found)
        for tensors in paths.all_decoded(row):  # decoded from the archive that was linked before
            tensors.unlink()


def intact(archive: Archive, path: Path) -> bool:
    """Whether the file has the MD5 that its publisher gives, if any; an unpacked folder is accepted unchecked."""
    return path.is_dir() or not archive.md5 or md5(path) == archive.md5


def _obtain(row: DatasetInfo, archive: Archive, tell: Progress) -> Path:
    place = paths.archive(row, archive)
    if place.exists():
        if intact(archive, place):
            return place
        if place.is_symlink():
            raise UserError(f"{row.name}: {place.resolve()} is not the official {archive.name} (md5 {archive.md5})")
        aside = place.with_name(f"{place.name}.damaged")
        place.replace(aside)
        log.warning("%s is damaged: set aside as %s, and downloaded again", place, aside.name)
    if not archive.urls:
        raise UserError(f"{row.name}: {row.login}; then run in its folder: ddsweep data fetch {row.name} --from .")
    place.unlink(missing_ok=True)  # a link whose target no longer exists
    try:
        log.info("downloading %s into %s", archive.urls[0], place.parent)
        download(archive, place, tell)
    except (Failed, OSError) as error:
        raise UserError(
            f"{row.name}: cannot download {archive.urls[0]} ({error}); get {archive.name} (md5 {archive.md5}) "
            f"elsewhere, then run in its folder: ddsweep data fetch {row.name} --from ."
        ) from error
    return place


def _find(row: DatasetInfo, archive: Archive, source: Path) -> Path:
    one_file = source.is_file() and len(row.archives) == 1
    candidates = [source] if one_file else list(_candidates(archive, source, DEPTH))
    for path in candidates:
        if intact(archive, path):
            return path
    if candidates:
        raise UserError(f"{row.name}: {candidates[0]} is not the official {archive.name} (md5 {archive.md5})")
    unpacked = f", and no folder with {archive.sign} in it" if archive.sign else ""
    raise UserError(f"{row.name}: no {archive.name} in {str(source)!r}{unpacked}")


def _candidates(archive: Archive, folder: Path, depth: int) -> Iterator[Path]:
    """The archive's file or unpacked folder in ``folder`` and its subfolders, nearest first."""
    if archive.sign and (folder / archive.sign).exists():
        yield folder
    if (folder / archive.name).is_file():
        yield folder / archive.name
    if depth and folder.is_dir():
        for below in sorted(path for path in folder.iterdir() if path.is_dir()):
            yield from _candidates(archive, below, depth - 1)


class Failed(Exception):
    """An archive could not be downloaded; the message gives the reason."""


def md5(path: Path) -> str:
    """The MD5 of a file in hexadecimal, which publishers provide; it does not protect against malicious changes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(archive: Archive, path: Path, tell: Progress) -> None:
    """Download an archive to ``path`` from the first of its URLs that works.

    Data is written to ``path.part``, so that a later call requests only the missing rest. The complete file is renamed
    if it has the official MD5, and deleted otherwise.

    Raises:
        Failed: no URL provided the complete file, or the downloaded file is not the official archive.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    reasons = []
    for url in archive.urls:
        try:
            _download(url, part, lambda here, total: tell(archive.name, here, total))
            break
        except (OSError, http.client.HTTPException) as error:
            plain = error.reason if type(error) is urllib.error.URLError else error
            reasons.append(str(plain) or type(error).__name__)
    else:
        raise Failed("; ".join(dict.fromkeys(reasons)))
    if archive.md5 and (found := md5(part)) != archive.md5:
        part.unlink()
        raise Failed(f"the downloaded file has md5 {found}, and was deleted")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _download(url: str, part: Path, tell: Callable[[int, int | None], None]) -> None:
    """Download to ``part`` until complete, reconnecting as long as each connection transfers some data."""
    while True:
        before = _size(part)
        try:
            return _connect(url, part, tell)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not before:
                raise
            if error.headers.get("Content-Range") == f"bytes */{before}":
                return None  # already complete: the last run was stopped just before the rename
            part.unlink()  # longer than the file on the server, so it belongs to another file
        except (OSError, http.client.HTTPException):
            if _size(part) <= before:
                raise


def _connect(url: str, part: Path, tell: Callable[[int, int | None], None]) -> None:
    have = _size(part)
    headers = {"User-Agent": "ddsweep", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT and _begins_at(answer.headers, have)
        if not resumed:
            have = 0  # a server without range support sends the whole file
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                have += len(block)
                tell(have, total)
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")


def _begins_at(headers: http.client.HTTPMessage, offset: int) -> bool:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == offset


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

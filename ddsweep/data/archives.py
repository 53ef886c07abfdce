"""The archives of a dataset: had from the network or from the user, checked, and kept in the cache."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from ddsweep import files
from ddsweep.data import places
from ddsweep.data.download import Failed, Progress, download, md5
from ddsweep.data.table import Archive, DatasetInfo
from ddsweep.errors import UserError

log = logging.getLogger(__name__)

DEPTH = 2  # how far below ``--from`` an archive is looked for: torchvision keeps MNIST's in ROOT/MNIST/raw


def quiet(name: str, here: int, total: int | None) -> None:
    """Tells nobody of a download."""


def obtain(row: DatasetInfo, tell: Progress = quiet) -> list[Path]:
    """The archives of the dataset, in the order of its row, downloaded if need be; each has its official MD5.

    Raises:
        UserError: one that only a person with an account can download; no network; one that is not the official file.
    """
    held = places.decoded(row).parent / "archives" / f"{row.name}.lock"
    with files.lock(held):
        return [_obtain(row, archive, tell) for archive in row.archives]


def adopt(row: DatasetInfo, source: Path) -> None:
    """Use the archives that the user has, packed or unpacked: they are linked, not copied.

    Args:
        row: the dataset.
        source: a folder that holds them, or itself is one unpacked, or the file of a dataset that has only one.

    Raises:
        UserError: the dataset has no archives; nothing is there; or one is missing, or not the official file.
    """
    if not row.archives:
        raise UserError(f"{row.name}: needs no archive, so there is nothing to take --from {source}")
    if not source.exists():
        raise UserError(f"{row.name}: no file or folder {str(source)!r}")
    for archive, found in [(archive, _find(row, archive, source.absolute())) for archive in row.archives]:
        place = places.archive(row, archive)
        if place.exists() and place.samefile(found):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(found)
        for tensors in places.all_decoded(row):  # they were decoded from something else
            tensors.unlink()


def intact(archive: Archive, path: Path) -> bool:
    """Whether it is the official file, as far as its publisher lets us know; an unpacked folder is believed."""
    return path.is_dir() or not archive.md5 or md5(path) == archive.md5


def _obtain(row: DatasetInfo, archive: Archive, tell: Progress) -> Path:
    place = places.archive(row, archive)
    if place.exists():
        if intact(archive, place):
            return place
        if place.is_symlink():
            raise UserError(f"{row.name}: {place.resolve()} is not the official {archive.name} (md5 {archive.md5})")
        aside = place.with_name(f"{place.name}.damaged")
        place.replace(aside)
        log.warning("%s is damaged: set aside as %s, and downloaded again", place, aside.name)
    if not archive.urls:
        raise UserError(f"{row.name}: {row.login}; then ddsweep data fetch {row.name} --from FOLDER")
    place.unlink(missing_ok=True)  # a link to a file that is gone
    try:
        log.info("downloading %s into %s", archive.urls[0], place.parent)
        download(archive, place, tell)
    except (Failed, OSError) as error:
        raise UserError(
            f"{row.name}: cannot download {archive.urls[0]} ({error}); get {archive.name} (md5 {archive.md5}) "
            f"elsewhere, then ddsweep data fetch {row.name} --from FOLDER"
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
    unpacked = f", nor a folder with {archive.sign} in it" if archive.sign else ""
    raise UserError(f"{row.name}: no {archive.name} in {str(source)!r}{unpacked}")


def _candidates(archive: Archive, folder: Path, depth: int) -> Iterator[Path]:
    """The file, or its unpacked folder, in ``folder`` and the folders below it, nearest first."""
    if archive.sign and (folder / archive.sign).exists():
        yield folder
    if (folder / archive.name).is_file():
        yield folder / archive.name
    if depth and folder.is_dir():
        for below in sorted(path for path in folder.iterdir() if path.is_dir()):
            yield from _candidates(archive, below, depth - 1)

"""Prepare datasets, and tell which images they have, without importing torch for those that are decoded already."""

from __future__ import annotations

import logging
from pathlib import Path

from ddsweep.data import fingerprints, headers, paths
from ddsweep.registry.datasets import DatasetInfo, at_size, info
from ddsweep.registry.image_folders import notes

log = logging.getLogger(__name__)
_said: set[str] = set()  # notes on image folders, each of which a process gives once


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
    path = paths.decoded(one)
    say_notes(one)
    if not (path.is_file() and headers.is_intact(path, fingerprints.of(one))):
        from ddsweep.data import store

        store.stored(one)
    return path


def checksum(spec: str, size: int | None = None) -> str:
    """Return the checksum of a dataset's images, decoding them first if the cache does not have them.

    Raises:
        UserError: as ``load``.
    """
    if known := known_checksum(spec, size):
        return known
    from ddsweep.data import store

    return store.stored(row(spec, size)).checksum


def known_checksum(spec: str, size: int | None = None) -> str | None:
    """Return the checksum of a dataset's images as they are now; None if these have not been decoded yet.

    Raises:
        UserError: unknown dataset, or a folder that is not a valid image folder.
    """
    one = row(spec, size)
    return headers.checksum(paths.decoded(one), fingerprints.of(one))


def say_notes(one: DatasetInfo) -> None:
    """Warn of the files of an image folder that are passed over, and of what else the user should know about it."""
    for note in notes(one.name):
        if note not in _said:
            _said.add(note)
            log.warning(note)

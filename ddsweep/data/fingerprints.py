"""Fingerprints of datasets: hashes of everything that determines their decoded images. No torch is needed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from ddsweep.data.bias import sources
from ddsweep.errors import UserError
from ddsweep.registry.datasets import TABLE, DatasetInfo
from ddsweep.registry.image_folders import FOLDER_PREFIX, FolderTree, folder_tree

DECODERS = 1  # version of the decoders; increase it when the pixels of one change, so that datasets are decoded again
MADE = 1  # likewise for the biased datasets, which are made from others
FOLDERS = 2  # likewise for image folders, also when the files of a class change
SLOW = 1.0  # seconds that a hash may take without being remembered
PATIENCE = 10  # a slow hash is remembered for this multiple of the time that it took


def of(one: DatasetInfo) -> str:
    """Return a hash of everything that determines the decoded images of a row.

    Raises:
        UserError: as ``of_folder`` and ``sources.authors_file``.
    """
    listing: object = of_folder(one.name) if one.name.startswith(FOLDER_PREFIX) else None
    if one.bias:
        listing = [MADE, *sources.facts(one)] if sources.facts(one) else [MADE, of(sources.base(one.bias))]
    code = TABLE.code(one.name)
    facts = [DECODERS, ascii(one.name), one.size, one.mean, one.std, listing, *([code.pin] if code else [])]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@dataclass(frozen=True)
class _Hash:
    """The fingerprint of a folder, when it was computed, and how long that took (both in seconds)."""

    value: str
    when: float
    seconds: float


_hashed: WeakKeyDictionary[FolderTree, _Hash] = WeakKeyDictionary()


def of_folder(spec: str) -> str:
    """Hash of the folder's listing: split, class, name, size, modification time and attribute of every image file.

    A hash that took long, because there are very many files, is not computed again at once.

    Raises:
        UserError: as for ``folder_tree``, or if a file disappears meanwhile or is a broken link.
    """
    tree, began = folder_tree(spec), time.monotonic()
    known = _hashed.get(tree)
    if known and known.seconds > SLOW and began - known.when < PATIENCE * known.seconds:
        return known.value
    digest = hashlib.sha256(f"{FOLDERS}\0".encode())
    for part in (tree.train, tree.test or {}):
        for path in (path for paths in part.values() for path in paths):
            try:
                stat = os.stat(path)
            except OSError as error:
                raise UserError(f"imagefolder: cannot read {path!r}: {error.strerror or error}") from error
            digest.update(os.fsencode(path) + f"\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        digest.update(b"\0")
    if tree.attributes is not None:  # nothing is added for a folder without them, whose cache stays valid
        digest.update(ascii(sorted(tree.attributes.items())).encode())
    now = time.monotonic()
    _hashed[tree] = _Hash(digest.hexdigest(), now, now - began)
    return digest.hexdigest()

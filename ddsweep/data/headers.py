"""What a file of decoded images says about itself, and whether it is intact, without importing torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ddsweep import tensor_files
from ddsweep.tensor_files import Header

TENSORS = ("images", "labels", "test_images", "test_labels")
ATTRIBUTES = ("attributes", "test_attributes")  # of biased datasets only: other files do not have them


def checksum(path: Path, fingerprint: str) -> str | None:
    """Return the checksum that a file states; None if it is damaged, missing, or was decoded from other files.

    Only the header is read: ``is_intact`` verifies the content.
    """
    header = tensor_files.read_header(path)
    return header.facts.get("checksum") if header and header.facts.get("fingerprint") == fingerprint else None


def is_intact(path: Path, fingerprint: str) -> bool:
    """Return whether a file was decoded from these files and has the content that its checksum states.

    False also if this cannot be told here, for example because a tensor has another type.
    """
    header = tensor_files.read_header(path)
    if header is None or header.facts.get("fingerprint") != fingerprint:
        return False
    try:
        return _checksum(path, header) == header.facts["checksum"]
    except (OSError, ValueError, KeyError):
        return False


def _checksum(path: Path, header: Header) -> str:
    """The checksum of the content, as ``cache`` computes it.

    Raises:
        OSError, ValueError, KeyError: the file cannot be read, or is not one of decoded images.
    """
    described = [json.loads(header.facts[name]) for name in ("classes", "mean", "std")]
    if "origin" not in header.facts:
        raise KeyError("origin")
    digest = hashlib.sha256(json.dumps(described).encode())
    there = [*TENSORS, *(name for name in ATTRIBUTES if name in header.tensors)]
    for one in tensor_files.tensors(path, header, there):
        digest.update(f"{one.name} {one.dtype} {tuple(one.shape)} ".encode())
        digest.update(one.data)
    return digest.hexdigest()

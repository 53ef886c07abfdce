"""Read what a file of decoded images says about itself, and verify it, without importing torch.

Commands ask whether a dataset is decoded and unchanged much more often than they need its images.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TENSORS = ("images", "labels", "test_images", "test_labels")
ATTRIBUTES = ("attributes", "test_attributes")  # of biased datasets only: other files do not have them
DTYPES = {"U8": ("torch.uint8", 1), "I64": ("torch.int64", 8)}  # safetensors' names, torch's names, bytes
LARGEST = 100 << 20  # bytes of a header, as in safetensors


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file.

    Attributes:
        facts: its metadata.
        tensors: dtype, shape and offsets of each tensor.
        start: where the data begin.
    """

    facts: dict[str, str]
    tensors: dict[str, dict[str, Any]]
    start: int


def read(path: Path) -> Header | None:
    """Read the header of a safetensors file; None if there is no such file, or it is none."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= LARGEST:
                return None
            found = json.loads(file.read(length))
    except (OSError, ValueError):
        return None
    facts = found.pop("__metadata__", {}) if isinstance(found, dict) else None
    return Header(facts, found, 8 + length) if isinstance(facts, dict) else None


def checksum(path: Path, fingerprint: str) -> str | None:
    """Return the checksum that a file states; None if it is damaged, missing, or was decoded from other files.

    Only the header is read: ``is_intact`` verifies the content.
    """
    header = read(path)
    return header.facts.get("checksum") if header and header.facts.get("fingerprint") == fingerprint else None


def is_intact(path: Path, fingerprint: str) -> bool:
    """Return whether a file was decoded from these files and has the content that its checksum states.

    False also if this cannot be told here, for example because a tensor has another type.
    """
    header = read(path)
    if header is None or header.facts.get("fingerprint") != fingerprint:
        return False
    try:
        return _checksum(path, header) == header.facts["checksum"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _checksum(path: Path, header: Header) -> str:
    """The checksum of the content, as ``cache`` computes it.

    Raises:
        OSError, ValueError, KeyError, TypeError: the file cannot be read, or is not one of decoded images.
    """
    if "origin" not in header.facts:
        raise KeyError("origin")
    described = [json.loads(header.facts[name]) for name in ("classes", "mean", "std")]
    digest = hashlib.sha256(json.dumps(described).encode())
    there = [*TENSORS, *(name for name in ATTRIBUTES if name in header.tensors)]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for name in there:
            entry = header.tensors[name]
            dtype, size = DTYPES[entry["dtype"]]
            first, last = entry["data_offsets"]
            if last - first != size * math.prod(entry["shape"]) or header.start + last > len(content):
                raise ValueError(f"{name}: its shape does not fit its data")
            digest.update(f"{name} {dtype} {tuple(entry['shape'])} ".encode())
            with memoryview(content) as view, view[header.start + first : header.start + last] as data:
                digest.update(data)
    return digest.hexdigest()

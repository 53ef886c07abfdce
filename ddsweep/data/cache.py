"""Decoded datasets as safetensors files: written once, and verified whenever they are read.

A file holds the tensors of ``Raw`` and metadata. Its *checksum* shows whether it is intact; its *fingerprint*
identifies the files it was decoded from, and so shows whether it is up to date.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ddsweep import files
from ddsweep.data.headers import ATTRIBUTES, TENSORS
from ddsweep.data.raw import Raw
from ddsweep.errors import UserError


class Damaged(Exception):
    """A cache file that is damaged; the message is the reason."""


@dataclass(frozen=True)
class Header:
    """The metadata of decoded images.

    Attributes:
        mean: per-channel mean that normalizes them, in units of [0, 1].
        std: per-channel standard deviation, likewise.
        fingerprint: hash of everything they were decoded from.
        origin: displayed source of the images.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    origin: str


@dataclass(frozen=True, eq=False)
class Stored:
    """The content of a cache file.

    Attributes:
        raw: the images.
        header: their metadata.
        checksum: SHA-256, in hexadecimal, of classes, mean, std and the tensors.
    """

    raw: Raw
    header: Header
    checksum: str


def write(path: Path, raw: Raw, header: Header) -> Stored:
    """Write the file atomically.

    Raises:
        UserError: it cannot be written, for example because the disk is full.
    """
    tensors = _tensors(raw)
    checksum = _checksum(raw, header)
    facts = {
        "classes": json.dumps(raw.classes),
        "mean": json.dumps(header.mean),
        "std": json.dumps(header.std),
        "fingerprint": header.fingerprint,
        "origin": header.origin,
        "checksum": checksum,
    }
    files.write_tensors(path, tensors, facts)
    return Stored(raw, header, checksum)


def read(path: Path, fingerprint: str) -> Stored | None:
    """Return the verified content of the file; None if it does not exist or was decoded from other files.

    Raises:
        Damaged: the file is truncated, is not a safetensors file, or does not match its checksum.
        UserError: the file cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            if facts["fingerprint"] != fingerprint:
                return None
            there = (*TENSORS, *(name for name in ATTRIBUTES if name in file.keys()))  # noqa: SIM118
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in there}
        raw = Raw(classes=tuple(json.loads(facts["classes"])), **tensors)
        mean, std = (tuple(json.loads(facts[name])) for name in ("mean", "std"))
        header = Header(mean, std, fingerprint, facts["origin"])
        expected = facts["checksum"]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise Damaged(f"{type(error).__name__}: {error}") from error
    if _checksum(raw, header) != expected:
        raise Damaged("its content does not match its checksum")
    return Stored(raw, header, expected)


def _checksum(raw: Raw, header: Header) -> str:
    digest = hashlib.sha256(json.dumps([raw.classes, header.mean, header.std]).encode())
    for name, values in _tensors(raw).items():
        tensor = values.contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def _tensors(raw: Raw) -> dict[str, Tensor]:
    """The tensors of a dataset, in the order of the checksum."""
    found = {name: getattr(raw, name) for name in (*TENSORS, *ATTRIBUTES)}
    return {name: tensor for name, tensor in found.items() if tensor is not None}

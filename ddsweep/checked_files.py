"""Files with a checksum, which is verified whenever they are read: JSON and safetensors.

A checksum is the SHA-256 of the whole content, metadata included. Files that older versions wrote have none, and are
read as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import files, tensor_files
from ddsweep.errors import Damaged, UserError

if TYPE_CHECKING:
    from torch import Tensor

CHECKSUM = "checksum"  # the key of the checksum in a JSON object, and in the metadata of a safetensors file
MISMATCH = "its content does not match its checksum"
_intact: dict[Path, tuple[int, int, int]] = {}  # the files that this process has verified, each as it was then


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum, atomically.

    Raises:
        UserError: the file cannot be written.
    """
    files.write_json(path, with_checksum(value))


def with_checksum(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum as the last value."""
    return {**value, CHECKSUM: _of_json(value)}


def read_json(path: Path) -> dict[str, Any]:
    """Read the object that ``write_json`` wrote, without its checksum.

    Raises:
        Damaged: it is not a JSON object, or does not match its checksum.
        UserError: the file cannot be read.
    """
    try:
        return parse_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise Damaged(f"{path} is damaged: {error}") from None


def parse_json(content: bytes) -> dict[str, Any]:
    """Return the object in the content of a file, without its checksum. Raises ValueError: it is damaged."""
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    expected = value.pop(CHECKSUM, None)
    if expected is not None and _of_json(value) != expected:
        raise ValueError(MISMATCH)
    return value


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata as safetensors with their checksum, atomically.

    Raises:
        UserError: the file cannot be written, for example because the disk is full.
    """
    files.write_tensors(path, tensors, {**metadata, CHECKSUM: of_tensors(tensors, metadata)})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors, on the CPU, and the metadata of a safetensors file, without its checksum.

    Raises:
        Damaged: it is not a safetensors file, or does not match its checksum.
        UserError: the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise Damaged(f"{path} is damaged: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    expected = metadata.pop(CHECKSUM, None)
    if expected is not None and of_tensors(tensors, metadata) != expected:
        raise Damaged(f"{path} is damaged: {MISMATCH}")
    return tensors, metadata


def verify_tensors(path: Path) -> None:
    """Check a safetensors file, once per process as long as it does not change.

    Raises:
        Damaged, UserError: as ``read_tensors``.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if _intact.get(path) != seen:
        checksum_of(path)
        _intact[path] = seen


def checksum_of(path: Path) -> str:
    """Return the checksum of the content of a safetensors file (``of_tensors``), usually without importing torch.

    Raises:
        Damaged, UserError: as ``read_tensors``.
    """
    header = tensor_files.read_header(path)
    if header is not None:
        metadata = {name: value for name, value in header.facts.items() if name != CHECKSUM}
        digest = hashlib.sha256(_of_json(metadata).encode())
        try:
            for one in tensor_files.tensors(path, header, sorted(header.tensors)):
                digest.update(f"{one.name} {one.dtype} {list(one.shape)}\n".encode())
                digest.update(one.data)
        except (OSError, ValueError):
            header = None
    if header is not None and digest.hexdigest() == header.facts.get(CHECKSUM, digest.hexdigest()):
        return digest.hexdigest()
    return of_tensors(*read_tensors(path))  # raises the error, or knows the type


def _of_json(value: Mapping[str, Any]) -> str:
    """SHA-256 of the object in a canonical form, which does not depend on spaces and the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def of_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of the metadata, and of name, type, shape and values of every tensor.

    Unlike that of the file, it is the same each time: safetensors writes metadata in an order that varies.
    """
    from torch import uint8

    digest = hashlib.sha256(_of_json(metadata).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.flatten().view(uint8).numpy().data)
    return digest.hexdigest()

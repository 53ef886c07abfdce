"""Open files of other projects without executing code in them."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddsweep import device, files
from ddsweep.data import torch_files
from ddsweep.errors import UserError
from ddsweep.exchange import integrity
from ddsweep.exchange.image_set import MARK, Facts, parse

NOTE = "ddsweep.json"  # the JSON description of a set, in its folder
SHARE = 2  # a file may fill 1 / SHARE of the memory, because conversion copies it


@dataclass(frozen=True)
class Source:
    """A file or folder that was opened.

    Attributes:
        path: path of the file or folder.
        content: the saved object of a torch file, the arrays of an npz file by name, or None for any other.
        facts: the facts in ddsweep's JSON file beside it; None without such a file.
        experiment: Python index of the requested set in a file with several.
    """

    path: Path
    content: Any
    facts: Facts | None
    experiment: int = -1


def opened(path: Path, experiment: int = -1) -> Source:
    """Read a file and its JSON description; of a folder, read only the description.

    Raises:
        UserError: the path does not exist, or the file is too large for the memory, damaged, or has code to execute.
    """
    if not path.exists():
        raise UserError(f"{path}: file or folder not found")
    return Source(path, None if path.is_dir() else content(path), note(path), experiment)


def content(path: Path) -> Any:
    """Return the content of a file, read according to its suffix. Raises UserError as ``opened`` does."""
    try:
        check_weight(_weight(path), path)
        if path.suffix in (".pt", ".pth"):
            return torch_files.read(path, _NUMBERS)
        return _arrays(path) if path.suffix == ".npz" else None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def check_weight(weight: int, path: Path) -> None:
    """Raise UserError if ``weight`` bytes are too many for the memory of this machine."""
    if weight > device.memory() // SHARE:
        allowed = f"{device.memory() / SHARE / 2**30:.1f} GiB"
        raise UserError(f"{path}: has {weight / 2**30:.1f} GiB; with the memory of this machine, at most {allowed}")


def note(path: Path) -> Facts | None:
    """Return the facts in ddsweep's JSON file beside ``path`` (or in the folder), if that file describes ``path``.

    Raises:
        UserError: the JSON file or a file of the set does not match its checksum (``integrity.verify``).
    """
    places = [path / NOTE] if path.is_dir() else [path.with_suffix(".json"), path.parent / NOTE]
    for place in (place for place in places if place.is_file()):
        record = files.read_json(place)
        about = "." if path.is_dir() else path.name
        if isinstance(record, dict) and record.get(MARK) and record.get("file") == about:
            integrity.verify(record, place)
            return parse(record, place)
    return None


def _weight(path: Path) -> int:
    """Return the size in bytes; of zip files, which include torch files, the unpacked size in their directory."""
    if path.suffix != ".safetensors" and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as file:
                return sum(one.file_size for one in file.infolist())
        except zipfile.BadZipFile as error:
            raise UserError(f"{path}: is damaged ({error})") from None
    return path.stat().st_size


class _Dtype:
    """A stand-in for the ``numpy.dtype`` of a pickled number."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        self.code = {">": ">"}.get(state[1], "<") + self.code


def _scalar(dtype: _Dtype, content: bytes | str) -> float:
    """Return a number pickled by NumPy, without calling NumPy's own unpickling code on untrusted content."""
    kind = {"f8": "d", "f4": "f", "i8": "q", "i4": "i"}[dtype.code[-2:]]
    order = dtype.code[0] if dtype.code[0] in "<>" else "<"
    raw = content.encode("latin1") if isinstance(content, str) else content
    return float(struct.unpack(order + kind, raw)[0])


# The accuracies in the dictionaries of DC, DSA and DM are NumPy scalars, which torch rejects although they run no code.
_NUMBERS: list[Any] = [
    (_scalar, "numpy.core.multiarray.scalar"), (_scalar, "numpy._core.multiarray.scalar"), (_Dtype, "numpy.dtype"),
]  # fmt: skip


def _arrays(path: Path) -> dict[str, Tensor | list[str]]:
    """Return arrays of numbers as tensors, and arrays of text, which can name the classes, as lists."""
    try:
        with path.open("rb") as binary, np.load(binary, allow_pickle=False) as file:
            return {name: _array(file[name]) for name in file.files}
    except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = "pickled objects" if "pickle" in str(error) else "values that are not numbers"
        raise UserError(f"{path}: is damaged, or has {reason}; np.savez images and labels as plain arrays") from None


def _array(values: np.ndarray) -> Tensor | list[str]:
    if values.dtype.kind == "U":
        return [str(value) for value in values.flatten()]
    return torch.from_numpy(np.ascontiguousarray(values))

"""Read safetensors files without importing torch: what they say about themselves, and the bytes of their tensors.

Commands ask much more often whether such a file is intact than they need its tensors.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TYPES = {  # safetensors' names → torch's names, bytes
    "BOOL": ("torch.bool", 1),
    "U8": ("torch.uint8", 1),
    "I8": ("torch.int8", 1),
    "I16": ("torch.int16", 2),
    "I32": ("torch.int32", 4),
    "I64": ("torch.int64", 8),
    "F16": ("torch.float16", 2),
    "BF16": ("torch.bfloat16", 2),
    "F32": ("torch.float32", 4),
    "F64": ("torch.float64", 8),
}
LARGEST = 100 << 20  # bytes of a header, as in safetensors


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file.

    Attributes:
        name: its name.
        dtype: its type, ``torch.float32``.
        shape: its shape.
        data: its bytes, in the order of its elements.
    """

    name: str
    dtype: str
    shape: Sequence[int]
    data: memoryview


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


def read_header(path: Path) -> Header | None:
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


def tensors(path: Path, header: Header, names: Sequence[str]) -> Iterator[Tensor]:
    """Read tensors one after the other; the bytes of one are valid until the next.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is torn, or its header is wrong, or one of its types is not known here.
        KeyError: it has no tensor of that name.
    """
    spans = [_span(entry) for entry in header.tensors.values()]
    with path.open("rb") as file:
        size = file.seek(0, 2) - header.start
        ends = [0, *(end for _, end in sorted(spans))]
        if [begin for begin, _ in sorted(spans)] != ends[:-1] or ends[-1] != size:
            raise ValueError("the data are not those that the header describes")
        if size == 0:
            yield from (Tensor(name, *_kind(header.tensors[name]), memoryview(b"")) for name in names)
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
            for name in names:
                begin, end = _span(header.tensors[name])
                with view[header.start + begin : header.start + end] as data:
                    yield Tensor(name, *_kind(header.tensors[name]), data)


def _span(entry: Any) -> tuple[int, int]:
    """Where the bytes of a tensor begin and end; checks that they are as many as its shape needs."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if end - begin == TYPES[dtype][1] * math.prod(shape):
            return begin, end
    except (KeyError, TypeError) as error:
        raise ValueError(f"the header has an entry that is not known here: {error}") from None
    raise ValueError("the shape of a tensor does not fit its data")


def _kind(entry: dict[str, Any]) -> tuple[str, Sequence[int]]:
    return TYPES[entry["dtype"]][0], entry["shape"]

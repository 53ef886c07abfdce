"""Whether a file of decoded images is intact, without torch: the answer is that of the reader with torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ddsweep import data, files, tensor_files
from ddsweep.data import cache, decoded, fingerprints, headers, paths
from ddsweep.data.raw import Raw
from tests.data.test_cache import HEADER, example


def whole(path: Path) -> bool:
    """What the reader with torch says."""
    try:
        return cache.read(path, "what") is not None
    except cache.Damaged:
        return False


def with_attributes() -> Raw:
    raw = example()
    return replace(raw, attributes=torch.tensor([0, 1, 0, 1, 1, 1]), test_attributes=torch.tensor([1, 0]))


@pytest.mark.parametrize("raw", [example(), example(1), with_attributes()])
def test_a_file_as_it_was_written(raw: Raw, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    written = cache.write(path, raw, HEADER)
    assert headers.is_intact(path, "what")
    assert headers.checksum(path, "what") == written.checksum
    assert not headers.is_intact(path, "something else")
    assert headers.checksum(path, "something else") is None


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    """One byte after another; the two readers must agree on each."""
    path = tmp_path / "a.safetensors"
    cache.write(path, example(), HEADER)
    content, differ = path.read_bytes(), []
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ 0x20]) + content[index + 1 :])
        if headers.is_intact(path, "what") and not whole(path):
            differ.append(index)
    assert differ == []


@pytest.mark.parametrize("length", [0, 7, 8, 9, 200, -1, -8])
def test_a_torn_file(length: int, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    cache.write(path, example(), HEADER)
    path.write_bytes(path.read_bytes()[:length])
    assert not headers.is_intact(path, "what")


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, (2).to_bytes(8, "little") + b"[]", (4).to_bytes(8, "little") + b"null"]
)
def test_files_of_something_else(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    assert (tensor_files.read_header(path), headers.is_intact(path, "what")) == (None, False)
    path.write_bytes(content)
    assert (tensor_files.read_header(path), headers.is_intact(path, "what")) == (None, False)


def test_a_type_that_is_not_known_here_is_left_to_torch(tmp_path: Path) -> None:
    path, raw = tmp_path / "a.safetensors", example()
    cache.write(path, replace(raw, labels=raw.labels.to(torch.uint16)), HEADER)
    assert not headers.is_intact(path, "what")
    assert cache.read(path, "what") is not None


def test_a_dataset_that_was_prepared_is_prepared_again_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.prepare("digits")
    row = decoded.row("digits", None)
    assert headers.is_intact(paths.decoded(row), fingerprints.of(row))
    code = (
        "import sys; from ddsweep import data; "
        "print(data.prepare('digits'), data.checksum('digits'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(first), data.checksum("digits"), "False"]


def test_a_damaged_dataset_is_decoded_again() -> None:
    path, row = data.prepare("digits"), decoded.row("digits", None)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not headers.is_intact(path, fingerprints.of(row))
    assert data.prepare("digits") == path
    assert headers.is_intact(path, fingerprints.of(row))


def test_the_header_is_that_of_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    files.write_tensors(path, {"x": torch.zeros(2, 3, dtype=torch.uint8)}, {"fingerprint": "what", "checksum": "1"})
    header = tensor_files.read_header(path)
    assert header is not None
    assert header.facts == {"fingerprint": "what", "checksum": "1"}
    assert header.tensors == {"x": {"dtype": "U8", "shape": [2, 3], "data_offsets": [0, 6]}}
    assert json.loads(path.read_bytes()[8 : header.start])["x"] == header.tensors["x"]
    assert not headers.is_intact(path, "what"), "it has no images"

"""The checksum of a safetensors file without torch is the one with torch, and the same files are damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddsweep import checked_files, tensor_files
from ddsweep.errors import Damaged, UserError

TYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
]  # fmt: skip


def some(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    return {
        "β": torch.arange(6).reshape(2, 3).to(dtype),
        "a": torch.tensor(1.5).to(dtype),
        "none": torch.zeros(0, 4, dtype=dtype),
    }


def outcome(path: Path, read: object) -> str:
    try:
        return str(checked_files.checksum_of(path)) if read is None else str(checked_files.of_tensors(*read(path)))  # type: ignore[operator]
    except (Damaged, UserError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_every_type(dtype: torch.dtype, tmp_path: Path) -> None:
    path, tensors = tmp_path / "a.safetensors", some(dtype)
    checked_files.write_tensors(path, tensors, {"key": "α", "other": ""})
    assert checked_files.checksum_of(path) == checked_files.of_tensors(tensors, {"key": "α", "other": ""})


def test_the_table_of_types_is_that_of_torch() -> None:
    assert {name for name, _ in tensor_files.TYPES.values()} == {str(dtype) for dtype in TYPES}
    for dtype in TYPES:
        assert dict(tensor_files.TYPES.values())[str(dtype)] == dtype.itemsize


def test_a_type_that_only_torch_knows(tmp_path: Path) -> None:
    path, tensors = tmp_path / "a.safetensors", {"x": torch.tensor([1 + 2j])}
    checked_files.write_tensors(path, tensors, {})
    assert checked_files.checksum_of(path) == checked_files.of_tensors(tensors, {})


def test_a_file_without_a_tensor_and_one_without_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checked_files.write_tensors(path, {}, {"key": "1"})
    assert checked_files.checksum_of(path) == checked_files.of_tensors({}, {"key": "1"})
    checked_files.files.write_tensors(path, some(), {"key": "1"})
    assert checked_files.checksum_of(path) == checked_files.of_tensors(some(), {"key": "1"})


def test_the_same_files_are_damaged(tmp_path: Path) -> None:
    """Every byte in turn is changed: what the two ways say, line for line, is the same."""
    path = tmp_path / "a.safetensors"
    checked_files.write_tensors(path, {"a": torch.arange(3)}, {"key": "1"})
    content, told = path.read_bytes(), set()
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ 0x41]) + content[index + 1 :])
        without, with_torch = outcome(path, None), outcome(path, checked_files.read_tensors)
        assert without == with_torch, index
        told.add(without.partition(":")[0])
    assert "Damaged" in told


@pytest.mark.parametrize("cut", [0, 8, 40, -1, "more"])
def test_torn_files_and_longer_ones(cut: int | str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checked_files.write_tensors(path, some(), {"key": "1"})
    content = path.read_bytes()
    path.write_bytes(content[:cut] if isinstance(cut, int) else content + b"\0")
    with pytest.raises(Damaged, match=f"{path} is damaged: "):
        checked_files.checksum_of(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        checked_files.checksum_of(tmp_path / "a.safetensors")


def test_torch_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checked_files.write_tensors(path, some(), {})
    code = (
        "import sys; from pathlib import Path; from ddsweep import checked_files; "
        f"print(checked_files.checksum_of(Path({str(path)!r})), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [checked_files.of_tensors(some(), {}), "False"]

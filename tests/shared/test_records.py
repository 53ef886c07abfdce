"""Sets of shared records: what is read has the bits that were computed, whatever happens to the files."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddsweep.shared import sets
from ddsweep.shared.budget import Budget
from ddsweep.shared.records import Records
from ddsweep.shared.sharing import Sharing

CPU = torch.device("cpu")
PLENTY = Budget(size=10**9)


def sharing(tmp_path: Path, budget: Budget = PLENTY, facts: dict[str, int] | None = None) -> Sharing:
    return Sharing({"seed": 0, **(facts or {})}, CPU, budget, folder=tmp_path / "shared")


def values(key: int) -> Tensor:
    return torch.rand(3, 5, generator=torch.Generator().manual_seed(key))


class Counted:
    """Computes the tensor of a number, and counts how often; slow enough to be worth reading."""

    def __init__(self, of: Callable[[int], Tensor] = values) -> None:
        self.of, self.calls = of, 0

    def get(self, records: Records, key: int) -> Tensor:
        def compute() -> Tensor:
            self.calls += 1
            return self.of(key)

        return records.get(str(key).encode(), compute)


@pytest.fixture(autouse=True)
def never_too_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tensors here take less time to compute than to read."""
    monkeypatch.setattr("ddsweep.shared.records.PROBES", 10**9)


def file_of(tmp_path: Path) -> Path:
    (found,) = tmp_path.glob("shared/means-*/records.bin")
    return found


def fill(tmp_path: Path, keys: range = range(4)) -> None:
    writer, counted = sharing(tmp_path), Counted()
    records = writer.records("means")
    for key in keys:
        torch.testing.assert_close(counted.get(records, key), values(key), rtol=0, atol=0)
    assert counted.calls == len(keys)
    writer.close()


def assert_computed(tmp_path: Path, keys: range, expected: int) -> None:
    """Every tensor has its bits, and so many of them had to be computed."""
    reader, counted = sharing(tmp_path), Counted()
    records = reader.records("means")
    for key in keys:
        assert torch.equal(counted.get(records, key), values(key))
    reader.close()
    assert counted.calls == expected
    assert reader.counts() == {"means": {"read": len(keys) - expected, "computed": expected}}


def test_what_one_cell_has_computed_others_read_in_any_order(tmp_path):
    fill(tmp_path)
    assert_computed(tmp_path, range(4), 0)
    assert_computed(tmp_path, range(3, -1, -1), 0)
    assert_computed(tmp_path, range(2, 9), 5)
    assert_computed(tmp_path, range(9), 0)


def test_each_fact_has_records_of_its_own(tmp_path):
    fill(tmp_path)
    for other in ({"seed": 1}, {"threads": 2}):
        counted = Counted()
        one = sharing(tmp_path, facts=other)
        counted.get(one.records("means"), 0)
        counted.get(one.records("means", batch_real=7), 0)
        one.close()
        assert counted.calls == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 3)])
def test_every_dtype_and_shape(tmp_path, dtype, shape):
    def made(key: int) -> Tensor:
        return torch.rand(shape, generator=torch.Generator().manual_seed(key)).mul(9).to(dtype)

    for calls in (2, 0):
        counted, one = Counted(made), sharing(tmp_path)
        records = one.records("means")
        found = [counted.get(records, key) for key in range(2)]
        one.close()
        assert [value.dtype for value in found] == [dtype] * 2
        assert all(torch.equal(value, made(key)) for key, value in enumerate(found))
        assert counted.calls == calls


def test_a_tensor_of_another_shape_is_computed_and_not_kept(tmp_path):
    fill(tmp_path)
    for _ in range(2):
        counted, one = Counted(lambda key: torch.full((key,), 1.0)), sharing(tmp_path)
        assert len(counted.get(one.records("means"), 9)) == 9
        one.close()
        assert counted.calls == 1
    assert_computed(tmp_path, range(4), 0)


def test_changing_a_tensor_does_not_change_the_record(tmp_path):
    one = sharing(tmp_path)
    records = one.records("means")
    for _ in range(3):
        Counted().get(records, 1).zero_()
    assert torch.equal(Counted().get(records, 1), values(1))
    one.close()


@pytest.mark.parametrize("at", [0, 8, 20, 44, 56, 70, 100, 127])
def test_a_damaged_byte_is_never_used(tmp_path, at):
    """Of each record: magic, key, seconds, length, checksum, payload; and the filling, which has no meaning."""
    fill(tmp_path)
    path = file_of(tmp_path)
    content = bytearray(path.read_bytes())
    size = len(content) // 4
    content[size + at] ^= 0x10
    path.write_bytes(content)
    filling = at >= 56 + 4 * 15
    assert_computed(tmp_path, range(4), 0 if filling else 1)
    assert_computed(tmp_path, range(4), 0)  # the record was written again


@pytest.mark.parametrize("left", [0, 1, 127, 128, 200, 500])
def test_a_torn_file_keeps_its_whole_records(tmp_path, left):
    fill(tmp_path)
    with file_of(tmp_path).open("r+b") as file:
        file.truncate(left)
    assert_computed(tmp_path, range(4), 4 - left // 128)
    assert_computed(tmp_path, range(4), 0)


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    fill(tmp_path)
    one, counted = sharing(tmp_path), Counted()
    records = one.records("means")
    assert torch.equal(counted.get(records, 3), values(3))
    file_of(tmp_path).write_bytes(b"")
    assert all(torch.equal(counted.get(records, key), values(key)) for key in range(4))
    assert counted.calls == 4
    one.close()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"shape": "x"}', '{"shape": [3, 5], "dtype": "nn"}'])
def test_a_damaged_description_is_written_again(tmp_path, content):
    fill(tmp_path)
    file_of(tmp_path).with_name("about.json").write_text(content)
    assert_computed(tmp_path, range(1), 1)
    assert_computed(tmp_path, range(4), 0)


@pytest.mark.parametrize(
    ("old", "new"), [('"float32"', '"int32"'), ("3,", "-3,"), ("3,", "15,"), ("5", '"x"'), ("5", "null")]
)
def test_a_description_that_does_not_match_its_checksum_is_written_again(tmp_path, old, new):
    """The type and the shape are not in the checksums of the records: as integers, all records would seem intact."""
    fill(tmp_path)
    path = file_of(tmp_path).with_name("about.json")
    text = path.read_text()
    at = text.index("dtype" if "float32" in old else "shape")
    path.write_text(text[:at] + text[at:].replace(old, new, 1))
    assert path.read_text() != text
    assert_computed(tmp_path, range(1), 1)
    assert_computed(tmp_path, range(4), 0)
    assert path.read_text() == text


def test_the_description_says_what_the_records_depend_on(tmp_path):
    fill(tmp_path)
    (one,) = sets.listed(tmp_path / "shared")
    assert one.kind == "means"
    assert one.facts() == {"kind": "means", "seed": 0, "shape": [3, 5], "dtype": "float32"}
    assert one.size == 4 * 128


def test_off_keeps_nothing_and_computes_everything(tmp_path):
    one, counted = sharing(tmp_path, Budget()), Counted()
    records = one.records("means")
    for _ in range(2):
        assert torch.equal(counted.get(records, 1), values(1))
    assert counted.calls == 2
    assert not (tmp_path / "shared").exists()


@pytest.mark.parametrize("filled", [True, False])
def test_a_read_only_file_system_is_read_and_not_written(tmp_path, caplog, monkeypatch, filled):
    if filled:
        fill(tmp_path)
    opened = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    with caplog.at_level(logging.WARNING):
        assert_computed(tmp_path, range(6), 2 if filled else 6)
    assert len(caplog.records) == 1
    assert "Read-only file system" in caplog.text


def test_a_full_disk_costs_one_line_and_leaves_no_part(tmp_path, caplog, monkeypatch):
    fill(tmp_path)
    wrote = os.pwritev

    def full(file: int, parts: list[bytes], offset: int) -> int:
        return wrote(file, [bytes(parts[0]), bytes(memoryview(parts[1])[:9])], offset)

    monkeypatch.setattr(os, "pwritev", full)
    with caplog.at_level(logging.WARNING):
        assert_computed(tmp_path, range(8), 4)
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text
    monkeypatch.undo()
    assert file_of(tmp_path).stat().st_size == 4 * 128
    assert_computed(tmp_path, range(4), 0)


def test_an_error_while_computing_is_the_caller_s(tmp_path):
    def fail() -> Tensor:
        raise OSError("of the caller")

    one = sharing(tmp_path)
    records = one.records("means")
    with pytest.raises(OSError, match="of the caller"):
        records.get(b"1", fail)
    assert torch.equal(Counted().get(records, 1), values(1))
    one.close()
    assert_computed(tmp_path, range(1, 2), 0)


def test_reading_that_takes_longer_than_computing_stops(tmp_path, monkeypatch):
    fill(tmp_path, range(12))
    monkeypatch.setattr("ddsweep.shared.records.PROBES", 8)
    one, counted = sharing(tmp_path), Counted()
    records = one.records("means")
    for key in range(12):  # computing takes microseconds
        assert torch.equal(counted.get(records, key), values(key))
    assert (records.read, counted.calls) == (8, 4)
    one.close()

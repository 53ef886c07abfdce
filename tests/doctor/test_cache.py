"""The cache: sizes, damaged weights, locks of suspended processes, leftovers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ddsweep import files
from ddsweep.doctor import Place, State, cache
from ddsweep.doctor.cache import Cache, Holder
from ddsweep.housekeeping import Kind


@pytest.fixture
def place(isolated: Path) -> Place:
    return Place(isolated / "runs", "", files.cache_dir())


def weights(place: Place, epoch: int = 1, folder: str = "digits/convnet3/seed0-abc") -> Path:
    path = place.cache / "pool" / folder / f"epoch{epoch:04d}.safetensors"
    files.write_tensors(path, {"w": torch.zeros(10), "b": torch.zeros(3)}, {})
    return path


def test_an_empty_cache(place: Place) -> None:
    found = cache.inspect(place)
    assert cache.sizes(found)[0].message == f"empty, {place.cache}"
    assert cache.ptms(found) == cache.locks(found) == cache.leftovers(found) == []


def test_sizes() -> None:
    disk = {Kind.DATASET: 614_000_000, Kind.PTM: 1_200_000_000, Kind.USED: 7}
    found = Cache(Path("/c"), disk, {Kind.DATASET: 1, Kind.PTM: 12, Kind.USED: 1})
    assert cache.sizes(found)[0].message == "12 PTMs 1.2 GB, 1 dataset 614 MB, /c"


def test_whole_and_damaged_weights(place: Place) -> None:
    whole = weights(place, 1)
    cut, grown, header, empty = (weights(place, epoch) for epoch in (2, 3, 4, 5))
    os.truncate(cut, cut.stat().st_size - 1)
    grown.write_bytes(grown.read_bytes() + b"x")
    header.write_bytes(b"\xff" * 100)
    empty.write_bytes(b"")
    assert cache.is_whole(whole)
    assert cache.inspect(place).damaged == (cut, grown, header, empty)
    (found,) = cache.ptms(cache.inspect(place))
    assert found.state is State.WARNING
    assert f"{cut} (and 3 more)" in found.message


def test_the_fix_for_published_weights_downloads_them_again(place: Place) -> None:
    path = weights(place, 0, "internet/clip-rn50/published")
    path.write_bytes(b"")
    (found,) = cache.ptms(cache.inspect(place))
    assert found.fix == f"rm {path}; then ddsweep pretrain internet"


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux lists the holders of locks")
def test_a_lock_of_a_suspended_process(place: Place) -> None:
    path = weights(place).with_name(".lock")
    code = (
        f"from ddsweep import files; from pathlib import Path\nwith files.lock(Path({str(path)!r})): print(); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin and holder.stdout
    try:
        holder.stdout.readline()
        assert cache.holders([path]) == [Holder(path, holder.pid, False)]
        assert cache.locks(cache.inspect(place)) == []
        holder.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, holder.pid, os.WSTOPPED)
        (found,) = cache.locks(cache.inspect(place))
        assert (found.state, found.fix) == (State.WARNING, f"kill -CONT {holder.pid}")
        holder.send_signal(signal.SIGCONT)
    finally:
        holder.kill()
        holder.communicate()
    assert cache.holders([path]) == []


def test_leftovers_of_killed_writers(place: Place) -> None:
    left = weights(place).with_name(".epoch0002.safetensors.0123abcd.tmp.safetensors")
    left.write_bytes(bytes(5000))
    assert cache.leftovers(cache.inspect(place)) == []  # somebody may be writing it
    os.utime(left, (0, 0))
    (found,) = cache.leftovers(cache.inspect(place))
    assert (found.state, found.fix) == (State.WARNING, "ddsweep clean temporaries")
    assert "1 unused temporary or set-aside file, 5 kB" in found.message

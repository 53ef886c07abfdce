"""Free disk space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ddsweep.doctor import Place, State, disk
from ddsweep.doctor.disk import Disk

DISK = Disk("runs", Path("/x/runs"), Path("/"), True, True, int(60e9), int(200e9), 1000)


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({}, State.OK, "60 GB of 200 GB free, /x/runs (does not exist yet)"),
        ({"free": int(2e9)}, State.WARNING, "2 GB of 200 GB free"),
        ({"free": int(1e8)}, State.ERROR, "agents pause until there is more disk space"),
        ({"free_files": 0}, State.ERROR, "has no free inodes"),
        ({"writable": False}, State.ERROR, "/ is not writable"),
        ({"is_folder": False}, State.ERROR, "/ is a file"),
        ({"free": int(3e7), "total": int(6e7)}, State.OK, "30 MB of 60 MB free"),
    ],
)
def test_judged(change: dict[str, object], state: State, words: str) -> None:
    (found,) = disk.judge([replace(DISK, **change)])  # type: ignore[arg-type]
    assert (found.state, bool(found.fix)) == (state, state is not State.OK)
    assert words in found.message


def test_a_folder_that_does_not_exist_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    runs, cache = disk.inspect(Place(tmp_path / "a" / "b", "", tmp_path / "file" / "cache"))
    assert (runs.existing, runs.is_folder, runs.writable) == (tmp_path, True, True)
    assert runs.total > runs.free > 0
    assert (cache.existing, cache.is_folder) == (tmp_path / "file", False)
    assert not (tmp_path / "a").exists()

"""Room on the disks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ddsweep.doctor import Place, State, disk
from ddsweep.doctor.disk import Room

ROOM = Room("runs", Path("/x/runs"), Path("/"), True, True, int(60e9), int(200e9), 1000)


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({}, State.OK, "60 of 200 GB free, /x/runs (not there yet)"),
        ({"free": int(2e9)}, State.WARNING, "2 of 200 GB free"),
        ({"free": int(1e8)}, State.BROKEN, "agents wait for room"),
        ({"files_left": 0}, State.BROKEN, "takes no further file"),
        ({"writable": False}, State.BROKEN, "/ cannot be written"),
        ({"is_folder": False}, State.BROKEN, "/ is a file"),
        ({"free": int(3e7), "total": int(6e7)}, State.OK, "0.03 of 0.06 GB free"),
    ],
)
def test_judged(change: dict[str, object], state: State, words: str) -> None:
    (found,) = disk.judge([replace(ROOM, **change)])  # type: ignore[arg-type]
    assert (found.state, bool(found.cure)) == (state, state is not State.OK)
    assert words in found.found


def test_a_folder_that_is_not_there_lies_where_it_would_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    runs, cache = disk.look(Place(tmp_path / "a" / "b", "", tmp_path / "file" / "cache"))
    assert (runs.there, runs.is_folder, runs.writable) == (tmp_path, True, True)
    assert runs.total > runs.free > 0
    assert (cache.there, cache.is_folder) == (tmp_path / "file", False)
    assert not (tmp_path / "a").exists()

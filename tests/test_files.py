"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ddsweep import files
from ddsweep.errors import UserError


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "value.json"
    files.write_json(path, {"α": 1})
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert files.read_json(path) == {"α": 1}
    assert [child.name for child in path.parent.iterdir()] == ["value.json"]


def test_a_full_or_forbidden_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"), files.atomic(tmp_path / "file" / "below" / "x"):
        pass
    with pytest.raises(UserError, match=r"cannot write .*No space left"), files.atomic(tmp_path / "x") as temporary:
        temporary.touch()
        raise OSError(28, "No space left on device")


def test_what_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match=r"x\.json"):
        files.read_json(tmp_path / "x.json")


def test_a_lock_excludes_other_processes_and_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = (
        "import sys, time; from pathlib import Path; from ddsweep import files\n"
        f"with files.lock(Path({str(path)!r})): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    from filelock import FileLock, Timeout

    with pytest.raises(Timeout), FileLock(path, timeout=0.1):
        pass
    process.kill()
    process.communicate()
    with files.lock(path):
        pass


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    for name in (".a.json.0a1b2c3d.tmp.json", ".b.json.0a1b2c3d.tmp.json", ".hidden.json", "a.json", "a.tmp"):
        (place / name).write_text("x")
    files.clear_temporaries(place, "b.json")
    assert not (place / ".b.json.0a1b2c3d.tmp.json").exists()
    files.clear_temporaries(place)
    assert sorted(path.name for path in place.iterdir()) == [".hidden.json", "a.json", "a.tmp"]
    files.clear_temporaries(place / "no such folder")


def test_flushing_a_file_that_is_not_there(tmp_path: Path) -> None:
    files.flush(tmp_path / "none")


def test_a_full_disk_is_recognized_through_what_wraps_it() -> None:
    with pytest.raises(UserError) as caught, files.atomic(Path("x.txt")):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    assert files.is_full(caught.value)
    assert not list(Path.cwd().iterdir())
    assert files.is_full(sqlite3.OperationalError("database or disk is full"))
    assert files.is_full(OSError("Error while serializing: No space left on device (os error 28)"))
    for other in (OSError(errno.EACCES, "Permission denied"), UserError("alpha: too full"), ValueError("28")):
        assert not files.is_full(other)


def test_writing_to_the_full_device() -> None:
    with pytest.raises(OSError) as caught, Path("/dev/full").open("w") as file:
        file.write("x")
        file.flush()
    assert files.is_full(caught.value)


def test_free_space_counts_if_it_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(free: int, total: int) -> None:
        monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free, total=total))

    here = Path("not/yet/there")
    for free, total, enough in ((300 << 20, 1 << 40, True), (100 << 20, 1 << 40, False), (10 << 20, 64 << 20, True)):
        usage(free, total)
        assert files.has_free_space(here) is enough
    usage(1 << 40, 1 << 40)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # the effect of a quota: space is free, but not for us
    try:
        assert not files.has_free_space(here)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("folder", ["~nobody-has-this-name", "~nobody-has-this-name/ddsweep"])
def test_a_cache_of_nobody_is_named(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.setenv("DDSWEEP_CACHE", folder)
    with pytest.raises(UserError, match=f"^{folder}: there is no home folder of that name$"):
        files.cache_dir()

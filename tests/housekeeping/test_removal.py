"""Removal while agents start at the same moment."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.housekeeping import Item, Kind, Uses, Work, at_work, remove
from ddsweep.results.result import Result
from ddsweep.shared.budget import Budget
from ddsweep.shared.opened import OpenSet
from ddsweep.shared.sharing import Sharing
from tests.housekeeping.conftest import aged, cached, found, recipe, run


def idle() -> Work:
    return Work()


def test_a_run_is_removed_in_one_step_and_its_lock_is_kept(places: tuple[Path, Path]) -> None:
    runs, _ = places
    folder = run(runs, 1, finished=False)
    (one,) = found(places)
    assert remove(one, runs, idle) == ""
    assert [path.name for path in runs.iterdir()] == [".locks"]
    assert not folder.exists()


def test_a_running_cell_is_kept(places: tuple[Path, Path]) -> None:
    runs, _ = places
    folder = run(runs, 1, finished=False)
    (one,) = found(places)
    with files.lock(runs / ".locks" / f"{folder.name}.lock"):
        assert remove(one, runs, idle) == "an agent is using it"
    assert (folder / "checkpoint" / "distill.safetensors").is_file()


def test_an_agent_that_waits_for_the_lock_finds_nothing_or_all(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives during the removal, and gets the lock only afterwards."""
    runs, _ = places
    folder = run(runs, 1, finished=False)
    (one,) = found(places)
    seen: list[bool] = []

    def agent() -> None:
        with files.lock(runs / ".locks" / f"{folder.name}.lock"):
            seen.append(folder.exists())

    comes, tree = threading.Thread(target=agent), shutil.rmtree

    def slowly(path: Path) -> None:
        comes.start()
        comes.join(0.05)
        assert not seen
        tree(path)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    assert remove(one, runs, idle) == ""
    comes.join()
    assert seen == [False]


def test_an_item_that_has_changed_since_it_was_listed_is_kept(places: tuple[Path, Path]) -> None:
    runs, _ = places
    finished, resumed = run(runs, 1, finished=False), run(runs, 2, finished=False)
    items = {one.path: one for one in found(places)}
    Result(recipe(1), {"convnet3": [0.5]}).write(finished)
    (resumed / "metrics.jsonl").write_text("{}\n")
    assert remove(items[finished], runs, idle) == "it has finished since then"
    assert remove(items[resumed], runs, idle) == "it has been written to since then"
    assert finished.is_dir() and resumed.is_dir()


def test_a_ptm_is_removed_and_its_lock_is_kept(places: tuple[Path, Path]) -> None:
    _, cache = places
    cached(cache)
    (one,) = (one for one in found(places) if one.kind is Kind.PTM)
    assert remove(one, cache, idle) == ""
    assert [path.name for path in one.path.iterdir()] == [".lock"]
    assert not [one for one in found(places) if one.kind is Kind.PTM]


def test_a_cell_that_starts_after_the_survey_keeps_its_ptm(places: tuple[Path, Path]) -> None:
    runs, cache = places
    cached(cache)
    (one,) = (one for one in found(places) if one.kind is Kind.PTM)
    with files.lock(runs / ".locks" / f"{recipe(1).key()}.lock"):
        assert remove(one, cache, lambda: at_work(runs, Uses())) == "a running cell may need it"
    assert (one.path / "epoch0001.safetensors").is_file()


def test_datasets_and_temporaries(places: tuple[Path, Path]) -> None:
    _, cache = places
    cached(cache)
    left = cache / "data" / "digits-16.damaged"
    left.write_bytes(b"x")
    aged(left)
    for one in found(places):
        assert remove(one, cache, idle) == ""
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock" and path.name != ".lock"]


def test_an_item_that_vanished_with_its_folder_counts_as_removed(places: tuple[Path, Path]) -> None:
    runs, _ = places
    assert remove(Item(Kind.LEFTOVER, runs / "x" / ".a.0123abcd.tmp", 1, 0.0), runs, idle) == ""


def test_nothing_outside_is_touched(places: tuple[Path, Path], tmp_path: Path) -> None:
    runs, _ = places
    outside = run(tmp_path / "outside", 1, finished=False)
    inside = run(runs, 1, finished=False)
    (one,) = found(places)
    shutil.rmtree(inside)
    inside.symlink_to(outside)
    assert remove(one, runs, idle) == "it has become a link"
    within = run(runs, 2, finished=False)
    (within / "link").symlink_to(outside)
    aged(within)
    assert remove(next(one for one in found(places) if one.path == within), runs, idle) == ""
    assert (outside / "checkpoint" / "distill.safetensors").is_file()
    foreign = Item(Kind.ORPHAN, outside, 1, 9e9)
    assert remove(foreign, runs, idle) == "it has become a link"


def test_a_refusal_of_the_system_is_a_one_line_error(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, _ = places
    run(runs, 1, finished=False)
    (one,) = found(places)

    def forbidden(path: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "replace", forbidden)
    with pytest.raises(UserError, match=f"cannot remove {one.path}: Permission denied"):
        remove(one, runs, idle)


def test_shared_results_that_a_cell_has_open_are_kept(places: tuple[Path, Path]) -> None:
    """Also if it has opened them after they were listed; their title says what they are."""
    _, cache = places
    facts = {"dataset": "digits", "cell": {"arch": "convnet3", "seed": 3}}

    def sharing() -> Sharing:
        return Sharing(facts, torch.device("cpu"), Budget(1 << 20), folder=cache / "shared")

    first = sharing()
    first.records("dm-means").get(b"key", lambda: torch.zeros(3))
    (one,) = found(places)
    assert (one.kind, one.title, one.held) == (
        Kind.SHARED,
        "dm-means of digits, convnet3, seed 3",
        "a cell is using it",
    )
    first.close()
    (one,) = found(places)
    assert one.held == ""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(_open, (one.path,))
        assert remove(one, cache, idle) == "it has been written to since then"
        (now,) = found(places)
        assert now.held == remove(now, cache, idle) == "a cell is using it"
        assert (one.path / "records.bin").is_file()
    (one,) = found(places)
    assert remove(one, cache, idle) == ""
    assert not one.path.exists()


_opened: list[OpenSet] = []


def _open(path: Path) -> None:
    """Open a set in another process, which keeps it open."""
    stored = OpenSet(path, {}, Budget(1 << 20))
    assert stored.writable
    _opened.append(stored)

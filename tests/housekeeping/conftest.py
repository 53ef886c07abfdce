"""Runs folders and caches for the tests of housekeeping and clean."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ddsweep import files
from ddsweep.housekeeping import Item, Uses, at_work, survey
from ddsweep.recipe import Recipe, make
from ddsweep.results.result import Result

DAYS = 86400.0


def recipe(alpha: float) -> Recipe:
    return make({"target": "digits", "ipc": 1, "method": "dm", "alpha": alpha})


def aged(path: Path, days: float = 2.0) -> Path:
    """Make everything in ``path`` look as old as ``days``."""
    then = time.time() - days * DAYS
    for one in [path, *path.rglob("*")]:
        os.utime(one, (then, then), follow_symlinks=False)
    return path


def run(runs: Path, alpha: float, finished: bool = True) -> Path:
    """A run folder, two days old."""
    one = recipe(alpha)
    folder = runs / one.key()
    files.write_json(folder / "recipe.json", one.model_dump())
    (folder / "metrics.jsonl").write_text("{}\n" * 100)
    if finished:
        Result(one, {"convnet3": [0.5]}).write(folder)
    else:
        (folder / "checkpoint").mkdir()
        (folder / "checkpoint" / "distill.safetensors").write_bytes(bytes(1000))
    return aged(folder)


@pytest.fixture
def places(isolated: Path) -> tuple[Path, Path]:
    return isolated / "runs", files.cache_dir()


def found(places: tuple[Path, Path], uses: Uses | None = None) -> list[Item]:
    uses = uses or Uses()
    return survey(*places, uses, at_work(places[0], uses)).items


def cached(cache: Path) -> None:
    (cache / "data" / "archives" / "cifar10").mkdir(parents=True)
    for name in ("data/digits-16.safetensors", "data/archives/cifar10/cifar.tar.gz.part",
                 "pool/digits/convnet3/seed0-abc/epoch0001.safetensors", "compiled/ab/kernel.so",
                 "trained/0a.safetensors", "checked/0b.json", "shared/dm-means-0c/records.bin"):  # fmt: skip
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(bytes(100))
    aged(cache)

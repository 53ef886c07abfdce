"""List the runs folder and the cache in one pass."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ddsweep import files, text
from ddsweep.errors import UserError
from ddsweep.housekeeping import walk
from ddsweep.housekeeping.in_use import LOCKS, Work
from ddsweep.housekeeping.items import Item, Kind, Uses
from ddsweep.housekeeping.walk import Extent
from ddsweep.pretrained import inventory
from ddsweep.recipe import stored
from ddsweep.shared import sets

KEY = re.compile(r"[0-9a-f]{16}")  # Recipe.key
CHECKPOINT = "checkpoint"  # trial.CHECKPOINT, without importing torch
REPLACED = "replaced"  # results.stored.REPLACED
TRAINED = "trained"  # pretrained.preparation.FOLDER, likewise
CHECKED = "checked"  # plugin_checks.FOLDER
CLIENT = "wandb"  # W&B's client cleans up its own folder
ASIDE = (".damaged", ".foreign", ".other")
FRESH = 900.0  # seconds: three times the interval of checkpoints; for hosts whose locks are not visible here
GRACE = 3600.0  # seconds for which a temporary file is kept even if its lock is free


@dataclass(frozen=True)
class Survey:
    """The contents of the runs folder and the cache.

    Attributes:
        items: what can be removed.
        other: bytes of all other files by folder: databases, figures of sweeps, logs.
        links: links that were not followed.
        strangers: sweeps that have a folder in the runs folder, but are not in the storage.
    """

    items: list[Item]
    other: dict[Path, int]
    links: list[Path]
    strangers: list[str]


def survey(runs: Path, cache: Path, uses: Uses, work: Work) -> Survey:
    """List the runs folder and the cache; neither need exist, and nothing is changed.

    Args:
        runs: the folder of all runs.
        cache: the folder of datasets and PTMs.
        uses: which sweeps use which cells.
        work: what agents are using.
    """
    runs, cache, now = runs.absolute(), cache.absolute(), time.time()
    strangers = sorted({folder.name for folder in walk.folders(runs) if "@" in folder.name} - uses.names)
    items = [
        *_runs(runs, uses, now, certain=not strangers),
        *_replaced(runs / REPLACED),
        *_pool(cache / "pool"),
        *_trained(cache / TRAINED),
        *_shared(cache / "shared"),
        *_data(cache / "data"),
    ]
    for kind, folder in ((Kind.COMPILED, cache / "compiled"), (Kind.CHECKED, cache / CHECKED)):
        if (extent := walk.extent(folder)).files:
            items.append(Item(kind, folder, extent.disk, extent.touched))
    items += _leftovers(runs, cache, now)
    items = [replace(item, held=item.held or work.holds(item)) for item in items]
    within = [*walk.links(runs), *walk.links(cache), *walk.links(cache / "pool"), *walk.links(cache / "data")]
    other = {
        root: max(0, walk.extent(root).disk - sum(item.disk for item in items if item.path.is_relative_to(root)))
        for root in (runs, cache)
    }
    return Survey(items, other, within, strangers)


def _runs(runs: Path, uses: Uses, now: float, certain: bool) -> Iterator[Item]:
    for folder in walk.folders(runs):
        if not KEY.fullmatch(folder.name):
            continue
        inner = sum((walk.extent(path) for path in walk.files(folder) if _is_leftover(path)), Extent())
        extent, launched = walk.extent(folder), uses.sweeps.get(folder.name, ())
        finished = (folder / "result.json").is_file()
        if finished:
            kind = Kind.USED if launched else Kind.FREE
        else:  # an unfinished run may belong to a sweep in another storage, where it would resume: ask first
            kind = Kind.OPEN if launched or not certain else Kind.ORPHAN
        lock = runs / LOCKS / f"{folder.name}.lock"
        held = "" if finished else _held(lock, extent, now)
        title = _title(folder) + (f" ({', '.join(launched)})" if launched else "")
        yield Item(kind, folder, extent.disk - inner.disk, extent.touched, lock, title=title, held=held)


def _replaced(folder: Path) -> Iterator[Item]:
    for path in walk.folders(folder):
        extent = walk.extent(path)
        yield Item(Kind.REPLACED, path, extent.disk, extent.touched, title=f"{_title(path)} ({path.name})")


def _held(lock: Path, extent: Extent, now: float) -> str:
    if files.is_locked(lock):
        return "an agent is running it"
    return f"written to less than {text.duration(FRESH)} ago" if now - extent.touched < FRESH else ""


def _pool(pool: Path) -> Iterator[Item]:
    for folder in (ptm for source in walk.folders(pool) for arch in walk.folders(source) for ptm in walk.folders(arch)):
        inside = [path for path in walk.files(folder) if not _is_leftover(path) and path.name != ".lock"]
        if not inside:  # a removed PTM leaves its lock file
            continue
        extent = sum(map(walk.extent, inside), Extent())
        held = "an agent is training it" if files.is_locked(folder / ".lock") else ""
        yield Item(Kind.PTM, folder, extent.disk, extent.touched, folder / ".lock", ".lock", _ptm(folder, pool), held)


def _trained(folder: Path) -> Iterator[Item]:
    for path in map(Path, walk.entries(folder)):
        if path.suffix == ".safetensors" and path.is_file() and not path.is_symlink() and not _is_leftover(path):
            extent, lock = walk.extent(path), path.with_suffix(".lock")
            held = "an agent is training it" if files.is_locked(lock) else ""
            yield Item(Kind.TRAINED, path, extent.disk, extent.touched, lock, title=path.stem, held=held)


def _shared(folder: Path) -> Iterator[Item]:
    for one in sets.listed(folder):
        extent = walk.extent(one.path)
        held = "a cell is using it" if sets.in_use(one) else ""
        yield Item(Kind.SHARED, one.path, extent.disk, extent.touched, title=one.title, held=held)


def _data(data: Path) -> Iterator[Item]:
    for entry in walk.entries(data):
        path = Path(entry)
        if entry.is_file(follow_symlinks=False) and path.suffix == ".safetensors" and not _is_leftover(path):
            extent, lock = walk.extent(path), path.with_suffix(".lock")
            held = "an agent is decoding it" if files.is_locked(lock) else ""
            yield Item(Kind.DATASET, path, extent.disk, extent.touched, lock, title=path.stem, held=held)
    for folder in walk.folders(data / "archives"):
        lock = folder.with_name(f"{folder.name}.lock")
        for entry in walk.entries(folder):
            extent = walk.extent(path := Path(entry))
            if extent.files and not _is_leftover(path):
                held = "it is being downloaded" if files.is_locked(lock) else ""
                yield Item(Kind.ARCHIVE, path, extent.disk, extent.touched, lock, title=folder.name, held=held)


def _leftovers(runs: Path | None, cache: Path, now: float) -> Iterator[Item]:
    entries = walk.entries(runs) if runs else []
    folders = [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name != CLIENT]
    loose = [Path(entry) for entry in entries if entry.is_file(follow_symlinks=False)]
    inside = [path for folder in (*folders, cache / "pool", cache / "data", cache / TRAINED) for path in _files(folder)]
    for path in (*loose, *inside):
        if not _is_leftover(path) and not walk.TEMPORARY.fullmatch(path.name):
            continue
        extent, lock = walk.extent(path), _lock(path, runs, cache)
        if lock is not None and files.is_locked(lock):
            held = "an agent is using its folder"
        else:
            held = "a process may be writing it" if now - extent.touched < GRACE else ""
        yield Item(Kind.LEFTOVER, path, extent.disk, extent.touched, lock, title=path.name, held=held)


def _files(folder: Path) -> list[Path]:
    """The files of a folder and its subfolders; a temporary folder counts as one file."""
    if walk.TEMPORARY.fullmatch(folder.name):
        return [folder]
    paths: list[Path] = []
    for entry in walk.entries(folder):
        if entry.is_dir(follow_symlinks=False):
            paths += _files(Path(entry))
        elif entry.is_file(follow_symlinks=False):
            paths.append(Path(entry))
    return paths


def _is_leftover(path: Path) -> bool:
    if walk.TEMPORARY.fullmatch(path.name):
        return True
    folders = path.parts[:-1]
    return path.suffix in ASIDE and bool({CHECKPOINT, "pool", "data"} & set(folders))


def _lock(path: Path, runs: Path | None, cache: Path) -> Path | None:
    """The lock that a process holds while it writes there; None: there is none."""
    if runs and path.is_relative_to(runs):
        key = path.relative_to(runs).parts[0]
        return runs / LOCKS / f"{key}.lock" if KEY.fullmatch(key) else None
    if path.is_relative_to(cache / "pool"):
        parts = path.relative_to(cache / "pool").parts
        return cache.joinpath("pool", *parts[:3], ".lock") if len(parts) > 3 else None
    if path.is_relative_to(cache / "data" / "archives"):
        name = path.relative_to(cache / "data" / "archives").parts[0]
        return cache / "data" / "archives" / f"{name}.lock"
    stem = re.sub(r"^\.|\.safetensors\..*$|\.damaged$", "", path.name)
    return path.with_name(f"{stem}.lock")


def _title(folder: Path) -> str:
    try:
        return stored(files.read_json(folder / "recipe.json")).title()
    except (UserError, TypeError):
        return folder.name


def _ptm(folder: Path, pool: Path) -> str:
    try:
        spec = inventory.read(folder).spec
    except (ValueError, OSError):  # no weights yet, or not written by ddsweep
        spec = None
    return spec.title if spec else str(folder.relative_to(pool))

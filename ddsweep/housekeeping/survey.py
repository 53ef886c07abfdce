"""What lies where: one pass over the runs folder and the cache."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.housekeeping import walk
from ddsweep.housekeeping.in_use import LOCKS, Work, is_held
from ddsweep.housekeeping.items import Item, Kind, Uses
from ddsweep.housekeeping.walk import Extent
from ddsweep.pretrained import inventory
from ddsweep.recipe import make

KEY = re.compile(r"[0-9a-f]{16}")  # Recipe.key
CHECKPOINT = "checkpoint"  # trial.CHECKPOINT, which costs an import of torch
CLIENT = "wandb"  # W&B's client looks after its own folder
ASIDE = (".damaged", ".foreign", ".other")
FRESH = 900.0  # seconds: three times as long as a trial goes without a checkpoint; where locks do not reach
GRACE = 3600.0  # seconds that a temporary is left alone, though nobody holds its lock


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        items: what can be removed.
        other: what takes room beside that, by folder: databases, pictures of sweeps, logs.
        links: links that were not followed.
        strangers: sweeps that have a folder here, and are in another storage or in none.
    """

    items: list[Item]
    other: dict[Path, int]
    links: list[Path]
    strangers: list[str]


def survey(runs: Path, cache: Path, uses: Uses, work: Work) -> Survey:
    """List what is in a runs folder and in the cache; neither need exist, and nothing is changed.

    Args:
        runs: the folder of all runs.
        cache: the folder of datasets and PTMs.
        uses: who needs which cell.
        work: what agents have in their hands.
    """
    runs, cache, now = runs.absolute(), cache.absolute(), time.time()
    strangers = sorted(one.name for one in walk.folders(runs) if "@" in one.name and one.name not in uses.names)
    items = [*_runs(runs, uses, now, certain=not strangers), *_pool(cache / "pool"), *_data(cache / "data")]
    if (compiled := walk.extent(cache / "compiled")).files:
        items.append(Item(Kind.COMPILED, cache / "compiled", compiled.disk, compiled.touched))
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
        found, launched = walk.extent(folder), uses.sweeps.get(folder.name, ())
        finished = (folder / "result.json").is_file()
        if finished:
            kind = Kind.USED if launched else Kind.FREE
        else:  # that of a sweep in a storage that was not named goes on when it is launched again: somebody is asked
            kind = Kind.OPEN if launched or not certain else Kind.ORPHAN
        lock = runs / LOCKS / f"{folder.name}.lock"
        held = "" if finished else _held(lock, found, now)
        title = _title(folder) + (f" ({', '.join(launched)})" if launched else "")
        yield Item(kind, folder, found.disk - inner.disk, found.touched, lock, title=title, held=held)


def _held(lock: Path, found: Extent, now: float) -> str:
    if is_held(lock):
        return "an agent runs it"
    return f"written to less than {FRESH / 60:.0f} min ago" if now - found.touched < FRESH else ""


def _pool(pool: Path) -> Iterator[Item]:
    for folder in (one for source in walk.folders(pool) for arch in walk.folders(source) for one in walk.folders(arch)):
        inside = [path for path in walk.files(folder) if not _is_leftover(path) and path.name != ".lock"]
        if not inside:  # a PTM that was removed leaves its lock
            continue
        found = sum(map(walk.extent, inside), Extent())
        held = "an agent trains it" if is_held(folder / ".lock") else ""
        yield Item(Kind.PTM, folder, found.disk, found.touched, folder / ".lock", ".lock", _ptm(folder, pool), held)


def _data(data: Path) -> Iterator[Item]:
    for entry in walk.entries(data):
        path = Path(entry)
        if entry.is_file(follow_symlinks=False) and path.suffix == ".safetensors" and not _is_leftover(path):
            found, lock = walk.extent(path), path.with_suffix(".lock")
            held = "an agent decodes it" if is_held(lock) else ""
            yield Item(Kind.DATASET, path, found.disk, found.touched, lock, title=path.stem, held=held)
    for folder in walk.folders(data / "archives"):
        lock = folder.with_name(f"{folder.name}.lock")
        for entry in walk.entries(folder):
            found = walk.extent(path := Path(entry))
            if found.files and not _is_leftover(path):
                held = "it is being downloaded" if is_held(lock) else ""
                yield Item(Kind.ARCHIVE, path, found.disk, found.touched, lock, title=folder.name, held=held)


def _leftovers(runs: Path | None, cache: Path, now: float) -> Iterator[Item]:
    places = walk.entries(runs) if runs else []
    inside = [Path(one) for one in places if one.is_dir(follow_symlinks=False) and one.name != CLIENT]
    loose = [Path(one) for one in places if one.is_file(follow_symlinks=False)]
    for path in [*loose, *(path for one in inside for path in _found(one)), *_found(cache / "pool"),
                 *_found(cache / "data")]:  # fmt: skip
        if not _is_leftover(path) and not walk.TEMPORARY.fullmatch(path.name):
            continue
        found, lock = walk.extent(path), _lock(path, runs, cache)
        if lock is not None and is_held(lock):
            held = "an agent works there"
        else:
            held = "it may be being written" if now - found.touched < GRACE else ""
        yield Item(Kind.LEFTOVER, path, found.disk, found.touched, lock, title=path.name, held=held)


def _found(folder: Path) -> list[Path]:
    """The files of a folder; a folder that is itself a temporary counts as one."""
    if walk.TEMPORARY.fullmatch(folder.name):
        return [folder]
    return [
        path for one in walk.entries(folder)
        for path in (_found(Path(one)) if one.is_dir(follow_symlinks=False) else
                     [Path(one)] if one.is_file(follow_symlinks=False) else [])
    ]  # fmt: skip


def _is_leftover(path: Path) -> bool:
    if walk.TEMPORARY.fullmatch(path.name):
        return True
    folders = path.parts[:-1]
    return path.suffix in ASIDE and bool({CHECKPOINT, "pool", "data"} & set(folders))


def _lock(path: Path, runs: Path | None, cache: Path) -> Path | None:
    """The lock of whoever would be writing there."""
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
        return make(files.read_json(folder / "recipe.json")).title()
    except (UserError, TypeError):
        return folder.name


def _ptm(folder: Path, pool: Path) -> str:
    try:
        found = inventory.of(folder).spec
    except (ValueError, OSError):  # no weights yet, or none of ours
        found = None
    return found.title if found else str(folder.relative_to(pool))

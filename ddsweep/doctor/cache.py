"""The cache: sizes, damaged PTMs, locks held by suspended processes, and leftover temporary files."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ddsweep import again, housekeeping, text
from ddsweep.doctor.check import Finding, Place, ok, warning
from ddsweep.housekeeping import Kind, Uses, Work, walk
from ddsweep.pretrained.inventory import MAX_HEADER
from ddsweep.pretrained.spec import PREFIX

STOPPED = "Tt"  # the states of a suspended process in /proc/PID/stat


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, and whether it is suspended."""

    lock: Path
    pid: int
    stopped: bool


@dataclass(frozen=True)
class Cache:
    """Facts about the cache.

    Attributes:
        folder: the folder of datasets and PTMs.
        disk: bytes by kind.
        count: number of items by kind.
        damaged: weight files that are truncated or in another format.
        holders: of the locks in the cache and in the runs folder.
        leftovers: number and bytes of temporary and set-aside files that no process is writing.
    """

    folder: Path
    disk: dict[Kind, int]
    count: dict[Kind, int]
    damaged: tuple[Path, ...] = ()
    holders: tuple[Holder, ...] = ()
    leftovers: tuple[int, int] = (0, 0)


def inspect(place: Place) -> Cache:
    """List the cache; a lock is held only for the moment that testing it takes."""
    items = housekeeping.survey(place.runs, place.cache, Uses(), Work()).items
    disk: Counter[Kind] = Counter()
    for item in items:
        disk[item.kind] += item.disk
    leftovers = [item for item in items if item.kind is Kind.LEFTOVER and not item.held]
    weights = [path for path in walk.files(place.cache / "pool") if _is_weights(path)]
    return Cache(
        place.cache,
        dict(disk),
        dict(Counter(item.kind for item in items)),
        tuple(path for path in weights if not is_whole(path)),
        tuple(holders(lock_files(place))),
        (len(leftovers), sum(item.disk for item in leftovers)),
    )


def sizes(facts: Cache) -> list[Finding]:
    """Disk usage of the cache by kind."""
    names = {Kind.DATASET: "dataset", Kind.ARCHIVE: "archive", Kind.PTM: "PTM"}
    counts = {kind: text.plural(count, names[kind]) for kind, count in facts.count.items() if kind in names}
    if Kind.COMPILED in facts.count:
        counts[Kind.COMPILED] = "compiled steps"
    parts = [f"{counts[kind]} {text.data_size(facts.disk[kind])}" for kind in Kind if kind in counts]
    return [ok("cache", f"{', '.join(parts) or 'empty'}, {facts.folder}")]


def ptms(facts: Cache) -> list[Finding]:
    """Damaged weights, each of which a sweep would have to train again."""
    if not facts.damaged:
        return []
    first, more = facts.damaged[0], len(facts.damaged) - 1
    message = f"damaged: {first}" + (f" (and {more} more)" if more else "")
    published = "; then ddsweep pretrain " + first.parent.parent.parent.name if first.parent.name == "published" else ""
    return [warning("PTM", message, f"rm {first}{published or ': the next sweep that needs it trains it again'}")]


def locks(facts: Cache) -> list[Finding]:
    """Locks of suspended processes, for which others wait; the system releases the lock of a process that ends."""
    return [
        warning("lock", f"process {holder.pid} holds {holder.lock} and is suspended", f"kill -CONT {holder.pid}")
        for holder in facts.holders
        if holder.stopped
    ]


def leftovers(facts: Cache) -> list[Finding]:
    """Temporary files of killed processes, and files that were set aside as damaged."""
    count, disk = facts.leftovers
    if not count:
        return []
    message = f"{text.plural(count, 'unused temporary or set-aside file')}, {text.data_size(disk)}"
    return [warning("leftovers", message, again.other("clean", "temporaries"))]


def is_whole(path: Path) -> bool:
    """Whether a safetensors file has a header and exactly the bytes that it declares; its values are not read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(size, MAX_HEADER):
                return False
            header = json.loads(file.read(length))
        ends = [value["data_offsets"][1] for name, value in header.items() if name != "__metadata__"]
        return bool(size == 8 + length + max(ends, default=0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False


def lock_files(place: Place) -> list[Path]:
    """Every lock file that agents use in the runs folder and the cache."""
    roots = (place.runs / ".locks", place.cache / "pool", place.cache / "data")
    return [path for root in roots for path in walk.files(root) if path.name.endswith(".lock")]


def holders(paths: list[Path], proc: Path = Path("/proc")) -> list[Holder]:
    """The holders of these locks according to Linux (``/proc/locks``); empty on other systems."""
    try:
        lines = (proc / "locks").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    held = {
        int(match[2]): int(match[1]) for line in lines if (match := re.search(r"FLOCK .* (\d+) \w+:\w+:(\d+) ", line))
    }
    result = []
    for path in paths:
        try:
            pid = held[path.stat().st_ino]
        except (OSError, KeyError):
            continue
        result.append(Holder(path, pid, _is_stopped(proc / str(pid) / "stat")))
    return result


def _is_stopped(stat: Path) -> bool:
    try:
        return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] in STOPPED
    except (OSError, IndexError):
        return False


def _is_weights(path: Path) -> bool:
    return path.name.startswith(PREFIX) and path.suffix == ".safetensors" and os.access(path, os.R_OK)

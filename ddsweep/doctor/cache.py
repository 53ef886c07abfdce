"""The cache: what it holds, PTMs that are damaged, locks that nobody will let go of, and what writers have left."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ddsweep import housekeeping
from ddsweep.doctor.check import Finding, Place, ok, warning
from ddsweep.housekeeping import Kind, Uses, Work, walk
from ddsweep.pretrained.inventory import HEADER_UP_TO
from ddsweep.pretrained.spec import PREFIX

STOPPED = "Tt"  # what /proc says of a process that is suspended


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: the process, and whether it is suspended."""

    lock: Path
    pid: int
    stopped: bool


@dataclass(frozen=True)
class Cache:
    """What was found.

    Attributes:
        folder: of datasets and PTMs.
        disk: bytes of each kind of thing in the cache.
        count: how many there are of each.
        damaged: files of weights that are cut short, or are none.
        holders: of the locks in the cache and of the runs.
        left: temporaries that nobody writes, and what was set aside: how many, and bytes.
    """

    folder: Path
    disk: dict[Kind, int]
    count: dict[Kind, int]
    damaged: tuple[Path, ...] = ()
    holders: tuple[Holder, ...] = ()
    left: tuple[int, int] = (0, 0)


def look(place: Place) -> Cache:
    """List it; no lock is taken for longer than asking takes."""
    items = housekeeping.survey(place.runs, place.cache, Uses(), Work()).items
    disk: Counter[Kind] = Counter()
    for one in items:
        disk[one.kind] += one.disk
    left = [one for one in items if one.kind is Kind.LEFTOVER and not one.held]
    weights = [path for path in walk.files(place.cache / "pool") if _is_weights(path)]
    return Cache(
        place.cache, dict(disk), dict(Counter(one.kind for one in items)),
        tuple(path for path in weights if not is_whole(path)),
        tuple(holders(lock_files(place))), (len(left), sum(one.disk for one in left)),
    )  # fmt: skip


def sizes(facts: Cache) -> list[Finding]:
    """What the cache takes."""
    names = {Kind.DATASET: "dataset", Kind.ARCHIVE: "archive", Kind.PTM: "PTM"}
    words = {kind: f"{count} {names[kind]}{'s' * (count != 1)}" for kind, count in facts.count.items() if kind in names}
    if Kind.COMPILED in facts.count:
        words[Kind.COMPILED] = "compiled steps"
    parts = [f"{words[kind]} {_amount(facts.disk[kind])}" for kind in Kind if kind in words]
    return [ok("cache", f"{', '.join(parts) or 'empty'}, {facts.folder}")]


def ptms(facts: Cache) -> list[Finding]:
    """Damaged weights cost a training when a sweep meets them: better now than then."""
    if not facts.damaged:
        return []
    first, more = facts.damaged[0], len(facts.damaged) - 1
    said = f"damaged: {first}" + (f" (and {more} more)" if more else "")
    published = "; then ddsweep pretrain " + first.parent.parent.parent.name if first.parent.name == "published" else ""
    return [warning("PTM", said, f"rm {first}{published or ': it is trained anew when a sweep needs it'}")]


def locks(facts: Cache) -> list[Finding]:
    """The system frees the lock of a process that ends. One that is suspended keeps it, and others wait for it."""
    return [
        warning("lock", f"{one.lock} is held by process {one.pid}, which is suspended", f"kill -CONT {one.pid}")
        for one in facts.holders
        if one.stopped
    ]


def leftovers(facts: Cache) -> list[Finding]:
    """What writers that were killed have left."""
    count, disk = facts.left
    if not count:
        return []
    said = f"{count} temporar{'ies' if count > 1 else 'y'} or set-aside files that nobody needs, {_amount(disk)}"
    return [warning("leftovers", said, "ddsweep clean temporaries")]


def is_whole(path: Path) -> bool:
    """Whether a safetensors file has a header and the bytes that it promises; its values are not read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(size, HEADER_UP_TO):
                return False
            header = json.loads(file.read(length))
        ends = [value["data_offsets"][1] for name, value in header.items() if name != "__metadata__"]
        return bool(size == 8 + length + max(ends, default=0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False


def lock_files(place: Place) -> list[Path]:
    """Every lock that agents take in these two folders."""
    roots = (place.runs / ".locks", place.cache / "pool", place.cache / "data")
    return [path for root in roots for path in walk.files(root) if path.name.endswith(".lock")]


def holders(paths: list[Path], proc: Path = Path("/proc")) -> list[Holder]:
    """Who holds which of these locks, by Linux's own list; nothing where there is none."""
    try:
        lines = (proc / "locks").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    held = {
        int(match[2]): int(match[1]) for line in lines if (match := re.search(r"FLOCK .* (\d+) \w+:\w+:(\d+) ", line))
    }
    found = []
    for path in paths:
        try:
            pid = held[path.stat().st_ino]
        except (OSError, KeyError):
            continue
        found.append(Holder(path, pid, _is_stopped(proc / str(pid) / "stat")))
    return found


def _is_stopped(stat: Path) -> bool:
    try:
        return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] in STOPPED
    except (OSError, IndexError):
        return False


def _is_weights(path: Path) -> bool:
    return path.name.startswith(PREFIX) and path.suffix == ".safetensors" and os.access(path, os.R_OK)


def _amount(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{max(1, round(size / 1e3))} kB"

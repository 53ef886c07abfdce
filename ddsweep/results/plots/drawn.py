"""Which figures were drawn already, of the same sweep with the same results: a launch does not draw them again.

Drawing needs torch and Matplotlib, whose import takes longer than everything else that a finished sweep still needs.
``ddsweep plot`` always draws.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddsweep import __version__, files
from ddsweep.results import run_files
from ddsweep.sweep import Sweep

RECORD = ".drawn.json"  # in the folder of the figures


def state(sweep: Sweep, runs: Path) -> str:
    """A hash of everything that determines the figures: the sweep, its results and their sets, ddsweep's version."""
    found = {cell.key: _run(runs / cell.key) for cell in sweep.cells}
    text = json.dumps([__version__, sweep.full_name, sweep.definition(), found], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def known(kind: str, folder: Path, current: str) -> list[Path]:
    """The figures of a kind that were drawn in this state and have not been changed since; none: draw them."""
    entry = _read(folder / RECORD).get(kind)
    if not isinstance(entry, dict) or entry.get("state") != current or not isinstance(entry.get("files"), dict):
        return []
    paths = [folder / name for name in entry["files"]]
    return paths if [_stat(path) for path in paths] == list(entry["files"].values()) else []


def remember(kind: str, folder: Path, current: str, paths: Sequence[Path]) -> None:
    """Record that figures of a kind were drawn in this state."""
    drawn = {path.name: _stat(path) for path in paths}
    files.write_json(folder / RECORD, {**_read(folder / RECORD), kind: {"state": current, "files": drawn}})


def _run(folder: Path) -> list[Any]:
    """The result of a run, which has the checksums of its files, and the file of its set."""
    digest = ""
    with contextlib.suppress(OSError):
        digest = hashlib.sha256((folder / run_files.RESULT).read_bytes()).hexdigest()
    return [digest, _stat(folder / run_files.SET)]


def _stat(path: Path) -> list[int]:
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}

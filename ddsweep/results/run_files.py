"""The files in a run folder beside ``result.json``, which records their checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ddsweep import checked_files
from ddsweep.errors import Damaged, UserError

RESULT = "result.json"  # written last: a run folder with this file is complete
SET = "synthetic.safetensors"
METRICS = "metrics.jsonl"
NAMES = ("recipe.json", "real.png", "synthetic.png", METRICS, SET)
THINNED = f"{METRICS} thinned"  # the metrics as they are transferred to other hosts
LINES = 500  # of thinned metrics, at most: enough for a curve
AGAIN = "launching its sweep with --recompute computes the cell again"


def checksums(folder: Path) -> dict[str, str]:
    """Return the checksum of each of the files, by name, and that of the thinned metrics (``THINNED``)."""
    found = {name: _checksum(folder / name) for name in NAMES if (folder / name).is_file()}
    if METRICS in found:
        found[THINNED] = hashlib.sha256(thinned((folder / METRICS).read_bytes())).hexdigest()
    return found


def check(path: Path) -> None:
    """Compare a file of a finished run with the checksum in ``result.json``, which must be intact too.

    A file that lies elsewhere, or whose result does not record it (one of an older version), is not checked.

    Raises:
        Damaged: the file is damaged; the message says how to compute its cell again.
        UserError: it cannot be read.
    """
    beside = path.with_name(RESULT)
    if not (path.is_file() and beside.is_file()):
        return
    recorded = checked_files.read_json(beside).get("files", {})
    names = (METRICS, THINNED) if path.name == METRICS else (path.name,)
    expected = [recorded[name] for name in names if name in recorded]
    try:
        intact = not expected or _checksum(path) in expected
    except Damaged as reason:
        raise Damaged(f"{reason}; {AGAIN}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if not intact:
        raise Damaged(f"{path} is damaged: {checked_files.MISMATCH}; {AGAIN}")


def is_intact(path: Path) -> bool:
    """Return whether a file exists and ``check`` finds nothing wrong with it."""
    try:
        check(path)
    except UserError:
        return False
    return path.is_file()


def thinned(metrics: bytes) -> bytes:
    """Return at most ``LINES`` evenly spaced lines, including the first and the last, which has the final metrics."""
    lines = metrics.splitlines(keepends=True)
    if len(lines) <= LINES:
        return metrics
    return b"".join(lines[round(index * (len(lines) - 1) / (LINES - 1))] for index in range(LINES))


def _checksum(path: Path) -> str:
    if path.name == SET:
        return checked_files.checksum_of(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()

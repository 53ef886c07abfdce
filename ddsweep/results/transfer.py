"""How a result travels between hosts that do not share a runs folder: which files go, and how they arrive.

The host that finished a cell hands ``pack`` of its run folder to the queue before it says that the cell is complete
(``deliver``); whoever wants to read the sweep brings what is missing (``bring``) into a run folder of its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.results import result as results

logger = logging.getLogger(__name__)

SET = "synthetic.safetensors"
LAST = "result.json"  # as in a run folder: its presence means that the run is whole
NAMES = ("recipe.json", "real.png", "synthetic.png", "metrics.jsonl", SET, LAST)
LARGEST = 8 * 2**20  # bytes: a file above it stays where it was made; CIFAR-10 with 50 images a class has 6 MB
LINES = 500  # of metrics.jsonl: enough for a curve


class Damaged(UserError):
    """What a storage has of a result is not what was put there. Others can still be read."""


class Carrier(Protocol):
    """What ``deliver`` needs of a claim."""

    def keep(self, contents: Mapping[str, bytes]) -> bool:
        """Keep the files of the finished point in the storage. False if the lease was lost."""


@runtime_checkable
class Shelf(Protocol):
    """Where results of other hosts are looked for: a storage that keeps what its claims ``keep``."""

    def kept(self, keys: Collection[str]) -> set[str]:
        """Those of ``keys`` whose files are there."""

    def load(self, key: str) -> dict[str, bytes]:
        """The files of a finished recipe by name; none if they are not there. Raises Damaged."""


def pack(folder: Path) -> dict[str, bytes]:
    """The files of a finished run that travel, by name, without those that are too large or were never written."""
    contents = {}
    for name in NAMES:
        path = folder / name
        if not path.is_file():
            continue
        body = thinned(path.read_bytes()) if name == "metrics.jsonl" else path.read_bytes()
        if len(body) <= LARGEST:
            contents[name] = body
        else:
            logger.warning("%s stays here: it has %.1f MB, %.0f may travel", path, len(body) / 2**20, LARGEST / 2**20)
    return contents


def thinned(metrics: bytes) -> bytes:
    """Lines at even distances, first and last included; the last holds the final metrics."""
    lines = metrics.splitlines(keepends=True)
    if len(lines) <= LINES:
        return metrics
    return b"".join(lines[round(index * (len(lines) - 1) / (LINES - 1))] for index in range(LINES))


def deliver(claim: Carrier, folder: Path) -> bool:
    """Put a finished run where others can get it, before its cell is told to be complete. False if the lease was lost.

    The claim's heart goes on beating meanwhile, and a storage that is away is waited for.

    Raises:
        UserError: the storage stayed away, or is full. The run is whole here; its cell should go back to the queue.
    """
    try:
        return claim.keep(pack(folder))
    except UserError as error:
        raise UserError(f"{folder.name}: the result is here but could not be stored ({error})") from error


def absent(keys: Collection[str], runs: Path) -> list[str]:
    """Those of ``keys`` that have no result in this runs folder."""
    return [key for key in keys if not (runs / key / LAST).is_file()]


def without_set(keys: Collection[str], runs: Path) -> list[str]:
    """Those of ``keys`` that are complete in this runs folder and have no synthetic set there."""
    bare = [key for key in keys if not (runs / key / SET).is_file()]
    return [key for key in bare if (result := results.read(runs / key)) and result.state == "complete"]


def bring(shelf: Shelf, keys: Collection[str], runs: Path) -> dict[str, str]:
    """Bring the results of ``keys`` that are not in ``runs`` and are in the storage.

    Returns:
        Why not, by key, for those that are in the storage and could not be used.

    Raises:
        UserError: the storage cannot be reached, or ``runs`` cannot be written.
    """
    wanted = absent(keys, runs)
    there = shelf.kept(wanted) if wanted else set()
    return {key: reason for key in wanted if key in there and (reason := _bring(shelf, key, runs))}


def _bring(shelf: Shelf, key: str, runs: Path) -> str:
    """Bring one; why not, or nothing."""
    from filelock import FileLock, Timeout

    lock = runs / ".locks" / f"{key}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock).acquire(timeout=0):
            if not (runs / key / LAST).is_file():
                _unpack(shelf.load(key), runs / key)
    except Timeout:
        return f"{key}: is being computed here at this moment"
    except OSError as error:
        raise UserError(f"cannot write {lock.parent}: {error.strerror or error}") from error
    except Damaged as error:
        return str(error)
    return ""


def _unpack(contents: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a run, each whole or not at all, and the result last."""
    try:
        results.parse(json.loads(contents[LAST]), folder)
    except (KeyError, ValueError) as error:
        raise Damaged(f"{folder.name} in the storage: has no readable {LAST} ({error})") from None
    except UserError as error:
        raise Damaged(f"in the storage, {error}") from None
    for name in NAMES:  # nothing else, whatever the storage says: a name could lead out of the folder
        if name in contents:
            with files.atomic(folder / name) as temporary:
                temporary.write_bytes(contents[name])

"""Transfer of results between hosts that do not share a runs folder.

The host that finished a cell stores the files of its run folder (``pack``) in the queue before it reports the cell as
complete (``deliver``); a host that reads the sweep copies missing results into its own runs folder (``bring``).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from ddsweep import checked_files, files
from ddsweep.errors import Damaged, UserError
from ddsweep.results import result as results
from ddsweep.results import run_files
from ddsweep.results.run_files import METRICS, RESULT, SET, thinned

logger = logging.getLogger(__name__)

NAMES = (*run_files.NAMES, RESULT)
LARGEST = 8 * 2**20  # bytes: larger files are not transferred; a set of CIFAR-10 with 50 images per class has 6 MB


class Carrier(Protocol):
    """The part of a claim that ``deliver`` uses."""

    def keep(self, contents: Mapping[str, bytes]) -> bool:
        """Store the files of the finished point; return False if the lease was lost."""


@runtime_checkable
class Shelf(Protocol):
    """A storage from which hosts read the results that claims ``keep``."""

    def kept(self, keys: Collection[str]) -> set[str]:
        """Return those of ``keys`` whose files are stored."""

    def load(self, key: str) -> dict[str, bytes]:
        """Return the files of a finished recipe by name; empty if they are not stored. Raises Damaged."""


def pack(folder: Path) -> dict[str, bytes]:
    """Return the files of a finished run for transfer, by name; missing and too large files are left out."""
    contents = {}
    for name in NAMES:
        path = folder / name
        if not path.is_file():
            continue
        body = thinned(path.read_bytes()) if name == METRICS else path.read_bytes()
        if len(body) <= LARGEST:
            contents[name] = body
        else:
            logger.warning("%s stays here: it has %.1f MB, %.0f may travel", path, len(body) / 2**20, LARGEST / 2**20)
    return contents


def deliver(claim: Carrier, folder: Path) -> bool:
    """Store a finished run for other hosts before its cell is reported as complete; return False if the lease was lost.

    Heartbeats continue meanwhile, and the call waits for an unreachable storage.

    Raises:
        UserError: the storage stayed unreachable or is full. The run is complete on this host, and its cell should
            return to the queue.
    """
    try:
        return claim.keep(pack(folder))
    except UserError as error:
        raise UserError(f"{folder.name}: the result is here but could not be stored ({error})") from error


def absent(keys: Collection[str], runs: Path) -> list[str]:
    """Return those of ``keys`` that have no result in this runs folder."""
    return [key for key in keys if not (runs / key / RESULT).is_file()]


def unusable(keys: Collection[str], runs: Path) -> list[str]:
    """Return those of ``keys`` whose result is not in this runs folder, or is damaged there."""
    return [key for key in keys if _is_unusable(runs / key)]


def _is_unusable(folder: Path) -> bool:
    try:
        return results.read(folder) is None
    except Damaged:
        return True
    except UserError:  # a plugin is missing: a copy from the storage could not be read either
        return False


def without_set(keys: Collection[str], runs: Path) -> list[str]:
    """Return those of ``keys`` that are complete in this runs folder but have no synthetic set there."""
    bare = [key for key in keys if not (runs / key / SET).is_file() and not _is_unusable(runs / key)]
    return [key for key in bare if (result := results.read(runs / key)) and result.state == "complete"]


def bring(shelf: Shelf, keys: Collection[str], runs: Path) -> dict[str, str]:
    """Copy the results of ``keys`` that are stored but not in ``runs``, or damaged there.

    Returns:
        By key, the reasons why stored results could not be used.

    Raises:
        UserError: the storage cannot be reached, or ``runs`` cannot be written.
    """
    wanted = unusable(keys, runs)
    there = shelf.kept(wanted) if wanted else set()
    return {key: reason for key in wanted if key in there and (reason := _bring(shelf, key, runs))}


def _bring(shelf: Shelf, key: str, runs: Path) -> str:
    """Copy one result; return the reason if it failed, otherwise an empty string."""
    from filelock import FileLock, Timeout

    lock = runs / ".locks" / f"{key}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock).acquire(timeout=0):
            if _is_unusable(runs / key):
                _unpack(shelf.load(key), runs / key)
    except Timeout:
        return f"{key}: is being computed here at this moment"
    except OSError as error:
        raise UserError(f"cannot write {lock.parent}: {error.strerror or error}") from error
    except Damaged as error:
        return str(error)
    return ""


def _unpack(contents: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a run, each atomically, and the result last."""
    try:
        results.parse(checked_files.parse_json(contents[RESULT]), folder)
    except (KeyError, ValueError) as error:
        raise Damaged(f"{folder.name} in the storage: has no readable {RESULT} ({error})") from None
    except UserError as error:
        raise Damaged(f"in the storage, {error}") from None
    for name in NAMES:  # only known names: a stored name could point outside the folder
        if name in contents:
            files.write_bytes(folder / name, contents[name])

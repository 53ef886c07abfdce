"""The results of a sweep as the runs folder has them, without those that must not be in its tables.

A result is left out if its file is damaged, or if it was computed from other images than the sweep's. It keeps its
place in the runs folder until its cell is computed again; then the whole run folder is moved to ``replaced/``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from ddsweep import text
from ddsweep.errors import Damaged, UserError
from ddsweep.recipe import Recipe
from ddsweep.results import image_checksums, run_files
from ddsweep.results import result as results
from ddsweep.results.image_checksums import Checksums
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep

REPLACED = "replaced"  # folder within the runs folder


class Fault(StrEnum):
    """Why a result is left out of tables."""

    DAMAGED = "damaged"
    OTHER_IMAGES = "from other images"
    UNREADABLE = "unreadable"  # for example, because a plugin is not installed


@dataclass(frozen=True)
class LeftOut:
    """A result that is left out.

    Attributes:
        fault: why.
        reason: why, in one line.
    """

    fault: Fault
    reason: str


@dataclass(frozen=True)
class Stored:
    """The results of a sweep in the runs folder.

    Attributes:
        results: those that count, by key.
        left_out: those that do not, by key.
    """

    results: dict[str, Result]
    left_out: dict[str, LeftOut]

    def keys(self, fault: Fault) -> list[str]:
        """The keys of the results with this fault."""
        return [key for key, one in self.left_out.items() if one.fault is fault]

    def lines(self) -> list[str]:
        """What is left out, in one line per fault."""
        found = []
        for fault in Fault:
            if keys := self.keys(fault):
                more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
                count = text.plural(len(keys), "result")
                found.append(f"left out of the table: {count} {fault.value}: {self.left_out[keys[0]].reason}{more}")
        return found


def collect(sweep: Sweep, runs: Path) -> Stored:
    """Read the results of a sweep's cells."""
    expected = sweep.data or image_checksums.known(cell.recipe for cell in sweep.cells)
    stored = Stored({}, {})
    for cell in sweep.cells:
        try:
            result = read(runs / cell.key, cell.recipe, expected)
        except OtherImages as reason:
            stored.left_out[cell.key] = LeftOut(Fault.OTHER_IMAGES, str(reason))
        except Damaged as reason:
            stored.left_out[cell.key] = LeftOut(Fault.DAMAGED, str(reason))
        except UserError as reason:
            stored.left_out[cell.key] = LeftOut(Fault.UNREADABLE, str(reason))
        else:
            if result is not None:
                stored.results[cell.key] = result
    return stored


class OtherImages(UserError):
    """A result was computed from other images than those that count."""


def read(folder: Path, recipe: Recipe, expected: Checksums) -> Result | None:
    """Read the result of ``recipe`` in its run folder; None if the run has not finished.

    Args:
        folder: the run folder.
        recipe: the recipe.
        expected: the checksums of the images that count.

    Raises:
        OtherImages: it was computed from other images.
        Damaged, UserError: as ``results.read``.
    """
    result = results.read(folder)
    if result is not None and (name := image_checksums.changed(recipe, result.data, expected)):
        raise OtherImages(f"{folder} was computed from other images of {name}")
    return result


def sets(sweep: Sweep, runs: Path) -> dict[str, Path]:
    """Return the files of the synthetic sets of the results that count, by key; without missing and damaged ones."""
    paths = {key: runs / key / run_files.SET for key in collect(sweep, runs).results}
    return {key: path for key, path in paths.items() if run_files.is_intact(path)}


def check_files(keys: Iterable[str], runs: Path) -> dict[str, str]:
    """Compare the other files of finished runs with their checksums; return the reasons by key, where one differs."""
    found: dict[str, str] = {}
    for key in keys:
        for name in run_files.NAMES:
            try:
                run_files.check(runs / key / name)
            except UserError as reason:
                found.setdefault(key, str(reason))
    return found


def set_aside(folder: Path) -> Path:
    """Move a run folder to ``replaced/`` in the runs folder, so that its recipe can be computed again.

    Returns:
        The new path, ``replaced/KEY-TIME``, with the time in UTC.

    Raises:
        UserError: it cannot be moved.
    """
    name = f"{folder.name}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    path = folder.parent / REPLACED / name
    try:
        path.parent.mkdir(exist_ok=True)
        folder.rename(path)
    except OSError as error:
        raise UserError(f"cannot move {folder} to {path}: {error.strerror or error}") from error
    return path
